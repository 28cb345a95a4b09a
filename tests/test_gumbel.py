import math

import numpy as np
import pytest
from scipy import stats

import rmt
from rmt.laws.gumbel import SMALLEST_N

PAPER = {192: 0.81744940, 256: 0.88799803, 1024: 0.95825676, 4096: 0.97904651}
EXACT = {192: 0.93596108, 256: 0.94292816, 1024: 0.96776560, 4096: 0.98215250}


def test_gamma_n():
    assert rmt.gamma_n(163) == pytest.approx(-0.00016, abs=5e-6)
    assert rmt.gamma_n(164) == pytest.approx(0.0036, abs=5e-5)
    values = rmt.gamma_n(np.array([[2, 163], [164, 10**9]]))
    assert values.shape == (2, 2)
    assert (values[0] <= 0).all()
    assert (values[1] > 0).all()
    assert all(rmt.gamma_n(n) <= 0 for n in range(2, SMALLEST_N))


@pytest.mark.parametrize("n", PAPER)
def test_stated_gains(n):
    assert rmt.rescaled_gain(n, rule="paper") == pytest.approx(PAPER[n], abs=5e-9)
    assert rmt.rescaled_gain(n, "complex", rule="gumbel") == pytest.approx(PAPER[n], abs=5e-9)
    assert rmt.rescaled_gain(n) == pytest.approx(EXACT[n], abs=5e-9)


@pytest.mark.parametrize(("field", "shift"), [("complex", 0.0), ("real", math.log(2))])
def test_limit_is_the_gumbel_law_of_the_theorems(field, shift):
    n, scale = 1000, 0.8
    gamma = rmt.gamma_n(n)
    limit = rmt.GumbelLimit(n, field, scale)
    t = np.linspace(-2, 6, 20)
    r = scale * (1 + math.sqrt(gamma / (4 * n)) + t / math.sqrt(4 * n * gamma))
    np.testing.assert_allclose(limit.cdf(r), np.exp(-np.exp(-t - shift)), rtol=1e-12)
    peer = stats.gumbel_r(limit.gumbel_loc, limit.gumbel_scale)
    for method in ("cdf", "sf", "pdf", "logcdf", "logsf"):
        np.testing.assert_allclose(getattr(limit, method)(r), getattr(peer, method)(r), rtol=1e-10)
    q = np.array([1e-10, 0.2, 0.9])
    np.testing.assert_allclose(limit.ppf(q), peer.ppf(q), rtol=1e-12)
    np.testing.assert_allclose(limit.isf(q), peer.isf(q), rtol=1e-12)
    assert (limit.mean(), limit.std()) == pytest.approx((peer.mean(), peer.std()), rel=1e-12)
    assert limit.support() == (-math.inf, math.inf)
    assert limit.median() == pytest.approx(peer.median())
    assert limit.interval(0.9) == pytest.approx(peer.interval(0.9))


@pytest.mark.parametrize("field", ["real", "complex"])
@pytest.mark.parametrize("n", [1, 10, 192, 1024])
def test_exact_rule_controls_what_it_says(n, field):
    for alpha, layers in [(0.3, 1), (0.01, 4), (1e-6, 12), (1e-40, 3)]:
        gain = rmt.rescaled_gain(n, field, alpha=alpha, layers=layers)
        one = rmt.SpectralRadiusLaw(n, field, gain).sf(1.0)
        assert -math.expm1(layers * math.log1p(-one)) == pytest.approx(alpha, rel=1e-9)
    law = rmt.SpectralRadiusLaw(n, field)
    assert rmt.rescaled_gain(n, field, n_std=2.5) == pytest.approx(1 / (law.mean() + 2.5 * law.std()), rel=1e-12)


@pytest.mark.parametrize("rule", ["exact", "gumbel", "paper"])
def test_gains_have_twelve_digits(rule):
    gain = rmt.rescaled_gain(1000, rule=rule)
    assert gain == float(f"{gain:.12g}")


def test_gumbel_rule_controls_the_limit_law():
    gain = rmt.rescaled_gain(1024, rule="gumbel", alpha=0.05, layers=3)
    assert rmt.GumbelLimit(1024, scale=gain).cdf(1.0) ** 3 == pytest.approx(0.95, rel=1e-9)
    assert rmt.rescaled_gain(1024, rule="gumbel") != rmt.rescaled_gain(1024, rule="paper")  # the real shift


@pytest.mark.parametrize(("n", "real", "complex_"), [(1024, 0.146, 0.154), (192, 0.147, 0.155), (4096, 0.1455, 0.1531)])
def test_one_standard_deviation_is_not_safe(n, real, complex_):
    """Mathematics 8: one layer so rescaled is still unstable with probability 0.146 or so, four layers with 0.47."""
    for field, stated in [("real", real), ("complex", complex_)]:
        one = rmt.SpectralRadiusLaw(n, field, rmt.rescaled_gain(n, field)).sf(1.0)
        assert one == pytest.approx(stated, abs=6e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rmt.gamma_n(1), "n must be an integer >= 2, got 1"),
        (lambda: rmt.gamma_n([10, 0]), "n must be an integer >= 2, got"),
        (lambda: rmt.GumbelLimit(163), "n must be >= 164 for the Gumbel limit.* got n = 163.*exact"),
        (lambda: rmt.GumbelLimit(1), "n must be >= 164"),
        (lambda: rmt.GumbelLimit(200, "x"), "field must be"),
        (lambda: rmt.GumbelLimit(200, scale=-1), "scale must be"),
        (lambda: rmt.rescaled_gain(0), "n must be an integer >= 1, got 0"),
        (lambda: rmt.rescaled_gain(10.5), "n must be an integer >= 1, got 10.5"),
        (lambda: rmt.rescaled_gain(64, rule="paper"), "n must be >= 164 for rule='paper'.*rule='exact'"),
        (lambda: rmt.rescaled_gain(64, rule="gumbel"), "n must be >= 164 for rule='gumbel'.*rule='exact'"),
        (lambda: rmt.rescaled_gain(64, rule="none"), "rule must be one of"),
        (lambda: rmt.rescaled_gain(256, rule="paper", alpha=0.1), "alpha must be None with rule='paper'"),
        (lambda: rmt.rescaled_gain(64, alpha=0), "alpha must be a finite number > 0 and < 1, got 0"),
        (lambda: rmt.rescaled_gain(64, alpha=1.0), "alpha must be"),
        (lambda: rmt.rescaled_gain(64, alpha=math.nan), "alpha must be"),
        (lambda: rmt.rescaled_gain(64, alpha=0.1, layers=0), "layers must be an integer >= 1, got 0"),
        (lambda: rmt.rescaled_gain(64, layers=4), "layers must be 1 without alpha"),
        (lambda: rmt.rescaled_gain(64, n_std=math.inf), "n_std must be a finite number"),
        (lambda: rmt.rescaled_gain(64, n_std=-1e4), "n_std must leave"),
        (lambda: rmt.rescaled_gain(70_000), "n must be <= 65,536 .* got 70000; rule=.gumbel. goes on"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(rmt.checks.InputError, match=message):
        call()
