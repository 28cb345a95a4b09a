"""The law of the real spectral radius to many digits: the determinant of `radius_real`, by brute force in mpmath."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import mpmath as mp
import numpy as np


@cache
def _gauss(count, digits):
    """Nodes and weights of Gauss-Legendre on [-1, 1], by Newton's method from the double-precision ones."""
    nodes, weights = [], []
    for start in np.polynomial.legendre.leggauss(count)[0]:
        x = mp.mpf(float(start))
        for _ in range(3):
            p0, p1 = mp.mpf(1), x
            for k in range(2, count + 1):
                p0, p1 = p1, ((2 * k - 1) * x * p1 - (k - 1) * p0) / k
            slope = count * (x * p1 - p0) / (x * x - 1)
            x -= p1 / slope
        nodes.append(x)
        weights.append(2 / ((1 - x * x) * slope**2))
    return nodes, weights


def _rule(edges, count=40):
    nodes, weights = _gauss(count, mp.mp.dps)
    points, masses = [], []
    for low, high in pairwise(edges):
        half = (high - low) / 2
        points += [low + half * (1 + x) for x in nodes]
        masses += [half * w for w in weights]
    return points, masses


def cdf(n, r, digits=40):
    """P(rho(G) < r) for an n x n matrix of iid N(0, 1) entries; small n only (n <= 16)."""
    with mp.workdps(digits + 20):
        r = mp.mpf(r)
        if n == 1:
            return mp.erf(r / mp.sqrt(2))
        m = n // 2
        size = m + n % 2
        rho, rho_weights = _rule([r, r + 1, r + 3, r + 6, r + 10, r + 15])
        t, t_weights = _rule([mp.mpf(0), mp.pi / 16, mp.pi / 8, mp.pi / 4, mp.pi / 2])
        sine = [mp.sin(x) for x in t]
        kernel = np.array([[mp.exp(y * y) * mp.erfc(y) for y in (mp.sqrt(2) * x * s for s in sine)] for x in rho])
        odd = range(-2 * size - 1, 2 * size + 2, 2)
        weighted = {q: np.array([2 * w * mp.sin(q * x) for x, w in zip(t, t_weights, strict=True)]) for q in odd}
        sines = {q: kernel.dot(weights) for q, weights in weighted.items()}
        rho_array, rho_weight_array = np.array(rho), np.array(rho_weights)
        poisson = {
            s: np.array([mp.exp(-x * x) * x ** (2 * s) / mp.factorial(s) for x in rho]) * rho_weight_array
            for s in range(2 * size)
        }

        def c(j):
            return mp.gamma(j + mp.mpf(1) / 2) / mp.gamma(j + 1)

        def entry(j, k):
            s, d = j + k, k - j
            h = mp.factorial(s) / mp.sqrt(mp.factorial(2 * j) * mp.factorial(2 * k))
            pairs = c(s) * h * mp.gammainc(s + mp.mpf(1) / 2, r * r, regularized=True) / mp.sqrt(2 * mp.pi)
            integrand = rho_array**2 * sines[2 * d + 1] - 2 * k * sines[2 * d - 1]
            return pairs + mp.sqrt(2 / mp.pi) * h * poisson[s].dot(integrand)

        def a(j):
            return mp.sqrt(c(j)) * mp.gammainc(j + mp.mpf(1) / 2, 0, r * r / 2, regularized=True)

        matrix = mp.matrix(size, size)
        for j in range(size):
            for k in range(m):
                matrix[j, k] = (j == k) - entry(j, k)
                if n % 2 == 0:
                    b = mp.exp(-r * r / 2) * r ** (2 * k) / mp.sqrt(mp.factorial(2 * k))
                    matrix[j, k] -= a(j) * b / mp.pi ** (mp.mpf(1) / 4)
            if n % 2:
                matrix[j, m] = a(j) / mp.sqrt(c(m))
        return mp.det(matrix)
