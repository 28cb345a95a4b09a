"""A Dask cluster as an engine: one started on this machine, or one that runs already and is joined."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import pickle
import re
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, partial
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, TypeVar

from rmt import __version__, checks, parallel
from rmt.campaign.engines import Engine
from rmt.campaign.plan import one_line
from rmt.campaign.work import Chunk, Result, compute, worker_name

Made = TypeVar("Made")

CONNECT_SECONDS = 8.0
START_SECONDS = 300.0
CLOSE_SECONDS = 10.0
POLL_SECONDS = 1.0  # between questions to the scheduler who its workers are
SILENCE_SECONDS = 60.0  # without an answer, after which the scheduler counts as lost
WAIT_SECONDS = 600.0  # for a worker at a scheduler that has none; RMT_DASK_WAIT sets another
LOCAL_WAIT_SECONDS = 60.0
DECISIVE = [  # the files of rmt on which samples depend
    *("ensembles/*.py", "kernels/*.py", "laws/*.py", "recurrence/*.py", "spectra/*.py"),
    *("campaign/cells.py", "campaign/seeding.py", "parallel.py", "streams.py"),
]

_abandoned: list[ExitStack] = []

_ADDRESS = re.compile(r"(tcp|tls|ws|wss)://(\[[0-9a-fA-F:.%\w]+\]|[^\s:/\[\]]+):([0-9]{1,5})")


def make_dask(workers: int | None, scheduler: str | None) -> Callable[[], Engine]:
    """Check the arguments and return what starts a cluster of `workers` processes, or joins that of `scheduler`.

    Raises
    ------
    MissingExtraError
        Where Dask is not installed.
    InputError
        Where an argument is at fault; from what is returned, where the cluster cannot be started or reached.
    """
    checks.optional("distributed", "dask")
    if scheduler is None:
        count = parallel.threads() if workers is None else checks.integer("workers", workers, maximum=4096)
        return lambda: _start(count)
    if workers is not None:
        raise checks.InputError(f"workers is of no use with a scheduler, which has workers of its own, got {workers}")
    match = _ADDRESS.fullmatch(scheduler) if isinstance(scheduler, str) else None
    if match is None or not 0 < int(match[3]) < 65536:
        raise checks.InputError(f"scheduler must be an address such as tcp://host:8786, got {scheduler!r}")
    patience = _patience()
    return lambda: _join(scheduler, patience)


def _patience() -> float:
    text = os.environ.get("RMT_DASK_WAIT", "")
    if not text:
        return WAIT_SECONDS
    if not text.isdecimal():
        raise checks.InputError(f"RMT_DASK_WAIT must be a whole number of seconds, got {text!r}")
    return float(text)


def _join(address: str, patience: float) -> Engine:
    from distributed import Client

    with _opening(f"scheduler {address} cannot be joined") as stack:
        make = partial(Client, address, timeout=CONNECT_SECONDS, set_as_default=False, name="rmt")
        client = _within(CONNECT_SECONDS + 1, make)
        stack.callback(client.close, CLOSE_SECONDS)
        return Dask(client, address, patience, stack)


def _start(count: int) -> Engine:
    import dask
    from distributed import Client, LocalCluster

    def make() -> Any:
        _block_interrupts()
        return LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            host="127.0.0.1",
            memory_limit=0,
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0", "allowed_failures": 0},
            silence_logs=logging.CRITICAL,
        )

    with _opening(f"a Dask cluster of {count} workers cannot be started") as stack:
        # Dask gives a worker up for lost that is down 15 seconds after a death, though it may have died once more.
        stack.enter_context(dask.config.set({"distributed.deploy.lost-worker-timeout": "1 day"}))
        cluster = _within(START_SECONDS, make)
        stack.callback(cluster.close, CLOSE_SECONDS)
        client = Client(cluster, timeout=CONNECT_SECONDS, set_as_default=False, name="rmt")
        stack.callback(client.close, CLOSE_SECONDS)
        return Dask(client, "on this machine", LOCAL_WAIT_SECONDS, stack, cluster)


@contextmanager
def _opening(failure: str) -> Iterator[ExitStack]:
    """Yield what closes the cluster at last; whatever fails before that becomes one line."""
    stack = ExitStack()
    stack.enter_context(_quiet())
    try:
        yield stack
    except Exception as error:  # of many kinds: no such host, nobody there, or somebody who speaks otherwise
        stack.close()
        raise checks.InputError(f"{failure}: {one_line(error)}") from error
    except BaseException:  # a second Ctrl-C; what was begun ends with the process, and quietly
        _abandoned.append(stack)
        raise


class Dask(Engine):
    """Workers of a Dask scheduler: they come and go, and Dask itself gives their work to others.

    Parameters
    ----------
    client : distributed.Client
        Connected.
    address : str
        The scheduler, for people.
    patience : float
        Seconds without a worker, after which the cluster counts as lost.
    stack : ExitStack
        Closes client and cluster.
    cluster : distributed.LocalCluster, optional
        The cluster, where it is ours.
    """

    name = "dask"
    contagious = False

    def __init__(self, client: Any, address: str, patience: float, stack: ExitStack, cluster: Any = None) -> None:
        self.client = client
        self.address = address
        self.patience = patience
        self.stack = stack
        self.cluster = cluster
        self.flying: set[Future] = set()
        self.bound: dict[Future, tuple[set[str], Any]] = {}  # those of them for certain workers alone, and their tasks
        self.refused: set[str] = set()
        self.threads: dict[str, int] = {}
        self.there: set[str] = set()
        self.chosen: list[str] | None = None  # workers that may be asked, once one was refused
        self.none_since: float | None = None
        self.silent_since: float | None = None
        self.workers = 0
        self._ask()
        self._count(*self.question.result(CONNECT_SECONDS))

    def submit(self, chunk: Chunk) -> Future[Result]:
        """Send off a chunk."""
        call = pickle.dumps(Call(chunk, source_of_rmt()))
        key = f"rmt-{secrets.token_hex(16)}"
        try:
            task = self.client.submit(pickle.loads, call, key=key, pure=False, retries=0, workers=self.chosen)
            # Not the executor of the client: a future of it never ends where the result is lost on the way.
            future: Future[Result] = asyncio.run_coroutine_threadsafe(_result(task), self.client.loop.asyncio_loop)
        except Exception as error:
            if self.client.status != "running":
                raise LostChunkError(one_line(error)) from error
            raise
        self.flying.add(future)
        if self.chosen is not None:
            self.bound[future] = set(self.chosen), task
        future.add_done_callback(self.flying.discard)
        return future

    def died(self, error: BaseException) -> bool:
        """Tell a chunk that cost Dask as many workers as it was ready to lose, or whose result was lost."""
        from distributed.scheduler import KilledWorker

        return isinstance(error, (KilledWorker, LostChunkError, CancelledError))

    def lost(self) -> str | None:
        """Say why nothing can be hoped for: no scheduler, or no workers for long; and keep count of the workers."""
        if self.client.status != "running":
            return f"the Dask scheduler {self.address} is gone"
        now = time.monotonic()
        if self.question.done():
            with suppress(Exception):
                self._count(*self.question.result())
                self._drop_stranded()
                self.silent_since = None
            if now - self.asked >= POLL_SECONDS:
                self._ask()
        if self.silent_since is not None and now - self.silent_since > SILENCE_SECONDS:
            return f"the Dask scheduler {self.address} has not answered for {SILENCE_SECONDS:.0f} s"
        return self._without_workers(now)

    def _without_workers(self, now: float) -> str | None:
        where = f"the Dask scheduler {self.address}"
        if self.workers:
            if self.none_since is not None:
                self.none_since = None
                self.say(f"{where} has workers")
            return None
        if self.none_since is None:
            self.none_since = now
            self.say(f"{where} has no workers: waiting for them, {self.patience:.0f} s at most")
        if now - self.none_since > self.patience:
            return f"{where} has had no workers for {self.patience:.0f} s"
        return None

    def _ask(self) -> None:
        """Ask the scheduler who its workers are; nothing waits for the answer."""
        self.asked = time.monotonic()
        if self.silent_since is None:
            self.silent_since = self.asked
        answer = _workers(self.client.scheduler)
        self.question = asyncio.run_coroutine_threadsafe(answer, self.client.loop.asyncio_loop)

    def _count(self, threads: dict[str, int], there: set[str]) -> None:
        self.there = there
        self.threads = {worker: count for worker, count in threads.items() if worker not in self.refused}
        self.workers = sum(self.threads.values())
        self.depth = 2 * max(self.workers, 1)
        if self.refused and self.threads:
            self.chosen = sorted(self.threads)

    def _drop_stranded(self) -> None:
        """Give up the chunks whose workers are all gone while others are there: Dask would keep them for ever."""
        self.bound = {future: bound for future, bound in self.bound.items() if not future.done()}
        tasks = [task for workers, task in self.bound.values() if not workers & self.there]
        if tasks and self.threads:
            cancelled = self.client.cancel(tasks, asynchronous=True)
            asyncio.run_coroutine_threadsafe(cancelled, self.client.loop.asyncio_loop)

    def refuse(self, worker: str) -> bool:
        """Send no more work to `worker`; False where there is no other."""
        self.refused.add(worker.rpartition(" at ")[2])
        self._count(self.threads, self.there)
        return bool(self.threads)

    def close(self, *, now: bool = False) -> None:
        """Leave the scheduler; end the workers where they are ours."""
        for future in [self.question, *self.flying]:
            future.cancel()
        if self.cluster is not None and now:
            for nanny in self.cluster.workers.values():
                nanny.auto_restart = False
                pid = nanny.process and nanny.process.pid
                if pid:
                    os.kill(pid, signal.SIGKILL)
        with suppress(Exception):  # a scheduler that is gone cannot be told
            self.stack.close()


class LostChunkError(Exception):
    """A chunk that could not be sent, or whose result could not be fetched."""


async def _workers(scheduler: Any) -> tuple[dict[str, int], set[str]]:
    """Return {address: threads} of the workers that take work, and the addresses of all, also of those that pause."""
    return await scheduler.ncores_running(), set(await scheduler.ncores())


async def _result(task: Any) -> Result:
    try:
        return await task
    except Exception as error:
        if task.status != "error":  # it is not the task that raised this
            raise LostChunkError(one_line(error)) from error
        if not isinstance(error, ImportError):
            raise
        reason = f"a Dask worker cannot import what it needs ({one_line(error)})"
        raise checks.InputError(f"{reason}: install the same on all machines") from error


class Call:
    """What becomes, unpickled, the result of ``compute_there(chunk, source)``.

    Sent as it is, a chunk would end a worker without rmt; so the lack of it is an error of the task.
    """

    def __init__(self, chunk: Chunk, source: str) -> None:
        self.arguments = chunk, source

    def __reduce__(self) -> tuple[Callable[..., Result], tuple[Chunk, str]]:
        return compute_there, self.arguments


def compute_there(chunk: Chunk, source: str) -> Result:
    """Compute the samples of `chunk` on a Dask worker, if its rmt is that of the coordinator."""
    from distributed import get_worker

    if source != source_of_rmt():
        raise checks.InputError(
            f"the worker {worker_name()} has another rmt: {source_of_rmt()} there, {source} asked; "
            "install the same on all machines"
        )
    result = compute(chunk)
    result.worker = f"{result.worker} at {get_worker().address}"
    return result


@cache
def source_of_rmt() -> str:
    """Return the version of rmt and a hash of those of its files that decide the samples."""
    folder = Path(checks.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(path for place in DECISIVE for path in folder.glob(place)):
        digest.update(f"{path.relative_to(folder).as_posix()}\n".encode() + path.read_bytes())
    return f"{__version__} (source {digest.hexdigest()[:12]})"


def _block_interrupts() -> None:
    """Block SIGINT in this thread, and in all threads and processes that begin in it: it is the coordinator's."""
    if hasattr(signal, "pthread_sigmask"):
        resource_tracker.ensure_running()  # which lifts the block in the thread that starts it
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _within(seconds: float, make: Callable[[], Made]) -> Made:
    """Return make(), or raise where that takes longer: to some strangers Dask listens for ever."""
    made: Future[Made] = Future()

    def work() -> None:
        try:
            made.set_result(make())
        except BaseException as error:
            made.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        return made.result(seconds)
    except TimeoutError as error:
        raise error if made.done() else TimeoutError(f"no answer for {seconds:.0f} s") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's own messages off standard error: what matters is said by the run."""
    names = ("distributed", "distributed.client")
    handlers = {handler for name in names for handler in logging.getLogger(name).handlers}
    before = {handler: handler.level for handler in handlers}
    for handler in handlers:
        handler.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for handler, level in before.items():
            handler.setLevel(level)
