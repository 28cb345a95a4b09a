"""Threads over samples, with one BLAS thread in each: more threads never change a bit of the result."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

from rmt import checks

Item = TypeVar("Item")
Result = TypeVar("Result")


@cache
def _controller() -> ThreadpoolController:
    # Made once: looking for the BLAS libraries of the process takes milliseconds.
    # scipy.linalg brings a BLAS of its own, which the controller sees only once it is loaded.
    import scipy.linalg  # noqa: F401

    return ThreadpoolController()


_lock = threading.Lock()
_holders = 0
_limit: Any = None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold every BLAS library of the process at one thread; matrices of n <= 1024 are no faster with two.

    The number of BLAS threads belongs to the process: where several threads are in here, the last to leave restores it.
    """
    global _holders, _limit
    controller = _controller()
    with _lock:
        limit = controller.limit(limits=1, user_api="blas")
        if _holders == 0:
            _limit = limit
        _holders += 1
    try:
        yield
    finally:
        with _lock:
            _holders -= 1
            if _holders == 0:
                _limit.restore_original_limits()


def threads() -> int:
    """Return the number of threads to use: RMT_NUM_THREADS where it is set, else the cores of this process."""
    text = os.environ.get("RMT_NUM_THREADS", "")
    if text:
        if not text.isdecimal() or int(text) < 1:
            raise checks.InputError(f"RMT_NUM_THREADS must be an integer >= 1, got {text!r}")
        return int(text)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_map(function: Callable[[Item], Result], items: Iterable[Item], count: int) -> list[Result]:
    """Return [function(item) for item in items], computed by several threads; `count` is the number of items."""
    workers = min(threads(), count)
    with one_blas_thread():
        if workers <= 1:
            return [function(item) for item in items]
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(function, items))
