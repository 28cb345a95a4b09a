"""Hessenberg form of a dense matrix by LAPACK, and its unit form for the argument principle."""

from __future__ import annotations

import math
from collections.abc import Callable
from ctypes import CFUNCTYPE, byref, c_int, c_void_p
from functools import cache
from typing import Any

import numpy as np
from numba.extending import get_cython_function_address
from scipy.linalg import lapack

from rmt.kernels.compile import kernel
from rmt.kernels.lapack import complex_hessenberg_eigenvalues, real_hessenberg_eigenvalues

NEGLIGIBLE = 1e-30  # entries of the unit form are next to ones; single precision would make denormals of these
LINE = 8  # doubles
HIGHEST_RISE = 400.0  # of the logarithm of the scaling


@cache
def _gehrd(name: str) -> Callable[..., None]:
    # Through ctypes, which releases the interpreter's lock; in Fortran every argument is an address.
    return CFUNCTYPE(None, *[c_void_p] * 9)(get_cython_function_address("scipy.linalg.cython_lapack", name))


@cache
def _best_workspace(name: str, n: int) -> int:
    query: Any = getattr(lapack, name + "_lwork")
    return int(query(n)[0].real)


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
    A = np.empty((n, _odd_lines(n)), W.dtype)
    A[:, :n] = W  # LAPACK reads the transpose, which has the same eigenvalues
    name = "zgehrd" if A.dtype == np.complex128 else "dgehrd"
    tau, work = np.empty(n, A.dtype), np.empty(_best_workspace(name, n), A.dtype)
    size, info = c_int(n), c_int(0)
    _gehrd(name)(
        byref(size), byref(c_int(1)), byref(size), A.ctypes, byref(c_int(A.shape[1])), tau.ctypes,
        work.ctypes, byref(c_int(len(work))), byref(info),
    )  # fmt: skip
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
