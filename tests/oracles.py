"""The one place where statistical tests decide: fixed seeds, false-alarm probability chosen on purpose.

A check fails by chance with probability below 1e-4 (p-values) or 6e-7 (z-scores): with a fixed seed it either
always passes or points to a real difference.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

MIN_P = 1e-4
MAX_Z = 5.0


def check_mean(sample, expected, *, max_z=MAX_Z):
    """The mean of `sample` (first axis) is `expected` within `max_z` standard errors, in every component."""
    sample = np.asarray(sample)
    if np.iscomplexobj(sample):
        check_mean(sample.real, np.real(expected), max_z=max_z)
        check_mean(sample.imag, np.imag(expected), max_z=max_z)
        return
    deviation = sample.std(axis=0, ddof=1)
    error = deviation / np.sqrt(len(sample))
    difference = np.abs(sample.mean(axis=0) - expected)
    # A component without spread, that is with none beyond rounding, must agree to rounding.
    spread = deviation > 1e-12 * np.abs(sample).max()
    z = np.where(spread, difference / np.where(spread, error, 1), np.where(difference < 1e-12, 0, np.inf))
    assert np.all(z < max_z), f"mean {sample.mean(axis=0)} against {expected}: z = {np.max(z):.2f}"


def check_second_moment(sample, expected, *, max_z=MAX_Z):
    """E|x|^2 is `expected`, within `max_z` standard errors."""
    check_mean(np.abs(np.asarray(sample)) ** 2, expected, max_z=max_z)


def check_proportion(hits, total, probability, *, min_p=MIN_P):
    """`hits` out of `total` agree with `probability` (exact binomial test)."""
    p = stats.binomtest(int(hits), int(total), float(probability)).pvalue
    assert p > min_p, f"{hits}/{total} against {probability}: p = {p:.2e}"


def check_law(sample, cdf, *, min_p=MIN_P):
    """`sample` is drawn from the continuous law `cdf` (Kolmogorov-Smirnov)."""
    p = stats.kstest(np.ravel(sample), cdf).pvalue
    assert p > min_p, f"sample does not follow the law: p = {p:.2e}"


def check_same_law(first, second, *, min_p=MIN_P):
    """Two samples come from one continuous law (two-sample Kolmogorov-Smirnov)."""
    p = stats.ks_2samp(np.ravel(first), np.ravel(second)).pvalue
    assert p > min_p, f"samples of different laws: p = {p:.2e}"
