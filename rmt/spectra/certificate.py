"""The spectral radius of a dense matrix with a proof that no eigenvalue lies further out, without all of them.

The matrix is reduced to Hessenberg form, whose leading block mostly has the outermost eigenvalues already. The
argument principle then counts those of the whole matrix outside of a circle a little further in, and all of them
are found (`rmt.kernels.contour`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rmt.kernels.contour import EVERY
from rmt.kernels.hyman import characteristic, newton
from rmt.kernels.reduction import hessenberg_eigenvalues, hessenberg_form
from rmt.kernels.ritz import eigenpair
from rmt.kernels.scan import wrapped
from rmt.spectra.edge import Count, Counter, outermost

BLOCK = 6.0  # columns of the leading block, in units of sqrt(n)
MOST_OUTSIDE = 10  # eigenvalues that a circle is to leave outside, as far as the block tells
GAP = 0.15, 0.6  # from the largest modulus to the circle, in units of it and of 1/sqrt(n)
MOVE = 0.05  # by which an eigenvalue of the whole matrix may differ from that of the block, likewise
CHECKED = 8  # nodes at which single precision is compared with double
ROUNDING = 0.01  # by which log f may be off there

Criterion = Callable[[np.ndarray], np.ndarray]


class CertificationError(RuntimeError):
    """A leading eigenvalue could not be certified, and the matrix is too large for all its eigenvalues."""


class Leading(NamedTuple):
    """The eigenvalue that attains the statistic, its backward error, and how they were found."""

    eigenvalue: complex
    residual: float
    method: str


def proven_radius(W: np.ndarray, with_residual: bool) -> Leading | None:
    """Return the eigenvalue of largest modulus of a finite, well-scaled matrix (n, n), or None without a proof.

    The residual is NaN unless it is asked for.
    """
    H = hessenberg_form(W)
    eigenvalue = _leading(H)
    if eigenvalue is None:
        return None
    residual = math.nan
    if with_residual:
        whole = np.tril(H[:, : len(H)], 1).T.copy()
        residual = eigenpair(whole, eigenvalue, float(np.linalg.norm(whole)))[2]
    return Leading(eigenvalue, residual, "hessenberg")


def _leading(H: np.ndarray) -> complex | None:
    """Return the proven eigenvalue of largest modulus of H, by columns, or None."""
    n = len(H)
    k = min(n, math.ceil(BLOCK * math.sqrt(n)))
    edge = outermost(H[:k], n) if k < n else None
    if edge is not None:
        eigenvalue = _by_count(H, k, np.append(np.abs(edge.z), edge.R))
        if eigenvalue is not None:
            return eigenvalue
    return _by_count(H, n, np.abs(hessenberg_eigenvalues(H[:k, :k])))


def _by_count(H: np.ndarray, k: int, moduli: np.ndarray) -> complex | None:
    """Return the proven eigenvalue of largest modulus of H, or None; `moduli` are guesses, two at least.

    The block k is visited at all nodes of a circle, and the whole matrix, where that is more, at every fourth.
    """
    n, moduli = len(H), np.sort(moduli)[::-1]
    scale = float(moduli[0])
    counter = Counter(H, scale, n)
    if not counter.ready:
        return None
    for R, factor in zip(_circles(moduli / scale, counter.unit), (1, 2), strict=False):
        found = counter.outside(R, k, n, factor * counter.nodes)
        z = _polished(counter, found.z)
        if len(z) > 0 and _complete(counter, k, R, found, z):
            return complex(scale * z[np.argmax(np.abs(z))])
    return None


def _circles(moduli: np.ndarray, unit: float) -> list[float]:
    """Radii to count outside of, best first: in the widest gaps between `moduli` (decreasing from 1) near 1."""
    moduli = np.append(moduli, moduli[-1])  # two gaps at least, if one of no width
    edges = np.clip(moduli[: MOST_OUTSIDE + 1], 1 - GAP[1] * unit, 1 - GAP[0] * unit)
    widths = edges[:-1] - edges[1:]
    first, second = np.argsort(-widths, kind="stable")[:2]
    return [0.5 * (edges[i] + edges[i + 1]) for i in (first, second if widths[second] > 0 else first)]


def _polished(counter: Counter, z: np.ndarray) -> np.ndarray:
    """Return the eigenvalues of the whole matrix near z, the largest to double precision; none if one is not there."""
    n, unit = len(counter.U), counter.unit
    pairs = (z.imag != 0) & (counter.U.shape[1] == 1)
    guesses = np.concatenate([z[~pairs], z[pairs & (z.imag > 0)]])
    moved = guesses.copy()

    def polish(which: np.ndarray, tol: float) -> bool:
        for i in which:
            moved[i], last, _ = newton(counter.U, n, moved[i], tol, counter.v)
            if not (last < tol and abs(moved[i] - guesses[i]) < MOVE * unit):
                return False
        return True

    if not polish(np.arange(len(moved)), 1e-4 * unit):
        return z[:0]
    if not polish(np.flatnonzero(np.abs(moved) > np.abs(moved).max(initial=0.0) - 0.01 * unit), 1e-9):
        return z[:0]
    result: np.ndarray = np.concatenate([moved, moved[np.count_nonzero(~pairs) :].conj()])
    distances = np.abs(result[:, None] - result) + np.eye(len(result))
    return result if len(result) == len(z) and np.all(distances > 1e-3 * unit) else z[:0]


def _complete(counter: Counter, k: int, R: float, found: Count, z: np.ndarray) -> bool:
    """Whether nothing can be missing among z, as many eigenvalues outside |z| = R as the phases count.

    Two doubts are left: that the phase turned unseen between two nodes, and that single precision did not do.
    By Jensen's formula the mean of log|f| is the sum of log(|z|/R) over the eigenvalues outside, whatever the
    phases: another one as large as the largest would show in it. And log f is computed again in double precision.
    """
    n, logs = len(counter.U), found.logs
    mean = _mean(logs[:, 0])
    if k < n:
        logs = found.logs_larger
        mean += _mean(logs[:, 0] - found.logs[::EVERY, 0])
    outside = np.log(np.abs(z) / R)
    if not abs(mean - outside.sum()) < 0.3 * outside.max():
        return False
    M = len(logs) - 1
    nodes = np.arange(M // (2 * CHECKED), M, M // CHECKED)
    angles = counter.U.shape[1] * math.pi / M * nodes
    double = np.array([characteristic(counter.U, n, point, counter.v)[0] for point in R * np.exp(1j * angles)])
    modulus = np.log(np.abs(double)) - n * math.log(R)
    turned = np.angle(double) - n * angles - logs[nodes, 1]  # up to a constant, which is that of the first node
    difference = modulus - logs[nodes, 0] + 1j * wrapped(turned - turned[0])
    return bool(np.all(np.abs(difference) < ROUNDING))


def _mean(values: np.ndarray) -> float:
    """Return the mean over the circle, or over its upper half, of which both ends are nodes."""
    return float((values[1:] + values[:-1]).mean() / 2)
