"""What is computed next: the missing samples of each cell, cut into chunks of a second or so."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from rmt.campaign.cells import Cell
from rmt.campaign.shards import BLOCK_BYTES, MOST_FILES, Held, Shard, Shards
from rmt.campaign.stopping import looks
from rmt.campaign.store import Entry
from rmt.campaign.work import Chunk, Job, Shape

CHUNK_SECONDS = 2.0
LEAST_SECONDS = 0.2  # of a chunk, where the last ones are shared out among the workers
GROWTH = 16  # a chunk is at most so many times as long as the one before it


@dataclass
class Moments:
    """The running mean and variance of a cell's target, for display; the order of chunks does not matter much."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, values: np.ndarray) -> None:
        """Take more values, (count,)."""
        with np.errstate(all="ignore"):  # infinities are the statistic's own affair
            count, mean = len(values), values.mean()
            total, step = self.count + count, mean - self.mean  # of NumPy, whose squares do not raise
            self.squares += ((values - mean) ** 2).sum() + step**2 * self.count * count / total
            self.mean += step * count / total
            self.count = total

    @property
    def standard_error(self) -> float:
        """Of the mean; NaN where there are fewer than two values."""
        if self.count < 2:
            return math.nan
        return math.sqrt(max(self.squares, 0.0) / (self.count - 1) / self.count)


@dataclass
class Part:
    """One cell of a run: what is there, what is missing, and what a sample costs."""

    cell: Cell
    entry: Entry
    job: Job
    shards: Shards
    count: int
    held: Held
    sequential: bool = False  # whether it may stop at a look before its count
    shape: Shape | None = None
    final: int | None = None  # the number of samples with which it is complete
    failed: set[int] = field(default_factory=set)
    moments: Moments = field(default_factory=Moments)
    flying: int = 0  # chunks that were given out and are not back, suspects among them
    each: float | None = None  # seconds a sample
    last: int = 0  # samples of the last chunk
    computed: int = 0
    most_files: int = field(default_factory=lambda: MOST_FILES)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.looks: Iterator[int] = looks(self.count) if self.sequential else iter((self.count,))
        self.goal = 0
        self.queue: list[tuple[int, int]] = []
        self.advance()

    def advance(self) -> bool:
        """Go for the next look; False where there is none."""
        goal = next(self.looks, None)
        if goal is None:
            return False
        self.goal = goal
        self.queue = self.held.missing(goal)
        return True

    @property
    def settled(self) -> bool:
        """Whether all that was asked for until the next look came back."""
        return not self.queue and not self.flying

    @property
    def open(self) -> bool:
        """Whether something is to be computed, as far as is known."""
        return self.final is None and not (self.settled and self.failed)

    @property
    def done(self) -> int:
        """How many samples of those asked for are there."""
        return sum(stop - start for start, stop in self.held.covered(self.goal))

    @property
    def stored(self) -> int:
        """How many samples are there, whether they were asked for or not."""
        return sum(stop - start for start, stop in self.held.covered(self.held.end))

    @property
    def left(self) -> int:
        """How many samples below the next look were not given out yet."""
        return sum(stop - start for start, stop in self.queue)

    @property
    def remaining(self) -> float:
        """Seconds of computing to go, as far as that is known."""
        missing = self.goal - self.done - len(self.failed)
        return max(missing, 0) * (self.each or 0.0) if self.final is None else 0.0

    def take(self, workers: int, seconds: float) -> Chunk:
        """Give out the next chunk: of two samples first, then as many as take `seconds`."""
        start, stop = self.queue[0]
        size = 2  # the first may take long to prepare, the second tells what a sample costs
        if self.each is not None and self.shape is not None:
            share = max(-(-self.left // workers), math.ceil(LEAST_SECONDS / self.each))
            size = int(min(seconds / self.each, GROWTH * self.last, share))
            size = min(size, BLOCK_BYTES // (np.dtype(self.shape[0]).itemsize * math.prod(self.shape[1])))
        stop = min(stop, start + max(size, 1))
        self.queue[0] = (stop, self.queue[0][1])
        if stop == self.queue[0][1]:
            del self.queue[0]
        self.flying += 1
        self.last = stop - start
        return Chunk(self.job, start, stop, self.shape)

    def give_back(self, chunk: Chunk) -> None:
        """Take back a chunk that was not computed."""
        self.flying -= 1
        bisect.insort(self.queue, (chunk.start, chunk.stop))

    def measured(self, chunk: Chunk, seconds: float, each: float) -> None:
        """Note what a chunk cost, and a sample of it."""
        self.each = max(each, 1e-9)
        self.seconds += seconds
        self.computed += chunk.stop - chunk.start

    def add(self, shard: Shard) -> None:
        """Take what was committed; many files are joined now and then."""
        bisect.insort(self.held.shards, shard)
        if len(self.held.shards) > self.most_files:
            self.held = self.shards.join(self.held)
            self.most_files = len(self.held.shards) + MOST_FILES


def next_part(parts: list[Part]) -> Part | None:
    """Return the part that the next chunk is taken from: each cell's first samples ahead, then the cheapest cell.

    Cells of which a sample failed come last, so that the others are complete, whatever becomes of them.
    """
    ready = [part for part in parts if part.queue and not (part.flying and (part.each is None or part.shape is None))]
    return min(
        ready, key=lambda part: (bool(part.failed), part.each is not None, part.left * (part.each or 0.0)), default=None
    )
