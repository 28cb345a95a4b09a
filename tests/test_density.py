"""The mean density of moduli: against high precision, its own integrals and dense Monte Carlo."""

import math

import mpmath
import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

import rmt
from rmt.checks import InputError
from rmt.laws.density import expected_outside

FIELDS = ["real", "complex"]
# Distances from the circle, in units of 1/sqrt(n).
OFFSETS = [-4, -2, -1, -0.1, 0, 0.2, 0.5, 1, 2, 3, 5, 8, 12, 15, 20]


@pytest.fixture(autouse=True)
def _precision():
    with mpmath.workdps(40):
        yield


def upper(a, x):
    return mpmath.gammainc(a, x, regularized=True)


def real_eigenvalues(rho, n):
    """Edelman, Kostlan & Shub: real eigenvalues of G per unit of |x|."""
    if n == 1:
        return mpmath.sqrt(2 / mpmath.pi) * mpmath.exp(-(rho**2) / 2)
    n = mpmath.mpf(n)
    outer = rho ** (n - 1) * mpmath.exp(-(rho**2) / 2) / (mpmath.gamma(n / 2) * 2 ** (n / 2 - 1))
    lower = mpmath.gammainc((n - 1) / 2, 0, rho**2 / 2, regularized=True)
    return mpmath.sqrt(2 / mpmath.pi) * upper(n - 1, rho**2) + outer * lower


def complex_eigenvalues(rho, n):
    """Edelman: non-real eigenvalues of G per unit of the modulus, the integral over the angle done by quadrature."""
    if n == 1:
        return mpmath.mpf(0)

    def weight(angle):
        y = rho * mpmath.sin(angle)
        return 2 * y * mpmath.exp(2 * y**2) * mpmath.erfc(mpmath.sqrt(2) * y)

    return 2 * mpmath.sqrt(2 / mpmath.pi) * rho * mpmath.quad(weight, [0, 0.5, mpmath.pi / 2]) * upper(n - 1, rho**2)


def exact(r, n, field):
    rho = mpmath.sqrt(n) * mpmath.mpf(r)
    if field == "complex":
        return 2 * mpmath.mpf(r) * upper(n, rho**2)
    return (real_eigenvalues(rho, n) + complex_eigenvalues(rho, n)) / mpmath.sqrt(n)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 10, 64, 999, 1002])
def test_density_against_high_precision(field, n):
    r = [0.001, 0.1, 0.4, 0.7, *(1 + offset / math.sqrt(n) for offset in OFFSETS)]
    r = np.array([x for x in r if 0 < x < 39])
    values = rmt.modulus_density(r, n, field)
    expected = np.array([float(exact(x, n, field)) for x in r])
    shown = expected > 1e-250
    np.testing.assert_allclose(values[shown & (r < 1.5)], expected[shown & (r < 1.5)], rtol=2e-12)
    np.testing.assert_allclose(values[shown], expected[shown], rtol=1e-8)
    assert np.all(values[~shown] < 1.1e-250)


@pytest.mark.parametrize("n", [5000, 10**5])
def test_density_of_large_matrices_against_high_precision(n):
    r = 1 + np.array([-3, -0.5, 0, 0.5, 2, 6, 12]) / math.sqrt(n)
    expected = [float(exact(x, n, "complex")) for x in r]
    np.testing.assert_allclose(rmt.modulus_density(r, n, "complex"), expected, rtol=1e-11)
    # The angle's integral, in the closed form that the smaller sizes confirm.
    expected = []
    for x in r:
        rho = mpmath.sqrt(n) * mpmath.mpf(x)
        c = mpmath.sqrt(2) * rho
        erfcx = mpmath.exp(c**2) * mpmath.erfc(c)
        others = 2 * rho * (1 - erfcx) * upper(n - 1, rho**2)
        expected.append(float((real_eigenvalues(rho, n) + others) / mpmath.sqrt(n)))
    np.testing.assert_allclose(rmt.modulus_density(r, n), expected, rtol=1e-11)


@pytest.mark.parametrize("scale", [1.0, 0.75])
def test_the_edge_of_a_huge_matrix_in_all_digits(scale):
    n = 10**12
    for y in (0.5, 2.0, 6.0, 15.0):
        r = scale * (1 + y / math.sqrt(n))
        x = n * (mpmath.mpf(r) / scale) ** 2
        weight = mpmath.exp(n * mpmath.log(x) - x - mpmath.loggamma(n))
        steps = mpmath.linspace(0, 12 / mpmath.sqrt(n), 9)
        tail = mpmath.quad(lambda u, x=x: mpmath.exp((n - 1) * mpmath.log1p(u) - x * u), steps)
        expected = float(2 * mpmath.mpf(r) / scale**2 * weight * tail)
        assert rmt.modulus_density(r, n, "complex", scale) == pytest.approx(expected, rel=2e-12)


def test_the_edge_of_a_huge_matrix():
    # At n = 1e12 the edge profile is erfc, up to O(1/sqrt n), on the scale of 1/sqrt n.
    n, y = 10**12, np.linspace(-3, 5, 33)
    edge = [0.5 * math.erfc(math.sqrt(2) * v) * 2 for v in y]
    np.testing.assert_allclose(rmt.modulus_density(1 + y / math.sqrt(n), n, "complex"), edge, rtol=1e-4)
    np.testing.assert_allclose(rmt.modulus_density([0.3, 0.9], n), [0.6, 1.8], rtol=2e-6)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("n", [1, 2, 3, 10, 64, 1024])
@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_density_integrates_to_one(field, n, scale):
    total, _ = integrate.quad(
        lambda r: rmt.modulus_density(r, n, field, scale), 0, 12 * scale,
        points=scale * np.array([0.2, 0.8, 1.0, 1.2, 2.0, 4.0]), epsabs=1e-12, limit=500,
    )  # fmt: skip
    assert total == pytest.approx(1, abs=1e-10)


def test_one_by_one_and_the_ends_of_the_axis():
    r = np.linspace(0, 8, 50)
    np.testing.assert_allclose(rmt.modulus_density(r, 1), np.sqrt(2 / np.pi) * np.exp(-(r**2) / 2), rtol=1e-14)
    np.testing.assert_allclose(rmt.modulus_density(r, 1, "complex"), 2 * r * np.exp(-(r**2)), rtol=1e-13)
    for n in (1, 2, 3, 64, 1001, 1002, 5000, 10**12):
        for field in FIELDS:
            at_zero = math.sqrt(2 / (math.pi * n)) if field == "real" else 0.0
            assert rmt.modulus_density(0.0, n, field) == pytest.approx(at_zero, rel=1e-14)
            assert np.array_equal(rmt.modulus_density([-1e300, -1.0, -1e-300, 45.0, 1e300], n, field), np.zeros(5))
            assert rmt.modulus_density(1.0, n, field, 1e-300) == 0.0
            assert rmt.modulus_density(1e-300, n, field, 1.7e308) == pytest.approx(at_zero / 1.7e308)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("n", [2, 5, 40])
def test_a_random_eigenvalue_of_dense_matrices_follows_the_density(field, n):
    # One eigenvalue of each matrix: those of one matrix are dependent.
    rng = np.random.default_rng(n)
    G = rng.standard_normal((4000, n, n))
    if field == "complex":
        G = (G + 1j * rng.standard_normal(G.shape)) / math.sqrt(2)
    eigenvalues = np.linalg.eigvals(0.7 * G / math.sqrt(n))
    chosen = np.abs(eigenvalues[np.arange(4000), rng.integers(n, size=4000)])

    grid = np.linspace(0, 5, 20_001)
    cdf = integrate.cumulative_simpson(rmt.modulus_density(grid, n, field, 0.7), x=grid, initial=0)
    oracles.check_law(chosen, lambda r: np.interp(r, grid, cdf))


def test_real_eigenvalues_on_average():
    assert rmt.expected_real_eigenvalues(1) == pytest.approx(1, rel=1e-15)
    assert rmt.expected_real_eigenvalues(2) == pytest.approx(math.sqrt(2), rel=1e-15)
    assert rmt.expected_real_eigenvalues(3) == pytest.approx(1 + math.sqrt(2) / 2, rel=1e-15)
    assert rmt.expected_real_eigenvalues(10) == pytest.approx(2.92799349, abs=5e-9)
    assert rmt.expected_real_eigenvalues(1000) == pytest.approx(25.72186288, abs=5e-9)
    half = mpmath.mpf(1) / 2
    for n in (1, 2, 3, 4, 7, 50, 99, 100, 101, 1000, 10**5, 10**8, 10**12):
        value = half + mpmath.sqrt(2) * mpmath.hyp2f1(1, -half, n, half) / mpmath.beta(n, half)
        assert rmt.expected_real_eigenvalues(n) == pytest.approx(float(value), rel=1e-15)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 36, 37, 64, 1000, 1001, 10**5, 10**12])
def test_all_eigenvalues_lie_outside_of_nothing(n):
    real, pairs = expected_outside(0.0, n)
    assert real == pytest.approx(rmt.expected_real_eigenvalues(n), rel=1e-12)
    assert real + 2 * pairs == pytest.approx(n, rel=1e-12)
    real, eigenvalues = expected_outside(0.0, n, "complex")
    assert real == 0
    assert eigenvalues == pytest.approx(n, rel=1e-12)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(("n", "r"), [(1, 2.0), (2, 0.5), (10, 1.0), (64, 0.2), (64, 1.6), (64, 2.5), (1024, 1.5)])
def test_expected_outside_against_high_precision(field, n, r):
    start = mpmath.sqrt(n) * mpmath.mpf(r)
    knots = [start + mpmath.mpf(i) / 2 for i in range(9)] + [start + i for i in (6, 9, 14, 20)]

    def integral(density):
        # Relative to the first value: mpmath stops at an absolute error.
        unit = density(start)
        return float(unit * mpmath.quad(lambda rho: density(rho) / unit, knots)) if unit else 0.0

    with mpmath.workdps(20):
        if field == "complex":
            expected = 0.0, integral(lambda rho: 2 * rho * upper(n, rho**2))
        else:
            erfcx = lambda c: mpmath.exp(c**2) * mpmath.erfc(c)  # noqa: E731
            others = integral(
                lambda rho: rho * (1 - erfcx(mpmath.sqrt(2) * rho)) * upper(n - 1, rho**2) if n > 1 else 0
            )
            expected = integral(lambda rho: real_eigenvalues(rho, n)), others
    np.testing.assert_allclose(expected_outside(r, n, field), expected, rtol=1e-11)


def test_expected_outside_at_the_published_points():
    # Published as 1 - F of the spectral radius, which is the sum up to relative O(1 - F).
    assert sum(expected_outside(1.6, 64)) == pytest.approx(1.0575326029522712e-10, rel=3e-10)
    assert sum(expected_outside(2.5, 64)) == pytest.approx(4.3e-50, rel=0.01)
    assert sum(expected_outside(1.5, 1024)) == pytest.approx(3.3e-100, rel=0.01)


@pytest.mark.parametrize("field", FIELDS)
def test_expected_outside_falls_to_zero(field):
    r = np.linspace(0, 60, 200).reshape(2, 100)
    for n in (1, 2, 50, 10**4):
        real, others = expected_outside(r, n, field)
        assert real.shape == others.shape == r.shape
        assert np.all(np.diff((real + others).ravel()) <= 0)
        assert (real + others)[-1, -1] == 0


def test_counts_outside_of_dense_matrices():
    n, r = 12, 1.1
    rng = np.random.default_rng(3)
    eigenvalues = np.linalg.eigvals(rng.standard_normal((20_000, n, n)) / math.sqrt(n))
    outside = np.abs(eigenvalues) > r
    is_real = eigenvalues.imag == 0
    real, pairs = expected_outside(r, n)
    oracles.check_mean((outside & is_real).sum(1), real)
    oracles.check_mean((outside & ~is_real).sum(1) / 2, pairs)
    oracles.check_mean(is_real.sum(1), rmt.expected_real_eigenvalues(n))


@settings(deadline=None, derandomize=True, max_examples=100)
@given(
    r=st.lists(st.floats(-5, 50), max_size=8),
    n=st.integers(1, 10**12),
    field=st.sampled_from(FIELDS),
    scale=st.floats(1e-3, 1e3),
)
def test_shapes_and_scaling(r, n, field, scale):
    density = rmt.modulus_density(np.array(r)[None], n, field)
    assert density.shape == (1, len(r))
    assert np.all(density >= 0)
    assert np.all(np.isfinite(density))
    for x, value in zip(r, density[0], strict=True):
        single = rmt.modulus_density(x, n, field)
        assert type(single) is float
        assert single == value
    doubled = rmt.modulus_density(2 * scale * np.array(r), n, field, 2 * scale)
    np.testing.assert_array_equal(2 * doubled, rmt.modulus_density(scale * np.array(r), n, field, scale))


def test_bad_input():
    for r in (math.nan, math.inf, "1", None, 1j, [[1], [2, 3]]):
        with pytest.raises(InputError, match="r must be"):
            rmt.modulus_density(r, 10)
    for r in (-0.1, math.nan, 1j):
        with pytest.raises(InputError, match="r must be"):
            expected_outside(r, 10)
    for function in (
        rmt.expected_real_eigenvalues,
        lambda n: rmt.modulus_density(1.0, n),
        lambda n: expected_outside(1.0, n),
    ):
        for n in (0, -3, 2.5, 10**12 + 1, True, math.nan, "3"):
            with pytest.raises(InputError, match="n must be"):
                function(n)
    for function in (rmt.modulus_density, expected_outside):
        with pytest.raises(InputError, match="field must be"):
            function(1.0, 10, "quaternion")
    for scale in (0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="scale must be"):
            rmt.modulus_density(1.0, 10, "real", scale)
