"""The figure of an audit: eigenvalues beside the unit circle, and the predicted growth of the state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.interpolate import PchipInterpolator

from rmt import plotting
from rmt.audit.diagnosis import PASSES
from rmt.audit.growth import FLOAT32
from rmt.audit.weights import Audit, Finding

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 6  # recurrences in one figure
DOTS = 5000  # eigenvalues, beyond which they are drawn as an image
TOP = 42.0  # decades shown, just beyond what float32 holds
LABEL = 44  # characters of a name

OVERFLOW = FLOAT32 / math.log(10)  # decades of the largest float32


def draw(audit: Audit) -> Figure:
    """Draw what counts of an audit: what passes the limit first of all, then by radius, at most six of them.

    Parameters
    ----------
    audit : Audit
        As :func:`rmt.audit.weights.audit` returns it.

    Returns
    -------
    Figure
    """
    from matplotlib.figure import Figure

    chosen = shown(audit)
    colours = plotting.colours(range(len(chosen)))
    with plotting.paper_style():
        figure = Figure(figsize=(7.0, 3.0 + 0.14 * math.ceil(len(chosen) / 2)))
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.45))
        for i, finding in enumerate(chosen):
            _eigenvalues(left, finding, colours[i], sum(len(f.diagnosis.eigenvalues) for f in chosen) > DOTS)
            _growth(right, finding, colours[i], audit.limit)
        _frame_plane(left, max(finding.diagnosis.radius for finding in chosen))
        _frame_growth(right, audit, max(finding.diagnosis.log10_curve.max() for finding in chosen))
        rest = sum(finding.counts for finding in audit.findings) - len(chosen)
        title = f"{rest} more in the table" if rest else None
        handles, labels = right.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, title=title)
    return figure


def shown(audit: Audit) -> list[Finding]:
    """Return the findings that the figure shows, in their order."""
    calm = [finding for finding in audit.findings if finding.counts and not finding.unstable]
    return (audit.unstable + sorted(calm, key=lambda finding: -finding.diagnosis.radius))[:MOST]


def _eigenvalues(ax: Axes, finding: Finding, colour: str, as_image: bool) -> None:
    values = finding.diagnosis.eigenvalues
    style: dict[str, Any] = {"color": colour, "linestyle": "none", "markeredgewidth": 0, "rasterized": as_image}
    ax.plot(values.real, values.imag, marker=".", markersize=2.5, alpha=0.8, **style)
    outside = values[np.abs(values) > 1]
    ax.plot(outside.real, outside.imag, marker="o", markersize=3, **style)


def _frame_plane(ax: Axes, radius: float) -> None:
    angle = np.linspace(0, 2 * math.pi, 361)
    ax.plot(np.cos(angle), np.sin(angle), color="0.45", linewidth=0.7, linestyle=(0, (4, 2)), zorder=0.5)
    ax.set_aspect("equal", adjustable="box")
    reach = 1.08 * max(1.0, radius)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach))
    ax.set(xlabel=r"Re $\lambda$", ylabel=r"Im $\lambda$", title="eigenvalues and the unit circle")


def _growth(ax: Axes, finding: Finding, colour: str, limit: float) -> None:
    diagnosis = finding.diagnosis
    comma = "" if diagnosis.verdict == PASSES else ", limit"
    where = "" if diagnosis.step_limit is None else f"{comma} at step {diagnosis.step_limit:,}"
    t, curve = diagnosis.times, diagnosis.log10_curve
    if len(t) > 1:
        fine = np.geomspace(1, t[-1], 400)
        t, curve = fine, PchipInterpolator(np.log(t), curve)(np.log(fine))
    ax.plot(t, curve, color=colour, label=f"{_label(finding.recurrence.name)}: {diagnosis.verdict}{where}")
    for step, height in ((diagnosis.step_limit, math.log10(limit)), (diagnosis.step_overflow, OVERFLOW)):
        if step is not None:
            ax.plot([step], [height], color=colour, marker="o", markersize=3.5, linestyle="none", zorder=3)


def _label(name: str) -> str:
    """Return a name as text that the fonts have and that is no mathematics, of bounded length."""
    if len(name) > LABEL:
        name = name[: LABEL // 2 - 2] + "..." + name[-LABEL // 2 + 1 :]
    text = name.encode("ascii", "replace").decode("ascii").replace("$", r"\$")
    return " " + text if text.startswith("_") else text  # a legend leaves out what begins with an underscore


def _frame_growth(ax: Axes, audit: Audit, highest: float) -> None:
    t = np.geomspace(1, max(audit.steps, 2), 50)
    ax.plot(t, 0.5 * np.log10(t), color="0.6", linewidth=0.7, label=r"orthogonal $W$: $\sqrt{t}$", zorder=0.5)
    dashes: dict[str, Any] = {"color": "0.45", "linewidth": 0.7, "linestyle": (0, (4, 2)), "zorder": 0.5}
    ax.axhline(math.log10(audit.limit), label=f"limit {audit.limit:.4g}", **dashes)
    top = max(highest, math.log10(audit.limit))
    if highest > OVERFLOW:
        ax.axhline(OVERFLOW, color="0.45", linewidth=0.7, linestyle=(0, (1, 1.5)), label="largest float32", zorder=0.5)
        top = min(top, TOP)
    ax.set_xscale("log")
    ax.set_xlim(1, max(audit.steps, 2))
    ax.set_ylim(-0.03 * top, 1.04 * top)
    plotting.power_axis(ax)
    ax.set(xlabel="step $t$", ylabel=r"$(\mathrm{E}\|h_t\|^2/n)^{1/2}$", title="predicted state for white inputs")
