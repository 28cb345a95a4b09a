"""What the laws have in common: the methods of a frozen scipy.stats distribution, all from one function.

A law of extremes is seen best through g(r) = log(-log F(r)): it decreases from +inf to -inf, it is a straight line for
a Gumbel law, and both tails of F keep their relative accuracy in it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from rmt import checks


def _points(name: str, value: Any) -> np.ndarray:
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise checks.InputError(
            f"{name} must be a real number or an array of real numbers, got {checks.shown(value)}"
        ) from error


def _as_given(result: np.ndarray) -> Any:
    """Return a float for a scalar argument, an array otherwise."""
    return float(result) if np.ndim(result) == 0 else result


class Law(ABC):
    """A continuous law on the real line, given by g(r) = log(-log F(r))."""

    # The smallest F and 1 - F at which the law is known; 0 itself is the end of the support.
    known_down_to: ClassVar[tuple[float, float]] = (0.0, 0.0)

    @abstractmethod
    def _g(self, r: np.ndarray) -> np.ndarray:
        """Return g at the points `r`, of any shape."""

    @abstractmethod
    def _g_slope(self, r: np.ndarray) -> np.ndarray:
        """Return g'(r) < 0."""

    @abstractmethod
    def _g_inverse(self, g: np.ndarray) -> np.ndarray:
        """Return the r of each finite value of g."""

    @abstractmethod
    def mean(self) -> float:
        """Return the expectation."""

    @abstractmethod
    def std(self) -> float:
        """Return the standard deviation."""

    @abstractmethod
    def support(self) -> tuple[float, float]:
        """Return the end points of the support."""

    def var(self) -> float:
        """Return the variance."""
        return self.std() ** 2

    def median(self) -> float:
        """Return the median."""
        return self.ppf(0.5)

    def interval(self, confidence: Any) -> tuple[Any, Any]:
        """Return the end points of the central interval of probability `confidence`."""
        tail = (1 - _points("confidence", confidence)) / 2
        return self.ppf(tail), self.isf(tail)

    def cdf(self, r: Any) -> Any:
        """Return F(r) = P(rho < r)."""
        return _as_given(np.exp(-np.exp(self._g(_points("r", r)))))

    def sf(self, r: Any) -> Any:
        """Return 1 - F(r), with relative accuracy."""
        return _as_given(-np.expm1(-np.exp(self._g(_points("r", r)))))

    def logcdf(self, r: Any) -> Any:
        """Return log F(r)."""
        return _as_given(-np.exp(self._g(_points("r", r))))

    def logsf(self, r: Any) -> Any:
        """Return log(1 - F(r))."""
        g = self._g(_points("r", r))
        with np.errstate(divide="ignore"):
            # 1 - F = -log F to rounding where that is small; where F is 0 to rounding its log is 0.
            return _as_given(np.where(g < -40, g, np.log(-np.expm1(-np.exp(np.maximum(g, -40.0))))))

    def pdf(self, r: Any) -> Any:
        """Return the density F'(r)."""
        r = _points("r", r)
        g = self._g(r)
        inside = np.isfinite(g)
        density = np.zeros(np.shape(r))
        at = r[inside]
        density[inside] = -np.exp(g[inside] - np.exp(g[inside])) * self._g_slope(at)
        density[np.isnan(g)] = np.nan
        return _as_given(density)

    def ppf(self, q: Any) -> Any:
        """Return the r at which F(r) = `q`; NaN outside of [0, 1]; InputError below what the law is known to."""
        q = self._probability(q, self.known_down_to[0])
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._quantile(np.log(-np.log(q)))

    def isf(self, q: Any) -> Any:
        """Return the r at which 1 - F(r) = `q`, as `ppf` does. 1 - q is never formed: q may be 1e-300."""
        q = self._probability(q, self.known_down_to[1])
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._quantile(np.log(-np.log1p(-q)))

    @staticmethod
    def _probability(q: Any, least: float) -> np.ndarray:
        q = _points("q", q)
        unknown = (q > 0) & (q < least)
        if unknown.any():
            first = float(q[unknown].flat[0])
            raise checks.InputError(
                f"q must be 0 or at least {least:g}, where knowledge of the law ends, got {first!r}"
            )
        return q

    def _quantile(self, g: np.ndarray) -> Any:
        low, high = self.support()
        result = np.where(np.isnan(g), np.nan, np.where(g > 0, low, high))
        inside = np.isfinite(g)
        result[inside] = self._g_inverse(g[inside])
        return _as_given(result)

    def rvs(self, size: Any = 1, *, rng: Any = None) -> np.ndarray:
        """Return `size` independent draws (an int or a shape), by inversion of the distribution function."""
        shape = tuple(checks.integer("size", n) for n in np.atleast_1d(np.asarray(size, dtype=object)))
        uniform = checks.generator(rng).random(shape)
        return self.ppf(np.maximum(uniform, 2.0**-54))
