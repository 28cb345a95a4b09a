"""Figures in one style: each function draws on an `ax` and returns it; nothing is ever shown.

Matplotlib is imported when a function is called. Figures are made through the object-oriented interface,
without a display and without global state: ``with paper_style(): fig = Figure(...)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rmt import checks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLE = Path(__file__).with_name("paper.mplstyle")


@contextmanager
def paper_style() -> Iterator[None]:
    """Draw in the style of the paper, whatever the user's own settings are; they come back at the end."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rc_file(STYLE)
        yield


def colours(values: Iterable[Any]) -> dict[Any, str]:
    """Return one colour of the paper's palette for each of at most seven values, in the order given.

    Examples
    --------
    >>> from rmt.plotting import colours
    >>> colours([64, 256, 1024])
    {64: '#E69F00', 256: '#0072B2', 1024: '#000000'}
    """
    import matplotlib as mpl

    values = list(values)
    with paper_style():
        palette = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
    if len(values) > len(palette):
        raise checks.InputError(f"values must be at most {len(palette)}, one for each colour, got {len(values)}")
    return {value: "#" + colour.lstrip("#") for value, colour in zip(values, palette, strict=False)}


def save_figure(fig: Figure, stem: str | Path) -> list[Path]:
    """Write stem.pdf, stem.png and stem.svg in the paper's style; the same figure gives the same bytes."""
    stem = Path(stem)
    if not stem.parent.is_dir():
        raise checks.InputError(f"stem must lie in a directory that exists, got {str(stem)!r}")
    no_date: dict[str, dict[str, None]] = {
        "pdf": {"CreationDate": None},
        "png": {"Software": None},
        "svg": {"Date": None},
    }
    paths = []
    # Fonts are looked up while a figure is drawn, so the style must hold here too.
    with paper_style():
        # The layout is solved once and kept: it takes half of the time, and the three files agree.
        fig.draw_without_rendering()
        fig.set_layout_engine("none")
        for suffix, metadata in no_date.items():
            path = stem.with_name(f"{stem.name}.{suffix}")
            fig.savefig(path, metadata=metadata)
            paths.append(path)
    return paths


def modulus_density(
    ax: Axes,
    moduli: np.ndarray,
    exact: Callable[[np.ndarray], np.ndarray],
    edges: np.ndarray,
    *,
    color: str,
    label: str | None = None,
) -> Axes:
    """Draw a histogram of `moduli` over bins `edges` as steps, and the density `exact` as a curve.

    The histogram is normalised by all data, those outside of the bins included.
    """
    counts, _ = np.histogram(moduli, edges)
    height = counts / (np.size(moduli) * np.diff(edges))
    ax.stairs(height, edges, color=color, alpha=0.5, linewidth=0.6)
    r = np.linspace(edges[0], edges[-1], 801)
    ax.plot(r, exact(r), color=color, label=label)
    return ax


def unit_line(ax: Axes) -> Axes:
    """Mark the radius 1, beyond which an eigenvalue makes the recurrence unstable."""
    ax.axvline(1.0, color="0.45", linewidth=0.7, linestyle=(0, (4, 2)), zorder=0.5)
    return ax


def trajectories(
    ax: Axes,
    t: np.ndarray,
    log_samples: np.ndarray,
    *,
    color: str,
    label: str | None = None,
    quantiles: tuple[float, float] = (0.05, 0.95),
) -> Axes:
    """Draw the median of trajectories over time and the band between two quantiles.

    Parameters
    ----------
    ax : Axes
        Its vertical axis is made to show powers of ten by :func:`power_axis`.
    t : ndarray, shape (steps,)
        Times.
    log_samples : ndarray, shape (size, steps)
        Natural logarithms of the values, so that nothing overflows.
    color, label : str
        Colour, and text for the legend.
    quantiles : tuple of float
        Probabilities of the lower and the upper end of the band.

    Returns
    -------
    Axes

    Raises
    ------
    InputError
        If a logarithm is NaN or infinite.
    """
    # One NaN would make a quantile vanish from the figure without a word.
    log_samples = checks.array("log_samples", log_samples, ndim=2)
    # Quantiles commute with the logarithm; means do not, and are never taken here.
    low, median, high = np.quantile(log_samples, [quantiles[0], 0.5, quantiles[1]], axis=0) / np.log(10)
    ax.fill_between(t, low, high, color=color, alpha=0.2, linewidth=0)
    ax.plot(t, median, color=color, label=label)
    return power_axis(ax)


def power_axis(ax: Axes) -> Axes:
    """Label the vertical axis, which carries logarithms to base 10, with powers of ten."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    ax.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda power, _: f"$10^{{{power:.0f}}}$"))
    return ax


def mean_ratio(
    ax: Axes, t: np.ndarray, log_samples: np.ndarray, log_mean: np.ndarray, *, color: str, marker: str = "o"
) -> Axes:
    """Draw the sample mean divided by the exact mean, with two standard errors to each side.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    t : ndarray, shape (steps,)
        Times, or what stands for them.
    log_samples : ndarray, shape (size, steps)
        Natural logarithms of the sampled values; size > 1.
    log_mean : ndarray, shape (steps,)
        Natural logarithm of the exact mean.
    color, marker : str
        Of the points.

    Returns
    -------
    Axes
    """
    ratio = np.exp(checks.array("log_samples", log_samples, ndim=2) - log_mean)
    error = 2 * ratio.std(axis=0, ddof=1) / np.sqrt(len(ratio))
    ax.errorbar(
        t,
        ratio.mean(axis=0),
        error,
        color=color,
        marker=marker,
        markersize=2,
        linestyle="none",
        linewidth=0.7,
    )
    return ax
