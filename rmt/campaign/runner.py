"""The loop that joins a plan, its store and an engine: compute what is missing, commit it, present what is there."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rmt import checks, parallel
from rmt.campaign.cells import Cell
from rmt.campaign.coordinator import Coordinator
from rmt.campaign.engines import make_engine
from rmt.campaign.numerics import canary
from rmt.campaign.plan import DEFAULT_SEED, Experiment, Plan, call_user, make_plan
from rmt.campaign.progress import Silent
from rmt.campaign.schedule import CHUNK_SECONDS
from rmt.campaign.shards import PARTIAL
from rmt.campaign.store import MANIFEST, OURS, Store

if TYPE_CHECKING:
    import pandas as pd

NOTICE_SECONDS = 3.0  # of silence, before it is said what takes long
ECHO_SECONDS = 0.25  # within which a second signal is the first one, passed on by make or timeout


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Attributes
    ----------
    table : DataFrame or None
        The summary of ``present``; None where the run is incomplete.
    failures : list of str
        A line for each sample that failed.
    interrupted : str
        Why the run ended before its time: "interrupted", "out of time", or what became of the engine; else "".
    kept, total : int
        How many cells are complete, of how many.
    samples : int
        How many samples are in the store.
    mixed : int
        How many of those that were presented come from machines whose numerics differ from the manifest's.
    written : list of Path
        The files that this call wrote, beside samples and logs.
    """

    table: pd.DataFrame | None
    failures: list[str]
    interrupted: str
    kept: int
    total: int
    samples: int
    mixed: int
    written: list[Path]


def run(
    experiment: Experiment,
    out: str | os.PathLike,
    *,
    options: Mapping[str, Any] | None = None,
    seed: int = DEFAULT_SEED,
    quick: bool = False,
    samples: int | None = None,
    target_se: float | None = None,
    max_seconds: float | None = None,
    engine: str | Executor = "processes",
    workers: int | None = None,
    scheduler: str | None = None,
    allow_mixed_numerics: bool = False,
    chunk_seconds: float = CHUNK_SECONDS,
    progress: Silent | None = None,
    arguments: Sequence[str] | None = None,
) -> Outcome:
    """Bring the run of `experiment` in the directory `out` to its end, and present it.

    Samples that are there are kept; the others are computed by `workers`, whose number and kind change no bit.
    What is presented are all samples 0, 1, ... of each cell without a gap: never fewer than are there.
    SIGINT, SIGTERM or `max_seconds` end the chunks in flight, and no others begin; the next call goes on.

    Parameters
    ----------
    experiment : Experiment
        From `load`, or made in Python. With the engine "processes", a script that calls this needs the usual
        ``if __name__ == "__main__":``.
    out : path
        Directory of all results, made if absent.
    options, seed, quick
        Options of the experiment, the root seed, and whether its quick counts hold.
    samples : int, optional
        Number of samples of every cell, in place of the experiment's. Raising it changes no sample that is there,
        and where more are there, all are used.
    target_se : float, optional
        A cell is complete once the standard error of its target is at most this, judged at 64, 128, 256, ...
        samples, or at its count. Cells without a target go to their count. Where more are there, all are used.
    max_seconds : float, optional
        No chunk begins after so many seconds.
    engine : {"processes", "serial", "dask"} or concurrent.futures.Executor
        Where the samples are computed.
    workers : int, optional
        How many; by default RMT_NUM_THREADS, or the number of cores.
    scheduler : str, optional
        Address of a Dask scheduler to join; without it, "dask" starts a cluster on this machine.
    allow_mixed_numerics : bool
        Take samples of machines whose results differ in the last bits from those of the machine that began the
        run, and label them. By default they are refused.
    chunk_seconds : float
        How long a worker computes before it hands back samples: scheduling only.
    progress : Silent, optional
        A display, from ``rmt.campaign.progress``.
    arguments : sequence of str, optional
        The words behind ``rmt`` of the command that makes this call, for the log: `status` names them to go on.

    Returns
    -------
    Outcome

    Raises
    ------
    InputError
        Where an argument or the experiment is at fault, `out` cannot be written, or holds something else. What
        is in `out` is then untouched, but for samples that were committed before the fault.

    Examples
    --------
    >>> import tempfile, pandas as pd, rmt
    >>> from rmt.campaign import Cell, Experiment, run
    >>> cell = Cell("spectral_radius", rmt.glorot(8))
    >>> def present(data, out, options):
    ...     return pd.DataFrame({"mean": [data[cell].mean()]})
    >>> experiment = Experiment("radius", lambda options: [cell], lambda cell, quick: 100, {}, present)
    >>> with tempfile.TemporaryDirectory() as out:
    ...     outcome = run(experiment, out, engine="serial")
    >>> outcome.kept, outcome.samples
    (1, 100)
    """
    plan = make_plan(experiment, options=options, seed=seed, quick=quick, samples=samples, target_se=target_se)
    start_engine = make_engine(engine, workers, scheduler)
    if max_seconds is not None:
        max_seconds = checks.real("max_seconds", max_seconds, above=0.0)
    deadline = None if max_seconds is None else time.monotonic() + max_seconds
    chunk_seconds = checks.real("chunk_seconds", chunk_seconds, above=0.0)
    begun = os.path.isfile(os.path.join(out, MANIFEST))
    before = _stamps(Path(out)) if begun else {}
    if scheduler is not None and not begun:
        start_engine().close()  # so that an address where nobody is leaves nothing behind
    progress = Silent() if progress is None else progress
    if not begun:
        _compile_kernels(progress)
    store = Store.create(out, plan)
    work = Coordinator(
        plan=plan,
        store=store,
        start_engine=start_engine,
        progress=progress,
        deadline=deadline,
        mix=bool(allow_mixed_numerics),
        chunk_seconds=chunk_seconds,
        arguments=arguments,
    )
    with work.progress, _until_signal(work.stop):
        work.go()
    complete = [part for part in work.parts if part.final is not None]
    table, mixed = None, 0
    if len(complete) == len(work.parts):
        with store.usable():
            store.tidy()
            data = {part.cell: part.shards.load(0, part.final or 0, part.held) for part in complete}
        mixed = sum(part.held.mixed(part.final or 0) for part in complete)
        table = _present(plan, store, data)
    after = _stamps(store.directory)
    return Outcome(
        table=table,
        failures=work.failures,
        interrupted="" if table is not None else work.ended,
        kept=len(complete),
        total=len(work.parts),
        samples=sum(part.stored for part in work.parts),
        mixed=mixed,
        written=[path for path in sorted(after) if after[path] != before.get(path)],
    )


def _compile_kernels(progress: Silent) -> None:
    """Compute the canary, which compiles the kernels where that was not done yet: say so where it takes long."""
    words = "compiling the kernels, once for this installation: a minute, or several on a slow machine"
    notice = threading.Timer(NOTICE_SECONDS, progress.message, [words])
    notice.daemon = True
    notice.start()
    try:
        canary()
    finally:
        notice.cancel()


def _present(plan: Plan, store: Store, data: dict[Cell, np.ndarray]) -> pd.DataFrame:
    import pandas as pd

    for values in data.values():
        values.flags.writeable = False
    experiment = plan.experiment
    try:
        with parallel.one_blas_thread():
            table = call_user("present", experiment.present, data, store.directory, dict(plan.options))
        if not isinstance(table, pd.DataFrame):
            raise checks.InputError(f"present() must return a pandas DataFrame, got {type(table).__name__}")
    except checks.InputError as error:
        raise checks.InputError(f"{error}; the samples in {store.directory} are kept") from error
    return table


def _stamps(directory: Path) -> dict[Path, tuple[int, int]]:
    """Return what changes when a file below `directory` is written again; the store's own folders are left out."""
    found = {}
    for folder, folders, names in os.walk(directory):
        if folder == str(directory):
            folders[:] = [name for name in folders if name not in OURS]
        for path in (Path(folder, name) for name in names if PARTIAL not in name):
            with suppress(OSError):  # gone meanwhile: another runner's
                status = path.stat()
                found[path] = (status.st_mtime_ns, status.st_ino)
    return found


@contextmanager
def _until_signal(stop: threading.Event) -> Iterator[None]:
    """Set `stop` at the first SIGINT or SIGTERM; a second one that is no echo of it interrupts at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    first = math.inf

    def on_signal(number: int, frame: object) -> None:
        nonlocal first
        now = time.monotonic()
        if now - first > ECHO_SECONDS:
            raise KeyboardInterrupt
        first = min(first, now)
        stop.set()

    earlier = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
