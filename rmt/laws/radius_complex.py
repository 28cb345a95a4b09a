"""The exact law of the spectral radius of a complex Ginibre matrix (Kostlan 1992), by direct evaluation."""

from __future__ import annotations

import math

import numpy as np

from rmt.laws.special import log_gamma_cdf

# Up to here the factors are multiplied one by one; above, their logs are summed by quadrature.
DIRECT_LIMIT = 100_000

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)


def log_cdf(n: int, r: float, shift: float) -> float:
    """Return log P(rho(G) < r), r > 0, for G with entries of E|g|^2 = 1, with relative accuracy at both ends.

    The squared moduli of the eigenvalues are, as a set, independent Gamma(k, 1), k = 1..n (Kostlan 1992).
    `shift` is r - sqrt(n), because r itself has too few digits where n is large.
    """
    root = math.sqrt(n)
    if n > DIRECT_LIMIT:
        return _log_cdf_by_quadrature(n, excess=shift * (2 * root + shift))
    # Below, P(k, r^2) is 1 to rounding; the second bound keeps what counts where all factors are close to 1.
    first = max(1, math.floor(min(r * r - 12 * r - 60, n - 12 * root - 60)))
    return float(np.sum(log_gamma_cdf(np.arange(first, n + 1), r * r)))


def _log_cdf_by_quadrature(n: int, excess: float) -> float:
    """Sum log P(k, n + excess) over k by Euler and Maclaurin's midpoint formula; the scale of k is sqrt(n).

    Sum_{k <= n} f(k) = integral up to n + 1/2 - (f(n+1) - f(n))/24 + (17/5760) f'''(n + 1/2) - ...
    """
    root = math.sqrt(n)
    # k = n + 1/2 - root * v: beyond `reach` standard deviations below r^2 the factors are 1 to rounding.
    reach = min(13.0 + max(0.0, -excess / root), (n - 0.5) / root)
    edges = np.linspace(0.0, 1.0, 25) ** 2 * reach
    half = np.diff(edges) / 2
    v = ((edges[1:] + edges[:-1]) / 2 + half * _NODES[:, None]).ravel()
    weights = (half * _WEIGHTS[:, None]).ravel()
    integral = root * np.dot(weights, _log_factors(n, 0.5 - root * v, excess))
    ends = _log_factors(n, np.array([-1.0, 0.0, 1.0, 2.0]), excess)
    third = ends[3] - 3 * ends[2] + 3 * ends[1] - ends[0]
    return float(integral - (ends[2] - ends[1]) / 24 + 17 / 5760 * third)


def _log_factors(n: int, offset: np.ndarray, excess: float) -> np.ndarray:
    """Return log P(n + offset, n + excess); n is large, and the digits of the small terms must not be lost in it."""
    return log_gamma_cdf(n + offset, n + excess, difference=excess - offset)
