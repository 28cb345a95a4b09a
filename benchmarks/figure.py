"""Time against n for every method, log-log: the figure of the benchmarks and its numbers."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

import rmt
from benchmarks import peers
from benchmarks.cases import krylov
from benchmarks.timing import Measure, interleave, timed
from rmt import plotting

STEPS = 128  # T of all norms
LAZY = 100  # samples in a call
BATCH = 32  # sequences that share a given matrix


@dataclass(frozen=True)
class Curve:
    """One method: how it is drawn, and its time of one result at size n."""

    label: str
    panel: int
    marker: str
    dashed: bool
    measure: Callable[[int], Measure]
    largest: int = 2**31
    slope: float | None = None  # of a guide beside it


def _of_a_matrix(function: Callable[[np.ndarray], object]) -> Callable[[int], Measure]:
    return lambda n: timed(function, 1, lambda seed: peers.glorot(n, 1, seed)[0])


def _law(n: int) -> Measure:
    exact, count = rmt.SpectralRadiusLaw(n), 100_000
    exact.median()
    return timed(lambda seed: exact.rvs(count, rng=seed), count)


def _sampled(function: Callable[..., object], *arguments: object, **options: object) -> Callable[[int], Measure]:
    return lambda n: timed(lambda seed: function(rmt.glorot(n), *arguments, 1, rng=seed, **options))


def _tested_radius(W: np.ndarray) -> float:
    return float(rmt.spectral_radius(W, method="krylov"))


def _numpy_loop(n: int) -> Measure:
    return timed(lambda seed: peers.sampled_hidden_norms(n, STEPS, seed))


def _lazy(n: int) -> Measure:
    # Many in a call: one alone would be timed with the caches as the other methods left them.
    ensemble = rmt.glorot(n)
    return timed(lambda seed: rmt.sample_hidden_norms(ensemble, STEPS, LAZY, method="lazy", rng=seed), LAZY)


def _given_norms(function: Callable[..., object], count: int) -> Callable[[int], Measure]:
    """Time the norms of one given sequence, of `count` that are advanced together by a given matrix."""

    def prepare(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        x = np.random.default_rng(seed).standard_normal((count, STEPS, n))
        return peers.glorot(n, 1, seed)[0], x if count > 1 else x[0]

    return lambda n: timed(lambda given: function(*given), count, lambda seed: prepare(n, seed))


def _arpack(k: int) -> Callable[[int], Measure]:
    return _of_a_matrix(lambda W: peers.arpack_radius(W, k))


# All eigenvalues of a larger matrix take minutes; a dense matrix twice as wide as the widest takes 8 GiB.
EIGENVALUES, DENSE = 4096, 16_384
NUMBERS = {"steps": STEPS, "lazy": LAZY, "batch": BATCH}  # what the page says of the curves
# Dashed: what others offer.
CURVES = (
    Curve("numpy eigvals", 0, "s", True, _of_a_matrix(peers.numpy_radius), EIGENVALUES, 3),
    Curve("SciPy eigvals, float32", 0, "p", True, _of_a_matrix(peers.float32_radius), EIGENVALUES),
    Curve("torch eigvals", 0, "v", True, _of_a_matrix(peers.torch_radius), EIGENVALUES),
    Curve("ARPACK, $k=1$ (can miss)", 0, "<", True, _arpack(1), EIGENVALUES),
    Curve("ARPACK, $k=6$ (can miss)", 0, "D", True, _arpack(6), EIGENVALUES),
    Curve("ARPACK, $k=20$", 0, ">", True, _arpack(20), EIGENVALUES),
    Curve("rmt, all eigenvalues", 1, "v", False, _sampled(rmt.sample_eigenvalues), EIGENVALUES),
    Curve("rmt, given $W$, proven", 1, "^", False, _of_a_matrix(rmt.spectral_radius), EIGENVALUES),
    Curve("rmt, given $W$, tested", 1, "X", False, _of_a_matrix(_tested_radius), EIGENVALUES),
    Curve("rmt, krylov, certified", 1, "o", False, krylov, 10**7, 1.5),
    Curve("rmt, law inversion", 1, "P", False, _law, DENSE),
    Curve("NumPy loop, drawing $W$", 2, "s", True, _numpy_loop, DENSE, 2),
    Curve("NumPy loop, given $W$", 2, "D", True, _given_norms(peers.hidden_norms, 1), EIGENVALUES),
    Curve(
        "NumPy loop, given $W$, 32 together", 2, ">", True, _given_norms(peers.hidden_norms_batch, BATCH), EIGENVALUES
    ),
    Curve("rmt, dense, drawing $W$", 2, "v", False, _sampled(rmt.sample_hidden_norms, STEPS, method="dense"), DENSE),
    Curve("rmt, given $W$", 2, "^", False, _given_norms(rmt.hidden_norms, 1), EIGENVALUES),
    Curve("rmt, given $W$, 32 together", 2, "X", False, _given_norms(rmt.hidden_norms, BATCH), EIGENVALUES),
    Curve("rmt, lazy", 2, "o", False, _lazy),
)
if not importlib.util.find_spec("torch"):
    CURVES = tuple(curve for curve in CURVES if "torch" not in curve.label)


def measure_curves(sizes: tuple[int, ...], limit: float, curves: tuple[Curve, ...] = CURVES) -> pd.DataFrame:
    """Return median seconds, one row for each n and one column for each curve; a curve ends once it takes `limit`.

    At each n the methods take turns, three rounds after a first that counts for the slow ones alone.
    """
    running, rows = list(curves), []
    for n in sizes:
        running = [curve for curve in running if n <= curve.largest]
        if not running:
            break
        measures = {curve.label: curve.measure(n) for curve in running}
        first = interleave(measures, 1, warm_up=False)
        fast = {name: measure for name, measure in measures.items() if first[name][0] < limit}
        seconds = first | interleave(fast, 3, warm_up=False)
        rows.append({"n": n} | {name: np.median(times) for name, times in seconds.items()})
        running = [curve for curve in running if rows[-1][curve.label] < limit]
    return pd.DataFrame(rows).set_index("n")


def _slope(ax: Axes, seconds: pd.Series, exponent: float) -> None:
    """Draw a guide n^exponent below the last octaves of a curve."""
    n = np.array([seconds.index[-1] / 8, seconds.index[-1]], dtype=float)
    t = seconds.iloc[-1] / 4 * (n / n[1]) ** exponent
    ax.plot(n, t, color="0.5", linewidth=0.6, zorder=0)
    ax.annotate(f"$n^{{{exponent:g}}}$", (n[1], t[1]), (3, -3), textcoords="offset points", color="0.35")


def draw(times: pd.DataFrame, stem: Path, curves: tuple[Curve, ...] = CURVES) -> list[Path]:
    """Draw the curves of `times`, and write stem.png and stem.svg."""
    with plotting.paper_style():
        figure = Figure(figsize=(10.0, 4.0))
        axes = figure.subplots(1, 3, sharex=True, sharey=True)
        titles = (
            "Spectral radius, by others",
            "Spectral radius, or all eigenvalues",
            f"Norms of {STEPS} hidden states",
        )
        for panel, (ax, title) in enumerate(zip(axes, titles, strict=True)):
            here = [curve for curve in curves if curve.panel == panel and curve.label in times]
            colours = plotting.colours([curve.label for curve in here])
            for curve in here:
                seconds = times[curve.label].dropna()
                line = "--" if curve.dashed else "-"
                ax.plot(
                    seconds.index, seconds, line, marker=curve.marker, color=colours[curve.label], label=curve.label
                )
                if curve.slope:
                    _slope(ax, seconds, curve.slope)
            ax.set(title=f"({'abc'[panel]}) {title}", xlabel="$n$", xscale="log", yscale="log")
            ax.xaxis.set_major_locator(LogLocator(numticks=12))
            ax.legend(loc="upper right", bbox_to_anchor=(1.0, (0.6, 0.6, 1.0)[panel]))
        axes[0].set_ylabel("seconds for one result, on one core")
    pdf, *pictures = plotting.save_figure(figure, stem)
    pdf.unlink()  # pages show the other two
    return pictures
