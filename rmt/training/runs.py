"""Training runs as samples of a campaign: a configuration, and what is recorded of one run from a seed."""

from __future__ import annotations

import ctypes
import dataclasses
import importlib.util
import json
import math
import os
import platform
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator

from rmt import checks
from rmt.campaign.identity import describe, digest
from rmt.training.config import Config, TrainConfig
from rmt.training.tasks import Task, load_task, task_function

CHECKPOINTS = "RMT_TRAIN_CHECKPOINTS"  # environment: where runs in work keep checkpoints; nowhere, if it is not set
DATA = "RMT_DATA"  # environment: the folder of the files of tasks that read some
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of mallopt, in malloc.h

# One number of each run, and of each of its evaluations.
NUMBERS = (
    "validation",
    "test",
    "best_step",
    "diverged_at",
    "diverged_by_gradient",
    "radius_first",
    "radius_last",
    "moved_eigenvalues",
    "parameters",
    "data",
)
CURVES = ("step", "loss", "validation_loss", "validation", "radius")


@dataclass(frozen=True, repr=False)
class Training:
    """What is trained on what; the seed of the configuration is replaced by that of each run.

    Parameters
    ----------
    task : str
        Name of the task.
    config : Config
        With `evaluate_every` only where `steps` are given, so that all runs have as many evaluations.
    options : dict
        Of :func:`rmt.training.tasks.load_task`, without `data`: the folder is told by the environment variable
        ``RMT_DATA``, and is no part of what a run is.
    most : int, optional
        Sequences of the validation set that are scored; by default all.

    Examples
    --------
    >>> from rmt.training import preset
    >>> from rmt.training.runs import Training
    >>> Training("imdb", preset("imdb", init="half"))
    Training(imdb: dense, half, batch)
    """

    task: str
    config: Config
    options: Mapping[str, Any] = field(default_factory=dict)
    most: int | None = None

    def __post_init__(self) -> None:
        task_function(self.task)
        if self.config.train.epochs is not None and self.config.train.evaluate_every is not None:
            raise checks.InputError("evaluate_every must be None where epochs are given")

    def __repr__(self) -> str:
        model = self.config.model
        return f"Training({self.task}: {model.recurrence}, {model.init}, {model.norm})"

    @property
    def points(self) -> int:
        """Evaluations of a run that does not diverge, the one before training included."""
        train: TrainConfig = self.config.train
        if train.steps is None:
            return 1 + int(train.epochs or 0)
        every = train.evaluate_every or max(1, train.steps // 10)
        return 1 + len({*range(every, train.steps, every), train.steps})

    def load(self) -> Task:
        """Return the task."""
        task = _task(self.task, json.dumps(dict(self.options), sort_keys=True), os.environ.get(DATA))
        if self.most is not None and self.most < len(task.validation):
            task = dataclasses.replace(task, validation=task.validation.take(slice(self.most)))
        return task


class Run(NamedTuple):
    """What is recorded of some runs.

    Attributes
    ----------
    numbers : dict of str -> ndarray of shape (runs,)
        `NUMBERS`; NaN where there is none. "diverged_at" is the first step 1, 2, ... that was not finite; radii are
        the largest of all layers; "data" stands for the content of the data.
    curves : dict of str -> ndarray of shape (runs, points)
        `CURVES`, one point for each evaluation.
    """

    numbers: dict[str, np.ndarray]
    curves: dict[str, np.ndarray]

    @property
    def diverged(self) -> np.ndarray:
        """Which runs diverged."""
        return ~np.isnan(self.numbers["diverged_at"])


def trained(training: Training, params: Mapping[str, Any], rng: Generator) -> np.ndarray:
    """Train one model from a seed of `rng`, and return what :func:`unpack` reads: a statistic of a campaign."""
    return record(training, int(rng.integers(2**32)))


def record(training: Training, seed: int) -> np.ndarray:
    """Return what is recorded of the run from one seed.

    Parameters
    ----------
    training : Training
    seed : int
        Of initialisation, order of batches, and dropout.

    Returns
    -------
    ndarray of shape (len(NUMBERS) + points * len(CURVES),)

    Raises
    ------
    MissingExtraError
        If JAX or optax is not installed.
    """
    prepare()
    from rmt.training.fit import fit

    task = training.load()
    config = training.config.changed(seed=seed)
    place = os.environ.get(CHECKPOINTS)
    folder = Path(place, f"{digest(describe(training))[:16]}-{seed}") if place else None
    result = fit(task, config, folder=folder)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
    curves = np.full((training.points, len(CURVES)), np.nan)
    for i, entry in enumerate(result.history):
        values = (entry.step, entry.loss, entry.validation_loss, entry.validation, max(entry.radii))
        curves[i] = [math.nan if value is None else value for value in values]
    best = result.best
    numbers: dict[str, float | None] = {
        "validation": None if best is None else best.validation,
        "test": result.test,
        "best_step": None if best is None else best.step,
        "diverged_at": result.diverged_at,
        "diverged_by_gradient": None if result.diverged is None else float(result.diverged == "gradient"),
        "radius_first": curves[0, -1],
        "radius_last": max(result.history[-1].radii),
        "moved_eigenvalues": result.moved_eigenvalues,
        "parameters": result.n_parameters,
        "data": fingerprint(task),
    }
    flat = [math.nan if numbers[name] is None else numbers[name] for name in NUMBERS]
    return np.concatenate([np.array(flat, float), curves.ravel()])


def unpack(values: np.ndarray) -> Run:
    """Return what :func:`record` packed.

    Parameters
    ----------
    values : ndarray of shape (runs, numbers)

    Returns
    -------
    Run
    """
    numbers = dict(zip(NUMBERS, values[:, : len(NUMBERS)].T, strict=True))
    curves = values[:, len(NUMBERS) :].reshape(len(values), -1, len(CURVES))
    return Run(numbers, dict(zip(CURVES, np.moveaxis(curves, 2, 0), strict=True)))


def fingerprint(task: Task) -> float:
    """Return 48 bits of the SHA-256 of the data of a task, which a double holds exactly."""
    return float(int(task.record["sha256"][:12], 16))


def prepare() -> None:
    """Make sure that JAX is there, and that it will compute with one thread, as each run has a process of its own."""
    for module in ("jax", "optax"):
        if importlib.util.find_spec(module) is None:
            checks.optional(module, "train")
    keep_memory()
    if "jax" not in sys.modules:
        flag = "--xla_cpu_multi_thread_eigen=false"
        flags = os.environ.get("XLA_FLAGS", "").split()
        os.environ["XLA_FLAGS"] = " ".join([*flags, *([] if flag in flags else [flag])])
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def keep_memory() -> None:
    """Let this process keep what memory it was given: glibc would map that of each step anew, a third of its time.

    No bit of a result depends on it. Elsewhere than on Linux with glibc nothing is done.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        for option, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1)):
            libc.mallopt(option, value)


@lru_cache(maxsize=4)
def _task(name: str, options: str, data: str | None) -> Task:
    return load_task(name, data=data if reads_files(name) else None, **json.loads(options))


def reads_files(name: str) -> bool:
    """Whether a task may read files of the user's."""
    import inspect

    return "data" in inspect.signature(task_function(name)).parameters
