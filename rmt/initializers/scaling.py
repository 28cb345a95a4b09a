"""Matrices scaled to a spectral radius, by a radius that is proven."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse

from rmt import checks
from rmt.spectra.given import spectral_radius

# The default target: a memory of about 100 steps.
RADIUS = 0.99

# Up to this size, a sparse matrix is scaled by a radius that is proven, as a dense one is.
PROVEN_N = 4096


def scale_to_radius(W: Any, radius: float = RADIUS) -> Any:
    """Scale matrices so that their spectral radius is `radius`.

    Parameters
    ----------
    W : array_like of shape (..., n, n), or SciPy sparse matrix of shape (n, n)
        The matrices, each with a spectral radius > 0.
    radius : float
        The spectral radius that each is given, > 0.

    Returns
    -------
    ndarray or sparse matrix
        As `W`, in its floating type (integers become doubles), exact to the rounding of that type.

    Raises
    ------
    rmt.checks.InputError
        If W is not square and finite or has a radius of 0, or `radius` is not positive.
    rmt.CertificationError
        As for :func:`rmt.spectral_radius`.

    Notes
    -----
    The radius that is divided by is proven (:func:`rmt.spectral_radius`), for sparse matrices up to n = 4096; a larger
    sparse one has it from two Krylov spaces that agree. ARPACK with one vector, the usual way, can return a smaller
    eigenvalue than the largest, and the matrix then keeps a radius above the target.

    Examples
    --------
    >>> import rmt
    >>> rmt.initializers.scale_to_radius([[0.0, 4.0], [1.0, 0.0]], 0.5)
    array([[0.  , 1.  ],
           [0.25, 0.  ]])
    """
    if issparse(W):
        scaled = W * float(factors(W.toarray() if W.shape[0] <= PROVEN_N else W, radius))
        return scaled.astype(_floating(W.dtype), copy=False)
    W = np.asarray(W)
    return (W * factors(W, radius)[..., None, None]).astype(_floating(W.dtype), copy=False)


def factors(W: Any, radius: float) -> np.ndarray:
    """Return the factor, for each matrix of W, that gives it the spectral radius `radius`."""
    radius = checks.real("radius", radius, above=0)
    present = np.asarray(spectral_radius(W))
    with np.errstate(divide="ignore", over="ignore"):
        result = radius / present
    if not np.all(np.isfinite(result)):
        raise checks.InputError("W must have a spectral radius > 0 to be scaled, got a matrix whose radius is 0")
    return result


def _floating(dtype: np.dtype) -> np.dtype:
    return dtype if dtype.kind in "fc" else np.dtype(np.float64)
