"""The samples and a summary of a run in the formats of other programs: Parquet, CSV, LaTeX, Markdown."""

from __future__ import annotations

import json
import math
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rmt import checks, tables
from rmt.campaign.reading import blocks, legible, prefix
from rmt.campaign.shards import PARTIAL, Held, Shards, flush_folder
from rmt.campaign.stopping import standard_error
from rmt.campaign.store import OURS, Entry, Store

FORMATS = ("parquet", "csv", "latex", "markdown")
SUFFIXES = {"parquet": "parquet", "csv": "csv", "latex": "tex", "markdown": "md"}
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass
class Export:
    """What `export` did.

    Attributes
    ----------
    written : list of Path
        The files.
    notes : list of str
        A line for each cell of which not all is there.
    """

    written: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def export(directory: str | os.PathLike, format: str, out: str | os.PathLike | None = None) -> Export:
    """Write the samples and a summary of a run for other programs.

    Of each cell the samples 0, 1, ... up to the first that is missing are taken, also while a run is at work. The hash
    of every file is verified, and nothing but `out` is written to.

    Parameters
    ----------
    directory : path
        As ``rmt run --out`` made it.
    format : {"parquet", "csv", "latex", "markdown"}
        "parquet" and "csv" write a file for each cell, named like its folder in ``shards/``, with a row for each
        sample, and the summary. "latex" and "markdown" write the summary alone.
    out : path, optional
        Folder for the files, made if absent; ``export`` in `directory` by default. Files are replaced whole.

    Returns
    -------
    Export

    Raises
    ------
    InputError
        If `directory` is no run or cannot be read, if files in it disagree about a sample, or if `out` cannot be
        written, or is `directory` itself or within its store.

    Notes
    -----
    Columns of a cell's file: ``sample``, the index; ``value``, or ``real`` and ``imag`` for complex numbers; and
    ``numerics``, the label of the machine or "", only where some samples come from a machine whose numerics
    differ from the manifest's. In Parquet an array is a list of fixed size, the last index running fastest; its
    shape stands in the metadata of the file, with label, description and seed. In CSV each of its numbers has a
    column: ``value_0_1``, or ``real_0_1`` and ``imag_0_1``. Floats are written so that they read back as the same bits.

    The summary has a row for each cell: label, n, statistic and parameters; what a sample is; the count; and mean,
    standard deviation, standard error and quantiles where a sample is one real number.

    Examples
    --------
    >>> import tempfile, pandas as pd, rmt
    >>> from rmt.campaign import Cell, Experiment, export, run
    >>> cell = Cell("spectral_radius", rmt.glorot(8))
    >>> present = lambda data, out, options: pd.DataFrame()
    >>> experiment = Experiment("radius", lambda options: [cell], lambda cell, quick: 100, {}, present)
    >>> out = tempfile.TemporaryDirectory()
    >>> outcome = run(experiment, out.name, engine="serial")
    >>> samples, summary = export(out.name, "csv").written
    >>> pd.read_csv(samples).shape, summary.name
    ((100, 2), 'summary.csv')
    >>> out.cleanup()
    """
    checks.choice("format", format, FORMATS)
    store = Store(directory)
    folder = store.directory / "export" if out is None else Path(out)
    _check_apart(folder, store)
    result = Export()
    rows = []
    with legible():
        asked = store.asked()
        scanned = [(entry, store.shards(entry), store.scan(entry)) for entry in store.entries]
        _make(folder)
        for entry, shards, held in scanned:
            result.notes += _note(entry, held, asked[entry.sha256])
            file = None
            if format in ("parquet", "csv") and held.prefix():
                file = folder / f"{entry.folder}.{format}"
                write = _write_parquet if format == "parquet" else _write_csv
                with _replacing(file) as partial:
                    write(partial, store, entry, shards, held)
                result.written.append(file)
            rows.append(_row(store, entry, shards, held) | ({"file": file.name} if file else {}))
        result.written.append(_write_summary(rows, format, folder))
    return result


def _check_apart(folder: Path, store: Store) -> None:
    """Refuse the folder of a run, whose tables would be written over, and the folders of its store."""
    place, run = folder.resolve(), store.place.resolve()
    if place == run or any(place.is_relative_to(run / name) for name in OURS):
        raise checks.InputError(f"out must be a folder of its own, such as {store.directory / 'export'}, got {folder}")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise checks.InputError(f"{folder} cannot be written: {error.strerror or error}") from error


def _note(entry: Entry, held: Held, asked: int) -> list[str]:
    """Say what of a cell is not exported."""
    count, damaged = held.prefix(), len(held.damaged)
    notes = []
    if not count:
        notes.append(f"{entry.label} is incomplete: sample 0 is not there yet, and nothing of it is exported")
    elif count < asked:
        notes.append(f"{entry.label} is incomplete: {count:,} of {asked:,} samples are exported, up to the first gap")
    if damaged:
        notes.append(f"{entry.label} has damaged files, which are left out: {damaged}")
    return notes


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Yield another name in the folder of `path`; what is written there replaces `path`, whole or not at all."""
    partial = path.with_name(f".{path.name[:150]}{PARTIAL}{secrets.token_hex(8)}")
    try:
        yield partial
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
        flush_folder(path.parent)
    except OSError as error:
        reason = f"{error.filename or path} cannot be written or read: {error.strerror or error}"
        raise checks.InputError(reason) from error
    finally:
        partial.unlink(missing_ok=True)


# the samples


def _pieces(shards: Shards, held: Held) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
    """Yield (start, samples, labels) in pieces; labels are None where all samples come from one kind of machine."""
    mixed = any(shard.label for shard in held.shards if shard.start < held.prefix())
    for start, values in blocks(shards, held):
        yield start, values, _labels(held, start, len(values)) if mixed else None


def _labels(held: Held, start: int, count: int) -> np.ndarray:
    labels = np.full(count, "", dtype=object)
    # In the order in which the files decide, where several hold a sample: see Shards.load.
    for shard in sorted(held.shards, key=lambda shard: (not shard.label, shard)):
        labels[max(shard.start - start, 0) : max(shard.stop - start, 0)] = shard.label
    return labels


def _write_csv(path: Path, store: Store, entry: Entry, shards: Shards, held: Held) -> None:
    import pandas as pd

    with open(path, "w", encoding="utf-8", newline="") as file:
        for start, values, labels in _pieces(shards, held):
            names = ("real", "imag") if values.dtype.kind == "c" else ("value",)
            places = ["".join(f"_{i}" for i in place) for place in np.ndindex(values.shape[1:])]
            # A complex number is its real and imaginary part in memory.
            numbers = np.ascontiguousarray(values).view(np.float64).reshape(len(values), -1)
            frame = pd.DataFrame(numbers, columns=[name + place for place in places for name in names])
            frame.insert(0, "sample", np.arange(start, start + len(values)))
            if labels is not None:
                frame["numerics"] = labels
            frame.to_csv(file, index=False, header=start == 0, na_rep="nan", lineterminator="\n")


def _write_parquet(path: Path, store: Store, entry: Entry, shards: Shards, held: Held) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    writer = None
    try:
        for start, values, labels in _pieces(shards, held):
            columns: dict[str, Any] = {"sample": pa.array(np.arange(start, start + len(values)))}
            parts = {"real": values.real, "imag": values.imag} if values.dtype.kind == "c" else {"value": values}
            for name, part in parts.items():
                flat = pa.array(np.ascontiguousarray(part).reshape(-1))
                shape = values.shape[1:]
                columns[name] = pa.FixedSizeListArray.from_arrays(flat, math.prod(shape)) if shape else flat
            if labels is not None:
                columns["numerics"] = pa.array(labels, type=pa.string())
            table = pa.table(columns)
            if writer is None:
                described = _described(store, entry, values.shape[1:])
                schema = table.schema.with_metadata({"rmt": json.dumps(described)})
                writer = parquet.ParquetWriter(path, schema)
            writer.write_table(table.cast(writer.schema))
    finally:
        if writer is not None:
            writer.close()


def _described(store: Store, entry: Entry, shape: tuple[int, ...]) -> dict[str, Any]:
    return {
        "cell": entry.label,
        "description": _description(store, entry),
        "sha256": entry.sha256,
        "seed": store.seed,
        "shape": list(shape),
    }


def _description(store: Store, entry: Entry) -> dict[str, Any]:
    cells = store.configuration["cells"]
    return next(cell["description"] for cell in cells if cell["sha256"] == entry.sha256)


# the summary


def _row(store: Store, entry: Entry, shards: Shards, held: Held) -> dict[str, Any]:
    description, count = _description(store, entry), held.prefix()
    row: dict[str, Any] = {
        "cell": entry.label,
        "n": _size(description["ensemble"]),
        "statistic": _text(description["statistic"]).removeprefix("rmt.sample_").split(".")[-1],
        "parameters": ", ".join(f"{name}={_text(value)}" for name, value in description["params"].items()),
        "sample": "",
        "count": count,
    }
    numbers = ["mean", "sd", "standard error", *(f"{q:.0%}" for q in QUANTILES)]
    row |= dict.fromkeys(numbers, math.nan)
    if not count:
        return row
    first = shards.load(0, 1, held)[0]
    field = "complex" if first.dtype.kind == "c" else "real"
    row["sample"] = f"{field} {first.shape}" if first.shape else f"{field} number"
    if row["sample"] == "real number":
        values = prefix(shards, held)
        with np.errstate(all="ignore"):
            sd = values.std(ddof=1) if count > 1 else math.nan
            error = standard_error(values) if count > 1 else math.nan
            row |= dict(zip(numbers, [values.mean(), sd, error, *np.quantile(values, QUANTILES)], strict=True))
    return row


def _size(ensemble: Any) -> int | None:
    """Return n of an ensemble that has one, or of that on which it rests."""
    fields = ensemble.get("fields", {}) if isinstance(ensemble, dict) else {}
    n = fields.get("n", None)
    if isinstance(n, int):
        return n
    return next((size for value in fields.values() if (size := _size(value)) is not None), None)


def _text(described: Any) -> str:
    """Return a part of a description for people."""
    if isinstance(described, dict) and "function" in described:
        return str(described["function"])
    return described if isinstance(described, str) else json.dumps(described)


def _write_summary(rows: list[dict[str, Any]], format: str, folder: Path) -> Path:
    import pandas as pd

    frame = pd.DataFrame(rows)
    frame["n"] = frame["n"].astype("Int64")
    path = folder / f"summary.{SUFFIXES[format]}"
    with _replacing(path) as partial:
        if format == "parquet":
            frame.to_parquet(partial, index=False)
        elif format == "csv":
            frame.to_csv(partial, index=False, lineterminator="\n")
        else:
            shown = frame.map(lambda value: "" if pd.isna(value) else tables.format_number(value))
            text = tables.to_latex(shown) if format == "latex" else tables.to_markdown(shown)
            partial.write_text(text, encoding="utf-8", newline="\n")
    return path
