"""Structured inputs: x_t = signal + noise, and so h_t = h_signal + h_noise under one and the same W.

    rmt run experiments/inputs.py --out results/inputs [--field complex] [--noise 0.1] [--quick]

Claim (a review, and the rebuttal): real inputs are no iid Gaussians; by linearity the state is the sum of a part driven
by the signal and one driven by the noise, and "even if h_signal remains bounded" the noise part alone explodes.

Found. The noise part has E||h_noise,t||^2 / n = sigma^2 mean_hidden_norm(t, n), exactly, whatever the signal, and the
means of the two parts add up. So the noise explodes; but it is not needed, for the signal part does not remain bounded
either. It explodes at the same rate: noise of 1% of its power stays 1% of it, within a factor of 13 in the median at
n = 256 and t = 16 sqrt(n), when all have grown more than a millionfold.

For complex W (``--field complex``) that is a theorem. Since e^{i phi} W has the law of W, different powers of W are
uncorrelated, and for any signal that knows nothing of W
    E||h_signal,t||^2 / n = sum_k  E||W^k||_F^2 / n  *  E||s_{t-k}||^2 / n:
the mean sees the power of the signal, and none of its correlations in time (32 means, n = 64 and 256: all within 1.8
standard errors). For real W, -W has the law of W, but W^2 has the mean I/n: even powers are correlated with even ones,
odd with odd. Slow signals, which meet real eigenvalues near 1, have means 25% to 60% above and medians up to 15% below
those of noise at t = 1.5 sqrt(n). Rescaled Glorot keeps the median of every part bounded, for every signal.

Signals, each entry of mean square 1: "constant"; "sinusoid", of period 25 and a phase for each component; "AR(1)" of
coefficient 0.95; "1/f", Gaussian of a spectrum that falls as 1/frequency.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import signal, stats

import rmt
from rmt import plotting, tables
from rmt.campaign import Cell, Experiment

SIZES = (64, 256)
STEPS = 400
MULTIPLES = (1, 1.5, 16)  # of sqrt(n): the times of the table
REPORTED = {n: [round(a * math.sqrt(n)) for a in MULTIPLES] for n in SIZES}
TIMES = np.unique(np.concatenate([np.geomspace(1, STEPS, 70).astype(int), *REPORTED.values()]))
COUNTS = {64: 1000, 256: 300}
QUICK_COUNTS = {64: 40, 256: 6}

NAMES = ("Glorot", "Rescaled Glorot")
SIGNALS = ("constant", "sinusoid", "AR(1)", "1/f")
PERIOD = 25
COEFFICIENT = 0.95

# The latest t / sqrt(n) at which standard errors of means can be trusted (see COMPARED in fig1.py).
COMPARED = {"real": 1.5, "complex": 2.0}


def signals(steps, n, rng):
    """Return one of each of SIGNALS, shape (4, steps, n), every entry of mean square 1."""
    t = np.arange(steps)[:, None]
    constant = np.broadcast_to(rng.standard_normal(n), (steps, n))
    sinusoid = math.sqrt(2) * np.cos(2 * np.pi * (t / PERIOD + rng.random(n)))
    start = rng.standard_normal((1, n))
    steps_of_ar = math.sqrt(1 - COEFFICIENT**2) * rng.standard_normal((steps, n))
    ar, _ = signal.lfilter([1], [1, -COEFFICIENT], steps_of_ar, axis=0, zi=COEFFICIENT * start)
    # Waves of frequencies 1/(2 steps), 2/(2 steps), ..., of variance 1/frequency, and of total variance 1.
    waves = np.arange(1, steps + 1)
    weight = np.sqrt(1 / waves / np.sum(1 / waves))
    phase = np.pi * t * waves / steps
    pink = (np.cos(phase) * weight) @ rng.standard_normal((steps, n))
    pink += (np.sin(phase) * weight) @ rng.standard_normal((steps, n))
    return np.stack([constant, sinusoid, ar, pink])


def parts(ensemble, params, rng):
    """Return log(||h_t||^2 / n) at TIMES under one W: of the noise part, the 4 signal parts and the 4 sums."""
    steps, n = STEPS, ensemble.n
    W = ensemble.matrix(rng)
    noise = rng.standard_normal((steps, n)).astype(ensemble.dtype)
    if ensemble.field == "complex":
        noise = math.sqrt(0.5) * (noise + 1j * rng.standard_normal((steps, n)))
    noise *= params["noise"]
    driven = signals(steps, n, rng)
    x = np.concatenate([noise[None], driven, driven + noise])
    return rmt.hidden_norms(W, x, log=True)[:, TIMES - 1]


def ensembles(options):
    field = options["field"]
    makers = dict(zip(NAMES, (rmt.glorot, rmt.rescaled_glorot), strict=True))
    return {(name, n): make(n, field) for name, make in makers.items() for n in SIZES}


def cell(ensemble, options):
    return Cell(parts, ensemble, {"noise": options["noise"]})


def cells(options):
    rmt.checks.real("noise", options["noise"], above=0)
    return [cell(ensemble, options) for ensemble in ensembles(options).values()]


def samples(cell, quick):
    return (QUICK_COUNTS if quick else COUNTS)[cell.ensemble.n]


def present(data, out, options):
    lines = [
        line
        for (name, n), ensemble in ensembles(options).items()
        for t in REPORTED[n]
        for line in compare(name, ensemble, t, data[cell(ensemble, options)], options)
    ]
    table = pd.DataFrame(lines)
    tables.write_tables(table, out / "inputs", shown=readable(table))
    with plotting.paper_style():
        fig = draw(data, options)
    plotting.save_figure(fig, out / "inputs")
    return readable(table).reset_index()


# The table


def compare(name, ensemble, t, logs, options):
    """Return one line for each signal: parts and sum at time t, and means against exact ones."""
    n, field, power = ensemble.n, ensemble.field, options["noise"] ** 2
    values = logs[:, :, np.searchsorted(TIMES, t)]
    noise, median = values[:, 0], np.median(values, axis=0)
    visible = t <= COMPARED[field] * math.sqrt(n)
    # In units of the exact mean of the noise part at power 1, which is that of every signal part for complex W.
    exact = rmt.log_mean_hidden_norm(t, n, field, ensemble.scale)
    ratio = np.exp(values - exact)
    for i, name_of_signal in enumerate(SIGNALS, start=1):
        cross = ratio[:, 4 + i] - ratio[:, i] - ratio[:, 0]
        yield {
            "ensemble": name,
            "field": field,
            "n": n,
            "signal": name_of_signal,
            "noise_sd": options["noise"],
            "t": t,
            "paths": len(logs),
            "noise_median": math.exp(median[0]),
            "signal_median": math.exp(median[i]),
            "sum_median": math.exp(median[4 + i]),
            "signal_to_noise": math.exp(median[i] - median[0]) * power,
            "noise_mean_exact": math.exp(exact) * power,
            "noise_mean_ratio": ratio[:, 0].mean() / power,
            "noise_mean_z": z(ratio[:, 0], power) if visible else math.nan,
            "signal_mean_ratio": ratio[:, i].mean(),
            "signal_mean_z": z(ratio[:, i], 1) if visible and field == "complex" else math.nan,
            "cross_mean_z": z(cross, 0) if visible else math.nan,
            "larger_than_noise": float(np.mean(values[:, 4 + i] > noise)),
        }


def z(sample, expected):
    """Return the distance of the mean of a sample from what is expected, in standard errors."""
    return float((np.mean(sample) - expected) / stats.sem(sample))


def readable(table):
    def scientific(value):
        return tables.format_number(value, 3) if value < 1e4 else f"{value:.1e}"

    lines = [
        {
            "ensemble": r.ensemble,
            "n": r.n,
            "t": r.t,
            "signal": r.signal,
            "median, noise part": scientific(r.noise_median),
            "signal part": scientific(r.signal_median),
            "sum": scientific(r.sum_median),
            "signal/noise at equal power": scientific(r.signal_to_noise),
            "mean of noise part / exact, z": "" if math.isnan(r.noise_mean_z) else f"{r.noise_mean_z:+.1f}",
        }
        for r in table.itertuples()
    ]
    return pd.DataFrame(lines).set_index("ensemble")


# The figure


def draw(data, options):
    """Return the figure: a row for each initialisation, a column for each signal, at the largest n."""
    n = SIZES[-1]
    colour = plotting.colours(("signal", "noise", "sum"))
    fig = Figure(figsize=(7.0, 3.9))
    axes = fig.subplots(2, len(SIGNALS), sharex=True, sharey="row")
    for row, name in enumerate(NAMES):
        ensemble = ensembles(options)[name, n]
        logs = data[cell(ensemble, options)]
        seen = TIMES[COMPARED[ensemble.field] * math.sqrt(n) >= TIMES]
        mean = rmt.log_mean_hidden_norm(seen, n, ensemble.field, ensemble.scale) + 2 * math.log(options["noise"])
        for i, ax in enumerate(axes[row], start=1):
            plotting.trajectories(ax, TIMES, logs[:, i], color=colour["signal"])
            plotting.trajectories(ax, TIMES, logs[:, 0], color=colour["noise"])
            total = np.median(logs[:, 4 + i], axis=0) / math.log(10)
            ax.plot(TIMES, total, color=colour["sum"], linestyle=(0, (3, 2)))
            ax.plot(seen, mean / math.log(10), color="#D55E00", linestyle=(0, (1, 1)), linewidth=1.6)
            ax.axvline(math.sqrt(n), color="0.6", linewidth=0.6, linestyle=(0, (4, 2)), zorder=0.5)
        medians = np.median(logs, axis=0)[:, -1] / math.log(10)
        top = max(4.0, 1.15 * medians.max())
        axes[row, 0].set(xscale="log", xlim=(1, STEPS), ylim=(2 * math.log10(options["noise"]) - 0.3, top))
        bold = name.replace(" ", "\\ ")
        axes[row, 0].set_ylabel(f"$\\mathbf{{{bold}}}$\n$\\|h_t\\|^2/n$")
    for ax, name in zip(axes[0], SIGNALS, strict=True):
        ax.set_title(name)
    for ax in axes[1]:
        ax.set_xlabel("$t$")
    lines = [
        Line2D([], [], color=colour["signal"], label="signal part"),
        Line2D([], [], color=colour["noise"], label=f"noise part (sd {options['noise']:g})"),
        Line2D([], [], color=colour["sum"], linestyle=(0, (3, 2)), label="their sum"),
        Line2D([], [], color="#D55E00", linestyle=(0, (1, 1)), linewidth=1.6, label="exact mean of the noise part"),
        Line2D([], [], color="0.6", linewidth=0.6, linestyle=(0, (4, 2)), label="$t=\\sqrt{n}$"),
    ]
    title = f"$n={n}$, {options['field']}: lines are medians, bands 5% to 95%, cut at the frame"
    fig.legend(handles=lines, loc="outside lower center", ncols=5, title=title, title_fontsize=7)
    return fig


experiment = Experiment("inputs", cells, samples, {"field": ("real", "complex"), "noise": 0.1}, present)
