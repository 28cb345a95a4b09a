"""Spectral radius and spectral abscissa of matrices that are there."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator

from rmt import checks, parallel
from rmt.kernels.eigenvalues import eigenvalues
from rmt.kernels.product import multiply
from rmt.spectra.arnoldi import FIRST, Product, krylov_outermost
from rmt.spectra.certificate import CertificationError, Criterion, Leading, proven_radius

METHODS = ("auto", "dense", "krylov")

# A sparse matrix or an operator of this size takes 2 GiB as a dense one.
MAX_DENSE_N = 16_384
MAX_BASIS = 2**28  # entries of a Krylov basis

# Below, all eigenvalues take no longer than a few.
SMALL = 100

# Dimension of the Krylov space, in units of sqrt(n), after which all eigenvalues are computed, or, where they
# cannot be, after which the search is given up.
LIMIT, LAST_LIMIT = 12.0, 24.0


@dataclass(frozen=True)
class RadiusResult:
    """A spectral radius or abscissa, and how far it is to be trusted.

    For a batch (..., n, n), all four are arrays of shape (...).

    Attributes
    ----------
    value : float
        The spectral radius or abscissa.
    residual : float
        Backward error of the eigenvalue lambda that attains `value`, in the units of W: lambda is an exact
        eigenvalue of W + E for some E of spectral norm `residual`. Method "dense" gives the smallest such
        norm, which is the smallest singular value of W - lambda I; the others give ||W x - lambda x|| / ||x|| for
        the eigenvector x that they found ("hessenberg": of the Hessenberg form of W).
    method : str
        What led to the value: "dense" is all eigenvalues by the QR algorithm; "hessenberg" the Hessenberg form
        of W and a count of its eigenvalues outside of a circle by the argument principle; "krylov" Arnoldi's
        method from two independent start vectors.
    proven : bool
        Whether, to rounding, no eigenvalue lies further out. The residual does not tell: it is small for any
        eigenvalue. "dense" and "hessenberg" prove it; "krylov" has tested it with the second start vector.
    """

    value: Any
    residual: Any
    method: Any
    proven: Any


def spectral_radius(W: Any, *, method: str = "auto", tol: float = 1e-10, full_output: bool = False) -> Any:
    """Compute the spectral radius max |lambda| over the eigenvalues of W.

    Parameters
    ----------
    W : array_like of shape (..., n, n), SciPy sparse matrix or LinearOperator of shape (n, n)
        The matrices.
    method : {"auto", "dense", "krylov"}
        "dense" computes all eigenvalues by LAPACK's QR algorithm in O(n^3) operations; a sparse matrix or
        an operator becomes dense for it and needs n <= 16,384.
        "krylov" needs products with vectors only, some 14 sqrt(n) for dense random matrices: Arnoldi's method from
        a random start vector, and again from an independent one, which must lead to the same. Where it does not
        within 12 sqrt(n) products, as for orthogonal or defective matrices, W becomes dense and goes on as "auto".
        A sparse matrix or an operator with n > 16,384 never does: its spaces grow to 24 sqrt(n) dimensions, or to
        2^28 / n where that is less (n > 50,000; 268 dimensions at n = 10^6), which takes 4 GiB, complex 8.
        "auto" is "krylov" for a sparse matrix or an operator. For an array its answer is proven: W is
        reduced to Hessenberg form, and all eigenvalues outside of a circle are counted and found; all
        eigenvalues of W where that does not succeed.
        Below n = 100 all methods are "dense". `full_output` tells what was used.
    tol : float
        Relative accuracy that "krylov" must reach, to first order in the residual; the others are accurate to
        rounding.
    full_output : bool
        Whether to return a :class:`RadiusResult` instead of the value.

    Returns
    -------
    float, ndarray of shape (...), or RadiusResult

    Raises
    ------
    InputError
        If W is not square, not numeric or not finite, or an argument is out of its range.
    CertificationError
        If a sparse matrix or an operator with n > 16,384 does not pass the test of "krylov".

    References
    ----------
    Golub & Van Loan (2013), Matrix Computations, sections 7.5 (QR algorithm) and 10.5 (Arnoldi);
    Wilkinson (1965), The Algebraic Eigenvalue Problem, chapter 7 (Hyman's method).

    Examples
    --------
    >>> import rmt
    >>> round(rmt.spectral_radius([[0.0, -2.0], [2.0, 0.0]]), 12)
    2.0
    >>> rmt.spectral_radius(rmt.glorot(4).draw(3, rng=0)).shape
    (3,)
    >>> rmt.spectral_radius([[0.5]], full_output=True)
    RadiusResult(value=0.5, residual=0.0, method='dense', proven=True)
    >>> result = rmt.spectral_radius(rmt.glorot(200).draw(rng=0), method="krylov", full_output=True)
    >>> result.method, result.proven, result.residual < 1e-9
    ('krylov', False, True)
    """
    return _outermost(W, np.abs, method, tol, full_output)


def spectral_abscissa(W: Any, *, method: str = "auto", tol: float = 1e-10, full_output: bool = False) -> Any:
    """Compute the spectral abscissa max Re(lambda) over the eigenvalues of W.

    Parameters
    ----------
    W : array_like of shape (..., n, n), SciPy sparse matrix or LinearOperator of shape (n, n)
        The matrices.
    method : {"auto", "dense", "krylov"}
        As for :func:`spectral_radius`, but "auto" is "dense" for an array, because eigenvalues are counted
        outside of circles only.
    tol : float
        Accuracy that "krylov" must reach, relative to the modulus of the rightmost eigenvalue.
    full_output : bool
        Whether to return a :class:`RadiusResult` instead of the value.

    Returns
    -------
    float, ndarray of shape (...), or RadiusResult

    Raises
    ------
    InputError
        If W is not square, not numeric or not finite, or an argument is out of its range.
    CertificationError
        If a sparse matrix or an operator with n > 16,384 does not pass the test of "krylov".

    References
    ----------
    Golub & Van Loan (2013), Matrix Computations, sections 7.5 (QR algorithm) and 10.5 (Arnoldi).

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
    tol = checks.real("tol", tol, above=0, below=1)
    if issparse(W) or isinstance(W, LinearOperator):
        with parallel.one_blas_thread():
            result = _result(_of_products(W, criterion, method, tol, full_output), criterion)
    else:
        W = checks.square("W", W)
        batch, n = W.shape[:-2], W.shape[-1]
        if n < SMALL and math.prod(batch) > 1 and not full_output:
            return _of_small(W.reshape(-1, n, n), criterion).reshape(batch)

        def one(A: np.ndarray) -> Leading:
            return _of_array(A, criterion, method, tol, full_output)

        found = parallel.thread_map(one, W.reshape(-1, n, n), math.prod(batch))
        result = _batch(found, criterion, batch) if batch else _result(found[0], criterion)
    return result if full_output else result.value


def _of_small(W: np.ndarray, criterion: Criterion) -> np.ndarray:
    """Return the largest `criterion` over all eigenvalues of each of W (count, n, n), many in one call."""
    chunks = np.array_split(W, min(len(W), 4 * parallel.threads()))
    spectra = np.concatenate(parallel.thread_map(eigenvalues, chunks, len(chunks)))
    leading = np.argmax(criterion(spectra), axis=1)
    return criterion(spectra[np.arange(len(W)), leading])


def _result(found: Leading, criterion: Criterion) -> RadiusResult:
    value = float(criterion(np.array(found.eigenvalue)))
    return RadiusResult(value, found.residual, found.method, found.method != "krylov")


def _batch(found: list[Leading], criterion: Criterion, shape: tuple[int, ...]) -> RadiusResult:
    value = criterion(np.array([one.eigenvalue for one in found], complex)).reshape(shape)
    residual = np.array([one.residual for one in found], float).reshape(shape)
    method = np.array([one.method for one in found], str).reshape(shape)
    return RadiusResult(value, residual, method, method != "krylov")


def _of_array(W: np.ndarray, criterion: Criterion, method: str, tol: float, with_residual: bool) -> Leading:
    """Return the leading eigenvalue of a finite array (n, n); the residual may be NaN unless it is asked for."""
    n = len(W)
    scale = _scale(W)
    A = W if scale == 1 else W / scale
    found = None
    if method == "krylov" and n >= SMALL:
        found = _by_krylov(_array_product(A), A.dtype, n, criterion, tol)
    if found is None and method != "dense" and criterion is np.abs and n >= SMALL:
        found = proven_radius(A, with_residual)
    if found is not None:
        return _scaled(found, scale)
    spectrum = eigenvalues(W)
    leading = complex(spectrum[np.argmax(criterion(spectrum))])
    residual = np.linalg.svd(W - leading * np.eye(n), compute_uv=False)[-1] if with_residual else math.nan
    return Leading(leading, float(residual), "dense")


def _of_products(W: Any, criterion: Criterion, method: str, tol: float, with_residual: bool) -> Leading:
    """Return the leading eigenvalue of a sparse matrix or an operator."""
    n = W.shape[-1]
    if W.shape != (n, n) or n == 0:
        raise checks.InputError(f"W must have shape (n, n) with n >= 1, got shape {W.shape}")
    if method != "dense" and n >= SMALL:
        product, dtype, scale = _sparse_product(W) if issparse(W) else _operator_product(W)
        found = _by_krylov(product, dtype, n, criterion, tol)
        if found is not None:
            return _scaled(found, scale)
        if n > MAX_DENSE_N:
            raise CertificationError(
                f"two Krylov spaces of at most {_largest_dimension(n):,} dimensions (the lesser of {LAST_LIMIT:g} "
                f"sqrt(n) and {MAX_BASIS:,} / n) did not agree on a leading eigenvalue, and W has n = {n:,} > "
                f"{MAX_DENSE_N:,}, beyond which not all eigenvalues are computed"
            )
    if n > MAX_DENSE_N:
        raise checks.InputError(
            f"a sparse or operator W must have n <= {MAX_DENSE_N:,} for method 'dense', got n = {n:,}"
        )
    dense = checks.square("W", W.toarray()) if issparse(W) else _dense_operator(W)
    return _of_array(dense, criterion, "dense" if method == "dense" else "auto", tol, with_residual)


def _by_krylov(product: Product, dtype: Any, n: int, criterion: Criterion, tol: float) -> Leading | None:
    return krylov_outermost(product, n, np.dtype(dtype).type, criterion, tol, min(_largest_dimension(n), n))


def _largest_dimension(n: int) -> int:
    """Return the dimension of the Krylov space at which the search ends."""
    if n <= MAX_DENSE_N:
        return math.ceil(LIMIT * math.sqrt(n))
    return max(FIRST, min(math.ceil(LAST_LIMIT * math.sqrt(n)), MAX_BASIS // n))


def _array_product(A: np.ndarray) -> Product:
    A = np.ascontiguousarray(A)

    def product(rows: np.ndarray) -> np.ndarray:
        image = np.empty_like(rows)
        multiply(A, rows, image)
        return image

    return product


def _sparse_product(W: Any) -> tuple[Product, Any, float]:
    A = W.tocsr()
    entries = checks.array("W", A.data)
    scale = _scale(entries)
    A = A.astype(entries.dtype) / scale
    return (lambda rows: np.array([A @ v for v in rows])), A.dtype, scale


def _checked_product(W: LinearOperator) -> tuple[Callable[[np.ndarray], np.ndarray], np.dtype]:
    """Return what multiplies a vector by the operator and checks the image, and the type of the entries."""
    kind = np.dtype(W.dtype).kind
    if kind not in "biufc":
        raise checks.InputError(f"W must be a numeric operator, got dtype {W.dtype}")
    dtype = np.dtype(np.complex128 if kind == "c" else np.float64)

    def product(v: np.ndarray) -> np.ndarray:
        try:
            image = checks.array("a product of the operator W", W.matvec(v), ndim=1)
        except checks.InputError:
            raise
        except ValueError as error:
            raise checks.InputError(f"the operator W of shape {W.shape} failed on a vector: {error}") from error
        if image.dtype != dtype and dtype == np.float64:
            raise checks.InputError("the operator W has a real dtype, and a product with a real vector is complex")
        return image

    return product, dtype


def _dense_operator(W: LinearOperator) -> np.ndarray:
    product, dtype = _checked_product(W)
    dense = np.empty(W.shape, dtype)
    for column in range(len(dense)):
        unit = np.zeros(len(dense))  # a new one each time: the operator may write to it
        unit[column] = 1.0
        dense[:, column] = product(unit)
    return dense


def _operator_product(W: LinearOperator) -> tuple[Product, Any, float]:
    product, dtype = _checked_product(W)
    scale = _scale(product(np.random.default_rng(0).standard_normal(W.shape[0])))
    return (lambda rows: np.array([product(v) / scale for v in rows], dtype)), dtype, scale


def _scale(entries: np.ndarray) -> float:
    """Return the power of two to divide by where the squares of entries may leave the range of a double, else 1."""
    entries = entries.ravel(order="K")
    if 2.0**-500 < np.vdot(entries, entries).real < 2.0**500:
        return 1.0
    parts = (entries.real, entries.imag) if np.iscomplexobj(entries) else (entries,)
    exponent = math.frexp(max(max(part.max(initial=0.0), -part.min(initial=0.0)) for part in parts))[1]
    return 1.0 if -300 < exponent < 300 else 2.0 ** max(-1000, exponent)


def _scaled(found: Leading, scale: float) -> Leading:
    return Leading(found.eigenvalue * scale, found.residual * scale, found.method)
