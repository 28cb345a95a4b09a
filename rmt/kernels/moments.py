"""Tables of the exact second moments of powers, as mantissa and exponent so that no power overflows."""

from __future__ import annotations

import math

import numpy as np

from rmt.kernels.compile import kernel


@kernel
def complex_power_table(n: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return E||W^k||_F^2 / n, k = 0..count-1, of a complex Ginibre matrix as (mantissa, exponent).

    The difference of the two products cancels digits where (k+1)^2 is small against n: use the series there.
    """
    mantissas = np.empty(count)
    exponents = np.empty(count, np.int64)
    rising, exponent = 1.0, 0  # prod (1 + j/n)
    ratio = 1.0  # prod (n-j)/(n+j), 0 from j = n on
    for k in range(count):
        j = k + 1.0
        rising, shift = math.frexp(rising * ((n + j) / n))
        exponent += shift
        ratio *= (n - j) / (n + j)
        mantissas[k] = rising * (1.0 - ratio) * n / (j * (j + 1.0))
        exponents[k] = exponent
    return mantissas, exponents


@kernel
def real_power_table(n: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return E||W^k||_F^2 / n, k = 0..count-1, of a real Ginibre matrix as (mantissa, exponent).

    Every sum of the closed form telescopes into a recurrence in k with one step back. All quantities are kept
    in units of D_k = n(n+2)...(n+2k-2), which grows fastest: old rounding errors fade and nothing overflows.
    """
    mantissas = np.ones(count)
    exponents = np.zeros(count, np.int64)
    rising, exponent = 1.0, 0  # D_k / n^k
    falling = 1.0  # n(n-1)...(n-k+1) / D_k, 0 from k = n+1 on
    shifted = (n - 1.0) / n  # (n+k-2)(n+k-3)...(n-1) / D_k
    mixed = 0.0  # H = sum over 0 < a < k of D_a (n-1)...(n-k+a), / D_k
    same = 0.0  # R = sum over k/2 <= a < k of D_a (n-1)(n+1)...(n-3+2(k-a)), / D_k
    alternating = 0.0  # sum over 0 <= i <= k-2 of (-1)^i (n+i)(n+i-1)...(n+i-k+1), / D_k
    growth = 0.0  # log of (n+k-1)...(n-1) / n...(n-k)
    for k in range(1, count):
        even = k % 2 == 0
        top = (n + k - 1.0) * shifted
        bottom = (n - k) * falling
        # The plain sum, by telescoping; expm1 where the two ends are close.
        plain = (bottom * math.expm1(growth) if growth < 1.0 else top - bottom) / (k + 1.0)
        every_other = (plain + alternating) / 2.0
        total = (
            (2.0 * k + 1.0) * (n + 2.0 * k + 2.0)
            + 2.0 * (2.0 * k + 2.0 - n) * mixed
            + 2.0 * (2.0 * k + 2.0 * n - 1.0) * same
            - (2.0 * k * k + 4.0 * k * n - k + 6.0 * n - 5.0) * every_other
            + bottom * (6.0 * k * k + 17.0 * k + 13.0) / (k + 2.0)
            + top * (2.0 * (k - 1.0) * (2.0 * k + 3.0) / (k + 2.0) + (2.0 * k + 1.0 if even else 0.0))
            + 3.0 * (2.0 * k + 3.0) * n * (k + 1.0) * plain / (k + 2.0)
        )
        mantissas[k] = rising * (total / n) / ((2.0 * k + 1.0) * (2.0 * k + 3.0))
        exponents[k] = exponent

        step = n + 2.0 * k  # D_{k+1} / D_k
        rising, shift = math.frexp(rising * (step / n))
        exponent += shift
        growth = growth + math.log1p((2.0 * k + 1.0) / (n - 1.0 - k)) if n - 1.0 - k > 0.0 else math.inf
        mixed = (2.0 * (n - 1.0) - bottom + (n - 2.0 * k - 2.0) * mixed) / step
        falling *= (n - k) / step
        shifted *= (n + k - 1.0) / step
        sign = -1.0 if even else 1.0  # (-1)^(k+1)
        same = ((2.0 * n + 2.0 * k - 1.0) * same + n - 1.0) / (2.0 * step) + sign * shifted / 2.0
        alternating = (falling + sign * shifted - (k + 1.0) * alternating / step) / 2.0
    return mantissas, exponents


@kernel
def cumulative_sum(mantissas: np.ndarray, exponents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the running sums of mantissa * 2^exponent > 0 in the same form (Kahan summation)."""
    sums = np.empty_like(mantissas)
    sum_exponents = np.empty_like(exponents)
    total, lost, exponent = 0.0, 0.0, exponents[0]
    for k in range(len(mantissas)):
        if exponents[k] > exponent:
            shift = max(exponent - exponents[k], -2000)
            total, lost, exponent = math.ldexp(total, shift), math.ldexp(lost, shift), exponents[k]
        term = math.ldexp(mantissas[k], max(exponents[k] - exponent, -2000)) - lost
        following = total + term
        lost = (following - total) - term
        total = following
        sums[k], sum_exponents[k] = total, exponent
    return sums, sum_exponents
