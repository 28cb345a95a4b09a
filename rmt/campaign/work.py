"""What a worker does: the samples of one chunk, each by itself, with what it takes to judge them."""

from __future__ import annotations

import os
import pickle
import platform
import threading
import time
import traceback
from dataclasses import dataclass, field

import numpy as np

from rmt import checks, parallel
from rmt.campaign.cells import Cell, draw
from rmt.campaign.identity import digest
from rmt.campaign.numerics import canary
from rmt.campaign.plan import one_line
from rmt.campaign.program import Program
from rmt.campaign.seeding import Streams

TRIES = 3
Shape = tuple[str, tuple[int, ...]]


@dataclass(frozen=True)
class Job:
    """A cell as workers get it.

    `cell` is pickled; `key` is its description and `sources` the hash of its sources, which must come out the same
    where it is unpickled; `program` is the experiment file, if the cell needs it.
    """

    cell: bytes
    key: str
    sources: str
    seed: int
    program: Program | None


@dataclass(frozen=True)
class Chunk:
    """Samples start, ..., stop - 1 of a cell: a unit of scheduling, and of nothing else."""

    job: Job
    start: int
    stop: int
    shape: Shape | None = None


@dataclass(frozen=True)
class Failure:
    """A sample that raised, or was of another shape, each of `TRIES` times."""

    index: int
    error: str
    trace: str


@dataclass
class Result:
    """The samples of a chunk: pieces (start, values), with gaps at the failures; and who computed them, how long.

    `each` is the time of a sample, without the first one, which may have had tables or kernels to prepare.
    """

    pieces: list[tuple[int, np.ndarray]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0
    each: float = 0.0
    worker: str = ""
    canary: dict[str, str] = field(default_factory=dict)


def make_job(cell: Cell, seed: int, program: Program | None) -> Job:
    """Pickle a cell for workers, and its file beside it where the cell cannot be unpickled without."""
    try:
        data = pickle.dumps(cell)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise checks.InputError(f"{cell.label} cannot be sent to workers: {one_line(error)}") from error
    needed = program is not None and program.name.encode() in data
    return Job(data, cell.key, digest(cell.sources), seed, program if needed else None)


_known: dict[tuple[bytes, Program | None], Cell] = {}
_lock = threading.Lock()  # an engine may have several threads in one process


def _cell(job: Job) -> Cell:
    """Return the cell of a job; a worker that would compute something else says so."""
    with _lock:
        if (job.cell, job.program) not in _known:
            _known[job.cell, job.program] = _load(job)
        return _known[job.cell, job.program]


def _load(job: Job) -> Cell:
    if job.program is not None:
        job.program.execute()
    cell = _same(pickle.loads(job.cell))
    if cell.key != job.key:
        raise checks.InputError(
            f"the worker {worker_name()} has another source or version of what defines {cell.label}: "
            f"{cell.key} there, {job.key} asked"
        )
    if digest(cell.sources) != job.sources:
        names = ", ".join(cell.sources)
        raise checks.InputError(f"the worker {worker_name()} has another source of what defines {cell.label}: {names}")
    return cell


def _same(cell: Cell) -> Cell:
    """Return a cell as it describes itself here and now."""
    return Cell(cell.statistic, cell.ensemble, cell.params, cell.version)


def worker_name() -> str:
    """Return host and process of this worker."""
    return f"{platform.node() or 'localhost'}:{os.getpid()}"


def compute(chunk: Chunk) -> Result:
    """Compute the samples of `chunk`, with one BLAS thread."""
    result = Result(worker=worker_name(), canary=canary())
    cell = _cell(chunk.job)
    values: np.ndarray | None = None
    first, shape = chunk.start, chunk.shape
    rngs = Streams(chunk.job.seed, cell, chunk.start, chunk.stop)
    with parallel.one_blas_thread():
        begin = warm = time.perf_counter()
        for index in range(chunk.start, chunk.stop):
            if index == chunk.start + 1:
                warm = time.perf_counter()
            value = _try(cell, rngs, index, shape)
            if isinstance(value, Failure):
                result.failures.append(value)
                if values is not None and index > first:
                    result.pieces.append((first, values[: index - first]))
                first, values = index + 1, None
                continue
            shape = shape or (value.dtype.str, value.shape)
            if values is None:
                values = np.empty((chunk.stop - first, *value.shape), value.dtype)
            values[index - first] = value
        end = time.perf_counter()
        result.seconds, result.each = end - begin, (end - warm) / max(chunk.stop - chunk.start - 1, 1)
    if values is not None:
        result.pieces.append((first, values))
    if _same(cell).key != chunk.job.key:
        raise checks.InputError(f"{cell.label} changed its own parameters: the statistic must work on copies of them")
    return result


def _try(cell: Cell, rngs: Streams, index: int, shape: Shape | None) -> np.ndarray | Failure:
    for attempt in range(TRIES):
        try:
            value = draw(cell, rngs[index])
            if shape is not None and (value.dtype.str, value.shape) != shape:
                raise ValueError(f"{value.dtype.str} {value.shape} where sample 0 is {shape[0]} {shape[1]}")
            return value
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # sys.exit() in a statistic too: it must not end the worker
            if attempt == TRIES - 1:
                return Failure(index, one_line(error), traceback.format_exc())
    raise AssertionError


def begin_process() -> None:
    """Prepare a worker process: with the end of the coordinator, even by a kill, it ends too."""
    import multiprocessing
    from multiprocessing.connection import wait

    parent = multiprocessing.parent_process()
    if parent is not None:
        sentinel = parent.sentinel

        def leave_with_parent() -> None:
            wait([sentinel])
            os._exit(1)

        threading.Thread(target=leave_with_parent, daemon=True).start()
