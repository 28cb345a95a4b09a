"""Experiments on convergence, universality, rescaling, threshold, growth bound and real eigenvalues.

The first test runs each as the command does, with --quick: heavy, but for the cheapest. The others draw small cells,
present them, and hold the tables against exact laws; what an experiment computes by itself is held against another
implementation.
"""

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from matplotlib import colors
from matplotlib.figure import Figure
from oracles import MAX_Z, MIN_P, check_law, check_mean
from presenting import EXPERIMENTS, STEMS, presented
from scipy import integrate, optimize, special, stats

import rmt
from rmt.cli import main

BLACK = "#000000"
# One whole run of seconds is among the quick tests.
CHEAP = "growth_bound"


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.heavy if n != CHEAP else ()) for n in STEMS])
def test_quick_run(name, tmp_path, capsys):
    path = EXPERIMENTS / f"{name}.py"
    assert main(["run", str(path), "--out", str(tmp_path), "--quick"]) == 0
    files = {file.name for file in tmp_path.iterdir()}
    wanted = {f"{stem}.{suffix}" for stem in STEMS[name] for suffix in ("csv", "md", "tex")}
    assert files >= wanted | {f"{name}.{suffix}" for suffix in ("pdf", "png", "svg")}
    assert "Warning" not in capsys.readouterr().err


@pytest.mark.parametrize("name", STEMS)
def test_says_claim_and_finding(name):
    text = (EXPERIMENTS / f"{name}.py").read_text(encoding="utf-8")
    docstring = text.split('"""')[1]
    assert "Claim" in docstring
    assert "Found." in docstring
    assert f"rmt run experiments/{name}.py --out" in docstring
    assert len(text.splitlines()) < 400


# gumbel_convergence


def test_gumbel_convergence(load, tmp_path):
    sizes = {"real": (256, 164), "complex": (10**12, 1000, 164)}
    module = load("gumbel_convergence", SIZES=sizes, EXPONENTS=np.array([12.0, 100.0]))
    exact = module.distance
    tables = presented(module, tmp_path, lambda cell: 1 if cell.statistic is exact else 300, {"n": 164})
    law = tables["gumbel_law"].set_index("field")
    for field in ("real", "complex"):
        line = law.loc[field]
        assert line.mean_exact == pytest.approx(rmt.SpectralRadiusLaw(164, field).mean(), rel=1e-9)
        assert abs(line.mean_mc - line.mean_exact) < MAX_Z * line.mean_mc_se
        assert line.ks_exact_pvalue > MIN_P
        assert line.ks_limit == pytest.approx(line.distance_limit, abs=0.1)
        assert line.distance_fit < 0.1 < line.distance_limit
        assert line.fit_scale_high < line.limit_scale
    distance = tables["gumbel_distance"].set_index(["field", "n"])
    assert distance.distance["real", 164] == pytest.approx(law.distance_limit["real"], rel=1e-6)
    assert distance.distance["real", 256] == pytest.approx(0.506, abs=5e-4)
    for n in (164, 1000, 10**12):
        assert distance.distance["complex", n] == pytest.approx(rmt.gumbel_distance(n, "complex"), rel=1e-5)
        assert distance.rate["complex", n] == pytest.approx(2 / math.e * math.log(math.log(n)) / math.log(n), rel=1e-12)
    assert distance.ratio.to_numpy() == pytest.approx((distance.distance / distance.rate).to_numpy(), rel=1e-12)


def test_the_scaling_limit_of_the_edge_continues_the_exact_distance(load):
    module = load("gumbel_convergence")
    for exponent in (8, 10, 12):
        exact = rmt.gumbel_distance(10**exponent, "complex")
        log_n = exponent * math.log(10)
        assert module.edge_distance(log_n) == pytest.approx(exact, rel=0.06 * log_n**2 / 10 ** (exponent / 2))
    # Far out, one value of the integral by adaptive quadrature, at the maximum that the other found.
    log_n = 30 * math.log(10)
    gamma = log_n - 2 * math.log(log_n) - math.log(2 * math.pi)

    def difference(x):
        start = math.sqrt(gamma) + x / math.sqrt(gamma)
        area, _ = integrate.quad(special.log_ndtr, start, start + 6, epsabs=0, epsrel=1e-10)
        return math.exp(1e15 * area) - math.exp(-math.exp(-x))

    assert max(abs(difference(x)) for x in np.linspace(-1, 2, 301)) == pytest.approx(
        module.edge_distance(log_n), rel=1e-4
    )


def test_no_limit_below_164(load):
    module = load("gumbel_convergence")
    with pytest.raises(rmt.checks.InputError, match="164"):
        module.cells({"n": 163, "largest": 1024})


# universality


def test_universality(load, tmp_path, monkeypatch):
    module, figures = load("universality", COUNTS={8: 0, 16: 0}, SHOWN=16), []
    monkeypatch.setattr(module.plotting, "save_figure", lambda fig, stem: figures.append(fig))
    table = presented(module, tmp_path, lambda cell: 300)["universality"].set_index(["entries", "n"])
    assert list(table.index) == [(name, n) for name in module.ENTRIES for n in (8, 16)]
    band = math.sqrt(math.log(40) / 600)
    for (name, n), line in table.iterrows():
        law = rmt.SpectralRadiusLaw(n)
        assert line.p_exact == pytest.approx(law.sf(1.0), rel=1e-9)
        assert line.p_shift == pytest.approx(line.p_mc - line.p_exact, abs=1e-12)
        assert line.p_shift_low < line.p_shift < line.p_shift_high
        assert line.mean_shift == pytest.approx((line.mean_mc - law.mean()) / law.std(), rel=1e-9)
        assert line.ks_low == pytest.approx(max(line.ks - band, 0), abs=1e-12)
        assert line.ks_pvalue <= line.ks_pvalue_adjusted
        if name == "normal":
            assert line.ks_pvalue > MIN_P
            assert abs(line.mean_shift) < MAX_Z / 1.96 * line.mean_shift_error
        if name == "Student t, df 3":
            assert line.ks_low > 0.15
            assert line.ks_pvalue < 1e-9
    # The heavy tail does not press the shifts of the others flat.
    panel = figures[0].axes[2]
    small = panel.transData.transform([(8, -0.05), (8, 0.05)])
    assert np.ptp(panel.transAxes.inverted().transform(small)[:, 1]) > 0.15
    heavier = table.xs(8, level="n").sd_mc
    assert heavier["Rademacher"] < heavier["normal"] < heavier["Student t, df 5"]


def test_entries_have_the_moments_they_are_named_for(load):
    module = load("universality")
    kurtosis = {"normal": 0, "truncated at 2": -0.6341, "uniform": -1.2, "Rademacher": -2, "Student t, df 5": 6}
    for name, (arguments, *_) in module.ENTRIES.items():
        entries = np.ravel(rmt.IID(400, **arguments).draw(rng=1)) * 20
        check_mean(entries, 0.0)
        if name in kurtosis and name != "Student t, df 5":
            check_mean(entries**2, 1.0)
            check_mean(entries**4, 3 + kurtosis[name])
    t5 = rmt.IID(400, **module.ENTRIES["Student t, df 5"][0]).draw(rng=2)
    check_law(np.ravel(t5) * 20 * math.sqrt(5 / 3), stats.t(5).cdf)


# rescaling


def test_rescaling(load, tmp_path):
    counts = {64: 600, 164: 600}
    module = load("rescaling", SIZES=(4,), DEEP_N=164, LAYERS=(1, 4), COUNTS=counts)
    tables = presented(module, tmp_path, lambda cell: 600)
    table = tables["rescaling"].set_index(["rule", "n"])
    assert set(table.index) == {(rule, n) for rule in module.RULES for n in (4, 64, 164)}
    for (rule, n), line in table.iterrows():
        if rule in ("paper", "gumbel") and n < 164:
            assert np.isnan([line.gain, line.p_exact, line.p_mc]).all()
            continue
        law = rmt.SpectralRadiusLaw(n, scale=line.gain)
        assert line.p_exact == pytest.approx(law.sf(1.0), rel=1e-6)
        assert line.mean_exact == pytest.approx(law.mean(), rel=1e-9)
        assert line.sd_exact == pytest.approx(law.std(), rel=1e-9)
        if n in counts:
            assert abs(line.p_mc - line.p_exact) < MAX_Z * line.p_mc_se
            assert abs(line.mean_mc - line.mean_exact) < MAX_Z * line.mean_mc_se
    assert (table.gain["none"] == 1).all()
    assert table.p_exact["alpha"].to_numpy() == pytest.approx(0.05, rel=1e-8)
    assert (table.mean_exact["exact"] + table.sd_exact["exact"]).to_numpy() == pytest.approx(1, rel=1e-9)
    assert table.gain["paper", 164] == pytest.approx(0.4506, abs=1e-4)
    layers = tables["rescaling_layers"].set_index(["rule", "layers"])
    for (rule, count), line in layers.iterrows():
        assert line.p_exact == pytest.approx(
            1 - rmt.SpectralRadiusLaw(164, scale=line.gain).cdf(1.0) ** count, rel=1e-6, abs=1e-12
        )
        assert abs(line.p_mc - line.p_exact) < MAX_Z * line.p_mc_se
        assert line.networks == 600 // count
        if rule == "alpha":
            assert line.p_exact == pytest.approx(0.05, rel=1e-6)


# threshold


def test_threshold(load, tmp_path):
    sizes = {16: (100, 300, 0), 64: (120, 300, 0)}
    module = load("threshold", SIZES=sizes, POWERS=(16, 64), RESCALED=(16, 64), REPLICAS=199)
    tables = presented(module, tmp_path, lambda cell: 300)
    table = tables["threshold"].set_index("n")
    for n, line in table.iterrows():
        assert line.t_median_low < line.t_median < line.t_median_high
        assert line.a_median == pytest.approx(line.t_median / math.sqrt(n), rel=1e-12)
        assert abs(line.mean_over_exact_at_sqrt_n - 1) < MAX_Z * line.mean_over_exact_se
        # The step before and after the crossing of the exact mean.
        t = math.floor(line.a_exact_mean * math.sqrt(n))
        assert rmt.mean_hidden_norm(t, n) <= 2 * t
        assert rmt.mean_hidden_norm(t + 1, n) >= 2 * (t + 1)
        assert line.a_exact_mean < line.a_limit < line.a_median
    assert np.isnan(table.slope[16])
    assert table.slope[64] == pytest.approx(math.log(table.t_median[64] / table.t_median[16]) / math.log(4), rel=1e-12)
    assert table.slope_low[64] < table.slope[64] < table.slope_high[64]
    short = tables["threshold_rescaled"].set_index("n")
    for n, line in short.iterrows():
        gain = rmt.rescaled_gain(n)
        root = math.isqrt(n)
        assert line.gain == gain
        expected = rmt.mean_hidden_norm(root, n, scale=gain) / rmt.mean_hidden_norm(root, n)
        assert line.mean_ratio_at_sqrt_n == pytest.approx(expected, rel=1e-9)
        assert line.weight_of_lag_sqrt_n == pytest.approx(rmt.mean_power_norm(root, n, scale=gain), rel=1e-9)
        assert line.t_told_apart_low <= line.t_told_apart <= line.t_told_apart_high


def test_threshold_is_where_the_median_crosses(load, monkeypatch):
    module = load("threshold", REPLICAS=300)
    logs = rmt.sample_hidden_norms(rmt.glorot(64), 60, 200, log=True, rng=3)
    found, replicas = module.threshold_replicas(logs, 64)
    t = np.arange(1, 61)
    above = np.median(logs, axis=0) >= np.log(2 * t)
    assert t[np.argmax(above)] - 1 <= found <= t[np.argmax(above)]
    # The bootstrap has the spread of fresh samples.
    fresh = rmt.sample_hidden_norms(rmt.glorot(64), 60, 30 * 200, log=True, rng=4).reshape(30, 200, 60)
    monkeypatch.setattr(module, "REPLICAS", 1)
    spread = np.std([module.threshold_replicas(logs, 64)[0] for logs in fresh], ddof=1)
    assert 0.6 < replicas.std() / spread < 1.7


def test_colours_that_are_sizes_stand_for_nothing_else(load):
    module = load("threshold")
    table = pd.DataFrame({"n": [64, 256], "a_exact_mean": [2.5, 2.6], "slope": [math.nan, 0.3]})
    for column in ("a_median", "a_median_low", "a_median_high", "slope_low", "slope_high"):
        table[column] = table.slope if "slope" in column else 5.0
    axes = Figure().subplots(2)
    module.thresholds(*axes, table)
    used = {colors.to_hex(line.get_color()) for ax in axes for line in ax.lines}
    assert len(used) > 1
    assert not used & {colour.lower() for colour in rmt.plotting.colours(module.SIZES).values() if colour != BLACK}
    module = load("growth_bound")
    used = {colour for _, colour, *_ in module.BOUNDS.values()}
    assert not used & {colour for colour in rmt.plotting.colours(module.SIZES).values() if colour != BLACK}


def test_first_passage(load):
    first = load("threshold").first_passage
    t = np.arange(1, 5)
    height = np.array([[0.0, 1.0, 3.0, 2.0], [5.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 2.0, 2.0, 2.0]])
    assert first(t, height, 2.0).tolist() == [2.5, 1.0, math.inf, 2.0]


def test_joint_limits(load):
    module = load("threshold")
    for a in (0.3, 1.0, 2.9):
        integral, _ = integrate.quad(lambda x: 2 * math.sinh(x * x / 2) / x**2, 1e-3, a)
        assert module.joint_limit(a) == pytest.approx(1e-3 + integral, rel=1e-9)
        assert module.power_limit(a) == pytest.approx(rmt.mean_power_norm(round(a * 1e6), 10**12, "complex"), rel=1e-6)
    assert module.joint_limit(1.0) == pytest.approx(1.00839144281, rel=1e-10)
    assert module.joint_limit(2.0) == pytest.approx(2.29833539109, rel=1e-10)
    assert optimize.brentq(lambda a: module.joint_limit(a) / a - 2, 2, 4) == pytest.approx(module.ROOT, rel=1e-9)
    assert round(module.ROOT, 4) == 2.9089


def test_separation_counts_pairs(load):
    rng = np.random.default_rng(5)
    first, second = rng.normal([0, 0.5, 3], 1, (60, 3)), rng.standard_normal((80, 3))
    p, error = load("threshold").separation(first, second)
    assert p == pytest.approx(np.mean(first[:, None] > second, axis=(0, 1)), abs=1e-12)
    fresh = [np.mean(rng.standard_normal(60)[:, None] + 0.5 > rng.standard_normal(80)) for _ in range(400)]
    assert error[1] == pytest.approx(np.std(fresh, ddof=1), rel=0.25)


# growth_bound


def mean_by_fractions(t, n):
    """Return E||h_t||^2 / n of a complex matrix, exactly: the sum over k < t of E||W^k||_F^2 / n."""
    total = Fraction(1)
    for k in range(1, t):
        up = down = Fraction(1)
        for j in range(1, k + 2):
            up, down = up * (n + j) / n, down * max(n - j, 0) / n
        total += Fraction(n, (k + 1) * (k + 2)) * (up - down)
    return total


def test_growth_bound(load, tmp_path):
    module = load("growth_bound", SIZES=(16, 64), COUNTS={16: 0, 64: 0}, SHOWN=64)
    table = presented(module, tmp_path, lambda cell: 200)["growth_bound"].set_index(["field", "n"])
    assert len(table) == 4
    for line in table.itertuples():
        assert line.rigorous_from == 1
        assert line.rigorous_to == line.steps
        assert line.quoted_from == 2
        assert line.quoted_at_1 == pytest.approx(math.exp(1 / (2 * line.Index[1])), rel=1e-9)
        assert abs(line.mean_over_exact - 1) < MAX_Z * line.mean_over_exact_se
    # Where the quoted bound ends for complex matrices, by rational arithmetic.
    end = int(table.quoted_to["complex", 64])
    assert end == 38
    for t, holds in ((1, False), (2, True), (end, True), (end + 1, False)):
        assert (float(mean_by_fractions(t, 64)) >= math.exp(t * t / 128) / t) is holds
    start, end = (int(table.loc["complex", 64][f"sharp_{side}"]) for side in ("from", "to"))
    for t, holds in ((start - 1, False), (start, True), (end, True), (end + 1, False)):
        assert (float(mean_by_fractions(t, 64)) >= 64**2 / t**3 * math.exp(t * t / 128)) is holds
    logs = rmt.sample_hidden_norms(rmt.glorot(64, "complex"), 64, 2000, log=True, rng=8)
    margin = np.median(logs, axis=0) - module.quoted(np.arange(1.0, 65), 64)
    assert np.all(margin[1:24] > 0)
    assert margin[40] < 0
    assert 24 <= table.median_quoted_to["complex", 64] <= 40


def test_the_bounds_are_what_they_are_called(load):
    module = load("growth_bound")
    t = np.arange(1.0, 60)
    product = [math.prod(1 + j / 50 for j in range(1, int(x))) / x for x in t]
    np.testing.assert_allclose(np.exp(module.rigorous(t, 50)), product, rtol=1e-12)
    np.testing.assert_allclose(np.exp(module.quoted(t, 50)), np.exp(t**2 / 100) / t, rtol=1e-12)
    np.testing.assert_allclose(np.exp(module.sharp(t, 50)), 2500 / t**3 * np.exp(t**2 / 100), rtol=1e-12)
    integral = [integrate.quad(lambda x: 2 * math.sinh(x * x / 2) / x**2, 1e-9, x / math.sqrt(50))[0] for x in t]
    np.testing.assert_allclose(np.exp(module.joint_limit(t, 50)), math.sqrt(50) * np.array(integral), rtol=1e-6)
    # The inequality of step 3, and that it is sharp.
    alpha = np.linspace(0.05, 12, 200)
    lower = 2 * (np.cosh(alpha**2 / 2) - 1) / alpha**3
    value = np.exp(module.joint_limit(alpha, 1.0))
    assert np.all(lower <= value)
    assert lower[-1] / value[-1] > 0.97


def test_stretch(load):
    stretch = load("growth_bound").stretch
    t = np.arange(1, 8)
    assert stretch(t, np.array([1, 0, 1, 1, 1, 0, 1], bool)) == (3, 5)
    assert stretch(t, np.ones(7, bool)) == (1, 7)
    assert np.isnan(stretch(t, np.zeros(7, bool))).all()
