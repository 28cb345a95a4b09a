"""Norms of Gaussian recurrences without the matrix: exact in law, O(T^2) memory at any n.

Each function turns the draws of one sample, independent normal and chi variables in the order in which they are met,
into its norms: it fills `squares` and `exponents`, and a squared norm is ``squares[t] * 4.0**exponents[t]``. The scale
of W enters the same way, as mantissa * 2**shift, so that nothing overflows at any number of steps or any scale.
`parts` is 1 for the real field and 2 for the complex one, where all draws are divided by sqrt(2).

A complex row z stands as two real rows, z and i z, each with real and imaginary parts side by side. The real
products of a row w with these two are the real and imaginary part of <z, w>, and a z + b (i z) = (a + ib) z: so
real arithmetic serves both fields.
"""

from __future__ import annotations

import math

import numpy as np

from rmt.kernels.compile import kernel

# Sums may be taken in any order, which lets the compiler use vector instructions; nothing else is relaxed.
REASSOCIATE = {"reassoc", "contract", "nsz"}
# C_tt^2 below this fraction of scale^2 |h_{t-1}|^2 / n is lost in rounding.
RESOLVED = 2.0**-44
BLOCK = 4
# Rows are padded with zeros to a multiple of this, so that vector loops leave no remainder. It is a cache line too.
LANES = 8


@kernel
def _padded(width: int) -> int:
    return (width + LANES - 1) // LANES * LANES


@kernel(forceinline=True)
def _width(block: int, columns: int) -> int:
    """Return the length to which the rows of a block are stored: row t has no entries beyond its number."""
    return min(_padded(BLOCK * (block + 1)), columns)


@kernel
def _packed(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Return memory for N and B, zeros, and where each block starts in it.

    A block is BLOCK rows of N, then the same of B: what is met together lies together, in half the memory of two
    squares. It starts at a cache line: where an array starts in memory can cost a quarter of the time.
    """
    blocks = (rows + BLOCK - 1) // BLOCK
    starts = np.zeros(blocks + 1, np.int64)
    for i in range(blocks):
        starts[i + 1] = starts[i] + 2 * BLOCK * _width(i, columns)
    memory = np.zeros(starts[blocks] + LANES)
    first = -(memory.ctypes.data // memory.itemsize) % LANES
    return memory[first : first + starts[blocks]], starts


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
    memory: np.ndarray,
    starts: np.ndarray,
    known: int,
    backwards: bool,
    variance: float,
    last: np.ndarray,
    rest: np.ndarray,
    state: np.ndarray,
) -> float:
    """Regress `last` on `known` rows of N: for c = variance N last, rest -= c N and state += c B; return |c|^2.

    Each inner loop writes to one array, no row is named and no index has a sign: otherwise the compiler looks for
    overlaps, counts references, or looks for negative indices in the loop, and that takes a third of the time or more.
    """
    explained = 0.0
    blocks = (known + BLOCK - 1) // BLOCK
    for i in range(blocks):
        block = blocks - 1 - i if backwards else i
        width = np.uint64(_width(block, len(last)))
        row0 = np.uint64(starts[block])
        row1 = row0 + width
        row2 = row1 + width
        row3 = row2 + width
        c0 = c1 = c2 = c3 = 0.0
        for j in range(width):
            c0 += memory[row0 + j] * last[j]
            c1 += memory[row1 + j] * last[j]
            c2 += memory[row2 + j] * last[j]
            c3 += memory[row3 + j] * last[j]
        c0 *= variance
        c1 *= variance
        c2 *= variance
        c3 *= variance
        for j in range(width):
            rest[j] -= c0 * memory[row0 + j] + c1 * memory[row1 + j] + c2 * memory[row2 + j] + c3 * memory[row3 + j]
        row0 = row3 + width
        row1 = row0 + width
        row2 = row1 + width
        row3 = row2 + width
        for j in range(width):
            state[j] += c0 * memory[row0 + j] + c1 * memory[row1 + j] + c2 * memory[row2 + j] + c3 * memory[row3 + j]
        explained += c0 * c0 + c1 * c1 + c2 * c2 + c3 * c3
    return explained


@kernel
def _turn(row: np.ndarray, turned: np.ndarray) -> None:
    """Let `turned` be i times `row`."""
    for j in range(0, len(row), 2):
        turned[j] = -row[j + 1]
        turned[j + 1] = row[j]


@kernel
def hidden(draws: np.ndarray, n: int, parts: int, scale: float, squares: np.ndarray, exponents: np.ndarray) -> None:
    """Sample ||h_t||^2, t = 1..T, of h_t = W h_{t-1} + x_t, h_0 = 0, for Ginibre W and Gaussian x_t.

    The Gram matrix of h_1..h_T is L L^H with L = C B: B the Bartlett factor of Gaussian vectors, and
    C C^H = I + (scale^2/n) (Z L)(Z L)^H, Z the down shift. C and L grow row by row, with N = C^{-1} Z L.

    Row t = 0..T-1 takes parts * min(t, n) normals, then, if t < n, a chi of parts * (n - t) degrees of freedom.
    """
    steps = len(squares)
    mantissa, shift = math.frexp(scale)
    variance = mantissa * mantissa / n
    std = math.sqrt(1.0 / parts)
    rank = min(steps, n)
    columns = _padded(parts * rank)
    # Rows t of N and B are zero until drawn and beyond their t columns, so that whole blocks can be taken.
    memory, starts = _packed(parts * steps, columns)
    last = np.zeros(columns)
    rest = np.zeros(columns)
    state = np.zeros(columns)
    square = 0.0
    exponent = 0
    drawn = 0
    for t in range(steps):
        below = parts * min(t, n)
        block, row = divmod(parts * t, BLOCK)
        width = _width(block, columns)
        at = starts[block] + row * width
        if t > 0:
            exponent += shift
        if exponent < 0:  # the inputs outweigh W h: let them set the scale
            last *= math.ldexp(1.0, exponent)
            square *= math.ldexp(1.0, 2 * exponent)
            exponent = 0
        innovation = math.ldexp(1.0, -2 * exponent)
        for j in range(width):
            rest[j] = last[j]
            state[j] = 0.0
        # There and back again: what the last step used last is still in the cache.
        explained = _regress(memory, starts, parts * t, t % 2 == 1, variance, last, rest, state)
        unexplained = innovation + variance * square - explained
        if unexplained > max(innovation, RESOLVED * variance * square):
            spread = math.sqrt(unexplained)
            inverse = 1.0 / spread
            for j in range(width):
                memory[at + j] = inverse * rest[j]
            if parts == 2:
                _turn(memory[at : at + width], memory[at + width : at + 2 * width])
        else:
            # W h_{t-1} is known up to rounding: nothing is learnt about W, and row t of N stays zero.
            spread = math.sqrt(innovation)
        at += BLOCK * width
        fresh = below + 1 if t < n else below
        for j in range(fresh):
            memory[at + j] = std * draws[drawn + j]
        drawn += fresh
        if parts == 2:
            _turn(memory[at : at + width], memory[at + width : at + 2 * width])

        for j in range(width):
            state[j] += spread * memory[at + j]
        square, exponent = _unit(state[:width], exponent)
        for j in range(width):
            last[j] = state[j]
        squares[t] = square
        exponents[t] = exponent


@kernel
def power(draws: np.ndarray, n: int, parts: int, scale: float, squares: np.ndarray, exponents: np.ndarray) -> None:
    """Sample ||W^k v||^2, k = 0..T, for Ginibre W and a unit vector v independent of it.

    In the basis that Householder or Arnoldi build from v, G is a Hessenberg matrix of independent entries, N(0, 1)
    on and above the diagonal and chi_{n-j} below it, and v = e_1. W^k v needs its first k columns only.

    Column k = 0..min(T, n)-1 takes parts * (k + 1) normals, then, if k + 1 < n, a chi of parts * (n - 1 - k) degrees
    of freedom.
    """
    steps = len(squares) - 1
    mantissa, shift = math.frexp(scale)
    std = mantissa / (math.sqrt(parts) * math.sqrt(n))
    rank = min(steps + 1, n)
    # Row j holds column j of the Hessenberg matrix, its entries (j + 1, j) and above.
    columns = np.zeros((parts * rank, parts * rank))
    v = np.zeros(parts * rank)
    v[0] = 1.0
    square = 1.0
    exponent = 0
    squares[0] = square
    exponents[0] = exponent
    drawn = 0
    for k in range(steps):
        if k < rank:
            above = parts * (k + 1)
            fresh = above + 1 if k + 1 < n else above
            for j in range(fresh):
                columns[parts * k, j] = std * draws[drawn + j]
            drawn += fresh
            if parts == 2:
                width = parts * min(k + 2, rank)
                _turn(columns[2 * k, :width], columns[2 * k + 1, :width])
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
def product_power(
    draws: np.ndarray, n: int, parts: int, scale: float, squares: np.ndarray, exponents: np.ndarray
) -> None:
    """Sample ||W_k .. W_1 v||^2, k = 0..T, for independent Ginibre W_k: each multiplies it by scale^2 chi^2 / n.

    The draws are T chis of parts * n degrees of freedom.
    """
    mantissa, shift = math.frexp(scale)
    square = 1.0
    exponent = 0
    squares[0] = square
    exponents[0] = exponent
    for k in range(1, len(squares)):
        square *= (mantissa * draws[k - 1]) ** 2 / parts / n
        square, exponent = _unit_square(square, exponent + shift)
        squares[k] = square
        exponents[k] = exponent


@kernel
def product_hidden(
    draws: np.ndarray, n: int, parts: int, scale: float, squares: np.ndarray, exponents: np.ndarray
) -> None:
    """Sample ||h_t||^2, t = 1..T, for independent W_t: h_t is N(0, (1 + scale^2 ||h_{t-1}||^2 / n) I).

    The draws are T chis of parts * n degrees of freedom.
    """
    mantissa, shift = math.frexp(scale)
    square = 0.0
    exponent = 0
    for t in range(len(squares)):
        if t > 0:
            exponent += shift
        if exponent < 0:  # the inputs outweigh W h: let them set the scale
            square *= math.ldexp(1.0, 2 * exponent)
            exponent = 0
        square = (math.ldexp(1.0, -2 * exponent) + mantissa * mantissa * square / n) * draws[t] ** 2 / parts
        square, exponent = _unit_square(square, exponent)
        squares[t] = square
        exponents[t] = exponent
