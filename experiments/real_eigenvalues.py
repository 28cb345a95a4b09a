"""Real eigenvalues of a real Glorot matrix: how many there are, and how often the leading one is real.

    rmt run experiments/real_eigenvalues.py --out results/real [--quick]

A real leading eigenvalue makes the state of h_t = W h_{t-1} + x_t explode along one direction, a complex pair makes it
spiral. In the limit law the leading one is always a pair: each pair counts once, and hence the shift of the real
Gumbel limit by -log 2 against the complex one (Rider & Sinclair 2014), which the paper's formula leaves out.

Claims. The expected number of real eigenvalues is 1/2 + sqrt 2 2F1(1, -1/2; n; 1/2) / B(n, 1/2), about
sqrt(2n/pi) (Edelman, Kostlan & Shub 1994); all are real with probability 2^(-n(n-1)/4) (Edelman 1997).

The exact laws beside the samples. From the Pfaffian structure (Forrester & Nagao 2007), for even n = 2m:

- E z^(number of real ones) = det[1 + (z^2 - 1) M], M_jk = Gamma(j+k+1/2) / sqrt(2 pi (2j)! (2k)!), 0 <= j, k < m.
  M has its m eigenvalues in (0, 1): the number is twice a sum of independent trials with these probabilities.
- P(leading one is real) = int dF/ds (r, s = r) dr, F(r, s) the probability that no pair lies outside the radius r and
  no real one outside s: the determinant of the exact law of the radius, whose real part is taken at s.

Found. Both formulas hold, and the whole law of the number (chi-square tests at every even n, p from 0.05 to 1). The
leading eigenvalue is real with probability 0.71 at n = 2, 0.44 at 16, 0.33 at 64, 0.24 at 256 and 0.175 at 1024: it
falls by 15% with each doubling of n. So the limit, in which it is never real, is far off in this respect too: at every
width in use a real eigenvalue sets the radius in a fifth to a third of all matrices.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from intervals import share
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import special, stats

import rmt
from rmt import plotting, tables
from rmt.campaign import Cell, Experiment
from rmt.laws import radius_real

COUNTS = {n: 10_000 for n in (2, 3, 4, 5, 6, 8)} | {16: 6000, 32: 5000, 64: 3000, 128: 1000, 256: 400}
QUICK = 40  # a quick run has so many times fewer samples
LEADING_SIZES = (1024, 512, 256, 128, 64, 32, 16, 8, 4, 2)  # of the exact P(leading one is real)
SHOWN = (16, 64, 256)  # panel (b)
NODES = 80


def reals(ensemble, params, rng):
    """Return of one matrix: number of real eigenvalues, whether all are, whether the leading one is, and the radius.

    LAPACK takes real eigenvalues from 1 x 1 blocks of the real Schur form: their imaginary part is 0 exactly.
    """
    values = rmt.sample_eigenvalues(ensemble, 1, rng=rng)[0]
    real = values.imag == 0
    leading = np.argmax(np.abs(values))
    return np.array([real.sum(), real.all(), real[leading], np.abs(values[leading])])


def leading_real(ensemble, params, rng):
    """Return P(the leading eigenvalue is real), exactly, for even n; nothing in it is random."""
    n, root = ensemble.n, math.sqrt(ensemble.n)
    # Outside of these radii F, and 1 - F, are below 1e-13.
    low, high = (0.0, root + 7) if n < 17 else (root - (30 / root) ** (1 / 3), root + 6)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    radii = (high + low) / 2 + (high - low) / 2 * nodes
    return (high - low) / 2 * sum(w * real_intensity(n // 2, r) for w, r in zip(weights, radii, strict=True))


def real_intensity(m, r):
    """Return the density at r of the modulus of the leading eigenvalue, on the event that it is real: dF/ds (r, r).

    F = det(1 - C(r) - R(s)), hence dF/ds = -F tr[(1 - C - R)^-1 R'].
    """
    first = max(0, math.floor((min(r * r - 13 * r, 2 * m - 13 * math.sqrt(2 * m)) - 40) / 2))
    j = np.arange(first, m)
    a, b = radius_real._border(j, r)
    matrix = np.eye(len(j)) - radius_real._tail_matrix(j, j, r) - np.pi**-0.25 * np.outer(a, b)
    s = np.arange(2 * first, 2 * m - 1)
    h = radius_real._h(first, len(j), len(j))
    # c_s Q(s + 1/2, r^2), a_j = sqrt(c_j) P(j + 1/2, r^2/2) and b_j = r^(2j) e^(-r^2/2) / sqrt((2j)!), derived.
    diagonal = -2 * np.exp(2 * s * math.log(r) - r * r - special.gammaln(s + 1))
    a_slope = np.sqrt(radius_real.gamma_ratio(j)) * r * stats.gamma.pdf(r * r / 2, j + 0.5)
    b_slope = b * (2 * j / r - r)
    slope = h * diagonal[j[:, None] + j - 2 * first] / math.sqrt(2 * math.pi)
    slope += np.pi**-0.25 * (np.outer(a_slope, b) + np.outer(a, b_slope))
    sign, log_det = np.linalg.slogdet(matrix)
    return -math.exp(log_det) * np.trace(np.linalg.solve(matrix, slope)) if sign > 0 else 0.0


def law_of_number(n):
    """Return the probabilities of 0, 2, 4, ..., n real eigenvalues, for even n."""
    j = np.arange(n // 2)
    log_m = special.gammaln(j[:, None] + j + 0.5) - math.log(2 * math.pi) / 2
    log_m -= (special.gammaln(2 * j[:, None] + 1) + special.gammaln(2 * j + 1)) / 2
    probabilities = np.array([1.0])
    for p in np.clip(np.linalg.eigvalsh(np.exp(log_m)), 0, 1):
        probabilities = np.convolve(probabilities, [1 - p, p])
    return probabilities


def sampled(n):
    return Cell(reals, rmt.glorot(n))


def exact_leading(n):
    return Cell(leading_real, rmt.glorot(n))


def cells(options):
    return [*map(exact_leading, LEADING_SIZES), *map(sampled, reversed(COUNTS))]


def samples(cell, quick):
    if cell.statistic is leading_real:
        return 1
    return COUNTS[cell.ensemble.n] // (QUICK if quick else 1)


def target(cell, values):
    """Return that whose mean --target-se is about: P(leading one is real)."""
    return None if cell.statistic is leading_real else values[:, 2]


def present(data, out, options):
    table = pd.DataFrame([row(n, data) for n in COUNTS])
    leading = pd.DataFrame([{"n": n, "p_leading_real": float(data[exact_leading(n)][0])} for n in LEADING_SIZES[::-1]])
    tables.write_tables(table, out / "real_eigenvalues", shown=readable(table))
    tables.write_tables(leading, out / "leading_real")
    with plotting.paper_style():
        fig = draw(data, table, leading)
    plotting.save_figure(fig, out / "real_eigenvalues")
    return readable(table).reset_index()


# The tables


def row(n, data):
    """Return number, all real and leading one real, from samples and exactly, and a chi-square test of the number."""
    number, everything, leading, _ = data[sampled(n)].T
    known = n % 2 == 0
    p_all, all_low, all_high = share(everything)
    p_leading, leading_low, leading_high = share(leading)
    return {
        "n": n,
        "samples": len(number),
        "mean_exact": rmt.expected_real_eigenvalues(n),
        "mean_mc": number.mean(),
        "mean_mc_se": stats.sem(number),
        "sd_mc": number.std(ddof=1),
        "number_pvalue": chi_square(number, n) if known else math.nan,
        "p_all_exact": 2.0 ** (-n * (n - 1) / 4),
        "p_all_mc": p_all,
        "p_all_low": all_low,
        "p_all_high": all_high,
        "p_leading_exact": float(data[exact_leading(n)][0]) if n in LEADING_SIZES else math.nan,
        "p_leading_mc": p_leading,
        "p_leading_low": leading_low,
        "p_leading_high": leading_high,
    }


def chi_square(number, n):
    """Return the p-value of the numbers of real eigenvalues under their exact law, cells below 5 put together."""
    expected = law_of_number(n) * len(number)
    observed = np.bincount(number.astype(int) // 2, minlength=len(expected))
    large = expected >= 5
    rest = expected[~large].sum()
    expected, observed = np.append(expected[large], rest), np.append(observed[large], observed[~large].sum())
    if rest < 5:  # too few for a cell of its own: into the smallest of the others
        smallest = np.argmin(expected[:-1])
        expected[smallest] += expected[-1]
        observed[smallest] += observed[-1]
        expected, observed = expected[:-1], observed[:-1]
    return stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue


def readable(table):
    number, both = tables.format_number, tables.format_with_error

    def line(r):
        return {
            "n": r.n,
            "samples": r.samples,
            "mean number, exact": number(r.mean_exact, 6),
            "Monte Carlo": both(r.mean_mc, r.mean_mc_se),
            "p of its law": number(r.number_pvalue, 2),
            "P(all), exact": number(r.p_all_exact, 3) if r.p_all_exact > 1e-99 else "< 1e-99",
            "all [95%]": f"{r.p_all_mc:.4f} [{r.p_all_low:.4f}, {r.p_all_high:.4f}]" if r.n <= 8 else "",
            "P(leading), exact": number(r.p_leading_exact, 5),
            "leading [95%]": f"{r.p_leading_mc:.3f} [{r.p_leading_low:.3f}, {r.p_leading_high:.3f}]",
        }

    return pd.DataFrame([line(r) for r in table.itertuples()]).set_index("n")


# The figure


def draw(data, table, leading):
    """Return the figure: mean number, law of the number, all real, leading one real."""
    fig = Figure(figsize=(7.0, 5.0))
    first, second, third, fourth = fig.subplots(2, 2).ravel()
    n = np.unique(np.geomspace(2, 1024, 60).astype(int))
    first.plot(n, [rmt.expected_real_eigenvalues(int(x)) for x in n], color="#000000", label="exact")
    first.plot(n, np.sqrt(2 * n / math.pi), color="#E69F00", linestyle="--", label="$\\sqrt{2n/\\pi}$")
    points(first, table.n, table.mean_mc, 1.96 * table.mean_mc_se)
    first.set(yscale="log", ylabel="mean number of real eigenvalues")
    first.set_yticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
    first.legend()
    numbers(second, data)
    few = table[table.n <= 8]
    x = np.linspace(2, 8, 200)
    third.plot(x, 2.0 ** (-x * (x - 1) / 4), color="#000000", label="$2^{-n(n-1)/4}$")
    seen = few[few.p_all_mc > 0]
    points(third, seen.n, seen.p_all_mc, [seen.p_all_mc - seen.p_all_low, seen.p_all_high - seen.p_all_mc])
    none = few[few.p_all_mc == 0]
    if len(none):
        third.plot(none.n, none.p_all_high, marker="v", color="#0072B2", linestyle="none", label="none seen: upper end")
    third.set(yscale="log", xlabel="$n$", ylabel="P(all eigenvalues are real)", ylim=(1e-5, 1.5))
    third.legend()
    fourth.plot(leading.n, leading.p_leading_real, color="#000000", label="exact (even $n$)")
    error = [table.p_leading_mc - table.p_leading_low, table.p_leading_high - table.p_leading_mc]
    points(fourth, table.n, table.p_leading_mc, error)
    fourth.set(ylabel="P(leading eigenvalue is real)", ylim=(0, 0.8))
    fourth.legend()
    for ax in (first, fourth):
        ax.set(xscale="log", xlabel="$n$")
        ax.set_xticks([2, 8, 32, 128, 512], ["2", "8", "32", "128", "512"])
    for ax in (first, fourth):
        ax.minorticks_off()
    titles = ("(a) mean number", "(b) law of the number", "(c) all of them", "(d) the leading one")
    for ax, title in zip((first, second, third, fourth), titles, strict=True):
        ax.set_title(title)
    return fig


def points(ax, n, value, error):
    ax.errorbar(n, value, error, color="#0072B2", marker="o", linestyle="none", linewidth=0.7, label="Monte Carlo; 95%")


def numbers(ax, data):
    """Panel (b): exact probabilities as bars without width, shares of samples with 95% intervals."""
    colour = plotting.colours(SHOWN)
    for n in SHOWN:
        number = data[sampled(n)][:, 0]
        exact = law_of_number(n)
        shown = np.flatnonzero(exact > 1e-4)
        ax.plot(2 * shown, exact[shown], color=colour[n])
        parts = np.array([share(number == 2 * k) for k in shown])
        error = [parts[:, 0] - parts[:, 1], parts[:, 2] - parts[:, 0]]
        ax.errorbar(2 * shown, parts[:, 0], error, color=colour[n], marker="o", linestyle="none", linewidth=0.7)
    handles = [Line2D([], [], color=colour[n], marker="o", label=f"$n={n}$") for n in SHOWN]
    ax.legend(handles=handles, title="lines: exact; points: Monte Carlo; 95%", title_fontsize=7)
    ax.set(xlabel="number of real eigenvalues", ylabel="probability", ylim=(0, None))


experiment = Experiment(
    name="real_eigenvalues",
    cells=cells,
    samples=samples,
    options={},
    present=present,
    target=target,
)
