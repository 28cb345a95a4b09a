"""The calculator as a page: what it shows, what it answers, on a desk, on a phone, on paper, by keyboard alone."""

import itertools
import json
import math
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

import rmt
from rmt.cli import main

ROOT = Path(__file__).parents[1]
tool = runpy.run_path(str(ROOT / "tools" / "calculator.py"))
START = "#n=256&T=100&layers=1&alpha=0.01&field=real"
INPUTS = ["n", "T", "layers", "alpha"]
NAMES = {"glorot": "1 (Glorot)", "mean": "mean + sd", "risk": "risk α", "paper": "paper"}
HEADS = [
    "gain", "P(ρ > 1), one layer", "P(any ρ > 1), 4 layers", "E‖h‖²/n at T = 50", "its median",
    "mean exceeds 2t at step", "mean overflows float32 at step",
]  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return tool["write"](tmp_path_factory.mktemp("calculator") / "calculator.html").as_uri()


SHOWN = """
const state = () => ({
  rows: Object.fromEntries([...document.querySelectorAll("#rules tr")].map(
    (row) => [row.dataset.rule, [...row.cells].map((cell) => cell.textContent)])),
  heads: [...document.querySelectorAll("thead th")].map((head) => head.textContent).slice(1),
  labels: [...document.querySelectorAll("#rules tr")].map((row) => [...row.cells].map((cell) => cell.dataset.label)),
  hash: location.hash, summary: document.querySelector("#summary").textContent,
  command: document.querySelector("#command").textContent,
  reading: document.querySelector("#reading").textContent,
  hidden: document.querySelector("#results").hidden, notes: document.querySelector("#notes").textContent,
  errors: [...document.querySelectorAll(".error")].map((e) => e.textContent),
  invalid: [...document.querySelectorAll("[aria-invalid=true]")].map((e) => e.id),
});
const later = () => new Promise((done) => setTimeout(done, 20));
const type = async (id, text) => {
  const input = document.getElementById(id);
  input.value = text;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  await later();
};
"""


def test_what_is_shown_at_first(page, window):
    window.open(page)
    state = window.run(SHOWN + "return state();")
    assert state["hash"] == START
    assert state["errors"] == [""] * 4
    rows = state["rows"]
    assert {rule: row[0] for rule, row in rows.items()} == NAMES
    assert list(rows) == list(NAMES)
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
    steps = range(1, 1000)
    for rule, row in rows.items():
        growth = rmt.log_mean_hidden_norm(steps, 256, scale=float(row[1]))
        assert int(row[6]) == next((t for t in steps if growth[t - 1] > math.log(2 * t)), 0), rule
    assert "ρ > 1 with probability 0.983" in state["summary"]
    assert f"passes 2t, twice that of its inputs, at step t = {rows['glorot'][6]}" in state["summary"]
    assert f"by {rmt.rescaled_gain(256):.4f} (mean + sd)" in state["summary"]
    assert f"by {rmt.rescaled_gain(256, alpha=0.01):.4f} for a risk of 0.01 that it is unstable" in state["summary"]


def test_every_input_changes_what_it_should(page, window, capsys):
    window.open(page)
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
    first, second, third, slider, least, most = window.run(SHOWN + script)
    assert list(first["rows"]) == ["glorot", "mean", "risk"]
    assert first["notes"] == "The paper's rule does not exist at n = 163: its Gumbel limit needs n ≥ 164. "
    assert second["hash"] == "#n=163&T=50&layers=4&alpha=1e-3&field=real".replace("1e-3", "0.001")
    assert second["heads"] == HEADS
    assert second["labels"] == [[None, *HEADS]] * 3  # what stands before each cell on a phone
    for state, field in ((second, "real"), (third, "complex")):
        rows = state["rows"]
        assert rows["mean"][1] == f"{rmt.rescaled_gain(163, field):.6f}"
        assert rows["risk"][1] == f"{rmt.rescaled_gain(163, field, alpha=1e-3, layers=4):.6f}"
        assert rows["risk"][3] in ("1.00e-3", "0.00100")
        assert float(rows["glorot"][4]) == pytest.approx(rmt.mean_hidden_norm(50, 163, field), rel=1e-3)
        assert "any of 4 layers" in state["summary"]
        gain, radius = (line.split() for line in state["command"].splitlines())
        assert main([*gain[1:], "--json"]) == 0
        assert f"{json.loads(capsys.readouterr().out)['gain']:.6f}" == rows["risk"][1]
        assert main([*radius[1:], "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert (shown["n"], shown["field"]) == (163, field)
    assert slider[0] == "163"
    assert 163 < int(slider[1]) == int(slider[2]) < 175
    assert least.startswith("#n=4&")
    assert most.startswith("#n=65536&")


def test_plots_follow_every_slider_and_the_field(page, window):
    """In turn: width, steps, layers, risk, field. The density and its lines know nothing of steps."""
    window.open(page)
    script = """
    const drawn = () => ["growth", "density"].map((id) => document.getElementById(id).innerHTML);
    const move = async (id) => {
      const slider = document.getElementById(`${id}-slider`);
      slider.stepUp(3);
      slider.dispatchEvent(new Event("input", { bubbles: true }));
      await later();
    };
    const seen = [drawn()];
    for (const id of ["n", "T", "layers", "alpha"]) { await move(id); seen.push(drawn()); }
    document.querySelector("input[value=complex]").click(); await later(); seen.push(drawn());
    return seen;
    """
    seen = window.run(SHOWN + script)
    changed = [[a != b for a, b in zip(before, after, strict=True)] for before, after in itertools.pairwise(seen)]
    assert changed == [[True, True], [True, False], [True, True], [True, True], [True, True]]


def test_a_bound_beyond_the_tables_is_for_all_layers(page, window):
    """At n = 181 one complex layer, by the paper's rule, exceeds 1 with 2.8e-13: 64 of them with 1.8e-11."""
    one = rmt.SpectralRadiusLaw(181, "complex", rmt.rescaled_gain(181, "complex", rule="paper")).sf(1.0)
    assert one < 1e-12 < 64 * one < 6.4e-11
    window.open(page + "#n=181&layers=64&field=complex")
    assert window.run(SHOWN + "return state();")["rows"]["paper"][2:4] == ["< 1e-12", "< 6.4e-11"]


def test_what_is_not_in_the_tables_is_told(page, window):
    found = []
    for address in ("#n=256&T=128", "#n=256&T=129", "#n=2049&T=3", "#n=256&T=30"):  # T <= 8 sqrt(n), n <= 2048
        window.open(page + address)
        state = window.run(SHOWN + "return state();")
        stays = "stays below 2t, twice that of its inputs, for 30 steps" in state["summary"]
        found.append((state["notes"], state["rows"]["mean"][5] == "–", stays))
    assert found == [
        ("", False, False),
        ("Medians are tabulated up to T = 128 at this width.", True, False),
        ("Medians are tabulated up to n = 2048.", True, False),
        ("", False, True),
    ]


def test_what_a_mean_does_not_say_is_told(page, window):
    """The mean overflows where 95 of 100 draws are stable for ever: as typical it tells the opposite."""
    found = []
    for address in ("#n=128&T=2000&layers=4&alpha=0.05", "#n=65536&alpha=1e-9"):
        window.open(page + address)
        state = window.run(SHOWN + "return state();")
        found.append((state["reading"], state["rows"]["risk"][7]))
    (text, step), (other, never) = found
    assert "in all but 5 % of draws all 4 layers are stable: the state stays bounded for ever." in text
    assert f"Its mean overflows at step {step} all the same" in text
    gain = rmt.rescaled_gain(128, alpha=0.05, layers=4)
    before, after = rmt.log_mean_hidden_norm([int(step) - 1, int(step)], 128, scale=gain)
    assert before < 2 * math.log(np.finfo(np.float32).max) < after
    assert never.startswith(">") == ("Its mean grows in the end all the same" in other)
    assert "in all but 1e-7 % of draws the recurrence is stable" in other


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


def test_bad_input_is_answered_beside_its_field(page, window):
    window.open(page)
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
    for (name, _, message), (wrong, display, mended) in zip(WRONG, window.run(SHOWN + script), strict=True):
        assert wrong["hidden"] is True
        assert wrong["invalid"] == [name]
        assert next(filter(None, wrong["errors"])).startswith(message)
        assert display != "none"
        assert "right" in wrong["summary"]
        assert mended["hidden"] is False
        assert mended["errors"] == [""] * 4


def test_the_address_holds_the_inputs(page, window):
    window.open(page)
    script = """
    const answers = [];
    for (const hash of ["#n=77&T=5&layers=3&alpha=0.2&field=complex", "#n=many&alpha=2", "#field=quaternion"]) {
      location.hash = hash;
      await later();
      answers.push(state());
    }
    return answers;
    """
    right, wrong, other = window.run(SHOWN + script)
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
  ground: luminance(back),
  live: document.querySelector("#summary").getAttribute("aria-live"),
  texts: [colour("body"), colour(".soft"), colour(".hint")].map((c) => contrast(c, back)),
  fields: all("input[type=text]").map((c) => contrast(getComputedStyle(c).color, getComputedStyle(c).backgroundColor)),
  strokes: curves.map((c) => contrast(getComputedStyle(c).stroke, back)),
  dashes: new Set(curves.map((c) => getComputedStyle(c).strokeDasharray)).size,
  colours: new Set(curves.map((c) => getComputedStyle(c).stroke)).size,
  curves: curves.map((c) => c.getAttribute("d").includes("NaN")),
};
"""


@pytest.mark.parametrize("dark", [False, True])
def test_layout_on_a_desk(page, window, dark):
    window.open(page, width=1100, dark=dark)
    check_layout(window.run(LAYOUT), dark=dark, above=1000)


@pytest.mark.parametrize("dark", [False, True])
def test_layout_on_a_phone(page, window, dark):
    window.open(page, phone=(360, 780), dark=dark)
    check_layout(window.run(LAYOUT), dark=dark, above=360, below=360)


def test_layout_on_paper(page, window):
    display = "[...document.querySelectorAll('{}')].map((e) => getComputedStyle(e).display)"
    window.open(page, media="print", dark=True)
    assert set(window.evaluate(display.format("input[type=range], .screen, .hint"))) == {"none"}
    assert "none" not in window.evaluate(display.format("table, figure svg, input[type=text], #summary"))
    found = window.run(LAYOUT)
    assert found["ground"] == 1
    assert min(found["texts"]) >= 4.5
    assert min(found["strokes"]) >= 3


def test_the_keyboard_is_enough(page, window):
    window.open(page)
    reached = []
    for _ in range(9):
        window.press("Tab")
        reached.append(window.evaluate("document.activeElement.id || document.activeElement.value"))
    assert reached == [*(f"{name}{end}" for name in INPUTS for end in ("", "-slider")), "real"]
    window.press("ArrowRight")
    assert window.evaluate("location.hash") == START.replace("real", "complex")
    window.evaluate("document.activeElement.blur(), document.getElementById('n').select()")
    for digit in "64":
        window.press(digit)
    window.press("Enter")  # sends the form nowhere
    assert window.evaluate("location.search + location.hash") == START.replace("real", "complex").replace("256", "64")
    assert "width 64" in window.evaluate("document.getElementById('summary').textContent")
    window.press("Tab")
    widths = []
    for key in ("ArrowRight", "ArrowLeft", "ArrowLeft", "Home", "ArrowRight", "End"):
        window.press(key)
        widths.append(int(window.evaluate("document.getElementById('n').value")))
    assert 62 <= widths[2] < widths[1] == 64 < widths[0] <= 66
    assert widths[3:] == [4, 5, 65_536]
    assert "width 65536" in window.evaluate("document.getElementById('summary').textContent")


def check_layout(found, *, dark, above, below=math.inf):
    assert (found["ground"] < 0.1) is dark
    assert above <= found["width"] <= below
    assert found["wide"] <= 0
    assert found["outside"] == 0
    assert found["named"]
    assert found["reached"]
    assert found["described"]
    assert found["live"] == "polite"
    assert min(found["texts"]) >= 4.5  # WCAG AA, text
    assert min(found["fields"]) >= 4.5
    assert min(found["strokes"]) >= 3  # WCAG AA, graphics
    assert found["curves"] == [False] * 4
    assert found["dashes"] == found["colours"] == 4


def test_the_page_holds_everything():
    text = tool["page"]()
    assert "src=" not in text
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    assert "default-src 'none'" in text
    assert len(text.encode()) < 200_000


def test_the_command_writes_the_page(tmp_path, monkeypatch, capsys):
    out = tmp_path / "new" / "page.html"
    monkeypatch.setattr(sys, "argv", ["calculator.py", "--out", str(out), "--back", "index.html"])
    runpy.run_path(str(ROOT / "tools" / "calculator.py"), run_name="__main__")
    assert capsys.readouterr().out == f"wrote {out}\n"
    assert out.read_text(encoding="utf-8") == tool["page"](back="index.html")
    assert '<a href="index.html">' in out.read_text(encoding="utf-8")
    assert '<a href="index.html">' not in tool["page"]()
