"""The page above the pages of several runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rmt import checks
from rmt.campaign.shards import commit
from rmt.campaign.store import Store
from rmt.report.content import images
from rmt.report.page import PAGE, environment, write_report

INDEX = "index.html"


@dataclass(frozen=True)
class Card:
    """What the index shows of a run."""

    name: str
    claim: str
    address: str
    figure: str


def write_index(directory: str | os.PathLike, runs: Sequence[str]) -> Path:
    """Write the pages of `runs`, folders within `directory`, and ``index.html`` above them; return its path.

    Parameters
    ----------
    directory : path
        Where the index is written.
    runs : sequence of str
        Names of folders in `directory`, each a run.

    Returns
    -------
    Path
        The file of the index.

    Raises
    ------
    InputError
        Where one of them is no run, or a page cannot be written.

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
    ...     _ = rmt.campaign.run(demo, f"{out}/demo", engine="serial")
    ...     report.write_index(out, ["demo"]).name
    'index.html'
    """
    directory = Path(directory)
    cards = []
    for name in runs:
        write_report(directory / name, back=f"../{INDEX}")
        store = Store(directory / name)
        figures = images(store.directory)
        claim = store.manifest["about"].split("\n\n")[0].replace("\n", " ").strip()
        figure = figures[0].data if figures else ""
        cards.append(Card(name, claim, f"{name}/{PAGE}", figure))
    path = directory / INDEX
    try:
        commit(path, environment().get_template("index.html.jinja").render(cards=cards).encode())
    except OSError as error:
        raise checks.InputError(f"{path} cannot be written: {error.strerror or error}") from error
    return path
