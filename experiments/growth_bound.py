"""How fast do hidden states of a Glorot recurrence grow? The paper's lower bound beside the exact mean and medians.

    rmt run experiments/growth_bound.py --out results/growth [--quick]

Claim. E||h_t||^2 grows at least like (1/t) exp(t^2/2n) times n (the paper's Eq. 20, as a review quotes it and asks
for its constants; the rebuttal corrects a denominator). The derivation, with t = alpha sqrt(n), complex W:

1. E||h_t||^2 = sum_{k<t} E||W^k||_F^2, and E||W^k||_F^2 / n -> 2 sinh(x^2/2)/x^2 at k = x sqrt(n).
2. The Riemann sum over x_k = k / sqrt(n): E||h_t||^2 -> n^(3/2) I(alpha), I(alpha) = int_0^alpha 2 sinh(x^2/2)/x^2 dx.
3. With y = x^2/2, I(alpha) = int_0^{alpha^2/2} (e^y - e^-y) (2y)^(-3/2) dy >= 2 (cosh(alpha^2/2) - 1) / alpha^3, as
   (2y)^(-3/2) is smallest at the upper end. (Without e^-y the integral is singular at 0, and needs a cut.)
4. So E||h_t||^2 is about n^(3/2) alpha^-3 e^(alpha^2/2) = (n^3/t^3) e^(t^2/2n): the denominator is t^3, with n^3 above.

At finite n, E||h_t||^2 >= (n/t) prod_{j<t} (1 + j/n) is rigorous for complex W (all terms but k = t - 1 left out).

Found. As quoted the bound holds for complex W from t = 2 (at t = 1 it is too large by e^(1/2n)) to about 2.4 to 3.2
n^(2/3), that is t = 38, 277 and 5182 at n = 64, 1024 and 65,536; beyond, e^(t^2/2n) outruns the product that it
stands for. For real W, whose mean grows faster, it holds from t = 2 to every t that was tried. It is weak, at
t = 2 sqrt(n) by 40 (n = 64) and 636 (n = 1024): a factor of order n is lost. With the denominator that the derivation
gives, (n^3/t^3) e^(t^2/2n), it is sharp, but no bound everywhere: above the mean before t = 1.2 sqrt(n), below it then,
by 2.6 at most, and for complex W above it again from t = 29, 138 and 1504 on, near 1.8 n^(3/5). The joint limit
n^(3/2) I(alpha) is within a factor of 2 up to t = 34, 185 and 2705 (complex), 23, 98 and 894 (real). All that is said
of means: a typical recurrence, the median, obeys even the bound as quoted only up to 3.7 sqrt(n) at n = 64 and
4.9 sqrt(n) at n = 1024, and then falls short of it by any factor.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy import special, stats

import rmt
from rmt import plotting, tables
from rmt.campaign import Cell, Experiment

FIELDS = ("complex", "real")
SIZES = (64, 256, 1024, 4096, 65_536)  # of the exact curves, to HORIZON n^(2/3) steps
HORIZON = 4
SHOWN = 256  # panels (a) and (b)
COUNTS = {64: 2000, 256: 2000, 1024: 500}  # sampled, to REACH sqrt(n) steps
QUICK_COUNTS = {64: 200, 256: 100, 1024: 16}
REACH = 8


def states(n, field):
    return Cell("hidden_norms", rmt.glorot(n, field), {"steps": REACH * math.isqrt(n), "log": True})


def cells(options):
    return [states(n, field) for n in reversed(COUNTS) for field in FIELDS]


def samples(cell, quick):
    return (QUICK_COUNTS if quick else COUNTS)[cell.ensemble.n]


# All bounds and approximations of log E||h_t||^2 / n


def quoted(t, n):
    """Return log of (1/t) e^(t^2/2n), the bound as quoted."""
    return t**2 / (2 * n) - np.log(t)


def rigorous(t, n):
    """Return log of (1/t) prod_{j<t} (1 + j/n); the steps t must be 1, 2, 3, ..."""
    return np.cumsum(np.log1p((t - 1) / n)) - np.log(t)


def sharp(t, n):
    """Return log of (n^2/t^3) e^(t^2/2n), what the derivation gives."""
    return t**2 / (2 * n) + 2 * math.log(n) - 3 * np.log(t)


def joint_limit(t, n):
    """Return log of sqrt(n) I(t / sqrt(n)), the value of the Riemann sum in the limit."""
    a = t / math.sqrt(n)
    x = a / math.sqrt(2)
    with np.errstate(over="ignore"):
        value = math.sqrt(math.pi / 2) * (special.erfi(x) + special.erf(x)) - 2 * np.sinh(x**2) / a
    return np.log(math.sqrt(n) * value)


# Colours and greys that stand for no size in the other panels.
BOUNDS = {
    "quoted": (quoted, "#D55E00", "--", "$(n/t)\\,e^{t^2/2n}$, as quoted"),
    "rigorous": (rigorous, "0.3", (0, (8, 2)), "$(n/t)\\,\\prod_{j<t}(1+j/n)$, rigorous for complex"),
    "sharp": (sharp, "#56B4E9", "-.", "$(n^3/t^3)\\,e^{t^2/2n}$, as derived"),
    "limit": (joint_limit, "#000000", ":", "$n^{3/2}\\,I(t/\\sqrt{n})$, joint limit"),
}


def present(data, out, options):
    table = pd.DataFrame([row(n, field, data) for field in FIELDS for n in SIZES])
    tables.write_tables(table, out / "growth_bound", shown=readable(table))
    with plotting.paper_style():
        fig = draw(data)
    plotting.save_figure(fig, out / "growth_bound")
    return readable(table).reset_index().drop(columns=["derived within factor 2", "mean over exact at t = sqrt(n)"])


# The table


def exact(n, field, steps=None):
    """Return the steps 1, 2, ... and log E||h_t||^2 / n."""
    t = np.arange(1, 1 + (steps or round(HORIZON * n ** (2 / 3))))
    return t, rmt.log_mean_hidden_norm(t, n, field)


def stretch(t, holds):
    """Return first and last step of the longest stretch of steps at which something holds; NaN where it never does."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], holds.astype(int), [0]])))
    if not len(edges):
        return math.nan, math.nan
    starts, ends = edges[::2], edges[1::2]
    longest = np.argmax(ends - starts)
    return float(t[starts[longest]]), float(t[ends[longest] - 1])


def row(n, field, data):
    """Return between which steps each bound, and each approximation, holds for the exact mean and for the median."""
    t, log_mean = exact(n, field)
    found = {"field": field, "n": n, "steps": len(t)}
    slack = 1e-9  # of rounding: at t = 1 the rigorous bound is an equality
    for name in ("quoted", "rigorous", "sharp"):
        found[f"{name}_from"], found[f"{name}_to"] = stretch(t, log_mean >= BOUNDS[name][0](t, n) - slack)
    for name in ("sharp", "limit"):
        close = np.abs(log_mean - BOUNDS[name][0](t, n)) < math.log(2)
        found[f"{name}_factor_2_from"], found[f"{name}_factor_2_to"] = stretch(t, close)
    found["quoted_at_1"] = math.exp(quoted(1.0, n) - log_mean[0])
    found["quoted_loss_at_2_root"] = math.exp(log_mean[2 * math.isqrt(n) - 1] - quoted(2 * math.sqrt(n), n))
    found |= {"median_quoted_from": math.nan, "median_quoted_to": math.nan, "samples": 0}
    found |= {"mean_over_exact": math.nan, "mean_over_exact_se": math.nan}
    if n in COUNTS:
        logs = data[states(n, field)]
        t, log_mean = exact(n, field, logs.shape[1])
        ratio = np.exp(logs[:, math.isqrt(n) - 1] - log_mean[math.isqrt(n) - 1])
        found["samples"] = len(logs)
        holds = np.median(logs, axis=0) >= quoted(t, n)
        found["median_quoted_from"], found["median_quoted_to"] = stretch(t, holds)
        found["mean_over_exact"], found["mean_over_exact_se"] = ratio.mean(), stats.sem(ratio)
    return found


def readable(table):
    def steps(low, high, last):
        return "never" if math.isnan(low) else f"{low:.0f} to {high:.0f}" + (" (end)" if high == last else "")

    def line(r):
        reach = REACH * math.isqrt(r.n)
        return {
            "field": r.field,
            "n": r.n,
            "quoted holds": steps(r.quoted_from, r.quoted_to, r.steps),
            "rigorous holds": steps(r.rigorous_from, r.rigorous_to, r.steps),
            "derived holds": steps(r.sharp_from, r.sharp_to, r.steps),
            "derived within factor 2": steps(r.sharp_factor_2_from, r.sharp_factor_2_to, r.steps),
            "limit within factor 2": steps(r.limit_factor_2_from, r.limit_factor_2_to, r.steps),
            "median above quoted": steps(r.median_quoted_from, r.median_quoted_to, reach) if r.samples else "",
            "mean over exact at t = sqrt(n)": tables.format_with_error(r.mean_over_exact, r.mean_over_exact_se),
        }

    return pd.DataFrame([line(r) for r in table.itertuples()]).set_index("field")


# The figure


def draw(data):
    """Return the figure: curves at one n, and where each bound holds at all n."""
    fig = Figure(figsize=(7.0, 7.2))
    panels = fig.subplots(3, 2).ravel()
    colour = plotting.colours(SIZES)
    for ax, field in zip(panels[:2], FIELDS, strict=True):
        curves(ax, data, field)
    quoted_ratio(panels[2], colour)
    sharp_ratio(panels[3], colour)
    steps_of_the_derivation(panels[4], colour)
    medians(panels[5], data, colour)
    titles = (
        f"(a) complex, $n={SHOWN}$",
        f"(b) real, $n={SHOWN}$",
        "(c) exact mean over the bound as quoted",
        "(d) exact mean over the bound as derived",
        "(e) the derivation, step by step",
        "(f) median over the bound as quoted",
    )
    for ax, title in zip(panels, titles, strict=True):
        ax.set_title(title)
    handles = [Line2D([], [], color=colour[n], linewidth=2, label=f"$n={n}$") for n in SIZES]
    handles += [
        Line2D([], [], linestyle="none", label=" "),
        Line2D([], [], color="0.3", linestyle="-", label="complex in (c), (d), (f)"),
        Line2D([], [], color="0.3", linestyle="--", label="real in (c), (d), (f)"),
    ]
    title = "(c)\N{EN DASH}(f); all curves of (e) are for complex $W$, its line styles are its own"
    fig.legend(handles=handles, loc="outside lower center", ncols=4, title=title)
    return fig


def curves(ax, data, field):
    """Panels (a) and (b): everything against t, in powers of ten."""
    logs = data[states(SHOWN, field)]
    t, log_mean = exact(SHOWN, field, logs.shape[1])
    low, median, high = np.quantile(logs, [0.05, 0.5, 0.95], axis=0) / math.log(10)
    ax.fill_between(t, low, high, color="0.85", linewidth=0)
    ax.plot(t, median, color="0.6", linewidth=2.5)
    ax.plot(t, log_mean / math.log(10), color="#000000")
    for bound, color, style, _ in BOUNDS.values():
        ax.plot(t, bound(t, SHOWN) / math.log(10), color=color, linestyle=style)
    plotting.power_axis(ax)
    ax.set(xlabel="$t$", ylabel="$\\|h_t\\|^2/n$", xlim=(0, t[-1]), ylim=(-2, 16))
    handles = [Line2D([], [], color="#000000", label="exact mean")]
    handles += [Line2D([], [], color=color, linestyle=style, label=label) for _, color, style, label in BOUNDS.values()]
    handles += [
        Line2D([], [], color="0.6", linewidth=2.5, label="median"),
        Patch(color="0.85", label="5% to 95%"),
    ]
    shown = handles[:5] if field == "complex" else handles[5:]
    ax.legend(handles=shown, loc="upper left")


def quoted_ratio(ax, colour):
    for n in SIZES:
        for field, style in zip(FIELDS, ("-", "--"), strict=True):
            t, log_mean = exact(n, field)
            ax.plot(t / n ** (2 / 3), (log_mean - quoted(t, n)) / math.log(10), color=colour[n], linestyle=style)
    plotting.power_axis(ax)
    ax.axhline(0, color="0.45", linewidth=0.7)
    ax.set(xlabel="$t/n^{2/3}$", ylabel="$E\\|h_t\\|^2$ / bound", xlim=(0, HORIZON), ylim=(-6, 9))


def sharp_ratio(ax, colour):
    for n in SIZES:
        for field, style in zip(FIELDS, ("-", "--"), strict=True):
            t, log_mean = exact(n, field)
            ax.plot(t / math.sqrt(n), np.exp(log_mean - sharp(t, n)), color=colour[n], linestyle=style)
    a = np.linspace(0.5, 8, 300)
    limit = np.exp(joint_limit(a * 1e3, 1e6) - sharp(a * 1e3, 1e6))
    ax.plot(a, limit, color="0.45", linewidth=2, alpha=0.6, zorder=0.5)
    ax.annotate("$n\\to\\infty$", (6.6, np.interp(6.6, a, limit)), (0, 5), textcoords="offset points", color="0.3")
    ax.axhline(1, color="0.45", linewidth=0.7)
    ax.set(xlabel="$t/\\sqrt{n}$", ylabel="$E\\|h_t\\|^2$ / bound", xlim=(0, 8), ylim=(0, 3))


def steps_of_the_derivation(ax, colour):
    """Panel (e): what each step of the derivation keeps of the value before it."""
    alpha = np.linspace(0.1, 6, 300)
    log_integral = joint_limit(alpha, 1.0)
    substitution = np.log(2 * (np.cosh(alpha**2 / 2) - 1)) - 3 * np.log(alpha)
    last = alpha**2 / 2 - 3 * np.log(alpha)
    for n in SIZES[::2]:
        t, log_mean = exact(n, "complex", 6 * math.isqrt(n))
        ax.plot(t / math.sqrt(n), np.exp(log_mean - joint_limit(t, n)), color=colour[n])
    ax.plot(alpha, np.exp(substitution - log_integral), color="0.45", linestyle="--")
    ax.plot(alpha, np.exp(last - log_integral), color="#56B4E9", linestyle="-.")
    handles = [
        Line2D([], [], color="0.3", label="exact / $n^{3/2}I(\\alpha)$: sum to integral"),
        Line2D([], [], color="0.45", linestyle="--", label="$2(\\cosh(\\alpha^2/2)-1)/\\alpha^3$ / $I(\\alpha)$"),
        Line2D([], [], color="#56B4E9", linestyle="-.", label="$\\alpha^{-3}e^{\\alpha^2/2}$ / $I(\\alpha)$"),
    ]
    ax.legend(handles=handles, loc="upper center")
    ax.axhline(1, color="0.45", linewidth=0.7, zorder=0.5)
    ax.set(xlabel="$\\alpha=t/\\sqrt{n}$", ylabel="ratio", xlim=(0, 6), ylim=(0, 2.2))


def medians(ax, data, colour):
    for n in COUNTS:
        for field, style in zip(FIELDS, ("-", "--"), strict=True):
            logs = data[states(n, field)]
            t = np.arange(1, logs.shape[1] + 1)
            ratio = (np.median(logs, axis=0) - quoted(t, n)) / math.log(10)
            ax.plot(t / math.sqrt(n), ratio, color=colour[n], linestyle=style)
    plotting.power_axis(ax)
    ax.axhline(0, color="0.45", linewidth=0.7)
    ax.set(xlabel="$t/\\sqrt{n}$", ylabel="median / bound", xlim=(0, REACH), ylim=(-10, 5))


experiment = Experiment(name="growth_bound", cells=cells, samples=samples, options={}, present=present)
