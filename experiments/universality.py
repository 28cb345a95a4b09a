"""Does the law of the spectral radius depend on the law of the entries? Dense draws against the exact Gaussian law.

    rmt run experiments/universality.py --out results/universality [--field complex] [--quick]

Claim. The limit law of the radius is the same for all independent entries of equal variance with enough moments
(Cipolloni, Erdos & Xu 2023), so that what the paper derives from Gaussian matrices should serve the uniform and
truncated initialisers in use. All entries here have variance 1/n.

Found. True for light tails, and early: for uniform, truncated and Rademacher entries the distance to the exact
Gaussian law falls faster than 1/sqrt(n) (Rademacher: 0.073, 0.048, 0.026 at n = 8, 16, 32), and from n = 64 on it
is below what 3000 draws show (0.03); the mean is right to 0.05 sd up to n = 128, P(rho > 1) to 0.05 at n = 8 and to
0.02 from n = 64 on.
Student's t with 5 degrees of freedom follows slowly: distance 0.083 at n = 8, still 0.03 to 0.06 at n = 64 and 128,
P(rho > 1) too small by 0.02. With 3 degrees, where the fourth moment is infinite and the theorem silent, it fails at
every n tried: distance 0.27 at n = 8 and 0.16 at 256, P(rho > 1) too small by 0.11 to 0.24, radii 2 to 7 times as
spread. At n = 256 (250 draws) a distance below 0.09 cannot be told from none.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from intervals import share
from matplotlib.figure import Figure
from scipy import stats

import rmt
from rmt import plotting, tables
from rmt.campaign import Cell, Experiment

COUNTS = {8: 8000, 16: 8000, 32: 5000, 64: 3000, 128: 1000, 256: 250}
QUICK_COUNTS = {8: 400, 16: 400, 32: 200, 64: 100, 128: 20, 256: 4}
LEVEL = 0.95
SHOWN = 32  # the size of panel (a)
# Of panel (c): the shift that counts as small, the end of the linear part of its axis, and ticks.
SMALL, LINEAR = 0.05, 0.1
SHIFTS = (-1, -0.3, -0.1, -0.05, 0, 0.05, 0.1, 0.3, 1)

# Law of the entries: arguments, colour, marker. Excess kurtosis: 0, -0.63, -1.2, -2, 6, and infinite.
ENTRIES = {
    "normal": ({}, "#000000", "o"),
    "truncated at 2": ({"entry": "truncated_normal", "bound": 2.0}, "#56B4E9", "v"),
    "uniform": ({"entry": "uniform"}, "#0072B2", "s"),
    "Rademacher": ({"entry": "rademacher"}, "#009E73", "D"),
    "Student t, df 5": ({"entry": "student_t", "df": 5.0}, "#E69F00", "^"),
    "Student t, df 3": ({"entry": "student_t", "df": 3.0}, "#D55E00", "P"),
}


def radii(name, n, options):
    """Return the cell of one law of entries; the control, too, is drawn as a whole matrix."""
    return Cell("spectral_radius", rmt.IID(n, field=options["field"], **ENTRIES[name][0]), {"method": "dense"})


def cells(options):
    return [radii(name, n, options) for n in reversed(COUNTS) for name in ENTRIES]


def samples(cell, quick):
    return (QUICK_COUNTS if quick else COUNTS)[cell.ensemble.n]


def target(cell, values):
    """Return that whose mean --target-se is about: P(rho > 1)."""
    return values > 1


def present(data, out, options):
    table = pd.DataFrame([row(name, n, data[radii(name, n, options)], options) for name in ENTRIES for n in COUNTS])
    # Of all tests of the table, the expected share of false ones among those below a level is that level.
    table["ks_pvalue_adjusted"] = stats.false_discovery_control(table.ks_pvalue)
    tables.write_tables(table, out / "universality", shown=readable(table))
    with plotting.paper_style():
        fig = draw(data, table, options)
    plotting.save_figure(fig, out / "universality")
    return summary(table)


# The table


def row(name, n, sample, options):
    """Return how the radii of one law of entries differ from the exact Gaussian law, with 95% intervals."""
    law = rmt.SpectralRadiusLaw(n, options["field"])
    size = len(sample)
    mean, sd, p = float(law.mean()), float(law.std()), float(law.sf(1.0))
    ks = stats.ks_1samp(sample, law.cdf)
    # |D_N - D| <= sup |F_N - F|, and that is below this with probability 0.95 (Dvoretzky, Kiefer, Wolfowitz, Massart).
    band = math.sqrt(math.log(2 / (1 - LEVEL)) / (2 * size))
    unstable, p_low, p_high = share(sample > 1, LEVEL)
    mean_error = stats.norm.ppf((1 + LEVEL) / 2) * stats.sem(sample)
    return {
        "entries": name,
        "field": options["field"],
        "n": n,
        "samples": size,
        "ks": ks.statistic,
        "ks_low": max(0.0, ks.statistic - band),
        "ks_high": min(1.0, ks.statistic + band),
        "ks_pvalue": ks.pvalue,
        "mean_exact": mean,
        "mean_mc": sample.mean(),
        "mean_shift": (sample.mean() - mean) / sd,
        "mean_shift_error": mean_error / sd,
        "sd_exact": sd,
        "sd_mc": sample.std(ddof=1),
        "p_exact": p,
        "p_mc": unstable,
        "p_shift": unstable - p,
        "p_shift_low": p_low - p,
        "p_shift_high": p_high - p,
    }


def readable(table):
    number, both = tables.format_number, tables.format_with_error

    def line(r):
        return {
            "entries": r.entries,
            "n": r.n,
            "samples": r.samples,
            "KS [95%]": f"{r.ks:.3f} [{r.ks_low:.3f}, {r.ks_high:.3f}]",
            "p": number(r.ks_pvalue, 2) if r.ks_pvalue > 1e-99 else "< 1e-99",
            "p, adjusted": number(r.ks_pvalue_adjusted, 2) if r.ks_pvalue_adjusted > 1e-99 else "< 1e-99",
            "shift of the mean of ρ, in sd": both(r.mean_shift, r.mean_shift_error),
            "sd of ρ over exact": number(r.sd_mc / r.sd_exact, 3),
            "P(ρ > 1), exact": number(r.p_exact, 4),
            "P(ρ > 1) less exact [95%]": f"{r.p_shift:+.3f} [{r.p_shift_low:+.3f}, {r.p_shift_high:+.3f}]",
        }

    return pd.DataFrame([line(r) for r in table.itertuples()]).set_index("entries")


def summary(table):
    """Return, for each law of entries, its distance at every n, with a star where the adjusted test rejects it."""
    mark = np.where(table.ks_pvalue_adjusted < 1 - LEVEL, "*", " ")
    text = table.ks.map("{:.3f}".format) + mark
    wide = table.assign(text=text).pivot(index="entries", columns="n", values="text").loc[list(ENTRIES)]
    return wide.rename(columns="KS, n = {}".format).rename_axis(columns=None).reset_index()


# The figure


def draw(data, table, options):
    """Return the figure: differences of distribution functions at one n, and three distances against n."""
    fig = Figure(figsize=(7.0, 5.2))
    (first, second), (third, fourth) = fig.subplots(2, 2)
    differences(first, data, options)
    panels = (
        (second, "ks", "ks_low", "ks_high", "$\\sup_r|F_{\\mathrm{entries}}-F_{\\mathrm{Gauss}}|$"),
        (third, "mean_shift", None, None, "$(E\\rho - E\\rho_{\\mathrm{Gauss}})\\,/\\,\\mathrm{sd}$"),
        (fourth, "p_shift", "p_shift_low", "p_shift_high", "$P(\\rho>1)-P_{\\mathrm{Gauss}}(\\rho>1)$"),
    )
    for ax, column, low, high, label in panels:
        against_n(ax, table, column, low, high)
        ax.set(ylabel=label)
    second.set(yscale="log", ylim=(3e-3, 0.6))
    # Linear where the light tails are, logarithmic where Student's t with 3 degrees of freedom is.
    third.set_yscale("symlog", linthresh=LINEAR, linscale=1.5)
    third.set_yticks(SHIFTS, [f"{shift:g}".replace("-", "\N{MINUS SIGN}") for shift in SHIFTS])
    third.text(0.03, 0.93, f"logarithmic beyond $\\pm{LINEAR:g}$", transform=third.transAxes, fontsize=7)
    third.yaxis.minorticks_off()
    third.axhspan(-SMALL, SMALL, color="0.85", linewidth=0, zorder=0)
    n = np.array(list(COUNTS))
    second.plot(n, 0.65 / n, color="0.45", linewidth=0.7, linestyle="--", zorder=0.5)
    second.text(11.5, 0.085, "$\\propto 1/n$", ha="center")
    titles = (
        f"(a) difference of distribution functions, $n={SHOWN}$",
        "(b) its largest value; 95%",
        f"(c) shift of the mean; 95%; grey: within {SMALL:g}",
        "(d) shift of the probability of instability; 95%",
    )
    for ax, title in zip((first, second, third, fourth), titles, strict=True):
        ax.set_title(title)
    handles, labels = second.get_legend_handles_labels()
    fig.legend(
        handles, labels, loc="outside lower center", ncols=3, title=f"{options['field']} entries of variance $1/n$"
    )
    return fig


def differences(ax, data, options):
    """Panel (a): empirical less exact distribution function; grey: 95% of those of Gaussian samples."""
    law = rmt.SpectralRadiusLaw(SHOWN, options["field"])
    r = np.linspace(*law.ppf([1e-5, 1 - 1e-5]), 500)
    for name, (_, color, _) in ENTRIES.items():
        sample = np.sort(data[radii(name, SHOWN, options)])
        ax.plot(r, np.searchsorted(sample, r, side="right") / len(sample) - law.cdf(r), color=color)
    band = stats.kstwo.ppf(LEVEL, len(sample))
    ax.axhspan(-band, band, color="0.85", linewidth=0, zorder=0)
    plotting.unit_line(ax)
    ax.set(xlabel="$r$", ylabel="$F_{\\mathrm{entries}}(r)-F_{\\mathrm{Gauss}}(r)$", xlim=(r[0], r[-1]))


def against_n(ax, table, column, low, high):
    """One quantity with its intervals against n, the laws moved aside a little so that they do not hide each other."""
    for i, (name, (_, color, marker)) in enumerate(ENTRIES.items()):
        rows = table[table.entries == name]
        value = rows[column]
        error = rows.mean_shift_error if low is None else np.array([value - rows[low], rows[high] - value])
        x = rows.n * 1.07 ** (i - 2.5)
        ax.errorbar(x, value, error, color=color, marker=marker, linestyle="none", linewidth=0.7, label=name)
    if column != "ks":
        ax.axhline(0, color="0.45", linewidth=0.7, zorder=0.5)
    n = list(COUNTS)
    ax.set(xscale="log", xlabel="$n$")
    ax.set_xticks(n, map(str, n))
    ax.xaxis.minorticks_off()


experiment = Experiment(
    name="universality",
    cells=cells,
    samples=samples,
    options={"field": ("real", "complex")},
    present=present,
    target=target,
)
