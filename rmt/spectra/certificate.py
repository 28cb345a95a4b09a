"""The spectral radius of a dense matrix with a proof that no eigenvalue lies further out, without all of them.

The matrix is reduced to Hessenberg form, whose leading block tells about where the outermost eigenvalues are. The
argument principle then counts those of the whole matrix outside of a circle a little further in, and all of them
are found (`rmt.kernels.contour`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rmt.kernels.contour import EVERY, eigenvalues_outside, power_sums
from rmt.kernels.hyman import characteristic, newton
from rmt.kernels.reduction import hessenberg_eigenvalues, hessenberg_form, unit_form
from rmt.kernels.ritz import eigenpair
from rmt.kernels.scan import scan_workspace, wrapped

BLOCK = 5.0  # columns of the leading block, in units of sqrt(n)
NODES = 10.0  # on the upper half of the circle, in units of sqrt(n)
MOST_OUTSIDE = 10  # eigenvalues that a circle is to leave outside, as far as the block tells
GAP = 0.15, 0.6  # from the largest modulus to the circle, in units of it and of 1/sqrt(n)
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
    k = math.ceil(BLOCK * math.sqrt(len(H)))
    moduli = np.sort(np.abs(hessenberg_eigenvalues(H[:k, :k])))[::-1]
    eigenvalue = _by_count(H, moduli)
    if eigenvalue is None:
        return None
    residual = math.nan
    if with_residual:
        residual = eigenpair(np.tril(H, 1).T.copy(), eigenvalue, float(np.linalg.norm(moduli)))[2]
    return Leading(eigenvalue, residual, "hessenberg")


def _by_count(H: np.ndarray, moduli: np.ndarray) -> complex | None:
    """Return the proven eigenvalue of largest modulus of H, or None; `moduli` are guesses, decreasing."""
    n, parts = len(H), 2 if H.dtype == np.complex128 else 1
    scale, unit = moduli[0], 1 / math.sqrt(n)
    if not scale > 0:
        return None
    U, S = np.empty((n, parts, n + 8)), np.empty((n, parts, n + 8), np.float32)
    if not unit_form(H, scale, U, S):
        return None
    M = EVERY * math.ceil(parts * NODES * math.sqrt(n) / EVERY)
    v, work = np.empty((4, n + 1)), np.empty(scan_workspace(n), np.float32)
    for R, nodes in zip(_circles(moduli / scale, unit), (M, 2 * M), strict=False):
        points, logs = np.empty(nodes + 1, np.complex128), np.empty((nodes + 1, 2))
        count, z = eigenvalues_outside(U, S, n, n, R, nodes, unit, points, logs, logs, work, v)
        if count <= 0 or len(z) == 0 or not _complete(U, R, logs, z, v):
            continue
        leading = _polished(U, z, unit, v)
        if leading is not None:
            return complex(scale * leading)
    return None


def _circles(moduli: np.ndarray, unit: float) -> list[float]:
    """Radii to count outside of, best first: in the widest gaps between `moduli` (decreasing from 1) near 1."""
    edges = np.clip(np.append(moduli, 0.0)[: MOST_OUTSIDE + 1], 1 - GAP[1] * unit, 1 - GAP[0] * unit)
    widths = edges[:-1] - edges[1:]
    first, second = np.argsort(-widths, kind="stable")[:2]
    return [0.5 * (edges[i] + edges[i + 1]) for i in (first, second if widths[second] > 0 else first)]


def _complete(U: np.ndarray, R: float, logs: np.ndarray, z: np.ndarray, v: np.ndarray) -> bool:
    """Whether nothing can be missing among z, as many eigenvalues outside |z| = R as the phases in `logs` count.

    Two doubts are left: that the phase turned unseen between two nodes, and that single precision did not do.
    By Jensen's formula the mean of log|f| is the sum of log(|z|/R) over the eigenvalues outside, whatever the
    phases: another one as large as the largest would show in it. And log f is computed again in double precision.
    """
    n, M = len(U), len(logs) - 1
    outside = np.log(np.abs(z) / R)
    mean = power_sums(logs, M, 0, True)[0].real
    if not abs(mean - outside.sum()) < 0.3 * outside.max():
        return False
    nodes = np.arange(M // (2 * CHECKED), M, M // CHECKED)
    angles = U.shape[1] * math.pi / M * nodes
    double = np.array([characteristic(U, n, point, v)[0] for point in R * np.exp(1j * angles)])
    modulus = np.log(np.abs(double)) - n * math.log(R)
    turned = np.angle(double) - n * angles - logs[nodes, 1]  # up to a constant: `logs` begins with phase zero
    difference = modulus - logs[nodes, 0] + 1j * wrapped(turned - turned[0])
    return bool(np.all(np.abs(difference) < ROUNDING))


def _polished(U: np.ndarray, z: np.ndarray, unit: float, v: np.ndarray) -> complex | None:
    """Return the largest of z to double precision, or None if Newton's method leads away."""
    leading = None
    for start in z[np.abs(z) > np.abs(z).max() - 0.01 * unit]:
        moved, last, _ = newton(U, len(U), start, 1e-9, v)
        if not (last < 1e-9 and abs(moved - start) < 1e-3 * unit):
            return None
        if leading is None or abs(moved) > abs(leading):
            leading = moved
    return leading
