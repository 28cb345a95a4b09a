"""Gumbel fits: pivots, intervals and p-values against SciPy and against their own definition."""

import numpy as np
import oracles
import pytest
from scipy import stats

import rmt
from rmt import checks, fitting

METHODS = fitting.METHODS


def gumbel(n, seed, loc=0.0, scale=1.0):
    return np.random.default_rng(seed).gumbel(loc, scale, n)


@pytest.mark.parametrize("n", [2, 3, 10, 1000])
def test_maximum_likelihood_agrees_with_scipy(n):
    x = gumbel(n, 1, loc=3.0, scale=2.0)
    fit = rmt.fit_gumbel(x, rng=0)
    loc, scale = stats.gumbel_r.fit(x)
    assert fit.n_samples == n
    # No law of the family makes the data likelier, SciPy's included.
    likelihood = stats.gumbel_r.logpdf(x, fit.loc, fit.scale).sum()
    assert likelihood >= stats.gumbel_r.logpdf(x, loc, scale).sum() - 1e-9
    for factor in (1 - 1e-4, 1 + 1e-4):
        assert stats.gumbel_r.logpdf(x, fit.loc, fit.scale * factor).sum() < likelihood


def test_maximum_likelihood_solves_its_equation_for_hard_data():
    rng = np.random.default_rng(2)
    for _ in range(300):
        x = np.sort(rng.standard_cauchy(int(rng.integers(2, 30))) ** 3)
        y = (x - x[0]) / (x[-1] - x[0])
        _, scale = fitting._mle(y)
        weight = np.exp(-y / scale)
        assert abs(scale - y.mean() + np.average(y, weights=weight)) <= 1e-12


def test_moments_and_lmoments_are_those_of_the_fitted_law():
    x = gumbel(500, 3, loc=-1.0, scale=0.3)
    moments = rmt.fit_gumbel(x, "moments", rng=0)
    law = stats.gumbel_r(moments.loc, moments.scale)
    assert law.mean() == pytest.approx(x.mean(), rel=1e-12)
    assert law.std() == pytest.approx(x.std(ddof=1), rel=1e-12)
    lmoments = rmt.fit_gumbel(x, "lmoments", rng=0)
    assert lmoments.scale * np.log(2) == pytest.approx(stats.lmoment(x, 2), rel=1e-12)
    assert stats.gumbel_r(lmoments.loc, lmoments.scale).mean() == pytest.approx(x.mean(), rel=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_distances_are_those_of_scipy(method):
    x = gumbel(200, 4, loc=5.0, scale=0.1)
    fit = rmt.fit_gumbel(x, method, rng=0)
    law = stats.gumbel_r(fit.loc, fit.scale)
    assert fit.ks == pytest.approx(stats.kstest(x, law.cdf).statistic, rel=1e-10)
    z, rank = np.sort(x), np.arange(1, 201)
    ad = -200 - np.sum((2 * rank - 1) / 200 * (law.logcdf(z) + law.logsf(z[::-1])))
    assert fit.ad == pytest.approx(ad, rel=1e-9)


def test_pvalue_is_that_of_scipys_bootstrap():
    x = np.random.default_rng(10).normal(size=30)
    fit = rmt.fit_gumbel(x, rng=0)
    for statistic, value, pvalue in (("ks", fit.ks, fit.ks_pvalue), ("ad", fit.ad, fit.ad_pvalue)):
        known = stats.goodness_of_fit(stats.gumbel_r, x, statistic=statistic, n_mc_samples=999, rng=1)
        assert value == pytest.approx(known.statistic, rel=1e-4)
        assert 0.01 < known.pvalue < 0.99
        error = np.sqrt(2 * known.pvalue * (1 - known.pvalue) / 999)
        assert abs(pvalue - known.pvalue) < oracles.MAX_Z * error


@pytest.mark.parametrize("method", METHODS)
def test_recovers_the_parameters(method):
    fit = rmt.fit_gumbel(gumbel(20_000, 6, loc=3.0, scale=2.0), method, confidence=0.998, rng=0)
    assert fit.loc_ci[0] < 3.0 < fit.loc_ci[1]
    assert fit.scale_ci[0] < 2.0 < fit.scale_ci[1]
    assert fit.loc == pytest.approx(3.0, abs=0.1)
    assert fit.scale == pytest.approx(2.0, abs=0.1)
    assert np.diff(fit.loc_ci) < 0.12
    assert np.diff(fit.scale_ci) < 0.12


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [2, 50])
def test_equivariant(method, n):
    x = gumbel(n, 7)
    fit = rmt.fit_gumbel(x, method, rng=3)
    moved = rmt.fit_gumbel(1e6 + 1e-3 * x[::-1], method, rng=3)
    assert moved.loc == pytest.approx(1e6 + 1e-3 * fit.loc, rel=1e-14)
    assert moved.scale == pytest.approx(1e-3 * fit.scale, rel=1e-6)
    np.testing.assert_allclose(moved.scale_ci, 1e-3 * np.array(fit.scale_ci), rtol=1e-6)
    np.testing.assert_allclose(moved.loc_ci, 1e6 + 1e-3 * np.array(fit.loc_ci), rtol=1e-13)
    assert moved.ks == pytest.approx(fit.ks, rel=1e-6)
    assert moved.ks_pvalue == fit.ks_pvalue
    assert moved.ad_pvalue == fit.ad_pvalue


@pytest.mark.parametrize("method", METHODS)
def test_two_samples_cannot_reject(method):
    fit = rmt.fit_gumbel([1.3, 2.9], method, rng=0)
    assert fit.ks_pvalue == fit.ad_pvalue == 1.0


@pytest.mark.parametrize(
    ("method", "n", "repeats"),
    [
        ("mle", 20, 60),
        *(pytest.param(method, n, 300, marks=pytest.mark.heavy) for method in METHODS for n in (5, 100)),
    ],
)
def test_pvalues_are_uniform_and_intervals_cover_for_gumbel_data(method, n, repeats):
    fits = [rmt.fit_gumbel(gumbel(n, 1000 + i, 3.0, 2.0), method, confidence=0.9, rng=i) for i in range(repeats)]
    for name in ("ks_pvalue", "ad_pvalue"):
        # Spread over its cell of width 1/1000, an exact p-value is uniform.
        jitter = np.random.default_rng(0).random(repeats) / 1000
        oracles.check_law(np.array([getattr(fit, name) for fit in fits]) - jitter, stats.uniform.cdf)
    oracles.check_proportion(sum(fit.loc_ci[0] < 3.0 < fit.loc_ci[1] for fit in fits), repeats, 0.9)
    oracles.check_proportion(sum(fit.scale_ci[0] < 2.0 < fit.scale_ci[1] for fit in fits), repeats, 0.9)
    # Both tails are missed alike.
    oracles.check_proportion(sum(fit.loc_ci[0] > 3.0 for fit in fits), repeats, 0.05)
    oracles.check_proportion(sum(fit.scale_ci[0] > 2.0 for fit in fits), repeats, 0.05)


def test_rejects_what_is_no_gumbel_with_a_pvalue_above_zero():
    fit = rmt.fit_gumbel(np.random.default_rng(8).normal(size=2000), rng=0)
    assert fit.ad_pvalue == fit.ks_pvalue == 1 / 1000


def test_confidence_widens_the_interval_and_rng_decides():
    x = gumbel(100, 9)
    narrow, wide = (rmt.fit_gumbel(x, confidence=c, rng=1) for c in (0.5, 0.99))
    assert wide.loc_ci[0] < narrow.loc_ci[0] < narrow.loc < narrow.loc_ci[1] < wide.loc_ci[1]
    assert rmt.fit_gumbel(x, rng=1) == rmt.fit_gumbel(x, rng=1) != rmt.fit_gumbel(x, rng=2)


def test_threads_change_no_bit(monkeypatch):
    x = gumbel(100, 9)
    monkeypatch.setenv("RMT_NUM_THREADS", "1")
    alone = rmt.fit_gumbel(x, rng=1)
    monkeypatch.setenv("RMT_NUM_THREADS", "3")
    assert rmt.fit_gumbel(x, rng=1) == alone


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([], "at least 2 samples, got 0"),
        ([1.0], "at least 2 samples, got 1"),
        ([2.5] * 7, "must not be constant"),
        ([1.0, np.nan], "must be finite"),
        ([1.0, np.inf], "must be finite"),
        ([[1.0, 2.0]], "dimension"),
        (3.0, "dimension"),
        ([1j, 2.0], "must be real"),
        (["a", "b"], "numeric"),
    ],
)
def test_bad_data(x, message):
    with pytest.raises(checks.InputError, match=f"x.*{message}"):
        rmt.fit_gumbel(x)


@pytest.mark.parametrize("options", [{"method": "ols"}, {"confidence": 0.0}, {"confidence": 0.999}, {"rng": "seed"}])
def test_bad_options(options):
    with pytest.raises(checks.InputError, match=next(iter(options))):
        rmt.fit_gumbel([1.0, 2.0, 3.0], **options)


# Stated in mathematics as found by independent computation, to three digits.
@pytest.mark.parametrize(
    ("field", "n", "expected"),
    [
        ("real", 256, 0.506),
        ("real", 1024, 0.392),
        ("complex", 256, 0.333),
        ("complex", 1024, 0.269),
        ("complex", 4096, 0.228),
    ],
)
def test_gumbel_distance(field, n, expected):
    assert rmt.gumbel_distance(n, field) == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize(("field", "n"), [("real", 164), ("complex", 164), ("complex", 1e6)])
def test_gumbel_distance_is_the_supremum(field, n):
    exact, limit = rmt.SpectralRadiusLaw(n, field), rmt.GumbelLimit(n, field)
    r = np.linspace(min(exact.ppf(1e-6), limit.ppf(1e-6)), max(exact.isf(1e-6), limit.isf(1e-6)), 100_001)
    brute = np.max(np.abs(exact.cdf(r) - limit.cdf(r)))
    found = rmt.gumbel_distance(n, field)
    assert brute - 1e-8 <= found <= brute + 1e-6


def test_gumbel_distance_falls_slowly_to_the_largest_complex_size():
    far, near = rmt.gumbel_distance(1e6, "complex"), rmt.gumbel_distance(1e10, "complex")
    assert 0.05 < near < far < 0.2


@pytest.mark.heavy
def test_gumbel_distance_of_large_real_matrices():
    assert rmt.gumbel_distance(4096) == pytest.approx(0.325, abs=5e-4)
    assert 0.25 < rmt.gumbel_distance(16_384) < 0.3


@pytest.mark.parametrize("n", [1, 2, 163])
@pytest.mark.parametrize("field", ["real", "complex"])
def test_gumbel_distance_needs_a_limit(n, field):
    with pytest.raises(checks.InputError, match="exact"):
        rmt.gumbel_distance(n, field)


# Power of the Anderson-Darling test at the level 0.05, maximum likelihood: as the docs of fit_gumbel state it.
SAMPLES = (300, 1000, 2000)
POWER = {
    ("real", 64): (0.42, 0.92, 1.00),
    ("real", 256): (0.38, 0.87, 0.99),
    ("real", 1024): (0.34, 0.84, 0.99),
    ("complex", 64): (0.79, 1.00, 1.00),
    ("complex", 256): (0.70, 1.00, 1.00),
    ("complex", 1024): (0.60, 0.99, 1.00),
}


def power(field, n, n_samples, repeats, rng):
    """How often the law of a finite-n radius is told from a Gumbel: rejections, out of `repeats`."""
    null = fitting._null_fits(n_samples, "mle", 10 * repeats - 1, rng)[:, 3]
    radii = np.sort(rmt.SpectralRadiusLaw(n, field).rvs((repeats, n_samples), rng=rng), axis=1)
    ad = np.array([fitting._fit((x - x[0]) / (x[-1] - x[0]), "mle")[3] for x in radii])
    return int(np.sum(ad > np.quantile(null, 0.95, method="weibull")))


@pytest.mark.heavy
@pytest.mark.parametrize(("field", "n"), POWER)
def test_power_against_the_exact_law_is_as_documented(field, n):
    rng = np.random.default_rng(n)
    for n_samples, stated in zip(SAMPLES, POWER[field, n], strict=True):
        oracles.check_proportion(power(field, n, n_samples, 400, rng), 400, min(stated, 0.999))


def test_docs_state_the_power():
    for (field, n), values in POWER.items():
        line = " ".join([field, f"n = {n}", *(f"{value:.2f}" for value in values)])
        assert line in " ".join(rmt.fit_gumbel.__doc__.split())


def test_rejects_enough_radii_and_not_few():
    law = rmt.SpectralRadiusLaw(64)
    assert rmt.fit_gumbel(law.rvs(3000, rng=0), rng=0).ad_pvalue < 0.01
    few = [rmt.fit_gumbel(law.rvs(50, rng=i), rng=i).ad_pvalue > 0.05 for i in range(10)]
    assert sum(few) >= 5
