"""By how much must a Glorot matrix be scaled? The gain of each rule, what it leaves of P(rho > 1) and of the radius.

    rmt run experiments/rescaling.py --out results/rescaling [--field complex] [--quick]

Claim. Dividing a Glorot matrix by mean plus standard deviation of the Gumbel limit of its radius takes P(rho > 1)
down (the paper's Rescaled Glorot; its rebuttals: "significantly reduces the probability that any eigenvalue exceeds
one"). The exact rule divides by mean plus standard deviation of the exact law; the rule alpha by its quantile.

Found. The paper's rule does not exist up to n = 163 and over-shrinks just above: at n = 164 its gain is 0.45, and
P(rho > 1) is 1e-85. It leaves 0.0024 at n = 256, 0.036 at 1024 and 0.054 at 4096, on the way to 0.075 for real
matrices (it ignores their shift by log 2) and to 0.144 for complex ones. The exact rule leaves 0.159 at n = 2 and
0.145 at n = 4096: the claim holds for it at every n, and for one layer. Of networks with 4 layers of n = 256, 47%
have an unstable one, with 16 layers 92%. The rule alpha, told the number of layers, holds the risk of the network at
0.05 for any depth; it costs little: at n = 256 the gain falls from 0.927 (1 layer) to 0.876 (64 layers).
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import stats

import rmt
from rmt import plotting, tables
from rmt.campaign import Cell, Experiment

# Exact curves; dense where the limit law begins to exist, at n = 164. A quick run draws a part of them.
SIZES = (2, 4, 8, 16, 32, 64, 128, 164, 166, 170, 180, 192, 224, 256, 384, 512, 1024, 2048, 4096)
QUICK_SIZES = (2, 8, 64, 164, 180, 256)
LAYERS = (1, 2, 4, 8, 16, 32, 64)
DEEP_N = 256
ALPHA = 0.05
COUNTS = {64: 20_000, 192: 10_000, DEEP_N: 20_000, 1024: 5000}
QUICK = 10  # a quick run has so many times fewer samples

# Rule: arguments of the gain, colour, line, marker.
RULES = {
    "none": (None, "#D55E00", "-", "X"),
    "paper": ({"rule": "paper"}, "#E69F00", "--", "^"),
    "gumbel": ({"rule": "gumbel"}, "#56B4E9", "-.", "v"),
    "exact": ({"rule": "exact"}, "#0072B2", "-", "o"),
    "alpha": ({"rule": "exact", "alpha": ALPHA}, "#000000", ":", "s"),
}
NAMES = {
    "none": "Glorot",
    "paper": "paper's rule",
    "gumbel": "mean + sd of the Gumbel limit",
    "exact": "mean + sd of the exact law",
    "alpha": f"exact quantile, $\\alpha={ALPHA:g}$",
}


def radii(n, options):
    """Return the cell of Glorot radii; a gain multiplies them."""
    return Cell("spectral_radius", rmt.glorot(n, options["field"]), {"method": "krylov"})


def cells(options):
    return [radii(n, options) for n in COUNTS]


def samples(cell, quick):
    return COUNTS[cell.ensemble.n] // (QUICK if quick else 1)


def target(cell, values):
    """Return that whose mean --target-se is about: P(rho > 1)."""
    return values > 1


def present(data, out, options):
    quick = len(data[radii(DEEP_N, options)]) < COUNTS[DEEP_N]
    sizes = sorted({*(QUICK_SIZES if quick else SIZES), *((64, DEEP_N) if quick else COUNTS)})
    table = pd.DataFrame([row(rule, n, data, options) for rule in RULES for n in sizes])
    layers = pd.DataFrame([layer_row(rule, L, data, options) for rule in RULES for L in LAYERS])
    tables.write_tables(table, out / "rescaling", shown=readable(table))
    tables.write_tables(layers, out / "rescaling_layers", shown=readable_layers(layers))
    with plotting.paper_style():
        fig = draw(table, layers, options)
    plotting.save_figure(fig, out / "rescaling")
    return summary(table)


# The tables


def gain(rule, n, options, layers=None):
    """Return the gain, NaN where the rule has none; `layers` share the risk of the rule alpha."""
    arguments = RULES[rule][0]
    if arguments is None:
        return 1.0
    if rule in ("paper", "gumbel") and rmt.gamma_n(n) <= 0:
        return math.nan
    if rule == "alpha" and layers:
        arguments = {**arguments, "layers": layers}
    return rmt.rescaled_gain(n, options["field"], **arguments)


def share(hits, total):
    """Return a proportion and the standard deviation of Laplace's rule, which is not 0 where no or all trials hit."""
    p = (hits + 1) / (total + 2)
    return hits / total, math.sqrt(p * (1 - p) / (total + 3))


def row(rule, n, data, options):
    """Return what a rule makes of the radius at one n, exactly and from the sample, if there is one."""
    factor = gain(rule, n, options)
    law = rmt.SpectralRadiusLaw(n, options["field"])
    sample = data.get(radii(n, options)) if n in COUNTS else None
    known = sample is not None and not math.isnan(factor)
    p_mc, error = share(np.sum(factor * sample > 1), len(sample)) if known else (math.nan, math.nan)
    return {
        "rule": rule,
        "field": options["field"],
        "n": n,
        "gain": factor,
        "p_exact": float(law.sf(1 / factor)),
        "mean_exact": factor * law.mean(),
        "sd_exact": factor * law.std(),
        "samples": len(sample) if known else 0,
        "p_mc": p_mc,
        "p_mc_se": error,
        "mean_mc": factor * sample.mean() if known else math.nan,
        "mean_mc_se": factor * stats.sem(sample) if known else math.nan,
    }


def layer_row(rule, layers, data, options):
    """Return the probability that any of so many independent layers is unstable, at n = DEEP_N."""
    sample = data[radii(DEEP_N, options)]
    factor = gain(rule, DEEP_N, options, layers)
    law = rmt.SpectralRadiusLaw(DEEP_N, options["field"])
    networks = sample[: len(sample) // layers * layers].reshape(-1, layers)
    p_mc, error = share(np.sum(factor * networks.max(axis=1) > 1), len(networks))
    return {
        "rule": rule,
        "field": options["field"],
        "n": DEEP_N,
        "layers": layers,
        "gain": factor,
        "p_exact": -math.expm1(layers * float(law.logcdf(1 / factor))),
        "networks": len(networks),
        "p_mc": p_mc,
        "p_mc_se": error,
    }


def readable(table):
    number, both = tables.format_number, tables.format_with_error

    def line(r):
        return {
            "rule": r.rule,
            "n": r.n,
            "gain": number(r.gain, 6),
            "P(ρ > 1), exact": number(r.p_exact),
            "P(ρ > 1), Monte Carlo": both(r.p_mc, r.p_mc_se) if r.samples else "",
            "mean of ρ, exact": number(r.mean_exact, 6),
            "mean of ρ, Monte Carlo": both(r.mean_mc, r.mean_mc_se) if r.samples else "",
            "sd of ρ, exact": number(r.sd_exact),
        }

    lines = [line(r) for r in table.itertuples() if r.n in (64, 164, 192, 256, 1024, 4096)]
    return pd.DataFrame(lines).set_index("rule")


def readable_layers(table):
    number, both = tables.format_number, tables.format_with_error
    columns = {
        f"layers = {layers}": {
            quantity: value
            for r in rows.itertuples()
            for quantity, value in (
                (f"{r.rule}: gain", number(r.gain, 6)),
                (f"{r.rule}: P(any ρ > 1), exact", number(r.p_exact)),
                (f"{r.rule}: P(any ρ > 1), Monte Carlo", both(r.p_mc, r.p_mc_se)),
            )
        }
        for layers, rows in table.groupby("layers")
    }
    return pd.DataFrame(columns).rename_axis("quantity")


def summary(table):
    """Return, for the sizes that were sampled, P(rho > 1) by rule: exact, and Monte Carlo."""
    lines = []
    for n, rows in table[table.samples > 0].groupby("n"):
        line = {"n": n}
        for rule in RULES:
            found = rows[rows.rule == rule]
            line[rule] = "undefined"
            for r in found.itertuples():
                line[rule] = f"{r.p_exact:.4f} ({tables.format_with_error(r.p_mc, r.p_mc_se)})"
        lines.append(line)
    return pd.DataFrame(lines)


# The figure


def draw(table, layers, options):
    """Return the figure: gain, P(rho > 1), mean radius against n, and the risk of a deep network."""
    table = table.assign(shrinkage=(1 - table.gain).replace(0, math.nan))
    fig = Figure(figsize=(7.0, 5.2))
    panels = fig.subplots(2, 2).ravel()
    panels[0].set(ylabel="$1-\\mathrm{gain}$", yscale="log", ylim=(0.01, 0.9))
    panels[1].set(ylabel="$P(\\rho>1)$", yscale="log", ylim=(1e-4, 1.5))
    panels[2].set(ylabel="$E\\,\\rho$", ylim=(0.4, 1.15))
    for ax, column, sampled in zip(
        panels, ("shrinkage", "p_exact", "mean_exact"), (None, "p_mc", "mean_mc"), strict=False
    ):
        for rule, (_, color, style, marker) in RULES.items():
            rows = table[table.rule == rule]
            ax.plot(rows.n, rows[column], color=color, linestyle=style)
            if sampled:
                rows = rows[(rows.samples > 0) & (rows[sampled] > 0)]
                ax.errorbar(
                    rows.n, rows[sampled], 2 * rows[sampled + "_se"], color=color, marker=marker, linestyle="none"
                )
        ax.axvspan(2, 164, color="0.93", linewidth=0, zorder=0)
        ax.set(xscale="log", xlabel="$n$", xlim=(2, 4096))
        ax.set_xticks([2, 8, 64, 164, 1024, 4096], ["2", "8", "64", "164", "1024", "4096"])
        ax.xaxis.minorticks_off()
    panels[0].set_yticks([0.01, 0.02, 0.05, 0.1, 0.2, 0.5], ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5"])
    panels[0].yaxis.minorticks_off()
    panels[0].text(0.31, 0.03, "no limit law: $\\gamma_n\\leq 0$", transform=panels[0].transAxes, ha="center")
    panels[2].axhline(1, color="0.45", linewidth=0.7, linestyle=(0, (4, 2)), zorder=0.5)
    depth(panels[3], layers)
    titles = (
        "(a) shrinkage",
        "(b) probability of instability of one layer",
        "(c) mean radius",
        f"(d) probability of any unstable layer, $n={DEEP_N}$",
    )
    for ax, title in zip(panels, titles, strict=True):
        ax.set_title(title)
    handles = [
        Line2D([], [], color=color, linestyle=style, marker=marker, label=NAMES[rule])
        for rule, (_, color, style, marker) in RULES.items()
    ]
    title = f"{options['field']} matrices; lines: exact; points: Monte Carlo with two standard errors"
    fig.legend(handles=handles, loc="outside lower center", ncols=3, title=title)
    return fig


def depth(ax, layers):
    """Panel (d): the risk of a network against its number of layers."""
    for rule, (_, color, style, marker) in RULES.items():
        rows = layers[layers.rule == rule]
        ax.plot(rows.layers, rows.p_exact, color=color, linestyle=style)
        ax.errorbar(rows.layers, rows.p_mc, 2 * rows.p_mc_se, color=color, marker=marker, linestyle="none")
    ax.set(xscale="log", xlabel="layers $L$", ylabel="$P(\\max_\\ell\\,\\rho_\\ell>1)$", ylim=(0, 1.05))
    ax.set_xticks(LAYERS, map(str, LAYERS))
    ax.xaxis.minorticks_off()


experiment = Experiment(
    name="rescaling",
    cells=cells,
    samples=samples,
    options={"field": ("real", "complex")},
    present=present,
    target=target,
)
