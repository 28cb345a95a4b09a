"""The exact second moments: published values, exact integers, high precision and dense Monte Carlo."""

import math
import time
import warnings
from functools import cache

import mpmath
import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

import rmt
from rmt.checks import InputError
from rmt.laws import moments

SIZES = [1, 2, 3, 4, 5, 7, 10, 30, 100, 400, 1000, 10**4, 10**6, 10**9, 10**12]
POWERS = np.array([*range(40), 64, 65, 100, 199, 300, 401])
FIELDS = ["real", "complex"]
FUNCTIONS = [rmt.mean_power_norm, rmt.log_mean_power_norm, rmt.mean_hidden_norm, rmt.log_mean_hidden_norm]


@cache
def trace_moment(a, b, c, n):
    """E[tr(G^a G^T^b) prod tr G^c_i] of a real Ginibre matrix, by integration by parts in the first factor."""
    a, b = max(a, b), min(a, b)
    if a == 0:
        return n * (trace_moment(c[-1], 0, c[:-1], n) if c else 1)
    within = sum(trace_moment(a - 2 - s, b + s, c, n) for s in range(a - 1))
    split = sum(trace_moment(a - 1, s, tuple(sorted((*c, b - 1 - s))), n) for s in range(b))
    joined = sum(m * trace_moment(a - 1, b + m - 1, c[:i] + c[i + 1 :], n) for i, m in enumerate(c))
    return within + split + joined


def falling(m, r):
    return mpmath.mpf(0) if 0 <= m < r else mpmath.ff(m, r)


def exact_real(k, n):
    """The closed form of E||W^k||_F^2 / n as it is published, term by term."""
    if k == 0:
        return mpmath.mpf(1)
    k, n = mpmath.mpf(k), mpmath.mpf(n)
    K = int(k)
    D, F, E = [mpmath.mpf(1)], [mpmath.mpf(1)], [mpmath.mpf(1)]
    for j in range(K):
        D.append(D[-1] * (n + 2 * j))
        F.append(F[-1] * (n - 1 - j))
        E.append(E[-1] * (n - 1 + 2 * j))
    H = mpmath.fsum(D[a] * F[K - a] for a in range(1, K))
    R = mpmath.fsum(D[a] * E[K - a] for a in range((K + 1) // 2, K))
    T = mpmath.fsum(falling(n + 2 * a - 2, K) for a in range(1, K // 2 + 1))
    total = (2 * k + 1) * (n + 2 * k + 2) * D[K] + 2 * (2 * k + 2 - n) * H + 2 * (2 * k + 2 * n - 1) * R
    total -= (2 * k**2 + 4 * k * n - k + 6 * n - 5) * T
    total += falling(n, K + 1) * (6 * k**2 + 17 * k + 13 - 3 * (2 * k + 3) * n) / (k + 2)
    bracket = (2 * (k - 1) * (2 * k + 3) + 3 * (2 * k + 3) * n) / (k + 2) + (2 * k + 1) * (K % 2 == 0)
    total += falling(n + k - 1, K + 1) * bracket
    return total / ((2 * k + 1) * (2 * k + 3)) / n ** (k + 1)


def exact_complex(k, n):
    n, K = mpmath.mpf(n), k + 1
    rising = mpmath.fprod(1 + j / n for j in range(1, K + 1))
    dropping = mpmath.fprod(1 - j / n for j in range(1, K + 1)) if n > K else 0
    return n / (K * (K + 1)) * (rising - dropping)


EXACT = {"real": exact_real, "complex": exact_complex}


@pytest.fixture(autouse=True)
def _precision():
    with mpmath.workdps(70):
        yield


@pytest.mark.parametrize("n", [1, 2, 3, 4, 9, 50])
def test_the_real_closed_form_is_the_integer_recursion(n):
    moments = [trace_moment(k, k, (), n) for k in range(12)]
    for k, moment in enumerate(moments):
        assert mpmath.almosteq(exact_real(k, n) * n ** (k + 1), moment, 1e-50)
        assert rmt.mean_power_norm(k, n) == pytest.approx(moment / n ** (k + 1), rel=4e-15)


@pytest.mark.heavy
def test_the_real_closed_form_is_the_integer_recursion_for_every_n():
    # A polynomial in n with integer coefficients >= 0, of sum (2k - 1)!!, the moment at n = 1: at a larger n that is a
    # power of two they can be read off as digits, so that equality there is equality for all n.
    n = 2**128
    for k in range(12, 22):
        assert math.prod(range(1, 2 * k, 2)) < n
        moment = trace_moment(k, k, (), n)
        with mpmath.workdps(60 * (k + 2)):
            assert abs(exact_real(k, n) * mpmath.mpf(n) ** (k + 1) - moment) < 1e-3
        trace_moment.cache_clear()


def test_published_polynomials_and_values():
    for n in range(1, 40):
        polynomials = [n, n**2, n**3 + 2 * n, n**4 + 10 * n**2 + 4 * n, n**5 + 28 * n**3 + 28 * n**2 + 48 * n]
        expected = [p / n ** (k + 1) for k, p in enumerate(polynomials)]
        np.testing.assert_allclose(rmt.mean_power_norm(range(5), n), expected, rtol=4e-15)
    np.testing.assert_allclose(
        rmt.mean_power_norm([2, 10, 32], 100), [1.0002, 1.07995768530044757, 120.429013429696303], rtol=1e-14
    )
    np.testing.assert_allclose(
        rmt.mean_power_norm([10, 32], 100, "complex"), [1.04990032713366965, 14.2032862577591314], rtol=1e-14
    )
    np.testing.assert_allclose(
        rmt.mean_hidden_norm([10, 64], 256), [10.0194704965590766, 22964.2576728723188], rtol=1e-14
    )
    assert rmt.mean_hidden_norm(64, 256, "complex") == pytest.approx(751.680525977597939, rel=1e-14)
    assert rmt.log_mean_power_norm(1e6, 1e12, "complex") == pytest.approx(0.04132493387632330, rel=2e-14)


def test_a_number_instead_of_a_matrix():
    k = np.arange(60)
    np.testing.assert_allclose(rmt.mean_power_norm(k, 1), np.cumprod([1.0, *range(1, 119, 2)]), rtol=1e-13)
    np.testing.assert_allclose(rmt.mean_power_norm(k, 1, "complex"), special.factorial(k), rtol=1e-13)
    assert rmt.mean_power_norm(3, 1, scale=2.0) == pytest.approx(15 * 2.0**6, rel=1e-15)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("n", SIZES)
def test_relative_accuracy_at_small_powers(field, n):
    exact = [EXACT[field](k, n) for k in POWERS.tolist()]
    finite = np.array([float(value) < 1e300 for value in exact])
    values = rmt.mean_power_norm(POWERS, n, field)
    np.testing.assert_allclose(values[finite], [float(value) for value in exact if value < 1e300], rtol=2e-14)
    logs = [float(mpmath.log(value)) for value in exact]
    np.testing.assert_allclose(rmt.log_mean_power_norm(POWERS, n, field), logs, rtol=2e-14, atol=2e-14)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(("n", "k"), [(4, 3000), (64, 2999), (1024, 700), (2990, 3000), (10**5, 3000), (10**9, 9999)])
def test_relative_accuracy_at_large_powers(field, n, k):
    exact = EXACT[field](k, n)
    assert rmt.log_mean_power_norm(k, n, field) == pytest.approx(float(mpmath.log(exact)), rel=1e-13, abs=1e-13)
    # At the scale that brings it back near 1, a rounded logarithm would lose its digits.
    scale = float(mpmath.exp(-mpmath.log(exact) / (2 * k)))
    assert rmt.mean_power_norm(k, n, field, scale) == pytest.approx(
        float(exact * mpmath.mpf(scale) ** (2 * k)), rel=1e-13
    )


@pytest.mark.parametrize("n", [300, 5000, 10**5, 10**7])
def test_the_complex_series_meets_the_products(n):
    # The two sides of k + 1 = n / 20, or of (k + 1)^2 = 700 n.
    switch = int(min(n / 20, math.sqrt(700 * n))) - 1
    for k in (switch - 1, switch, switch + 1):
        exact = float(mpmath.log(exact_complex(k, n)))
        assert rmt.log_mean_power_norm(k, n, "complex") == pytest.approx(exact, rel=1e-13)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("scale", [1.0, 0.9, 1.3])
@pytest.mark.parametrize("n", [1, 6, 256])
def test_hidden_norms_are_the_sums_of_power_norms(field, scale, n):
    powers = [EXACT[field](k, n) * mpmath.mpf(scale) ** (2 * k) for k in range(80)]
    sums = [mpmath.fsum(powers[:t]) for t in range(1, 81)]
    t = np.arange(1, 81)
    np.testing.assert_allclose(rmt.mean_hidden_norm(t, n, field, scale), [float(s) for s in sums], rtol=2e-14)
    logs = [float(mpmath.log(s)) for s in sums]
    np.testing.assert_allclose(rmt.log_mean_hidden_norm(t, n, field, scale), logs, rtol=2e-14, atol=2e-14)


@pytest.mark.parametrize("field", FIELDS)
def test_a_million_steps_lose_no_digits(field):
    n, t = 10**12, 10**6
    powers = rmt.mean_power_norm(np.arange(t), n, field)
    assert rmt.mean_hidden_norm(t, n, field) == pytest.approx(math.fsum(powers), rel=3e-16)


@pytest.mark.parametrize("field", FIELDS)
def test_the_joint_limit(field):
    n = 10**10
    a = np.array([0.5, 1.0, 2.0])
    k = (a * math.sqrt(n)).astype(int)
    np.testing.assert_allclose(rmt.mean_power_norm(k, n, field), 2 * np.sinh(a**2 / 2) / a**2, rtol=1e-3)
    limits = np.sqrt(np.pi / 2) * (special.erfi(a / np.sqrt(2)) + special.erf(a / np.sqrt(2)))
    limits -= 2 * np.sinh(a**2 / 2) / a
    np.testing.assert_allclose(rmt.mean_hidden_norm(k, n, field) / math.sqrt(n), limits, rtol=1e-3)


def test_the_rigorous_lower_bound_of_the_complex_hidden_norm():
    for n in (3, 64, 1024):
        t = np.arange(1, 400)
        bound = special.gammaln(n + t) - special.gammaln(n) - t * math.log(n) - np.log(t)
        assert np.all(rmt.log_mean_hidden_norm(t, n, "complex") >= bound - 1e-10)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(("n", "k"), [(2, 2), (3, 3), (8, 4), (30, 5)])
def test_dense_matrices(field, n, k):
    rng = np.random.default_rng(20 * n + k)
    G = rng.standard_normal((30_000 // n, n, n))
    if field == "complex":
        G = (G + 1j * rng.standard_normal(G.shape)) / math.sqrt(2)
    norms = (np.abs(np.linalg.matrix_power(0.8 * G / math.sqrt(n), k)) ** 2).sum((1, 2)) / n
    oracles.check_mean(norms, rmt.mean_power_norm(k, n, field, 0.8))


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("n", [1, 64, 10**12])
@pytest.mark.parametrize("scale", [5e-324, 1e-150, 1.0, 1.7e308])
def test_logarithms_are_finite_and_values_overflow_in_silence(field, n, scale):
    k = np.array([0, 1, 1000, 200_000])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logs = rmt.log_mean_power_norm(k, n, field, scale)
        values = rmt.mean_power_norm(k, n, field, scale)
        hidden = rmt.log_mean_hidden_norm(k + 1, n, field, scale)
    assert np.all(np.isfinite(logs))
    assert np.all(np.isfinite(hidden))
    np.testing.assert_allclose(logs, rmt.log_mean_power_norm(k, n, field) + 2 * k * math.log(scale), rtol=1e-13)
    assert np.array_equal(values == np.inf, logs > math.log(1.7976931348623157e308))
    assert np.array_equal(values == 0, logs < math.log(4e-324))
    assert np.all(hidden >= np.maximum.accumulate(logs) - 1e-9)


@pytest.mark.parametrize("n", [1, 64, 10**12])
def test_a_table_of_three_thousand_real_powers_is_quick(n):
    rmt.mean_power_norm(1, n)
    start = time.perf_counter()
    table = rmt.mean_power_norm(np.arange(3001), n)
    assert time.perf_counter() - start < 1
    assert table[3] == rmt.mean_power_norm(3, n)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    powers=st.lists(st.integers(1, 300), min_size=1, max_size=12),
    n=st.integers(1, 10**12),
    field=st.sampled_from(FIELDS),
    scale=st.floats(0.01, 10),
)
def test_arrays_keep_their_shape_and_agree_with_scalars(powers, n, field, scale):
    for function in FUNCTIONS:
        column = np.array(powers)[:, None]
        result = function(column, n, field, scale)
        assert result.shape == column.shape
        assert result.dtype == np.float64
        scalars = [function(k, n, field, scale) for k in powers]
        assert all(type(value) is float for value in scalars)
        assert np.array_equal(result[:, 0], scalars)
        assert np.array_equal(function(column.astype(float), n, field, scale), result)


def test_a_number_has_one_logarithm_however_it_is_scaled():
    forms = [(np.array(value), np.array(exponent)) for value, exponent in ((1 - 2**-52, 0), (0.5 - 2**-53, 1))]
    one, other = (moments._log(form) for form in forms)
    assert one == other == pytest.approx(-(2**-52), rel=1e-15)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_bad_input(function):
    name = "k" if function in FUNCTIONS[:2] else "t"
    for bad in (
        -1,
        2.5,
        True,
        None,
        "3",
        math.nan,
        math.inf,
        10**7 + 1,
        [1, 2.5],
        [1, -1],
        [True],
        [[1], [2, 3]],
        [1j],
    ):
        with pytest.raises(InputError, match=f"^{name} must be"):
            function(bad, 10)
    for n in (0, -3, 2.5, 10**12 + 1, True, math.nan):
        with pytest.raises(InputError, match=r"^n must be"):
            function(1, n)
    with pytest.raises(InputError, match="field must be"):
        function(1, 10, "quaternion")
    for scale in (0, -1.0, math.nan, math.inf, "1"):
        with pytest.raises(InputError, match="scale must be"):
            function(1, 10, "real", scale)
    assert function([], 10).shape == (0,)


def test_no_steps_are_no_hidden_state():
    assert rmt.mean_power_norm(0, 7, scale=3.0) == 1.0
    assert rmt.log_mean_power_norm(0, 7, "complex") == 0.0
    assert rmt.mean_hidden_norm(1, 7, "complex", 3.0) == 1.0
    with pytest.raises(InputError, match="t must be an integer from 1"):
        rmt.mean_hidden_norm(0, 7)
