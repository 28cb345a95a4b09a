"""The samples of a run, read from its directory alone: no experiment file is needed, and nothing is changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from rmt import checks
from rmt.campaign.cells import Cell
from rmt.campaign.shards import BLOCK_BYTES, Held, Shard, Shards, parse
from rmt.campaign.store import Entry, Store


class UnknownCellError(checks.InputError, KeyError):
    """A run has no such cell, or several that the text may mean."""

    __str__ = Exception.__str__  # that of KeyError would quote the line


class Run(Mapping[str, np.ndarray]):
    """The stored samples of a run, by the label of the cell; made by `open_run`.

    ``run[label]`` is an array of shape (count, ...) of the samples 0, 1, ... up to the first that is missing; of shape
    (0,) where sample 0 is. A cell is named by its label, by any part of it that no other label has, or by a `Cell`.
    Files are read, and their hashes verified, when a cell is asked for.

    Attributes
    ----------
    experiment : str
        Name of the experiment.
    options : dict
        Its options.
    seed : int
        The root seed.
    """

    def __init__(self, directory: str | os.PathLike) -> None:
        self._store = Store(directory)
        configuration = self._store.configuration
        self.experiment: str = configuration["experiment"]
        self.options: dict[str, object] = dict(configuration["options"])
        self.seed: int = self._store.seed
        labels = [entry.label for entry in self._store.entries]
        self._entries = {
            entry.label if labels.count(entry.label) == 1 else f"{entry.label} [{entry.sha256[:16]}]": entry
            for entry in self._store.entries
        }

    def __getitem__(self, cell: str | Cell) -> np.ndarray:
        entry = self._find(cell)
        with legible():
            held = self._store.scan(entry)
            return prefix(self._store.shards(entry), held)

    def _find(self, cell: str | Cell) -> Entry:
        if isinstance(cell, Cell):
            found = [entry for entry in self._store.entries if entry.sha256 == cell.sha256.hex()]
        elif cell in self._entries:
            found = [self._entries[cell]]
        else:
            found = [entry for label, entry in self._entries.items() if isinstance(cell, str) and cell in label]
        if len(found) == 1:
            return found[0]
        what = "no cell is" if not found else f"{len(found)} cells are"
        some = [label for label, entry in self._entries.items() if entry in found or not found]
        shown = "; ".join(some[:4]) + (f"; and {len(some) - 4} more" if len(some) > 4 else "")
        name = cell.label if isinstance(cell, Cell) else cell
        raise UnknownCellError(f"{what} called {name!r} in {self._store.directory}: {shown}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<run {self.experiment!r} in {self._store.directory}: {len(self)} cells>"


def open_run(directory: str | os.PathLike) -> Run:
    """Open the directory of a run for reading.

    Parameters
    ----------
    directory : path
        As ``rmt run --out`` made it. It is never changed, and may be that of a run at work.

    Returns
    -------
    Run
        A mapping from the label of each cell to its samples, an array of shape (count, ...).

    Raises
    ------
    InputError
        If `directory` is no run. A cell that is not there is a `KeyError` too.

    Examples
    --------
    >>> import tempfile, pandas as pd, rmt
    >>> from rmt.campaign import Cell, Experiment, open_run, run
    >>> cells = [Cell("spectral_radius", rmt.glorot(n)) for n in (8, 16)]
    >>> present = lambda data, out, options: pd.DataFrame()
    >>> experiment = Experiment("radius", lambda options: cells, lambda cell, quick: 100, {}, present)
    >>> out = tempfile.TemporaryDirectory()
    >>> outcome = run(experiment, out.name, engine="serial")
    >>> stored = open_run(out.name)
    >>> for label, radii in stored.items():
    ...     print(label, radii.shape)
    spectral_radius Ginibre(n=8, field='real', scale=1.0) (100,)
    spectral_radius Ginibre(n=16, field='real', scale=1.0) (100,)
    >>> stored["n=16"].shape
    (100,)
    >>> out.cleanup()
    """
    return Run(directory)


def prefix(shards: Shards, held: Held) -> np.ndarray:
    """Return the samples of a cell up to the first gap, (count, ...); of shape (0,) where there are none."""
    count = held.prefix()
    return shards.load(0, count, held) if count else np.empty(0)


def blocks(shards: Shards, held: Held) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (start, samples from there on) for the samples up to the first gap, in pieces of at most 64 MiB."""
    count = held.prefix()
    if not count:
        return
    size = max(1, BLOCK_BYTES // shards.load(0, 1, held).nbytes)
    for start in range(0, count, size):
        yield start, shards.load(start, min(start + size, count), held)


def count_kept(directory: str | os.PathLike) -> int:
    """Return how many samples there are in a directory, by the names of the files alone: for one line, at once."""
    shards: dict[Path, list[Shard]] = {}
    for path in Path(directory).glob("shards/*/*.npy"):
        shard = parse(path)
        if shard is not None:
            shards.setdefault(path.parent, []).append(shard)
    every = [Held(sorted(found)) for found in shards.values()]
    return sum(stop - start for held in every for start, stop in held.covered(held.end))


def total_size(paths: Iterable[Path]) -> tuple[int, int]:
    """Return how many of these files are there, and how many bytes they have."""
    sizes = []
    for path in paths:
        with suppress(FileNotFoundError):  # joined with others by a run at work
            sizes.append(path.stat().st_size)
    return len(sizes), sum(sizes)


@contextmanager
def legible() -> Iterator[None]:
    """Turn the error of a file that cannot be read into one line."""
    try:
        yield
    except OSError as error:
        raise checks.InputError(f"{error.filename or 'the run'} cannot be read: {error.strerror or error}") from error
