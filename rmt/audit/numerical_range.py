"""The numerical radius of a matrix, between two bounds."""

from __future__ import annotations

import heapq
import math

import numpy as np
from scipy.linalg import LinAlgError, cholesky, eigh
from scipy.sparse.linalg import ArpackError, eigsh

START = 4  # intervals of the half circle
LARGE = 512  # n from which an eigenvalue is bounded, which then is faster than to compute it
SLACK = 1e-5  # relative width of these bounds


def numerical_radius(W: np.ndarray, tol: float = 0.005) -> tuple[float, float]:
    """Return bounds low <= w(W) <= high of the numerical radius, with high <= (1 + tol) low.

    w(W) = max |x* W x| over unit vectors x bounds all powers: ||W^k|| <= 2 w^k. It is the largest, over all angles a,
    of f(a), the largest eigenvalue of the Hermitian part of exp(i a) W. Each f(a) is a lower bound. The numerical range
    lies in the half plane Re(exp(i a) z) <= f(a), so that the corner of two such half planes is an upper bound between
    their angles. The interval with the largest upper bound is halved until the bounds meet.

    Parameters
    ----------
    W : ndarray of shape (n, n)
        Real or complex. Each angle takes an eigenvalue computation of O(n^3), or from n = 512 on a Krylov space and a
        Cholesky factorisation; a random real matrix, whose numerical range is nearly a disc, takes some 16 angles.
    tol : float
        Relative width at which to stop.

    Returns
    -------
    float, float
        Both to rounding.

    References
    ----------
    C. R. Johnson, "Numerical determination of the field of values of a general complex matrix", SIAM J. Numer. Anal. 15
    (1978); C. A. Berger (1965) for the powers.

    Examples
    --------
    >>> import numpy as np
    >>> from rmt.audit.numerical_range import numerical_radius
    >>> low, high = numerical_radius(np.array([[0.0, 1.0], [0.0, 0.0]]))     # 1/2
    >>> bool(low <= 0.5 + 1e-15), bool(high >= 0.5 - 1e-15), high <= 1.005 * low
    (True, True, True)
    """
    # The numerical range of a real matrix is symmetric about the real axis.
    whole, count = (2 * math.pi, 2 * START) if np.iscomplexobj(W) else (math.pi, START)
    angles = [whole * i / count for i in range(count + 1)]
    lows, values = zip(*(bounds(W, angle) for angle in angles), strict=True)
    low = max(lows)
    intervals = [
        (-_corner(values[i], values[i + 1], whole / count), angles[i], angles[i + 1], values[i], values[i + 1])
        for i in range(count)
    ]
    heapq.heapify(intervals)
    while -intervals[0][0] > (1 + tol) * low:
        _, a, b, at_a, at_b = heapq.heappop(intervals)
        middle = 0.5 * (a + b)
        at_least, value = bounds(W, middle)
        low = max(low, at_least)
        for left, right, at_left, at_right in ((a, middle, at_a, value), (middle, b, value, at_b)):
            heapq.heappush(intervals, (-_corner(at_left, at_right, right - left), left, right, at_left, at_right))
    return low, max(low, -intervals[0][0])


def bounds(W: np.ndarray, angle: float) -> tuple[float, float]:
    """Return bounds of :func:`support`, at most SLACK apart, relatively, and equal for small matrices.

    The lower one is a Rayleigh quotient. That the upper one less the Hermitian part is positive definite, and so that
    the Krylov space has missed nothing, is proven by its Cholesky factorisation.
    """
    if len(W) >= LARGE:
        part = _hermitian_part(W, angle)
        try:
            start = np.random.default_rng(0).standard_normal(len(W)).astype(part.dtype)
            low = float(eigsh(part, k=1, which="LA", v0=start, tol=1e-4, return_eigenvectors=False)[0])
            high = low + SLACK * abs(low)
            cholesky(high * np.eye(len(W)) - part, overwrite_a=True, check_finite=False)
        except (ArpackError, LinAlgError):
            pass
        else:
            return low, high
    value = support(W, angle)
    return value, value


def support(W: np.ndarray, angle: float) -> float:
    """Return the largest eigenvalue of the Hermitian part of exp(i angle) W; at angle 0 the numerical abscissa."""
    part = _hermitian_part(W, angle)
    last = len(W) - 1
    return float(eigh(part, eigvals_only=True, subset_by_index=[last, last], check_finite=False)[0])


def _hermitian_part(W: np.ndarray, angle: float) -> np.ndarray:
    turned = W if angle == 0 else -W if angle == math.pi else np.exp(1j * angle) * W
    return np.asarray(0.5 * (turned + turned.conj().T))


def _corner(at_a: float, at_b: float, width: float) -> float:
    """Bound f between two angles `width` < pi apart from its values there."""
    along_a = (at_b - at_a * math.cos(width)) / math.sin(width)
    along_b = (at_a - at_b * math.cos(width)) / math.sin(width)
    # Where the corner of the two half planes does not lie between the two directions, f is largest at an end.
    return math.hypot(at_a, along_a) if along_a > 0 and along_b > 0 else max(at_a, at_b)
