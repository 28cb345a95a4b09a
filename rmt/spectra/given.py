"""Spectral radius and spectral abscissa of matrices that are there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator

from rmt import checks, parallel
from rmt.kernels.eigenvalues import eigenvalues

METHODS = ("auto", "dense")

# A sparse matrix or an operator of this size takes 2 GiB as a dense one.
MAX_DENSE_N = 16_384

Criterion = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class RadiusResult:
    """A spectral radius or abscissa, and how far it is to be trusted.

    For a batch (..., n, n), all but `method` are arrays of shape (...).

    Attributes
    ----------
    value : float
        The spectral radius or abscissa.
    residual : float
        Backward error of the eigenvalue lambda that attains `value`, in the units of W: lambda is an exact
        eigenvalue of W + E for some E of spectral norm `residual`. Method "dense" gives the smallest such
        norm, which is the smallest singular value of W - lambda I.
    method : str
        The method that was used.
    proven : bool
        Whether, to rounding, no eigenvalue lies further out. The residual does not tell: it is small for any
        eigenvalue. Method "dense" computes the whole spectrum and is always proven.
    """

    value: Any
    residual: Any
    method: str
    proven: Any


def spectral_radius(W: Any, *, method: str = "auto", tol: float = 1e-10, full_output: bool = False) -> Any:
    """Compute the spectral radius max |lambda| over the eigenvalues of W.

    Parameters
    ----------
    W : array_like of shape (..., n, n), SciPy sparse matrix or LinearOperator of shape (n, n)
        The matrices.
    method : {"auto", "dense"}
        "dense" computes all eigenvalues by LAPACK's QR algorithm in O(n^3) operations; a sparse matrix or
        an operator becomes dense for it and needs n <= 16,384. "auto" is "dense".
    tol : float
        Relative accuracy that iterative methods must reach; "dense" is accurate to rounding.
    full_output : bool
        Whether to return a :class:`RadiusResult` instead of the value.

    Returns
    -------
    float, ndarray of shape (...), or RadiusResult

    Raises
    ------
    InputError
        If W is not square, not numeric or not finite, or an argument is out of its range.

    References
    ----------
    Golub & Van Loan (2013), Matrix Computations, section 7.5 (QR algorithm).

    Examples
    --------
    >>> import rmt
    >>> round(rmt.spectral_radius([[0.0, -2.0], [2.0, 0.0]]), 12)
    2.0
    >>> rmt.spectral_radius(rmt.glorot(4).draw(3, rng=0)).shape
    (3,)
    >>> rmt.spectral_radius([[0.5]], full_output=True)
    RadiusResult(value=0.5, residual=0.0, method='dense', proven=True)
    """
    return _outermost(W, np.abs, method, tol, full_output)


def spectral_abscissa(W: Any, *, method: str = "auto", tol: float = 1e-10, full_output: bool = False) -> Any:
    """Compute the spectral abscissa max Re(lambda) over the eigenvalues of W.

    Parameters
    ----------
    W : array_like of shape (..., n, n), SciPy sparse matrix or LinearOperator of shape (n, n)
        The matrices.
    method : {"auto", "dense"}
        As for :func:`spectral_radius`.
    tol : float
        As for :func:`spectral_radius`.
    full_output : bool
        Whether to return a :class:`RadiusResult` instead of the value.

    Returns
    -------
    float, ndarray of shape (...), or RadiusResult

    Raises
    ------
    InputError
        If W is not square, not numeric or not finite, or an argument is out of its range.

    References
    ----------
    Golub & Van Loan (2013), Matrix Computations, section 7.5 (QR algorithm).

    Examples
    --------
    >>> import rmt
    >>> round(rmt.spectral_abscissa([[-1.0, -2.0], [2.0, -1.0]]), 12)
    -1.0
    """
    return _outermost(W, np.real, method, tol, full_output)


def _outermost(W: Any, criterion: Criterion, method: str, tol: float, full_output: bool) -> Any:
    """Return the largest `criterion` over the eigenvalues of W: the place where the method is chosen."""
    checks.choice("method", method, METHODS)
    checks.real("tol", tol, above=0, below=1)
    result = _dense(_as_dense(W), criterion, full_output)
    return result if full_output else result.value


def _as_dense(W: Any) -> np.ndarray:
    if issparse(W) or isinstance(W, LinearOperator):
        n = W.shape[-1]
        if n > MAX_DENSE_N:
            raise checks.InputError(
                f"a sparse or operator W must have n <= {MAX_DENSE_N:,} for method 'dense', got n = {n:,}"
            )
        W = W.toarray() if issparse(W) else W @ np.eye(n)
    return checks.square("W", W)


def _dense(W: np.ndarray, criterion: Criterion, with_residual: bool) -> RadiusResult:
    """Return the result for (..., n, n) from all eigenvalues; the residual is NaN unless it is asked for."""
    batch, n = W.shape[:-2], W.shape[-1]
    matrices = W.reshape(-1, n, n)

    def one(A: np.ndarray) -> tuple[float, float]:
        spectrum = eigenvalues(A)
        leading = spectrum[np.argmax(criterion(spectrum))]
        residual = np.linalg.svd(A - leading * np.eye(n), compute_uv=False)[-1] if with_residual else np.nan
        return float(criterion(leading)), float(residual)

    pairs = np.array(parallel.thread_map(one, matrices, len(matrices))).reshape(*batch, 2)
    if not batch:
        return RadiusResult(float(pairs[0]), float(pairs[1]), "dense", True)
    return RadiusResult(pairs[..., 0], pairs[..., 1], "dense", np.ones(batch, bool))
