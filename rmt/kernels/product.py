"""The product of one matrix with a few vectors, the step of every recurrence.

BLAS packs the whole matrix anew for each product with a block of vectors, which costs a third of the time where there
are 32 of them. A recurrence packs it once.
"""

from __future__ import annotations

import math

import numpy as np

from rmt.kernels.compile import kernel
from rmt.kernels.tile import ROWS, VECTORS, add_tile

DEPTH = 512  # columns of W that are taken together: so much of a panel, and of the next, stay in the second cache
LEAST_STEPS = 16  # for packing to pay
LINE = 8  # doubles


def panels_for(W: np.ndarray, vectors: int, steps: int) -> np.ndarray:
    """Return memory to `pack` W (n, n) in for `steps` products, (panels, n, ROWS); none where that does not pay.

    It begins at a cache line. It is NumPy's, which asks the system for huge pages, as Numba does not.
    """
    n = len(W)
    if W.ndim == 1 or W.dtype == np.complex128 or vectors < VECTORS or steps < LEAST_STEPS or n < ROWS:
        return np.empty((0, 0, 0))
    shape = ((n + ROWS - 1) // ROWS, n, ROWS)
    size = math.prod(shape)
    memory = np.empty(size + LINE)
    first = -(memory.ctypes.data // memory.itemsize) % LINE
    return memory[first : first + size].reshape(shape)


@kernel
def pack(W: np.ndarray, panels: np.ndarray) -> None:
    """Fill `panels`, if there are any, with ROWS rows of W each, and with zeros beyond the last row."""
    if W.ndim == 1:
        return
    panels[-1:] = 0.0
    for p in range(len(panels)):
        first = p * ROWS
        for k in range(len(W)):
            for r in range(min(ROWS, len(W) - first)):
                panels[p, k, r] = W[first + r, k].real


@kernel
def workspace(panels: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what `multiply_packed` takes for `panels` and h (S, n): memory, a copy of h, and room for its image.

    Where there are panels, the last two have more rows and columns, to a multiple of VECTORS and of ROWS.
    """
    count, n = h.shape
    groups = np.empty(((count + VECTORS - 1) // VECTORS, panels.shape[1], VECTORS))
    shape = (VECTORS * len(groups), ROWS * len(panels)) if len(panels) > 0 else (count, n)
    state = np.zeros(shape, h.dtype)
    state[:count, :n] = h
    return groups, state, np.zeros_like(state)


@kernel(forceinline=True)
def multiply(W: np.ndarray, h: np.ndarray, out: np.ndarray) -> None:
    """Fill out[s] = W h[s], for W (n, n) or a diagonal (n,), and h, out (S, n); all C-contiguous and of one type."""
    if W.ndim == 1:
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


@kernel(forceinline=True)
def multiply_packed(W: np.ndarray, panels: np.ndarray, groups: np.ndarray, h: np.ndarray, out: np.ndarray) -> None:
    """Do the same by `panels`, in which W is packed, if there are any.

    The others are a `workspace`. Rows of zeros stay zeros.
    """
    if len(panels) > 0:
        _multiply_panels(panels, groups, h, out)
    else:
        multiply(W, h, out)


@kernel
def _multiply_panels(panels: np.ndarray, groups: np.ndarray, h: np.ndarray, out: np.ndarray) -> None:
    n = panels.shape[1]
    for s in range(len(h)):
        for k in range(n):
            groups[s // VECTORS, k, s % VECTORS] = h[s, k].real
    out[:] = 0.0
    column, stride = panels.itemsize * ROWS, out.itemsize * out.shape[1]
    pace = column // len(groups)
    for k in range(0, n, DEPTH):
        depth = min(DEPTH, n - k)
        for p in range(len(panels)):
            # The panel that comes next, here or in the next columns or in the next product.
            following = k + DEPTH if p + 1 == len(panels) else k
            ahead = panels[(p + 1) % len(panels), following if following < n else 0 :].ctypes.data
            panel = panels[p, k:].ctypes.data
            for g in range(len(groups)):
                target = out[VECTORS * g, ROWS * p :].ctypes.data
                wanted = ahead + g * depth * pace
                add_tile(panel, groups[g, k:].ctypes.data, depth, target, stride, wanted, pace)  # type: ignore[call-arg]


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
