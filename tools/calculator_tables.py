"""Compute the tables of the calculator: the exact laws of the radius, and the medians of the growth by Monte Carlo.

python tools/calculator_tables.py laws       docs/calculator/tables.json, ten minutes
python tools/calculator_tables.py medians    docs/calculator/medians.json, ten minutes

Each goes on where it was interrupted.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np

import rmt

FOLDER = Path(__file__).parents[1] / "docs" / "calculator"
FIELDS = ("real", "complex")

# Each width up to the last small one has a row; above, rows are interpolated in log n between Chebyshev nodes.
SMALLEST, LAST_SMALL, LARGEST, WIDTH_NODES = 4, 32, 65_536, 16
# Levels of g = log(-log F), from P(rho > r) = 7e-13 to P(rho < r) = 6e-4.
LEVEL_LOW, LEVEL_HIGH, LEVEL_NODES = -28.0, 2.0, 40
DIGITS = 11

# Medians: widths, steps up to LONGEST * sqrt(n), samples of one median, and the seed of all.
MEDIAN_WIDTHS = [2**power for power in range(2, 12)]
LONGEST, STEPS, SEED = 8, 28, 20250527
BLOCK = 500


def chebyshev(low: float, high: float, count: int) -> np.ndarray:
    """Return the `count` Chebyshev points of [low, high], both ends among them."""
    return (low + high) / 2 - (high - low) / 2 * np.cos(np.pi * np.arange(count) / (count - 1))


def levels() -> list[float]:
    """Return the levels of g at which quantiles are tabulated."""
    return [round(float(g), DIGITS) for g in chebyshev(LEVEL_LOW, LEVEL_HIGH, LEVEL_NODES)]


def widths() -> list[int]:
    """Return the widths between which the laws are interpolated."""
    return [round(math.exp(x)) for x in chebyshev(math.log(LAST_SMALL), math.log(LARGEST), WIDTH_NODES)]


def law_row(n: int, field: str) -> list[float]:
    """Return mean - 1, standard deviation, g(1), and quantiles - 1 at each level; all but g(1) times sqrt(n)."""
    law = rmt.SpectralRadiusLaw(n, field)
    root = math.sqrt(n)
    quantiles = (law.isf(-np.expm1(-np.exp(levels()))) - 1) * root
    values = [(law.mean() - 1) * root, law.std() * root, math.log(-law.logcdf(1.0)), *quantiles]
    return [round(float(value), DIGITS) for value in values]


def laws(path: Path) -> None:
    """Compute the tables of the laws, and write each row to `path` when it is there."""
    result = json.loads(path.read_text()) if path.exists() else {}
    result |= {"levels": levels(), "widths": widths()}
    for field in FIELDS:
        for name, sizes in (("small", range(SMALLEST, LAST_SMALL + 1)), ("large", widths())):
            rows = result.setdefault(field, {}).setdefault(name, [])
            for n in sizes[len(rows) :]:
                rows.append(law_row(n, field))
                write(path, result)


def median_steps(n: int) -> list[int]:
    """Return the steps at which medians are tabulated."""
    last = math.ceil(LONGEST * math.sqrt(n))
    return sorted({round(last ** (i / (STEPS - 1))) for i in range(STEPS)})


def median_samples(n: int) -> int:
    """Return how many samples a median is of: fewer where each takes long."""
    return 4000 if n <= 1024 else 2000


def median_row(n: int, field: str, rule: str) -> list[float]:
    """Return log(median of ||h_t||^2 / (n t)) at each of the steps, Glorot's W ("glorot") or rescaled ("mean")."""
    ensemble = rmt.glorot(n, field) if rule == "glorot" else rmt.rescaled_glorot(n, field)
    steps = np.array(median_steps(n))
    rng = np.random.default_rng([SEED, n, FIELDS.index(field), int(rule == "mean")])
    samples = [
        rmt.sample_hidden_norms(ensemble, int(steps[-1]), BLOCK, log=True, rng=rng)[:, steps - 1]
        for _ in range(median_samples(n) // BLOCK)
    ]
    return [round(float(value), 4) for value in np.median(np.concatenate(samples), axis=0) - np.log(steps)]


def medians(path: Path) -> None:
    """Compute the tables of the medians, and write each row to `path` when it is there."""
    result = json.loads(path.read_text()) if path.exists() else {}
    result |= {"widths": MEDIAN_WIDTHS, "steps": [median_steps(n) for n in MEDIAN_WIDTHS]}
    for n in MEDIAN_WIDTHS:
        for field in FIELDS:
            for rule in ("glorot", "mean"):
                rows = result.setdefault(field, {}).setdefault(rule, [])
                if len(rows) <= MEDIAN_WIDTHS.index(n):
                    rows.append(median_row(n, field, rule))
                    write(path, result)
                    print(n, field, rule, flush=True)


def write(path: Path, tables: dict) -> None:
    """Write tables as JSON, a row on a line."""
    path.write_text(json.dumps(tables, separators=(",", ":")).replace("],", "],\n") + "\n")


if __name__ == "__main__":
    if sys.argv[1:] == ["laws"]:
        laws(FOLDER / "tables.json")
    elif sys.argv[1:] == ["medians"]:
        medians(FOLDER / "medians.json")
    else:
        sys.exit(__doc__)
