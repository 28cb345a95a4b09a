"""Tables and figures of trainings that a campaign has stored: scores, divergence, radii, curves."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rmt import checks, plotting, tables
from rmt.campaign import Cell
from rmt.training.runs import Run, Training, unpack

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Cells = Mapping[str, Mapping[str, Cell]]  # by task and row
REGRESSION = "mean"  # the first baseline of a regression, of which the score is the NRMSE
LARGEST_SHOWN = 10.0  # of NRMSEs in the figure: ten times what the mean of the targets has

# Initialisation -> colour and marker, as colours alone are not told apart in grey; anything else takes the last.
# Recurrence -> line.
COLOURS = {
    "glorot": ("#D55E00", "o"),
    "half": ("#009E73", "s"),
    "half-variance": ("#56B4E9", "v"),
    "uniform": ("#E69F00", "D"),
    "rescaled": ("#0072B2", "^"),
    "ring": ("#CC79A7", "p"),
    "": ("#000000", "*"),
}
LINES = {"dense": "-", "diagonal": "--", "lru": ":"}


def write(
    data: Mapping[Cell, np.ndarray], made: Cells, baselines: Mapping[str, Cell], out: Path, stem: str
) -> pd.DataFrame:
    """Write `stem` as csv, md and tex, the times of the runs, and the figure of the training curves.

    Parameters
    ----------
    data : dict of Cell -> ndarray
        As :func:`rmt.campaign.run` gives it to ``present``.
    made : dict
        Task -> row -> cell of :func:`rmt.training.runs.trained`.
    baselines : dict
        Task -> cell of :func:`rmt.training.table.trivial`.
    out : Path
        A folder.
    stem : str
        Name of the files without suffix. ``<stem>_times.csv`` holds seconds, which differ from run to run.

    Returns
    -------
    DataFrame
        The table for readers.

    Raises
    ------
    InputError
        If two runs of a task had other data.
    """
    frame = summary(data, made, baselines)
    shown = readable(frame)
    tables.write_tables(frame, out / stem, shown=shown.set_index("task"))
    seconds = times(made, out)
    if len(seconds):
        seconds.to_csv(out / f"{stem}_times.csv", index=False, lineterminator="\n")
    with plotting.paper_style():
        figure = draw(data, made, baselines)
    plotting.save_figure(figure, out / stem)
    return shown


def summary(data: Mapping[Cell, np.ndarray], made: Cells, baselines: Mapping[str, Cell]) -> pd.DataFrame:
    """Return a line for each task and row, and for each baseline.

    Means and standard deviations, medians and extremes are over the runs that did not diverge; how many did stands
    beside them.

    Returns
    -------
    DataFrame
    """
    import pandas as pd

    lines = []
    for task, rows in made.items():
        names, values = baselines[task].params["names"], data[baselines[task]][0]
        score = "NRMSE" if names[0] == REGRESSION else "accuracy"
        for row, cell in rows.items():
            run = unpack(data[cell])
            if (run.numbers["data"] != values[-1]).any():
                raise checks.InputError(f"runs of {task} had different data: were packages or files exchanged?")
            lines.append({"task": task, "row": row, "score": score, **_line(cell.ensemble, run)})
        for name, value in zip(names, values[:-1], strict=True):
            lines.append({"task": task, "row": name, "score": score, "recurrence": "baseline", "test": value})
    return pd.DataFrame(lines)


def _line(training: Training, run: Run) -> dict[str, Any]:
    model, numbers, went = training.config.model, run.numbers, ~run.diverged
    steps = numbers["diverged_at"][run.diverged]
    line: dict[str, Any] = {
        "recurrence": model.recurrence,
        "init": model.init,
        "norm": model.norm,
        "runs": len(went),
        "diverged": int(run.diverged.sum()),
        "first_step": steps.min() if len(steps) else math.nan,
        "last_step": steps.max() if len(steps) else math.nan,
    }
    for name in ("validation", "test"):
        values = numbers[name][went]
        line[name] = values.mean() if len(values) else math.nan
        line[f"{name}_sd"] = values.std(ddof=1) if len(values) > 1 else math.nan
        for measure in (np.median, np.min, np.max):
            line[f"{name}_{measure.__name__}"] = measure(values) if len(values) else math.nan
    line |= {name: numbers[name].mean() for name in ("radius_first", "radius_last")}
    return line | {"parameters": numbers["parameters"][0], "moved_eigenvalues": numbers["moved_eigenvalues"].sum()}


def readable(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table for readers: the test score with its spread, and how many runs diverged.

    An accuracy is a mean and a standard deviation. A run that is about to explode has an NRMSE of any size, which
    would be all that a mean shows: of NRMSEs these are the median, the smallest and the largest.
    """
    import pandas as pd

    def line(r: Any) -> dict[str, str]:
        if r.recurrence == "baseline":
            return {"task": r.task, "row": f"baseline: {r.row}", r.score: f"{r.test:.3f}"}
        steps = f"{r.first_step:.0f}" if r.first_step == r.last_step else f"{r.first_step:.0f}-{r.last_step:.0f}"
        gone = f"{r.diverged:.0f} of {r.runs:.0f}" + (f", step {steps}" if r.diverged else "")
        known = not math.isnan(r.test)
        spread = "" if math.isnan(r.test_sd) else f" ± {r.test_sd:.3f}"
        score = f"{r.test:.3f}{spread}"
        if r.score == "NRMSE":
            score = f"{r.test_median:.3g} ({r.test_min:.3g} – {r.test_max:.3g})" if spread else f"{r.test:.3g}"
        return {
            "task": r.task,
            "row": r.row,
            r.score: score if known else "diverges" if r.diverged else "-",
            "diverged": gone,
            "ρ at first": f"{r.radius_first:.3f}",
            "ρ at last": f"{r.radius_last:.3f}",
        }

    return pd.DataFrame([line(r) for r in frame.itertuples()]).fillna("-")


def times(made: Cells, out: Path) -> pd.DataFrame:
    """Return the seconds of a run of each row, by the log of the campaign: loading, compiling and scoring included.

    They differ from call to call, and runs that diverged were short.
    """
    import pandas as pd

    spent: dict[str, tuple[float, int]] = {}
    for path in sorted((out / "runs").glob("*.jsonl")):
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(text)
                folder, _, file = entry["shard"].partition("/")
                start, stop = map(int, file.split("-")[:2])
                before = spent.get(folder, (0.0, 0))
                spent[folder] = (before[0] + float(entry["seconds"]), before[1] + stop - start)
            except (ValueError, KeyError, TypeError):
                continue
    lines = []
    for task, rows in made.items():
        for row, cell in rows.items():
            if cell.name in spent:
                seconds, runs = spent[cell.name]
                lines.append({"task": task, "row": row, "runs": runs, "seconds_per_run": seconds / runs})
    return pd.DataFrame(lines)


# The figure


def style(training: Training) -> dict[str, Any]:
    """Return colour, marker, line and width of a row: by initialisation, recurrence and norm of the state."""
    model = training.config.model
    name, _, options = model.init.partition(":")
    colour, marker = COLOURS.get(name if not options else "", COLOURS[""])
    within = model.norm == "state-layer-norm"
    return {
        "color": colour,
        "marker": marker,
        "markerfacecolor": "white" if within else colour,
        "linestyle": LINES[model.recurrence],
        "linewidth": 0.7 if within else 1.2,
    }


def draw(data: Mapping[Cell, np.ndarray], made: Cells, baselines: Mapping[str, Cell]) -> Figure:
    """Return the figure: for each task score and largest radius against the step.

    Lines are means over the runs that did not diverge, of NRMSEs medians; bands reach from the smallest of them to the
    largest, and a cross marks where a run diverged. The best baseline is that of the test set.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    figure = Figure(figsize=(3.5 * max(len(made), 2), 5.6))
    grid = figure.subplots(2, len(made), squeeze=False, sharex="col")
    styles = {}
    for (top, bottom), (task, rows) in zip(grid.T, made.items(), strict=True):
        names, values = baselines[task].params["names"], data[baselines[task]][0][:-1]
        regression = names[0] == REGRESSION
        for row, cell in rows.items():
            styles[row] = style(cell.ensemble)
            curves(top, bottom, unpack(data[cell]), styles[row], regression)
        best = values.argmin() if regression else values.argmax()
        for ax, value, name in ((top, values[best], f"{names[best]}, test"), (bottom, 1.0, "")):
            ax.axhline(value, color="0.45", linewidth=0.7, linestyle=(0, (4, 2)), zorder=0.5)
            ax.annotate(name, (0.02, value), xycoords=("axes fraction", "data"), va="bottom", color="0.35")
        top.set(title=task, ylabel="accuracy, validation")
        if regression:
            beyond = top.get_ylim()[1] >= LARGEST_SHOWN
            top.set(yscale="log", ylabel=f"NRMSE, validation{' (cut at 10)' if beyond else ''}")
            top.set_ylim(top=LARGEST_SHOWN if beyond else None)
        bottom.set(xlabel="step", ylabel="$\\max\\rho$ over layers")
    handles: list[Artist] = [Line2D([], [], label=row, **look) for row, look in styles.items()]
    handles.append(Line2D([], [], color="0.3", marker="x", markersize=5, linestyle="none", label="a run that diverged"))
    handles.append(Patch(color="0.85", linewidth=0, label="smallest to largest run"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, handlelength=3.2)
    return figure


def curves(top: Axes, bottom: Axes, run: Run, look: dict[str, Any], regression: bool) -> None:
    """Draw the runs of a row that did not diverge, and a cross for each of the others."""
    kept = ~run.diverged
    if kept.any():
        step = run.curves["step"][kept][0]
        for ax, name, since in ((top, "validation", 1), (bottom, "radius", 0)):
            values = run.curves[name][kept, since:]
            if regression and ax is top:
                values = np.minimum(values, LARGEST_SHOWN)
                middle = np.median(values, axis=0)
            else:
                middle = values.mean(axis=0)
            ax.plot(step[since:], middle, **look)
            if len(values) > 1:
                low, high = values.min(axis=0), values.max(axis=0)
                ax.fill_between(step[since:], low, high, color=look["color"], alpha=0.1, linewidth=0)
    gone = run.numbers["diverged_at"][run.diverged]
    radii = run.numbers["radius_last"][run.diverged]
    bottom.plot(gone, radii, marker="x", markersize=5, linestyle="none", color=look["color"])
