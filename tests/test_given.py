import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import rmt
from rmt.checks import InputError
from rmt.kernels.eigenvalues import eigenvalues
from rmt.spectra import given as spectra_given

STATISTICS = [(rmt.spectral_radius, np.abs), (rmt.spectral_abscissa, np.real)]
EACH = pytest.mark.parametrize(("statistic", "criterion"), STATISTICS)


@EACH
@pytest.mark.parametrize("n", [1, 2, 17])
@pytest.mark.parametrize("field", ["real", "complex"])
def test_against_numpy(statistic, criterion, n, field):
    W = rmt.glorot(n, field).draw(4, rng=n)
    expected = criterion(np.linalg.eigvals(W)).max(axis=1)
    assert np.allclose(statistic(W), expected, rtol=1e-11)
    single = statistic(W[0])
    assert isinstance(single, float)
    assert single == statistic(W)[0]


@EACH
def test_batches_of_any_rank(statistic, criterion):
    W = rmt.glorot(4).draw(6, rng=0)
    assert np.array_equal(statistic(W.reshape(2, 3, 4, 4)), statistic(W).reshape(2, 3))
    assert statistic(W.reshape(1, 6, 4, 4)).shape == (1, 6)
    assert statistic(W[:0]).shape == (0,)
    full = statistic(W.reshape(2, 3, 4, 4), full_output=True)
    assert full.value.shape == full.residual.shape == full.proven.shape == (2, 3)
    assert full.proven.all()


def test_radius_and_abscissa_differ():
    W = np.diag([-3.0, 1.0])
    assert rmt.spectral_radius(W) == 3
    assert rmt.spectral_abscissa(W) == 1
    rotation = np.array([[0.0, -2.0], [2.0, 0.0]])
    assert rmt.spectral_radius(rotation) == pytest.approx(2, rel=1e-15)
    assert rmt.spectral_abscissa(rotation) == pytest.approx(0, abs=1e-15)


@EACH
def test_full_output(statistic, criterion):
    W = rmt.glorot(60, "complex").draw(rng=1)
    result = statistic(W, full_output=True)
    assert result.value == statistic(W)
    assert result.method == "dense"
    assert result.proven is True
    assert 0 <= result.residual < 1e-13


def test_the_residual_is_the_distance_to_an_exact_eigenvalue(monkeypatch):
    W = rmt.Haar(8).draw(rng=0) * 2
    # A spectrum that is off by 1e-3 radially: a normal matrix is 2e-3 away from having it.
    monkeypatch.setattr(spectra_given, "eigenvalues", lambda A: np.linalg.eigvals(A).astype(complex) * 1.001)
    assert rmt.spectral_radius(W, full_output=True).residual == pytest.approx(2e-3, rel=1e-6)


@EACH
@pytest.mark.parametrize("make", [sparse.csr_array, sparse.coo_matrix, aslinearoperator])
def test_sparse_matrices_and_operators(statistic, criterion, make):
    W = rmt.glorot(9).draw(rng=0) * (np.random.default_rng(0).random((9, 9)) < 0.4)
    assert statistic(make(W)) == statistic(W)


@EACH
def test_matrices_of_other_types(statistic, criterion):
    assert statistic([[1, 1], [1, 1]]) == pytest.approx(2)
    assert statistic(np.eye(3, dtype=np.float32)) == 1
    assert statistic(np.eye(3, dtype=bool)) == 1
    assert statistic(np.zeros((3, 3))) == 0
    assert statistic(np.eye(2) * 1e300) == 1e300


@EACH
def test_threads_change_nothing(statistic, criterion, monkeypatch):
    W = rmt.glorot(40).draw(8, rng=0)
    results = []
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("RMT_NUM_THREADS", threads)
        results.append(statistic(W))
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


@EACH
def test_small_matrices_of_a_batch_cost_no_call_each(statistic, criterion, monkeypatch):
    W = rmt.glorot(8, "complex").draw(500, rng=0)
    W[3] *= 1e300
    W[4] *= 1e-300
    expected = statistic(W, full_output=True).value
    sizes = []
    monkeypatch.setattr(spectra_given, "eigenvalues", lambda A: sizes.append(len(A)) or eigenvalues(A))
    monkeypatch.setenv("RMT_NUM_THREADS", "2")
    assert np.array_equal(statistic(W.reshape(5, 100, 8, 8)), expected.reshape(5, 100))
    assert sum(sizes) == 500
    assert len(sizes) <= 8


def operator(function, dtype=float, n=5):
    return LinearOperator((n, n), matvec=function, dtype=dtype)


@EACH
@pytest.mark.parametrize("method", ["auto", "dense"])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (operator(lambda v: np.ones(4)), "failed on a vector"),
        (operator(lambda v: 1j * v), "real dtype"),
        (operator(lambda v: v, object), "numeric operator, got dtype object"),
        (operator(lambda v: v * np.nan), "must be finite"),
        (operator(lambda v: np.ones(119), n=120), "failed on a vector"),
    ],
)
def test_small_operators_are_checked_like_large_ones(statistic, criterion, method, bad, message):
    with pytest.raises(InputError, match=message):
        statistic(bad, method=method)


@EACH
@pytest.mark.parametrize("field", ["real", "complex"])
def test_small_operators_become_their_matrix(statistic, criterion, field):
    W = rmt.glorot(5, field).draw(rng=0)
    assert statistic(operator(lambda v: W @ v, W.dtype)) == statistic(W)


BAD = [
    (np.zeros((2, 3)), "W must have shape"),
    (np.zeros(4), "W must have shape"),
    (np.zeros((0, 0)), "W must have shape"),
    (np.array([[np.nan]]), "W must be finite"),
    (np.array([[np.inf, 0], [0, 1]]), "W must be finite"),
    (sparse.csr_array([[np.nan]]), "W must be finite"),
    (sparse.csr_array((2, 3)), "W must have shape"),
    (aslinearoperator(np.zeros((3, 2))), "W must have shape"),
    ([["a"]], "numeric"),
    ([[1, 2], [3]], "ragged"),
]


@EACH
@pytest.mark.parametrize(("W", "message"), BAD)
def test_bad_matrices_are_refused(statistic, criterion, W, message):
    with pytest.raises(InputError, match=message):
        statistic(W)


@EACH
@pytest.mark.parametrize(
    ("option", "message"),
    [({"method": "power"}, "method must"), ({"tol": 0}, "tol must"), ({"tol": 2}, "tol must")],
)
def test_bad_options_are_refused(statistic, criterion, option, message):
    with pytest.raises(InputError, match=message):
        statistic(np.eye(2), **option)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.integers(1, 8), st.integers(0, 2**32), st.sampled_from(rmt.checks.FIELDS), st.floats(0.01, 100))
def test_scaling_similarity_and_order(n, seed, field, factor):
    W = rmt.glorot(n, field).draw(rng=seed)
    radius, abscissa = rmt.spectral_radius(W), rmt.spectral_abscissa(W)
    assert abscissa <= radius * (1 + 1e-12)
    assert rmt.spectral_radius(factor * W) == pytest.approx(factor * radius, rel=1e-6)
    assert rmt.spectral_abscissa(W + factor * np.eye(n)) == pytest.approx(abscissa + factor, rel=1e-6)
    U = rmt.Haar(n, field).draw(rng=seed)
    assert rmt.spectral_radius(U @ W @ U.conj().T) == pytest.approx(radius, rel=1e-6)
