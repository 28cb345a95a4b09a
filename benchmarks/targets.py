"""What was aimed at, line by line: (work, peer) -> value. A line with `fewer` is met at or below it, others above."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.peers import NUMPY
from benchmarks.timing import Row

TARGETS = {
    ("real radius, krylov, certified, n = 64", NUMPY): 5.0,
    ("real radius, krylov, certified, n = 256", NUMPY): 45.0,
    ("real radius, krylov, certified, n = 1,024", NUMPY): 400.0,
    ("real radius, krylov, certified, n = 4,096", NUMPY): 1800.0,
    ("real radius, krylov: exponent of its growth, n = 1,000 to 100,000", ""): 1.6,
    ("real radius, krylov, one certified sample, n = 1,000,000", ""): 60.0,
    ("real radius, krylov, one certified sample, n = 1,000,000: peak memory of the process", ""): 4.0,
    ("real radius, krylov, n = 1,024: time over that of drawing its random numbers", "numpy.random.Generator"): 10.0,
    ("radius by law inversion, n = 1,024, after preparation", ""): 1e6,
    ("hidden norms, lazy, n = 4,096, T = 128", "NumPy loop, drawing W included"): 4000.0,
    ("hidden norms, lazy, n = 1,000,000, T = 1,000", ""): 0.1,
    ("user's W, n = 1,024, spectral_radius, completeness proven", NUMPY): 5.0,
    ("user's W, n = 1,024, spectral_radius, completeness tested", NUMPY): 8.0,
    ("all eigenvalues, n = 1,024", "numpy.linalg.eigvals, drawing W included"): 1.15,
    ("explicit hidden norms, n = 1,024, T = 1,000, one sequence", "plain NumPy loop"): 1.0,
    ("explicit hidden norms, n = 1,024, T = 1,000, a batch of 32", "plain NumPy loop, one by one"): 3.0,
    ("import rmt: time over that of its peers", "import numpy, scipy.stats, numba"): 1.0,
}


def with_target(row: Row) -> Row:
    """Return the row with its target if there is one."""
    return replace(row, target=TARGETS.get((row.work, row.peer)))
