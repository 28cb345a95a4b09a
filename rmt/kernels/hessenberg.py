"""The random Hessenberg form of a Ginibre matrix, column by column, and its unit form.

Householder reduction of an n x n Ginibre matrix leaves an upper Hessenberg matrix H with independent entries:
N(0, 1) on and above the diagonal (complex: CN(0, 1)), and chi with n - j degrees of freedom at (j + 1, j),
j = 1, ..., n - 1 (complex: the root of a Gamma(n - j, 1)). Column j is drawn from top to bottom, then its
subdiagonal entry, then column j + 1: a stream that goes on enlarges the leading block and redraws nothing.

The unit form D^-1 (H/s) D, s > 0, has ones on its subdiagonal: D = diag(c), c_0 = 1 and c_{j+1} = c_j H_{j+1,j}/s.
It is stored by columns: U[j, 0, i] is the real part of its entry (i, j), i <= j, and U[j, 1, i] the imaginary
part; for a real matrix U[j, 0, i] is all there is (the second axis, `parts`, has length 1).
"""

from __future__ import annotations

import math

import numpy as np

from rmt.kernels.compile import kernel
from rmt.kernels.lapack import complex_hessenberg_eigenvalues, real_hessenberg_eigenvalues


@kernel
def draw_column(rng, n, j, column):  # type: ignore[no-untyped-def]
    """Draw entries 0..j of column j of H into column (parts, >= j + 1), and return the entry (j + 1, j)."""
    degrees = n - 1 - j
    if column.shape[0] == 1:
        for i in range(j + 1):
            column[0, i] = rng.standard_normal()
        return math.sqrt(2 * rng.standard_gamma(0.5 * degrees)) if degrees > 0 else 0.0
    half = math.sqrt(0.5)
    for i in range(j + 1):
        column[0, i] = half * rng.standard_normal()
        column[1, i] = half * rng.standard_normal()
    return math.sqrt(rng.standard_gamma(float(degrees))) if degrees > 0 else 0.0


@kernel
def draw_unit_columns(rng, n, first, last, U, c):  # type: ignore[no-untyped-def]
    """Draw columns first..last - 1 of the unit form of H/sqrt(n) into U (>= last, parts, >= last).

    c (>= last + 1) holds c_0..c_first on entry, and c_0..c_last on return.
    """
    scale = 1 / math.sqrt(n)
    for j in range(first, last):
        below = draw_column(rng, n, j, U[j])
        factor = scale * c[j]
        for part in range(U.shape[1]):
            for i in range(j + 1):
                U[j, part, i] *= factor / c[i]
        c[j + 1] = c[j] * (scale * below)


@kernel
def draw_eigenvalues(rng, n, parts):  # type: ignore[no-untyped-def]
    """Draw H whole and return its eigenvalues, those of an n x n Ginibre matrix in law; parts: 1 real, 2 complex."""
    column = np.zeros((parts, n))
    if parts == 1:
        H = np.zeros((n, n))
        for j in range(n):
            below = draw_column(rng, n, j, column)
            for i in range(j + 1):
                H[j, i] = column[0, i]
            if j + 1 < n:
                H[j, j + 1] = below
        return real_hessenberg_eigenvalues(H)
    G = np.zeros((n, n), np.complex128)
    for j in range(n):
        below = draw_column(rng, n, j, column)
        for i in range(j + 1):
            G[j, i] = complex(column[0, i], column[1, i])
        if j + 1 < n:
            G[j, j + 1] = below
    return complex_hessenberg_eigenvalues(G)


@kernel
def block_eigenvalues(U, c, k):  # type: ignore[no-untyped-def]
    """Eigenvalues of the leading k x k block by QR, from its unit form with scaling c."""
    if U.shape[1] == 1:
        H = np.zeros((k, k))
        for j in range(k):
            for i in range(j + 1):
                H[j, i] = U[j, 0, i] * (c[i] / c[j])
            if j + 1 < k:
                H[j, j + 1] = c[j + 1] / c[j]
        return real_hessenberg_eigenvalues(H)
    G = np.zeros((k, k), np.complex128)
    for j in range(k):
        for i in range(j + 1):
            G[j, i] = complex(U[j, 0, i], U[j, 1, i]) * (c[i] / c[j])
        if j + 1 < k:
            G[j, j + 1] = c[j + 1] / c[j]
    return complex_hessenberg_eigenvalues(G)
