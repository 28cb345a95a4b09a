"""Fig. 1: eigenvalue moduli, power norms and hidden states, Glorot against Rescaled Glorot.

    rmt run experiments/fig1.py --out results/fig1 [--field complex] [--rule paper] [--rows all] [--quick]

Two rows, the ensembles; three columns: (a) the density of |lambda|, sampled and exact, (b) ||W^t v||^2 and
(c) ||h_t||^2 / n against t. The table ``radius`` sets Monte Carlo beside the exact law of the radius. Every sample
takes the fastest route that is exact in law: Hessenberg draws for spectra and radii (real), Kostlan's gamma variables
for moduli (complex), trajectories without the matrix where T <= n. With ``--rows all`` four rows more, of other
initialisations, and the table ``rows`` (fig1_rows.py says what is found there).

Claim. Eigenvalues of a Glorot matrix leave the unit disc, so that powers and hidden states explode; divided by the mean
plus one standard deviation of the radius it is stable (the paper, figure 1).

Found. Most Glorot matrices are unstable, and the more so the wider they are: P(rho > 1) is 0.883, 0.983 and 0.9996 at
n = 64, 256 and 1024. Rescaled, 0.15 of them still are at every width: the median of ||h_t||^2 / n stays below 20 over
1000 steps, its 95% quantile explodes once t has passed 50 to 300. Samples agree with the exact laws, not with the
Gumbel limit (distance 0.4 to 0.5). The paper's own rule does not exist at n = 64. Of the further rows, hidden states
grow like log t for Uniform (the harmonic number H_t), but not for Glorot/2, where they are bounded (towards 4/3).
"""

from __future__ import annotations

import math

import fig1_rows
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy import stats

import rmt
from rmt import plotting, tables
from rmt.campaign import Cell, Experiment

SIZES = (64, 256, 1024)
STEPS = 1000
# Samples by statistic and size: whole spectra for (a), radii for the table, trajectories for (b) and (c).
TRAJECTORIES = {64: 1000, 256: 400, 1024: 100}
COUNTS = {
    "eigenvalue_moduli": {64: 2000, 256: 1000, 1024: 100},
    "spectral_radius": {64: 20_000, 256: 10_000, 1024: 2000},
    "power_norms": TRAJECTORIES,
    "hidden_norms": TRAJECTORIES,
}
QUICK_TRAJECTORIES = {64: 100, 256: 20, 1024: 4}
QUICK_COUNTS = {
    "eigenvalue_moduli": {64: 200, 256: 10, 1024: 2},
    "spectral_radius": {64: 500, 256: 250, 1024: 100},
    "power_norms": QUICK_TRAJECTORIES,
    "hidden_norms": QUICK_TRAJECTORIES,
}

NAMES = ("Glorot", "Rescaled Glorot")
METHOD = "krylov"  # certified radii from truncated Hessenberg forms, exact in law


def ensembles(options):
    """Return {(row, n): ensemble}; where the chosen rule is undefined the rescaled ensemble is left out."""
    field, rule = options["field"], options["rule"]
    rows = {("Glorot", n): rmt.glorot(n, field) for n in SIZES}
    for n in SIZES:
        if rule == "exact" or rmt.gamma_n(n) > 0:
            rows["Rescaled Glorot", n] = rmt.rescaled_glorot(n, field, rule=rule)
    return rows


def moduli(ensemble):
    return Cell("eigenvalue_moduli", ensemble)


def radii(ensemble):
    return Cell("spectral_radius", ensemble, {"method": METHOD})


def power_norms(ensemble):
    return Cell("power_norms", ensemble, {"steps": STEPS, "log": True})


def hidden_norms(ensemble):
    return Cell("hidden_norms", ensemble, {"steps": STEPS, "log": True})


def further(options):
    """Return {(row, n): ensemble} of the rows that the paper does not have."""
    return fig1_rows.ensembles(options["field"], SIZES) if options["rows"] == "all" else {}


PANELS = (moduli, power_norms, hidden_norms)


def cells(options):
    kinds = (moduli, radii, power_norms, hidden_norms)
    paper = [kind(ensemble) for ensemble in ensembles(options).values() for kind in kinds]
    return paper + [kind(ensemble) for ensemble in further(options).values() for kind in PANELS]


def samples(cell, quick):
    if fig1_rows.holds(cell.ensemble):
        return fig1_rows.samples(cell, quick)
    return (QUICK_COUNTS if quick else COUNTS)[cell.statistic][cell.ensemble.n]


def present(data, out, options):
    table = pd.DataFrame([radius_row(row, e, data, options) for (row, _), e in ensembles(options).items()])
    tables.write_tables(table, out / "radius", shown=readable(table))
    with plotting.paper_style():
        fig = draw(data, options)
    plotting.save_figure(fig, out / "fig1")
    if options["rows"] == "paper":
        return summary(table)
    rows = fig1_rows.table(
        data, {**ensembles(options), **further(options)}, (moduli, hidden_norms), hidden_times, STEPS
    )
    tables.write_tables(rows, out / "rows", shown=fig1_rows.readable(rows))
    return fig1_rows.readable(rows).reset_index()


# The table of the spectral radius


def radius_row(row, ensemble, data, options):
    """Return what is known of the radius of one ensemble: exact, Monte Carlo, in the limit, and fitted."""
    n, field, scale = ensemble.n, ensemble.field, ensemble.scale
    sample = data[radii(ensemble)]
    size = len(sample)
    law = rmt.SpectralRadiusLaw(n, field, scale)
    limit = rmt.GumbelLimit(n, field, scale) if rmt.gamma_n(n) > 0 else None
    fit = rmt.fit_gumbel(sample, rng=0)
    exact_ks = stats.ks_1samp(sample, law.cdf)
    # The standard deviation of Laplace's rule: unlike sqrt(p (1 - p) / size), not 0 where all exceed 1.
    unstable = int(np.sum(sample > 1))
    share = (unstable + 1) / (size + 2)
    sd = sample.std(ddof=1)
    return {
        "ensemble": row,
        "field": field,
        "n": n,
        "rule": options["rule"] if row == "Rescaled Glorot" else "none",
        "gain": scale,
        "samples": size,
        "method": METHOD,
        "p_exact": float(law.sf(1.0)),
        "p_mc": unstable / size,
        "p_mc_se": math.sqrt(share * (1 - share) / (size + 3)),
        "p_gumbel": float(limit.sf(1.0)) if limit else math.nan,
        "mean_exact": float(law.mean()),
        "mean_mc": sample.mean(),
        "mean_mc_se": sd / math.sqrt(size),
        "sd_exact": float(law.std()),
        "sd_mc": sd,
        "sd_mc_se": math.sqrt(max(stats.moment(sample, 4) - sd**4, 0) / size) / (2 * sd),
        "fit_loc": fit.loc,
        "fit_loc_low": fit.loc_ci[0],
        "fit_loc_high": fit.loc_ci[1],
        "fit_scale": fit.scale,
        "fit_scale_low": fit.scale_ci[0],
        "fit_scale_high": fit.scale_ci[1],
        "ks_exact": exact_ks.statistic,
        "ks_exact_pvalue": exact_ks.pvalue,
        "ks_limit": stats.ks_1samp(sample, limit.cdf).statistic if limit else math.nan,
        "ks_fit": fit.ks,
        "ks_fit_pvalue": fit.ks_pvalue,
    }


def readable(table):
    """Return the table for readers: one column for each matrix ensemble, one line for each quantity."""
    number, both = tables.format_number, tables.format_with_error

    def interval(value, low, high):
        return f"{number(value)} [{number(low)}, {number(high)}]"

    def column(r):
        return {
            "samples": number(r.samples),
            "gain": number(r.gain, 6),
            "P(ρ > 1), exact": number(r.p_exact, 6),
            f"P(ρ > 1), {METHOD}": both(r.p_mc, r.p_mc_se),
            "P(ρ > 1), Gumbel limit": number(r.p_gumbel),
            "mean of ρ, exact": number(r.mean_exact, 6),
            "mean of ρ, Monte Carlo": both(r.mean_mc, r.mean_mc_se),
            "sd of ρ, exact": number(r.sd_exact),
            "sd of ρ, Monte Carlo": both(r.sd_mc, r.sd_mc_se),
            "fitted Gumbel location [95%]": interval(r.fit_loc, r.fit_loc_low, r.fit_loc_high),
            "fitted Gumbel scale [95%]": interval(r.fit_scale, r.fit_scale_low, r.fit_scale_high),
            "KS to the exact law (p)": f"{number(r.ks_exact, 3)} ({number(r.ks_exact_pvalue, 2)})",
            "KS to the Gumbel limit": number(r.ks_limit, 3),
            "KS to the fitted Gumbel (p)": f"{number(r.ks_fit, 3)} ({number(r.ks_fit_pvalue, 2)})",
        }

    columns = {f"{r.ensemble}, n = {r.n}": column(r) for r in table.itertuples()}
    return pd.DataFrame(columns).rename_axis("quantity")


def summary(table):
    """Return the columns that fit a terminal."""
    lines = [
        {
            "ensemble": r.ensemble,
            "n": r.n,
            "P(ρ>1)": tables.format_number(r.p_exact, 5),
            f"by {METHOD}": tables.format_with_error(r.p_mc, r.p_mc_se),
            "Gumbel limit": tables.format_number(r.p_gumbel, 5) or "undefined",
            "mean ρ": tables.format_number(r.mean_exact, 5),
            "Monte Carlo": tables.format_with_error(r.mean_mc, r.mean_mc_se),
        }
        for r in table.itertuples()
    ]
    return pd.DataFrame(lines)


# The figure


def draw(data, options):
    """Return the figure."""
    colour = plotting.colours(SIZES)
    more = further(options)
    heights = [1.45] * len(NAMES) + [1.0] * len(fig1_rows.NAMES) if more else [1.0] * len(NAMES)
    fig = Figure(figsize=(7.0, 9.4 if more else 4.9))
    axes = fig.subplots(len(heights), 3, height_ratios=heights)
    for row, (left, middle, right) in zip(NAMES, axes, strict=False):
        shown = {n: ensemble for (name, n), ensemble in ensembles(options).items() if name == row}
        densities(left, data, shown, colour, top=4.2 if more else 3.4)
        low = 0.22 if more else 0.15
        norms(middle, data, shown, colour, power_norms, corner=low if row == "Rescaled Glorot" else 0.58)
        norms(right, data, shown, colour, hidden_norms, corner=0.58)
    for row, panels in zip(fig1_rows.NAMES, axes[len(NAMES) :], strict=False):
        shown = {n: ensemble for (name, n), ensemble in more.items() if name == row}
        fig1_rows.draw_row(panels, data, shown, PANELS, colour, STEPS)
    for row, ax in zip(NAMES + fig1_rows.NAMES, axes[:, 0], strict=False):
        bold = row.replace(" ", "\\ ")
        ax.set_ylabel(f"$\\mathbf{{{bold}}}$\ndensity of $|\\lambda|$")
    titles = (
        "(a) eigenvalue moduli",
        "(b) $\\|W^t v\\|^2$, $v$ uniform on the sphere",
        "(c) $\\|h_t\\|^2/n$, $h_t = W h_{t-1} + x_t$",
    )
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title)
    for ax, label in zip(axes[-1], ("$|\\lambda|$", "$t$", "$t$"), strict=True):
        ax.set_xlabel(label)
    legend(fig, data, options, colour)
    return fig


def densities(ax, data, shown, colour, top):
    """Panel (a): the density of the moduli, its tail in an inset with a logarithmic scale."""
    tail = ax.inset_axes((0.14, 0.62, 0.40, 0.36))
    lines = ["$P(\\rho>1)$"]
    for n, ensemble in shown.items():
        sample = data[moduli(ensemble)].ravel()

        def exact(r, ensemble=ensemble):
            return rmt.modulus_density(r, ensemble.n, ensemble.field, ensemble.scale)

        plotting.modulus_density(ax, sample, exact, np.linspace(0, 1.3, 66), color=colour[n])
        plotting.modulus_density(tail, sample, exact, np.linspace(0.9, 1.3, 41), color=colour[n])
        chance = float(rmt.SpectralRadiusLaw(n, ensemble.field, ensemble.scale).sf(1.0))
        number = "> 0.9999" if chance > 0.9999 else tables.format_number(chance, 4 if chance > 0.999 else 3)
        lines.append(f"$n={n}$: {number}")
    white = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    ax.text(1, 1, "\n".join(lines), transform=ax.transAxes, ha="right", va="top", fontsize=7, bbox=white)
    for panel in (ax, tail):
        plotting.unit_line(panel)
    ax.set(xlim=(0, 1.3), ylim=(0, top))
    tail.set(xlim=(0.9, 1.3), ylim=(2e-4, 6), yscale="log")
    tail.tick_params(labelsize=6)


def norms(ax, data, shown, colour, kind, corner):
    """Panel (b) or (c): medians and bands on a logarithmic scale; means against the exact ones inset."""
    log_mean = rmt.log_mean_power_norm if kind is power_norms else rmt.log_mean_hidden_norm
    inset = ax.inset_axes((0.15, corner, 0.42, 0.33))
    powers = [0.0]
    for shift, (n, ensemble) in enumerate(shown.items()):
        logs = data[kind(ensemble)][:, -STEPS:]
        plotting.trajectories(ax, np.arange(1, STEPS + 1), logs, color=colour[n])
        powers.extend(np.median(logs, axis=0) / math.log(10))
        t = compared_times(ensemble, kind)
        means = log_mean(t, n, ensemble.field, ensemble.scale)
        # Moved aside a little, so that the points of one time do not hide each other.
        plotting.mean_ratio(inset, t / math.sqrt(n) + 0.03 * shift, logs[:, t - 1], means, color=colour[n])
    inset.axhline(1.0, color="0.45", linewidth=0.7, zorder=0.5)
    inset.set_title("sample mean / exact mean", fontsize=6, pad=2)
    inset.set_xlabel("$t/\\sqrt{n}$", fontsize=6, labelpad=0)
    inset.tick_params(labelsize=6, pad=1)
    # The medians set the frame; the bands, which rare matrices carry far away, are cut.
    span = max(10.0, max(powers) - min(powers))
    ax.set(xscale="log", xlim=(1, STEPS), ylim=(min(powers) - 0.1 * span, max(powers) + 0.3 * span))


# Latest t/sqrt(n) at which two standard errors of 200 trajectories cover the exact mean in 9 of 10 repetitions at
# the least. Later, rare matrices set the mean: too rare to be among the samples, or to show in their spread.
COMPARED = {
    (power_norms, "real"): 1.0,
    (power_norms, "complex"): 1.5,
    (hidden_norms, "real"): 1.5,
    (hidden_norms, "complex"): 2.0,
}


def compared_times(ensemble, kind):
    """Return the times at which sample means are set against exact ones."""
    last = COMPARED[kind, ensemble.field] * math.sqrt(ensemble.n)
    return np.unique(np.linspace(1, last, 7).astype(int))


def hidden_times(ensemble):
    """Return the same for hidden norms; the means of diagonal rows hold at all times."""
    if isinstance(ensemble, rmt.Diagonal):
        return np.unique(np.geomspace(1, STEPS, 7).astype(int))
    return compared_times(ensemble, hidden_norms)


def legend(fig, data, options, colour):
    """One legend below all panels: sizes with their counts, and what lines, bands and points are."""
    glorot = {n: ensemble for (row, n), ensemble in ensembles(options).items() if row == "Glorot"}
    handles = []
    for n, ensemble in glorot.items():
        matrices, paths = len(data[moduli(ensemble)]), len(data[hidden_norms(ensemble)])
        label = f"$n={n}$: {matrices} matrices in (a), {paths} in (b), (c)"
        if options["rows"] == "all":
            other = fig1_rows.ensembles(options["field"], (n,))[fig1_rows.UNIFORM, n]
            label += f"; {len(data[moduli(other)])}, {len(data[hidden_norms(other)])} below"
        handles.append(Line2D([], [], color=colour[n], linewidth=2, label=label))
    exact = "(a) curves: exact density; steps: sampled; dashed: unit circle"
    if options["rows"] == "all":
        exact += "\n(Truncated: density of Gaussian entries of the same variance)"
    handles += [
        Line2D([], [], color="0.45", label=exact),
        Patch(color="0.8", label="(b), (c) lines: median; bands: 5% to 95%, cut at the frame"),
        Line2D([], [], color="0.45", marker="o", linewidth=0, label="insets: means with 2 standard errors"),
    ]
    if options["rows"] == "all":
        handles.append(fig1_rows.dashed_mean([], [], label="(c), lower four: mean of $\\|h_t\\|^2/n$ or its limit"))
    fig.legend(handles=handles, loc="outside lower center", ncols=2, title=note(options), title_fontsize=7)


def note(options):
    """Return what must be said of the rule of the lower row."""
    rule = options["rule"]
    if rule == "exact":
        return (
            "Rescaled by the exact rule, 1 / (mean + standard deviation of $\\rho$); "
            "the paper's rule is undefined at $n=64$"
        )
    return f"Rescaled by the {rule} rule, which is undefined at $n=64$: left out of the lower row"


experiment = Experiment(
    name="fig1",
    cells=cells,
    samples=samples,
    options={"field": ("real", "complex"), "rule": ("exact", "gumbel", "paper"), "rows": ("paper", "all")},
    present=present,
)
