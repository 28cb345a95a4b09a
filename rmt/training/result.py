"""What a training run leaves: scores, radii, losses, times, and whether it diverged."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmt.training.config import Config


@dataclass(frozen=True)
class Evaluation:
    """The state of a run after some steps.

    Attributes
    ----------
    step : int
        Steps taken; 0 is before training, where radii alone are known.
    epoch : float
        The same in epochs.
    loss : float or None
        Mean training loss of the steps since the evaluation before.
    validation_loss, validation : float or None
        Loss; accuracy or NRMSE. NaN where an output is not finite.
    test : float or None
        The score on the test set, where ``emulate_paper`` looks at it all the time.
    radii : tuple of float
        Spectral radius of each recurrence.
    """

    step: int
    epoch: float
    loss: float | None
    validation_loss: float | None
    validation: float | None
    test: float | None
    radii: tuple[float, ...]


@dataclass(frozen=True)
class Progress:
    """What the callback of a run gets after each step.

    Attributes
    ----------
    step, steps : int
        Steps taken, and in all.
    loss : float
        Training loss of the step.
    seconds : float
        Time that the step took.
    evaluation : Evaluation or None
        Where there was one after this step.
    """

    step: int
    steps: int
    loss: float
    seconds: float
    evaluation: Evaluation | None


@dataclass(frozen=True, eq=False)
class FitResult:
    """A training run.

    Attributes
    ----------
    config : Config
    task : str
        Name of the task.
    kind : str
        "classification": scores are accuracies; "regression": NRMSE.
    complete : bool
        Whether nothing is left to do: all steps were taken, or it diverged.
    step, steps : int
        Steps taken, and planned.
    diverged_at : int or None
        The first step 1, 2, ... whose loss or gradient was not finite; its update was not made.
    diverged : {"loss", "gradient"} or None
        Which of them.
    history : tuple of Evaluation
    best : Evaluation or None
        The one with the best score on the validation set (on the test set under ``emulate_paper``).
    test : float or None
        Score on the test set of the parameters of `best`.
    losses : float32 ndarray of shape (step,)
        Training loss of each step; where the run diverged, that of this step too.
    seconds_per_step, cpu_seconds_per_step : float
        Medians over the steps of this and earlier processes of the run, without the first of each, which compiles.
    n_parameters : int
        Real parameters.
    moved_eigenvalues : int
        How many eigenvalues a linear recurrent unit could not start from; they were moved into the disc.
    environment : dict
        Versions and device.
    """

    config: Config
    task: str
    kind: str
    complete: bool
    step: int
    steps: int
    diverged_at: int | None
    diverged: str | None
    history: tuple[Evaluation, ...]
    best: Evaluation | None
    test: float | None
    losses: np.ndarray
    seconds_per_step: float
    cpu_seconds_per_step: float
    n_parameters: int
    moved_eigenvalues: int
    environment: Mapping[str, str]

    def description(self) -> dict[str, Any]:
        """Return the same, but for the losses of all steps, as plain values for JSON; what is not finite is None."""
        shown = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        del shown["losses"]
        shown["config"] = self.config.description()
        shown["history"] = [dataclasses.asdict(entry) for entry in self.history]
        shown["best"] = None if self.best is None else dataclasses.asdict(self.best)
        shown["environment"] = dict(self.environment)
        return finite(shown)


def finite(value: Any) -> Any:
    """Return nested plain values with None for every float that is not finite, and lists for tuples."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def better(kind: str, score: float | None, than: float | None) -> bool:
    """Return whether a score, an accuracy or an NRMSE, is better than another; any number is better than none."""
    if score is None or math.isnan(score):
        return False
    if than is None or math.isnan(than):
        return True
    return score > than if kind == "classification" else score < than
