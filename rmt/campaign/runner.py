"""The loop that joins a plan to its store: compute what is missing, commit it, present what is there."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from rmt import checks, parallel
from rmt.campaign.plan import DEFAULT_SEED, Cell, Experiment, Plan, call_user, make_plan, one_line, sample
from rmt.campaign.progress import Silent
from rmt.campaign.store import Store, versions

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    `table` is the summary of ``present``, or None where the run is incomplete; `failures` has a line for each
    sample that raised; `kept` of `total` cells are in the store; `written` names the files of this call.
    """

    table: pd.DataFrame | None
    failures: list[str]
    interrupted: bool
    kept: int
    total: int
    written: list[Path]


def run(
    experiment: Experiment,
    out: str | os.PathLike,
    *,
    options: Mapping[str, Any] | None = None,
    seed: int = DEFAULT_SEED,
    quick: bool = False,
    progress: Silent | None = None,
) -> Outcome:
    """Bring the run of `experiment` in the directory `out` to its end, and present it.

    Cells that are complete there are kept; the others are computed by ``parallel.threads()`` threads, whose
    number changes no bit. SIGINT and SIGTERM end the samples in work, and no others begin; the complete cells
    stay, and the next call goes on from there.

    Raises
    ------
    InputError
        Where the experiment is at fault, or `out` cannot be written, or holds something else. Whatever is in
        `out` is then untouched.
    """
    plan = make_plan(experiment, options=options, seed=seed, quick=quick)
    before = _stamps(Path(out))
    store = Store(out, plan)
    work = _Work(plan, store, Silent() if progress is None else progress)
    with work.progress, _until_signal(work.stop):
        work.go()
    complete = len(work.data) == len(plan.counts)
    table = _present(plan, store, work.data) if complete else None
    after = _stamps(store.directory)
    return Outcome(
        table=table,
        failures=list(work.failed.values()),
        interrupted=work.stop.is_set() and not complete,
        kept=len(work.data),
        total=len(plan.counts),
        written=[path for path in sorted(after) if after[path] != before.get(path)],
    )


@dataclass
class _Part:
    """The samples of one cell so far, and what they cost."""

    count: int
    values: dict[int, np.ndarray] = field(default_factory=dict)
    first: float = np.inf
    others: float = 0.0

    def add(self, index: int, value: np.ndarray, seconds: float) -> None:
        """Take sample `index`; a cell has samples of one shape and type only."""
        if self.values:
            known = next(iter(self.values.values()))
            if (value.shape, value.dtype) != (known.shape, known.dtype):
                raise ValueError(f"{value.dtype} {value.shape} where another sample is {known.dtype} {known.shape}")
            self.others += seconds
        else:
            self.first = seconds
        self.values[index] = value

    @property
    def each(self) -> float:
        """Seconds per sample; the first, which may have compiled its kernels, counts only if alone."""
        return self.others / (len(self.values) - 1) if len(self.values) > 1 else self.first

    @property
    def remaining(self) -> float:
        """Seconds to go, as far as that is known."""
        return self.each * (self.count - len(self.values)) if self.values else 0.0


@dataclass
class _Work:
    """The cells in work: threads take samples from one line, the main thread collects and commits them."""

    plan: Plan
    store: Store
    progress: Silent
    data: dict[Cell, np.ndarray] = field(default_factory=dict)
    failed: dict[Cell, str] = field(default_factory=dict)
    parts: dict[Cell, _Part] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    threads: int = 1

    def go(self) -> None:
        counts = self.plan.counts
        stored = {cell: self.store.read(cell) for cell in counts}
        self.data = {cell: values for cell, values in stored.items() if values is not None}
        missing = [cell for cell in counts if cell not in self.data]
        for path in self.store.set_aside:
            self.progress.message(f"a damaged file is now {path}; its cell is computed again")
        if missing:
            with parallel.one_blas_thread():
                self._check_bits()
                self.progress.start({cell: counts[cell] for cell in missing}, kept=len(self.data))
                self._compute(missing)
            self.data = {cell: self.data[cell] for cell in counts if cell in self.data}
        if len(self.data) == len(counts):
            self.store.tidy()

    def _check_bits(self) -> None:
        """Refuse to go on where this machine does not reproduce, bit by bit, what the store holds."""
        first = {cell.statistic_name: cell for cell in reversed(self.data)}
        for cell in first.values():
            if sample(cell, self.plan.seed, 0).tobytes() != self.data[cell][0].tobytes():
                there, here = self.store.versions(), versions()
                changed = [
                    f"{name} {there[name]} there, {here[name]} here" for name in here if there[name] != here[name]
                ]
                raise checks.InputError(
                    f"{self.store.directory} cannot be continued here: sample 0 of {cell.label} comes out "
                    f"otherwise ({'; '.join(changed) or 'of the same versions'}); choose another --out"
                )

    def _compute(self, missing: list[Cell]) -> None:
        self.parts = {cell: _Part(self.plan.counts[cell]) for cell in missing}
        line, lock = self._line(missing), threading.Lock()
        results: SimpleQueue = SimpleQueue()

        def worker() -> None:
            while True:
                with lock:
                    task = None if self.stop.is_set() else next(line, None)
                if task is None:
                    results.put(None)
                    return
                begin = time.perf_counter()
                try:
                    value: np.ndarray | BaseException = sample(task[0], self.plan.seed, task[1])
                except BaseException as error:  # sys.exit() in a statistic too: a thread must not die unseen
                    value = error
                results.put((*task, value, time.perf_counter() - begin))

        self.threads = min(parallel.threads(), sum(part.count for part in self.parts.values()))
        for _ in range(self.threads):
            threading.Thread(target=worker, daemon=True).start()
        running = self.threads
        try:
            while running:
                result = results.get()
                if result is None:
                    running -= 1
                elif result[0] not in self.failed:
                    self._collect(*result)
        except BaseException:
            self.stop.set()
            raise

    def _line(self, missing: list[Cell]) -> Iterator[tuple[Cell, int]]:
        """Yield what is to be computed: sample 0 of every cell, then cell by cell, the cheapest ahead."""
        for cell in missing:
            yield cell, 0
        # A cell whose first sample is still in work, or compiled its kernels, counts as a dear one.
        for cell in sorted(missing, key=lambda cell: self.parts[cell].each * self.parts[cell].count):
            for index in range(1, self.parts[cell].count):
                if cell in self.failed:
                    break
                yield cell, index

    def _collect(self, cell: Cell, index: int, value: np.ndarray | BaseException, seconds: float) -> None:
        part = self.parts[cell]
        try:
            if isinstance(value, BaseException):
                raise value
            part.add(index, value, seconds)
        except BaseException as error:
            self.failed[cell] = f"sample {index} of {cell.label} failed: {one_line(error)}"
            self.progress.message(self.failed[cell])
            return
        others = (part.remaining for cell, part in self.parts.items() if cell not in self.failed)
        self.progress.advance(cell, len(part.values), sum(others) / self.threads)
        if len(part.values) == part.count:
            self.data[cell] = np.stack([part.values[i] for i in range(part.count)])
            self.store.write(cell, self.data[cell])
            self.progress.finish(cell, part.first + part.others)
            part.values.clear()


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
    """Return what changes when a file below `directory` is written again."""
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in directory.rglob("*") if path.is_file()}


@contextmanager
def _until_signal(stop: threading.Event) -> Iterator[None]:
    """Set `stop` at the first SIGINT or SIGTERM; a second one interrupts as usual."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    earlier = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
