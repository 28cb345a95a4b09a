"""BLAS and LAPACK called from Python so that other threads run meanwhile: through ctypes, which releases the lock.

The routines are SciPy's own, as in `rmt.kernels.lapack`, which has those that compiled code calls.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import CFUNCTYPE, byref, c_int, c_void_p
from functools import cache
from typing import Any

import scipy.linalg.cython_blas
import scipy.linalg.cython_lapack  # noqa: F401  # both have to be loaded for their functions to be found
from numba.extending import get_cython_function_address


@cache
def routine(library: str, name: str, arguments: int) -> Callable[..., None]:
    """Return a routine of the library "blas" or "lapack". In Fortran every argument is an address."""
    return CFUNCTYPE(None, *[c_void_p] * arguments)(get_cython_function_address(f"scipy.linalg.cython_{library}", name))


def call(library: str, name: str, *arguments: Any) -> None:
    """Call a routine with letters as bytes, sizes as int, and arrays of numbers, or places in one, as themselves."""

    def address(argument: Any) -> Any:
        if isinstance(argument, bytes):
            return argument
        return byref(c_int(argument)) if isinstance(argument, int) else argument.ctypes.data

    routine(library, name, len(arguments))(*map(address, arguments))
