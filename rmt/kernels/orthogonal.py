"""Orthogonalisation against the rows of a basis, the step of Arnoldi's method."""

from __future__ import annotations

import numpy as np

from rmt.kernels.compile import kernel

ROWS = 4


@kernel(fastmath={"reassoc", "contract", "nsz"}, forceinline=True)
def orthogonalise(V: np.ndarray, w: np.ndarray, overlaps: np.ndarray) -> None:
    """Take from w (n,) its projection on each of the orthonormal rows of V, real, and fill `overlaps` with its length.

    Four rows at a time, so that w is read and written a quarter as often as by products of BLAS; and each of them on
    what those before have left, while the rows are still in the cache.
    """
    whole = len(V) // ROWS * ROWS
    for j in range(0, whole, ROWS):
        v0, v1, v2, v3 = V[j], V[j + 1], V[j + 2], V[j + 3]
        c0 = c1 = c2 = c3 = 0.0
        for i in range(len(w)):
            c0 += v0[i] * w[i]
            c1 += v1[i] * w[i]
            c2 += v2[i] * w[i]
            c3 += v3[i] * w[i]
        overlaps[j], overlaps[j + 1], overlaps[j + 2], overlaps[j + 3] = c0, c1, c2, c3
        for i in range(len(w)):
            w[i] -= c0 * v0[i] + c1 * v1[i] + c2 * v2[i] + c3 * v3[i]
    for j in range(whole, len(V)):
        v, c = V[j], 0.0
        for i in range(len(w)):
            c += v[i] * w[i]
        overlaps[j] = c
        for i in range(len(w)):
            w[i] -= c * v[i]
