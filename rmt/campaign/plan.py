"""What a run computes: cells and their seeds, experiments, and the plan that joins options and counts."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from rmt import checks
from rmt.campaign.identity import canonical, describe, describe_function
from rmt.recurrence import sample_hidden_norms, sample_power_norms
from rmt.spectra.sampled import sample_eigenvalue_moduli, sample_eigenvalues, sample_spectral_radius

if TYPE_CHECKING:
    import pandas as pd

Result = TypeVar("Result")

STREAM_VERSION = 1
"""Raised whenever the meaning of a seed changes; a store of another version is refused."""

DEFAULT_SEED = 0
MAX_SEED = 2**128 - 1

STATISTICS: dict[str, Callable] = {
    "spectral_radius": sample_spectral_radius,
    "eigenvalues": sample_eigenvalues,
    "eigenvalue_moduli": sample_eigenvalue_moduli,
    "power_norms": sample_power_norms,
    "hidden_norms": sample_hidden_norms,
}

RESERVED_OPTIONS = ("file", "help", "json", "out", "quick", "seed")


@dataclass(frozen=True, eq=False)
class Cell:
    """One statistic of one ensemble: what samples 0, 1, 2, ... are samples of.

    Cells are equal, and hash alike, where their canonical descriptions agree. The seed of a sample follows
    from that description and from the sample's index, and from nothing else in the experiment: adding cells
    or raising a count changes no other sample.

    Parameters
    ----------
    statistic : str or callable
        "spectral_radius", "eigenvalues", "eigenvalue_moduli", "power_norms" or "hidden_norms", one sample of which is
        ``rmt.sample_<name>(ensemble, size=1, rng=rng, **params)[0]``; or an importable function of
        (ensemble, params, rng) that returns a number or an array, always of the same shape.
    ensemble : dataclass
        An ensemble of rmt, or a frozen dataclass of one's own.
    params : dict, default {}
        Arguments of the statistic: numbers, strings, arrays, functions, lists and dicts of them.
    version : int, default 1
        Raise it when the statistic changes its meaning in a way that its own source does not show.

    Examples
    --------
    >>> import rmt
    >>> cell = rmt.campaign.Cell("power_norms", rmt.Ginibre(8), {"steps": 3})
    >>> cell == rmt.campaign.Cell("power_norms", rmt.Ginibre(8), {"steps": 3})
    True
    >>> rmt.campaign.sample(cell, root=0, index=5).shape
    (4,)
    """

    statistic: str | Callable
    ensemble: Any
    params: dict[str, Any] = field(default_factory=dict)
    version: int = 1
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.params, Mapping):
            raise checks.InputError(f"params must be a dict, got {self.params!r}")
        object.__setattr__(self, "params", dict(self.params))
        version = checks.integer("version", self.version)
        if callable(self.statistic):
            statistic: Any = describe_function(self.statistic)
        else:
            statistic = checks.choice("statistic", self.statistic, tuple(STATISTICS))
            try:
                signature = inspect.signature(STATISTICS[statistic])
                signature.bind(self.ensemble, size=1, rng=None, **self.params)
            except TypeError as error:
                raise checks.InputError(f"params of the statistic {statistic!r}: {error}") from None
        description = {
            "statistic": statistic if isinstance(statistic, dict) else f"rmt.sample_{statistic}",
            "ensemble": describe(self.ensemble),
            "params": describe(self.params),
            "version": version,
        }
        object.__setattr__(self, "key", canonical(description))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cell) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def sha256(self) -> bytes:
        """The 32 bytes that stand for this cell in seeds and file names."""
        return hashlib.sha256(self.key.encode()).digest()

    @property
    def statistic_name(self) -> str:
        """The statistic's name without its module."""
        return self.statistic if isinstance(self.statistic, str) else str(self.statistic.__qualname__)

    @property
    def label(self) -> str:
        """A line for people."""
        params = ", ".join(f"{name}={value!r}" for name, value in self.params.items())
        return " ".join(part for part in (self.statistic_name, repr(self.ensemble), params) if part)

    @property
    def name(self) -> str:
        """A file name: readable in front, unique by the short hash at its end."""
        parts = [self.statistic_name]
        if is_dataclass(self.ensemble):
            parts.append(type(self.ensemble).__name__)
            parts += [_slug(f.name, getattr(self.ensemble, f.name)) for f in fields(self.ensemble) if f.compare]
        parts += [_slug(name, value) for name, value in self.params.items()]
        readable = re.sub(r"[^A-Za-z0-9._-]+", "_", "-".join(filter(None, parts)))
        return f"{readable[:80]}-{self.sha256.hex()[:8]}"


def _slug(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        return f"{name}{value:.4g}" if isinstance(value, float) else f"{name}{value}"
    return ""


def stream(root: int, cell: Cell, index: int) -> np.random.Generator:
    """Return the generator of sample `index` of `cell`: these and the root seed alone decide."""
    words = np.frombuffer(cell.sha256, dtype=">u4").tolist()
    sequence = np.random.SeedSequence(root, spawn_key=(STREAM_VERSION, *words, index))
    return np.random.Generator(np.random.PCG64DXSM(sequence))


def sample(cell: Cell, root: int, index: int) -> np.ndarray:
    """Return sample `index` of `cell` under the root seed, as an array of doubles or complex doubles."""
    rng = stream(root, cell, index)
    if callable(cell.statistic):
        value = cell.statistic(cell.ensemble, dict(cell.params), rng)
    else:
        value = STATISTICS[cell.statistic](cell.ensemble, size=1, rng=rng, **cell.params)[0]
    result = np.asarray(value)
    if result.dtype.kind not in "biufc" or result.size == 0:
        raise TypeError(f"a statistic returns a number or an array of numbers, got {type(value).__name__}")
    return result.astype(np.complex128 if result.dtype.kind == "c" else np.float64)


@dataclass(frozen=True)
class Experiment:
    """What an experiment file defines, under the name ``experiment``.

    Parameters
    ----------
    name : str
        Stands in the manifest of each run.
    cells : callable
        ``cells(options) -> list of Cell``.
    samples : callable
        ``samples(cell, quick) -> int``, the number of samples of a cell; `quick` is True under ``--quick``.
    options : dict
        Name -> default. Each becomes a flag of ``rmt run FILE``: ``--n-std`` for "n_std". A bool, int, float
        or str takes values of its type; a tuple lists the choices, of which the first is the default.
    present : callable
        ``present(data, out, options) -> DataFrame`` draws figures and tables into the directory `out` from
        ``data[cell]``, an array of shape (count, ...), and returns the summary that the command prints.
    """

    name: str
    cells: Callable[[dict[str, Any]], list[Cell]]
    samples: Callable[[Cell, bool], int]
    options: dict[str, Any]
    present: Callable[[dict[Cell, np.ndarray], Path, dict[str, Any]], pd.DataFrame]

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise checks.InputError(f"name of an experiment must be a string, not empty, got {self.name!r}")
        for role in ("cells", "samples", "present"):
            if not callable(getattr(self, role)):
                raise checks.InputError(f"{role} of an experiment must be a function, got {getattr(self, role)!r}")
        if not isinstance(self.options, Mapping):
            raise checks.InputError(f"options of an experiment must be a dict, got {self.options!r}")
        for name, default in self.options.items():
            if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in RESERVED_OPTIONS:
                raise checks.InputError(
                    f"the name of an option is of lower-case letters, digits and _, and none of "
                    f"{', '.join(RESERVED_OPTIONS)}; got {name!r}"
                )
            choices = default if isinstance(default, tuple) and default else (default,)
            if not all(isinstance(choice, (bool, int, float, str)) for choice in choices):
                raise checks.InputError(
                    f"the default of option {name!r} must be a bool, int, float, str or a tuple of them, "
                    f"got {default!r}"
                )

    def defaults(self) -> dict[str, Any]:
        """Return the options at their defaults."""
        return {name: value[0] if isinstance(value, tuple) else value for name, value in self.options.items()}


@dataclass(frozen=True)
class Plan:
    """An experiment with its options, root seed and counts: all that defines the data of a run."""

    experiment: Experiment
    options: dict[str, Any]
    seed: int
    quick: bool
    counts: dict[Cell, int]

    def configuration(self) -> dict[str, Any]:
        """Return what the manifest records, and what a second call must agree with."""
        return {
            "experiment": self.experiment.name,
            "options": self.options,
            "seed": self.seed,
            "quick": self.quick,
            "stream_version": STREAM_VERSION,
            "cells": [
                {
                    "label": cell.label,
                    "sha256": cell.sha256.hex(),
                    "description": json.loads(cell.key),
                    "samples": count,
                    "file": f"samples/{cell.name}-*.parquet",
                }
                for cell, count in self.counts.items()
            ],
        }


def make_plan(
    experiment: Experiment,
    *,
    options: Mapping[str, Any] | None = None,
    seed: int = DEFAULT_SEED,
    quick: bool = False,
) -> Plan:
    """Ask `experiment` for its cells and counts, and check them."""
    seed = checks.integer("seed", seed, minimum=0, maximum=MAX_SEED)
    chosen = experiment.defaults()
    for name, value in (options or {}).items():
        if name not in chosen:
            known = ", ".join(chosen) or "none"
            raise checks.InputError(f"experiment {experiment.name!r} has no option {name!r}; it has: {known}")
        chosen[name] = _option(name, experiment.options[name], value)
    cells = call_user("cells", experiment.cells, dict(chosen))
    if not isinstance(cells, (list, tuple)) or not cells or not all(isinstance(cell, Cell) for cell in cells):
        raise checks.InputError("cells() must return a list of Cell that is not empty")
    counts: dict[Cell, int] = {}
    for cell in cells:
        if cell in counts:
            raise checks.InputError(f"cells() returns the same cell twice: {cell.label}")
        count = call_user("samples", experiment.samples, cell, quick)
        counts[cell] = checks.integer(f"samples() of {cell.label}", count)
    return Plan(experiment, chosen, seed, quick, counts)


def _option(name: str, default: Any, value: Any) -> Any:
    """Return `value` if it is what an option of this default allows."""
    if isinstance(default, tuple):
        if value not in default:
            raise checks.InputError(f"{name} must be one of {', '.join(map(repr, default))}, got {value!r}")
        return value
    if isinstance(default, float):
        return checks.real(name, value)
    if type(value) is not type(default):
        raise checks.InputError(f"{name} must be of type {type(default).__name__}, got {value!r}")
    return value


def call_user(role: str, function: Callable[..., Result], *args: Any) -> Result:
    """Call a function of the experiment file; what it raises becomes one line that names error and place."""
    try:
        return function(*args)
    except Exception as error:
        code = getattr(inspect.unwrap(function), "__code__", None)
        where = place(error, code and code.co_filename)
        raise checks.InputError(f"{where}{role}() raised {one_line(error)}") from error


def place(error: BaseException, filename: str | None) -> str:
    """Return "file:line: " of the innermost frame of `error` within `filename`, or "" where there is none."""
    found, step = "", error.__traceback__
    while step is not None:
        if filename is not None and step.tb_frame.f_code.co_filename == filename:
            found = f"{filename}:{step.tb_lineno}: "
        step = step.tb_next
    return found


def one_line(error: BaseException) -> str:
    """Return the type and message of `error` on one line."""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
