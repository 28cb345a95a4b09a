"""Growth of a given recurrence against plain sums and simulation; the numerical radius against known ones."""

import math
from fractions import Fraction

import numpy as np
import pytest
from oracles import check_mean
from scipy.linalg import schur

import rmt
from rmt.audit.growth import DenseGrowth, DiagonalGrowth
from rmt.audit.numerical_range import bounds, numerical_radius, support
from rmt.parallel import one_blas_thread


@pytest.fixture(autouse=True, scope="module")
def _one_blas_thread():
    with one_blas_thread():
        yield


def dense_growth(W, steps):
    return DenseGrowth(schur(W, output="complex" if np.iscomplexobj(W) else "real")[0], steps)


def plain_sums(W, steps):
    """S_t for t = 1, ..., steps, one power after another."""
    power, squares = np.eye(len(W)), []
    for _ in range(steps):
        squares.append(np.sum(np.abs(power) ** 2) / len(W))
        power = power @ W
    return np.cumsum(squares)


RNG = np.random.default_rng(0)
NILPOTENT = np.triu(RNG.standard_normal((7, 7)), 1)
MATRICES = {
    "glorot": rmt.glorot(12).draw(rng=1),
    "complex": rmt.glorot(9, "complex").draw(rng=2),
    "orthogonal": rmt.Haar(8).draw(rng=3),
    "contraction": 0.3 * rmt.glorot(10).draw(rng=4),
    "nilpotent": NILPOTENT,
    "not normal": 0.5 * np.eye(10) + 3 * np.eye(10, k=1),
    "one": np.array([[-1.25]]),
    "zero": np.zeros((3, 3)),
}


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("steps", [1, 2, 37, 64])
def test_sums_of_all_powers(name, steps):
    W = MATRICES[name]
    sums = plain_sums(W, steps)
    growth = dense_growth(W, steps)
    found = [growth.log_mean_square(t) for t in range(1, steps + 1)]
    np.testing.assert_allclose(found, np.log(sums), rtol=1e-12, atol=1e-12)
    times, curve = growth.curve()
    assert times[0] == 1
    assert times[-1] == steps
    np.testing.assert_allclose(curve, np.log(sums)[times - 1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", MATRICES)
def test_first_step_beyond_any_level(name):
    W, steps = MATRICES[name], 100
    sums = plain_sums(W, steps)
    growth = dense_growth(W, steps)
    for level in (0.5, 1.0 + 1e-9, 1.7, 5.3, 31.0, 99.5, 1e3, 1e8):
        (beyond,) = np.nonzero(sums > level)
        expected = int(beyond[0]) + 1 if len(beyond) else None
        assert growth.first_beyond(math.log(level)) == expected


@pytest.mark.parametrize("radius", [0.9, 1.0, 1.001, 1.3])
def test_normal_matrices_over_a_million_steps(radius):
    # Two implementations without a line in common: doubling of matrices, and the geometric series.
    moduli = np.array([0.0, 0.2, 0.7 * radius, radius])
    basis = rmt.Haar(4, "complex").draw(rng=5)
    phases = np.exp(1j * np.array([0.3, 1.0, 2.0, 3.0]))
    dense, steps = dense_growth(basis * (moduli * phases) @ basis.conj().T, 10**6), 10**6
    diagonal = DiagonalGrowth(moduli, steps)
    for t in (1, 2, 1000, 777_777, steps):
        assert dense.log_mean_square(t) == pytest.approx(diagonal.log_mean_square(t), rel=1e-9, abs=1e-9)
    for level in (0.01, 3.0, 400.0):
        first = dense.first_beyond(level), diagonal.first_beyond(level)
        assert (first[0] is None) == (first[1] is None)
        assert first[0] is None or abs(first[0] - first[1]) <= 1e-9 * first[1]


def test_diagonal_growth_against_plain_sums():
    moduli = np.array([0.0, 1e-200, 0.5, 1 - 1e-12, 1.0, 1 + 1e-12, 1.4])
    growth = DiagonalGrowth(moduli, 50)
    sums = plain_sums(np.diag(moduli), 50)
    found = [growth.log_mean_square(t) for t in range(1, 51)]
    np.testing.assert_allclose(found, np.log(sums), rtol=1e-13, atol=1e-14)
    for level in (0.9, 1.5, 40.0, 1e5):
        (beyond,) = np.nonzero(sums > level)
        assert growth.first_beyond(math.log(level)) == (int(beyond[0]) + 1 if len(beyond) else None)


def test_nothing_overflows():
    growth = DiagonalGrowth(np.array([1e50]), 10**12)
    assert growth.log_mean_square(10**12) == pytest.approx(2 * math.log(1e50) * (10**12 - 1), rel=1e-14)
    growth = dense_growth(np.array([[1e90, 1e90], [0.0, -1e90]]), 5000)
    assert growth.log_mean_square(5000) == pytest.approx(2 * 4999 * math.log(1e90), abs=1)  # even powers are diagonal
    assert dense_growth(np.array([[1e-250]]), 5000).log_mean_square(5000) == 0.0


def test_stable_matrix_far_from_normal_does_not_explode_by_rounding():
    # ||W^k|| rises to 1e13 before it falls: squares of powers lose all digits, and a plain squaring explodes.
    n, steps = 24, 10**6
    W = 0.5 * np.eye(n) + 3.0 * np.eye(n, k=1)
    exact = Fraction(0)  # sum_k ||W^k||_F^2 from binomials: W^k has n - d entries C(k, d) 3^d 2^(d-k)
    for k in range(400):
        exact += sum((n - d) * Fraction(math.comb(k, d) * 6**d, 2**k) ** 2 for d in range(min(k, n - 1) + 1))
    growth = dense_growth(W, steps)
    assert growth.log_mean_square(steps) == pytest.approx(math.log(exact / n), rel=1e-9)
    assert growth.log_mean_square(300) == pytest.approx(math.log(exact / n), rel=1e-9)


@pytest.mark.parametrize("field", ["real", "complex"])
def test_growth_is_the_mean_over_inputs(field):
    W = rmt.glorot(6, field).draw(rng=6)
    x = rmt.Ginibre(16, field).draw(4000, rng=7)[:, :, :6] * 4  # rows are steps; E|x|^2 = 1 an entry
    sample = rmt.hidden_norms(W, x)
    growth = dense_growth(W, 16)
    check_mean(sample, [math.exp(growth.log_mean_square(t)) for t in range(1, 17)])


@pytest.mark.parametrize("n", [2, 3, 10])
def test_numerical_radius_of_a_shift(n):
    low, high = numerical_radius(np.eye(n, k=1))
    exact = math.cos(math.pi / (n + 1))
    assert low <= exact * (1 + 1e-14)
    assert exact <= high * (1 + 1e-14)
    assert high <= 1.005 * low


@pytest.mark.parametrize("field", ["real", "complex"])
@pytest.mark.parametrize("seed", range(4))
def test_numerical_radius_by_brute_force(field, seed):
    W = rmt.glorot(5, field).draw(rng=seed)
    if seed == 3:
        W = W - 2 * np.eye(5)  # the numerical range lies to one side
    angles = np.linspace(0, 2 * np.pi, 4001)
    turned = np.exp(1j * angles)[:, None, None] * W
    exact = np.linalg.eigvalsh((turned + turned.conj().swapaxes(1, 2)) / 2)[:, -1].max()
    for tol in (0.005, 1e-4):
        low, high = numerical_radius(W, tol)
        assert low <= exact * (1 + 1e-6)
        assert exact <= high * (1 + 1e-14)
        assert high <= (1 + tol) * low
    assert support(W, 0.0) == pytest.approx(np.linalg.eigvalsh((W + W.conj().T) / 2)[-1], rel=1e-13)


@pytest.mark.parametrize("field", ["real", "complex"])
def test_bounds_of_large_matrices_hold_the_eigenvalue(monkeypatch, field):
    W = rmt.glorot(40, field).draw(rng=1)
    matrices = [W, W - 3 * np.eye(40), -np.eye(40), np.zeros((40, 40)), np.diag(np.arange(40.0)), np.eye(40, k=1)]
    exact = [(A, angle, support(A, angle)) for A in matrices for angle in (0.0, 0.7, math.pi)]
    monkeypatch.setattr("rmt.audit.numerical_range.LARGE", 40)
    for A, angle, value in exact:
        low, high = bounds(A, angle)
        scale = np.abs(A).max()
        assert low <= value + 1e-13 * scale
        assert value <= high + 1e-13 * scale
        assert high - low <= 1e-5 * abs(value) * (1 + 1e-6)
    low, high = numerical_radius(W)
    assert 1e-5 < high / low - 1 <= 0.005


def test_a_krylov_space_that_misses_the_largest_eigenvalue_is_not_believed(monkeypatch):
    monkeypatch.setattr("rmt.audit.numerical_range.LARGE", 4)
    monkeypatch.setattr("rmt.audit.numerical_range.eigsh", lambda *args, **options: np.array([3.0]))
    assert bounds(np.diag([1.0, 2.0, 3.0, 4.0]), 0.0) == pytest.approx((4.0, 4.0))


def test_numerical_radius_of_normal_matrices_is_the_radius():
    for W in (np.diag([1.0, -3.0, 2.0]), rmt.Haar(7, "complex").draw(rng=0), np.zeros((2, 2)), np.array([[-2.0]])):
        low, high = numerical_radius(W)
        radius = rmt.spectral_radius(W)
        assert low <= radius * (1 + 1e-14)
        assert radius <= high * (1 + 1e-14)
        assert high <= 1.005 * low
