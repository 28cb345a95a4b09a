"""The coordinator: gives out chunks, commits what comes back, and outlives whatever befalls the workers."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rmt import checks
from rmt.campaign.cells import sample
from rmt.campaign.engines import Engine
from rmt.campaign.identity import canonical
from rmt.campaign.log import Log
from rmt.campaign.numerics import canary, canary_label, changes, versions
from rmt.campaign.plan import Plan, one_line
from rmt.campaign.reading import blocks
from rmt.campaign.schedule import Part, next_part
from rmt.campaign.stopping import standard_error, target
from rmt.campaign.store import Store
from rmt.campaign.work import TRIES, Chunk, Failure, Result, make_job
from rmt.parallel import one_blas_thread

if TYPE_CHECKING:
    import numpy as np

    from rmt.campaign.progress import Silent

POLL_SECONDS = 0.5  # between looks at signals and at the engine
MOST_DEATHS = 12  # of workers in a row, where none has ever handed in a chunk
MOST_FAILED = 1000  # samples of a cell, after which no more of it are begun


@dataclass
class Suspect:
    """A chunk that was in flight when a worker died: it is computed again with nothing beside it."""

    part: Part
    chunk: Chunk
    tries: int = 0


@dataclass
class Coordinator:
    """The work of one call."""

    plan: Plan
    store: Store
    start_engine: Callable[[], Engine]
    progress: Silent
    deadline: float | None
    mix: bool
    chunk_seconds: float
    arguments: Sequence[str] | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    parts: list[Part] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    suspects: list[Suspect] = field(default_factory=list)
    flight: dict[Future[Result], tuple[Part, Chunk, int]] = field(default_factory=dict)
    ended: str = ""
    refused: set[str] = field(default_factory=set)
    aimless: set[str] = field(default_factory=set)  # cells without a target
    succeeded: bool = False
    deaths: int = 0

    def go(self) -> None:
        """Compute what is missing, as far as that is possible."""
        self.log = Log(self.store, self.plan)
        self.label = ""
        for line in self.store.notes:
            self.progress.message(line)
        with self.store.usable(), one_blas_thread():
            self._open_parts()
            for part in self.parts:
                self._settle(part)
            self._say_what_is_more()
            if any(part.open for part in self.parts):
                self._check_bits()
                self._note_stored()
                self.progress.start(self.parts)
                self._work()

    def _work(self) -> None:
        engine = self.start_engine()
        engine.say = self.progress.message
        try:
            self.log.begin(engine, self.arguments)
            self._loop(engine)
            engine.close(now=bool(self.flight))
        except BaseException:
            engine.close(now=True)
            raise
        complete = {part.entry.sha256: part.final for part in self.parts if part.final is not None}
        self.log.end(self.ended or ("incomplete" if self.failures else "done"), complete)

    # before the work

    def _open_parts(self) -> None:
        program = self.plan.experiment.program
        entries = {entry.sha256: entry for entry in self.store.entries}
        for cell in self.plan.counts:
            entry = entries[cell.sha256.hex()]
            shards, held = self.store.shards(entry), self.store.scan(entry)
            for path in held.damaged:
                place = self.store.set_aside(path)
                if place is not None:
                    self.progress.message(f"a damaged file is now {place}; its samples are computed again")
            job, count = make_job(cell, self.plan.seed, program), self.plan.counts[cell]
            part = Part(cell, entry, job, shards, count, held, sequential=self.plan.target_se is not None)
            if held.shards:
                first = held.shards[0]
                value = shards.load(first.start, first.start + 1, held)
                part.shape = (value.dtype.str, value.shape[1:])
            self.parts.append(part)

    def _say_what_is_more(self) -> None:
        """Say where more samples are there than were asked for."""
        counts = [part.final for part in self.parts if part.final is not None and part.final > part.goal]
        if len(counts) == len(self.parts) and len(set(counts)) == 1:
            self.progress.message(f"{counts[0]:,} samples of each cell are there already: all are used")
        elif counts:
            of = f"{len(counts)} of {len(self.parts)} cells"
            self.progress.message(f"more samples than asked for are there already of {of}: all are used")

    def _check_bits(self) -> None:
        """Refuse to go on where this machine does not reproduce, bit by bit, what the store holds.

        One stored sample is computed again of each statistic with each kind of ensemble.
        """
        there, here = self.store.manifest["canary"], canary()
        canaries = changes(there, here)
        reasons = [f"the canary differs ({canaries})"] if canaries else []
        stored = [part for part in self.parts if any(not shard.label for shard in part.held.shards)]
        first = {_kind(part): part for part in reversed(stored)}
        reasons += next(filter(None, map(self._other_bits, reversed(first.values()))), [])
        if not reasons:
            return
        changed = changes(self.store.manifest["versions"], versions())
        refused = f"{self.store.directory} cannot be continued here: {'; '.join(reasons)}"
        if not canaries and not changed:
            raise checks.InputError(
                f"{refused}, and versions and canary are those of the manifest: code that it calls has changed, or it "
                "draws from something else than its generator; choose another --out"
            )
        if self.mix:
            self.label = canary_label(here)
            self.progress.message(f"{'; '.join(reasons)}: new samples are labelled {self.label}")
            return
        raise checks.InputError(
            f"{refused} ({changed or 'of the same versions'}); "
            "choose another --out, or --allow-mixed-numerics to label what is computed here"
        )

    def _other_bits(self, part: Part) -> list[str]:
        """Compute a stored sample of a cell again; return a line if it is not the same."""
        shard = next(shard for shard in part.held.shards if not shard.label)
        stored = part.shards.load(shard.start, shard.start + 1, part.held)[0]
        try:
            if sample(part.cell, self.plan.seed, shard.start).tobytes() == stored.tobytes():
                return []
            what = "comes out otherwise"
        except (Exception, SystemExit) as error:
            what = f"raises {one_line(error)} now"
        return [f"sample {shard.start} of {part.cell.label} {what}"]

    def _note_stored(self) -> None:
        """Let the standard error that is shown be of the samples of earlier calls too."""
        for part in self.parts:
            for _, values in blocks(part.shards, part.held) if part.open else ():
                if not self._note_target(part, values):
                    break

    def _note_target(self, part: Part, values: np.ndarray) -> bool:
        """Take samples for the standard error that is shown; False where the cell has no target."""
        judged = target(self.plan.experiment, part.cell, values)
        if judged is not None:
            part.moments.add(judged)
            return True
        if self.plan.target_se is not None and part.entry.sha256 not in self.aimless:
            self.aimless.add(part.entry.sha256)
            if len(self.aimless) == len(self.parts):
                self.progress.message(f"no cell has a target: target_se {self.plan.target_se:g} stops nothing")
        return False

    # the loop

    def _loop(self, engine: Engine) -> None:
        while True:
            self._fill(engine)
            if not self.flight:
                return
            done, _ = wait(self.flight, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            broken = False
            for future in done:
                part, chunk, tries = self.flight.pop(future)
                broken |= self._collect(engine, future, part, chunk, tries)
            lost = engine.lost()
            if lost is not None:
                self.ended = lost
                return
            if self._stopping() and not engine.workers:
                return
            if broken:
                self._after_death(engine)

    def _fill(self, engine: Engine) -> None:
        """Give out chunks until enough are in flight."""
        while not self._stopping():
            if self.suspects:
                if self.flight:
                    return
                suspect = self.suspects.pop(0)
                self._submit(engine, suspect.part, suspect.chunk, suspect.tries)
                return
            if len(self.flight) >= engine.depth:
                return
            part = next_part(self.parts)
            if part is None:
                return
            self._submit(engine, part, part.take(max(engine.workers, 1), self.chunk_seconds), -1)

    def _submit(self, engine: Engine, part: Part, chunk: Chunk, tries: int) -> None:
        """Send off a chunk; `tries` is -1, or for one that is alone in flight how often it cost a worker."""
        try:
            future = engine.submit(chunk)
        except Exception as error:
            if not engine.died(error):
                raise checks.InputError(f"the engine takes no work: {one_line(error)}") from error
            future, tries = Future(), -1  # a worker died while it had nothing to do
            future.set_exception(error)
        self.flight[future] = part, chunk, tries

    def _stopping(self) -> bool:
        if self.stop.is_set():
            self.ended = "interrupted"
        elif self.deadline is not None and time.monotonic() >= self.deadline:
            self.ended = "out of time"
        return bool(self.ended)

    def _collect(self, engine: Engine, future: Future[Result], part: Part, chunk: Chunk, tries: int) -> bool:
        """Take what came back of a chunk; True where a worker died."""
        error = future.exception() if not future.cancelled() else None
        if future.cancelled() or (error is not None and engine.died(error)):
            if tries < 0 or future.cancelled():
                self.suspects.append(Suspect(part, chunk))
            else:
                self._blame(part, chunk, tries + 1)
            return True
        if isinstance(error, checks.InputError):
            raise error
        if error is not None:
            raise checks.InputError(f"a worker could not begin on {part.cell.label}: {one_line(error)}") from error
        result = future.result()
        label = self._label(engine, result)
        if label is None:
            part.give_back(chunk)
            return False
        self.succeeded, self.deaths = True, 0
        part.flying -= 1
        part.measured(chunk, result.seconds, result.each)
        self._take(part, result, label)
        return False

    def _label(self, engine: Engine, result: Result) -> str | None:
        """Return the label of a result's samples, or None where its worker is refused and others go on."""
        there = self.store.manifest["canary"]
        if result.canary == there:
            return self.label
        if self.mix:
            return canary_label(result.canary)
        reason = f"the worker {result.worker} computes other bits ({changes(there, result.canary)})"
        if engine.refuse(result.worker):
            if result.worker not in self.refused:
                self.progress.message(f"{reason}: it gets no more work")
            self.refused.add(result.worker)
            return None
        raise checks.InputError(f"{reason}; --allow-mixed-numerics takes and labels its samples")

    def _take(self, part: Part, result: Result, label: str) -> None:
        for start, values in result.pieces:
            part.shape = part.shape or (values.dtype.str, values.shape[1:])
            shard = part.shards.commit(start, values, label)
            part.add(shard)
            self.log.committed(shard, result)
            self._note_target(part, values)
        for failure in result.failures:
            self._fail(part, failure, TRIES)
        self._settle(part)
        if part.open:
            self.progress.update(part)

    def _fail(self, part: Part, failure: Failure, tries: int) -> None:
        self.store.record_failure(part.entry, failure.index, failure.error, failure.trace, tries)
        part.failed.add(failure.index)
        line = f"sample {failure.index} of {part.cell.label} failed: {failure.error}"
        self.failures.append(line)
        if len(part.failed) <= TRIES:
            self.progress.message(line)
        if len(part.failed) == MOST_FAILED:
            part.queue.clear()
            self.progress.message(f"{MOST_FAILED:,} samples of {part.cell.label} failed: it is left as it is")

    def _settle(self, part: Part) -> None:
        """Where all samples up to a look are there: complete the cell, or go for the next look."""
        while part.final is None and part.settled and not part.failed:
            if part.goal == part.count or self._precise(part):
                part.final = max(part.goal, part.held.prefix())  # what is there is used, asked for or not
            elif not part.advance():
                return
        if part.final is not None:
            self._join(part)
            self.store.forget_failures(part.entry, part.held)
            if part.computed:
                self.progress.finish(part)

    def _join(self, part: Part) -> None:
        """Join the files of a complete cell, with those that another runner may just have committed."""
        if part.computed:
            part.held = self.store.scan(part.entry, part.held)
        for _ in range(TRIES):  # labelled files are never joined, and may stay redundant
            if len(part.held.shards) <= 1:
                return
            part.held = self.store.scan(part.entry, part.shards.join(part.held))
            if not part.held.redundant:
                return

    def _precise(self, part: Part) -> bool:
        judged = target(self.plan.experiment, part.cell, part.shards.load(0, part.goal, part.held))
        return judged is not None and standard_error(judged) <= (self.plan.target_se or 0.0)

    # dead workers

    def _after_death(self, engine: Engine) -> None:
        """Begin anew; where the death of one worker is that of all, whatever was in flight is suspect."""
        if engine.contagious:
            wait(self.flight, timeout=POLL_SECONDS)
            for future, (part, chunk, tries) in list(self.flight.items()):
                if future.done() and not future.cancelled() and future.exception() is None:
                    self._collect(engine, future, part, chunk, tries)
                else:
                    self.suspects.append(Suspect(part, chunk))
            self.flight.clear()
        self.deaths += 1
        if not self.succeeded and self.deaths >= MOST_DEATHS:
            raise checks.InputError(f"{self.deaths} workers died and none has handed in a sample: is memory short?")
        self.progress.message("a worker died; what it may have had in work is computed again, piece by piece")
        engine.rebuild()

    def _blame(self, part: Part, chunk: Chunk, tries: int) -> None:
        """Cut a chunk that alone killed its worker in two, or count the tries of one sample."""
        if chunk.stop - chunk.start > 1:
            middle = (chunk.start + chunk.stop) // 2
            halves = ((chunk.start, middle), (middle, chunk.stop))
            self.suspects[:0] = [Suspect(part, Chunk(chunk.job, a, b, chunk.shape)) for a, b in halves]
            part.flying += 1
        elif tries < TRIES:
            self.suspects.insert(0, Suspect(part, chunk, tries))
        else:
            error = f"the worker died each of {TRIES} times (killed, out of memory, or crashed)"
            part.flying -= 1
            self._fail(part, Failure(chunk.start, error, ""), TRIES)
            self._settle(part)


def _kind(part: Part) -> tuple[str, ...]:
    """Return what of a cell decides the code that computes it: its statistic, and the classes of its ensemble."""
    description = json.loads(part.cell.key)
    classes = re.findall(r'"class":"([^"]+)"', canonical(description["ensemble"]))
    return canonical(description["statistic"]), *classes
