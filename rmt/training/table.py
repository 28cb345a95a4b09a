"""The table of initialisations: rows (how a recurrence is drawn) times tasks times seeds, as a campaign."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rmt import checks
from rmt.campaign import Cell, Experiment
from rmt.training.config import Config, ModelConfig, TrainConfig, preset
from rmt.training.presenting import write
from rmt.training.runs import DATA, Training, fingerprint, prepare, reads_files, trained
from rmt.training.tasks.loading import check_data

if TYPE_CHECKING:
    import pandas as pd
    from numpy.random import Generator

# A row is RECURRENCE/INIT or RECURRENCE/INIT/NORM.
PAPER_ROWS = (
    "dense/glorot",
    "dense/half",
    "dense/uniform",
    "dense/rescaled",
    "dense/rescaled:alpha=0.05",
    "dense/glorot/state-layer-norm",
    "dense/rescaled/state-layer-norm",
    "diagonal/glorot",
    "diagonal/uniform",
    "diagonal/rescaled",
    "diagonal/glorot/state-layer-norm",
    "diagonal/rescaled/state-layer-norm",
    "lru/ring",
    "lru/uniform",
    "lru/rescaled",
)
ROWS = (
    "dense/glorot",
    "dense/half",
    "dense/rescaled",
    "dense/rescaled:alpha=0.05",
    "dense/glorot/state-layer-norm",
    "diagonal/glorot",
    "diagonal/uniform",
    "diagonal/rescaled",
    "lru/ring",
)
QUICK_ROWS = ("dense/glorot", "dense/half", "dense/rescaled", "diagonal/uniform")
SMALL = ModelConfig(d_model=32, d_hidden=64, layers=2)

# The baselines of each task, in the order in which they are recorded.
BASELINES = {
    "digits": ("majority", "least squares"),
    "pybytes": ("majority", "naive Bayes", "naive Bayes, pairs", "least squares"),
    "cifar": ("majority", "least squares"),
    "imdb": ("majority", "naive Bayes", "naive Bayes, pairs", "least squares"),
    "listops": ("majority", "root operator", "naive Bayes"),
    "mackey_glass": ("mean", "persistence", "autoregression"),
    "lorenz": ("mean", "persistence", "autoregression"),
    "sunspots": ("mean", "persistence", "autoregression"),
}


@dataclass(frozen=True)
class Size:
    """The trainings of one size: for each task its configuration but for the row, and the runs of a row."""

    tasks: Mapping[str, Training]
    rows: tuple[str, ...]
    runs: int


SIZES = {
    "default": Size(
        {
            "pybytes": Training(
                "pybytes",
                Config(SMALL, TrainConfig(batch=8, steps=600, warm_up=60, lr=3e-3, evaluate_every=150)),
                {"length": 1024, "size": 6000},
                most=320,
            ),
            "digits": Training(
                "digits",
                Config(SMALL, TrainConfig(batch=16, steps=600, warm_up=60, lr=3e-3, evaluate_every=120)),
                {"enlarge": 2},
            ),
        },
        ROWS,
        runs=3,
    ),
    "quick": Size(
        {
            "digits": Training(
                "digits",
                Config(SMALL, TrainConfig(batch=8, steps=6, lr=3e-3, evaluate_every=3)),
                {"enlarge": 4, "size": 64},
                most=32,
            ),
        },
        QUICK_ROWS,
        runs=2,
    ),
    "paper": Size(
        {
            "listops": Training("listops", preset("listops")),
            "imdb": Training("imdb", preset("imdb")),
            "cifar-grey": Training("cifar", preset("cifar"), {"colour": "grey"}),
            "cifar": Training("cifar", preset("cifar"), {"colour": "flat"}),
        },
        PAPER_ROWS,
        runs=3,
    ),
}


@dataclass(frozen=True)
class Source:
    """A task without anything that is trained on it."""

    task: str
    options: Mapping[str, Any] = field(default_factory=dict)


def trivial(source: Source, params: Mapping[str, Any], rng: Generator) -> np.ndarray:
    """Return what the baselines of the names in `params` reach, and what stands for the data: a statistic."""
    prepare()
    task = Training(source.task, Config(), source.options).load()
    if sorted(task.baselines) != sorted(params["names"]):
        raise ValueError(f"task {source.task!r} has the baselines {', '.join(task.baselines)}")
    return np.array([*(task.baselines[name] for name in params["names"]), fingerprint(task)])


def changed(training: Training, row: str, *, emulate_paper: bool = False) -> Training:
    """Return a training with the recurrence, the initialisation and perhaps the norm of a row."""
    names = ("recurrence", "init", "norm")
    parts = row.split("/")
    if len(parts) not in (2, 3):
        raise checks.InputError(f"rows must be RECURRENCE/INIT or RECURRENCE/INIT/NORM each, got {row!r}")
    changes = dict(zip(names, parts, strict=False))
    return dataclasses.replace(training, config=training.config.changed(**changes, emulate_paper=emulate_paper))


def baseline_cell(training: Training) -> Cell:
    """Return the cell of the baselines of a task."""
    return Cell(trivial, Source(training.task, training.options), {"names": list(BASELINES[training.task])})


def plan(options: Mapping[str, Any], sizes: Mapping[str, Size] = SIZES) -> dict[str, dict[str, Cell]]:
    """Return the cells by task and row, in order; those of baselines are not among them.

    Parameters
    ----------
    options : dict
        "size"; "tasks" and "rows", which name some, separated by spaces (all of the size, if empty);
        "emulate_paper".
    sizes : dict of str -> Size
        What "size" names.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        If there is no such task in that size, or a row cannot be read.
    """
    size = sizes[options["size"]]
    tasks = options["tasks"].split() or list(size.tasks)
    for task in tasks:
        checks.choice("tasks", task, tuple(size.tasks))
    rows = options["rows"].split() or size.rows
    faulty = options.get("emulate_paper", False)
    made = {
        task: {row: Cell(trained, changed(size.tasks[task], row, emulate_paper=faulty)) for row in rows}
        for task in tasks
    }
    for name, given in (("tasks", tasks), ("rows", rows)):
        if len(set(given)) < len(given):
            raise checks.InputError(f"{name} must differ from each other, got {' '.join(given)!r}")
    return made


def check_files(size: Size, tasks: Iterable[str], data: str | None = None) -> None:
    """Raise an error where the files of one of some tasks are not there, before anything is computed.

    Parameters
    ----------
    size : Size
    tasks : iterable of str
        Some of its tasks.
    data : str, optional
        Their folder; by default what the environment variable ``RMT_DATA`` says.

    Raises
    ------
    InputError
        If a file is missing.
    """
    for name in tasks:
        task = size.tasks[name].task
        try:
            if reads_files(task):
                check_data(task, os.environ.get(DATA) if data is None else data)
        except checks.InputError as error:
            raise checks.InputError(f"task {name}: {error} (--data of `rmt train table`, or {DATA})") from error


def build(name: str, sizes: Mapping[str, Size]) -> Experiment:
    """Return the experiment of some sizes, of which the first is the default and "quick" is that of ``--quick``.

    It writes ``<name>.csv``, md, tex and the figure of the training curves.

    Parameters
    ----------
    name : str
        Of the experiment and its files.
    sizes : dict of str -> Size
        What the option "size" names.

    Returns
    -------
    Experiment
    """

    def cells(options: Mapping[str, Any]) -> list[Cell]:
        size, made = sizes[options["size"]], plan(options, sizes)
        check_files(size, made)
        prepare()
        # Glorot, which diverges soon, stands first: its sample is computed again where a run goes on.
        found = [cell for rows in made.values() for cell in rows.values()]
        return [*found, *(baseline_cell(size.tasks[task]) for task in made)]

    def samples(cell: Cell, quick: bool) -> int:
        return 1 if isinstance(cell.ensemble, Source) else sizes["quick" if quick else next(iter(sizes))].runs

    def present(data: dict[Cell, np.ndarray], out: Path, options: dict[str, Any]) -> pd.DataFrame:
        size, made = sizes[options["size"]], plan(options, sizes)
        return write(data, made, {task: baseline_cell(size.tasks[task]) for task in made}, out, name)

    options = {"size": tuple(sizes), "tasks": "", "rows": "", "emulate_paper": False}
    quick = {"size": "quick"} if "quick" in sizes else {}
    return Experiment(name, cells, samples, options, present, quick_options=quick)


experiment = build("table1", SIZES)
