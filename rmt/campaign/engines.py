"""Where work runs: in this process, in processes of this machine, or on a Dask cluster.

An engine is a ``concurrent.futures.Executor`` with what the runner must know beside it: how many workers there are,
whether an error means that a worker died, and how to begin anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Any

from rmt import checks, parallel
from rmt.campaign.work import Chunk, Result, begin_process, compute

ENGINES = ("processes", "serial", "dask")


class Engine:
    """Any executor.

    Attributes
    ----------
    workers : int
        How many chunks are computed at once; 0 where the workers of a cluster are gone, or yet to come.
    depth : int
        How many chunks may be in flight.
    contagious : bool
        Whether the death of one worker fails every chunk in flight.
    say : callable
        Takes a line for people.
    """

    name = "executor"
    contagious = True
    broken = False
    say: Callable[[str], None] = staticmethod(lambda text: None)

    def __init__(self, executor: Executor, workers: int) -> None:
        self.executor = executor
        self.workers = workers
        self.depth = 2 * workers

    def submit(self, chunk: Chunk) -> Future[Result]:
        """Begin to compute a chunk."""
        return self.executor.submit(compute, chunk)

    def died(self, error: BaseException) -> bool:
        """Whether `error` means that a worker died while it, or a neighbour of it, had the chunk."""
        return isinstance(error, BrokenExecutor)

    def rebuild(self) -> None:
        """Begin anew after a worker died, where that is needed and can be done."""
        self.broken = True

    def lost(self) -> str | None:
        """Say why nothing in flight can be hoped for any more, or return None."""
        return "the executor is broken" if self.broken else None

    def refuse(self, worker: str) -> bool:
        """Send no more work to `worker`, whose numerics differ; False where that cannot be done."""
        return False

    def close(self, *, now: bool = False) -> None:
        """End the workers; `now`: without waiting for the chunks in flight."""


class Serial(Engine):
    """The process of the coordinator: a chunk is computed when it is submitted."""

    name = "serial"

    def __init__(self) -> None:
        self.workers = self.depth = 1

    def submit(self, chunk: Chunk) -> Future[Result]:
        """Compute a chunk."""
        future: Future[Result] = Future()
        try:
            future.set_result(compute(chunk))
        except Exception as error:
            future.set_exception(error)
        return future


class Processes(Engine):
    """Processes of this machine; one that dies is replaced."""

    name = "processes"
    contagious = False

    def __init__(self, workers: int) -> None:
        from rmt.campaign.pool import Pool  # brings multiprocessing, which `import rmt` does without

        self.pool = Pool(workers, begin_process)
        super().__init__(self.pool, workers)

    def rebuild(self) -> None:
        """Leave it to the pool."""

    def close(self, *, now: bool = False) -> None:
        """End the processes."""
        if now:
            self.pool.kill()
        self.pool.shutdown(cancel_futures=True)


def make_engine(
    engine: str | Executor = "processes", workers: int | None = None, scheduler: str | None = None
) -> Callable[[], Engine]:
    """Check the arguments and return what starts the engine, for when there is work."""
    count = parallel.threads() if workers is None else checks.integer("workers", workers, maximum=4096)
    if isinstance(engine, Executor):
        return lambda: Engine(engine, count)
    checks.choice("engine", engine, ENGINES)
    if scheduler is not None and engine != "dask":
        raise checks.InputError(f"scheduler {scheduler!r} is of use for the engine 'dask' only, got {engine!r}")
    if engine == "serial":
        if workers is not None and count != 1:
            raise checks.InputError(f"workers must be 1 for the engine 'serial', got {workers}")
        return Serial
    if engine == "dask":
        from rmt.campaign.cluster import make_dask

        return make_dask(workers, scheduler)
    return lambda: Processes(count)


def describe_engine(engine: Engine) -> dict[str, Any]:
    """Return what the log says of an engine."""
    return {"engine": engine.name, "workers": engine.workers, "cpus": os.cpu_count()}
