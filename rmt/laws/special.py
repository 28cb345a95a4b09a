"""Special functions in forms that keep their accuracy: Poisson weights, ratios of gammas, tails of the gamma law."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

# stirling_error at s = 0..15; the entry at 0 is a convention.
_STIRLING_ERROR = np.array([
    0.0, 0.08106146679532726, 0.0413406959554093, 0.02767792568499834,
    0.02079067210376509, 0.016644691189821193, 0.013876128823070748, 0.01189670994589177,
    0.010411265261972096, 0.009255462182712733, 0.00833056343336287, 0.00757367548795184,
    0.00694284010720953, 0.006408994188004207, 0.005951370112758848, 0.005554733551962801,
])  # fmt: skip


def stirling_error(s: np.ndarray) -> np.ndarray:
    """Return log s! - (s + 1/2) log s + s - log(2 pi)/2 for integers s >= 1 (Loader 2000); 0 at s = 0."""
    s = np.asarray(s, dtype=float)
    large = np.maximum(s, 16.0)
    t = 1 / large**2
    series = (1 / 12 - t * (1 / 360 - t * (1 / 1260 - t * (1 / 1680 - t * (1 / 1188 - t * 691 / 360360))))) / large
    return np.where(s > 15, series, _STIRLING_ERROR[np.minimum(s, 15).astype(int)])


def log1p_minus(e: np.ndarray) -> np.ndarray:
    """Return log1p(e) - e without cancellation, e >= -1."""
    e = np.asarray(e, dtype=float)
    # With v = e/(2 + e): log1p(e) = 2 atanh(v) and e - 2v = e v.
    v = e / (2 + e)
    w = np.minimum(v * v, 0.01)
    tail = 1 / 3 + w * (1 / 5 + w * (1 / 7 + w * (1 / 9 + w * (1 / 11 + w * (1 / 13 + w * (1 / 15 + w / 17))))))
    with np.errstate(divide="ignore"):
        return np.where(v * v < 0.01, v * (2 * w * tail - e), np.log1p(e) - e)


def log_poisson(s: ArrayLike, x: ArrayLike) -> np.ndarray:
    """Return log(e^{-x} x^s / s!) for integers s >= 0 and x > 0, in Loader's saddle-point form."""
    s, x = np.asarray(s), np.asarray(x, dtype=float)
    positive = np.maximum(s, 1)
    log_weight = (
        positive * log1p_minus((x - positive) / positive) - stirling_error(positive) - np.log(2 * np.pi * positive) / 2
    )
    return np.where(s == 0, -x, log_weight)


def gamma_ratio(j: np.ndarray) -> np.ndarray:
    """Return Gamma(j + 1/2) / Gamma(j + 1) for integers j >= 0."""
    j = np.asarray(j, dtype=float)
    small = np.minimum(j, 100.0)
    direct = special.gamma(small + 0.5) / special.gamma(small + 1)
    y = 1 / np.maximum(j, 100.0)
    series = 1 - y * (
        1 / 8 - y * (1 / 128 + y * (5 / 1024 - y * (21 / 32768 + y * (399 / 262144 - y * 869 / 4194304))))
    )
    return np.where(j < 100, direct, np.sqrt(y) * series)


def _temme_coefficients(terms: int) -> np.ndarray:
    """Return the Taylor coefficients in eta of Temme's c_0, c_1 and c_2, shape (3, terms) (DLMF 8.12.9-8.12.12)."""
    count = terms + 6
    # mu(eta) = sum a_i eta^i solves mu mu' = eta (1 + mu), where eta^2/2 = mu - log(1 + mu).
    a = [Fraction(0), Fraction(1), Fraction(1, 3)]
    for k in range(3, count + 2):
        a.append(a[k - 1] / (k + 1) - sum((a[i] * a[k + 1 - i] for i in range(2, k)), Fraction(0)) / 2)
    inverse = [Fraction(1)]  # eta / mu
    for k in range(1, count):
        inverse.append(-sum((a[i + 1] * inverse[k - i] for i in range(1, k + 1)), Fraction(0)))
    rows = [inverse[1:]]  # c_0 = 1/mu - 1/eta
    for stirling in (-Fraction(1, 12), Fraction(1, 288)):
        # c_k = c_{k-1}'/eta + (-1)^k g_k/mu, in which the terms in 1/eta cancel.
        derivative = [i * c for i, c in enumerate(rows[-1])][1:]
        rows.append([d + stirling * v for d, v in zip(derivative, inverse, strict=False)][1:])
    return np.array([[float(c) for c in row[:terms]] for row in rows])


_TEMME = _temme_coefficients(26)


def _log_gamma_cdf_uniform(a: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """Return log P(a, a + difference) for a > 1000 by Temme's uniform expansion (DLMF 8.12.3-8.12.4, 8.12.7)."""
    mu = difference / a
    half_square = -log1p_minus(mu)
    eta = np.copysign(np.sqrt(2 * half_square), mu)
    near = np.abs(eta) < 1
    taylor = np.stack([np.polynomial.polynomial.polyval(np.where(near, eta, 0.0), row) for row in _TEMME])
    far_mu, far_eta = np.where(near, 1.0, mu), np.where(near, 1.0, eta)
    c0 = np.where(near, taylor[0], 1 / far_mu - 1 / far_eta)
    c1 = np.where(near, taylor[1], 1 / far_eta**3 - 1 / far_mu**3 - 1 / far_mu**2 - 1 / (12 * far_mu))
    correction = (c0 + (c1 + np.where(near, taylor[2], 0.0) / a) / a) / np.sqrt(2 * np.pi * a)
    side = np.where(mu > 0, 1.0, -1.0)
    # The smaller of the two tails, Q for x > a and P for x < a, relative to e^{-a eta^2/2}.
    log_tail = np.log(special.erfcx(np.abs(eta) * np.sqrt(a / 2)) / 2 + side * correction) - a * half_square
    return np.where(mu > 0, np.log1p(-np.exp(np.minimum(log_tail, -1e-300))), log_tail)


def log_gamma_cdf(a: ArrayLike, x: ArrayLike, difference: ArrayLike | None = None) -> np.ndarray:
    """Return log P(a, x), P the regularised lower incomplete gamma function, to full relative accuracy at both ends.

    That is the log of the probability that a Gamma(a, 1) variable stays below x. SciPy stops short of convergence in
    the tails where a is large; there Temme's uniform expansion (1979) takes over. `difference` is x - a, for callers
    who know it with more digits than a and x have.
    """
    a, x = np.asarray(a, dtype=float), np.asarray(x, dtype=float)
    a, x, difference = np.broadcast_arrays(a, x, x - a if difference is None else difference)
    result = np.empty(a.shape)
    large = a > 1000
    small_a, small_x = a[~large], x[~large]
    upper = special.gammaincc(small_a, small_x)
    with np.errstate(divide="ignore"):
        result[~large] = np.where(
            upper < 0.5, np.log1p(-np.minimum(upper, 0.5)), np.log(special.gammainc(small_a, small_x))
        )
    result[large] = _log_gamma_cdf_uniform(a[large], difference[large])
    return result
