"""Normal and chi variables in bulk, from random words, exact in law.

NumPy's own normals take twice as long: each calls the generator, and branches on a random sign. Here the words come
all at once, and the sign is that of the integer which a word holds.

Sources: Marsaglia & Tsang (2000), J. Stat. Softw. 5 (8), the ziggurat; Marsaglia & Tsang (2000), ACM Trans. Math.
Softw. 26, 363-372, gamma variables from normal ones.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.random import BitGenerator

from rmt.kernels.compile import kernel

# The half density f(x) = exp(-x^2/2) is covered by 256 layers of one area. Layer i > 0 lies between the heights
# f(x_i) and f(x_{i-1}): left of x_{i-1} all of it is below f, right of x_i nothing; x_0 = 0, x_255 = EDGE. Layer 0 is
# all that is below the height f(EDGE): a rectangle as far as EDGE, and the tail beyond.
LAYERS = 256
EDGE = 3.6541528853610088
# A word is a layer, its lowest 8 bits, and an integer from -STEPS to STEPS - 1, its highest 53.
STEPS = 1 << 52
# Words are drawn about this many at a time, which stay in the processor's cache until they are used.
CHUNK = 1 << 14


def _ziggurat() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each layer the width of a step, the number of steps that are below f for sure, and f(x_i)."""
    bottom = math.exp(-0.5 * EDGE * EDGE)
    area = EDGE * bottom + math.sqrt(0.5 * math.pi) * math.erfc(EDGE / math.sqrt(2))
    x = np.zeros(LAYERS)
    x[-1] = EDGE
    for i in range(LAYERS - 2, 0, -1):
        x[i] = math.sqrt(-2 * math.log(area / x[i + 1] + math.exp(-0.5 * x[i + 1] ** 2)))
    left = np.append(EDGE, x[:-1])
    right = np.append(area / bottom, x[1:])
    return right / STEPS, (left / right * STEPS).astype(np.int64), np.exp(-0.5 * x**2)


WIDTHS, SAFE, HEIGHTS = _ziggurat()


@kernel
def _uniform(word: int) -> float:
    """Turn a word into a uniform variable in the open interval (0, 1)."""
    return 0.5 + ((word >> 11) + 0.5) / (2 * STEPS)


@kernel
def _normal(words: np.ndarray, at: int) -> tuple[float, int]:
    """Return an N(0, 1) variable from words[at:] and the place behind its last word; past the end if they run out."""
    while at < len(words):
        layer = words[at] & (LAYERS - 1)
        step = words[at] >> 11
        at += 1
        x = step * WIDTHS[layer]
        if abs(step) < SAFE[layer]:
            return x, at
        if layer == 0:
            while at + 1 < len(words):
                beyond = -math.log(_uniform(words[at])) / EDGE
                height = -math.log(_uniform(words[at + 1]))
                at += 2
                if 2 * height > beyond * beyond:
                    return math.copysign(EDGE + beyond, x), at
            break
        if at == len(words):
            break
        height = HEIGHTS[layer] + _uniform(words[at]) * (HEIGHTS[layer - 1] - HEIGHTS[layer])
        at += 1
        if height < math.exp(-0.5 * x * x):
            return x, at
    return 0.0, len(words) + 1


@kernel
def _chi(words: np.ndarray, at: int, degrees: float) -> tuple[float, int]:
    """Return a chi variable of `degrees` degrees of freedom from words[at:], and as `_normal` does the place behind."""
    d = 0.5 * degrees - 1 / 3
    while True:
        x, at = _normal(words, at)
        if at >= len(words):
            return 0.0, len(words) + 1
        u = _uniform(words[at])
        at += 1
        y = x / math.sqrt(9 * d)
        # With v = (1 + y)^3, d v is accepted with probability exp(x^2/2 + d (log v - v + 1)).
        if y > -1 and math.log(u) < 0.5 * x * x + d * (3 * math.log1p(y) - y * (3 + y * (3 + y))):
            return math.sqrt(2 * d * (1 + y) ** 3), at


@kernel
def _fill(
    words: np.ndarray, out: np.ndarray, places: np.ndarray, degrees: np.ndarray, filled: int, chis: int
) -> tuple[int, int, int]:
    """Go on filling `out` from `words`; return how much is filled, how many chis are among it, how many words are used.

    A variable that needs more words than there are is left out, and takes none.
    """
    used = 0
    while True:
        stop = places[chis] if chis < len(places) else len(out)
        while filled < stop and used < len(words):
            layer = words[used] & (LAYERS - 1)
            step = words[used] >> 11
            out[filled] = step * WIDTHS[layer]
            end = used + 1
            if abs(step) >= SAFE[layer]:  # one in eighty; the others are spared the call
                out[filled], end = _normal(words, used)
                if end > len(words):
                    return filled, chis, used
            filled += 1
            used = end
        if filled < stop or chis == len(places):
            return filled, chis, used
        out[filled], end = _chi(words, used, degrees[chis])
        if end > len(words):
            return filled, chis, used
        filled += 1
        chis += 1
        used = end


def variates(bits: BitGenerator, count: int, places: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """Return `count` independent variables, one after the other from `bits`, a generator of 64-bit words.

    They are N(0, 1), but for those at `places` (int64, ascending): these are chi, with so many `degrees` of freedom
    (float64, >= 1).
    """
    out = np.empty(count)
    words = np.empty(0, np.int64)
    filled = chis = 0
    while filled < count:
        # In the mean a normal takes 1.02 words, and a chi variable a little more than two.
        more = min(count - filled + len(places) - chis, CHUNK)
        fresh = bits.random_raw(more + more // 32 + 8).view(np.int64)
        words = np.concatenate([words, fresh]) if len(words) else fresh
        filled, chis, used = _fill(words, out, places, degrees, filled, chis)
        words = words[used:]
    return out
