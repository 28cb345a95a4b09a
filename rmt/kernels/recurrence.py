"""Norms of given recurrences, W^k v and h_t = W h_{t-1} + x_t, with a scale that never overflows.

W is a matrix (n, n), or the diagonal (n,) of a diagonal one. The S sequences of a call share W: `h` (S, n) holds their
states, which stand for ``h[s] * 2.0**exponents[s]`` and are advanced in place. A squared norm is
``squares[s, t] * 4.0**powers[s, t]``. Powers of two are exact, so the scale never rounds anything.
All arrays are C-contiguous and of one type, float64 or complex128.
"""

from __future__ import annotations

import math

import numpy as np

from rmt.kernels.compile import kernel
from rmt.kernels.product import multiply_packed, pack, panels_for, workspace

# A state is rescaled when its squared norm leaves [LOW, HIGH]; then one more product and sum still fit in a double.
LOW = 2.0**-128
HIGH = 2.0**128
WIDE = 64
# The constant that torch.nn.LayerNorm adds to the variance.
LAYER_NORM_EPS = 1e-5


@kernel(fastmath={"reassoc", "contract", "nsz"}, forceinline=True)
def _square(row: np.ndarray) -> float:
    total = 0.0
    for j in range(len(row)):
        total += row[j].real * row[j].real + row[j].imag * row[j].imag
    return total


@kernel(forceinline=True)
def _magnitude(row: np.ndarray) -> tuple[bool, int]:
    """Return whether `row` is zero, and an e with all its entries below 2^e, and not by far."""
    square = _square(row)
    if LOW < square < HIGH:  # the sum of squares is many times faster than a maximum
        return False, math.frexp(math.sqrt(square))[1]
    peak = 0.0
    for j in range(len(row)):
        peak = max(peak, abs(row[j].real), abs(row[j].imag))
    return peak == 0.0, math.frexp(peak)[1]


@kernel
def _multiply(row: np.ndarray, exponent: int) -> None:
    """Multiply `row` by 2^exponent; the two factors are doubles wherever the result is."""
    half = exponent // 2
    row *= math.ldexp(1.0, half)
    row *= math.ldexp(1.0, exponent - half)


@kernel(forceinline=True)
def _fit(row: np.ndarray, exponent: int) -> tuple[float, int]:
    """Rescale `row` where it has left the window; return its square and its new exponent (0 for a zero row)."""
    square = _square(row)
    if LOW < square < HIGH:
        return square, exponent
    zero, size = _magnitude(row)
    if zero:
        return 0.0, 0
    _multiply(row, -size)
    return _square(row), exponent + size


@kernel(forceinline=True)
def _fit_matrix(W: np.ndarray) -> tuple[np.ndarray, int]:
    """Return W = V * 2^shift, with W itself for V wherever its largest entry is in a safe window."""
    zero, size = _magnitude(W.ravel())
    if zero or abs(size) <= WIDE:
        return W, 0
    V = W.copy()
    _multiply(V.ravel(), -size)
    return V, size


@kernel(forceinline=True)
def _add_input(x: np.ndarray, row: np.ndarray, exponent: int) -> int:
    """Add x to row * 2^exponent; return the new exponent."""
    zero, size = _magnitude(x)
    if zero:
        return exponent
    if size > exponent + WIDE:
        _multiply(row, exponent - size)
        exponent = size
    half = -exponent // 2
    first = math.ldexp(1.0, half)
    second = math.ldexp(1.0, -exponent - half)
    for j in range(len(row)):
        row[j] += x[j] * first * second
    return exponent


@kernel(forceinline=True)
def _layer_norm(row: np.ndarray, exponent: int) -> int:
    """Replace a = row * 2^exponent by (a - mean) / sqrt(var + eps), var = mean |a - mean|^2; return the exponent."""
    row -= row.mean()
    variance = _square(row) / len(row)
    if exponent < 0:
        row /= math.sqrt(math.ldexp(variance, 2 * exponent) + LAYER_NORM_EPS)
        return exponent
    row /= math.sqrt(variance + math.ldexp(LAYER_NORM_EPS, -2 * exponent))
    return 0


def power(W: np.ndarray, h: np.ndarray, exponents: np.ndarray, squares: np.ndarray, powers: np.ndarray) -> None:
    """Fill squared norms (S, T + 1) of h, W h, ..., W^T h."""
    _power(W, panels_for(W, len(h), squares.shape[1] - 1), h, exponents, squares, powers)


@kernel
def _power(W, panels, h, exponents, squares, powers):  # type: ignore[no-untyped-def]
    n = h.shape[1]
    W, shift = _fit_matrix(W)
    pack(W, panels)
    groups, state, image = workspace(panels, h)
    for k in range(squares.shape[1]):
        if k > 0:
            multiply_packed(W, panels, groups, state, image)
            state, image = image, state
            exponents += shift
        for s in range(len(h)):
            squares[s, k], exponents[s] = _fit(state[s, :n], exponents[s])
            powers[s, k] = exponents[s]
    h[:] = state[: len(h), :n]


def hidden(
    W: np.ndarray,
    x: np.ndarray,
    h: np.ndarray,
    exponents: np.ndarray,
    layer_norm: bool,
    squares: np.ndarray,
    powers: np.ndarray,
) -> None:
    """Fill squared norms (S, T) of h_t = W h_{t-1} + x_t for inputs x (S, T, n), or of these before a layer norm."""
    _hidden(W, panels_for(W, len(h), x.shape[1]), x, h, exponents, layer_norm, squares, powers)


@kernel
def _hidden(W, panels, x, h, exponents, layer_norm, squares, powers):  # type: ignore[no-untyped-def]
    n = h.shape[1]
    W, shift = _fit_matrix(W)
    pack(W, panels)
    groups, state, image = workspace(panels, h)
    for t in range(x.shape[1]):
        multiply_packed(W, panels, groups, state, image)
        state, image = image, state
        for s in range(len(h)):
            _, exponent = _fit(state[s, :n], exponents[s] + shift)
            exponent = _add_input(x[s, t], state[s, :n], exponent)
            squares[s, t], exponents[s] = _fit(state[s, :n], exponent)
            powers[s, t] = exponents[s]
            if layer_norm:
                exponents[s] = _layer_norm(state[s, :n], exponents[s])
    h[:] = state[: len(h), :n]
