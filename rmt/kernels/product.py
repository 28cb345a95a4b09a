"""The product of one matrix with a few vectors, the step of every recurrence.

BLAS packs the whole matrix anew for each product with a block of vectors, which costs a third of the time where there
are 32 of them. A recurrence packs it once.
"""

from __future__ import annotations

import numpy as np

from rmt.kernels.compile import kernel
from rmt.kernels.tile import ROWS, VECTORS, add_tile

DEPTH = 512  # columns of W that are taken together: so much of a panel, and of the next, stay in the second cache
LEAST_STEPS = 16  # for packing to pay


@kernel
def packed(W: np.ndarray, vectors: int, steps: int) -> np.ndarray:
    """Return W (n, n) as panels of ROWS rows, (panels, n, ROWS), for `steps` products; none where that does not pay.

    The last panel overlaps the one before, so that all are whole.
    """
    n = len(W)
    if W.ndim == 1 or W.itemsize == 16 or vectors < VECTORS or steps < LEAST_STEPS or n < ROWS:
        return np.empty((0, 0, 0))
    panels = np.empty(((n + ROWS - 1) // ROWS, n, ROWS))
    for p in range(len(panels)):
        first = min(p * ROWS, n - ROWS)
        for k in range(n):
            for r in range(ROWS):
                panels[p, k, r] = W[first + r, k].real
    return panels


@kernel(forceinline=True)
def multiply(W: np.ndarray, panels: np.ndarray, h: np.ndarray, out: np.ndarray) -> None:
    """Fill out[s] = W h[s], for W (n, n) or a diagonal (n,), and h, out (S, n); all C-contiguous and of one type.

    `panels` is W as `packed` returns it.
    """
    if len(panels) > 0:
        _multiply_packed(panels, h, out)
    elif W.ndim == 1:
        for s in range(len(h)):
            for j in range(len(W)):
                out[s, j] = W[j] * h[s, j]
    elif len(h) == 2 and len(W) >= 4 and W.itemsize == 8:
        _multiply_pair(W, h, out)
    elif len(h) < VECTORS:
        for s in range(len(h)):
            np.dot(W, h[s], out[s])
    else:
        np.dot(h, W.T, out)


@kernel
def _multiply_packed(panels: np.ndarray, h: np.ndarray, out: np.ndarray) -> None:
    count, n = h.shape
    groups = np.zeros(((count + VECTORS - 1) // VECTORS, n, VECTORS))
    for s in range(count):
        for k in range(n):
            groups[s // VECTORS, k, s % VECTORS] = h[s, k].real
    whole = count // VECTORS * VECTORS
    rest = np.empty((VECTORS, ROWS))
    pace = panels.itemsize * ROWS // len(groups)
    last = panels[-1, -1:].ctypes.data
    for p in range(len(panels)):
        first = min(p * ROWS, n - ROWS)
        out[:, first : first + ROWS] = 0.0
        rest[:] = 0.0
        for k in range(0, n, DEPTH):
            panel, depth = panels[p, k:].ctypes.data, min(DEPTH, n - k)
            ahead = panel + panels.itemsize * ROWS * depth  # where the next panel begins
            if ahead > last:
                ahead = panels.ctypes.data
            for g in range(len(groups)):
                s = VECTORS * g
                target, stride = out[s:, first:].ctypes.data, out.itemsize * n
                if s == whole:
                    target, stride = rest.ctypes.data, rest.itemsize * ROWS
                add_tile(panel, groups[g, k:].ctypes.data, depth, target, stride, ahead + g * depth * pace, pace)  # type: ignore[call-arg]
        out[whole:, first : first + ROWS] = rest[: count - whole]


@kernel(fastmath={"reassoc", "contract", "nsz"}, forceinline=True)
def _multiply_pair(W: np.ndarray, h: np.ndarray, out: np.ndarray) -> None:
    """Take both vectors through one pass over W, four rows at a time."""
    u, v = h[0], h[1]
    for row in range(0, len(W), 4):
        i = min(row, len(W) - 4)  # the last four overlap those before
        w0, w1, w2, w3 = W[i], W[i + 1], W[i + 2], W[i + 3]
        a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = 0.0
        for k in range(W.shape[1]):
            a, b = u[k], v[k]
            a0, a1, a2, a3 = a0 + a * w0[k], a1 + a * w1[k], a2 + a * w2[k], a3 + a * w3[k]
            b0, b1, b2, b3 = b0 + b * w0[k], b1 + b * w1[k], b2 + b * w2[k], b3 + b * w3[k]
        out[0, i], out[0, i + 1], out[0, i + 2], out[0, i + 3] = a0, a1, a2, a3
        out[1, i], out[1, i + 1], out[1, i + 2], out[1, i + 3] = b0, b1, b2, b3
