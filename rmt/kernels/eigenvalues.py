"""Eigenvalues of dense matrices by LAPACK, called so that other threads run meanwhile.

``numpy.linalg.eigvals`` and ``scipy.linalg.eigvals`` hold the interpreter's lock while they work, so that two
threads are no faster than one; a call through ctypes releases it.
"""

from __future__ import annotations

from ctypes import byref, c_int
from functools import cache
from typing import Any

import numpy as np
from scipy.linalg import lapack

from rmt.kernels.fortran import routine


@cache
def _best_workspace(name: str, n: int) -> int:
    query: Any = getattr(lapack, name + "_lwork")
    return int(query(n, compute_vl=0, compute_vr=0)[0].real)


def eigenvalues(W: np.ndarray) -> np.ndarray:
    """Return the eigenvalues (..., n), complex, of finite double or complex double matrices (..., n, n)."""
    n = W.shape[-1]
    A = W.reshape(-1, n, n).copy(order="C")  # LAPACK reads transposes and overwrites them: the eigenvalues are the same
    # SciPy's build of geev forgets to undo its own scaling of entries beyond about 1e138 or below 1e-138.
    parts = A.view(np.float64)
    largest = np.maximum(parts.max(axis=(1, 2)), -parts.min(axis=(1, 2)))
    scale = np.ldexp(1.0, np.maximum(-1000, np.frexp(largest)[1] - 1))[:, None]
    parts /= scale[:, :, None]
    result = np.empty((len(A), n), np.complex128)
    real, imag, rest = np.empty(n), np.empty(n), np.empty(2 * n)
    is_complex = A.dtype == np.complex128
    name = "zgeev" if is_complex else "dgeev"
    work: np.ndarray = np.empty(_best_workspace(name, n), A.dtype)
    size, one, length, info = c_int(n), c_int(1), c_int(len(work)), c_int(0)
    no_vectors = (None, byref(one), None, byref(one))
    ends = (byref(length), rest.ctypes.data, byref(info)) if is_complex else (byref(length), byref(info))
    call = routine("lapack", name, 14)
    values: tuple[int, ...] = (real.ctypes.data, imag.ctypes.data)
    first, first_result, space = A.ctypes.data, result.ctypes.data, work.ctypes.data
    for i in range(len(A)):
        if is_complex:
            values = (first_result + i * n * result.itemsize,)
        matrix = first + i * n * n * A.itemsize
        call(b"N", b"N", byref(size), matrix, byref(size), *values, *no_vectors, space, *ends)
        if info.value:
            raise np.linalg.LinAlgError(f"the QR iteration found only {n - info.value} of {n} eigenvalues")
        if not is_complex:
            result[i] = real + 1j * imag
    result *= scale
    return result.reshape(W.shape[:-1])
