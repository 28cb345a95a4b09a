"""What a training run leaves in its folder: result.json, history.csv, losses.csv and the figure."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rmt import checks, plotting
from rmt.training.result import FitResult, finite
from rmt.training.tasks import Task

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def description(result: FitResult, task: Task) -> dict[str, Any]:
    """Return the result with the record and the baselines of its task, as plain values for JSON."""
    beside = {"baselines": dict(task.baselines), "data": dict(task.record)}
    return {**result.description(), **finite(beside)}


def history(result: FitResult) -> pd.DataFrame:
    """Return a line for each evaluation: step, epoch, losses, scores, and the spectral radius of each layer."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "step": entry.step,
                "epoch": entry.epoch,
                "loss": entry.loss,
                "validation_loss": entry.validation_loss,
                "validation": entry.validation,
                **({} if entry.test is None else {"test": entry.test}),
                **{f"radius_{layer}": radius for layer, radius in enumerate(entry.radii, 1)},
            }
            for entry in result.history
        ]
    )


def write(result: FitResult, task: Task, out: Path) -> list[Path]:
    """Write the files of a run that is complete, each whole or not at all.

    Returns
    -------
    list of Path
        result.json, history.csv, losses.csv (of each step), training.pdf, .png and .svg.

    Raises
    ------
    InputError
        If `out` cannot be written.
    """
    import pandas as pd

    losses = pd.DataFrame({"step": range(1, len(result.losses) + 1), "loss": result.losses})
    try:
        with tempfile.TemporaryDirectory(dir=out, prefix=".writing-") as name:
            folder = Path(name)
            text = json.dumps(description(result, task), allow_nan=False, indent=2)
            (folder / "result.json").write_text(text + "\n", encoding="utf-8")
            for stem, frame in (("history", history(result)), ("losses", losses)):
                frame.to_csv(folder / f"{stem}.csv", index=False, lineterminator="\n")
            with plotting.paper_style():
                figure = draw(result, task)
            plotting.save_figure(figure, folder / "training")
            written = []
            for path in sorted(folder.iterdir()):
                written.append(out / path.name)
                os.replace(path, written[-1])
    except OSError as error:
        raise checks.InputError(f"--out {str(out)!r} cannot be written: {error.strerror or error}") from error
    return written


def draw(result: FitResult, task: Task) -> Figure:
    """Return the figure: training and validation loss, score, and the spectral radius of each layer, by step."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 2.6))
    loss, score, radius = figure.subplots(1, 3)
    steps = range(1, len(result.losses) + 1)
    if np.isfinite(result.losses).any():
        loss.plot(steps, result.losses, color="0.7", linewidth=0.6, label="each step")
    else:
        loss.set_yticks([])
    table = history(result)
    later = table[table.step > 0]
    validation: dict[str, Any] = {"color": "#D55E00", "marker": "s", "label": "validation"}
    measure, unit = ("accuracy", "nats") if result.kind == "classification" else ("NRMSE", "mean square error")
    if len(later):
        loss.plot(later.step, later.loss.astype(float), color="#0072B2", label="training, mean")
        loss.plot(later.step, later.validation_loss.astype(float), **validation)
        score.plot(later.step, later.validation.astype(float), **validation)
    if result.best is not None and result.test is not None:
        score.plot(
            result.best.step, result.test, marker="o", color="#000000", linestyle="none", label="test, of the best"
        )
    reached = task.baselines
    if reached:
        best = (max if result.kind == "classification" else min)(reached, key=lambda name: reached[name])
        score.axhline(reached[best], color="0.45", linewidth=0.7, linestyle=(0, (4, 2)), label=best)
    colours = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#000000")
    for layer in range(result.config.model.layers):
        look = {"color": colours[layer % 7], "marker": "osD^vp*"[layer % 7]}
        radius.plot(table.step, table[f"radius_{layer + 1}"], label=f"layer {layer + 1}", **look)
    radius.axhline(1.0, color="0.45", linewidth=0.7, linestyle=(0, (4, 2)), zorder=0.5)
    loss.set(xlabel="step", ylabel=f"loss ({unit})")
    score.set(xlabel="step", ylabel=measure)
    radius.set(xlabel="step", ylabel="spectral radius $\\rho$")
    for ax in (loss, score, radius):
        if result.diverged_at is not None:
            ax.axvline(result.diverged_at, color="#D55E00", linewidth=0.7, linestyle=":", label="diverged")
        ax.set_xlim(-0.03 * len(steps), 1.03 * len(steps))
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend()
    model = result.config.model
    figure.suptitle(f"{result.task}: {model.recurrence}, {model.init}, norm {model.norm}")
    return figure
