"""S4's Gaussian initialisation: dx/dt = A x with a random A, discretised, and the scale at which it is safe.

    rmt run experiments/state_space.py --out results/state_space [--field complex] [--alpha 0.05] [--quick]

Claim (rebuttal): the authors of S4 scaled the variance of their Gaussian baseline down until it no longer exploded;
that is the instability of Glorot matrices, met without theory.

Found, at alpha = 0.05 and n = 64, 256 (real W):

- Without a shift no scale and no step helps: bilinear and zero-order hold (zoh) are unstable as soon as one eigenvalue
  of W lies right of the axis: with probability 1/2 (n = 1), 3/4 (n = 2), 0.96 (n = 4), 0.997 (n = 6), 0.9999 (n = 8).
- What does help is a short time. With step D the state after L steps is e^{cW} v, c = s D L, and its squared norm
  tends to I_0(2c) as n grows. Growth below 10 needs c < 2.76 (n = 64), 2.99 (n = 256), 3.22 (n to infinity), for all
  three rules and for L = 16 and 1024 alike (but for euler at L = 16, 8% more). So the scale that a trial finds is
  s = 3 / (D L): it depends on the sequence length, and hardly on n; at D = 0.1 and L = 1024 it is 0.03.
- With A = -I + s W the spectrum is stable with probability 0.95 for s < 0.897 (n = 64), 0.952 (n = 256): 1 over the
  quantile of the abscissa of W. The gain for the radius, 0.869 and 0.927, exact for euler with step 1 (the recurrence
  of the paper: -I + I + s W), is a little smaller, and so safe for every rule and step.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from intervals import share
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import optimize, special, stats

import rmt
from rmt import plotting, tables
from rmt.campaign import Cell, Experiment

METHODS = ("bilinear", "zoh", "euler")
STEP = 0.1
SMALL = (1, 2, 3, 4, 6, 8, 16)  # sizes for P(unstable) without a shift
SIZES = (1, 16, 64, 256)
COUNTS = {"spectral_radius": 5000, "edges": {1: 10_000, 16: 10_000, 64: 4000, 256: 600}}
COUNTS["growth"] = {1: 10_000, 16: 4000, 64: 2000, 256: 300}
QUICK = 40  # times fewer

# Without a shift everything depends on c = scale * step * length, and for two rules on the length besides.
GRID = np.geomspace(0.2, 12, 60)
CURVES = (("zoh", 1024), ("bilinear", 1024), ("euler", 1024), ("bilinear", 16), ("euler", 16))
LIMIT = 10.0  # the growth of a state that counts as an explosion


def edges(ensemble, params, rng):
    """Return of one draw of W: its abscissa, its radius, and the largest s at which euler with shift -1 is stable."""
    eigenvalues = ensemble.eigenvalues(rng)
    # |1 - D + D s lambda| = 1, a quadratic equation in s for each eigenvalue.
    a = (params["step"] * np.abs(eigenvalues)) ** 2
    b = (1 - params["step"]) * params["step"] * eigenvalues.real
    c = 1 - (1 - params["step"]) ** 2
    return eigenvalues.real.max(), np.abs(eigenvalues).max(), np.min((np.sqrt(b**2 + a * c) - b) / a)


def growth(ensemble, params, rng):
    """Return log ||M v|| for CURVES and GRID: M is the L-th power of c W / L, discretised, v a random unit vector."""
    W = ensemble.matrix(rng)
    v = rng.standard_normal(ensemble.n).astype(ensemble.dtype)
    if ensemble.field == "complex":
        v += 1j * rng.standard_normal(ensemble.n)
    eigenvalues, vectors = np.linalg.eig(W)
    parts = np.linalg.solve(vectors, v / np.linalg.norm(v))
    logs = []
    for method, length in CURVES:
        z = np.multiply.outer(GRID / length, eigenvalues)
        if method == "zoh":
            factors = np.exp(length * z)
        elif method == "euler":
            factors = (1 + z) ** length
        else:
            factors = ((1 + z / 2) / (1 - z / 2)) ** length
        logs.append(np.log(np.linalg.norm((factors * parts) @ vectors.T, axis=1)))
    return logs


def unshifted(n, method, options):
    return Cell("spectral_radius", rmt.StateSpace(rmt.glorot(n, options["field"]), STEP, 0.0, method))


def spectrum(n, options):
    return Cell(edges, rmt.glorot(n, options["field"]), {"step": STEP})


def growths(n, options):
    return Cell(growth, rmt.glorot(n, options["field"]))


def cells(options):
    rmt.checks.real("alpha", options["alpha"], above=0, below=1)
    found = [unshifted(n, method, options) for n in SMALL for method in METHODS]
    return found + [kind(n, options) for n in SIZES for kind in (spectrum, growths)]


def samples(cell, quick):
    counts = COUNTS[cell.statistic_name]
    count = counts if isinstance(counts, int) else counts[cell.ensemble.n]
    return max(20, count // QUICK) if quick else count


def present(data, out, options):
    unstable = pd.DataFrame([chance(n, method, data, options) for n in SMALL for method in METHODS])
    tables.write_tables(unstable, out / "unstable")
    scales = pd.DataFrame([line for n in SIZES for line in safe_scales(n, data, options)])
    tables.write_tables(scales, out / "safe_scales", shown=readable(scales))
    with plotting.paper_style():
        fig = draw(data, options)
    plotting.save_figure(fig, out / "state_space")
    return readable(scales).reset_index()


# The tables


def chance(n, method, data, options):
    """Return the chance that the discretised matrix of scale 1 is unstable without a shift, with its 95% interval.

    For bilinear and zoh it is that at every scale and step; for euler it depends on their product.
    """
    radii = data[unshifted(n, method, options)]
    unstable, low, high = share(radii > 1)
    return {
        "n": n,
        "field": options["field"],
        "method": method,
        "step": STEP,
        "samples": len(radii),
        "p_unstable": unstable,
        "p_low": low,
        "p_high": high,
        "p_exact": exact_chance(n, method, options["field"]),
    }


def exact_chance(n, method, field):
    """Return P(some Re(lambda) > 0) where it is known: 1/2 for n = 1; for real n = 2, stable if tr < 0 < det, 3/4."""
    if method == "euler":
        return math.nan
    return 0.5 if n == 1 else 0.75 if n == 2 and field == "real" else math.nan


def safe_scales(n, data, options):
    """Return lines of the largest scales at which the chance of instability is at most alpha."""
    abscissa, radius, euler = data[spectrum(n, options)].T
    # Where no eigenvalue lies to the right, any scale is safe.
    any_step = np.where(abscissa > 0, 1 / np.maximum(abscissa, 1e-300), np.inf)
    gain = rmt.rescaled_gain(n, options["field"], alpha=options["alpha"])
    # For n = 1 everything follows from the real part of one Gaussian number.
    single = stats.norm.isf(options["alpha"]) * (1 if options["field"] == "real" else math.sqrt(0.5))
    exact = 1 / single if n == 1 else math.nan
    yield safe(any_step, n, "stable spectrum, shift -1", "bilinear, zoh: any step", options, exact)
    yield safe(euler, n, "stable spectrum, shift -1", f"euler, step {STEP:g}", options)
    yield safe(1 / radius, n, "stable spectrum, shift -1", "euler, step 1", options, gain)
    crossings = np.array([[first_crossing(curve) for curve in curves] for curves in data[growths(n, options)]])
    for i, (method, length) in enumerate(CURVES):
        name = "zoh: any length" if method == "zoh" else f"{method}, length {length}"
        exact = math.log(LIMIT) / single if n == 1 and method == "zoh" else math.nan
        yield safe(crossings[:, i], n, "growth below 10, no shift", name, options, exact)


def safe(critical, n, criterion, rule, options, exact=math.nan):
    """Return the alpha-quantile of the critical scales, with the order statistics that hold it with 95% confidence."""
    ranked, size, alpha = np.sort(critical), len(critical), options["alpha"]
    low, high = (int(k) for k in stats.binom.ppf([0.025, 0.975], size, alpha))
    return {
        "n": n,
        "field": options["field"],
        "criterion": criterion,
        "rule": rule,
        "alpha": alpha,
        "samples": size,
        "scale": ranked[max(0, math.ceil(alpha * size) - 1)],
        "scale_low": ranked[max(0, low - 1)],
        "scale_high": ranked[min(size - 1, high)],
        "scale_exact": exact,
        "below_exact": float(np.mean(critical < exact)) if exact == exact else math.nan,
    }


def first_crossing(logs):
    """Return the smallest c at which a curve of log-norms over GRID passes log(LIMIT); inf where it does not."""
    beyond = np.flatnonzero(logs > math.log(LIMIT))
    if len(beyond) == 0:
        return math.inf
    right = max(beyond[0], 1)
    return math.exp(np.interp(math.log(LIMIT), logs[right - 1 : right + 1], np.log(GRID[right - 1 : right + 1])))


def infinite_width():
    """Return the c at which ||e^{cW} v|| = LIMIT as n grows: its square tends to sum c^{2k} / k!^2 = I_0(2c)."""
    return optimize.brentq(lambda c: special.i0(2 * c) - LIMIT**2, 0.1, 20)


def readable(table):
    number = tables.format_number
    lines = [
        {
            "n": r.n,
            "criterion": r.criterion,
            "rule": r.rule,
            "largest safe scale [95%]": f"{number(r.scale)} [{number(r.scale_low)}, {number(r.scale_high)}]",
            "exact": number(r.scale_exact),
        }
        for r in table.itertuples()
    ]
    return pd.DataFrame(lines).set_index("n")


# The figure


def draw(data, options):
    """Return the figure: P(stable) without a shift, safe scales with shift -1, and growth without a shift."""
    fig = Figure(figsize=(7.0, 2.9))
    left, middle, right = fig.subplots(1, 3)
    without_shift(left, data, options)
    with_shift(middle, data, options)
    over_length(right, data, options)
    return fig


def without_shift(ax, data, options):
    colour = plotting.colours(METHODS)
    for shift, (method, marker) in enumerate(zip(METHODS, "os^", strict=True)):
        found = pd.DataFrame([chance(n, method, data, options) for n in SMALL])
        stable = 1 - found.p_unstable
        x = np.array(SMALL) * 1.08 ** (shift - 1)
        seen = stable > 0
        label = f"euler, scale $\\times$ step {STEP:g}" if method == "euler" else f"{method}, any scale, step"
        error = np.array([found.p_high - found.p_unstable, found.p_unstable - found.p_low])  # of what is stable
        ax.errorbar(
            x[seen], stable[seen], error[:, seen], color=colour[method], marker=marker, linestyle="none", label=label
        )
        bound = 3 / found.samples[~seen]  # 95% certain where none of the samples is stable
        ax.plot(x[~seen], bound, color=colour[method], marker="v", markerfacecolor="white", linestyle="none")
    exact = {n: exact_chance(n, "zoh", options["field"]) for n in SMALL}
    ax.plot(list(exact), 1 - np.array(list(exact.values())), "_", color="#D55E00", markersize=16, zorder=5)
    ax.set(yscale="log", ylim=(1e-5, 1.5), xlabel="$n$", ylabel="P(stable)", title="(a) no shift; 95%")
    ax.set_xscale("log", base=2)
    ax.set_xticks(SMALL, [str(n) for n in SMALL])
    ax.minorticks_off()
    handles, labels = ax.get_legend_handles_labels()
    handles.append(Line2D([], [], color="#D55E00", marker="_", markersize=9, linestyle="none"))
    handles.append(Line2D([], [], color="0.45", marker="v", markerfacecolor="white", linestyle="none"))
    ax.legend(handles, [*labels, "exact", "none seen: 95% bound"], loc="lower left")


def with_shift(ax, data, options):
    colour = plotting.colours(SIZES[1:])
    s = np.linspace(0.5, 1.3, 161)
    for n in SIZES[1:]:
        abscissa = np.sort(data[spectrum(n, options)][:, 0])
        ax.plot(s, 1 - np.searchsorted(abscissa, 1 / s) / len(abscissa), color=colour[n], label=f"$n={n}$")
        law = rmt.SpectralRadiusLaw(n, options["field"])
        ax.plot(s, law.sf(1 / s), color=colour[n], linestyle=(0, (3, 2)))
    ax.axhline(options["alpha"], color="0.6", linewidth=0.6)
    ax.text(1.3, options["alpha"], f"$\\alpha={options['alpha']:g}$", ha="right", va="bottom", fontsize=7)
    ax.set(xlim=(0.5, 1.3), ylim=(0, 1), xlabel="scale $s$ of $A=-I+sW$", title="(b) shift $-1$: P(unstable)")
    handles, labels = ax.get_legend_handles_labels()
    handles += [Line2D([], [], color="0.45"), Line2D([], [], color="0.45", linestyle=(0, (3, 2)))]
    ax.legend(handles, [*labels, "bilinear, zoh", "euler, step 1 (exact)"], loc="upper left")


def over_length(ax, data, options):
    colour = plotting.colours(SIZES[1:])
    for n in SIZES[1:]:
        logs = data[growths(n, options)]
        plotting.trajectories(ax, GRID, logs[:, 0], color=colour[n])
        coarse = np.median(logs[:, CURVES.index(("bilinear", 16))], axis=0) / math.log(10)
        ax.plot(GRID, coarse, color=colour[n], linestyle=(0, (1, 1)))
    ax.plot(GRID, np.log10(special.i0(2 * GRID)) / 2, color="#D55E00", linestyle=(0, (3, 2)))
    ax.axhline(math.log10(LIMIT), color="0.6", linewidth=0.6)
    ax.axvline(infinite_width(), color="0.6", linewidth=0.6)
    ax.text(infinite_width(), -0.9, f"$\\,{infinite_width():.2f}$", fontsize=7)
    ax.set(xscale="log", xlim=(0.2, 12), ylim=(-1, 4), xlabel="$c$ = scale $\\times$ step $\\times$ length $L$")
    ax.set_title("(c) no shift: $\\|\\overline{A}^{\\,L} v\\|$")
    ax.set_xticks([0.2, 0.5, 1, 2, 5, 10], ["0.2", "0.5", "1", "2", "5", "10"])
    ax.minorticks_off()
    handles = [
        Line2D([], [], color="0.45", label="zoh: median, 5% to 95%"),
        Line2D([], [], color="0.45", linestyle=(0, (1, 1)), label="bilinear, $L=16$"),
        Line2D([], [], color="#D55E00", linestyle=(0, (3, 2)), label="$n\\to\\infty$: $I_0(2c)^{1/2}$"),
    ]
    ax.legend(handles=handles, loc="upper left")


experiment = Experiment("state_space", cells, samples, {"field": ("real", "complex"), "alpha": 0.05}, present)
