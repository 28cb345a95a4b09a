"""Spectra of Ginibre matrices from random Hessenberg forms: radii from a certified part, eigenvalues from the whole."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from rmt import parallel
from rmt.kernels.hessenberg import draw_eigenvalues
from rmt.kernels.radius import CAPACITY, FAILED, LARGER, sample_radius, workspace
from rmt.laws.radius import SpectralRadiusLaw
from rmt.spectra.certificate import CertificationError
from rmt.streams import streams

# Circles to count eigenvalues outside of: quantiles of the radius. Correctness does not depend on them.
_PROBABILITIES = np.array([1e-12, 1e-6, 1e-3, 0.03, 0.2, 0.5, 0.8])
_START = 4
ROUNDING = 2.0**-48  # twice what separates these radii from those of the QR algorithm, relative to the norm of H
LARGEST_KRYLOV_N = 10_000_000  # 4 GB a thread
_CHUNK = 64  # samples that share a workspace, at most


@dataclass(frozen=True)
class KrylovSample:
    """Spectral radii of n x n Ginibre matrices with entries of variance 1, and how sure each of them is.

    Attributes
    ----------
    radius : ndarray of shape (size,)
        Largest modulus of an eigenvalue.
    residual : ndarray of shape (size,)
        ||G x - lambda x|| / ||x|| of the leading Ritz pair; NaN where `retries` is -2.
    error : ndarray of shape (size,)
        First-order bound on the relative error of the radius, and what rounding may add; NaN where `retries` is -2.
    retries : ndarray of shape (size,)
        Circles that led to no certificate before the one that did; -1 where the QR algorithm on the block decided;
        -2 where no block led to a certificate: the radius is that of all eigenvalues of the whole matrix.
    """

    radius: np.ndarray
    residual: np.ndarray
    error: np.ndarray
    retries: np.ndarray


@lru_cache(maxsize=64)
def _radii(n: int, field: str) -> np.ndarray:
    # At the edge of the disc a real matrix has half as many independent eigenvalues as a complex one.
    power = 2 if field == "real" else 1
    return np.sort(SpectralRadiusLaw(n, "complex").ppf(_PROBABILITIES**power))


def krylov_radii(n: int, field: str, size: int, *, rng: Any = None) -> KrylovSample:
    """Sample spectral radii of n x n Ginibre matrices with entries of variance 1 (complex: E|g|^2 = 1).

    Each sample draws the leading columns of the Hessenberg form of the matrix, as many as its certificate needs:
    O(n) memory, O(n^1.5) operations.

    Parameters
    ----------
    n : int
        Size of the matrix.
    field : {"real", "complex"}
        Field of the entries.
    size : int
        Number of samples.
    rng : SPEC 7 value, optional
        Sample i depends on the state of `rng` and on i, not on `size` nor on the number of threads.

    Returns
    -------
    KrylovSample
        Radii, residuals, error bounds and retries, each of shape (size,).

    Raises
    ------
    CertificationError
        If a sample has no certificate and the QR algorithm does not find all eigenvalues of its matrix.

    References
    ----------
    Edelman & Rao (2005), Acta Numerica 14, 233-297, section 4.3 (random Hessenberg forms);
    Wilkinson (1965), The Algebraic Eigenvalue Problem, chapter 7 (Hyman's method).

    Examples
    --------
    >>> sample = krylov_radii(100, "real", 5, rng=0)
    >>> sample.radius.shape, bool((sample.error < 1e-10).all())
    ((5,), True)
    """
    parts = 1 if field == "real" else 2
    radii = _radii(n, field)
    generators = streams(rng, size)
    chunk = max(1, min(_CHUNK, math.ceil(size / (4 * parallel.threads()))))

    def block(first: int) -> list[tuple[float, float, float, int]]:
        arrays = workspace(n, parts)
        result = []
        for i in range(first, min(first + chunk, size)):
            sample = sample_radius(generators[i], n, radii, _START, arrays)
            capacity = CAPACITY
            while sample[3] == FAILED and capacity * math.sqrt(n) < n:
                # The same stream draws the same matrix, of which the workspace now holds more.
                capacity *= 2
                sample = sample_radius(generators[i], n, radii, _START, workspace(n, parts, capacity))
            result.append(_by_all_eigenvalues(generators[i], n, parts) if sample[3] == FAILED else sample)
        return result

    starts = range(0, size, chunk)
    rows = [row for rows in parallel.thread_map(block, starts, len(starts)) for row in rows]
    radius, residual, error, retries = (np.array(column) for column in zip(*rows, strict=True))
    # Columns of H/sqrt(n) have norms near 1: this is the norm of those that most samples draw.
    error += ROUNDING * math.sqrt(min(n, LARGER * math.sqrt(n)))
    return KrylovSample(math.sqrt(n) * radius, math.sqrt(n) * residual, error, retries.astype(int))


def _by_all_eigenvalues(generator: np.random.Generator, n: int, parts: int) -> tuple[float, float, float, int]:
    """Return the radius of the whole matrix that a stream draws, in the form of `sample_radius`."""
    radius = float(np.abs(draw_eigenvalues(generator, n, parts)).max()) / math.sqrt(n)
    if math.isnan(radius):
        raise CertificationError(
            f"a sampled radius with n = {n:,} has no certificate, and the QR algorithm did not converge either"
        )
    return radius, math.nan, math.nan, FAILED


def krylov_spectra(n: int, field: str, size: int, *, rng: Any = None) -> np.ndarray:
    """Sample all eigenvalues of n x n Ginibre matrices with entries of variance 1, from their Hessenberg forms.

    Parameters
    ----------
    n, field, size, rng
        As for :func:`krylov_radii`, and a stream draws the same matrix here as it does there.

    Returns
    -------
    complex ndarray of shape (size, n)
    """
    parts = 1 if field == "real" else 2

    def spectrum(generator: np.random.Generator) -> np.ndarray:
        return draw_eigenvalues(generator, n, parts)

    result = np.stack(parallel.thread_map(spectrum, streams(rng, size), size))
    if np.isnan(result).any():
        raise np.linalg.LinAlgError("the QR algorithm did not converge")
    return result
