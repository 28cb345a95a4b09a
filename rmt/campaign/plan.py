"""What a run computes: an experiment, and the plan that joins it with options, a seed and counts."""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from rmt import checks
from rmt.campaign.cells import STREAM_VERSION, Cell
from rmt.campaign.program import Program

if TYPE_CHECKING:
    import pandas as pd

Result = TypeVar("Result")

DEFAULT_SEED = 0
MAX_SEED = 2**128 - 1

RESERVED_OPTIONS = (
    "allow_mixed_numerics",
    "engine",
    "file",
    "help",
    "json",
    "max_seconds",
    "out",
    "quick",
    "samples",
    "scheduler",
    "seed",
    "target_se",
    "workers",
)


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
    target : callable, optional
        ``target(cell, values) -> array of shape (count,)``: that whose mean ``--target-se`` is about, from samples
        of shape (count, ...); say ``values > 1`` for P(rho > 1), or None for a cell that has no such target. By
        default a sample that is one real number is its own target, and cells of arrays have none.
    quick_options : dict, default {}
        What ``--quick`` changes besides the counts: values of options that are at their defaults.
    """

    name: str
    cells: Callable[[dict[str, Any]], list[Cell]]
    samples: Callable[[Cell, bool], int]
    options: dict[str, Any]
    present: Callable[[dict[Cell, np.ndarray], Path, dict[str, Any]], pd.DataFrame]
    target: Callable[[Cell, np.ndarray], np.ndarray | None] | None = None
    quick_options: Mapping[str, Any] = field(default_factory=dict)
    program: Program | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise checks.InputError(f"name of an experiment must be a string, not empty, got {self.name!r}")
        for role in ("cells", "samples", "present", "target"):
            if not callable(getattr(self, role)) and not (role == "target" and self.target is None):
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
            if any(isinstance(choice, float) and not math.isfinite(choice) for choice in choices):
                raise checks.InputError(f"the default of option {name!r} must be finite, got {default!r}")
            if len(set(map(str, choices))) < len(choices):
                raise checks.InputError(f"the choices of option {name!r} must differ as text, got {default!r}")
            if isinstance(default, bool) and f"no_{name}" in self.options:
                flag = f"--no-{name.replace('_', '-')}"
                raise checks.InputError(f"{flag} is a flag of option {name!r}, a bool: rename option 'no_{name}'")
        if not isinstance(self.quick_options, Mapping):
            raise checks.InputError(f"quick_options of an experiment must be a dict, got {self.quick_options!r}")
        for name, value in self.quick_options.items():
            if name not in self.options:
                raise checks.InputError(f"quick_options must name options ({_known(self.options)}), got {name!r}")
            _option(f"quick_options[{name!r}]", self.options[name], value)

    def defaults(self) -> dict[str, Any]:
        """Return the options at their defaults."""
        return {name: value[0] if isinstance(value, tuple) else value for name, value in self.options.items()}


@dataclass(frozen=True)
class Plan:
    """An experiment with its options, root seed and counts: all that defines the data of a run.

    `quick` and `samples` are what the counts came from, `given` those options that the caller named.
    """

    experiment: Experiment
    options: dict[str, Any]
    seed: int
    counts: dict[Cell, int]
    target_se: float | None = None
    quick: bool = False
    samples: int | None = None
    given: dict[str, Any] = field(default_factory=dict)

    def configuration(self) -> dict[str, Any]:
        """Return what the manifest records, and what a second call must agree with: all but the counts."""
        return {
            "experiment": self.experiment.name,
            "options": self.options,
            "seed": self.seed,
            "stream_version": STREAM_VERSION,
            "cells": [
                {
                    "label": cell.label,
                    "folder": cell.name,
                    "sha256": cell.sha256.hex(),
                    "description": json.loads(cell.key),
                }
                for cell in self.counts
            ],
            "sources": {name: text for cell in self.counts for name, text in cell.sources.items()},
        }

    def stopping(self) -> dict[str, Any]:
        """Return when the work is done."""
        samples = {cell.sha256.hex(): count for cell, count in self.counts.items()}
        return {"samples": samples, "target_se": self.target_se}


def make_plan(
    experiment: Experiment,
    *,
    options: Mapping[str, Any] | None = None,
    seed: int = DEFAULT_SEED,
    quick: bool = False,
    samples: int | None = None,
    target_se: float | None = None,
) -> Plan:
    """Ask `experiment` for its cells and counts, and check them; `samples` stands for every count if it is given."""
    if not isinstance(experiment, Experiment):
        raise checks.InputError(f"experiment must be an Experiment, such as load(FILE) returns, got {experiment!r:.80}")
    if samples is not None:
        samples = checks.integer("samples", samples)
    if target_se is not None:
        target_se = checks.real("target_se", target_se, above=0.0)
    seed = checks.integer("seed", seed, minimum=0, maximum=MAX_SEED)
    chosen = experiment.defaults()
    for name, value in (options or {}).items():
        if name not in chosen:
            known = _known(chosen)
            raise checks.InputError(f"experiment {experiment.name!r} has no option {name!r}; it has: {known}")
        chosen[name] = _option(name, experiment.options[name], value)
    defaults = experiment.defaults()
    chosen |= {
        name: value for name, value in experiment.quick_options.items() if quick and chosen[name] == defaults[name]
    }
    cells = call_user("cells", experiment.cells, dict(chosen))
    if not isinstance(cells, (list, tuple)) or not cells or not all(isinstance(cell, Cell) for cell in cells):
        kinds = [type(cell).__name__ for cell in cells] if isinstance(cells, (list, tuple)) else []
        got = type(cells).__name__ + next((f" with {kind} in it" for kind in kinds if kind != "Cell"), "")
        raise checks.InputError(f"cells() must return a list of Cell that is not empty, got {got}")
    counts: dict[Cell, int] = {}
    for cell in cells:
        if cell in counts:
            raise checks.InputError(f"cells() returns the same cell twice: {cell.label}")
        if samples is not None:
            counts[cell] = samples
            continue
        count = call_user("samples", experiment.samples, cell, quick)
        counts[cell] = checks.integer(f"samples() of {cell.label}", count)
    given = {name: chosen[name] for name in options or {}}
    return Plan(experiment, chosen, seed, counts, target_se, bool(quick), samples, given)


def _known(options: Mapping[str, Any]) -> str:
    return ", ".join(options) or "none"


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
    except checks.MissingExtraError:
        raise
    except (Exception, SystemExit) as error:
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
    try:
        message = " ".join(str(error).split())
    except Exception:  # of a type that cannot even say what it is
        message = ""
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
