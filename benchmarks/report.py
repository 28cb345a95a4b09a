"""The results as Markdown: the table, the error rates, and what they were measured with."""

from __future__ import annotations

import importlib
import importlib.util
import platform
from collections.abc import Iterable
from pathlib import Path

import llvmlite.binding  # type: ignore[import-untyped]
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_info

from benchmarks.timing import Row


def number(x: float) -> str:
    """Write three digits, without an exponent where that is readable."""
    if x != 0 and not 1e-4 <= abs(x) < 1e10:
        return f"{x:.2e}"
    digits = np.format_float_positional(x, precision=3, fractional=False, trim="-")
    whole, point, rest = digits.partition(".")
    return f"{int(whole):,}{point}{rest}"


def _value(x: float, unit: str) -> str:
    return number(x) + (unit if unit in ("x", "") else f" {unit}")


def row_cells(row: Row) -> list[str]:
    """Return work, peer, value with spread, target, and whether it was met."""
    low, high = row.quartiles
    value = f"{_value(row.median, row.unit)} ({number(low)} - {number(high)})"
    target = "" if row.target is None else f"{'<=' if row.fewer else '>='} {_value(row.target, row.unit)}"
    return [row.work, row.peer, value, target, {True: "yes", False: "**no**", None: ""}[row.met]]


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def processor() -> str:
    """Return the model of the CPU, never the name of the machine."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def vector_instructions() -> str:
    """Return the longest vector instructions of the CPU that Numba may use."""
    features = llvmlite.binding.get_host_cpu_features()
    names = {"avx512f": "AVX-512", "avx2": "AVX2", "avx": "AVX", "sve": "SVE", "neon": "NEON"}
    return next((name for feature, name in names.items() if features.get(feature)), "no vector instructions")


def versions() -> list[list[str]]:
    """Return (name, version) of all that has a part in the times."""
    names = ["rmt", "numpy", "scipy", "numba", "llvmlite", *(["torch"] if importlib.util.find_spec("torch") else [])]
    blas = sorted(
        {
            f"{Path(library['filepath']).name.partition('-')[0]}: {library['internal_api']} {library['version']}, "
            f"kernels {library.get('architecture', 'unknown')}"
            for library in threadpool_info()
            if library["user_api"] == "blas"
        }
    )
    return [
        ["Python", platform.python_version()],
        *([name, importlib.import_module(name).__version__] for name in names),
        *(["BLAS", text] for text in blas),
        ["system", f"{platform.system()}, {platform.machine()}"],
        ["CPU", f"{processor()}, {vector_instructions()}"],
    ]


PAGE = """# Benchmarks

Written by `{command}` ({minutes:.0f} min): change the code, not this file.

## How it was measured

Everything runs in one process pinned to one core, with one thread for BLAS, Numba and rmt. The methods of a line
take turns, A B A B ..., on the same matrices or seeds. A ratio is formed in each round; the table shows the
median of the rounds and, in brackets, their quartiles. "x" is the time of the peer divided by that of rmt, unless the
line says otherwise. Every method has run once before, so that compilation is not timed (not so numpy.linalg.eigvals
above n = 1,024). The peers of the certified radius are given matrices that are drawn already, although rmt draws its
own.
{torch}
The random numbers that a sample of the radius consumes are counted as the first 8 sqrt(n) columns of the Hessenberg
form, the fewest that any sample draws: a normal for each entry on and above the diagonal, a gamma for each below.
Peak memory is the `ru_maxrss` of a process that does nothing else, Python and libraries included.

## Targets

{rows}

## Wrong answers

The spectral radius of Glorot matrices by each method, on the same matrices; numpy.linalg.eigvals is the truth.
Too low: by more than 1e-8 relative.

{misses}

## Time against n

![Time against n, log-log](scaling.svg)

Median seconds for one result, of three, or of one where it takes long. Hidden norms are those of T = {steps} steps.
Law inversion is timed after preparation, in calls for 100,000 samples; krylov in calls for several samples where
n <= 25,000; lazy in calls for {lazy} samples; what has {batch} sequences together, in calls for these; all others in
calls for one. The matrices, and for the norms the inputs, of given W are drawn before.

{times}

## Versions

{versions}
"""

CAMPAIGNS = """# Benchmarks of campaigns

Written by `{command}` ({minutes:.0f} min): change the code, not this file.

What `rmt run` costs beside the samples themselves. The plain loop keeps its samples in an array; the runner seeds
each, stores all, verifies them and reads them again. Both are warm, and take turns on one core. The pace of worker
processes, on two cores, is the slope of the samples stored over time, from the second quarter of a run on, in chunks
of {chunk_seconds:g} s; their start is a line of its own. Memory is that of a process of its own, beyond that of one
which imports rmt and pandas and ends; kernels that are loaded for the canary are in it.

{rows}

## Versions

{versions}
"""


def row_table(rows: list[Row]) -> str:
    return table(["work", "against", "median (quartiles)", "target", "met"], [row_cells(row) for row in rows])


def shown(rows: Iterable[Row]) -> list[Row]:
    """Print each row when it has been measured."""
    found = []
    for row in rows:
        print(*filter(None, row_cells(row)), sep=" | ", flush=True)
        found.append(row)
    return found


def markdown(
    rows: list[Row], misses: pd.DataFrame, times: pd.DataFrame, *, command: str, minutes: float, **numbers: int
) -> str:
    """Return results.md; `numbers` are those of the curves: steps, lazy and batch."""
    torch = (
        "" if importlib.util.find_spec("torch") else "torch.linalg.eigvals is left out: torch is not installed here.\n"
    )
    seconds = [
        [f"{n:,}", *("" if np.isnan(t) else number(t) for t in row)]
        for n, row in zip(times.index, times.to_numpy(), strict=True)
    ]
    return PAGE.format(
        command=command,
        minutes=minutes,
        **numbers,
        torch=torch,
        rows=row_table(rows),
        misses=table(list(misses.columns), [[str(cell) for cell in row] for row in misses.itertuples(index=False)]),
        times=table(["n", *times.columns], seconds),
        versions=table(["what", "version"], versions()),
    )


def campaign_markdown(rows: list[Row], *, command: str, minutes: float, chunk_seconds: float) -> str:
    """Return campaigns.md."""
    return CAMPAIGNS.format(
        command=command,
        minutes=minutes,
        chunk_seconds=chunk_seconds,
        rows=row_table(rows),
        versions=table(["what", "version"], versions()),
    )
