"""The calculator: what its own JavaScript computes, in a real browser, against the library; how the page behaves."""

import json
import math
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from browser import look

import rmt
from rmt.laws import radius_complex, radius_real

ROOT = Path(__file__).parents[1]
tool = runpy.run_path(str(ROOT / "tools" / "calculator.py"))
tables = runpy.run_path(str(ROOT / "tools" / "calculator_tables.py"))
START = "#n=256&T=100&layers=1&alpha=0.01&field=real"
WIDTHS = [4, 17, 33, 150, 777]
FIELDS = ("real", "complex")
RISKS = [(1e-9, 64), (1e-6, 1), (0.01, 1), (0.01, 64), (0.3, 7), (0.999, 1), (0.999, 64)]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return tool["write"](tmp_path_factory.mktemp("calculator") / "calculator.html")


@pytest.fixture
def ask(page, tmp_path):
    """Evaluate an expression of the page's functions for each of some arguments."""

    def answers(expression, arguments):
        return look(page, f"return {json.dumps(arguments)}.map((x) => {expression});", tmp_path)

    return answers


def log_hazard(n, field, r):
    """log(-log P(rho < r)), straight from the determinant or the product."""
    root = math.sqrt(n)
    if field == "complex":
        return math.log(-radius_complex.log_cdf(n, r * root, (r - 1) * root))
    return math.log(-radius_real.log_cdf(n, r * root))


def test_gains_and_risks_are_those_of_the_library(ask):
    cases = [(n, field, alpha, layers) for n in WIDTHS for field in FIELDS for alpha, layers in RISKS]
    found = ask(
        "((law) => [gainOfMean(law), gainOfRisk(law, x[2], x[3]), riskAbove(law, 1, 1), riskAbove(law, 1, x[3]),"
        " riskAbove(law, 1 / gainOfMean(law), x[3])])(radiusLaw(x[0], x[1]))",
        cases,
    )
    for (n, field, alpha, layers), (mean, risk, one, any_of, after) in zip(cases, found, strict=True):
        law = rmt.SpectralRadiusLaw(n, field)
        assert mean == pytest.approx(rmt.rescaled_gain(n, field), abs=tool["GAIN_ERROR"])
        expected = rmt.rescaled_gain(n, field, alpha=alpha, layers=layers)
        assert risk == pytest.approx(expected, abs=tool["GAIN_ERROR"])
        assert one == pytest.approx(law.sf(1.0), abs=tool["RISK_ERROR"])
        assert any_of == pytest.approx(1 - law.cdf(1.0) ** layers, abs=tool["RISK_ERROR"])
        assert after == pytest.approx(1 - law.cdf(law.mean() + law.std()) ** layers, abs=tool["RISK_ERROR"])


def test_quantiles_at_any_width_have_the_probability_they_claim(ask):
    rng = np.random.default_rng(0)
    widths = [*np.exp(rng.uniform(np.log(33), np.log(9000), 14)).astype(int).tolist(), 20_000, 65_536]
    cases = [(n, FIELDS[i % 2], float(rng.uniform(-27.9, 1.9))) for i, n in enumerate(widths)]
    cases += [(31_111, "complex", -5.0), (65_536, "complex", 1.0)]
    for (n, field, g), r in zip(cases, ask("radiusAt(radiusLaw(x[0], x[1]), x[2])", cases), strict=True):
        step = 1e-4 / math.sqrt(n)
        slope = (log_hazard(n, field, r + step) - log_hazard(n, field, r - step)) / (2 * step)
        assert abs((log_hazard(n, field, r) - g) / slope) < tool["GAIN_ERROR"]


@pytest.mark.heavy
def test_means_between_the_nodes_of_the_tables_at_large_widths(ask):
    cases = [(n, field) for n in (2_345, 11_000, 26_000) for field in FIELDS]
    found = ask("((law) => [gainOfMean(law), riskAbove(law, 1, 1)])(radiusLaw(x[0], x[1]))", cases)
    for (n, field), (gain, risk) in zip(cases, found, strict=True):
        assert gain == pytest.approx(rmt.rescaled_gain(n, field), abs=tool["GAIN_ERROR"])
        assert risk == pytest.approx(rmt.SpectralRadiusLaw(n, field).sf(1.0), abs=tool["RISK_ERROR"])


def test_the_table_is_what_its_tool_computes():
    stored = json.loads((tool["SOURCES"] / "tables.json").read_text())
    assert stored["levels"] == tables["levels"]()
    assert stored["widths"] == tables["widths"]()
    for field in FIELDS:
        for n in (4, 19, 32):
            assert stored[field]["small"][n - 4] == pytest.approx(tables["law_row"](n, field), abs=1e-8)
        assert stored[field]["large"][3] == pytest.approx(tables["law_row"](stored["widths"][3], field), abs=1e-8)
        assert len(stored[field]["small"]) == 29
        assert len(stored[field]["large"]) == len(stored["widths"])


def test_the_papers_rule_where_it_exists(ask):
    widths = [4, 163, 164, 192, 256, 65_536]
    for n, gain in zip(widths, ask("gainOfPaper(x)", widths), strict=True):
        if n < 164:
            assert gain is None
        else:
            assert gain == pytest.approx(rmt.rescaled_gain(n, rule="paper"), abs=1e-11)


def test_what_is_beyond_the_tables_is_said_to_be(ask):
    assert ask("riskAbove(radiusLaw(x, 'real'), 1 / gainOfPaper(x), 64)", [164]) == [None]
    assert log_hazard(164, "real", 1 / rmt.rescaled_gain(164, rule="paper")) < math.log(1e-12)
    assert ask("riskAbove(radiusLaw(x, 'real'), 0.1, 1)", [256]) == [1]
    assert ask("safetyAbove(radiusLaw(256, 'real'), x, 3)", [0.1, 9.0]) == [0, 1]


def test_a_risk_close_to_one_keeps_the_digits_of_its_complement(ask):
    cases = [(n, layers) for n in (64, 256, 4096) for layers in (1, 8, 64)]
    found = ask("safetyAbove(radiusLaw(x[0], 'complex'), 1, x[1])", cases)
    for (n, layers), safe in zip(cases, found, strict=True):
        assert safe == pytest.approx(math.exp(layers * rmt.SpectralRadiusLaw(n, "complex").logcdf(1.0)), rel=1e-4)


@pytest.mark.parametrize("field", FIELDS)
def test_growth_is_the_exact_mean(ask, field):
    cases = [(n, scale) for n in (4, 5, 64, 1000, 65_536) for scale in (1.0, 0.93)]
    steps = [1, 2, 3, 10, 64, 65, 1000, 31_623, 100_000]
    expression = (
        f"((growth) => {steps}.map((t) => growth[t - 1]))(logGrowth(logPowerNorms(x[0], '{field}', 100000), x[1]))"
    )
    for (n, scale), found in zip(cases, ask(expression, cases), strict=True):
        expected = rmt.log_mean_hidden_norm(steps, n, field, scale)
        assert found == pytest.approx(expected, rel=1e-10, abs=1e-10)


def test_the_steps_of_explosion_and_of_overflow(ask):
    cases = [(n, field, scale) for n in (4, 100, 4096) for field in FIELDS for scale in (1.0, 0.97, 0.2)]
    found = ask(
        "((growth) => [explosionStep(growth), overflowStep(growth)])"
        "(logGrowth(logPowerNorms(x[0], x[1], 20000), x[2]))",
        cases,
    )
    t = np.arange(1, 20_001)
    largest = 2 * math.log(float(np.finfo(np.float32).max))
    for (n, field, scale), steps in zip(cases, found, strict=True):
        growth = rmt.log_mean_hidden_norm(t, n, field, scale)
        for step, beyond in zip(steps, (growth > np.log(2 * t), growth > largest), strict=True):
            assert step == (int(t[beyond][0]) if beyond.any() else None)
    assert any(step is None for steps in found for step in steps)


def test_medians_are_those_of_the_tables_and_of_fresh_samples(ask):
    stored = json.loads((tool["SOURCES"] / "medians.json").read_text())
    assert stored["widths"] == tables["MEDIAN_WIDTHS"]
    assert stored["steps"] == [tables["median_steps"](n) for n in stored["widths"]]
    assert stored["real"]["mean"][1] == pytest.approx(tables["median_row"](8, "real", "mean"), abs=2e-4)
    cases = [(n, field, rule, int(a * n**0.5))
             for n, a in ((11, 3.0), (90, 7.0))
             for field in FIELDS for rule in ("glorot", "mean")]  # fmt: skip
    for (n, field, rule, t), log_median in zip(cases, ask("logMedian(...x)", cases), strict=True):
        ensemble = rmt.glorot(n, field) if rule == "glorot" else rmt.rescaled_glorot(n, field)
        sample = np.sort(rmt.sample_hidden_norms(ensemble, t, 900, log=True, rng=1)[:, -1])
        # The median of 900 lies between these order statistics but for z = 4.
        low, high = sample[[450 - 60, 450 + 60]]
        assert low - tool["MEDIAN_ERROR"] < log_median < high + tool["MEDIAN_ERROR"]
    assert ask("logMedian(x[0], 'real', 'mean', x[1])", [(2049, 5), (64, 65), (4, 17)]) == [None] * 3
    assert None not in ask("logMedian(x[0], 'real', 'mean', x[1])", [(2048, 362), (64, 64), (4, 16), (4, 1), (7, 1)])


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
    # A window is at least 500 pixels wide; a frame in it may be as narrow as a phone.
    ending = (
        f"<script>addEventListener('load', () => parent.postMessage((() => {{ {LAYOUT} }})(), '*'));</script></body>"
    )
    inner = tmp_path / "inner.html"
    inner.write_text(page.read_text().replace("</body>", ending))
    outer = tmp_path / "outer.html"
    frame = '<iframe src="inner.html" style="width: 360px; height: 800px; border: 0"></iframe>'
    listen = "const heard = new Promise((done) => addEventListener('message', (event) => done(event.data)));"
    outer.write_text(f"<!doctype html><body><script>{listen}</script>{frame}</body>")
    check_layout(look(outer, "return await heard;", tmp_path), above=340, below=360)


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
