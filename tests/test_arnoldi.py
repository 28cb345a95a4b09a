import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator

import rmt
from rmt.spectra import arnoldi


def counted(W, vectors):
    """Return W as an operator that appends what it multiplies to `vectors`."""
    return LinearOperator(W.shape, lambda v: (vectors.append(v), W @ v)[1], dtype=float)


def test_the_number_of_products_for_dense_random_matrices():
    n, counts = 1024, []
    for seed in range(5):
        rmt.spectral_radius(counted(rmt.glorot(n).draw(rng=seed), vectors := []))
        counts.append(len(vectors))
    assert 12 < np.mean(counts) / np.sqrt(n) < 15  # "some 14"


def test_the_space_grows_by_what_its_error_asks_for():
    n, k = 1024, arnoldi._first_dimension(1024)
    assert arnoldi.FIRST <= k <= 2 * arnoldi.FIRST
    while k < arnoldi.DENSE * 32:
        assert arnoldi._next_dimension(k, n, np.nan) == 2 * k
        k *= 2
    least = arnoldi._next_dimension(k, n, 1.0)
    assert k < least < arnoldi._next_dimension(k, n, 1e6) < arnoldi._next_dimension(k, n, np.inf)
    assert arnoldi._next_dimension(k, n, np.nan) == arnoldi._next_dimension(k, n, 0.5) == least


def test_the_basis_stays_orthogonal_where_products_hardly_leave_it():
    W = np.eye(200) + 1e-8 * rmt.glorot(200).draw(rng=5)
    space = arnoldi.Arnoldi(200, np.float64, 60, 1)
    arnoldi._extend(lambda rows: rows @ W.T, (space, 60))
    assert np.allclose(space.V @ space.V.T, np.eye(61), atol=1e-13)


def test_arnoldi_relation_and_bound():
    W = rmt.glorot(200).draw(rng=5)
    space, other = arnoldi.Arnoldi(200, np.float64, 120, 1), arnoldi.Arnoldi(200, np.float64, 120, 2)
    arnoldi._extend(lambda rows: rows @ W.T, (space, 50), (other, 30))
    arnoldi._extend(lambda rows: rows @ W.T, (space, 110))
    assert (space.k, other.k) == (110, 30)
    V, k = space.V, space.k
    assert np.allclose(V[: k + 1] @ V[: k + 1].T, np.eye(k + 1), atol=1e-13)
    assert np.allclose(W @ V[:k].T, V[: k + 1].T @ space.H[: k + 1, :k], atol=1e-13)
    pair = space.outermost(np.abs)
    x = pair.vector @ V[:k]
    assert np.linalg.norm(W @ x - pair.value * x) == pytest.approx(pair.residual, rel=1e-3)
    spectrum = np.linalg.eigvals(W)
    assert np.abs(spectrum - pair.value).min() < 3 * pair.error


def test_a_pair_that_appears_after_others_were_followed():
    # The rightmost pair is no Ritz value yet when the first space of 5 sqrt(n) dimensions is looked at.
    W = rmt.glorot(256).draw(rng=(102, 601))
    abscissa = np.linalg.eigvals(W).real.max()
    assert rmt.spectral_abscissa(W, method="krylov") == pytest.approx(abscissa, rel=1e-9)
