import math

import exact_radius
import mpmath as mp
import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

import rmt
from rmt.laws import density, radius_complex, radius_real

# P(rho > 1), mean and standard deviation to 12 digits: the design's values, from an independent implementation.
VALUES = {
    ("real", 1): (0.317310507863, 0.797884560803, 0.602810274989),
    ("real", 2): (0.394961961499, 0.932250591401, 0.437685968033),
    ("real", 5): (0.518228116986, 1.037189520338, 0.252831593575),
    ("real", 64): (0.883069054351, 1.056801573768, 0.051818740091),
    ("real", 256): (0.982817021087, 1.038194301325, 0.022331873714),
    ("real", 1024): (0.999624725069, 1.023533426143, 0.009774640909),
    ("complex", 1): (0.367879441171, 0.886226925453, 0.463251375176),
    ("complex", 2): (0.486394216280, 1.012750843236, 0.315175712142),
    ("complex", 5): (0.656916669036, 1.081955464005, 0.179187335614),
    ("complex", 64): (0.978446399545, 1.067868355480, 0.038423340667),
    ("complex", 256): (0.999528904980, 1.043976658568, 0.017168019149),
    ("complex", 1024): (0.999999773947, 1.026549646521, 0.007800818936),
}
SMALL = [1, 2, 3, 10, 64, 65]


@pytest.mark.parametrize(("field", "n"), VALUES)
def test_stated_values(field, n):
    law = rmt.SpectralRadiusLaw(n, field)
    assert (law.sf(1.0), law.mean(), law.std()) == pytest.approx(VALUES[field, n], abs=1e-12)


@pytest.mark.parametrize("probability", [1e-30, 0.02])
@pytest.mark.parametrize("n", [2, 3, *(pytest.param(n, marks=pytest.mark.heavy) for n in (4, 6, 7, 11))])
def test_real_law_against_many_digits(n, probability):
    law = rmt.SpectralRadiusLaw(n)
    r = law.ppf(probability)
    with mp.workdps(40):
        exact = exact_radius.cdf(n, mp.mpf(r) * mp.sqrt(n))
        assert abs(law.cdf(r) - exact) < 1e-12
        # The probability itself, not only its log.
        assert law.cdf(r) == pytest.approx(float(exact), rel=1e-8)


@pytest.mark.heavy
@pytest.mark.parametrize("probability", [1e-10, 1e-40])
@pytest.mark.parametrize("n", [2, 5])
def test_real_upper_tail_against_many_digits(n, probability):
    law = rmt.SpectralRadiusLaw(n)
    r = law.isf(probability)
    with mp.workdps(80):
        exact = 1 - exact_radius.cdf(n, mp.mpf(r) * mp.sqrt(n), digits=60)
        assert law.sf(r) == pytest.approx(float(exact), rel=1e-10)


def test_one_dimension_is_the_half_normal_law():
    law = rmt.SpectralRadiusLaw(1)
    r = np.array([1e-20, 1e-3, 0.5, 2.0, 8.0, 20.0])
    np.testing.assert_allclose(law.cdf(r), special.erf(r / math.sqrt(2)), rtol=1e-9, atol=0)
    np.testing.assert_allclose(law.sf(r), special.erfc(r / math.sqrt(2)), rtol=1e-10, atol=0)
    np.testing.assert_allclose(law.pdf(r), 2 * np.exp(-r * r / 2) / math.sqrt(2 * math.pi), rtol=1e-8, atol=0)


@pytest.mark.parametrize("n", [1, 3, 20, 200])
def test_complex_law_is_a_product_of_gamma_probabilities(n):
    law = rmt.SpectralRadiusLaw(n, "complex")
    for probability in (1e-30, 1e-6, 0.5, 0.99):
        r = law.ppf(probability)
        with mp.workdps(40):
            x = n * mp.mpf(r) ** 2
            exact = mp.fprod(mp.gammainc(k, 0, x, regularized=True) for k in range(1, n + 1))
            assert law.logcdf(r) == pytest.approx(float(mp.log(exact)), rel=1e-8)
            assert abs(law.cdf(r) - exact) < 1e-12
    for probability in (1e-5, 1e-50, 1e-100):
        r = law.isf(probability)
        with mp.workdps(150):
            x = n * mp.mpf(r) ** 2
            exact = 1 - mp.fprod(mp.gammainc(k, 0, x, regularized=True) for k in range(1, n + 1))
            assert law.sf(r) == pytest.approx(float(exact), rel=1e-10)
            assert law.logsf(r) == pytest.approx(float(mp.log(exact)), rel=1e-10)


@pytest.mark.parametrize(
    "n",
    [16, 17, 256, 257, pytest.param(1024, marks=pytest.mark.heavy), pytest.param(4096, marks=pytest.mark.heavy)],
)
def test_real_truncation_and_quadrature_do_not_matter(n, monkeypatch):
    """The law against the same determinant with the whole block, and half as many nodes again in both integrals."""
    law = rmt.SpectralRadiusLaw(n)
    r = law.ppf(np.array([1e-10, 0.01, 0.5, 0.99]))
    values = law.cdf(r)
    gauss = radius_real._leggauss
    monkeypatch.setattr(radius_real, "_leggauss", lambda count: gauss(count + count // 2))
    finer = np.polynomial.legendre.leggauss(36)
    monkeypatch.setattr(radius_real, "_GAUSS_NODES", finer[0])
    monkeypatch.setattr(radius_real, "_GAUSS_WEIGHTS", finer[1])
    radius_real._sine_table.cache_clear()
    m, root = n // 2, math.sqrt(n)
    whole = 0 if n < 1000 else max(0, m - 14 * int(root))
    block = radius_real._log_cdf_even if n % 2 == 0 else radius_real._log_cdf_odd
    try:
        exact = [math.exp(block(m, whole, root * x)) for x in r]
    finally:
        radius_real._sine_table.cache_clear()
    np.testing.assert_allclose(values, exact, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n", [16, 33, 64, 101])
def test_integrals_over_the_inside_and_the_outside_agree(n):
    for factor in (1.0, 1.05, 1.1):
        r = factor * math.sqrt(n)
        outside = radius_real._log_cdf_even(n // 2, 0, r) if n % 2 == 0 else radius_real._log_cdf_odd(n // 2, 0, r)
        assert radius_real._log_cdf_inside(n, r) == pytest.approx(outside, abs=1e-11)


@pytest.mark.parametrize(
    ("n", "r", "stated"), [(64, 1.6, 1.0575326029522712e-10), (64, 2.5, 4.3e-50), (1024, 1.5, 3.3e-100)]
)
def test_real_upper_tail_is_the_expected_number_outside(n, r, stated):
    law = rmt.SpectralRadiusLaw(n)
    assert law.sf(r) == pytest.approx(stated, rel=1e-11 if stated > 1e-20 else 0.02)
    # Far out at most one eigenvalue, or one pair, is outside: 1 - F is the expected number of those.
    assert law.sf(r) == pytest.approx(sum(density.expected_outside(r, n, "real")), rel=2e-9)
    assert law.logsf(r) == pytest.approx(math.log(law.sf(r)), rel=1e-14)
    assert law.isf(law.sf(r)) == pytest.approx(r, rel=1e-13)


@pytest.mark.parametrize("probability", [1e-8, 1e-18, 1e-60, 1e-100])
@pytest.mark.parametrize("n", [2, 7, 65, 1025])
def test_real_upper_tail_down_to_1e_100(n, probability):
    law = rmt.SpectralRadiusLaw(n)
    r = law.isf(probability)
    assert law.sf(r) == pytest.approx(probability, rel=1e-10)
    # relative O(1 - F) from the pairs, and the accuracy of the expected number itself
    expected = sum(density.expected_outside(r, n, "real"))
    assert law.sf(r) == pytest.approx(expected, rel=1e-10 + 3 * probability)


@pytest.mark.parametrize(
    ("n", "shifts", "rel"),
    [(20_000, (-0.6, 0.0, 1.2, 2.0), 1e-11), (2 * radius_complex.DIRECT_LIMIT, (-0.6, 0.0, 2.0, 5.0, 9.0), 1e-10)],
)
def test_quadrature_continues_the_direct_sum(n, shifts, rel):
    root = math.sqrt(n)
    for shift in shifts:
        excess = shift * (2 * root + shift)
        direct = np.sum(radius_complex._log_factors(n, -np.arange(60 * int(root)), excess))
        assert radius_complex._log_cdf_by_quadrature(n, excess) == pytest.approx(direct, rel=rel)


def test_the_largest_complex_matrices():
    laws = [rmt.SpectralRadiusLaw(n, "complex") for n in (10**8, 10**10, 10**12)]
    limits = [rmt.GumbelLimit(n, "complex") for n in (10**8, 10**10, 10**12)]
    differences = [abs(law.mean() - limit.mean()) / limit.std() for law, limit in zip(laws, limits, strict=True)]
    assert differences[0] > differences[1] > differences[2]
    q = np.array([1e-100, 1e-10, 0.3, 0.9])
    np.testing.assert_allclose(laws[2].sf(laws[2].isf(q)), q, rtol=2e-7)  # the rounding of r, times 2 sqrt(n) * 20
    assert laws[2].std() == pytest.approx(np.sqrt(_variance(laws[2])), rel=1e-6)


def _variance(law):
    """The variance by another route: Gauss-Legendre over the quantile function."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    t = 5 * nodes  # q = 1/(1 + e^-t) with t stretched over both tails
    t, weights = t * 8, weights * 40
    q = special.expit(t)
    r = np.where(t < 0, law.ppf(q), law.isf(special.expit(-t))) - law.mean()
    return np.sum(weights * q * (1 - q) * r * r)


@pytest.mark.parametrize("field", ["real", "complex"])
@pytest.mark.parametrize("n", [1, 2, 3, 10, 64, 65, 500])
def test_moments_agree_with_the_quantiles(n, field):
    law = rmt.SpectralRadiusLaw(n, field)
    assert law.std() == pytest.approx(math.sqrt(_variance(law)), rel=1e-9)
    assert law.var() == law.std() ** 2


def test_moments_of_the_smallest_complex_matrices_are_known():
    # rho^2 is exponential at n = 1, and the larger of two independent gammas at n = 2.
    law = rmt.SpectralRadiusLaw(1, "complex")
    assert law.mean() == pytest.approx(math.sqrt(math.pi) / 2, rel=1e-12)
    assert law.std() == pytest.approx(math.sqrt(1 - math.pi / 4), rel=1e-12)


@pytest.mark.parametrize("field", ["real", "complex"])
@pytest.mark.parametrize("n", [*SMALL, 1024, pytest.param(4097, marks=pytest.mark.heavy)])
def test_interpolant_against_direct_evaluation(n, field):
    law = rmt.SpectralRadiusLaw(n, field)
    q = np.array([1e-29, 1e-20, 1e-9, 1e-4, 0.013, 0.21, 0.5, 0.77, 0.993])
    for r in [*law.ppf(q), *law.isf(np.array([1e-4, 1e-9, 1e-16]))]:
        unscaled = r * math.sqrt(n)
        if field == "real":
            exact = radius_real.log_cdf(n, unscaled)
        else:
            exact = radius_complex.log_cdf(n, unscaled, (r - 1) * math.sqrt(n))
        assert abs(law.cdf(r) - math.exp(exact)) < 5e-13
        assert law.sf(r) == pytest.approx(-math.expm1(exact), rel=1e-10)
        assert law.logcdf(r) == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("field", ["real", "complex"])
@pytest.mark.parametrize("n", SMALL)
def test_methods_are_those_of_a_frozen_distribution(n, field):
    law = rmt.SpectralRadiusLaw(n, field, scale=0.7)
    q = np.linspace(0.001, 0.999, 500)
    r = law.ppf(q)
    np.testing.assert_allclose(law.cdf(r), q, rtol=0, atol=1e-12)
    np.testing.assert_allclose(law.ppf(law.cdf(r)), r, rtol=1e-9)
    np.testing.assert_allclose(law.isf(law.sf(r)), r, rtol=1e-9)
    np.testing.assert_allclose(law.cdf(r) + law.sf(r), 1, rtol=1e-14)
    np.testing.assert_allclose(np.exp(law.logcdf(r)), law.cdf(r), rtol=1e-13)
    np.testing.assert_allclose(np.exp(law.logsf(r)), law.sf(r), rtol=1e-13)
    h = 1e-5 * law.std()
    np.testing.assert_allclose(law.pdf(r), (law.cdf(r + h) - law.cdf(r - h)) / (2 * h), rtol=1e-5)
    assert law.median() == law.ppf(0.5)
    assert law.interval(0.9) == pytest.approx((law.ppf(0.05), law.ppf(0.95)))
    assert law.support() == (0, math.inf)
    unit = rmt.SpectralRadiusLaw(n, field)
    assert (law.mean(), law.std()) == pytest.approx((0.7 * unit.mean(), 0.7 * unit.std()), rel=1e-15)
    np.testing.assert_allclose(r, 0.7 * unit.ppf(q), rtol=1e-15)


def test_edges_and_shapes():
    law = rmt.SpectralRadiusLaw(64)
    assert law.cdf([-1.0, 0.0, 50.0, np.inf, -np.inf]).tolist() == [0, 0, 1, 1, 0]
    assert law.sf([-1.0, 0.0, 50.0]).tolist() == [1, 1, 0]
    assert law.logcdf(0.0) == -math.inf
    assert law.logsf(50.0) == -math.inf
    assert law.pdf([-1.0, 0.0, 50.0]).tolist() == [0, 0, 0]
    assert law.ppf([0, 1]).tolist() == [0, math.inf]
    assert law.isf([0, 1]).tolist() == [math.inf, 0]
    assert np.isnan(law.ppf([-0.1, 1.1, np.nan])).all()
    assert np.isnan([law.cdf(np.nan), law.sf(np.nan), law.pdf(np.nan)]).all()
    assert isinstance(law.cdf(1.0), float)
    assert law.cdf(np.ones((2, 3))).shape == (2, 3)
    assert law.ppf(np.full((0,), 0.5)).shape == (0,)
    assert law == rmt.SpectralRadiusLaw(64.0)
    with pytest.raises(rmt.checks.InputError, match="r must be a real number"):
        law.cdf("a")


@pytest.mark.parametrize("field", ["real", "complex"])
def test_quantiles_end_where_the_law_is_known(field):
    law = rmt.SpectralRadiusLaw(64, field)
    assert law.logcdf(law.ppf(1e-100)) == pytest.approx(math.log(1e-100), rel=1e-6)
    assert law.logsf(law.isf(1e-300)) == pytest.approx(math.log(1e-300), rel=1e-6)
    with pytest.raises(rmt.checks.InputError, match=r"q must be 0 or at least 1e-100,.* got 9e-101"):
        law.ppf([0.5, 0.0, np.nan, 9e-101, 1e-200])
    with pytest.raises(rmt.checks.InputError, match=r"q must be 0 or at least 1e-300,.* got 9e-301"):
        law.isf(9e-301)
    with pytest.raises(rmt.checks.InputError, match="alpha must be at least 1e-300 for each of 4 layers, got 2e-300"):
        rmt.rescaled_gain(64, field, alpha=2e-300, layers=4)
    assert rmt.rescaled_gain(64, field, alpha=8e-300, layers=4) < rmt.rescaled_gain(64, field, alpha=1e-299)


@pytest.mark.parametrize("field", ["real", "complex"])
def test_draws_follow_the_law(field):
    law = rmt.SpectralRadiusLaw(100, field)
    sample = law.rvs(20_000, rng=1)
    oracles.check_law(sample, law.cdf)
    oracles.check_mean(sample, law.mean())
    np.testing.assert_array_equal(law.rvs(10, rng=1), sample[:10])
    assert law.rvs((3, 2), rng=1).shape == (3, 2)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    st.sampled_from([1, 2, 5, 64, 65, 300]),
    st.sampled_from(["real", "complex"]),
    st.floats(0.1, 3),
    st.floats(0.1, 3),
    st.floats(0.01, 100),
)
def test_monotone_and_scale_invariant(n, field, first, second, scale):
    law, scaled = rmt.SpectralRadiusLaw(n, field), rmt.SpectralRadiusLaw(n, field, scale)
    low, high = sorted([first, second])
    assert 0 <= law.cdf(low) <= law.cdf(high) <= 1
    assert scaled.cdf(first * scale) == pytest.approx(law.cdf(first), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), r"n \(real field\) must be an integer from 1 to 65,536, got 0"),
        ((-3,), "n .* must be an integer"),
        ((2.5,), "n .* must be an integer .* got 2.5"),
        (("a",), "n .* must be an integer"),
        ((True,), "n .* must be an integer"),
        ((65_537,), "n .* from 1 to 65,536, got 65537"),
        ((10**12 + 1, "complex"), "n .* from 1 to 1,000,000,000,000"),
        ((5, "quaternion"), "field must be one of 'real', 'complex', got 'quaternion'"),
        ((5, "real", 0.0), "scale must be a finite number > 0"),
        ((5, "real", math.nan), "scale must be a finite number > 0, got nan"),
        ((5, "real", math.inf), "scale must be a finite number > 0, got inf"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(rmt.checks.InputError, match=message):
        rmt.SpectralRadiusLaw(*arguments)


def test_bad_size():
    with pytest.raises(rmt.checks.InputError, match="size must be an integer >= 1, got 0"):
        rmt.SpectralRadiusLaw(5).rvs(0)


@pytest.mark.heavy
def test_the_widest_real_law():
    law = rmt.SpectralRadiusLaw(65_536)
    limit = rmt.GumbelLimit(65_536)
    assert 0 < law.mean() - limit.mean() < 3 * limit.std()
    np.testing.assert_allclose(law.cdf(law.ppf([0.1, 0.9])), [0.1, 0.9], atol=1e-11)
