"""Layer norm inside the state, h_t = LN(a_t) with a_t = W h_{t-1} + x_t: no explosion, and what it costs.

    rmt run experiments/layer_norm.py --out results/layer_norm [--no-timing] [--quick]

Claim (a review, and the rebuttal): layer norm prevents divergence too. It costs time and some accuracy (rebuttal, IMDB:
dense Glorot with LN 86.8% in 12:51 min, rescaled without 87.6% in 9:08 min; diagonal Glorot with LN 80.6%), and takes
away the linearity from which parallel scans live.

Found (n = 64, 256; t = 200; inputs of variance 1):

- It does prevent explosion: ||a_t||^2 / n stays at 1 + s^2 for dense matrices of scale s (Glorot: 1.97 against 2 in the
  limit), at s^2 / (1 - e^{-s^2}) for diagonal ones (1.59 against e/(e-1) = 1.58), whatever the radius.
- The price is the gradient. LN divides by sqrt(1 + s^2) at each step, so ||d h_t / d h_0 . v|| falls at the rate
  E log(rho) - log(1 + s^2) / 2: -0.315 at n = 256, that is by one half every 2.2 steps (diagonal Glorot: 3.6), where
  Rescaled Glorot without layer norm halves it in 34 steps. Explosion is traded for forgetting: what comes in makes
  LN shrink what was there, by log(1 + 1/s^2) / 2 a step. Only smaller inputs or a larger W would lengthen the memory.
- It must be done step by step, and a step costs more: relative to the rest most where W is diagonal. With layer norm it
  took 1.3 to 1.4 times as long for dense W at n = 256 and 2.7 to 3.1 times for diagonal W, 2.2 to 2.9 and 3.3 to 4.2
  times at n = 64 (four calls; NumPy, a batch of 32, one core of a busy AMD EPYC server; the table ``layer_norm_times``
  has the ratios of each call). The rebuttal's trainings took 1.41 times as long, dense, and 1.15, diagonal.
"""

from __future__ import annotations

import functools
import math
import time

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import stats

import rmt
from rmt import plotting, tables
from rmt.campaign import Cell, Experiment

SIZES = (64, 256)
STEPS = 200
EPS = 1e-5  # as in rmt.hidden_norms(layer_norm=True) and torch.nn.LayerNorm
COUNTS = {64: 600, 256: 200}
QUICK_COUNTS = {64: 30, 256: 6}

NAMES = ("Glorot", "Rescaled Glorot", "diagonal Glorot", "diagonal Rescaled")


def ensembles():
    rows = {}
    for n in SIZES:
        rows["Glorot", n] = rmt.glorot(n)
        rows["Rescaled Glorot", n] = rmt.rescaled_glorot(n)
        rows["diagonal Glorot", n] = rmt.Diagonal(n, "glorot")
        rows["diagonal Rescaled", n] = rmt.Diagonal(n, "rescaled_glorot")
    return rows


def gaussian(rng, shape, dtype):
    """Return entries N(0, 1), or CN(0, 1) where the type is complex."""
    if dtype.kind == "c":
        return math.sqrt(0.5) * (rng.standard_normal(shape) + 1j * rng.standard_normal(shape))
    return rng.standard_normal(shape)


def passage(ensemble, params, rng):
    """Return log(||a_t||^2 / n) and log ||d h_t / d h_0 . v||^2, with layer norm and without, for one W and its inputs.

    Shape (4, STEPS); v is a random unit vector, and without layer norm the derivative is W^t v.
    """
    n, dtype = ensemble.n, ensemble.dtype
    diagonal = isinstance(ensemble, rmt.Diagonal)
    W = ensemble.eigenvalues(rng) if diagonal else ensemble.matrix(rng)
    rows = np.zeros((4, n), dtype)  # state and direction, twice
    rows[1] = gaussian(rng, n, dtype)
    rows[1::2] = rows[1] / np.linalg.norm(rows[1])
    x = gaussian(rng, (STEPS, n), dtype)
    logs = np.empty((4, STEPS))
    shift = np.zeros(4)  # logarithms of what the rows were divided by, so that nothing overflows
    for t in range(STEPS):
        rows = rows * W if diagonal else rows @ W.T
        rows[::2] += np.multiply.outer(np.exp(-shift[::2]), x[t])
        norms = np.linalg.norm(rows, axis=1)
        logs[:, t] = 2 * (np.log(norms) + shift)
        rows[:2] = layer_norm(*rows[:2])
        norms[1] = np.linalg.norm(rows[1])
        logs[1, t] = 2 * (math.log(norms[1]) + shift[1])
        # Directions count by their own size alone; the state without layer norm is kept within range.
        norms[[0, 2]] = 1.0, max(1.0, norms[2])
        rows /= norms[:, None]
        shift += np.log(norms)
    logs[::2] -= math.log(n)
    return logs


def layer_norm(a, direction):
    """Return LN(a) and its derivative along `direction`."""
    centred, moved = a - a.mean(), direction - direction.mean()
    sd = math.sqrt(np.vdot(centred, centred).real / len(a) + EPS)
    h = centred / sd
    return h, (moved - h * (np.vdot(h, moved).real / len(a))) / sd


def cell(ensemble):
    return Cell(passage, ensemble)


def cells(options):
    return [cell(ensemble) for ensemble in ensembles().values()]


def samples(cell, quick):
    return (QUICK_COUNTS if quick else COUNTS)[cell.ensemble.n]


def present(data, out, options):
    table = pd.DataFrame([line(name, e, norm, data) for (name, _), e in ensembles().items() for norm in (True, False)])
    tables.write_tables(table, out / "layer_norm", shown=readable(table))
    if options["timing"]:
        tables.write_tables(timing(), out / "layer_norm_times")  # apart from what is the same in every call
    with plotting.paper_style():
        fig = draw(data)
    plotting.save_figure(fig, out / "layer_norm")
    return readable(table).reset_index()


# What is known without samples


def gain(ensemble):
    """Return the scale s of the Ginibre matrix behind an ensemble."""
    return ensemble.ginibre.scale if isinstance(ensemble, rmt.Diagonal) else ensemble.scale


def variance(ensemble):
    """Return what ||a_t||^2 / n under layer norm tends to as n, then t, grow.

    Dense: a_t is W h_{t-1} + x_t with ||h||^2 = n, hence s^2 + 1. Diagonal, its eigenvalues uniform on the disc of
    radius s: the component of lambda has variance v = (|lambda|^2 v + 1) / sigma^2, and the mean of all v is 1.
    """
    square = gain(ensemble) ** 2
    return -square / math.expm1(-square) if isinstance(ensemble, rmt.Diagonal) else 1 + square


def rate(ensemble, norm):
    """Return the expected rate, per step, of log ||d h_t / d h_0 . v||, up to 1/n.

    That is E log(rho), less the log of the standard deviation that LN divides by. The derivative of LN takes out the
    direction of h too, which costs another 1/n.
    """
    free = math.log(gain(ensemble)) + mean_log_radius(ensemble.n, ensemble.field)
    return free - (math.log(variance(ensemble)) / 2 if norm else 0.0)


@functools.cache
def mean_log_radius(n, field):
    """Return E log(rho) of a Glorot matrix, from the exact law of rho."""
    levels = (np.arange(4000) + 0.5) / 4000
    return float(np.log(rmt.SpectralRadiusLaw(n, field).ppf(levels)).mean())


def second_moment(ensemble):
    """Return E||W u||^2 of a unit vector u, exactly: s^2, for the diagonal the mean of |lambda|^2."""
    square = gain(ensemble) ** 2
    return square * (ensemble.n + 1) / (2 * ensemble.n) if isinstance(ensemble, rmt.Diagonal) else square


def first_gradient(ensemble, norm):
    """Return E||d h_1 / d h_0 . v||^2, exactly but for EPS: the derivative of LN at x_1 knows nothing of W."""
    dimension = (ensemble.n - 1) * (2 if ensemble.field == "complex" else 1)
    return second_moment(ensemble) * ((dimension - 1) / (dimension - 2) if norm else 1.0)


# The table


def line(name, ensemble, norm, data):
    states, gradients = (data[cell(ensemble)][:, row] for row in ((0, 1) if norm else (2, 3)))
    half = STEPS // 2
    rates = (gradients[:, -1] - gradients[:, half - 1]) / (2 * (STEPS - half))
    second, first = np.exp(states[:, 1]), np.exp(gradients[:, 0])
    low, median, high = np.exp(np.quantile(states[:, -1], [0.05, 0.5, 0.95]))
    return {
        "ensemble": name,
        "n": ensemble.n,
        "layer_norm": norm,
        "paths": len(states),
        "t": STEPS,
        "state_low": low,
        "state_median": median,
        "state_high": high,
        "state_limit": variance(ensemble) if norm else math.nan,
        "rate": rates.mean(),
        "rate_se": stats.sem(rates),
        "rate_expected": rate(ensemble, norm),
        "halving": math.log(2) / -rates.mean() if rates.mean() < 0 else math.inf,
        "second_mean": second.mean(),
        "second_exact": 1 + second_moment(ensemble),
        "second_z": z(second, 1 + second_moment(ensemble)),
        "first_gradient": first.mean(),
        "first_gradient_exact": first_gradient(ensemble, norm),
        "first_gradient_z": z(first, first_gradient(ensemble, norm)),
    }


def z(sample, expected):
    """Return the distance of the mean of a sample from what is expected, in standard errors."""
    return float((np.mean(sample) - expected) / stats.sem(sample))


def readable(table):
    def short(value):
        return f"{value:.0e}" if abs(value) >= 1e4 else tables.format_number(value, 3)

    lines = [
        {
            "ensemble": r.ensemble,
            "n": r.n,
            "layer norm": "yes" if r.layer_norm else "no",
            f"state at t = {r.t} [5%, 95%]": f"{short(r.state_median)} [{short(r.state_low)}, {short(r.state_high)}]",
            "limit": short(r.state_limit),
            "gradient, log per step": tables.format_with_error(r.rate, r.rate_se),
            "expected": tables.format_number(r.rate_expected, 3),
            "halves in": f"{r.halving:.1f} steps" if r.halving < 1e4 else "never",
        }
        for r in table.itertuples()
    ]
    return pd.DataFrame(lines).set_index("ensemble")


def timing(repeats=15, batch=32, steps=100):
    """Return what a step costs with and without layer norm: medians over repeats that take turns, on this machine.

    Sequential steps of a batch in NumPy, processor time of one core, so that other work beside it changes little. It
    is no part of the data: another call measures other numbers.
    """
    rng = np.random.default_rng(0)
    lines = []
    for n in SIZES:
        for kind, W in (("dense", rmt.glorot(n).draw(rng=0)), ("diagonal", np.diag(rmt.glorot(n).draw(rng=0)))):
            x = rng.standard_normal((batch, steps, n))
            seconds = {True: [], False: []}
            for norm in repeats * (True, False):
                with rmt.parallel.one_blas_thread():
                    begin = time.process_time()
                    advance(W, x, norm)
                    seconds[norm].append(time.process_time() - begin)
            with_norm, without = (1e6 * np.median(seconds[norm]) / steps for norm in (True, False))
            ratio = np.median(np.array(seconds[True]) / np.array(seconds[False]))
            lines.append({"matrix": kind, "n": n, "batch": batch, "us_with": with_norm, "us_without": without})
            lines[-1]["ratio"] = ratio
    return pd.DataFrame(lines)


def advance(W, x, norm):
    """Advance a batch of states (S, n) through inputs (S, T, n)."""
    h = np.zeros(x[:, 0].shape)
    for t in range(x.shape[1]):
        h = (h @ W.T if W.ndim == 2 else h * W) + x[:, t]
        if norm:
            h -= h.mean(axis=1, keepdims=True)
            h /= np.sqrt(np.square(h).mean(axis=1, keepdims=True) + EPS)
    return h


# The figure


def draw(data):
    """Return the figure: states above, gradients below; dense matrices on the left, diagonal ones on the right."""
    n = SIZES[-1]
    colour = plotting.colours(("Glorot", "Rescaled"))
    fig = Figure(figsize=(7.0, 4.4))
    axes = fig.subplots(2, 2, sharex=True, sharey="row")
    t = np.arange(1, STEPS + 1)
    for column, names in enumerate((NAMES[:2], NAMES[2:])):
        state, gradient = axes[:, column]
        for name, shade in zip(names, colour.values(), strict=True):
            ensemble = ensembles()[name, n]
            logs = data[cell(ensemble)]
            plotting.trajectories(state, t, logs[:, 0], color=shade)
            plotting.trajectories(gradient, t, logs[:, 1], color=shade)
            state.plot(t, np.median(logs[:, 2], axis=0) / math.log(10), color=shade, linestyle=(0, (4, 2)))
            gradient.plot(t, np.median(logs[:, 3], axis=0) / math.log(10), color=shade, linestyle=(0, (4, 2)))
            late = np.arange(STEPS // 2, STEPS + 1)  # the slope, from where the median is by then
            fall = np.median(logs[:, 1, STEPS // 2 - 1]) + 2 * rate(ensemble, True) * (late - STEPS // 2)
            gradient.plot(late, fall / math.log(10), color="#D55E00", linestyle=(0, (1, 1)), linewidth=1.3)
            state.axhline(math.log10(variance(ensemble)), color="#D55E00", linestyle=(0, (1, 1)), linewidth=1.3)
        gradient.set_xlabel("$t$")
    axes[0, 0].set_title(f"dense, $n={n}$")
    axes[0, 1].set_title(f"diagonal (complex Ginibre spectra), $n={n}$")
    axes[0, 0].set(xlim=(1, STEPS), ylim=(-0.3, 6), ylabel="state $\\|W h_{t-1} + x_t\\|^2/n$")
    axes[1, 0].set(ylim=(-62, 8), ylabel="gradient along a random $v$\n$\\|(\\partial h_t/\\partial h_0)\\, v\\|^2$")
    lines = [Line2D([], [], color=shade, linewidth=2, label=name) for name, shade in colour.items()]
    lines += [
        Line2D([], [], color="0.45", label="with layer norm (median, 5% to 95%)"),
        Line2D([], [], color="0.45", linestyle=(0, (4, 2)), label="without (median)"),
        Line2D([], [], color="#D55E00", linestyle=(0, (1, 1)), linewidth=1.3, label="with: expected level, slope"),
    ]
    fig.legend(handles=lines, loc="outside lower center", ncols=5)
    return fig


experiment = Experiment("layer_norm", cells, samples, {"timing": True}, present)
