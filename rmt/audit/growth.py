"""How the hidden state of h_t = W h_{t-1} + x_t grows, for a given W and white inputs: exactly, in O(log T) products.

With h_0 = 0 and inputs of mean zero and covariance I, independent from step to step,

    E||h_t||^2 / n = S_t = (1/n) sum_{k<t} ||W^k||_F^2.

P_t = sum_{k<t} W^k W^k* doubles by P_{2t} = P_t + W^t P_t W^t*, and W^t by its square. Every matrix carries a power of
two, so that nothing overflows at any t. The recurrence is given in Schur form: the norms are the same, and the diagonal
of every power is that of the eigenvalues, however far from normal W is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

FLOAT32 = float(np.log(np.finfo(np.float32).max))  # log 3.4e38


class Growth(Protocol):
    """S_t of one recurrence, as its natural logarithm, for t = 1, ..., `steps`."""

    steps: int

    def log_mean_square(self, t: int) -> float:
        """Return log S_t, 1 <= t <= steps."""

    def first_beyond(self, log_mean_square: float) -> int | None:
        """Return the first step t <= steps at which log S_t exceeds a value."""

    def curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Return some steps t up to `steps`, a few in each octave, and log S_t there."""


class _Scaled(NamedTuple):
    """A matrix, or a number, times a power of two."""

    matrix: np.ndarray
    exponent: int

    @classmethod
    def of(cls, matrix: np.ndarray, exponent: int = 0) -> _Scaled:
        """Scale a matrix so that its largest part is in [1/2, 1)."""
        largest = float(np.abs(matrix).max())
        if largest == 0:
            return cls(matrix, 0)
        shift = math.frexp(largest)[1]
        return cls(matrix * 2.0**-shift, exponent + shift)

    def __matmul__(self, other: _Scaled) -> _Scaled:
        return _Scaled.of(self.matrix @ other.matrix, self.exponent + other.exponent)

    def plus(self, other: _Scaled) -> _Scaled:
        """Return the sum."""
        if not other.matrix.any():
            return self
        low, high = sorted((self, other), key=lambda scaled: scaled.exponent)
        small = math.ldexp(1.0, max(low.exponent - high.exponent, -1100))
        return _Scaled.of(high.matrix + small * low.matrix, high.exponent)

    def adjoint(self) -> _Scaled:
        """Return the conjugate transpose."""
        return _Scaled(self.matrix.conj().T, self.exponent)


def _log_trace(A: _Scaled, B: _Scaled) -> float:
    """Return log tr(A B) of two positive semidefinite matrices."""
    trace = float(np.vdot(B.matrix, A.matrix).real)
    return math.log(trace) + math.log(2) * (A.exponent + B.exponent) if trace > 0 else -math.inf


class DenseGrowth:
    """Growth of a dense recurrence.

    Parameters
    ----------
    W : ndarray of shape (n, n)
        In Schur form; entries up to 1e100 in modulus.
    steps : int
        The last step T. Memory is 2 log2(T) matrices of the size of W.
    """

    def __init__(self, W: np.ndarray, steps: int) -> None:
        self.n, self.steps = len(W), steps
        power, gramian = _Scaled.of(W), _Scaled.of(np.eye(len(W), dtype=W.dtype))
        self._levels = [(power, gramian)]  # W^t and P_t for t = 1, 2, 4, ...
        while 2 ** len(self._levels) <= steps:
            gramian = gramian.plus(power @ gramian @ power.adjoint())
            power = power @ power
            self._levels.append((power, gramian))
        self._last = self._descend(lambda t, _: t <= steps)[1]

    def _descend(self, accepted: Callable[[int, float], bool]) -> tuple[int, float]:
        """Return the largest t, and log S_t, for which accepted(t, log S_t); where it fails it fails ever after."""
        t, value = 0, -math.inf
        visited = _Scaled.of(np.eye(self.n, dtype=self._levels[0][0].matrix.dtype))  # V = W^t* W^t
        pending: _Scaled | None = None  # a power that V still lacks
        for level in reversed(range(len(self._levels))):
            power, gramian = self._levels[level]
            further = t + 2**level
            if further > self.steps:
                continue
            if pending is not None:
                visited, pending = pending.adjoint() @ (visited @ pending), None
            sum_ = float(np.logaddexp(value, _log_trace(visited, gramian) - math.log(self.n)))
            if accepted(further, sum_):
                t, value, pending = further, sum_, power
        return t, value

    def log_mean_square(self, t: int) -> float:
        """Return log S_t, 1 <= t <= steps."""
        return self._last if t == self.steps else self._descend(lambda further, _: further <= t)[1]

    def first_beyond(self, log_mean_square: float) -> int | None:
        """Return the first step t <= steps at which log S_t exceeds a value."""
        if self._last <= log_mean_square:
            return None
        return self._descend(lambda _, value: value <= log_mean_square)[0] + 1

    def curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Return t = 1, 2, ... and three points in each octave, up to `steps`, and log S_t there."""
        points = {self.steps: self._last}
        eye = _Scaled.of(np.eye(self.n))
        for level, (power, gramian) in enumerate(self._levels):
            value = _log_trace(eye, gramian) - math.log(self.n)
            points[2**level] = value
            visited = power.adjoint() @ power
            for lower in (level - 2, level - 1):
                t = 2**level + 2**lower if lower >= 0 else self.steps + 1
                if t <= self.steps:
                    further = _log_trace(visited, self._levels[lower][1]) - math.log(self.n)
                    points[t] = float(np.logaddexp(value, further))
        t = np.array(sorted(points))
        return t, np.array([points[step] for step in t.tolist()])


class DiagonalGrowth:
    """Growth of a diagonal recurrence, S_t = (1/n) sum_i (1 - |lambda_i|^2t) / (1 - |lambda_i|^2).

    Parameters
    ----------
    moduli : ndarray of shape (n,)
        |lambda_i|.
    steps : int
        The last step.
    """

    def __init__(self, moduli: np.ndarray, steps: int) -> None:
        self.steps = steps
        with np.errstate(divide="ignore"):
            self._log_squares = 2 * np.log(moduli)

    def log_mean_square(self, t: int) -> float:
        """Return log S_t, t >= 1."""
        x = self._log_squares
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.where(x == 0, math.log(t), _log_expm1(t * x) - _log_expm1(x))
        top = logs.max()
        return float(top + math.log(np.exp(logs - top).mean()))

    def first_beyond(self, log_mean_square: float) -> int | None:
        """Return the first step t <= steps at which log S_t exceeds a value."""
        if self.log_mean_square(self.steps) <= log_mean_square:
            return None
        low, high = 0, self.steps  # S_low does not exceed it, S_high does
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.log_mean_square(middle) > log_mean_square else (middle, high)
        return high

    def curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Return steps from 1 to `steps`, at most 200, evenly spaced in their logarithm, and log S_t there."""
        t = np.unique(np.geomspace(1, self.steps, 200).round().astype(np.int64))
        return t, np.array([self.log_mean_square(step) for step in t.tolist()])


def _log_expm1(y: np.ndarray) -> np.ndarray:
    """Return log|exp(y) - 1| without overflow or cancellation."""
    return np.maximum(y, 0) + np.log(-np.expm1(-np.abs(y)))
