"""Spectra of Ginibre matrices from random Hessenberg forms: radii from a certified part, eigenvalues from the whole."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from rmt import parallel
from rmt.kernels.hessenberg import draw_eigenvalues
from rmt.kernels.radius import CAPACITY, FAILED, sample_radius, workspace
from rmt.laws.radius import SpectralRadiusLaw
from rmt.streams import streams

# Circles to count eigenvalues outside of: quantiles of the radius. Correctness does not depend on them.
_PROBABILITIES = np.array([1e-12, 1e-6, 1e-3, 0.03, 0.2, 0.5, 0.8])
_START = 4
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
        ||G x - lambda x|| / ||x|| of the leading Ritz pair.
    error : ndarray of shape (size,)
        First-order bound on the relative error of the radius.
    retries : ndarray of shape (size,)
        Circles that led to no certificate before the one that did; -1 where the QR algorithm on the block decided.
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
            result.append(sample)
        return result

    starts = range(0, size, chunk)
    rows = [row for rows in parallel.thread_map(block, starts, len(starts)) for row in rows]
    radius, residual, error, retries = (np.array(column) for column in zip(*rows, strict=True))
    return KrylovSample(math.sqrt(n) * radius, math.sqrt(n) * residual, error, retries.astype(int))


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
