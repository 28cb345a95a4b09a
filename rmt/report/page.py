"""One page for a run: its figures and tables, what was run, how sure it is, and how to run it again."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmt import checks
from rmt.campaign.inspection import Status, status
from rmt.campaign.numerics import canary_label
from rmt.campaign.shards import commit
from rmt.campaign.store import Store
from rmt.report.content import Grid, csv_grids, grid, images
from rmt.tables import format_with_error

if TYPE_CHECKING:
    from jinja2 import Environment

PAGE = "report.html"


@dataclass(frozen=True)
class Line:
    """A line of text; `kind` is "soft", "warn" or ""."""

    text: str
    kind: str = ""


@dataclass(frozen=True)
class Step:
    """A command, and what it is for."""

    text: str
    command: str


def write_report(directory: str | os.PathLike, out: str | os.PathLike | None = None, *, back: str = "") -> Path:
    """Write the page of a run, and return its path.

    The page holds its figures and everything else; it asks no server for anything. Every file of samples is
    verified for it.

    Parameters
    ----------
    directory : path
        A run's directory, as ``rmt run --out`` made it.
    out : path, optional
        The file to write; ``report.html`` in `directory` by default.
    back : str, optional
        Address of a page above this one.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    InputError
        Where `directory` holds no run, or `out` cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> import rmt
    >>> from rmt import report
    >>> cells = [rmt.campaign.Cell("spectral_radius", rmt.glorot(4))]
    >>> demo = rmt.campaign.Experiment(
    ...     "demo", lambda options: cells, lambda cell, quick: 5, {}, lambda data, out, options: pd.DataFrame()
    ... )
    >>> with tempfile.TemporaryDirectory() as out:
    ...     _ = rmt.campaign.run(demo, out, engine="serial")
    ...     report.write_report(out).name
    'report.html'
    """
    store = Store(directory)
    path = store.directory / PAGE if out is None else Path(out)
    text = environment().get_template("page.html.jinja").render(_content(store), back=back)
    try:
        commit(path, text.encode())
    except OSError as error:
        raise checks.InputError(f"{path} cannot be written: {error.strerror or error}") from error
    return path


@cache
def environment() -> Environment:
    """Return what renders the templates of this folder."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("rmt.report", ".")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _content(store: Store) -> dict[str, Any]:
    state = status(store.directory)
    return {
        "title": state.experiment,
        "about": store.manifest["about"],
        "figures": images(store.directory),
        "tables": csv_grids(store.directory),
        "summary": [
            Line(f"{state.done:,} samples of {len(state.cells)} cells, from the root seed {state.seed}.", "soft")
        ],
        "certainty": _certainty(state),
        "cells": _cells(state),
        "facts": _facts(store),
        "again": _again(store, state),
    }


def _certainty(state: Status) -> list[Line]:
    lines = []
    if state.complete:
        lines.append(Line("Every sample that was asked for is there."))
    else:
        missing = state.asked - state.done
        lines.append(
            Line(f"Incomplete: {missing:,} of {state.asked:,} samples are missing, {state.failed} failed.", "warn")
        )
    if state.damaged:
        lines.append(Line(f"{state.damaged} files do not agree with the hash in their names.", "warn"))
    disputed = sum(len(cell.disputes) for cell in state.cells)
    if disputed:
        lines.append(Line(f"{disputed} pairs of files disagree about a sample.", "warn"))
    if not state.damaged and not disputed:
        lines.append(Line(f"Each of the {state.files:,} files of samples agrees with the SHA-256 in its name.", ""))
    if state.mixed:
        text = f"{state.mixed:,} samples come from machines with other last bits, and are labelled."
        lines.append(Line(text, "warn"))
    text = "Means and standard errors are of cells whose samples are single numbers; the error is that of the mean."
    return [*lines, Line(text, "soft")]


def _cells(state: Status) -> Grid:
    table = state.table()
    always = ("cell", "done", "asked", "mean", "standard error")
    shown = table[[name for name in table.columns if name in always or table[name].any()]]
    # As `rmt status` prints them: the error with two digits, the mean to the same decimal.
    pairs = [
        format_with_error(*pair).partition(" ± ")[::2]
        for pair in zip(table["mean"], table["standard error"], strict=True)
    ]
    return grid("cells", shown, texts=dict(zip(("mean", "standard error"), zip(*pairs, strict=True), strict=True)))


def _facts(store: Store) -> list[tuple[str, str]]:
    configuration, manifest = store.configuration, store.manifest
    seconds = sum(line.get("seconds", 0.0) for lines in store.runs().values() for line in lines)
    options = ", ".join(f"{name} = {value}" for name, value in configuration["options"].items()) or "none"
    versions = ", ".join(f"{name} {value}" for name, value in manifest["versions"].items())
    return [
        ("experiment", f"{configuration['experiment']} ({manifest['file'] or 'defined in Python'})"),
        ("options", options),
        ("root seed", str(configuration["seed"])),
        ("cells", f"{len(store.entries):,}"),
        ("computing", f"{seconds:,.1f} s, of all workers together, in {len(store.runs())} calls"),
        ("versions", versions),
        ("canary", f"{canary_label(manifest['canary'])}: the last bits of this kind of machine"),
        ("configuration", manifest["configuration_sha256"]),
    ]


def _again(store: Store, state: Status) -> list[Step]:
    where = str(store.directory)
    steps = []
    if state.command is not None:
        steps.append(Step("The same samples and figures; in the same directory, what is there is kept:", state.command))
    text = "Hash every file again, and compute some samples again, bit by bit:"
    steps.append(Step(text, shlex.join(["rmt", "verify", where])))
    text = "All samples and a summary, for other programs:"
    return [*steps, Step(text, shlex.join(["rmt", "export", where, "--format", "parquet"]))]
