"""How often, and by how much, a method misses the largest eigenvalue of a Glorot matrix."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

import rmt
from benchmarks import peers

# Beyond the rounding of the eigenvalues themselves, and far below the errors that are found.
TOLERANCE = 1e-8


def contestants() -> dict[str, Callable[[np.ndarray], float]]:
    """Return the methods that do not compute the whole spectrum, and rmt's proven one."""
    arpack = {name: peer for name, peer in peers.radius_peers().items() if "eigs" in name}
    return arpack | {
        "rmt.spectral_radius, tested": lambda W: rmt.spectral_radius(W, method="krylov"),
        "rmt.spectral_radius, proven": rmt.spectral_radius,
    }


def summary(found: np.ndarray, exact: np.ndarray) -> dict[str, object]:
    """Describe the errors of `found`, NaN where a method gave up, against the `exact` radii."""
    answered = ~np.isnan(found)
    shortfall = 1 - found[answered] / exact[answered]
    low = shortfall[shortfall > TOLERANCE]
    share = stats.binomtest(len(low), max(1, answered.sum())).proportion_ci(method="exact")
    return {
        "matrices": len(found),
        "too low": len(low),
        "too low, 95% interval": f"{share.low:.1%} - {share.high:.1%}",
        "shortfall, median": f"{np.median(low):.1%}" if len(low) else "",
        "shortfall, largest": f"{low.max():.1%}" if len(low) else "",
        "too high": int((shortfall < -TOLERANCE).sum()),
        "gave up": int((~answered).sum()),
    }


def miss_table(trials: dict[int, int]) -> pd.DataFrame:
    """Return one row for each n and method; all methods see the same matrices, NumPy's eigenvalues are the truth."""
    rows = []
    for n, count in trials.items():
        found: dict[str, list[float]] = {name: [] for name in contestants()}
        exact = []
        for seed in range(count):
            W = peers.glorot(n, 1, seed)[0]
            exact.append(peers.numpy_radius(W))
            for name, radius in contestants().items():
                found[name].append(radius(W))
        rows += [{"n": n, "method": name} | summary(np.array(r), np.array(exact)) for name, r in found.items()]
    return pd.DataFrame(rows)
