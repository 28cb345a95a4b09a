"""Spectral radii and eigenvalues, sampled from an ensemble."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rmt import checks, parallel
from rmt.ensembles.base import Ensemble
from rmt.ensembles.diagonal import Diagonal
from rmt.ensembles.gaussian import Ginibre
from rmt.ensembles.iid import as_ginibre
from rmt.ensembles.product import IndependentProduct
from rmt.laws.radius import LARGEST_N, SpectralRadiusLaw
from rmt.spectra.krylov import LARGEST_KRYLOV_N, krylov_radii, krylov_spectra
from rmt.streams import streams

METHODS = ("auto", "law", "krylov", "dense")


def sample_spectral_radius(ensemble: Ensemble, size: int, *, method: str = "auto", rng: Any = None) -> np.ndarray:
    """Sample the spectral radius max |lambda| of a random matrix.

    Parameters
    ----------
    ensemble : Ensemble
        Law of the matrix.
    size : int
        Number of samples.
    method : {"auto", "law", "krylov", "dense"}
        "law" inverts the exact distribution function and needs no matrix: for Gaussian entries and for the
        diagonal ensembles with a Ginibre spectrum, n <= 65,536 if real, n <= 1e12 if complex. "krylov", for the
        same ensembles and n <= 1e7, draws as much of the Hessenberg form of each matrix as it takes to certify
        its radius to 1e-11 relative, or all of it where there is no certificate: O(n) memory (400 n bytes a
        thread), O(n^1.5) operations. "dense" draws each matrix, or its eigenvalues where the ensemble knows them
        without, O(n^3) operations a sample.
        "auto" is "law" where that exists, else "krylov" where that does, else "dense".
    rng : SPEC 7 value, optional
        Sample i depends on the state of `rng` and on i, not on `size` nor on the number of threads.

    Returns
    -------
    ndarray of shape (size,)

    Raises
    ------
    InputError
        If the method does not fit the ensemble, an argument is out of its range, or a matrix or the result does not
        fit into memory.

    References
    ----------
    Kostlan (1992), Linear Algebra Appl. 162-164, 385-388, theorem 1.1 (the exact law, complex);
    Rider & Sinclair (2014), Ann. Appl. Probab. 24, 1621-1651, section 2 (real).

    Examples
    --------
    >>> import rmt
    >>> rmt.sample_spectral_radius(rmt.glorot(50), 3, rng=0).shape
    (3,)
    >>> rmt.sample_spectral_radius(rmt.Haar(50), 2)
    array([1., 1.])
    """
    _check_spectrum(ensemble)
    size = checks.integer("size", size)
    checks.memory("the result", 8 * size, size=size)
    checks.choice("method", method, METHODS)
    ginibre = same_spectrum(ensemble)
    if method == "auto":
        method = "dense" if ginibre is None else "law" if ginibre.n <= LARGEST_N[ginibre.field] else "krylov"
    if method == "dense":
        return np.array(parallel.thread_map(ensemble.radius, streams(rng, size), size))
    if ginibre is None:
        raise checks.InputError(f"method must be 'auto' or 'dense' for {ensemble!r}, got {method!r}")
    if method == "krylov":
        checks.integer("n", ginibre.n, maximum=LARGEST_KRYLOV_N)
        sample = krylov_radii(ginibre.n, ginibre.field, size, rng=rng)
        return ginibre.scale / math.sqrt(ginibre.n) * sample.radius
    return SpectralRadiusLaw(ginibre.n, ginibre.field, ginibre.scale).rvs(size, rng=rng)


def sample_eigenvalues(ensemble: Ensemble, size: int, *, rng: Any = None) -> np.ndarray:
    """Sample all eigenvalues of a random matrix, in no particular order.

    Parameters
    ----------
    ensemble : Ensemble
        Law of the matrix.
    size : int
        Number of samples.
    rng : SPEC 7 value, optional
        Sample i depends on the state of `rng` and on i, not on `size` nor on the number of threads.

    Returns
    -------
    complex ndarray of shape (size, n)

    Raises
    ------
    InputError
        If the ensemble has no single matrix, an argument is out of its range, or a matrix or the result does not fit
        into memory.

    References
    ----------
    Golub & Van Loan (2013), Matrix Computations, section 7.5 (QR algorithm);
    Edelman & Rao (2005), Acta Numerica 14, 233-297, section 4.3 (the Hessenberg form of a Gaussian matrix, which
    is drawn here in place of the matrix).

    Examples
    --------
    >>> import rmt
    >>> rmt.sample_eigenvalues(rmt.glorot(4), 2, rng=0).shape
    (2, 4)
    """
    _check_spectrum(ensemble)
    size = checks.integer("size", size)
    checks.memory("the result", 16 * size * ensemble.n, n=ensemble.n, size=size)
    ginibre = same_spectrum(ensemble)
    if ginibre is not None:
        checks.memory("the Hessenberg form", ginibre.dtype.itemsize * ginibre.n**2, n=ginibre.n)
        return ginibre.scale / math.sqrt(ginibre.n) * krylov_spectra(ginibre.n, ginibre.field, size, rng=rng)
    return np.stack(parallel.thread_map(ensemble.checked_eigenvalues, streams(rng, size), size))


def sample_eigenvalue_moduli(ensemble: Ensemble, size: int, *, rng: Any = None) -> np.ndarray:
    """Sample the moduli of all eigenvalues of a random matrix, in no particular order.

    For complex Gaussian entries neither matrix nor eigenvalues are needed: the squared moduli of the n eigenvalues are,
    as a set, independent gamma variables, n of them instead of O(n^3) operations. For all others these are the
    absolute values of :func:`sample_eigenvalues`.

    Parameters
    ----------
    ensemble : Ensemble
        Law of the matrix.
    size : int
        Number of samples.
    rng : SPEC 7 value, optional
        Sample i depends on the state of `rng` and on i, not on `size` nor on the number of threads.

    Returns
    -------
    ndarray of shape (size, n)

    Raises
    ------
    InputError
        If the ensemble has no single matrix, an argument is out of its range, or a matrix or the result does not fit
        into memory.

    References
    ----------
    Kostlan (1992), Linear Algebra Appl. 162-164, 385-388, theorem 1.1.

    Examples
    --------
    >>> import rmt
    >>> rmt.sample_eigenvalue_moduli(rmt.glorot(4, "complex"), 2, rng=0).shape
    (2, 4)
    """
    _check_spectrum(ensemble)
    size = checks.integer("size", size)
    ginibre = same_spectrum(ensemble)
    if ginibre is None or ginibre.field == "real":
        return np.abs(sample_eigenvalues(ensemble, size, rng=rng))
    checks.memory("the result", 8 * size * ginibre.n, n=ginibre.n, size=size)
    shapes = np.arange(1, ginibre.n + 1)
    squares = parallel.thread_map(lambda stream: stream.standard_gamma(shapes), streams(rng, size), size)
    return ginibre.scale * np.sqrt(np.stack(squares) / ginibre.n)


def same_spectrum(ensemble: Ensemble) -> Ginibre | None:
    """Return the Ginibre ensemble whose eigenvalues have the joint law of those of `ensemble`, or None."""
    return ensemble.ginibre if type(ensemble) is Diagonal else as_ginibre(ensemble)


def _check_spectrum(ensemble: Any) -> None:
    if not isinstance(ensemble, Ensemble):
        raise checks.InputError(f"ensemble must be an ensemble such as Ginibre(n), got {checks.shown(ensemble)}")
    if isinstance(ensemble, IndependentProduct):
        raise checks.InputError(f"ensemble must have a single matrix to have a spectrum, got {checks.shown(ensemble)}")
