"""The one decorator of all kernels: compiled on first use, without the GIL, cached where that is possible."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache


@cache
def _all_kernels() -> str:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


class _Implementation(CompileResultCacheImpl):
    """Stamps what it stores with the sources of all kernels.

    A compiled kernel contains those that it calls, but Numba looks for changes in its own file alone, and would
    go on with the old ones after an edit or an upgrade.
    """

    def __init__(self, function: Callable) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        own = self.locator.get_source_stamp()
        self.locator.get_source_stamp = lambda: (own, _all_kernels())


class _Cache(FunctionCache):
    """A cache between processes; whatever happens to its files costs a compilation and never a result."""

    _impl_class = _Implementation

    def load_overload(self, signature: Any, context: Any) -> Any:
        try:
            found = super().load_overload(signature, context)  # type: ignore[no-untyped-call]
        except Exception:  # files that are damaged, or no longer readable
            return None
        # Processes that store two signatures at the same moment can write to one file.
        return found if found is not None and tuple(found.signature.args) == tuple(signature) else None

    def save_overload(self, signature: Any, data: Any) -> None:
        try:
            super().save_overload(signature, data)  # type: ignore[no-untyped-call]
        except Exception:  # a directory that is full, or gone, or no longer writable; an index that is damaged
            self.disable()  # type: ignore[no-untyped-call]


def kernel(function: Callable | None = None, **options: Any) -> Any:
    """Compile `function` with Numba: no GIL, IEEE division, and a cache between processes.

    Where neither the installation nor the user's cache directory is writable, the function is compiled afresh in
    each process.

    A kernel that relaxes the order of sums (`fastmath`), and every kernel between it and those that Python calls, must
    have forceinline=True. Otherwise a process may hold several compiled copies of it, each with an order of its own,
    and which one is called depends on what was compiled and what came from the cache: the last bits of a sample would.
    """
    if function is None:
        return lambda inner: kernel(inner, **options)
    dispatcher = numba.njit(nogil=True, error_model="numpy", **options)(function)
    with suppress(RuntimeError):  # Numba knows no directory to write to
        dispatcher._cache = _Cache(function)  # type: ignore[no-untyped-call]  # as `cache=True` does with its own
    return dispatcher
