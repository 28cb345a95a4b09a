"""BLAS and LAPACK inside Numba kernels: SciPy's own routines, bound by name so that compiled code can be cached.

A pointer baked into compiled code would be stale in the next process. So the address of a routine is
registered under a symbol when this module is imported, and the kernels refer to the symbol.
All matrices are column-major (Fortran order), as BLAS has them; callers hold the BLAS at one thread
(`rmt.parallel`), or the last bits of a result depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding  # type: ignore[import-untyped]
import numpy as np
import scipy.linalg.cython_blas
import scipy.linalg.cython_lapack
from numba import types
from numba.extending import get_cython_function_address

from rmt.kernels.compile import kernel


def _bind(module: Any, name: str, arguments: int) -> Any:
    # Every argument is a pointer, passed as an integer. SciPy's interface takes 32-bit integers;
    # a build with others would read beyond ours, so it is refused here.
    signature = str(module.__pyx_capi__[name])
    if signature.count("*") != arguments or ", int *" not in signature:
        raise ImportError(f"unexpected interface of {module.__name__}.{name}: {signature}")
    symbol = f"rmt_{name}"
    llvmlite.binding.add_symbol(symbol, get_cython_function_address(module.__name__, name))
    return types.ExternalFunction(symbol, types.void(*[types.intp] * arguments))


_sgemm = _bind(scipy.linalg.cython_blas, "sgemm", 13)
_dhseqr = _bind(scipy.linalg.cython_lapack, "dhseqr", 14)
_zhseqr = _bind(scipy.linalg.cython_lapack, "zhseqr", 13)

_N = ord("N")
_E = ord("E")


@kernel
def sgemm(m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):  # type: ignore[no-untyped-def]
    """C = alpha A B + beta C in single precision, with A (m, k), B (k, n), C (m, n) column by column.

    `a`, `b`, `c` are the addresses of the first entries (``array.ctypes.data``); the caller keeps the arrays alive.
    """
    integers = np.array([m, n, k, lda, ldb, ldc], dtype=np.int32)
    scalars = np.array([alpha, beta], dtype=np.float32)
    letter = np.array([_N], dtype=np.uint8)
    i, s, no = integers.ctypes.data, scalars.ctypes.data, letter.ctypes.data
    _sgemm(no, no, i, i + 4, i + 8, s, a, i + 12, b, i + 16, s + 4, c, i + 20)
    return integers[0] + letter[0] + int(scalars[0] != 0)  # a use after the call keeps the three alive


@kernel
def real_hessenberg_eigenvalues(H):  # type: ignore[no-untyped-def]
    """Eigenvalues, complex, of the real Hessenberg matrix whose columns are the rows of H; H is overwritten."""
    n = len(H)
    real, imag, work = np.empty(n), np.empty(n), np.empty(max(1, 11 * n))
    integers = np.array([n, 1, len(work), 0], dtype=np.int32)
    letters = np.array([_E, _N], dtype=np.uint8)
    i, text, w = integers.ctypes.data, letters.ctypes.data, work.ctypes.data
    _dhseqr(
        text, text + 1, i, i + 4, i, H.ctypes.data, i, real.ctypes.data, imag.ctypes.data,
        w, i + 4, w, i + 8, i + 12,
    )  # fmt: skip
    result = np.empty(n, np.complex128)
    for j in range(n):
        result[j] = complex(real[j], imag[j])
    if integers[3] != 0 or letters[0] != _E or not np.isfinite(work[0]):
        result[:] = np.nan
    return result


@kernel
def complex_hessenberg_eigenvalues(H):  # type: ignore[no-untyped-def]
    """Eigenvalues of the complex Hessenberg matrix whose columns are the rows of H; H is overwritten."""
    n = len(H)
    result, work = np.empty(n, np.complex128), np.empty(max(1, 11 * n), np.complex128)
    integers = np.array([n, 1, len(work), 0], dtype=np.int32)
    letters = np.array([_E, _N], dtype=np.uint8)
    i, text, w = integers.ctypes.data, letters.ctypes.data, work.ctypes.data
    _zhseqr(
        text, text + 1, i, i + 4, i, H.ctypes.data, i, result.ctypes.data,
        w, i + 4, w, i + 8, i + 12,
    )  # fmt: skip
    if integers[3] != 0 or letters[0] != _E or not np.isfinite(work[0].real):
        result[:] = np.nan
    return result
