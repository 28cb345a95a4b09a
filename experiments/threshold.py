"""How long is too long? The step at which hidden states of a Glorot recurrence leave the line of stable growth.

    rmt run experiments/threshold.py --out results/threshold [--field complex] [--quick]

h_t = W h_{t-1} + x_t, h_0 = 0, inputs of unit variance; stable growth is ||h_t||^2 = n t. The threshold t* is the
step from which half of all matrices have ||h_t||^2 > 2 n t.

Claim. Sequences of length sqrt(n) suffice for instability: the state is stable for n -> infinity at fixed t, and not
if t = a sqrt(n) (the paper's main result, and its rebuttals). In that joint limit E||W^k||_F^2 / n -> 2 sinh(a^2/2)/a^2
and E||h_t||^2 / n^(3/2) -> I(a) = sqrt(pi/2) (erfi + erf)(a/sqrt 2) - 2 sinh(a^2/2)/a, and I(a) = 2a at a* = 2.9089.
For t far below sqrt(n), says a rebuttal, neither Glorot nor Rescaled Glorot explodes or vanishes: rescaling is free.

Found. True, and slow. At fixed t the median of ||h_t||^2/(n t) is 1 to within a few percent; against t/sqrt(n) the
curves approach I(a)/a. The median passes 2 at t*/sqrt(n) = 5.3, 4.2, 3.8, 3.5, 3.3, 3.2 for n = 64, 256, ...,
65,536: from above to a*. The exact mean passes it at 2.54, 2.59, 2.65, 2.72, 2.79, 2.83: from below, as rare matrices
carry it (complex: 2.99 to 2.91, from above). The slope of log t* is not yet 1/2: 0.33 [0.29, 0.37] from n = 64 to
256, 0.47 [0.45, 0.49] from 16,384 to 65,536 (mean: 0.51 to 0.52), so that one line through all sizes would give too
small a power.

Short sequences: nothing
explodes or vanishes, but Glorot and Rescaled differ from the third step on, in that a Glorot state is the larger one of
two with probability 0.75 at t = 3.1, 2.8, 2.6 (n = 64, 256, 1024), and Rescaled states are smaller by 10% from t = 2.1,
2.9, 4.3. At t = sqrt(n), where Glorot is still stable, they have 0.54, 0.47, 0.43 of its norm, and an input sqrt(n)
steps ago weighs 0.21, 0.16, 0.13 instead of 1.09, 1.07, 1.06: what rescaling costs has the scale sqrt(n) as well.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy import optimize, special, stats

import rmt
from rmt import plotting, tables
from rmt.campaign import Cell, Experiment

# n: steps of Glorot (until well past t*), samples, samples of a quick run.
SIZES = {
    64: (120, 4000, 200),
    256: (88, 4000, 200),
    1024: (144, 2000, 100),
    4096: (272, 2000, 60),
    16_384: (512, 1000, 24),
    65_536: (928, 240, 8),
}
POWERS = (64, 1024, 16_384)  # sizes of panel (c)
RESCALED = (64, 256, 1024)  # sizes at which Rescaled Glorot is drawn too, to 2 sqrt(n) steps
FACTOR = 2.0  # the threshold is passed where ||h_t||^2 > FACTOR n t
REPLICAS = 999
LEVEL = 0.95
TOLD_APART = 0.75  # probability that a Glorot state is the larger one of two


def joint_limit(a):
    """Return I(a), the limit of E||h_t||^2 / n^(3/2) at t = a sqrt(n)."""
    x = np.asarray(a) / math.sqrt(2)
    return math.sqrt(math.pi / 2) * (special.erfi(x) + special.erf(x)) - 2 * np.sinh(x**2) / a


def power_limit(a):
    """Return 2 sinh(a^2/2)/a^2, the limit of E||W^k||_F^2 / n at k = a sqrt(n)."""
    return 2 * np.sinh(np.asarray(a) ** 2 / 2) / np.asarray(a) ** 2


ROOT = optimize.brentq(lambda a: joint_limit(a) - FACTOR * a, 1, 10)


def glorot_states(n, options):
    return Cell("hidden_norms", rmt.glorot(n, options["field"]), {"steps": SIZES[n][0], "log": True})


def glorot_powers(n, options):
    return Cell("power_norms", rmt.glorot(n, options["field"]), {"steps": SIZES[n][0], "log": True})


def rescaled_states(n, options):
    ensemble = rmt.rescaled_glorot(n, options["field"])
    return Cell("hidden_norms", ensemble, {"steps": 2 * math.isqrt(n), "log": True})


def cells(options):
    return [
        *(glorot_states(n, options) for n in reversed(SIZES)),
        *(glorot_powers(n, options) for n in POWERS),
        *(rescaled_states(n, options) for n in RESCALED),
    ]


def samples(cell, quick):
    count = SIZES[cell.ensemble.n][2 if quick else 1]
    return count if cell.statistic == "hidden_norms" else count // 2


def present(data, out, options):
    replicas = {n: threshold_replicas(data[glorot_states(n, options)], n) for n in SIZES}
    table = pd.DataFrame([row(n, data, replicas, options) for n in SIZES])
    short = pd.DataFrame([short_row(n, data, options) for n in RESCALED])
    tables.write_tables(table, out / "threshold", shown=readable(table))
    tables.write_tables(short, out / "threshold_rescaled")
    with plotting.paper_style():
        fig = draw(data, table, options)
    plotting.save_figure(fig, out / "threshold")
    return summary(table)


# The threshold


def first_passage(t, height, level):
    """Return the t, between two steps, at which each row of `height` first reaches `level`; inf if it never does."""
    height = np.atleast_2d(height)
    reached = height >= level
    i = np.argmax(reached, axis=1)
    row = np.arange(len(height))
    before, after = height[row, np.maximum(i - 1, 0)], height[row, i]
    part = np.where(i > 0, (level - before) / np.where(after > before, after - before, 1), 1)
    return np.where(reached.any(axis=1), t[i] - 1 + part, np.inf)


def threshold_replicas(logs, n):
    """Return t* and REPLICAS bootstrap replicates of it, by resampling matrices.

    The median passes FACTOR n t where half of the matrices have, so a replicate needs their shares only.
    """
    t = np.arange(1, logs.shape[1] + 1)
    passed = (logs > np.log(FACTOR * t)).astype(np.float32)
    size = len(passed)
    weights = np.random.default_rng(n).multinomial(size, np.full(size, 1 / size), REPLICAS).astype(np.float32)
    shares = np.vstack([np.full(size, 1, np.float32), weights]) @ passed / size
    found = first_passage(t, shares, 0.5)
    return found[0], found[1:]


def interval(replicates):
    """Return the ends of the interval of probability LEVEL, infinite where a replicate never arrived."""
    return np.quantile(replicates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="closest_observation")


def row(n, data, replicas, options):
    """Return t* at one n, by median and by the exact mean, and its slope from the size before."""
    root = math.sqrt(n)
    logs = data[glorot_states(n, options)]
    t = np.arange(1, logs.shape[1] + 1)
    found, replicates = replicas[n]
    low, high = interval(replicates)
    log_mean = rmt.log_mean_hidden_norm(t, n, options["field"])
    slope = slope_low = slope_high = math.nan
    if n // 4 in replicas:
        before, replicates_before = replicas[n // 4]
        slope = math.log(found / before) / math.log(4)
        with np.errstate(divide="ignore", invalid="ignore"):
            slope_low, slope_high = interval(np.log(replicates / replicates_before) / math.log(4))
    at_root = np.exp(logs[:, math.isqrt(n) - 1] - log_mean[math.isqrt(n) - 1])
    return {
        "field": options["field"],
        "n": n,
        "samples": len(logs),
        "t_median": found,
        "t_median_low": low,
        "t_median_high": high,
        "a_median": found / root,
        "a_median_low": low / root,
        "a_median_high": high / root,
        "a_exact_mean": first_passage(t, log_mean - np.log(t), math.log(FACTOR))[0] / root,
        "a_limit": ROOT,
        "slope": slope,
        "slope_low": slope_low,
        "slope_high": slope_high,
        "mean_over_exact_at_sqrt_n": at_root.mean(),
        "mean_over_exact_se": stats.sem(at_root),
    }


def separation(glorot, rescaled):
    """Return P(a Glorot state is larger than a Rescaled one) at each step, and its standard error."""
    result = stats.mannwhitneyu(glorot, rescaled, axis=0, method="asymptotic")
    first, second = len(glorot), len(rescaled)
    p = result.statistic / (first * second)
    # Hanley & McNeil (1982), with both samples of one size.
    spread = p * (1 - p) + (min(first, second) - 1) * (p / (2 - p) + 2 * p**2 / (1 + p) - 2 * p**2)
    return p, np.sqrt(spread / (first * second))


def short_row(n, data, options):
    """Return from which step Glorot and Rescaled differ, and what rescaling costs at t = sqrt(n)."""
    cell = rescaled_states(n, options)
    field, gain, root = options["field"], cell.ensemble.scale, math.isqrt(n)
    rescaled = data[cell]
    t = np.arange(1, rescaled.shape[1] + 1)
    p, error = separation(data[glorot_states(n, options)][:, : len(t)], rescaled)
    ratio = rmt.log_mean_hidden_norm(t, n, field, gain) - rmt.log_mean_hidden_norm(t, n, field)
    lag = rmt.log_mean_power_norm(root, n, field, gain)
    return {
        "field": field,
        "n": n,
        "gain": gain,
        "samples": len(rescaled),
        "t_told_apart": first_passage(t, p, TOLD_APART)[0],
        "t_told_apart_low": first_passage(t, p + 2 * error, TOLD_APART)[0],
        "t_told_apart_high": first_passage(t, p - 2 * error, TOLD_APART)[0],
        "t_10_percent_less": first_passage(t, -ratio, -math.log(0.9))[0],
        "mean_ratio_at_sqrt_n": math.exp(ratio[root - 1]),
        "weight_of_lag_sqrt_n": math.exp(lag),
        "weight_of_lag_sqrt_n_glorot": rmt.mean_power_norm(root, n, field),
    }


LAST = "mean over exact at t = sqrt(n)"


def readable(table):
    number = tables.format_number

    def line(r):
        known = not math.isnan(r.slope)
        return {
            "n": r.n,
            "samples": r.samples,
            "t* of the median [95%]": f"{r.t_median:.1f} [{r.t_median_low:.1f}, {r.t_median_high:.1f}]",
            "t*/sqrt(n) [95%]": f"{r.a_median:.3f} [{r.a_median_low:.3f}, {r.a_median_high:.3f}]",
            "t*/sqrt(n) of the exact mean": number(r.a_exact_mean),
            "slope of log t* [95%]": f"{r.slope:.3f} [{r.slope_low:.3f}, {r.slope_high:.3f}]" if known else "",
            "mean over exact at t = sqrt(n)": tables.format_with_error(
                r.mean_over_exact_at_sqrt_n, r.mean_over_exact_se
            ),
        }

    return pd.DataFrame([line(r) for r in table.itertuples()]).set_index("n")


def summary(table):
    shown = readable(table).reset_index()
    return shown.drop(columns=["samples", LAST])


# The figure


def draw(data, table, options):
    """Return the figure: growth at fixed t and at fixed t/sqrt(n), the threshold, and the price of rescaling."""
    colour = plotting.colours(SIZES)
    fig = Figure(figsize=(7.0, 7.0))
    grid = fig.add_gridspec(3, 6)
    top = [fig.add_subplot(grid[0, 2 * i : 2 * i + 2]) for i in range(3)]
    middle, bottom = ([fig.add_subplot(grid[i, 3 * j : 3 * j + 3]) for j in range(2)] for i in (1, 2))
    growth(top, data, colour, options)
    thresholds(*middle, table)
    rescaling(*bottom, data, colour, options)
    titles = (
        "(a) states at fixed $t$",
        "(b) states at $t=a\\sqrt{n}$",
        "(c) powers at $k=a\\sqrt{n}$",
        f"(d) threshold: $\\|h_t\\|^2>{FACTOR:g}\\,nt$",
        "(e) local slope of $\\log t^*$ against $\\log n$",
        "(f) Rescaled over Glorot",
        "(g) Rescaled against Glorot, one state of each",
    )
    for ax, title in zip(top + middle + bottom, titles, strict=True):
        ax.set_title(title)
    handles = [Line2D([], [], color=colour[n], linewidth=2, label=f"$n={n}$") for n in SIZES]
    handles.append(Line2D([], [], color="0.45", linestyle="--", label="exact limit, $n\\to\\infty$"))
    handles.append(Patch(color="0.85", label="25% to 75%, largest $n$"))
    title = f"{options['field']} matrices; (a)\N{EN DASH}(c): medians"
    fig.legend(handles=handles, loc="outside lower center", ncols=4, title=title)
    return fig


def growth(axes, data, colour, options):
    """Panels (a) to (c): medians; the band is that of the largest n."""
    fixed, states, powers = axes
    for n in SIZES:
        logs = data[glorot_states(n, options)]
        t = np.arange(1, logs.shape[1] + 1)
        quantiles = np.exp(np.quantile(logs, [0.25, 0.5, 0.75], axis=0) - np.log(t))
        fixed.plot(t, quantiles[1], color=colour[n])
        with_band(states, t / math.sqrt(n), quantiles, colour[n], n == max(SIZES))
    for n in POWERS:
        logs = data[glorot_powers(n, options)]
        k = np.arange(logs.shape[1])
        quantiles = np.exp(np.quantile(logs, [0.25, 0.5, 0.75], axis=0))
        with_band(powers, k / math.sqrt(n), quantiles, colour[n], n == max(POWERS))
    a = np.linspace(0.05, 4, 200)
    states.plot(a, joint_limit(a) / a, color="0.45", linestyle="--")
    powers.plot(a, power_limit(a), color="0.45", linestyle="--")
    fixed.axhline(1, color="0.45", linestyle="--")
    fixed.set(xscale="log", xlabel="$t$", xlim=(1, 1000), ylabel="$\\|h_t\\|^2/(nt)$", yscale="log", ylim=(0.5, 10))
    states.set(xlabel="$a=t/\\sqrt{n}$", xlim=(0, 4), ylabel="$\\|h_t\\|^2/(nt)$", yscale="log", ylim=(0.5, 10))
    powers.set(xlabel="$a=k/\\sqrt{n}$", xlim=(0, 4), ylabel="$\\|W^k v\\|^2$", yscale="log", ylim=(0.5, 50))
    for ax in (fixed, states):
        ax.axhline(FACTOR, color="0.45", linewidth=0.5, linestyle=":")
        ax.set_yticks([0.5, 1, 2, 5, 10], ["0.5", "1", "2", "5", "10"])
        ax.yaxis.minorticks_off()


def with_band(ax, a, quantiles, color, band):
    ax.plot(a, quantiles[1], color=color)
    if band:
        ax.fill_between(a, quantiles[0], quantiles[2], color="0.85", linewidth=0, zorder=0)


def thresholds(left, right, table):
    """Panels (d) and (e), in black and grey: colours are sizes in the others."""
    error = [table.a_median - table.a_median_low, table.a_median_high - table.a_median]
    median = {"color": "#000000", "marker": "o", "linestyle": "none", "label": "median; 95%"}
    exact = {"color": "0.45", "marker": "s", "markerfacecolor": "white", "linestyle": "none", "label": "exact mean"}
    left.errorbar(table.n, table.a_median, error, **median)
    left.plot(table.n, table.a_exact_mean, **exact)
    left.axhline(ROOT, color="0.45", linestyle="--", label=f"$a^*={ROOT:.4f}$, where $I(a)={FACTOR:g}a$")
    left.set(xscale="log", xlabel="$n$", ylabel="$t^*/\\sqrt{n}$", ylim=(2.3, 5.7))
    left.legend()
    known = table[~table.slope.isna()]
    error = [known.slope - known.slope_low, known.slope_high - known.slope]
    right.errorbar(known.n / 2, known.slope, error, **median)
    mean = np.log(table.a_exact_mean).diff().dropna() / math.log(4) + 0.5
    right.plot(known.n / 2, mean, **exact)
    right.axhline(0.5, color="0.45", linestyle="--", label="$t^*\\propto\\sqrt{n}$")
    right.set(xscale="log", xlabel="$n$ (middle of two sizes)", ylabel="slope", ylim=(0.2, 0.6))
    right.legend(loc="lower right")


def rescaling(left, right, data, colour, options):
    """Panels (f) and (g): the ratio of medians and of exact means, and how well one state tells the ensemble."""
    for n in RESCALED:
        cell = rescaled_states(n, options)
        rescaled = data[cell]
        t = np.arange(1, rescaled.shape[1] + 1)
        glorot = data[glorot_states(n, options)][:, : len(t)]
        a, field, gain = t / math.sqrt(n), options["field"], cell.ensemble.scale
        ratio = np.exp(np.median(rescaled, axis=0) - np.median(glorot, axis=0))
        lag = rmt.mean_power_norm(t, n, field, gain) / rmt.mean_power_norm(t, n, field)
        left.plot(a, ratio, color=colour[n])
        left.plot(a, lag, color=colour[n], linestyle=":")
        p, error = separation(glorot, rescaled)
        right.errorbar(t, p, 2 * error, color=colour[n], marker="o", markersize=2, linewidth=0.7)
    styles = (("-", "states: medians of $\\|h_t\\|^2$"), (":", "memory of an input $t$ steps ago: $g^{2t}$"))
    left.legend(handles=[Line2D([], [], color="0.3", linestyle=style, label=label) for style, label in styles])
    left.set(xlabel="$t/\\sqrt{n}$", ylabel="ratio", xlim=(0, 2), ylim=(0, 1.05))
    right.axhline(TOLD_APART, color="0.45", linewidth=0.7, linestyle=":")
    right.set(
        xscale="log", xlabel="$t$", ylabel="$P(\\mathrm{Glorot\\ is\\ larger})$", ylim=(0.4, 1.02), xlim=(0.9, 70)
    )
    right.set_xticks([1, 2, 4, 8, 16, 32, 64], ["1", "2", "4", "8", "16", "32", "64"])
    right.xaxis.minorticks_off()


experiment = Experiment(
    name="threshold",
    cells=cells,
    samples=samples,
    options={"field": ("real", "complex")},
    present=present,
)
