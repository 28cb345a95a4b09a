"""Whether a run is what it says: every file is hashed again, and some samples are computed again, bit by bit."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rmt import checks
from rmt.campaign.cells import Cell, sample
from rmt.campaign.differences import changed_sources
from rmt.campaign.inspection import describe_dispute, newest_call
from rmt.campaign.loading import load
from rmt.campaign.numerics import canary, canary_label, changes
from rmt.campaign.plan import make_plan, one_line
from rmt.campaign.reading import legible, total_size
from rmt.campaign.rebuilding import rebuild
from rmt.campaign.shards import TRIES, Dispute, Held, Shard
from rmt.campaign.store import Entry, Store
from rmt.parallel import one_blas_thread

SAMPLES = 3
MAX_SECONDS = 60.0
GROWTH = 4  # each round over the cells takes so many times as many samples of each as the one before


@dataclass
class Verification:
    """What `verify` found.

    Attributes
    ----------
    findings : list of str
        A line for each file or sample with which something is wrong; empty where the run is sound.
    notes : list of str
        What was not checked, and why; and what else is worth knowing.
    cells, files, bytes : int
        How many cells the run has, and how many files were hashed, with how many bytes.
    chosen, recomputed, of_cells : int
        How many samples were chosen to be computed again, how many were, and of how many cells.
    seed : int
        Of the choice.
    seconds : float
        What computing took.
    """

    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    cells: int = 0
    files: int = 0
    bytes: int = 0
    chosen: int = 0
    recomputed: int = 0
    of_cells: int = 0
    seed: int = 0
    seconds: float = 0.0

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def verify(
    directory: str | os.PathLike,
    *,
    samples: int = SAMPLES,
    experiment: str | os.PathLike | None = None,
    seed: int | None = None,
    max_seconds: float = MAX_SECONDS,
) -> Verification:
    """Hash every file of a run again, and compute a random choice of its samples again.

    Files that overlap are compared; where two disagree, the sample in question is computed again, and the answer says
    which of them is right. Nothing in `directory` is changed, and a run may be at work there.

    Cells that name things of rmt only are made from the manifest. Others need the experiment file, which is run: by
    default the one that the newest call named, so verify runs of people whose code you would run. Samples are not
    compared where their cell cannot be had, or where they come from a machine of other numerics than this one.

    Parameters
    ----------
    directory : path
        As ``rmt run --out`` made it.
    samples : int
        How many samples of each cell are computed again, 0 for none; all of them where it has no more.
    experiment : path, optional
        The experiment file, if it is not where it was.
    seed : int, optional
        Of the choice of samples. By default it differs from call to call, so that more and more are compared.
    max_seconds : float
        No sample begins after so many seconds of computing, but one for each pair of files that disagree.

    Returns
    -------
    Verification

    Raises
    ------
    InputError
        If `directory` is no run or cannot be read, or an argument is out of its range.

    Examples
    --------
    >>> import tempfile, pandas as pd, rmt
    >>> from rmt.campaign import Cell, Experiment, run, verify
    >>> cell = Cell("spectral_radius", rmt.glorot(8))
    >>> present = lambda data, out, options: pd.DataFrame()
    >>> experiment = Experiment("radius", lambda options: [cell], lambda cell, quick: 100, {}, present)
    >>> with tempfile.TemporaryDirectory() as out:
    ...     outcome = run(experiment, out, engine="serial")
    ...     found = verify(out, samples=5)
    >>> found.sound, found.files, found.recomputed
    (True, 1, 5)
    """
    samples = checks.integer("samples", samples, minimum=0)
    seed = secrets.randbits(32) if seed is None else checks.integer("seed", seed, minimum=0)
    max_seconds = checks.real("max_seconds", max_seconds, above=0.0)
    store = Store(directory)
    result = Verification(cells=len(store.entries), seed=seed)
    rng = np.random.default_rng(seed)
    with legible():
        here, asked, completed = canary(), store.asked(), store.completed()
        works = [_Work(store, entry, here, result) for entry in store.entries]
        for work in works:
            work.note_gaps(asked[work.entry.sha256], completed.get(work.entry.sha256, 0))
        needed = samples or any(work.held.disputes for work in works)
        cells, reasons = _cells(store, experiment, result) if needed else ({}, {})
        for work in works:
            work.cell = cells.get(work.entry.sha256)
            work.choose(samples, rng)
        _note_what_is_left_out(store, works, reasons, here, result)
        with one_blas_thread():
            _recompute(works, max_seconds, result)
    aside = store.directory / "damaged"
    if aside.is_dir() and any(aside.iterdir()):
        result.notes.append(f"{aside} holds files that earlier calls of `rmt run` found damaged")
    return result


def _cells(
    store: Store, experiment: str | os.PathLike | None, result: Verification
) -> tuple[dict[str, Cell], dict[str, str]]:
    """Return {hash: cell} of those that can be made, and {hash: why not} of the others."""
    descriptions = {cell["sha256"]: cell["description"] for cell in store.configuration["cells"]}
    made = {sha256: rebuild(description) for sha256, description in descriptions.items()}
    cells = {sha256: cell for sha256, cell in made.items() if cell is not None}
    if len(cells) == len(made):
        return cells, {}
    file = newest_call(store).get("file", store.manifest["file"]) if experiment is None else experiment
    if not isinstance(file, (str, os.PathLike)):
        why = "the run was made in Python, and no experiment file is known; --experiment FILE names one"
        return cells, dict.fromkeys(made.keys() - cells.keys(), why)
    try:
        options = store.configuration["options"]
        plan = make_plan(load(file), options=options, seed=store.seed, samples=1)
    except checks.InputError as error:
        return cells, dict.fromkeys(made.keys() - cells.keys(), f"its experiment file does not serve: {error}")
    result.notes.append(f"{os.fspath(file)} was run for its cells")
    stored = store.configuration["sources"]
    same = [cell for cell in plan.counts if not changed_sources(stored, cell.sources)]
    cells |= {cell.sha256.hex(): cell for cell in same if cell.sha256.hex() in made}
    return cells, dict.fromkeys(made.keys() - cells.keys(), f"{os.fspath(file)} defines it otherwise by now")


class _Work:
    """One cell: its files, and the samples that are to be computed again."""

    def __init__(self, store: Store, entry: Entry, here: dict[str, str], result: Verification) -> None:
        self.store, self.entry, self.result = store, entry, result
        self.cell: Cell | None = None
        self.shards = store.shards(entry)
        self.held = self.shards.look()
        own = "" if here == store.manifest["canary"] else canary_label(here)
        self.comparable = [shard for shard in self.held.shards if shard.label == own]
        self.disputed: list[tuple[int, Dispute]] = []
        self.indices: list[int] = []
        self.open: tuple[Shard, np.ndarray] | None = None
        files, size = total_size([*self.held.damaged, *(shard.path for shard in self.held.shards)])
        result.files, result.bytes = result.files + files, result.bytes + size
        for path in self.held.damaged:
            result.findings.append(f"{self.name(path.name)}: damaged, {self._fault(path)}")

    def _fault(self, path: Path) -> str:
        try:
            return self.shards.fault(path) or "it was, and is whole again"
        except FileNotFoundError:  # a run at work set it aside
            return "and set aside since"

    def name(self, file: str) -> str:
        return f"shards/{self.entry.folder}/{file}"

    def note_gaps(self, asked: int, completed: int) -> None:
        """Tell samples that are lost, of the `completed` ones of the newest call, from those not computed yet."""
        for start, stop in self.held.missing(completed) if not self.held.damaged else []:
            self.result.findings.append(
                f"shards/{self.entry.folder}: samples {start} to {stop - 1} were there when the newest call ended, "
                "and are not now"
            )
        missing = sum(stop - start for start, stop in self.held.missing(asked))
        if missing and not completed:
            self.result.notes.append(f"{self.entry.label} is incomplete: {missing:,} of {asked:,} samples are missing")

    def choose(self, samples: int, rng: np.random.Generator) -> None:
        """Choose samples of this kind of machine, and of each pair of files that disagree the first that differs."""
        for dispute in self.held.disputes:
            self.disputed.append((self._first_difference(dispute), dispute))
        if self.cell is None:
            return
        held = Held(self.comparable)
        end = max((shard.stop for shard in self.comparable), default=0)
        ranges = held.covered(end)
        sizes = np.array([stop - start for start, stop in ranges])
        total = int(sizes.sum())
        picked = np.sort(rng.choice(total, min(samples, total), replace=False)) if total else np.empty(0, int)
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        at = np.searchsorted(offsets, picked, side="right") - 1
        chosen = [int(ranges[k][0] + i - offsets[k]) for i, k in zip(picked, at, strict=True)]
        self.indices = [int(i) for i in rng.permutation(chosen)]
        self.result.chosen += len(self.indices)

    def _first_difference(self, dispute: Dispute) -> int:
        try:
            one, two = self.shards.read(dispute.first), self.shards.read(dispute.second)
        except FileNotFoundError:  # a run at work joined files meanwhile
            return dispute.start
        if one is None or two is None:
            return dispute.start
        for index in range(dispute.start, dispute.stop):
            a, b = one[index - dispute.first.start], two[index - dispute.second.start]
            if a.tobytes() != b.tobytes():
                return index
        return dispute.start

    def check(self, index: int) -> dict[Shard, bool]:
        """Compute a sample again, and say of each file of this kind of machine that holds it whether it agrees."""
        assert self.cell is not None
        self.result.recomputed += 1
        try:
            fresh = sample(self.cell, self.store.seed, index)
        except (Exception, SystemExit) as error:
            self.result.findings.append(f"sample {index} of {self.entry.label} fails here: {one_line(error)}")
            return {}
        agree = {}
        for shard, value in self._stored(index):
            agree[shard] = value.tobytes() == fresh.tobytes() and value.shape == fresh.shape
            if not agree[shard]:
                self.result.findings.append(
                    f"{self.name(shard.path.name)}: sample {index} of {self.entry.label} is not what is computed here: "
                    f"{_difference(value, fresh)}"
                )
        return agree

    def _stored(self, index: int) -> list[tuple[Shard, np.ndarray]]:
        """Return a sample from each file of this kind of machine that holds it."""
        labels = {shard.label for shard in self.comparable}
        for _ in range(TRIES):
            try:
                holders = [shard for shard in self.comparable if shard.start <= index < shard.stop]
                return [(shard, self._read(shard)[index - shard.start]) for shard in holders]
            except FileNotFoundError:  # a run at work joined files meanwhile
                self.comparable = [shard for shard in self.shards.look().shards if shard.label in labels]
        raise checks.InputError(f"{self.shards.folder} changes faster than it can be read: is a run at work there?")

    def _read(self, shard: Shard) -> np.ndarray:
        if self.open is None or self.open[0] != shard:
            values = self.shards.read(shard)
            if values is None:
                raise checks.InputError(f"{shard.path} was altered while it was read")
            self.open = shard, values
        return self.open[1]


def _difference(stored: np.ndarray, fresh: np.ndarray) -> str:
    if stored.shape != fresh.shape:
        return f"shape {stored.shape} stored, {fresh.shape} computed"
    if not stored.shape:
        return f"{stored[()]!s} stored, {fresh[()]!s} computed"
    with np.errstate(all="ignore"):
        largest = np.abs(stored - fresh).max()
    differ = int((stored != fresh).sum())
    return f"{differ} of {stored.size} numbers differ, by at most {largest:.3g}"


def _note_what_is_left_out(
    store: Store, works: list[_Work], reasons: dict[str, str], here: dict[str, str], result: Verification
) -> None:
    """Say which samples cannot be computed again, and why."""
    by_reason: dict[str, list[str]] = {}
    for work in works:
        if work.entry.sha256 in reasons and work.held.shards:
            by_reason.setdefault(reasons[work.entry.sha256], []).append(work.entry.label)
    for reason, labels in by_reason.items():
        shown = "; ".join(labels[:3]) + (f"; and {len(labels) - 3} more" if len(labels) > 3 else "")
        result.notes.append(f"not computed again: {shown}: {reason}")
    files = sum(len(work.held.shards) - len(work.comparable) for work in works)
    if files:
        differs = changes(store.manifest["canary"], here)
        why = f"the canary of this one differs from the manifest's: {differs}" if differs else "they are labelled"
        result.notes.append(f"not computed again: samples in {files} of the files, of another kind of machine ({why})")


def _recompute(works: list[_Work], max_seconds: float, result: Verification) -> None:
    begin = time.perf_counter()
    for work in works:
        for index, dispute in work.disputed:
            result.findings.append(f"shards/{work.entry.folder}: {_judge(work, index, dispute)}")
    done: set[str] = set()
    left = 0
    for work, index in _turns(works):
        if time.perf_counter() - begin >= max_seconds:
            left += 1
            continue
        work.check(index)
        done.add(work.entry.sha256)
    result.of_cells, result.seconds = len(done), time.perf_counter() - begin
    if left:
        result.notes.append(
            f"{left:,} of the {result.chosen:,} samples that were chosen were not computed again: {max_seconds:g} s "
            "were over; --max-seconds allows more"
        )


def _judge(work: _Work, index: int, dispute: Dispute) -> str:
    """Say which of two files is right about a sample."""
    what = f"{describe_dispute(dispute)} (written by {', '.join(map(work.store.author, _paths(dispute)))})"
    if work.cell is None or dispute.first not in work.comparable:
        return f"{what}; which is right cannot be computed here"
    agree = work.check(index)
    right = [shard.path.name for shard in (dispute.first, dispute.second) if agree.get(shard)]
    verdict = f"{right[0]} is right" if len(right) == 1 else "neither is right" if not right else "both are right"
    return f"{what}; about sample {index} {verdict}"


def _paths(dispute: Dispute) -> tuple:
    return dispute.first.path, dispute.second.path


def _turns(works: list[_Work]) -> Iterator[tuple[_Work, int]]:
    """Yield the chosen samples in rounds over the cells: of each 1, 4, 16, ... samples, in the order of the files."""
    size, queues = 1, [(work, list(work.indices)) for work in works]
    while any(queue for _, queue in queues):
        for work, queue in queues:
            for index in sorted(queue[:size]):
                yield work, index
            del queue[:size]
        size *= GROWTH
