"""The one decorator of all kernels: compiled on first use, without the GIL, cached where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def kernel(function: Callable | None = None, **options: Any) -> Any:
    """Compile `function` with Numba: no GIL, IEEE division, and a cache between processes.

    Where neither the installation nor the user's cache directory is writable, Numba refuses to cache
    with a RuntimeError; then the function is compiled afresh in each process.
    """
    if function is None:
        return lambda inner: kernel(inner, **options)
    options = {"nogil": True, "error_model": "numpy", **options}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:
        return numba.njit(**options)(function)
