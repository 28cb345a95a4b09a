"""Time several ways to do one piece of work, in turn, on one core."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg  # noqa: F401  (SciPy brings a BLAS of its own, which must be there to be held to one thread)
from threadpoolctl import threadpool_limits

THREAD_VARIABLES = (
    "RMT_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
)

# Does the work for one seed and returns the seconds that one unit of it took.
Measure = Callable[[int], float]


@contextmanager
def one_core() -> Iterator[None]:
    """Hold this process and its children to one thread, and to one core where the system can; restore at the end."""
    environment = dict(os.environ)
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    if cores is not None:
        os.sched_setaffinity(0, {max(cores)})  # the first core is often the one that serves interrupts
    try:
        with threadpool_limits(1):
            yield
    finally:
        if cores is not None:
            os.sched_setaffinity(0, cores)
        os.environ.clear()
        os.environ.update(environment)


def timed(work: Callable[[Any], Any], units: int = 1, prepare: Callable[[int], Any] = lambda seed: seed) -> Measure:
    """Return a measure of ``work(prepare(seed))``, which does `units` pieces of work; only `work` is on the clock."""

    def measure(seed: int) -> float:
        argument = prepare(seed)
        start = time.perf_counter()
        work(argument)
        return (time.perf_counter() - start) / units

    return measure


def python(code: str) -> list[float]:
    """Run `code` in a Python process of its own and return the numbers that it prints."""
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return [float(word) for word in result.stdout.split()]


def interleave(measures: dict[str, Measure], rounds: int, *, warm_up: bool = True) -> dict[str, np.ndarray]:
    """Return the seconds per unit of each measure, (rounds,): A B A B ..., so that a busy moment hits both.

    Round i uses seed i for all. Each runs once before, unless `warm_up` is off: for compilation and cold caches.
    """
    if warm_up:
        for measure in measures.values():
            measure(rounds)
    seconds = {name: np.empty(rounds) for name in measures}
    for i in range(rounds):
        for name, measure in measures.items():
            seconds[name][i] = measure(i)
    return seconds


@dataclass(frozen=True)
class Row:
    """One line of the table of results.

    Attributes
    ----------
    work : str
        What was done.
    peer : str
        What it is compared with; empty where the value is absolute.
    values : ndarray of shape (rounds,)
        The claim, once for each round.
    unit : str
        Of the values; "x" for a ratio.
    target : float, optional
        What was aimed at.
    fewer : bool
        Whether small values are good.
    """

    work: str
    peer: str
    values: np.ndarray
    unit: str = "x"
    target: float | None = None
    fewer: bool = False

    @property
    def median(self) -> float:
        """The value that is held against the target."""
        return float(np.median(self.values))

    @property
    def quartiles(self) -> tuple[float, float]:
        """The spread over the rounds."""
        low, high = np.quantile(self.values, [0.25, 0.75])
        return float(low), float(high)

    @property
    def met(self) -> bool | None:
        """Whether the target was reached; None where there is none."""
        if self.target is None:
            return None
        return self.median <= self.target if self.fewer else self.median >= self.target


def speedups(work: str, seconds: dict[str, np.ndarray]) -> list[Row]:
    """Return how many times faster the first contestant is than each of the others, round by round."""
    ours, *peers = seconds
    return [Row(work, peer, seconds[peer] / seconds[ours]) for peer in peers]
