"""Exact second moments of powers and of hidden states, at finite n: the mean curves of a linear recurrence.

For W = scale * G / sqrt(n), G a Ginibre matrix, E||W^k||_F^2 / n is the mean of ||W^k v||^2 for a unit vector
v; with h_t = W h_{t-1} + x_t, h_0 = 0, x_t of covariance I, E||h_t||^2 is the sum over k < t of
E||W^k||_F^2.

Beyond t of about 2 sqrt(n) the means are carried by rare matrices with an outlying eigenvalue: a sample of a
few thousand stays far below them.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from rmt import checks
from rmt.kernels import moments as kernels

MAX_N = 10**12
MAX_STEPS = 10**7

# A positive number beyond the range of doubles: value = mantissa * 2**exponent.
Scaled = tuple[np.ndarray, np.ndarray]

# sum_{j<=K} j^m = K^(m+1) * polynomial in 1/K (Faulhaber); the coefficients, constant first, for m = 1..14.
_BERNOULLI = special.bernoulli(14)
_BERNOULLI[1] = 0.5  # where the sum includes its last term
_FAULHABER = [np.array([math.comb(m + 1, i) * _BERNOULLI[i] for i in range(m + 1)]) / (m + 1) for m in range(1, 15)]


def mean_power_norm(k: ArrayLike, n: int, field: str = "real", scale: float = 1.0) -> float | np.ndarray:
    r"""Return E||W^k||_F^2 / n of a Ginibre matrix, exactly at finite n.

    Equal to the mean of ||W^k v||^2 for any unit vector v independent of W.

    Parameters
    ----------
    k : int or array of int
        Power, 0 <= k <= 10**7.
    n : int
        Size of the matrix, up to 10**12.
    field : {"real", "complex"}
        Field of the entries.
    scale : float
        The entries of W have variance scale**2 / n (complex: E|w|^2).

    Returns
    -------
    float or ndarray
        In the shape of `k`; inf where the value exceeds the largest double, 0 where it is below the smallest.

    Raises
    ------
    rmt.checks.InputError
        If an argument is outside of what is allowed; a ValueError.

    See Also
    --------
    log_mean_power_norm : the logarithm, finite for every k.
    mean_hidden_norm : the same for the hidden state of a recurrence.

    Notes
    -----
    Complex: with K = k + 1, E||W^k||_F^2 / n = n / (K (K+1)) [prod_{j<=K} (1 + j/n) - prod_{j<=K} (1 - j/n)],
    the second product being 0 for K >= n.

    Real: a closed form in rising and falling factorials of n. It was checked exactly against an independent
    recursion for k <= 31; for k > 31 and n >= 3 it is a conjecture, of which no failure is known.

    For k = a sqrt(n), n to infinity, both tend to 2 sinh(a^2/2) / a^2. Time and memory are O(max k); the
    relative error is near 1e-15 for small k and below 1e-12 up to k = 10**6.

    References
    ----------
    Seleznova (2026), arXiv:2605.05113, for the complex case.

    Examples
    --------
    >>> import rmt
    >>> round(rmt.mean_power_norm(2, 100), 10)
    1.0002
    >>> rmt.mean_power_norm([0, 1, 10, 32], 100).round(6)
    array([  1.      ,   1.      ,   1.079958, 120.429013])
    >>> round(rmt.mean_power_norm(32, 100, "complex"), 6)
    14.203286
    """
    return _value(_power_norm(*_checked("k", k, 0, n, field, scale)))


def log_mean_power_norm(k: ArrayLike, n: int, field: str = "real", scale: float = 1.0) -> float | np.ndarray:
    """Return log(E||W^k||_F^2 / n): :func:`mean_power_norm` where it leaves the range of doubles.

    Parameters
    ----------
    k : int or array of int
        Power, 0 <= k <= 10**7.
    n : int
        Size of the matrix, up to 10**12.
    field : {"real", "complex"}
        Field of the entries.
    scale : float
        The entries of W have variance scale**2 / n (complex: E|w|^2).

    Returns
    -------
    float or ndarray
        In the shape of `k`, always finite.

    Raises
    ------
    rmt.checks.InputError
        If an argument is outside of what is allowed; a ValueError.

    Examples
    --------
    >>> import rmt
    >>> round(rmt.log_mean_power_norm(10**6, 10**12, "complex"), 12)
    0.041324933876
    >>> round(rmt.log_mean_power_norm(3000, 64), 6)
    10792.938637
    """
    return _log(_power_norm(*_checked("k", k, 0, n, field, scale)))


def mean_hidden_norm(t: ArrayLike, n: int, field: str = "real", scale: float = 1.0) -> float | np.ndarray:
    r"""Return E||h_t||^2 / n of the recurrence h_t = W h_{t-1} + x_t, h_0 = 0, exactly at finite n.

    The inputs x_t are independent of W and of each other, with mean 0 and covariance I.

    Parameters
    ----------
    t : int or array of int
        Number of steps, 1 <= t <= 10**7.
    n : int
        Size of the matrix, up to 10**12.
    field : {"real", "complex"}
        Field of the entries.
    scale : float
        The entries of W have variance scale**2 / n (complex: E|w|^2).

    Returns
    -------
    float or ndarray
        In the shape of `t`; inf where the value exceeds the largest double.

    Raises
    ------
    rmt.checks.InputError
        If an argument is outside of what is allowed; a ValueError.

    Notes
    -----
    The sum over k < t of :func:`mean_power_norm`: in the real case checked exactly for t <= 32, and a
    conjecture beyond for n >= 3. Inputs U u_t, u_t of covariance I, multiply it by ||U||_F^2 / n.
    For t = a sqrt(n), n to infinity, it grows as sqrt(n) I(a) with
    I(a) = sqrt(pi/2) [erfi(a/sqrt 2) + erf(a/sqrt 2)] - 2 sinh(a^2/2) / a.

    Examples
    --------
    >>> import rmt
    >>> round(rmt.mean_hidden_norm(10, 256), 10)
    10.0194704966
    >>> rmt.mean_hidden_norm([1, 64], 256, "complex").round(6)
    array([  1.      , 751.680526])
    """
    return _value(_hidden_norm(*_checked("t", t, 1, n, field, scale)))


def log_mean_hidden_norm(t: ArrayLike, n: int, field: str = "real", scale: float = 1.0) -> float | np.ndarray:
    """Return log(E||h_t||^2 / n): :func:`mean_hidden_norm` where it leaves the range of doubles.

    Parameters
    ----------
    t : int or array of int
        Number of steps, 1 <= t <= 10**7.
    n : int
        Size of the matrix, up to 10**12.
    field : {"real", "complex"}
        Field of the entries.
    scale : float
        The entries of W have variance scale**2 / n (complex: E|w|^2).

    Returns
    -------
    float or ndarray
        In the shape of `t`, always finite.

    Raises
    ------
    rmt.checks.InputError
        If an argument is outside of what is allowed; a ValueError.

    Examples
    --------
    >>> import rmt
    >>> round(rmt.log_mean_hidden_norm(1, 64), 6)
    0.0
    >>> round(rmt.log_mean_hidden_norm(10**4, 10**4), 3)
    6469.137
    """
    return _log(_hidden_norm(*_checked("t", t, 1, n, field, scale)))


def _checked(
    name: str, value: ArrayLike, minimum: int, n: int, field: str, scale: float
) -> tuple[np.ndarray, int, str, float]:
    return (
        _integers(name, value, minimum, MAX_STEPS),
        checks.integer("n", n, maximum=MAX_N),
        checks.field(field),
        checks.real("scale", scale, above=0),
    )


def _integers(name: str, value: ArrayLike, minimum: int, maximum: int) -> np.ndarray:
    try:
        values = np.asarray(value)
    except ValueError as error:
        raise checks.InputError(f"{name} must be an array of integers, got a ragged sequence") from error
    if values.ndim == 0:
        return np.array(checks.integer(name, values.item(), minimum=minimum, maximum=maximum))
    if values.dtype.kind not in "iuf":
        raise checks.InputError(f"{name} must be an array of integers, got dtype {values.dtype}")
    wrong = values[~((values >= minimum) & (values <= maximum) & (values == np.floor(values)))]
    if wrong.size:
        checks.integer(name, wrong[0].item(), minimum=minimum, maximum=maximum)
    return values.astype(np.int64)


def _power_norm(k: np.ndarray, n: int, field: str, scale: float) -> Scaled:
    if field == "complex":
        mantissa, exponent = _complex_power_norm(k, n)
    else:
        table, exponents = kernels.real_power_table(float(n), k.max(initial=0) + 1)
        mantissa, exponent = table[k], exponents[k]
    factor, shift = _scaled_power(scale, 2 * k)
    return mantissa * factor, exponent + shift


def _complex_power_norm(k: np.ndarray, n: int) -> Scaled:
    # The products need O(k) work and, where theta is small, cancel; the series is at its best there.
    by_series = ((k + 1.0) < 0.05 * n) & ((k + 1.0) ** 2 < 700.0 * n)
    mantissa, exponent = np.empty(k.shape), np.empty(k.shape, np.int64)
    mantissa[by_series], exponent[by_series] = np.frexp(_complex_series(k[by_series] + 1.0, n))
    rest = k[~by_series]
    if rest.size:
        table, exponents = kernels.complex_power_table(float(n), rest.max() + 1)
        mantissa[~by_series], exponent[~by_series] = table[rest], exponents[rest]
    return mantissa, exponent


def _complex_series(K: np.ndarray, n: int) -> np.ndarray:
    """Return 2 n e^L sinh(theta) / (K (K+1)), L + theta and L - theta the logs of the two products."""
    powers = np.ones_like(K)  # (K/n)^(m-1)
    theta_ratio, L = np.zeros_like(K), np.zeros_like(K)  # theta relative to its leading term K (K+1) / 2n
    for m, coefficients in enumerate(_FAULHABER, start=1):
        mean_power = np.polynomial.polynomial.polyval(1 / K, coefficients)  # sum j^m / K^(m+1)
        if m % 2:
            theta_ratio += powers * mean_power * (2 / m) * (K / (K + 1))
        else:
            L -= powers * mean_power * (K / m) * (K / n)
        powers *= K / n
    theta = theta_ratio * K * ((K + 1) / (2 * n))
    return np.exp(L) * theta_ratio * (np.sinh(theta) / theta)


def _hidden_norm(t: np.ndarray, n: int, field: str, scale: float) -> Scaled:
    steps = np.arange(t.max(initial=1))
    sums, exponents = kernels.cumulative_sum(*_power_norm(steps, n, field, scale))
    return sums[t - 1], exponents[t - 1]


def _scaled_power(base: float, power: np.ndarray) -> Scaled:
    """Return base**power, to a few roundings at any power: 512 at a time, which no mantissa underflows."""
    mantissa, exponent = math.frexp(base)
    result, shift = np.ones(power.shape), np.zeros(power.shape, np.int64)
    while power.any():
        power, digit = np.divmod(power, 512)
        result, extra = np.frexp(result * mantissa**digit)
        shift += extra + exponent * digit
        mantissa, extra_exponent = math.frexp(mantissa**512)
        exponent = 512 * exponent + extra_exponent
    return result, shift


def _value(number: Scaled) -> float | np.ndarray:
    mantissa, exponent = number
    with np.errstate(over="ignore", under="ignore"):  # inf and 0 are the nearest doubles there
        result = np.ldexp(mantissa, np.clip(exponent, -3000, 3000))
    return result if result.ndim else float(result)


def _log(number: Scaled) -> float | np.ndarray:
    mantissa, shift = np.frexp(number[0])  # in one form, so that one number has one logarithm
    result = np.log(mantissa) + (number[1] + shift) * math.log(2)
    return result if result.ndim else float(result)
