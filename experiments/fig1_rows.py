"""The further rows of Fig. 1 that the reviewers asked for: ``fig1.py --rows all``.

Claims (reviews and rebuttal of the paper, arXiv 2505.19827) and what is found:

- Glorot/2 and Uniform: "norms decrease and hidden states grow like log t".
  For Uniform (a diagonal of eigenvalues uniform on the unit disc) that is true and exact of the mean: E||h_t||^2 / n is
  the harmonic number H_t, at every n. The median follows until t is about n and stops: at t = 1000 it is 5.5, 6.6, 7.7
  for n = 64, 256, 1024 (H_1000 = 7.49). Later, matrices with an eigenvalue very near the circle carry the mean.
  For Glorot/2 it is false: ||h_t||^2 / n is at 4/3 within ten steps and stays. Its mean does so for long, and explodes
  in the end, at n = 64 to e^296 by t = 500: carried by matrices of radius > 1, which have probability 9e-25.
- Truncated Glorot, the default of Haiku that the LRU paper took for Glorot: of normal entries cut at two standard
  deviations 0.8796 of one is left. P(rho > 1) falls from .883, .983, .9996 (n = 64, 256, 1024) to about .073, .0011,
  6e-10: this factor makes the baseline stable from n = 256 on, and nothing else in the law of the entries does: their
  radii are not told apart from those of Gaussian entries of the same variance (n = 64, 2000 matrices: KS p = 0.5).
- LRU ring (|lambda|^2 uniform on [0.9^2, 0.999^2]): never unstable; E||h_t||^2 / n grows to
  log((1 - 0.9^2) / (1 - 0.999^2)) / (0.999^2 - 0.9^2) = 24.2 and stops there, as it does for every r_max < 1.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from scipy import stats

import rmt
from rmt import plotting, tables

HALF, UNIFORM, TRUNCATED, RING = "Glorot/2", "Uniform (diagonal)", "Truncated Glorot", "LRU ring"
NAMES = (HALF, UNIFORM, TRUNCATED, RING)
BOUND = 2.0  # where Haiku's truncated normal is cut, in standard deviations
RING_RADII = {"r_min": 0.9, "r_max": 0.999}

# Samples by size, of whole spectra and of trajectories. Truncated matrices have no form but the dense one.
COUNTS = {64: (2000, 600), 256: (300, 200), 1024: (20, 24)}
QUICK_COUNTS = {64: (60, 40), 256: (6, 8), 1024: (2, 2)}


def ensembles(field, sizes):
    """Return {(row, n): ensemble}. Diagonal rows have complex eigenvalues, each its own, whatever the field."""
    scale = rmt.truncated_glorot(1, BOUND).scale
    rows = {}
    for n in sizes:
        rows[HALF, n] = rmt.halved_glorot(n, field)
        rows[UNIFORM, n] = rmt.Diagonal(n, "uniform_disc")
        rows[TRUNCATED, n] = rmt.IID(n, "truncated_normal", field, scale, bound=BOUND)
        rows[RING, n] = rmt.Diagonal(n, "ring", **RING_RADII)
    return rows


def holds(ensemble):
    """Whether an ensemble stands in one of these rows."""
    return ensemble in ensembles(ensemble.field, (ensemble.n,)).values()


def samples(cell, quick):
    matrices, paths = (QUICK_COUNTS if quick else COUNTS)[cell.ensemble.n]
    return matrices if cell.statistic == "eigenvalue_moduli" else paths


# What is known of a row without any sample


class RingRadius:
    """The law of the largest of n moduli whose squares are iid uniform on [a^2, b^2]: b^2 - (b^2 - a^2) B^(1/n)."""

    def __init__(self, ensemble):
        self.low, self.high, self.n = ensemble.r_min**2, ensemble.r_max**2, ensemble.n

    def cdf(self, r):
        """Return P(rho <= r)."""
        return np.clip((np.square(r) - self.low) / (self.high - self.low), 0, 1) ** self.n

    def sf(self, r):
        """Return P(rho > r)."""
        return 1 - self.cdf(r)

    def mean(self):
        """Return E rho."""
        return stats.beta(self.n, 1).expect(lambda u: np.sqrt(self.low + (self.high - self.low) * u))


def radius_law(ensemble):
    """Return the law of the radius: exact, but for truncated entries that of Gaussian ones of the same variance."""
    if isinstance(ensemble, rmt.Diagonal):
        return RingRadius(ensemble)
    return rmt.SpectralRadiusLaw(ensemble.n, ensemble.field, ensemble.scale)


def is_exact(ensemble):
    return not isinstance(ensemble, rmt.IID)


def density(ensemble):
    """Return the function r -> mean density of |lambda|, exact in the sense of `radius_law`."""
    if not isinstance(ensemble, rmt.Diagonal):
        return lambda r: rmt.modulus_density(r, ensemble.n, ensemble.field, ensemble.scale)
    low, high = ensemble.r_min, ensemble.r_max
    return lambda r: np.where((r >= low) & (r <= high), 2 * r / (high**2 - low**2), 0.0)


def mean_power_norms(ensemble, steps):
    """Return E||W^k v||^2 for k = 0, ..., steps - 1: exact, but for truncated entries the limit n -> infinity."""
    k = np.arange(steps)
    if isinstance(ensemble, rmt.Diagonal):
        low, high = ensemble.r_min**2, ensemble.r_max**2
        return (high ** (k + 1.0) - low ** (k + 1.0)) / ((k + 1) * (high - low))
    if isinstance(ensemble, rmt.Ginibre):
        return rmt.mean_power_norm(k, ensemble.n, ensemble.field, ensemble.scale)
    return ensemble.scale ** (2.0 * k)


def limit_hidden_norms(ensemble, steps):
    """Return the typical ||h_t||^2 / n, t = 1, ..., steps: the mean for diagonal rows, else its limit in n."""
    if isinstance(ensemble, rmt.Diagonal):
        return np.cumsum(mean_power_norms(ensemble, steps))
    return np.cumsum(ensemble.scale ** (2.0 * np.arange(steps)))


# The table


def table(data, rows, kinds, times, steps):
    """Return one line for each row of the figure and n; `kinds` are the makers of the cells (moduli, hidden norms).

    The growth is what ||h_t||^2 / n gains from steps/2 to steps, each an average over a tenth of the steps: positive
    where it is a logarithm of t, 0 where it is bounded.
    """
    moduli, hidden_norms = kinds
    order = {name: i for i, name in enumerate(dict.fromkeys([row for row, _ in rows]))}
    late, middle = (slice(end - steps // 10, end) for end in (steps, steps // 2))
    lines = []
    for (row, n), ensemble in rows.items():
        radii = data[moduli(ensemble)].max(axis=1)
        size, unstable = len(radii), int(np.sum(radii > 1))
        law = radius_law(ensemble)
        share = (unstable + 1) / (size + 2)
        logs = data[hidden_norms(ensemble)]
        t = times(ensemble)
        values = np.exp(logs)
        final = np.quantile(values[:, -1], [0.05, 0.5, 0.95])
        typical = limit_hidden_norms(ensemble, steps) if row in NAMES else np.full(steps, math.nan)
        lines.append(
            {
                "ensemble": row,
                "field": ensemble.field,
                "n": n,
                "law": "exact" if is_exact(ensemble) else "Gaussian of the same variance",
                "matrices": size,
                "p_law": float(law.sf(1.0)),
                "p_mc": unstable / size,
                "p_mc_se": math.sqrt(share * (1 - share) / (size + 3)),
                "mean_law": float(law.mean()),
                "mean_mc": radii.mean(),
                "mean_mc_se": stats.sem(radii),
                "ks": stats.ks_1samp(radii, law.cdf).statistic,
                "ks_pvalue": stats.ks_1samp(radii, law.cdf).pvalue,
                "paths": len(logs),
                "t": steps,
                "hidden_low": final[0],
                "hidden_median": final[1],
                "hidden_high": final[2],
                "growth": np.median(values[:, late].mean(axis=1) - values[:, middle].mean(axis=1)),
                "growth_expected": typical[late].mean() - typical[middle].mean(),
                "t_compared": int(t[-1]),
                "mean_z": mean_z(logs, ensemble, t) if is_exact(ensemble) else math.nan,
            }
        )
    return pd.DataFrame(lines).sort_values("ensemble", key=lambda names: names.map(order), kind="stable")


def mean_z(logs, ensemble, t):
    """Return the largest distance, in standard errors, of a mean at the times `t` from the exact one."""
    exact = np.cumsum(mean_power_norms(ensemble, int(t[-1])))[t - 1]
    values = np.exp(logs[:, t - 1])
    return float(np.max(np.abs(values.mean(axis=0) - exact) / stats.sem(values, axis=0)))


def readable(frame):
    """Return the table for readers."""
    number, both = tables.format_number, tables.format_with_error

    def median(r):
        if r.hidden_median > 1e4:
            return f"{r.hidden_median:.0e} [{r.hidden_low:.0e}, {r.hidden_high:.0e}]"
        high = number(r.hidden_high, 3) if r.hidden_high < 1e4 else f"{r.hidden_high:.0e}"
        return f"{number(r.hidden_median, 3)} [{number(r.hidden_low, 3)}, {high}]"

    lines = [
        {
            "ensemble": r.ensemble,
            "n": r.n,
            "P(ρ > 1)": number(r.p_law, 3) + ("" if r.law == "exact" else " (Gaussian)"),
            "sampled": both(r.p_mc, r.p_mc_se),
            f"hidden norm at t = {r.t}: median [5%, 95%]": median(r),
            f"gained since t = {r.t // 2}": f"{r.growth:.2f}" if abs(r.growth) < 1e4 else "explodes",
            "of the mean": "" if math.isnan(r.growth_expected) else f"{r.growth_expected:.2f}",
        }
        for r in frame.itertuples()
    ]
    return pd.DataFrame(lines).set_index("ensemble")


# The panels


def draw_row(axes, data, shown, kinds, colour, steps):
    """Draw one row: `shown` is {n: ensemble}, `kinds` the makers of its three cells."""
    left, middle, right = axes
    moduli, power_norms, hidden_norms = kinds
    lines = ["$P(\\rho>1)$"]
    t = np.arange(1, steps + 1)
    lowest = 0.0
    for n, ensemble in shown.items():
        plotting.modulus_density(
            left, data[moduli(ensemble)].ravel(), density(ensemble), np.linspace(0, 1.3, 66), color=colour[n]
        )
        chance = float(radius_law(ensemble).sf(1.0))
        lines.append(f"$n={n}$: {'' if is_exact(ensemble) else '≈ '}{probability(chance, ensemble)}")
        logs = data[power_norms(ensemble)][:, 1:]
        plotting.trajectories(middle, t, logs, color=colour[n])
        lowest = min(lowest, np.quantile(logs[:, -1], 0.25) / math.log(10))
        levels(right, t, data[hidden_norms(ensemble)], color=colour[n])
    ensemble = next(iter(shown.values()))
    limit = limit_hidden_norms(ensemble, steps)
    right.add_line(dashed_mean(t, limit))
    corner = {"x": 0.97, "ha": "right"} if density(ensemble)(0.7) < 0.1 < density(ensemble)(0.4) else {"x": 0.03}
    white = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    left.text(y=0.97, s="\n".join(lines), transform=left.transAxes, va="top", fontsize=7, bbox=white, **corner)
    plotting.unit_line(left)
    left.set(xlim=(0, 1.3), ylim=(0, 20 if isinstance(ensemble, rmt.Diagonal) and ensemble.r_min > 0 else 5.2))
    middle.set(xscale="log", xlim=(1, steps), ylim=(1.05 * lowest, max(0.5, -0.12 * lowest)))
    right.set(xscale="log", xlim=(1, steps), ylim=(0, 1.6 * limit[-1]))
    right.text(0.03, 0.95, remark(ensemble, limit), transform=right.transAxes, va="top", fontsize=7, color="#A84A00")


def dashed_mean(t, mean, **options):
    """Return the line that stands for the mean in panel (c)."""
    return Line2D(t, mean, color="#D55E00", linestyle=(0, (4, 2)), linewidth=1.2, **options)


def levels(ax, t, logs, *, color):
    """Draw the median over time and the band from 5% to 95% on a linear scale."""
    low, median, high = np.exp(np.minimum(np.quantile(logs, [0.05, 0.5, 0.95], axis=0), 700))
    ax.fill_between(t, low, high, color=color, alpha=0.2, linewidth=0)
    ax.plot(t, median, color=color)


def remark(ensemble, limit):
    """Return what the dashed curve is."""
    if isinstance(ensemble, rmt.Diagonal):
        if ensemble.r_max == 1:
            return "exact mean $H_t \\sim \\log t$"
        low, high = ensemble.r_min**2, ensemble.r_max**2
        return f"exact mean, towards {math.log((1 - low) / (1 - high)) / (high - low):.1f}"
    return f"limit $n\\to\\infty$: bounded by {1 / (1 - ensemble.scale**2):.2f}"


def probability(value, ensemble):
    """Return a probability as text for a figure."""
    if value >= 1e-3 or isinstance(ensemble, rmt.Diagonal):
        return f"{value:.3g}"
    if value == 0:
        return "$<10^{-300}$"
    power = math.floor(math.log10(value))
    return f"${value / 10**power:.0f}\\times 10^{{{power}}}$"
