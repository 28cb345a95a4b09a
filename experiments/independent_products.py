"""One matrix at every step, W^k, against a fresh one at every step, W_k ... W_1 (Hanin & Nica 2020).

    rmt run experiments/independent_products.py --out results/independent_products [--field complex] [--quick]

Claim (rebuttal): limits of growing width and depth were known for independent matrices only; a recurrence applies the
same matrix again and again, and the strong dependence changes what happens.

Found. The means part at k = sqrt(n), the laws at k = n, and in opposite directions:

- Fresh matrices: E||W_k...W_1 v||^2 = 1 and E||h_t||^2 / n = t for every k, t and n; log ||W_k...W_1 v||^2 is exactly a
  sum of k iid log(chi^2_n / n), near N(-k/n, 2k/n), so that a typical product shrinks, on the scale k = n, at the rate
  (psi(n/2) - log(n/2)) / 2 = -1/(2n) - ... per step: -0.0319, -0.00785, -0.00196 for n = 16, 64, 256.
- The same matrix: E||W^k v||^2 leaves 1 at k = sqrt(n), like 2 sinh(a^2/2) / a^2 at k = a sqrt(n), and a typical power
  grows at the rate E log(rho) = +0.0595, +0.0541, +0.0373 per step: at n = 256 and k = 1024 the median of
  300 powers is 3e29, that of products of fresh matrices 0.018.
- So results for independent layers do not carry over to a recurrence: there is no Gumbel edge in them, no sqrt(n), and
  their typical behaviour is decay.
"""

from __future__ import annotations

import functools
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

SIZES = (16, 64, 256)
LONGEST = 4  # steps, in units of n
SHOWN = 2.4  # steps of panel (b), in units of sqrt(n)
STYLES = ("o", "-."), ("s", "--"), ("^", ":")  # of SIZES there: markers, and lines of what is exact
# Independent factors are drawn as whole matrices where that takes milliseconds, else one chi variable each.
METHODS = {16: "dense", 64: "dense", 256: "lazy"}
COUNTS = {"fresh": {16: 2000, 64: 500, 256: 10_000}, "same": {16: 4000, 64: 1000, 256: 300}}
QUICK_COUNTS = {"fresh": {16: 100, 64: 30, 256: 400}, "same": {16: 400, 64: 100, 256: 30}}

FAMILIES = {"fresh": "fresh matrices", "same": "same matrix"}


def visible(family, n, of_states=False):
    """Return the latest step at which the standard errors of means can be trusted; later, rare samples set the mean."""
    return n / 2 if family == "fresh" else (1.5 if of_states else 1.0) * math.sqrt(n)  # see COMPARED in fig1.py


def ensembles(options):
    field = options["field"]
    fresh = {("fresh", n): rmt.IndependentProduct(n, field) for n in SIZES}
    return fresh | {("same", n): rmt.glorot(n, field) for n in SIZES}


def power_norms(ensemble):
    return cell("power_norms", ensemble)


def hidden_norms(ensemble):
    return cell("hidden_norms", ensemble)


def cell(statistic, ensemble):
    n = ensemble.n
    method = METHODS[n] if isinstance(ensemble, rmt.IndependentProduct) else "auto"
    return Cell(statistic, ensemble, {"steps": LONGEST * n, "method": method, "log": True})


def cells(options):
    return [kind(ensemble) for ensemble in ensembles(options).values() for kind in (power_norms, hidden_norms)]


def samples(cell, quick):
    family = "fresh" if isinstance(cell.ensemble, rmt.IndependentProduct) else "same"
    return (QUICK_COUNTS if quick else COUNTS)[family][cell.ensemble.n]


def present(data, out, options):
    lines = [
        line(family, ensemble, k, data)
        for (family, n), ensemble in ensembles(options).items()
        for k in (math.isqrt(n), n // 2, LONGEST * n)
    ]
    table = pd.DataFrame(lines)
    tables.write_tables(table, out / "independent_products", shown=readable(table))
    with plotting.paper_style():
        fig = draw(data, options)
    plotting.save_figure(fig, out / "independent_products")
    return readable(table).reset_index()


# What is exact


class LogNorm:
    """The law of log ||W_k ... W_1 v||^2: a sum of k iid log(chi^2_m / m), m = n (complex: 2n).

    Its characteristic function is a power of a ratio of gamma functions. The midpoint rule inverts it to 1e-7: the law
    repeats at a distance of 2 pi / STEP standard deviations, and what is cut off beyond NODES is as small.
    """

    STEP, NODES = 0.1, 400

    def __init__(self, n, field, k):
        self.shape = n / 2 if field == "real" else float(n)
        self.k = k
        self.mean = k * float(special.digamma(self.shape) - math.log(self.shape))
        self.sd = math.sqrt(k * float(special.polygamma(1, self.shape)))
        self.nodes = (np.arange(self.NODES) + 0.5) * self.STEP / self.sd
        exponent = special.loggamma(self.shape + 1j * self.nodes) - special.gammaln(self.shape)
        self.transform = np.exp(k * (exponent - 1j * self.nodes * math.log(self.shape)))

    def _integral(self, x, weight):
        return (np.exp(-1j * np.multiply.outer(np.asarray(x), self.nodes)) * self.transform) @ weight

    def cdf(self, x):
        """Return P(log-norm <= x)."""
        return np.clip(0.5 - self._integral(x, self.STEP / self.sd / self.nodes).imag / math.pi, 0, 1)

    def pdf(self, x):
        """Return the density."""
        return self._integral(x, np.full(self.NODES, self.STEP / self.sd)).real / math.pi

    def quantiles(self, levels):
        """Return the quantiles at some levels, from a grid of the distribution function."""
        grid = self.mean + self.sd * np.linspace(-6, 6, 201)
        return np.interp(levels, self.cdf(grid), grid)


@functools.cache
def exponent(family, ensemble):
    """Return the mean Lyapunov exponent: of powers it is E log(rho), from the exact law of the radius."""
    if family == "fresh":
        return LogNorm(ensemble.n, ensemble.field, 1).mean / 2
    levels = (np.arange(4000) + 0.5) / 4000
    return float(np.log(rmt.SpectralRadiusLaw(ensemble.n, ensemble.field).ppf(levels)).mean())


# The table


def line(family, ensemble, k, data):
    n, field = ensemble.n, ensemble.field
    logs = data[power_norms(ensemble)]
    hidden = np.exp(data[hidden_norms(ensemble)][:, k - 1])
    fresh = family == "fresh"
    law = LogNorm(n, field, k) if fresh else None
    seen = k <= visible(family, n)
    mean_exact = 1.0 if fresh else rmt.mean_power_norm(k, n, field)
    hidden_exact = float(k) if fresh else rmt.mean_hidden_norm(k, n, field)
    values = np.exp(logs[:, k])
    # Of products from the start; of powers from k/2 on, when the largest eigenvalue has come to rule.
    rates = logs[:, k] / (2 * k) if fresh else (logs[:, k] - logs[:, k // 2]) / (2 * (k - k // 2))
    exact = exponent(family, ensemble)
    return {
        "matrices": FAMILIES[family],
        "field": field,
        "n": n,
        "k": k,
        "paths": len(logs),
        "method": METHODS[n] if fresh else "auto",
        "log_median": np.median(logs[:, k]),
        "log_mean": logs[:, k].mean(),
        "log_mean_exact": law.mean if law else math.nan,
        "log_mean_z": z(logs[:, k], law.mean) if law else math.nan,
        "log_sd": logs[:, k].std(ddof=1),
        "log_sd_exact": law.sd if law else math.nan,
        "ks_pvalue": stats.ks_1samp(logs[:, k], law.cdf).pvalue if law else math.nan,
        "mean": values.mean(),
        "mean_exact": mean_exact,
        "mean_z": z(values, mean_exact) if seen else math.nan,
        "hidden_mean": hidden.mean(),
        "hidden_mean_exact": hidden_exact,
        "hidden_mean_z": z(hidden, hidden_exact) if seen else math.nan,
        "exponent": rates.mean(),
        "exponent_se": stats.sem(rates),
        "exponent_exact": exact,
    }


def z(sample, expected):
    """Return the distance of the mean of a sample from what is expected, in standard errors."""
    return float((np.mean(sample) - expected) / stats.sem(sample))


def readable(table):
    def short(value):
        return f"{value:.1e}" if abs(value) >= 1e4 else tables.format_number(value, 3)

    lines = [
        {
            "matrices": r.matrices,
            "n": r.n,
            "k": r.k,
            "median of norm": short(math.exp(min(r.log_median, 700))),
            "exact mean": short(r.mean_exact),
            "mean, z": "" if math.isnan(r.mean_z) else f"{r.mean_z:+.1f}",
            "mean of log, z": "" if math.isnan(r.log_mean_z) else f"{r.log_mean_z:+.1f}",
            "KS p": tables.format_number(r.ks_pvalue, 2),
            "exponent": tables.format_with_error(r.exponent, r.exponent_se),
            "exact exponent": tables.format_number(r.exponent_exact, 3),
        }
        for r in table.itertuples()
    ]
    return pd.DataFrame(lines).set_index("matrices")


# The figure


def draw(data, options):
    """Return the figure: norms over time, means, the law at k = n, and Lyapunov exponents against n."""
    colour = plotting.colours(FAMILIES)
    fig = Figure(figsize=(7.0, 4.6))
    (first, second), (third, fourth) = fig.subplots(2, 2)
    over_time(first, data, options, colour)
    hidden_means(second, data, options, colour)
    law_of_products(third, data, options)
    exponents(fourth, data, options, colour)
    lines = [Line2D([], [], color=colour[f], linewidth=2, label=FAMILIES[f]) for f in FAMILIES]
    lines.append(Line2D([], [], color="#D55E00", linestyle=(0, (1, 1)), linewidth=1.6, label="exact"))
    lines.append(Patch(color="0.8", label="(a) lines: median; bands: 5% to 95%"))
    fig.legend(handles=lines, loc="outside lower center", ncols=4)
    return fig


def over_time(ax, data, options, colour):
    n = SIZES[-1]
    k = np.arange(1, LONGEST * n + 1)
    for family in FAMILIES:
        logs = data[power_norms(ensembles(options)[family, n])][:, 1:]
        plotting.trajectories(ax, k, logs, color=colour[family])
    sparse = np.unique(np.geomspace(1, LONGEST * n, 25).astype(int))
    quantiles = [LogNorm(n, options["field"], step).quantiles([0.05, 0.5, 0.95]) for step in sparse]
    ax.plot(sparse, np.array(quantiles) / math.log(10), color="#D55E00", linestyle=(0, (1, 1)), linewidth=1.3)
    for scale, name in ((math.sqrt(n), "\\sqrt{n}"), (n, "n")):
        ax.axvline(scale, color="0.6", linewidth=0.6, linestyle=(0, (4, 2)), zorder=0.5)
        ax.text(scale, 0.02, f"$\\,k={name}$", transform=ax.get_xaxis_transform(), va="bottom", fontsize=7)
    ax.set(xscale="log", xlim=(1, LONGEST * n), ylim=(-6, 12), xlabel="$k$")
    ax.set_title(f"(a) $\\|W_k \\cdots W_1 v\\|^2$ and $\\|W^k v\\|^2$, $n={n}$")


def hidden_means(ax, data, options, colour):
    for family in FAMILIES:
        for n, (marker, style) in zip(SIZES, STYLES, strict=True):
            ensemble = ensembles(options)[family, n]
            last = min(visible(family, n, of_states=True), SHOWN * math.sqrt(n))
            t = np.unique(np.linspace(1, last, 8).astype(int))
            logs = data[hidden_norms(ensemble)][:, t - 1]
            # The mean over what it is for fresh matrices; the sizes moved aside a little, not to hide each other.
            aside = 0.03 * SIZES.index(n)
            plotting.mean_ratio(ax, t / math.sqrt(n) + aside, logs, np.log(t), color=colour[family], marker=marker)
            curve = np.arange(1, int(SHOWN * math.sqrt(n)) + 1)
            if family == "same":
                exact = rmt.log_mean_hidden_norm(curve, n, options["field"]) - np.log(curve)
                ax.plot(curve / math.sqrt(n), np.exp(exact), color="#D55E00", linestyle=style, linewidth=1.1)
    ax.axhline(1, color="#D55E00", linestyle=(0, (1, 1)), linewidth=1.3)
    ax.set(xlim=(0, SHOWN + 0.1), ylim=(0.8, 1.8), xlabel="$t/\\sqrt{n}$")
    ax.set_title("(b) $E\\,\\|h_t\\|^2 / (n t)$, with 2 standard errors")
    grey = {"linewidth": 1.1, "markerfacecolor": "0.45", "markeredgecolor": "0.45"}
    handles = [
        Line2D([], [], color="#D55E00", marker=marker, linestyle=style, label=f"$n={n}$", **grey)
        for n, (marker, style) in zip(SIZES, STYLES, strict=True)
    ]
    ax.legend(
        handles=handles, loc="upper left", title="points: sampled; lines: exact", title_fontsize=7, handlelength=3.5
    )


def law_of_products(ax, data, options):
    colour = plotting.colours((*FAMILIES, *SIZES))
    x = np.linspace(-8, 5, 400)
    for n in SIZES:
        law = LogNorm(n, options["field"], n)
        logs = data[power_norms(ensembles(options)["fresh", n])][:, n]
        edges = np.linspace(-8, 5, 27)
        height = np.histogram(logs, edges)[0] / (len(logs) * np.diff(edges))
        ax.stairs(height, edges, color=colour[n], alpha=0.5, linewidth=0.6)
        ax.plot(x, law.pdf(x), color=colour[n], label=f"$n={n}$")
    parts = 1 if options["field"] == "real" else 2
    limit = stats.norm(-1 / parts, math.sqrt(2 / parts))
    ax.plot(x, limit.pdf(x), color="#D55E00", linestyle=(0, (3, 2)), label=f"$N(-{1 / parts:g}, {2 / parts:g})$")
    ax.set(xlim=(-8, 5), ylim=(0, None), xlabel="$\\log\\|W_n \\cdots W_1 v\\|^2$", ylabel="density")
    ax.set_title("(c) fresh matrices at $k=n$: curves exact, steps sampled")
    ax.legend(loc="upper left")


def exponents(ax, data, options, colour):
    grid = np.unique(np.geomspace(SIZES[0], SIZES[-1], 9).astype(int))
    for family in FAMILIES:
        make = rmt.IndependentProduct if family == "fresh" else rmt.Ginibre
        curve = [exponent(family, make(int(n), options["field"])) for n in grid]
        ax.plot(grid, curve, color="#D55E00", linestyle=(0, (1, 1)), linewidth=1.3)
        for n in SIZES:
            found = line(family, ensembles(options)[family, n], LONGEST * n, data)
            error = 2 * found["exponent_se"]
            ax.errorbar(n, found["exponent"], error, color=colour[family], marker="o", linestyle="none")
    ax.axhline(0, color="0.6", linewidth=0.6)
    ax.set(xscale="log", xlabel="$n$", title="(d) Lyapunov exponent, with 2 standard errors")
    ax.set_xticks(SIZES, [str(n) for n in SIZES])
    ax.minorticks_off()


experiment = Experiment("independent_products", cells, samples, {"field": ("real", "complex")}, present)
