"""The calculator as a page: what it shows, what it answers, on a desk, on a phone, on paper, by keyboard alone."""

import json
import math
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from browser import look
from devtools import tab

import rmt

ROOT = Path(__file__).parents[1]
tool = runpy.run_path(str(ROOT / "tools" / "calculator.py"))
START = "#n=256&T=100&layers=1&alpha=0.01&field=real"
INPUTS = ["n", "T", "layers", "alpha"]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return tool["write"](tmp_path_factory.mktemp("calculator") / "calculator.html")


SHOWN = """
const rows = Object.fromEntries([...document.querySelectorAll("#rules tr")].map(
  (row) => [row.dataset.rule, [...row.cells].map((cell) => cell.textContent)]));
const state = () => ({
  rows, hash: location.hash, summary: document.querySelector("#summary").textContent,
  hidden: document.querySelector("#results").hidden, notes: document.querySelector("#notes").textContent,
  errors: [...document.querySelectorAll(".error")].map((e) => e.textContent),
  invalid: [...document.querySelectorAll("[aria-invalid=true]")].map((e) => e.id),
});
const later = () => new Promise((done) => setTimeout(done, 100));
const type = async (id, text) => {
  const input = document.getElementById(id);
  input.value = text;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  await later();
};
"""


def test_what_is_shown_at_first(page, tmp_path):
    state = look(page, SHOWN + "return state();", tmp_path)
    assert state["hash"] == START
    assert state["errors"] == [""] * 4
    rows = state["rows"]
    assert list(rows) == ["glorot", "mean", "risk", "paper"]
    assert rows["glorot"][1:3] == ["1.000000", "0.983"]
    assert rows["mean"][1] == f"{rmt.rescaled_gain(256):.6f}"
    assert rows["risk"][1:4] == [f"{rmt.rescaled_gain(256, alpha=0.01):.6f}", "0.0100", "0.0100"]
    assert rows["paper"][1] == f"{rmt.rescaled_gain(256, rule='paper'):.6f}"
    log10 = rmt.log_mean_hidden_norm(100, 256) / math.log(10)
    assert rows["glorot"][4] == f"{10 ** (log10 % 1):.2f}e{int(log10)}"
    medians = [float(rows[rule][5]) for rule in ("glorot", "mean")]
    assert 100 < medians[0] < 1e4
    assert 1 < medians[1] < 100
    assert [rows[rule][5] for rule in ("risk", "paper")] == ["–", "–"]
    assert "0.983" in state["summary"]


def test_every_input_changes_what_it_should(page, tmp_path):
    script = """
    const seen = [];
    await type("n", "163"); seen.push(state());
    await type("alpha", "1e-3"); await type("layers", "4"); await type("T", "50"); seen.push(state());
    document.querySelector("input[value=complex]").click(); await later(); seen.push(state());
    const slider = document.getElementById("n-slider");
    const before = slider.getAttribute("aria-valuetext");
    slider.stepUp(); slider.dispatchEvent(new Event("input", { bubbles: true })); await later();
    seen.push([before, slider.getAttribute("aria-valuetext"), document.getElementById("n").value]);
    slider.value = 0; slider.dispatchEvent(new Event("input")); await later(); seen.push(location.hash);
    slider.value = slider.max; slider.dispatchEvent(new Event("input")); await later(); seen.push(location.hash);
    return seen;
    """
    shown = SHOWN.replace("const rows =", "const rows = () =>").replace("rows, hash", "rows: rows(), hash")
    first, second, third, slider, least, most = look(page, shown + script, tmp_path)
    assert list(first["rows"]) == ["glorot", "mean", "risk"]
    assert first["notes"] == "The paper's rule does not exist at n = 163: its Gumbel limit needs n ≥ 164. "
    assert second["hash"] == "#n=163&T=50&layers=4&alpha=1e-3&field=real".replace("1e-3", "0.001")
    assert second["rows"]["risk"][1] == f"{rmt.rescaled_gain(163, alpha=1e-3, layers=4):.6f}"
    assert float(second["rows"]["glorot"][4]) == pytest.approx(rmt.mean_hidden_norm(50, 163), rel=1e-3)
    assert third["rows"]["mean"][1] == f"{rmt.rescaled_gain(163, 'complex'):.6f}"
    assert slider[0] == "163"
    assert 163 < int(slider[1]) == int(slider[2]) < 175
    assert least.startswith("#n=4&")
    assert most.startswith("#n=65536&")


WRONG = [
    ("n", "3", "Too small: the least is 4."),
    ("n", "65537", "Too large: the most is 65536."),
    ("n", "12.5", "Not a whole number"),
    ("n", "65,536", "No commas"),
    ("T", "", "Empty: give a whole number from 1 to 100000."),
    ("layers", "-1", "Not a whole number"),
    ("alpha", "1", "Too large: the most is 0.999."),
    ("alpha", "0", "Too small"),
    ("alpha", "<b>", "Not a number like 0.01 or 1e-3"),
]


def test_bad_input_is_answered_beside_its_field(page, tmp_path):
    script = f"""
    const answers = [];
    for (const [name, text] of {json.dumps(WRONG)}) {{
      const before = document.getElementById(name).value;
      await type(name, text);
      answers.push([state(), getComputedStyle(document.getElementById(`${{name}}-error`)).display]);
      await type(name, before);
      answers[answers.length - 1].push(state());
    }}
    return answers;
    """
    for (name, _, message), (wrong, display, mended) in zip(WRONG, look(page, SHOWN + script, tmp_path), strict=True):
        assert wrong["hidden"] is True
        assert wrong["invalid"] == [name]
        assert next(filter(None, wrong["errors"])).startswith(message)
        assert display != "none"
        assert "right" in wrong["summary"]
        assert mended["hidden"] is False
        assert mended["errors"] == [""] * 4


def test_the_address_holds_the_inputs(page, tmp_path):
    script = """
    const answers = [];
    for (const hash of ["#n=77&T=5&layers=3&alpha=0.2&field=complex", "#n=many&alpha=2", "#field=quaternion"]) {
      location.hash = hash;
      await later();
      answers.push(state());
    }
    return answers;
    """
    right, wrong, other = look(page, SHOWN + script, tmp_path)
    assert right["hash"] == "#n=77&T=5&layers=3&alpha=0.2&field=complex"
    assert "complex Glorot matrix of width 77" in right["summary"]
    assert wrong["invalid"] == ["n", "alpha"]
    assert wrong["hidden"] is True
    assert other["hash"] == START


LAYOUT = """
const all = (selector) => [...document.querySelectorAll(selector)];
const width = document.documentElement.clientWidth;
const boxes = all("input, table, svg[role=img], h1, p, pre").map((e) => e.getBoundingClientRect());
const controls = all("input");
const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
const luminance = (colour) => {
  const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((v) => linear(v / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (a, b) => {
  const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
  return (x + 0.05) / (y + 0.05);
};
const back = getComputedStyle(document.body).backgroundColor;
const colour = (selector) => getComputedStyle(document.querySelector(selector)).color;
const curves = all("#growth path.curve:not(.median)");
return {
  width, wide: document.documentElement.scrollWidth - width,
  outside: boxes.filter((box) => box.width > 0 && (box.left < -1 || box.right > width + 1)).length,
  named: controls.every((c) => c.labels.length > 0 || c.getAttribute("aria-label")),
  reached: controls.every((c) => { c.focus(); return document.activeElement === c && c.tabIndex === 0; }),
  described: all("input[type=text]").every(
    (c) => c.getAttribute("aria-describedby").split(" ").every((id) => document.getElementById(id))),
  live: document.querySelector("#summary").getAttribute("aria-live"),
  texts: [colour("body"), colour(".soft"), colour(".hint")].map((c) => contrast(c, back)),
  strokes: curves.map((c) => contrast(getComputedStyle(c).stroke, back)),
  dashes: new Set(curves.map((c) => getComputedStyle(c).strokeDasharray)).size,
  colours: new Set(curves.map((c) => getComputedStyle(c).stroke)).size,
  curves: curves.map((c) => c.getAttribute("d").includes("NaN")),
};
"""


@pytest.mark.parametrize("dark", [False, True])
def test_layout_on_a_desk(page, tmp_path, dark):
    check_layout(look(page, LAYOUT, tmp_path, width=1100, dark=dark), above=1000)


def test_layout_on_a_phone(page, tmp_path):
    with tab(page.as_uri(), tmp_path, screen=(360, 780)) as phone:
        check_layout(phone.evaluate(f"(() => {{ {LAYOUT} }})()"), above=360, below=360)


def test_layout_on_paper(page, tmp_path):
    display = "[...document.querySelectorAll('{}')].map((e) => getComputedStyle(e).display)"
    with tab(page.as_uri(), tmp_path, media="print") as paper:
        assert set(paper.evaluate(display.format("input[type=range], .screen, .hint"))) == {"none"}
        assert "none" not in paper.evaluate(display.format("table, figure svg, input[type=text], #summary"))


def test_the_keyboard_is_enough(page, tmp_path):
    with tab(page.as_uri(), tmp_path) as keyboard:
        reached = []
        for _ in range(9):
            keyboard.press("Tab")
            reached.append(keyboard.evaluate("document.activeElement.id || document.activeElement.value"))
        assert reached == [*(f"{name}{end}" for name in INPUTS for end in ("", "-slider")), "real"]
        keyboard.press("ArrowRight")
        assert keyboard.evaluate("location.hash") == START.replace("real", "complex")
        keyboard.evaluate("document.activeElement.blur(), document.getElementById('n').select()")
        for digit in "64":
            keyboard.press(digit)
        assert keyboard.evaluate("location.hash") == START.replace("real", "complex").replace("256", "64")
        assert "width 64" in keyboard.evaluate("document.getElementById('summary').textContent")
        keyboard.press("Tab")
        widths = []
        for key in ("ArrowRight", "ArrowLeft", "ArrowLeft", "Home", "ArrowRight", "End"):
            keyboard.press(key)
            widths.append(int(keyboard.evaluate("document.getElementById('n').value")))
        assert 62 <= widths[2] < widths[1] == 64 < widths[0] <= 66
        assert widths[3:] == [4, 5, 65_536]
        assert "width 65536" in keyboard.evaluate("document.getElementById('summary').textContent")


def check_layout(found, *, above, below=math.inf):
    assert above <= found["width"] <= below
    assert found["wide"] <= 0
    assert found["outside"] == 0
    assert found["named"]
    assert found["reached"]
    assert found["described"]
    assert found["live"] == "polite"
    assert min(found["texts"]) >= 4.5  # WCAG AA, text
    assert min(found["strokes"]) >= 3  # WCAG AA, graphics
    assert found["curves"] == [False] * 4
    assert found["dashes"] == found["colours"] == 4


def test_the_page_holds_everything(page):
    text = page.read_text()
    assert "src=" not in text
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    assert page.stat().st_size < 200_000


def test_the_command_writes_the_page(page, tmp_path):
    out = tmp_path / "new" / "page.html"
    command = [sys.executable, ROOT / "tools" / "calculator.py", "--out", out]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    assert out.read_bytes() == page.read_bytes()
    assert '<a href="index.html">' in tool["page"](back="index.html")
