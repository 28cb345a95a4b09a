"""Norms of Gaussian recurrences without the matrix: exact in law, O(T^2) memory at any n.

Each function draws one sample from `rng` and fills `squares` and `exponents`: a squared norm is
``squares[t] * 4.0**exponents[t]``. The scale of W enters the same way, as mantissa * 2**shift, so that nothing
overflows at any number of steps or any scale. `parts` is 1 for the real field and 2 for the complex one.

A complex row z stands as two real rows, z and i z, each with real and imaginary parts side by side. The real
products of a row w with these two are the real and imaginary part of <z, w>, and a z + b (i z) = (a + ib) z: so
real arithmetic serves both fields.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator

from rmt.kernels.compile import kernel

# Sums may be taken in any order, which lets the compiler use vector instructions; nothing else is relaxed.
REASSOCIATE = {"reassoc", "contract", "nsz"}
# C_tt^2 below this fraction of scale^2 |h_{t-1}|^2 / n is lost in rounding.
RESOLVED = 2.0**-44
BLOCK = 4
# Rows are padded with zeros to a multiple of this, so that vector loops leave no remainder.
LANES = 8


@kernel
def _padded(width: int) -> int:
    return (width + LANES - 1) // LANES * LANES


@kernel
def _chi(rng: Generator, freedom: int, parts: int) -> float:
    """Length of a standard Gaussian vector of `freedom` components, real or complex of E|z|^2 = 1."""
    if parts == 2:
        return math.sqrt(rng.standard_gamma(freedom))
    return math.sqrt(2.0 * rng.standard_gamma(0.5 * freedom))


@kernel
def _fill_normal(rng: Generator, row: np.ndarray, parts: int) -> None:
    """Fill `row` with N(0, 1), or with the parts of CN(0, 1)."""
    std = math.sqrt(1.0 / parts)
    for j in range(len(row)):
        row[j] = std * rng.standard_normal()


@kernel(fastmath=REASSOCIATE, forceinline=True)
def _square(row: np.ndarray) -> float:
    total = 0.0
    for j in range(len(row)):
        total += row[j] * row[j]
    return total


@kernel(forceinline=True)
def _unit(row: np.ndarray, exponent: int) -> tuple[float, int]:
    """Scale `row` by a power of two to a length in [1/2, 2); return its square and the exponent that restores it."""
    square = _square(row)
    if 0.25 <= square < 4.0:
        return square, exponent
    shift = math.frexp(math.sqrt(square))[1]
    row *= math.ldexp(1.0, -shift)
    return _square(row), exponent + shift


@kernel(fastmath=REASSOCIATE, forceinline=True)
def _regress(
    N: np.ndarray,
    B: np.ndarray,
    first: int,
    width: int,
    variance: float,
    last: np.ndarray,
    rest: np.ndarray,
    state: np.ndarray,
) -> float:
    """Regress `last` on BLOCK rows of N: for c = variance N last, rest -= c N and state += c B; return |c|^2."""
    n0, n1, n2, n3 = N[first], N[first + 1], N[first + 2], N[first + 3]
    b0, b1, b2, b3 = B[first], B[first + 1], B[first + 2], B[first + 3]
    c0 = c1 = c2 = c3 = 0.0
    for j in range(width):
        c0 += n0[j] * last[j]
        c1 += n1[j] * last[j]
        c2 += n2[j] * last[j]
        c3 += n3[j] * last[j]
    c0 *= variance
    c1 *= variance
    c2 *= variance
    c3 *= variance
    for j in range(width):
        rest[j] -= c0 * n0[j] + c1 * n1[j] + c2 * n2[j] + c3 * n3[j]
        state[j] += c0 * b0[j] + c1 * b1[j] + c2 * b2[j] + c3 * b3[j]
    return c0 * c0 + c1 * c1 + c2 * c2 + c3 * c3


@kernel
def _store(rows: np.ndarray, t: int, row: np.ndarray, parts: int) -> None:
    """Let `row` be row t of `rows`: z, and in the complex case i z below it."""
    rows[parts * t, : len(row)] = row
    if parts == 2:
        for j in range(0, len(row), 2):
            rows[2 * t + 1, j] = -row[j + 1]
            rows[2 * t + 1, j + 1] = row[j]


@kernel
def hidden(rng: Generator, n: int, parts: int, scale: float, squares: np.ndarray, exponents: np.ndarray) -> None:
    """Sample ||h_t||^2, t = 1..T, of h_t = W h_{t-1} + x_t, h_0 = 0, for Ginibre W and Gaussian x_t.

    The Gram matrix of h_1..h_T is L L^H with L = C B: B the Bartlett factor of Gaussian vectors, and
    C C^H = I + (scale^2/n) (Z L)(Z L)^H, Z the down shift. C and L grow row by row, with N = C^{-1} Z L.
    """
    steps = len(squares)
    mantissa, shift = math.frexp(scale)
    variance = mantissa * mantissa / n
    rank = min(steps, n)
    # Rows t of N and B are zero until drawn and beyond their t columns, so that whole blocks can be taken.
    rows = (parts * steps + BLOCK - 1) // BLOCK * BLOCK
    N = np.zeros((rows, _padded(parts * rank)))
    B = np.zeros((rows, _padded(parts * rank)))
    last = np.zeros(_padded(parts * rank))
    square = 0.0
    exponent = 0
    for t in range(steps):
        width = parts * min(t + 1, rank)
        if t > 0:
            exponent += shift
        if exponent < 0:  # the inputs outweigh W h: let them set the scale
            last *= math.ldexp(1.0, exponent)
            square *= math.ldexp(1.0, 2 * exponent)
            exponent = 0
        innovation = math.ldexp(1.0, -2 * exponent)
        rest = last[: _padded(width)].copy()
        state = np.zeros(len(rest))
        explained = 0.0
        for first in range(0, parts * t, BLOCK):
            # Rows of N and B have at most as many entries as their number, so a block needs no later columns.
            columns = min(_padded(first + BLOCK), len(rest))
            explained += _regress(N, B, first, columns, variance, last, rest, state)
        unexplained = innovation + variance * square - explained
        if unexplained > max(innovation, RESOLVED * variance * square):
            spread = math.sqrt(unexplained)
            rest /= spread
            _store(N, t, rest[:width], parts)
        else:
            # W h_{t-1} is known up to rounding: nothing is learnt about W, and row t of N stays zero.
            spread = math.sqrt(innovation)
        fresh = np.empty(width)
        below = parts * min(t, n)
        _fill_normal(rng, fresh[:below], parts)
        if t < n:
            fresh[below:] = 0.0
            fresh[below] = _chi(rng, n - t, parts)
        _store(B, t, fresh, parts)

        state[:width] += spread * fresh
        square, exponent = _unit(state, exponent)
        last[: len(state)] = state
        squares[t] = square
        exponents[t] = exponent


@kernel
def power(rng: Generator, n: int, parts: int, scale: float, squares: np.ndarray, exponents: np.ndarray) -> None:
    """Sample ||W^k v||^2, k = 0..T, for Ginibre W and a unit vector v independent of it.

    In the basis that Householder or Arnoldi build from v, G is a Hessenberg matrix of independent entries, N(0, 1)
    on and above the diagonal and chi_{n-j} below it, and v = e_1. W^k v needs its first k columns only.
    """
    steps = len(squares) - 1
    mantissa, shift = math.frexp(scale)
    factor = mantissa / math.sqrt(n)
    rank = min(steps + 1, n)
    # Row j holds column j of the Hessenberg matrix, its entries (j + 1, j) and above.
    columns = np.zeros((parts * rank, parts * rank))
    v = np.zeros(parts * rank)
    v[0] = 1.0
    square = 1.0
    exponent = 0
    squares[0] = square
    exponents[0] = exponent
    for k in range(steps):
        if k < rank:
            column = np.zeros(parts * min(k + 2, rank))
            above = parts * (k + 1)
            _fill_normal(rng, column[:above], parts)
            if k + 1 < rank:
                column[above] = _chi(rng, n - k - 1, parts)
            column *= factor
            _store(columns, k, column, parts)
        image = np.zeros(parts * min(k + 2, rank))
        for j in range(parts * min(k + 1, rank)):
            width = min(parts * (j // parts + 2), len(image))
            _add_multiple(v[j], columns[j, :width], image)
        square, exponent = _unit(image, exponent + shift)
        v[: len(image)] = image
        squares[k + 1] = square
        exponents[k + 1] = exponent


@kernel
def _add_multiple(factor: float, row: np.ndarray, total: np.ndarray) -> None:
    for j in range(len(row)):
        total[j] += factor * row[j]


@kernel
def _unit_square(square: float, exponent: int) -> tuple[float, int]:
    """Scale `square` by a power of four into [1/4, 1); return it and the exponent that restores it."""
    shift = math.frexp(math.sqrt(square))[1]
    return math.ldexp(square, -2 * shift), exponent + shift


@kernel
def product_power(rng: Generator, n: int, parts: int, scale: float, squares: np.ndarray, exponents: np.ndarray) -> None:
    """Sample ||W_k .. W_1 v||^2, k = 0..T, for independent Ginibre W_k: each multiplies it by scale^2 chi^2 / n."""
    mantissa, shift = math.frexp(scale)
    square = 1.0
    exponent = 0
    squares[0] = square
    exponents[0] = exponent
    for k in range(1, len(squares)):
        square *= (mantissa * _chi(rng, n, parts)) ** 2 / n
        square, exponent = _unit_square(square, exponent + shift)
        squares[k] = square
        exponents[k] = exponent


@kernel
def product_hidden(
    rng: Generator, n: int, parts: int, scale: float, squares: np.ndarray, exponents: np.ndarray
) -> None:
    """Sample ||h_t||^2, t = 1..T, for independent W_t: h_t is N(0, (1 + scale^2 ||h_{t-1}||^2 / n) I)."""
    mantissa, shift = math.frexp(scale)
    square = 0.0
    exponent = 0
    for t in range(len(squares)):
        if t > 0:
            exponent += shift
        if exponent < 0:  # the inputs outweigh W h: let them set the scale
            square *= math.ldexp(1.0, 2 * exponent)
            exponent = 0
        square = (math.ldexp(1.0, -2 * exponent) + mantissa * mantissa * square / n) * _chi(rng, n, parts) ** 2
        square, exponent = _unit_square(square, exponent)
        squares[t] = square
        exponents[t] = exponent
