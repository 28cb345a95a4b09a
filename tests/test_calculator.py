"""The calculator: what its own JavaScript computes, in a real browser, against the library."""

import json
import math
import runpy
from pathlib import Path

import numpy as np
import pytest

import rmt
from rmt.laws import radius_complex, radius_real

ROOT = Path(__file__).parents[1]
tool = runpy.run_path(str(ROOT / "tools" / "calculator.py"))
tables = runpy.run_path(str(ROOT / "tools" / "calculator_tables.py"))
WIDTHS = [4, 17, 33, 150, 777]
FIELDS = ("real", "complex")
RISKS = [(1e-9, 64), (1e-6, 1), (0.01, 1), (0.01, 64), (0.3, 7), (0.999, 1), (0.999, 64)]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return tool["write"](tmp_path_factory.mktemp("calculator") / "calculator.html")


@pytest.fixture
def ask(page, window):
    """Evaluate an expression of the page's functions for each of some arguments."""
    window.open(page.as_uri())
    return lambda expression, arguments: window.evaluate(f"{json.dumps(arguments)}.map((x) => {expression})")


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


def tabulated_median(stored, n, field, rule, t):
    """log of the median of ||h_t||^2 / n: linear in log t at t / sqrt(n) of two widths, then linear in log n."""
    rows = zip(stored["widths"], stored["steps"], stored[field][rule], strict=True)
    at = [np.interp(math.log(t * math.sqrt(width / n)), np.log(steps), row) for width, steps, row in rows]
    return math.log(t) + np.interp(math.log(n), np.log(stored["widths"]), at)


def test_medians_are_read_from_the_tables(ask):
    stored = json.loads((tool["SOURCES"] / "medians.json").read_text())
    cases = [(n, field, rule, t) for n, t in ((4, 3), (23, 31), (64, 1), (90, 75), (700, 150), (2048, 360))
             for field in FIELDS for rule in ("glorot", "mean")]  # fmt: skip
    expected = [tabulated_median(stored, *case) for case in cases]
    assert ask("logMedian(...x)", cases) == pytest.approx(expected, abs=1e-9)


def test_medians_are_those_of_fresh_samples(ask):
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
