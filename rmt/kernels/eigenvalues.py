"""Eigenvalues of one dense matrix by LAPACK, called so that other threads run meanwhile.

``numpy.linalg.eigvals`` and ``scipy.linalg.eigvals`` hold the interpreter's lock while they work, so that two
threads are no faster than one; a call through ctypes releases it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from ctypes import CFUNCTYPE, byref, c_char_p, c_int, c_void_p
from functools import cache
from typing import Any

import numpy as np
from numba.extending import get_cython_function_address
from scipy.linalg import lapack


@cache
def _routine(name: str, arguments: int) -> Callable[..., None]:
    # In Fortran every argument is an address.
    prototype = CFUNCTYPE(None, c_char_p, c_char_p, *[c_void_p] * (arguments - 2))
    return prototype(get_cython_function_address("scipy.linalg.cython_lapack", name))


@cache
def _best_workspace(name: str, n: int) -> int:
    query: Any = getattr(lapack, name + "_lwork")
    return int(query(n, compute_vl=0, compute_vr=0)[0].real)


def eigenvalues(W: np.ndarray) -> np.ndarray:
    """Return the eigenvalues (n,), complex, of a finite double or complex double matrix (n, n)."""
    n = len(W)
    A = W.copy(order="C")  # LAPACK reads the transpose and overwrites it: the eigenvalues are the same
    # SciPy's build of geev forgets to undo its own scaling of entries beyond about 1e138 or below 1e-138.
    parts = A.view(np.float64)
    scale = 2.0 ** max(-1000, math.frexp(max(parts.max(), -parts.min()))[1] - 1)
    parts /= scale
    size, one, info = c_int(n), c_int(1), c_int(0)
    no_vectors = (None, byref(one), None, byref(one))
    result: np.ndarray
    work: np.ndarray
    if A.dtype == np.complex128:
        result, rest = np.empty(n, np.complex128), np.empty(2 * n)
        work = np.empty(_best_workspace("zgeev", n), np.complex128)
        _routine("zgeev", 14)(
            b"N", b"N", byref(size), A.ctypes, byref(size), result.ctypes,
            *no_vectors, work.ctypes, byref(c_int(len(work))), rest.ctypes, byref(info),
        )  # fmt: skip
    else:
        real, imag = np.empty(n), np.empty(n)
        work = np.empty(_best_workspace("dgeev", n))
        _routine("dgeev", 14)(
            b"N", b"N", byref(size), A.ctypes, byref(size), real.ctypes, imag.ctypes,
            *no_vectors, work.ctypes, byref(c_int(len(work))), byref(info),
        )  # fmt: skip
        result = real + 1j * imag
    if info.value:
        raise np.linalg.LinAlgError(f"the QR iteration found only {n - info.value} of {n} eigenvalues")
    return result * scale
