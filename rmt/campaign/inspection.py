"""How a run stands, from its directory alone: what is there, what is missing, what is wrong, and how to go on."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rmt import checks
from rmt.campaign.reading import legible, prefix, total_size
from rmt.campaign.shards import Dispute, Held, Shards
from rmt.campaign.stopping import standard_error
from rmt.campaign.store import Entry, Store

if TYPE_CHECKING:
    from pandas import DataFrame

ACTIVE_SECONDS = 120.0  # since the last line of a log that has not ended


@dataclass(frozen=True)
class CellStatus:
    """How one cell stands.

    Attributes
    ----------
    label : str
        The cell, for people.
    folder : str
        Where its samples are, below ``shards/``.
    complete : bool
        Whether all samples that were asked for are there, and no files disagree.
    asked : int
        How many samples the newest call that had work to do was to have; once it has completed the cell, how many
        it took. Never fewer than are there without a gap, all of which are used.
    done : int
        How many of these are there.
    stored : int
        How many are there in all.
    prefix : int
        How many of these are there without a gap from sample 0 on.
    failed : list of int
        The samples that failed, and have not succeeded since.
    mixed : int
        How many of the stored samples come from machines whose numerics differ from the manifest's.
    damaged : list of str
        Files that do not agree with their names.
    disputes : list of str
        A line for each pair of files that disagree about a sample, and for files that do not go together.
    shape : list of int or None
        Shape of a sample, () for a number; None where there is none.
    field : {"real", "complex"} or None
        Its numbers.
    mean, standard_error : float or None
        Of samples 0, ..., prefix - 1 where a sample is one real number; None otherwise, or where they are not finite.
    """

    label: str
    folder: str
    complete: bool
    asked: int
    done: int
    stored: int
    prefix: int
    failed: list[int]
    mixed: int
    damaged: list[str]
    disputes: list[str]
    shape: list[int] | None
    field: str | None
    mean: float | None
    standard_error: float | None


@dataclass(frozen=True)
class Status:
    """How a run stands.

    Attributes
    ----------
    directory, experiment : str
        Where it is, and what was run.
    options : dict
        Options of the experiment.
    seed : int
        The root seed.
    complete : bool
        Whether every cell has all samples that were asked for.
    cells : list of CellStatus
        In the order of the experiment.
    asked, done, failed, mixed, damaged : int
        Sums over the cells.
    files, bytes : int
        How many files of samples there are, and their size.
    set_aside : int
        How many damaged files earlier calls put into ``damaged/``.
    call : str or None
        Name of the newest call's log in ``runs/``; None where no call had work to do yet.
    host : str or None
        Where it was given.
    last_activity : str or None
        Time of the last line of all logs, ISO 8601, UTC.
    ended : str or None
        How the newest call ended: "done", "incomplete", "interrupted", "out of time" or what became of the engine;
        None where it is at work, or was killed.
    active : bool
        Whether a run seems at work: the newest call has not ended, and logged something in the last two minutes. A
        sample may take longer than that, and a clock may be wrong.
    command : str or None
        The command that goes on; None where the experiment was made in Python.
    """

    directory: str
    experiment: str
    options: dict[str, Any]
    seed: int
    complete: bool
    cells: list[CellStatus]
    asked: int
    done: int
    failed: int
    mixed: int
    damaged: int
    files: int
    bytes: int
    set_aside: int
    call: str | None
    host: str | None
    last_activity: str | None
    ended: str | None
    active: bool
    command: str | None

    def table(self) -> DataFrame:
        """Return a DataFrame of one row for each cell."""
        import pandas as pd

        rows = [
            {
                "cell": cell.label,
                "done": cell.done,
                "asked": cell.asked,
                "failed": len(cell.failed),
                "mixed": cell.mixed,
                "damaged": len(cell.damaged),
                "mean": math.nan if cell.mean is None else cell.mean,
                "standard error": math.nan if cell.standard_error is None else cell.standard_error,
            }
            for cell in self.cells
        ]
        return pd.DataFrame(rows)


def status(directory: str | os.PathLike) -> Status:
    """Say how the run in `directory` stands.

    Everything is read from the directory, where a run may be at work, and nothing is changed. The hash of every file
    is verified.

    Parameters
    ----------
    directory : path
        As ``rmt run --out`` made it.

    Returns
    -------
    Status
        Its fields are those of ``rmt status --json``.

    Raises
    ------
    InputError
        If `directory` is no run, or cannot be read.

    Examples
    --------
    >>> import tempfile, pandas as pd, rmt
    >>> from rmt.campaign import Cell, Experiment, run, status
    >>> cell = Cell("spectral_radius", rmt.glorot(8))
    >>> present = lambda data, out, options: pd.DataFrame()
    >>> experiment = Experiment("radius", lambda options: [cell], lambda cell, quick: 100, {}, present)
    >>> with tempfile.TemporaryDirectory() as out:
    ...     outcome = run(experiment, out, engine="serial")
    ...     found = status(out)
    >>> found.complete, found.done, found.asked, found.ended
    (True, 100, 100, 'done')
    >>> f"{found.cells[0].mean:.2f} +- {found.cells[0].standard_error:.2f}"
    '1.08 +- 0.02'
    """
    store = Store(directory)
    with legible():
        logs, asked = store.runs(), store.asked()
        cells = [_cell(store, entry, asked[entry.sha256]) for entry in store.entries]
        folders = [store.directory / "shards" / entry.folder for entry in store.entries]
        files, size = total_size(path for folder in folders for path in folder.glob("*.npy"))
        aside = store.directory / "damaged"
        set_aside = sum(1 for _ in aside.iterdir()) if aside.is_dir() else 0
    newest = next(reversed(logs.values()), [])
    ended = next((str(line["ended"]) for line in reversed(newest) if "ended" in line), None)
    last = max((when for lines in logs.values() for line in lines if (when := _time(line)) is not None), default=None)
    return Status(
        directory=str(store.directory),
        experiment=store.configuration["experiment"],
        options=dict(store.configuration["options"]),
        seed=store.seed,
        complete=all(cell.complete for cell in cells),
        cells=cells,
        asked=sum(cell.asked for cell in cells),
        done=sum(cell.done for cell in cells),
        failed=sum(len(cell.failed) for cell in cells),
        mixed=sum(cell.mixed for cell in cells),
        damaged=sum(len(cell.damaged) for cell in cells),
        files=files,
        bytes=size,
        set_aside=set_aside,
        call=next(reversed(logs), None),
        host=next((str(line["host"]) for line in newest if "host" in line), None),
        last_activity=None if last is None else last.isoformat(timespec="seconds"),
        ended=ended,
        active=last is not None and ended is None and (datetime.now(UTC) - last).total_seconds() < ACTIVE_SECONDS,
        command=command(store),
    )


def _cell(store: Store, entry: Entry, asked: int) -> CellStatus:
    shards = store.shards(entry)
    held = shards.look()
    count = held.end
    asked = max(asked, held.prefix())  # whatever is there is used
    disputes = [describe_dispute(dispute) for dispute in held.disputes]
    shape, field, mean, error = None, None, None, None
    try:
        shape, field, mean, error = _summary(shards, held)
    except checks.InputError as trouble:
        disputes = disputes or [str(trouble)]
    there = held.covered(count)
    done = sum(stop - start for start, stop in held.covered(asked))
    failed = [index for index in store.failures(entry) if not any(start <= index < stop for start, stop in there)]
    return CellStatus(
        label=entry.label,
        folder=entry.folder,
        complete=done >= asked and not disputes,
        asked=asked,
        done=done,
        stored=sum(stop - start for start, stop in there),
        prefix=held.prefix(),
        failed=failed,
        mixed=sum(stop - start for start, stop in there) - plain(held, count),
        damaged=[path.name for path in held.damaged],
        disputes=disputes,
        shape=shape,
        field=field,
        mean=mean,
        standard_error=error,
    )


def _summary(shards: Shards, held: Held) -> tuple[list[int] | None, str | None, float | None, float | None]:
    """Return shape, field, mean and standard error of the samples of a cell, as far as they have them."""
    if not held.shards:
        return None, None, None, None
    at = held.shards[0].start
    first = shards.load(at, at + 1, held)[0]
    shape, field = list(first.shape), "complex" if first.dtype.kind == "c" else "real"
    if shape or field == "complex" or not held.prefix():
        return shape, field, None, None
    values = prefix(shards, held)
    with np.errstate(all="ignore"):
        return shape, field, _finite(float(values.mean())), _finite(standard_error(values))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def plain(held: Held, count: int) -> int:
    """Return how many of the samples below `count` come from the manifest's kind of machine."""
    own = Held([shard for shard in held.shards if not shard.label])
    return sum(stop - start for start, stop in own.covered(count))


def describe_dispute(dispute: Dispute) -> str:
    """Say which files disagree about which samples."""
    last = dispute.stop - 1
    which = f"sample {last}" if dispute.start == last else f"samples {dispute.start} to {last}"
    return f"{dispute.first.path.name} and {dispute.second.path.name} disagree about {which}"


def _time(line: dict[str, Any]) -> datetime | None:
    """Return the time of a line of a log, if it has one."""
    try:
        when = datetime.fromisoformat(line["time"])
    except (KeyError, TypeError, ValueError):
        return None
    return when if when.tzinfo is not None else None


def command(store: Store) -> str | None:
    """Return the command that gives the newest call again, from whatever directory; None for a run made in Python.

    It is what the user gave, where the newest call was a command; else it has the options that the caller gave.
    """
    import shlex

    call = newest_call(store)
    file = call.get("file", store.manifest["file"])
    if not isinstance(file, str):
        return None
    given = call.get("arguments")
    if isinstance(given, list) and all(isinstance(word, str) for word in given):
        return shlex.join(["rmt", *_from_here(given, file, store)])
    words = ["rmt", "run", file, "--out", str(store.directory)]
    if store.seed:
        words += ["--seed", str(store.seed)]
    options = call.get("options")  # an earlier rmt did not log which of them were given
    for name, value in (options if isinstance(options, dict) else store.configuration["options"]).items():
        flag = name.replace("_", "-")
        # With an equals sign: a value may begin with a dash.
        words.append(f"--{'' if value else 'no-'}{flag}" if isinstance(value, bool) else f"--{flag}={value}")
    words += ["--quick"] if call.get("quick") else []
    target_se = store.manifest["stopping"]["target_se"]
    if isinstance(call.get("stopping"), dict):
        target_se = call["stopping"].get("target_se")
    for flag, value in (("--samples", call.get("samples")), ("--target-se", target_se)):
        words += [] if value is None else [flag, str(value)]
    return shlex.join(words)


def _from_here(given: list[str], file: str, store: Store) -> list[str]:
    """Return the words of a command with the paths of file and directory as they are to be written here and now."""
    words = list(given)
    for i, word in enumerate(given):
        name, equals, value = word.partition("=")
        if given[i - 1] == "--out" and i:
            words[i] = word if Path(word).absolute() == store.place else str(store.directory)
        elif name == "--out" and equals:
            words[i] = word if Path(value).absolute() == store.place else f"--out={store.directory}"
        elif not word.startswith("-") and os.path.basename(word) == os.path.basename(file):
            words[i] = word if os.path.abspath(word) == file else file
    return words


def newest_call(store: Store) -> dict[str, Any]:
    """Return the first line of the newest call's log; an empty dict where there is none."""
    lines = next(reversed(store.runs().values()), [])
    return next((line for line in lines if "stopping" in line), {})
