"""Hessenberg form of a dense matrix from the parts of LAPACK, and its unit form for the argument principle.

LAPACK's own driver takes 32 columns at a time and ends with 128 one by one, and has no say about the memory; with other
numbers it takes a fifth less time at n = 1024.
"""

from __future__ import annotations

import math

import numpy as np

from rmt.kernels.compile import kernel
from rmt.kernels.fortran import call
from rmt.kernels.lapack import complex_hessenberg_eigenvalues, real_hessenberg_eigenvalues

NEGLIGIBLE = 1e-30  # entries of the unit form are next to ones; single precision would make denormals of these
LINE = 8  # doubles
COLUMNS = 64  # taken together; fewer than these are left to the end
HIGHEST_RISE = 400.0  # of the logarithm of the scaling


def _odd_lines(n: int) -> int:
    """Return the length of a column of n entries: an odd number of cache lines.

    Where it is a power of two, all columns compete for a few places of the cache: a fifth of the time at n = 1024.
    """
    return LINE * ((n + LINE - 1) // LINE | 1)


def hessenberg_form(W: np.ndarray) -> np.ndarray:
    """Return a Hessenberg matrix with the eigenvalues of W (n, n), by columns: row j of the result is its column j.

    Entries (j, i), i > j + 1, of the result (n, >= n) are not zero: nobody is to read them.
    """
    n = len(W)
    stride = _odd_lines(n)
    A = np.empty((n, stride), W.dtype)
    A[:, :n] = W  # LAPACK reads the transpose, which has the same eigenvalues
    kind, adjoint = ("z", b"C") if A.dtype == np.complex128 else ("d", b"T")
    one, minus, tau = np.ones(1, A.dtype), -np.ones(1, A.dtype), np.empty(n, A.dtype)
    T, Y, work = (np.empty((COLUMNS, length), A.dtype) for length in (COLUMNS, stride, stride))
    i = 0
    while n - 1 - i > COLUMNS:
        # Reflectors V for the columns i, i + 1, ... below, and Y = A V T; then A - Y V^H, and (I - V T V^H)^H of that.
        j = i + COLUMNS
        call("lapack", kind + "lahr2", n, i + 1, COLUMNS, A[i], stride, tau[i:], T, COLUMNS, Y, stride)
        corner, A[j - 1, j] = A[j - 1, j], 1
        call(
            "blas", kind + "gemm", b"N", adjoint, n, n - j, COLUMNS,
            minus, Y, stride, A[i, j:], stride, one, A[j], stride,
        )  # fmt: skip
        A[j - 1, j] = corner
        call(
            "blas", kind + "trmm", b"R", b"L", adjoint, b"U", i + 1, COLUMNS - 1,
            one, A[i, i + 1 :], stride, Y, stride,
        )  # fmt: skip
        A[i + 1 : j, : i + 1] -= Y[: COLUMNS - 1, : i + 1]
        call(
            "lapack", kind + "larfb", b"L", adjoint, b"F", b"C", n - i - 1, n - j, COLUMNS,
            A[i, i + 1 :], stride, T, COLUMNS, A[j, i + 1 :], stride, work, stride,
        )  # fmt: skip
        i = j
    info = np.zeros(1, np.int32)
    call("lapack", kind + "gehd2", n, i + 1, n, A, stride, tau, work, info)
    return A


def hessenberg_eigenvalues(H: np.ndarray) -> np.ndarray:
    """Return the eigenvalues, complex, of a Hessenberg matrix given by columns."""
    solve = complex_hessenberg_eigenvalues if H.dtype == np.complex128 else real_hessenberg_eigenvalues
    result: np.ndarray = solve(H.copy(order="C"))
    if not np.isfinite(result).all():
        raise np.linalg.LinAlgError(f"the QR iteration did not find all {len(H)} eigenvalues")
    return result


@kernel
def unit_form(H, scale, U, S):  # type: ignore[no-untyped-def]
    """Put the unit form of H/scale (H by columns) into U (n, parts, >= n), rounded to single precision into S.

    Return whether that succeeded: the scaling c (`rmt.kernels.hessenberg`) may fall without bounds, where entries far
    from the diagonal vanish, but not rise again.
    """
    ratio = np.ones(len(H))  # c_j/c_i of the current column
    size = lowest = 0.0  # log c, and its least value
    for j in range(len(H)):
        if j > 0:
            below = H[j - 1, j].real / scale
            size, lowest = (size + math.log(abs(below)), lowest) if below != 0 else (0.0, 0.0)
            lowest = min(lowest, size)
            if size - lowest > HIGHEST_RISE:
                return False
            for i in range(j):
                ratio[i] = ratio[i] * below if abs(ratio[i]) > 1e-290 else 0.0
        for i in range(j + 1):
            entry = H[j, i] * (ratio[i] / scale)
            U[j, 0, i] = entry.real
            S[j, 0, i] = entry.real if abs(entry.real) > NEGLIGIBLE else 0.0
            if U.shape[1] == 2:
                U[j, 1, i] = entry.imag
                S[j, 1, i] = entry.imag if abs(entry.imag) > NEGLIGIBLE else 0.0
    return True
