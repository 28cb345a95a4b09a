"""Experiments on inputs, independent products, state spaces and layer norm.

The tables are held against exact laws: from small matrices here, and heavy, as the command writes them with --quick.
What an experiment computes by itself is held against another implementation.
"""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from experiment_files import EXPERIMENTS, Given, largest, load, quick, small
from oracles import MAX_Z, MIN_P, check_law, check_mean, check_proportion
from scipy import integrate, linalg, special, stats

import rmt
from rmt.cli import main

# inputs


def check_inputs(table, inputs):
    assert list(table.columns[:5]) == ["ensemble", "field", "n", "signal", "noise_sd"]
    assert len(table) == 2 * len(inputs.SIZES) * len(inputs.MULTIPLES) * len(inputs.SIGNALS)
    assert set(table.signal) == set(inputs.SIGNALS)
    for column in ("noise_mean_z", "cross_mean_z"):
        assert largest(table[column]) < MAX_Z
    assert table.signal_mean_z.isna().all()  # no exact mean for real W
    for line in table.itertuples():
        scale = 1 if line.ensemble == "Glorot" else rmt.rescaled_gain(line.n)
        exact = line.noise_sd**2 * rmt.mean_hidden_norm(line.t, line.n, "real", scale)
        assert line.noise_mean_exact == pytest.approx(exact, rel=1e-12)
        assert line.signal_to_noise == pytest.approx(line.signal_median / line.noise_median / 100, rel=1e-9)


@pytest.mark.heavy
def test_inputs_runs_and_agrees_with_the_exact_means(tmp_path):
    table = quick("inputs", tmp_path)["inputs"]
    check_inputs(table, load("inputs"))
    late = table[(table.n == 64) & (table.t == 128)].groupby("ensemble")
    assert late.noise_median.first()["Glorot"] > 1
    assert late.noise_median.first()["Rescaled Glorot"] < 0.2


def test_table_and_figure_of_inputs(tmp_path, monkeypatch):
    inputs = load("inputs")
    steps = {"STEPS": 60, "TIMES": np.arange(1, 61), "REPORTED": {16: [4, 6, 60]}}
    tables, figure = small(inputs, monkeypatch, tmp_path, 150, SIZES=(16,), **steps)
    check_inputs(tables["inputs"], inputs)
    assert [ax.get_title() for ax in figure.axes[:4]] == list(inputs.SIGNALS)
    t, mean = figure.axes[0].lines[3].get_data()
    np.testing.assert_allclose(10**mean, 0.01 * rmt.mean_hidden_norm(t, 16), rtol=1e-9)


@pytest.fixture
def small_inputs(monkeypatch):
    module = load("inputs")
    monkeypatch.setattr(module, "STEPS", 7)
    monkeypatch.setattr(module, "TIMES", np.arange(1, 8))
    return module


def test_the_mean_of_a_signal_part_does_not_depend_on_the_signal_for_complex_matrices(small_inputs):
    rng = np.random.default_rng(0)
    parts = np.exp([small_inputs.parts(rmt.glorot(9, "complex"), {"noise": 0.5}, rng) for _ in range(2000)])
    exact = rmt.mean_hidden_norm(np.arange(1, 8), 9, "complex")
    check_mean(parts[:, 0], 0.25 * exact)
    for i in range(1, 5):
        check_mean(parts[:, i], exact)
        check_mean(parts[:, i + 4], 1.25 * exact)


def test_even_powers_of_real_matrices_are_correlated(small_inputs):
    # E||s + W s + W^2 s||^2 / n = 1 + 1 + (1 + 2/n^2) + 2 E tr(W^2) / n for a constant signal.
    rng, n = np.random.default_rng(1), 5
    parts = np.exp([small_inputs.parts(rmt.glorot(n), {"noise": 1.0}, rng)[:, 2] for _ in range(3000)])
    check_mean(parts[:, small_inputs.SIGNALS.index("constant") + 1], 3 + 2 / n**2 + 2 / n)
    check_mean(parts[:, 0], 3 + 2 / n**2)


def test_parts_add_up(small_inputs):
    # The states of the three kinds of inputs, from the same numbers by a plain loop.
    logs = small_inputs.parts(Given(), {"noise": 0.3}, np.random.default_rng(2))
    rng = np.random.default_rng(2)
    W, noise = Given().matrix(None), 0.3 * rng.standard_normal((7, 6))
    driven = small_inputs.signals(7, 6, rng)
    states = np.zeros((3, 4, 6))
    for t in range(7):
        x = np.stack([np.broadcast_to(noise[t], (4, 6)), driven[:, t], driven[:, t] + noise[t]])
        states = states @ W.T + x
        np.testing.assert_allclose(states[0] + states[1], states[2], rtol=1e-10)
        norms = np.log(np.square(states).mean(axis=2))
        np.testing.assert_allclose(logs[:, t], [norms[0, 0], *norms[1], *norms[2]], rtol=1e-9)


def test_signals_are_what_they_are_called():
    inputs = load("inputs")
    constant, sinusoid, ar, pink = inputs.signals(200, 12_000, np.random.default_rng(3))
    for signal in (constant, sinusoid, ar, pink):
        check_mean(signal[[0, 57, 199]].T, 0)
        check_mean(np.square(signal[[0, 57, 199]]).T, 1)
    assert np.all(constant == constant[0])
    np.testing.assert_allclose(sinusoid[inputs.PERIOD :], sinusoid[: -inputs.PERIOD], atol=1e-9)
    check_mean((ar[100] * ar[103]), inputs.COEFFICIENT**3)
    check_mean(ar[0] * ar[1], inputs.COEFFICIENT)
    # A wave of frequency k/400 has k/2 periods here: even k are orthogonal over 200 steps, and odd ones leak.
    k = np.array([2, 8, 32])
    t = np.arange(200)[:, None]
    seen = 0.1 * (pink.T @ np.cos(np.pi * t * k / 200))
    weight = 1 / np.arange(1, 201) / np.sum(1 / np.arange(1, 201))
    waves = np.exp(1j * np.pi * t * np.arange(1, 201) / 200)
    expected = 0.01 * (np.abs(np.cos(np.pi * t * k / 200).T @ waves) ** 2) @ weight
    check_mean(np.square(seen), expected)


def test_inputs_refuses_noise_that_is_none(tmp_path, capsys):
    assert main(["run", str(EXPERIMENTS / "inputs.py"), "--out", str(tmp_path / "o"), "--noise", "0"]) == 2
    assert "noise must be a finite number > 0" in capsys.readouterr().err


# independent products


def check_products(table, module):
    assert len(table) == 3 * 2 * len(module.SIZES)
    for column in ("log_mean_z", "mean_z", "hidden_mean_z"):
        assert largest(table[column]) < MAX_Z
    assert table.ks_pvalue.min() > MIN_P
    fresh = table[table.matrices == "fresh matrices"]
    assert (fresh.mean_exact == 1).all()
    assert (fresh.hidden_mean_exact == fresh.k).all()
    assert (np.abs(fresh.exponent - fresh.exponent_exact) < MAX_Z * fresh.exponent_se).all()
    last = table[table.k == 4 * table.n]
    assert (last.exponent[last.matrices == "same matrix"] > 0).all()
    assert (last.exponent[last.matrices == "fresh matrices"] < 0).all()


@pytest.mark.heavy
def test_independent_products_runs_and_agrees_with_exact_laws(tmp_path):
    check_products(quick("independent_products", tmp_path)["independent_products"], load("independent_products"))


def test_table_and_figure_of_independent_products(tmp_path, monkeypatch):
    module = load("independent_products")
    sizes = {"SIZES": (9, 16, 25), "METHODS": {9: "dense", 16: "lazy", 25: "lazy"}}
    tables, figure = small(module, monkeypatch, tmp_path, 120, **sizes)
    check_products(tables["independent_products"], module)
    assert len(figure.axes) == 4
    panel = figure.axes[1]
    points = np.concatenate([container.lines[0].get_xdata() for container in panel.containers])
    assert points.max() < panel.get_xlim()[1] - 0.02  # no marker on the frame
    curves = [line for line in panel.lines if len(line.get_xdata()) > 5 and line.get_linestyle() != "None"]
    assert len({line.get_linestyle() for line in curves}) == len(curves) == len(module.SIZES)


@pytest.mark.parametrize(("field", "n"), [("real", 8), ("complex", 4)])
def test_law_of_the_log_norm_of_a_product(field, n):
    module = load("independent_products")
    law = module.LogNorm(n, field, 1)
    x = np.linspace(-2.5, 1.5, 40)
    np.testing.assert_allclose(law.cdf(x), stats.chi2.cdf(8 * np.exp(x), 8), atol=1e-7)
    np.testing.assert_allclose(law.pdf(x), stats.chi2.pdf(8 * np.exp(x), 8) * 8 * np.exp(x), atol=1e-6)
    sums = np.log(np.random.default_rng(0).chisquare(8, (12_000, 5)) / 8).sum(axis=1)
    five = module.LogNorm(n, field, 5)
    check_law(sums[:3000], five.cdf)
    check_mean(sums, five.mean)
    check_mean((sums - five.mean) ** 2, five.sd**2)
    np.testing.assert_allclose(five.cdf(five.quantiles([0.05, 0.3])), [0.05, 0.3], atol=1e-3)


def test_products_of_whole_matrices_follow_the_law():
    module = load("independent_products")
    W = rmt.IndependentProduct(6, "complex").draw(2 * 1500, rng=1).reshape(1500, 2, 6, 6)
    v = np.eye(6)[0]
    check_law(np.log(np.square(np.abs(W[:, 1] @ W[:, 0] @ v)).sum(axis=1)), module.LogNorm(6, "complex", 2).cdf)


def test_exponents():
    module = load("independent_products")
    exact = (special.digamma(8) - math.log(8)) / 2
    assert module.exponent("fresh", rmt.IndependentProduct(16)) == pytest.approx(exact, rel=1e-12)
    law = rmt.SpectralRadiusLaw(16)
    integral = integrate.quad(lambda r: law.pdf(r) * math.log(r), 0.3, 3, limit=200)[0]
    assert module.exponent("same", rmt.glorot(16)) == pytest.approx(integral, abs=2e-5)


# state spaces


def check_state_space(tables, module):
    unstable, scales = tables["unstable"], tables["safe_scales"]
    assert len(unstable) == 3 * len(module.SMALL)
    known = unstable.dropna(subset="p_exact")
    assert set(known.p_exact) == {0.5, 0.75}
    for line in known.itertuples():
        check_proportion(round(line.p_unstable * line.samples), line.samples, line.p_exact)
    assert (unstable.p_unstable[unstable.n == 16] == 1).all()
    assert len(scales) == len(module.SIZES) * (3 + len(module.CURVES))
    known = scales.dropna(subset="scale_exact")
    assert len(known) == 2 + len(module.SIZES)
    for line in known.itertuples():
        check_proportion(round(line.below_exact * line.samples), line.samples, line.alpha)
    assert (scales.scale_low <= scales.scale).all()
    assert (scales.scale <= scales.scale_high).all()


@pytest.mark.heavy
def test_state_space_runs_and_agrees_with_exact_scales(tmp_path):
    check_state_space(quick("state_space", tmp_path), load("state_space"))


def test_tables_and_figure_of_state_space(tmp_path, monkeypatch):
    module = load("state_space")
    tables, figure = small(module, monkeypatch, tmp_path, 150, SIZES=(1, 8), SMALL=(1, 2, 16))
    check_state_space(tables, module)
    assert len(figure.axes) == 3
    panel = figure.axes[0]
    for method, container in zip(module.METHODS, panel.containers, strict=True):
        rows = tables["unstable"][(tables["unstable"].method == method) & (tables["unstable"].p_unstable < 1)]
        ends = np.array([bar[:, 1] for bar in container.lines[2][0].get_segments()])
        wilson = [stats.binomtest(round(150 * p), 150).proportion_ci(method="wilson") for p in 1 - rows.p_unstable]
        np.testing.assert_allclose(ends, wilson, rtol=1e-9)
    # Only of bilinear and zoh does it not matter.
    labels = [text.get_text() for text in panel.get_legend().get_texts()]
    assert [label for label in labels if "any scale" in label] == ["bilinear, any scale, step", "zoh, any scale, step"]
    assert "scale" not in panel.get_title()


def test_growth_is_that_of_discretised_systems():
    module = load("state_space")
    logs = np.array(module.growth(Given(), {}, np.random.default_rng(3)))
    W, v = Given().matrix(None), np.random.default_rng(3).standard_normal(6)
    v /= np.linalg.norm(v)
    at = [0, 25, 45]
    for (method, length), curve in zip(module.CURVES, logs, strict=True):
        for c, found in zip(module.GRID[at], curve[at], strict=True):
            # scale * step * length = c, shared out in two different ways
            for step in (1 / length, 0.37 / length):
                system = rmt.StateSpace(Scaled(c / (step * length)), step, method=method)
                power = np.linalg.matrix_power(system.draw(rng=0), length)
                assert found == pytest.approx(math.log(np.linalg.norm(power @ v)), rel=1e-6, abs=1e-8)
    exact = [math.log(np.linalg.norm(linalg.expm(c * W) @ v)) for c in module.GRID[at]]
    np.testing.assert_allclose(logs[0][at], exact, rtol=1e-7)


@dataclass(frozen=True)
class Scaled(Given):
    """The given matrix, times a scale."""

    scale: float = 1.0

    def __init__(self, scale):
        object.__setattr__(self, "scale", scale)

    def matrix(self, rng):
        return self.scale * super().matrix(rng)


@pytest.mark.parametrize("step", [0.1, 0.8, 1.0])
def test_edges_are_where_stability_ends(step):
    module = load("state_space")
    abscissa, radius, critical = module.edges(Given(), {"step": step}, np.random.default_rng(0))
    eigenvalues = np.linalg.eigvals(Given().matrix(None))
    assert abscissa == pytest.approx(eigenvalues.real.max(), rel=1e-10)
    assert radius == pytest.approx(np.abs(eigenvalues).max(), rel=1e-10)

    def rho(scale, method):
        return rmt.spectral_radius(rmt.StateSpace(Scaled(scale), step, -1.0, method).draw(rng=0))

    for factor, stable in ((0.999, True), (1.001, False)):
        assert (rho(factor * critical, "euler") < 1) == stable
        for method in ("bilinear", "zoh"):
            assert (rho(factor / abscissa, method) < 1) == stable
    if step == 1:
        assert critical == pytest.approx(1 / radius, rel=1e-12)


def test_growth_of_wide_matrices_is_a_bessel_function():
    module = load("state_space")
    c = module.infinite_width()
    assert sum(c ** (2 * k) / math.factorial(k) ** 2 for k in range(40)) == pytest.approx(100, rel=1e-9)
    # Exactly, at finite n: E||e^{cW} v||^2 = sum c^{2k} / k!^2 E||W^k||^2 / n for complex W.
    rng, at = np.random.default_rng(4), 20
    squares = np.exp([2 * module.growth(rmt.glorot(12, "complex"), {}, rng)[0][at] for _ in range(600)])
    k = np.arange(60)
    terms = 2 * k * math.log(module.GRID[at]) - 2 * special.gammaln(k + 1) + rmt.log_mean_power_norm(k, 12, "complex")
    check_mean(squares, np.exp(terms).sum())


def test_safe_scales_are_quantiles():
    module, options = load("state_space"), {"field": "real", "alpha": 0.1}
    rng, size = np.random.default_rng(0), 200
    edges = rng.uniform(0.5, 1.5, (size, 3))
    edges[:40, 0] = -1  # stable at any scale
    slopes = rng.uniform(0.5, 1.5, size)
    logs = np.multiply.outer(slopes, np.multiply.outer(np.ones(len(module.CURVES)), module.GRID))
    data = {module.spectrum(16, options): edges, module.growths(16, options): logs}
    found = {line["rule"]: line for line in module.safe_scales(16, data, options)}
    twentieth = 19  # of 200, in order: at most a tenth of the samples lie below it
    assert found["bilinear, zoh: any step"]["scale"] == np.sort(1 / edges[40:, 0])[twentieth]
    assert found["euler, step 0.1"]["scale"] == np.sort(edges[:, 2])[twentieth]
    assert found["euler, step 1"]["scale"] == np.sort(1 / edges[:, 1])[twentieth]
    assert found["euler, step 1"]["scale_exact"] == rmt.rescaled_gain(16, alpha=0.1)
    crossing = np.sort(math.log(10) / slopes)[twentieth]
    for rule in ("zoh: any length", "bilinear, length 16"):
        assert found[rule]["scale"] == pytest.approx(crossing, rel=1e-3)
    below = [np.mean(edges[:, 2] < found["euler, step 0.1"][f"scale_{end}"]) for end in ("low", "high")]
    assert stats.binom.cdf(round(below[0] * size), size, 0.1) < 0.05
    assert stats.binom.cdf(round(below[1] * size), size, 0.1) > 0.95


def test_first_crossing():
    module = load("state_space")
    assert module.first_crossing(0.9 * module.GRID) == pytest.approx(math.log(10) / 0.9, rel=1e-3)
    assert module.first_crossing(-module.GRID) == math.inf
    there_and_back = np.where(module.GRID < 1, 3.0, 0.0)
    assert module.first_crossing(there_and_back) <= module.GRID[1]


# layer norm


def check_layer_norm(table, module):
    assert len(table) == len(module.SIZES) * 4 * 2
    for column in ("second_z", "first_gradient_z"):
        assert largest(table[column]) < MAX_Z
        assert table[column].notna().all()
    normed = table[table.layer_norm]
    assert normed.state_high.max() < 5
    assert np.abs(normed.state_median / normed.state_limit - 1).max() < 0.15
    assert (np.abs(normed.rate - normed.rate_expected) < 2 / normed.n + MAX_Z * normed.rate_se).all()
    assert table[~table.layer_norm & table.ensemble.str.endswith("Glorot")].state_high.max() > 20


@pytest.mark.heavy
def test_layer_norm_runs_and_agrees_with_exact_means(tmp_path):
    check_layer_norm(quick("layer_norm", tmp_path)["layer_norm"], load("layer_norm"))


def test_table_and_figure_of_layer_norm(tmp_path, monkeypatch):
    module = load("layer_norm")
    tables, figure = small(module, monkeypatch, tmp_path, 60, SIZES=(32,), STEPS=80)
    check_layer_norm(tables["layer_norm"], module)
    assert len(figure.axes) == 4
    assert "along a random $v$" in figure.axes[2].get_ylabel()
    assert list(tables["layer_norm_times"].matrix) == ["dense", "diagonal"]


@pytest.mark.parametrize("ensemble", [Given(), Given(5, "complex"), rmt.Diagonal(6, "glorot")])
def test_passage_is_the_recurrence_with_and_without_layer_norm(ensemble, monkeypatch):
    module = load("layer_norm")
    monkeypatch.setattr(module, "STEPS", 9)
    logs = module.passage(ensemble, {}, np.random.default_rng(7))
    rng = np.random.default_rng(7)
    diagonal = isinstance(ensemble, rmt.Diagonal)
    W = np.diag(ensemble.eigenvalues(rng)) if diagonal else ensemble.matrix(rng)
    v = module.gaussian(rng, ensemble.n, ensemble.dtype)
    v /= np.linalg.norm(v)
    x = module.gaussian(rng, (9, ensemble.n), ensemble.dtype)
    np.testing.assert_allclose(logs[0], rmt.hidden_norms(W, x, layer_norm=True, log=True), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(logs[2], rmt.hidden_norms(W, x, log=True), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(logs[3], rmt.power_norms(W, v, 9, log=True)[1:], rtol=1e-9, atol=1e-12)
    # The derivative by central differences of the states themselves.
    step, states = 1e-6, {}
    for sign in (1, -1):
        h = sign * step * v
        for t in range(9):
            a = W @ h + x[t]
            h = (a - a.mean()) / np.sqrt(np.mean(np.abs(a - a.mean()) ** 2) + 1e-5)
            states[sign, t] = h
    slopes = [np.linalg.norm(states[1, t] - states[-1, t]) / (2 * step) for t in range(9)]
    np.testing.assert_allclose(logs[1, :6], 2 * np.log(slopes[:6]), atol=1e-4)


def test_level_of_the_state_under_layer_norm():
    module = load("layer_norm")
    # The diagonal level solves mean of 1 / (sigma^2 - u) = 1, u uniform on [0, s^2].
    for ensemble in (rmt.Diagonal(64, "glorot"), rmt.Diagonal(64, "rescaled_glorot")):
        level, square = module.variance(ensemble), module.gain(ensemble) ** 2
        u = np.linspace(0, square, 20_001)
        assert integrate.trapezoid(1 / (level - u), u) / square == pytest.approx(1, rel=1e-6)
    assert module.variance(rmt.glorot(64)) == 2
    assert module.first_gradient(rmt.glorot(10), False) == 1


def test_timing_of_layer_norm_is_a_ratio():
    table = load("layer_norm").timing(repeats=2, batch=2, steps=3)
    assert list(table.columns) == ["matrix", "n", "batch", "us_with", "us_without", "ratio"]
    assert (table[["us_with", "us_without", "ratio"]] > 0).all().all()
