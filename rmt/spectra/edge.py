"""The outermost eigenvalues of Hessenberg matrices: all outside of some circle, in a tenth of the time of all.

The circle is moved until the argument principle (`rmt.kernels.contour`) counts a few.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from rmt.kernels.contour import EVERY, eigenvalues_outside
from rmt.kernels.reduction import hessenberg_eigenvalues, unit_form
from rmt.kernels.scan import scan_workspace

GUESS = 0.3  # of the columns tell about where the circle is to be
NODES = 10.0  # on the upper half of a circle, in units of sqrt(n)
TRIES = 8  # circles
STEP = 0.5  # from one circle to the next, in units of 1/sqrt(n)


class Count(NamedTuple):
    """A number of eigenvalues, -1 where it is not certain; themselves where they are few; log f at the nodes."""

    number: int
    z: np.ndarray
    logs: np.ndarray
    logs_larger: np.ndarray


class Counter:
    """Counts the eigenvalues outside of circles, of the leading blocks of H/scale, H given by columns.

    Neighbours among the eigenvalues are some 1/sqrt(n) of the largest apart. `ready` is False where H has no unit
    form.
    """

    def __init__(self, H: np.ndarray, scale: float, n: int) -> None:
        size, parts = len(H), 2 if H.dtype == np.complex128 else 1
        self.unit = 1 / math.sqrt(n)
        self.nodes = EVERY * math.ceil(parts * NODES * math.sqrt(n) / EVERY)
        self.U: np.ndarray = np.empty((size, parts, size + 8))
        self.v: np.ndarray = np.empty((4, size + 1))
        self._S: np.ndarray = np.empty((size, parts, size + 8), np.float32)
        self._work: np.ndarray = np.empty(scan_workspace(size), np.float32)
        self.ready = scale > 0 and bool(unit_form(H, scale, self.U, self._S))

    def outside(self, R: float, k: int, larger: int, nodes: int) -> Count:
        """Count those of the block k outside |z| = R, where the block `larger` has as many, and find them if few."""
        points, logs = np.empty(nodes + 1, np.complex128), np.empty((nodes + 1, 2))
        logs_larger = np.empty((nodes // EVERY + 1, 2))
        number, z = eigenvalues_outside(
            self.U, self._S, k, larger, R, nodes, self.unit, points, logs, logs_larger, self._work, self.v
        )
        if self.U.shape[1] == 1:  # found to 1e-4 units, from off the real axis
            on_axis = np.abs(z.imag) < 1e-3 * self.unit
            z[on_axis] = z[on_axis].real
        return Count(number, z, logs, logs_larger)


class Edge(NamedTuple):
    """All eigenvalues outside of the circle |z| = R, one at least."""

    z: np.ndarray
    R: float


def outermost(H: np.ndarray, n: int) -> Edge | None:
    """Return the outermost eigenvalues of H, by columns, or None if no circle is found with a few outside.

    n as for :class:`Counter`.
    """
    k = math.ceil(GUESS * len(H))
    guess = float(np.abs(hessenberg_eigenvalues(H[:k, :k])).max())
    counter = Counter(H, guess, n)
    if not counter.ready:
        return None
    step = STEP * counter.unit
    R, low, high = 1 - step, 0.0, math.inf
    for _ in range(TRIES):
        number, z, _, _ = counter.outside(R, len(H), len(H), counter.nodes)
        if len(z) > 0:
            return Edge(guess * z, guess * R)
        if number > 0:  # too many
            low, R = R, min(R + step, (R + high) / 2)
        elif number == 0:
            high, R = R, max(R - step, (low + R) / 2)
        else:
            R -= 0.3 * step
    return None
