"""A piecewise polynomial that stands in for an expensive monotone function: built once, then fast."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev

from rmt.parallel import thread_map

_DEGREE = 9
_NODES = 32
# Where a panel is compared with the function: away from its nodes, and towards its ends.
_CHECKS = np.array([-0.987, -0.61, 0.03, 0.57, 0.985])


@dataclass(frozen=True)
class Interpolant:
    """A decreasing function on [low, high], as polynomials of degree 9 on panels of equal width.

    `coefficients[p, i]` multiplies t^p on panel i, where t runs over [-1, 1].
    """

    low: float
    high: float
    coefficients: np.ndarray
    table: tuple[np.ndarray, np.ndarray]  # values in increasing order, and where they are taken: a start for `inverse`

    def _locate(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        count = self.coefficients.shape[1]
        position = (y - self.low) * (count / (self.high - self.low))
        panel = np.clip(position.astype(np.intp), 0, count - 1)
        return panel, 2 * (position - panel) - 1

    def __call__(self, y: np.ndarray) -> np.ndarray:
        """Return the function at the points `y` of [low, high]."""
        panel, t = self._locate(y)
        result = self.coefficients[-1, panel]
        for row in self.coefficients[-2::-1]:
            result = result * t + row[panel]
        return result

    def with_slope(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the function and its derivative at the points `y` of [low, high]."""
        panel, t = self._locate(y)
        value, slope = self.coefficients[-1, panel], np.zeros_like(t)
        for row in self.coefficients[-2::-1]:
            slope = slope * t + value
            value = value * t + row[panel]
        return value, slope * (2 * self.coefficients.shape[1] / (self.high - self.low))

    def inverse(self, value: np.ndarray) -> np.ndarray:
        """Return the points of [low, high] at which the function takes the values `value`."""
        y = np.interp(value, *self.table)
        for _ in range(2):
            reached, slope = self.with_slope(y)
            y = np.clip(y - (reached - value) / slope, self.low, self.high)
        return y

    def rule(self) -> tuple[np.ndarray, np.ndarray]:
        """Return nodes and weights of a composite Gauss-Legendre rule that follows the panels."""
        nodes, weights = np.polynomial.legendre.leggauss(16)
        edges = np.linspace(self.low, self.high, self.coefficients.shape[1] + 1)
        half = np.diff(edges)[:, None] / 2
        return (edges[:-1, None] + half * (1 + nodes)).ravel(), (half * weights).ravel()


def interpolate(
    function: Callable[[float], float], low: float, high: float, error: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> Interpolant:
    """Interpolate `function` on [low, high].

    ``error(values, exact)`` is the error of interpolated values in units of the accuracy asked for. Panels of
    32 Chebyshev nodes are halved until it is below 1 at fresh points, or until they are too short to be the reason;
    then the panels are replaced by short ones of low degree, which are faster to evaluate.
    """
    pieces: list[tuple[float, float, np.ndarray]] = []
    split = low + 0.35 * (high - low)  # a law of extremes bends more in its lower part
    todo = [(split, high), (low, split)]
    nodes = chebyshev.chebpts1(_NODES)
    points = np.concatenate([nodes, _CHECKS])
    while todo:
        left, right = todo.pop()
        middle, half = (left + right) / 2, (right - left) / 2
        values = np.array(thread_map(function, middle + half * points, len(points)))
        series = chebyshev.chebfit(nodes, values[:_NODES], _NODES - 1)
        errors = error(chebyshev.chebval(_CHECKS, series), values[_NODES:])
        if np.all(errors < 1) or right - left < (high - low) / 500:
            pieces.append((left, right, series))
        else:
            todo += [(middle, right), (left, middle)]

    starts = np.array([left for left, _, _ in pieces])

    def evaluate(y: np.ndarray) -> np.ndarray:
        which = np.clip(np.searchsorted(starts, y, side="right") - 1, 0, len(pieces) - 1)
        result = np.empty_like(y)
        for i, (left, right, series) in enumerate(pieces):
            mine = which == i
            result[mine] = chebyshev.chebval((2 * y[mine] - left - right) / (right - left), series)
        return result

    count = 40
    while True:
        short = _short_panels(evaluate, low, high, count)
        y = low + (high - low) * (np.arange(4001) + 0.37) / 4001
        if np.all(error(short(y), evaluate(y)) < 0.1) or count >= 1280:
            return short
        count *= 2


def _short_panels(evaluate: Callable[[np.ndarray], np.ndarray], low: float, high: float, count: int) -> Interpolant:
    nodes = chebyshev.chebpts1(_DEGREE + 1)
    to_powers = np.linalg.inv(np.vander(nodes, increasing=True))
    width = (high - low) / count
    centres = low + width * (np.arange(count) + 0.5)
    values = evaluate((centres + width / 2 * nodes[:, None]).ravel()).reshape(_DEGREE + 1, count)
    grid = np.linspace(low, high, 4001)
    heights = evaluate(grid)
    if not np.all(np.diff(heights) < 0):
        raise ArithmeticError("the function to interpolate is not decreasing")
    return Interpolant(low, high, to_powers @ values, (heights[::-1].copy(), grid[::-1].copy()))


def find_level(function: Callable[[float], float], level: float, start: float, step: float) -> float:
    """Return a point where the decreasing `function` is `level`, or farther from 0 by up to 2%.

    From `start` by growing steps, then by bisection.
    """
    low = high = start
    if function(start) > level:
        while function(high) > level:
            low, high, step = high, high + step, 1.6 * step
    else:
        while function(low) <= level:
            high, low, step = low, low - step, 1.6 * step
    while True:
        middle = (low + high) / 2
        ratio = function(middle) / level
        if 1 <= ratio < 1.02 or math.isclose(low, high, rel_tol=1e-14):
            return middle
        low, high = (middle, high) if (ratio < 1) == (level < 0) else (low, middle)
