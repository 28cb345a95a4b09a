"""Intervals that several experiments draw."""

from __future__ import annotations

import numpy as np
from scipy import stats


def share(hits, level=0.95):
    """Return the proportion of true values among `hits`, and the ends of its interval (Wilson)."""
    test = stats.binomtest(int(np.sum(hits)), len(hits))
    return test.statistic, *test.proportion_ci(level, method="wilson")
