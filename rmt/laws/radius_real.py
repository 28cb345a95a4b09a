"""The exact law of the spectral radius of a real Ginibre matrix, by direct evaluation.

The Pfaffian structure of the real Ginibre ensemble (Forrester & Nagao 2007; Sinclair 2007; Borodin & Sinclair 2009;
Rider & Sinclair 2014) turns P(rho(G) < r) into a determinant. With the skew-orthogonal polynomials p_2j = z^{2j} and
p_{2k+1} = z^{2k+1} - 2k z^{2k-1}, and because the disc is radial, only products of an even with an odd one survive:

    n = 2m:      P = det[delta_jk - C_jk - pi^{-1/4} a_j b_k],  0 <= j, k < m
    n = 2m + 1:  P = det[delta_jk - C_jk | a_j / sqrt(c_m)],    0 <= j <= m, 0 <= k < m

where C_jk integrates the product over the outside of the disc (`_tail_matrix`). Deep in the lower tail these entries
leave a determinant near 0 as a difference of numbers near 1. For small n that is where digits would be lost, and the
same determinant is built from integrals over the inside, of the plain monomials (`_log_cdf_inside`): its matrix has a
condition number of about n, however small P is.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy import special

from rmt.laws.special import gamma_ratio, log1p_minus, log_poisson, stirling_error

# Up to this n the lower tail is computed from integrals over the inside of the disc.
INSIDE_LIMIT = 256

_GAUSS_NODES, _GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(24)


def log_cdf(n: int, r: float) -> float:
    """Return log P(rho(G) < r), r > 0, for G of iid N(0, 1) entries, with relative accuracy at both ends."""
    m = n // 2
    # Rows and columns below `first` are those of the identity: the determinant is that of the trailing block.
    # Rounded down, so that neighbouring radii share the tables that depend on the block alone.
    first = max(0, math.floor((min(r * r - 13 * r, n - 13 * math.sqrt(n)) - 40) / 32) * 16)
    value = _log_cdf_even(m, first, r) if n % 2 == 0 else _log_cdf_odd(m, min(first, m), r)
    if n <= INSIDE_LIMIT and value < -5:
        return _log_cdf_inside(n, r)
    return value


def _log_cdf_even(m: int, first: int, r: float) -> float:
    j = np.arange(first, m)
    a, b = _border(j, r)
    tail = _tail_matrix(j, j, r) + np.pi**-0.25 * np.outer(a, b)
    return _log_det_one_minus(tail)


def _log_cdf_odd(m: int, first: int, r: float) -> float:
    a, _ = _border(np.arange(first, m), r)
    border_norm = math.sqrt(gamma_ratio(np.array(m)))
    # The last diagonal entry is 1 - Q(m + 1/2, r^2/2).
    last = -special.gammaincc(m + 0.5, r * r / 2)
    if first == m:
        return math.log1p(last) if last > -1 else -math.inf
    tail = _tail_matrix(np.arange(first, m + 1), np.arange(first, m), r)
    block, row = tail[:-1], tail[-1]
    last += row @ np.linalg.solve(np.eye(len(block)) - block, a) / border_norm
    return _log_det_one_minus(block) + math.log1p(last) if last > -1 else -math.inf


def _log_det_one_minus(tail: np.ndarray) -> float:
    """Return log det(I - tail); where `tail` is small, to the relative accuracy of its trace."""
    norm = np.linalg.norm(tail)
    if norm < 0.01:
        # -sum_p tr(tail^p)/p; the term p = 7 is below 1e-13 of the first.
        square = tail @ tail
        fourth = square @ square if norm > 1e-5 else np.zeros_like(tail)
        powers = ((tail, square), (square, square), (fourth, tail), (fourth, square))
        traces = [np.trace(tail), np.trace(square), *(np.vdot(left.T, right) for left, right in powers)]
        return -float(sum(trace / p for p, trace in enumerate(traces, start=1)))
    sign, log_det = np.linalg.slogdet(np.eye(len(tail)) - tail)
    return float(log_det) if sign > 0 else -math.inf


def _border(j: np.ndarray, r: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a_j = sqrt(c_j) P(j + 1/2, r^2/2) and b_j = sqrt(pois(2j; r^2))."""
    return np.sqrt(gamma_ratio(j)) * special.gammainc(j + 0.5, r * r / 2), np.exp(log_poisson(2 * j, r * r) / 2)


def _tail_matrix(j: np.ndarray, k: np.ndarray, r: float) -> np.ndarray:
    """Return C_jk, the skew product of p_2j and p_{2k+1} outside of the disc of radius r, normalised.

    With s = j + k, d = k - j, h_jk = Gamma(s+1)/sqrt(Gamma(2j+1) Gamma(2k+1)) and c_s = Gamma(s+1/2)/Gamma(s+1):

        C_jk = c_s h_jk Q(s + 1/2, r^2)/sqrt(2 pi)                                      (pairs of real eigenvalues)
             + sqrt(2/pi) h_jk int_r^inf pois(s; x^2) [x^2 S_{2d+1}(x) - 2k S_{2d-1}(x)] dx     (complex eigenvalues)

    and S_q(x) the sine transform of `_sine_transforms`; S_{-q} = -S_q.
    """
    low, high = 2 * j[0], j[-1] + k[-1]
    s = np.arange(low, high + 1)
    right = max(r, math.sqrt(max(high, 1))) + 5
    x, weights = _gauss_rule(r, right)
    poisson = np.exp(log_poisson(s[:, None], x * x)) * weights
    sines = _sine_transforms(x, len(j), right)
    plain = poisson @ sines
    squared = (poisson * (x * x)) @ sines

    row, column = j[:, None], k[None, :]
    total, difference = row + column, column - row
    upper, lower = 2 * difference + 1, 2 * difference - 1
    complex_part = np.sign(upper) * squared[total - low, np.abs(upper) // 2]
    complex_part -= 2 * column * np.sign(lower) * plain[total - low, np.abs(lower) // 2]
    real_part = (gamma_ratio(s) * special.gammaincc(s + 0.5, r * r))[total - low] / math.sqrt(2 * math.pi)
    return _h(int(j[0]), len(j), len(k)) * (real_part + math.sqrt(2 / math.pi) * complex_part)


def _log_cdf_inside(n: int, r: float) -> float:
    """Return log P from the skew products of z^{2j} and z^{2k+1} over the inside of the disc.

    With u = x/r, and times r^{2s}/sqrt((2j)! (2k)!), these are sqrt(2/pi) times

        int_0^r u^{2s} x^2 e^{-x^2} S_{2d+1}(x) dx                                       (complex eigenvalues)
        + int_0^r u^{2k} x e^{-x^2/2} [int_0^x (y/r)^{2j} e^{-y^2/2} dy] dx              (pairs of real eigenvalues)

    Odd n has one more row, and the border a_j/sqrt(c_m) as its last column.
    """
    m = n // 2
    j, k = np.arange(m + n % 2), np.arange(m)
    x, weights = _gauss_rule(0.0, r)
    u = x / r
    sines = _sine_transforms(x, len(j), r + 6)
    powers = u ** (2 * np.arange(len(j) + m)[:, None]) * weights
    total, upper = j[:, None] + k, 2 * (k - j[:, None]) + 1
    matrix = np.sign(upper) * ((powers * (x * x * np.exp(-x * x))) @ sines)[total, np.abs(upper) // 2]
    with np.errstate(divide="ignore"):
        log_inner = np.log(special.gammainc(j[:, None] + 0.5, x * x / 2))
    log_inner += special.gammaln(j + 0.5)[:, None] + (j - 0.5)[:, None] * math.log(2) - 2 * math.log(r) * j[:, None]
    matrix += np.exp(log_inner) @ (powers[:m] * (x * np.exp(-x * x / 2))).T
    matrix *= math.sqrt(2 / math.pi)
    log_scale = 2 * math.log(r) * np.arange(len(j)) - special.gammaln(2 * j + 1) / 2
    if n % 2:
        a, _ = _border(j, r)
        matrix = np.column_stack([matrix, a * np.exp(-log_scale) / math.sqrt(gamma_ratio(np.array(m)))])
    columns = np.linalg.norm(matrix, axis=0)
    sign, log_det = np.linalg.slogdet(matrix / columns)
    if not sign > 0:
        return -math.inf
    return float(log_det + np.log(columns).sum() + log_scale.sum() + log_scale[:m].sum())


@lru_cache(maxsize=4)
def _h(first: int, rows: int, columns: int) -> np.ndarray:
    """Return h_jk = Gamma(j + k + 1)/sqrt(Gamma(2j + 1) Gamma(2k + 1)) <= 1, free of cancellation."""
    j, k = first + np.arange(rows)[:, None], first + np.arange(columns)
    s, d = j + k, k - j
    ratio = d / np.maximum(s, 1)
    # [(s-d) log1p(-d/s) + (s+d) log1p(d/s)]/2; where one factor is 0 that is s log 2.
    inner = np.where(np.abs(ratio) < 1, ratio, 0.0)
    entropy = np.where(
        np.abs(ratio) < 1,
        ((s - d) * log1p_minus(-inner) + (s + d) * log1p_minus(inner)) / 2 + d * ratio,
        s * math.log(2),
    )
    return np.exp(_half_log_stirling(s) - _half_log_stirling(2 * j) / 2 - _half_log_stirling(2 * k) / 2 - entropy)


def _half_log_stirling(s: np.ndarray) -> np.ndarray:
    """Return log s! - s log s + s, 0 at s = 0."""
    return np.where(s == 0, 0.0, stirling_error(s) + np.log(2 * np.pi * np.maximum(s, 1)) / 2)


def _gauss_rule(low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of one Gauss-Legendre rule on [low, high], fit for the weights x^{2s} e^{-x^2}."""
    nodes, weights = _leggauss(int(40 + 10 * (high - low)))
    return (high + low) / 2 + (high - low) / 2 * nodes, weights * (high - low) / 2


@lru_cache(maxsize=64)
def _leggauss(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(count)


def _sine_transforms(x: np.ndarray, size: int, right: float) -> np.ndarray:
    """Return S_q(x) = int_0^pi erfcx(sqrt2 x sin t) sin(q t) dt for q = 1, 3, ..., 2 size - 1; shape (len(x), size)."""
    # Rounded up, so that neighbouring radii share one table of sines.
    sin_t, table = _sine_table(16 * math.ceil((size + 1) / 16), 2.0 ** math.ceil(math.log2(right)))
    return special.erfcx(math.sqrt(2) * x[:, None] * sin_t) @ table[:, : size + 1]


@lru_cache(maxsize=4)
def _sine_table(size: int, right: float) -> tuple[np.ndarray, np.ndarray]:
    """Return sin(t) at the nodes t of a composite Gauss rule on [0, pi/2], and 2 w(t) sin(q t), q = 1, ..., 2 size - 1.

    The first panel resolves erfcx(sqrt2 right sin t), whose width is 1/right; the panels double up to three
    wavelengths, which 24 nodes still integrate to rounding.
    """
    widest = min(20 / (2 * size), math.pi / 8)
    edges, width = [0.0], min(0.5 / right, widest)
    while edges[-1] < math.pi / 2:
        edges.append(min(edges[-1] + width, math.pi / 2))
        width = min(2 * width, widest)
    half = np.diff(edges)[:, None] / 2
    t = (np.array(edges[:-1])[:, None] + half * (1 + _GAUSS_NODES)).ravel()
    weights = (half * _GAUSS_WEIGHTS).ravel()
    return np.sin(t), 2 * weights[:, None] * np.sin(np.outer(t, np.arange(1, 2 * size, 2)))
