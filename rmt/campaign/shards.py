"""The samples of one cell on disk: immutable files, each a range of indices, named by the hash of its content.

``<start>-<stop>-<sha256>.npy`` holds samples start, ..., stop - 1. The hash covers the bytes, the range, the cell and
the root seed, so that a file that agrees with its name is complete, unaltered and in its place, and nothing
else has to be believed. Ranges may overlap, in whatever way the work was cut; where they do, bits must agree.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from rmt import checks
from rmt.campaign.cells import STREAM_VERSION

PARTIAL = ".partial-"
MOST_FILES = 256  # of one cell, before those that adjoin are joined
BLOCK_BYTES = 2**26  # of a joined file
UNREADABLE = (errno.EIO, errno.EBADMSG, getattr(errno, "EUCLEAN", errno.EIO))  # what is wrong is the file, or its disk
TRIES = 50  # to list and read files while another runner joins them

_NAME = re.compile(r"(\d+)-(\d+)-([0-9a-f]{64})(?:\.mixed-([0-9a-f]{16}))?\.npy")


@dataclass(frozen=True, order=True)
class Shard:
    """One file, as its name says; `label` is the canary of a machine whose bits differ from the manifest's."""

    start: int
    stop: int
    label: str
    path: Path


@dataclass(frozen=True)
class Dispute:
    """Two verified files of one kind of machine that hold other bits for the same samples start, ..., stop - 1."""

    start: int
    stop: int
    first: Shard
    second: Shard


@dataclass
class Held:
    """What a folder holds: verified shards by index, files that do not agree with their names, and disputes."""

    shards: list[Shard] = field(default_factory=list)
    damaged: list[Path] = field(default_factory=list)
    disputes: list[Dispute] = field(default_factory=list)

    @property
    def end(self) -> int:
        """One more than the largest index of a sample that is there; 0 where there is none."""
        return max((shard.stop for shard in self.shards), default=0)

    def prefix(self) -> int:
        """Return how many samples there are without a gap, from sample 0 on."""
        end = 0
        for shard in self.shards:
            if shard.start > end:
                break
            end = max(end, shard.stop)
        return end

    def missing(self, count: int) -> list[tuple[int, int]]:
        """Return the ranges of indices below `count` that no shard holds."""
        gaps, end = [], 0
        for shard in self.shards:
            if shard.start > end:
                gaps.append((end, shard.start))
            end = max(end, shard.stop)
        gaps.append((end, count))
        return [(start, min(stop, count)) for start, stop in gaps if start < min(stop, count)]

    @property
    def redundant(self) -> bool:
        """Whether a shard holds nothing that another of its label does not hold too."""
        ends: dict[str, int] = {}
        for shard in sorted(self.shards, key=lambda shard: (shard.start, -shard.stop)):
            if shard.stop <= ends.get(shard.label, 0):
                return True
            ends[shard.label] = shard.stop
        return False

    def mixed(self, count: int) -> int:
        """Return how many of the samples below `count` come from another kind of machine."""
        return count - sum(stop - start for start, stop in self._plain().covered(count))

    def covered(self, count: int) -> list[tuple[int, int]]:
        """Return the ranges of indices below `count` that a shard holds."""
        edges = [0, *(edge for gap in self.missing(count) for edge in gap), count]
        return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]

    def _plain(self) -> Held:
        return Held([shard for shard in self.shards if not shard.label])


class Shards:
    """The folder of one cell; `cell` is the SHA-256 of its description, in hexadecimal."""

    def __init__(self, folder: Path, cell: str, seed: int) -> None:
        self.folder = folder
        self.cell = cell
        self.seed = seed

    def scan(self, known: Held | None = None) -> Held:
        """Verify every file of the folder, but those of `known`; two that disagree about a sample are an error."""
        held = self.look(known)
        for dispute in held.disputes:
            raise DisagreementError(dispute.start, dispute.stop, dispute.first.path, dispute.second.path)
        return held

    def look(self, known: Held | None = None) -> Held:
        """Verify every file of the folder, but those of `known`. Where two shards overlap, their bits are compared.

        Another runner may commit and join files meanwhile, and a folder that is listed just then can lack both
        the old files and the new one. So it is listed until files only came, or only went, since the time before.
        """
        seen: dict[Path, Shard | None] = {shard.path: shard for shard in (known.shards if known else [])}
        before: set[Path] | None = None
        for _ in range(TRIES):
            paths = self._list()
            new = [path for path in paths if path not in seen]
            for path in new:
                with suppress(FileNotFoundError):  # joined with others since
                    seen[path] = self.verified(path)
            if before is not None and seen.keys() >= set(paths) and (not new or before <= set(paths)):
                shards = sorted(shard for path in paths if (shard := seen[path]) is not None)
                return Held(shards, [path for path in paths if seen[path] is None], self._disputes(shards))
            before = set(paths)
        raise checks.InputError(f"{self.folder} changes faster than it can be read: is another run at work there?")

    def _list(self) -> list[Path]:
        try:
            return sorted(self.folder / name for name in os.listdir(self.folder) if name.endswith(".npy"))
        except FileNotFoundError:
            return []

    def verified(self, path: Path) -> Shard | None:
        """Return the shard that a file is, or None where it is none."""
        return None if self.fault(path) else parse(path)

    def fault(self, path: Path) -> str:
        """Say what is wrong with a file: that it is no shard, or that the disk does not give it back; "" if nothing."""
        shard = parse(path)
        try:
            whole = shard is not None and not path.is_dir() and self.read(shard) is not None
        except OSError as error:
            if error.errno not in UNREADABLE:
                raise
            return f"it cannot be read: {error.strerror or error}"
        return "" if whole else "its content does not agree with its name"

    def _disputes(self, shards: list[Shard]) -> list[Dispute]:
        """Compare those that overlap, in the order of their first samples, with the farthest of those before.

        That one covers whatever the next one shares with any of them.
        """
        found: list[Dispute] = []
        farthest: dict[str, Shard] = {}  # of each label
        values: dict[str, np.ndarray | None] = {}
        for shard in shards:
            before = farthest.get(shard.label)
            if before is not None and shard.start < before.stop:
                with suppress(FileNotFoundError):  # joined with others since they were verified
                    if shard.label not in values:
                        values[shard.label] = self.read(before)
                    found += self._compare(before, values[shard.label], shard)
            if before is None or shard.stop > before.stop:
                farthest[shard.label] = shard
                values.pop(shard.label, None)
        return found

    def _compare(self, first: Shard, one: np.ndarray | None, second: Shard) -> list[Dispute]:
        """Return whether two files hold other bits for the indices that they share, as a list of at most one."""
        start, stop = second.start, min(first.stop, second.stop)
        two = self.read(second)
        if one is None or two is None:  # altered since they were verified: whoever reads them is told
            return []
        one, two = one[start - first.start : stop - first.start], two[: stop - start]
        same = one.tobytes() == two.tobytes() and one.shape == two.shape
        return [] if same else [Dispute(start, stop, first, second)]

    def read(self, shard: Shard) -> np.ndarray | None:
        """Return the samples of a file, (count, ...), or None where it does not agree with its name."""
        try:
            data = shard.path.read_bytes()
        except OSError as error:
            error.filename = str(shard.path)  # unknown to an error of reading, unlike one of opening
            raise
        if shard.path.name != self._name(shard.start, shard.stop, shard.label, data):
            return None
        values = np.load(io.BytesIO(data), allow_pickle=False)
        return values if len(values) == shard.stop - shard.start else None

    def _name(self, start: int, stop: int, label: str, data: bytes) -> str:
        head = f"rmt samples\n{self.cell}\n{self.seed}\n{STREAM_VERSION}\n{start} {stop}\n{label}\n"
        digest = hashlib.sha256(head.encode() + data).hexdigest()
        return f"{start}-{stop}-{digest}{f'.mixed-{label}' if label else ''}.npy"

    def commit(self, start: int, values: np.ndarray, label: str = "") -> Shard:
        """Write samples start, start + 1, ..., `values` of shape (count, ...); equal arrays give equal bytes."""
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.ascontiguousarray(values), version=(1, 0), allow_pickle=False)
        data, stop = buffer.getvalue(), start + len(values)
        path = self.folder / self._name(start, stop, label, data)
        if not self.folder.is_dir():
            self.folder.mkdir(parents=True, exist_ok=True)
            flush_folder(self.folder.parent)
            flush_folder(self.folder.parent.parent)
        commit(path, data)
        return Shard(start, stop, label, path)

    def load(self, start: int, stop: int, held: Held | None = None, label: str | None = None) -> np.ndarray:
        """Return samples start, ..., stop - 1, all of which must be there, as an array of shape (count, ...).

        Where samples of several kinds of machine are there, those of the manifest's kind are taken; or those of
        `label` alone.
        """
        for _ in range(TRIES):
            try:
                return self._load(start, stop, self.scan() if held is None else held, label)
            except FileNotFoundError:  # another runner joined files meanwhile
                held = None
        raise checks.InputError(f"{self.folder} changes faster than it can be read: is another run at work there?")

    def _load(self, start: int, stop: int, held: Held, label: str | None) -> np.ndarray:
        result: np.ndarray | None = None
        missing = stop - start
        filled = np.zeros(stop - start, dtype=bool)
        shards = [shard for shard in held.shards if label is None or shard.label == label]
        # Those of the manifest's kind of machine come last, and so decide where both are there.
        for shard in sorted(shards, key=lambda shard: (not shard.label, shard)):
            low, high = max(start, shard.start), min(stop, shard.stop)
            if low >= high:
                continue
            values = self.read(shard)
            if values is None:
                raise checks.InputError(f"{shard.path} was altered while it was read")
            if result is None:
                result = np.empty((stop - start, *values.shape[1:]), values.dtype)
            if (values.shape[1:], values.dtype) != (result.shape[1:], result.dtype):
                raise checks.InputError(f"{self.folder} holds samples of different shapes; {shard.path.name} is one")
            result[low - start : high - start] = values[low - shard.start : high - shard.start]
            filled[low - start : high - start] = True
            missing = stop - start - int(filled.sum())
        if result is None or missing:
            raise checks.InputError(f"{self.folder} lacks {missing} of the samples from {start} to {stop - 1}")
        return result

    def join(self, held: Held) -> Held:
        """Join the files of adjoining samples into few, those of each kind of machine by themselves.

        What they hold stays the same, and so do the files of complete cells, whatever was joined before. A kill in
        between leaves overlapping files, which do no harm and are joined by the next call.
        """
        shards: list[Shard] = []
        for label in sorted({shard.label for shard in held.shards}):
            ours = Held([shard for shard in held.shards if shard.label == label])
            joined: list[Shard] = []
            for start, stop in ours.covered(max(shard.stop for shard in ours.shards)):
                joined += self._join(start, stop, ours, label)
            for shard in sorted(set(ours.shards) - set(joined)):
                shard.path.unlink(missing_ok=True)
            shards += joined
        return Held(sorted(shards), held.damaged, held.disputes)

    def _join(self, start: int, stop: int, held: Held, label: str) -> list[Shard]:
        """Bring samples start, ..., stop - 1 into files that end at whole multiples of a block, and at `stop`."""
        present = {(shard.start, shard.stop): shard for shard in held.shards}
        block = max(1, BLOCK_BYTES // self.load(start, start + 1, held, label).nbytes)
        edges = [start, *range(start - start % block + block, stop, block), stop]
        return [
            present.get(ends) or self.commit(ends[0], self.load(*ends, held, label), label) for ends in pairwise(edges)
        ]


class DisagreementError(checks.InputError):
    """Two verified files hold other bits for the same sample."""

    def __init__(self, start: int, stop: int, first: Path, second: Path, authors: str = "") -> None:
        self.start, self.stop, self.first, self.second = start, stop, first, second
        super().__init__(
            f"{first.parent} holds two files that disagree about samples {start} to {stop - 1}: {first.name} and "
            f"{second.name}{authors}; find out which is right (rmt verify), and remove the other"
        )


def parse(path: Path) -> Shard | None:
    """Return the shard that `path` names, whatever it holds, or None where it names none."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        return None
    start, stop = int(match[1]), int(match[2])
    return Shard(start, stop, match[4] or "", path) if start < stop else None


def commit(path: Path, data: bytes, *, exclusive: bool = False) -> None:
    """Write `data` beside `path`, flush it to the disk, and rename it; `exclusive` leaves a file that is there."""
    for attempt in range(TRIES):
        partial = path.with_name(f".{path.name[:150]}{PARTIAL}{secrets.token_hex(8)}")
        try:
            with open(partial, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if exclusive:
                _link(partial, path)
            else:
                os.replace(partial, path)
            break
        except FileNotFoundError:  # another runner was done, and took this for a leftover
            if attempt == TRIES - 1 or not path.parent.is_dir():
                raise
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    flush_folder(path.parent)


def _link(partial: Path, path: Path) -> None:
    try:
        os.link(partial, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        if not path.exists():
            os.replace(partial, path)
            return
    partial.unlink(missing_ok=True)


def flush_folder(folder: Path) -> None:
    """Flush a directory, so that a rename in it outlives a loss of power."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # one that may be passed and not read: another user's, above ours
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that cannot
            raise
    finally:
        os.close(descriptor)


def partials(folders: Iterable[Path]) -> list[Path]:
    """Return the files that killed runs left half written."""
    return [path for folder in folders if folder.is_dir() for path in folder.glob(f".*{PARTIAL}*")]
