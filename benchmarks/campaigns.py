"""What a campaign costs: against a plain loop, with a second worker, and in memory and files for a million samples.

python -m benchmarks.campaigns [--quick] [--out DIR]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import rmt
from benchmarks import report
from benchmarks.timing import Measure, Row, interleave, one_core, python, timed
from rmt import campaign
from rmt.campaign.progress import Silent
from rmt.parallel import one_blas_thread

LOOP = "plain loop"


@dataclass(frozen=True)
class Effort:
    """How much is run.

    Attributes
    ----------
    turns, samples : int
        How often the runner and a plain loop take turns, at this many samples of about 1 ms each. What is compared
        is a few percent apart: many short turns follow a machine whose pace drifts.
    rounds : int
        Of the lines of two workers.
    n, dense : int
        Size and number of the matrices whose eigenvalues one worker and two workers compute.
    chunk_seconds : float
        Of these; short, so that many chunks tell the pace.
    million : int
        Samples of the run whose memory and files are counted.
    """

    turns: int
    samples: int
    rounds: int
    n: int
    dense: int
    chunk_seconds: float
    million: int


FULL = Effort(turns=60, samples=1_000, rounds=5, n=256, dense=600, chunk_seconds=0.5, million=1_000_000)
QUICK = Effort(turns=3, samples=2_000, rounds=3, n=256, dense=300, chunk_seconds=0.3, million=100_000)

WORKERS = 2
RUNNER = "campaign, samples of about 1 ms (numpy.linalg.eigvals, n = 72), serial"
DENSE = "campaign, dense eigenvalues, n = {n:,}: samples per second of {workers} workers over those of 1"
MEMORY = "campaign of {million:,} samples: peak memory beyond that of an import"
FILES = "campaign of {million:,} samples: most files of samples at any time"

# (work, peer) -> what was aimed at; see benchmarks.targets.
TARGETS = {
    (f"{RUNNER}: time over that of the loop", LOOP): 1.05,
    (DENSE.format(n=FULL.n, workers=WORKERS), "one worker"): 1.8,
    (MEMORY.format(million=FULL.million), "import rmt, pandas"): 100.0,
    (FILES.format(million=FULL.million), ""): 257.0,
}


def radius_of_72(ensemble: Any, params: dict[str, Any], rng: np.random.Generator) -> float:
    """Take about 1 ms: a statistic of one's own, as an experiment file would have it."""
    return float(np.abs(np.linalg.eigvals(rng.standard_normal((72, 72)))).max())


def experiment(cell: campaign.Cell, count: int) -> campaign.Experiment:
    """Return the experiment of one cell; nothing is drawn."""

    def present(data: dict, out: Any, options: dict) -> pd.DataFrame:
        return pd.DataFrame({"samples": [len(data[cell])]})

    return campaign.Experiment("benchmark", lambda options: [cell], lambda cell, quick: count, {}, present)


def runner(effort: Effort) -> list[Row]:
    """Time a whole run on the engine "serial", into an empty directory, against a loop that keeps an array.

    The loop draws from one generator and holds BLAS at one thread. Both are warm: what a first call in a process
    costs, kernels and the canary, is not on the clock.
    """
    cell, count = campaign.Cell(radius_of_72, None), effort.samples

    def loop(seed: int) -> None:
        rng, values = np.random.default_rng(seed), np.empty(count)
        with one_blas_thread():
            for i in range(count):
                values[i] = radius_of_72(None, {}, rng)

    def run(seed: int) -> None:
        with tempfile.TemporaryDirectory() as out:
            campaign.run(experiment(cell, count), out, engine="serial", seed=seed)

    with one_core():
        seconds = interleave({"rmt": timed(run, count), LOOP: timed(loop, count)}, effort.turns)
    return [
        Row(f"{RUNNER}: the loop, one sample", "", 1000 * seconds[LOOP], "ms", fewer=True),
        Row(f"{RUNNER}: time over that of the loop", LOOP, seconds["rmt"] / seconds[LOOP], fewer=True),
    ]


@dataclass
class Pace(Silent):
    """A display that notes when samples were stored."""

    began: float = field(default_factory=time.perf_counter)
    times: list[float] = field(default_factory=list)
    stored: list[int] = field(default_factory=list)

    def update(self, part: Any) -> None:
        """Note it."""
        self.times.append(time.perf_counter())
        self.stored.append(part.done)

    def seconds_each(self) -> float:
        """Return the seconds from one sample to the next, from the second quarter of the run on: the steady state."""
        stored, times = np.array(self.stored), np.array(self.times)
        steady = stored >= stored.max() / 4
        return float(np.polyfit(stored[steady], times[steady], 1)[0])


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def workers(effort: Effort) -> list[Row]:
    """Compare the paces of one worker process and of two; the start of the processes is a line of its own."""
    if cores() < WORKERS:
        return []
    cell = campaign.Cell("eigenvalues", rmt.glorot(effort.n))
    starts: list[float] = []

    def measure(count: int) -> Measure:
        def one(seed: int) -> float:
            pace = Pace()
            with tempfile.TemporaryDirectory() as out:
                campaign.run(
                    experiment(cell, effort.dense),
                    out,
                    engine="processes",
                    workers=count,
                    seed=seed,
                    chunk_seconds=effort.chunk_seconds,
                    progress=pace,
                )
            starts.append(pace.times[0] - pace.began)
            return pace.seconds_each()

        return one

    seconds = interleave({"1": measure(1), "2": measure(WORKERS)}, effort.rounds, warm_up=False)
    work = DENSE.format(n=effort.n, workers=WORKERS)
    return [
        Row(work, "one worker", seconds["1"] / seconds["2"]),
        Row("campaign: start of worker processes, until a sample is stored", "", np.array(starts), "s", fewer=True),
    ]


PEAK = """
import resource, sys
import rmt, pandas
def peak():
    try:  # on Linux ru_maxrss begins at that of the parent
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)
"""

MILLION = """
import pathlib, tempfile
from rmt import campaign
from rmt.campaign.progress import Silent
def normal(ensemble, params, rng):
    return rng.standard_normal()
cell = campaign.Cell(normal, None)
made = campaign.Experiment("million", lambda options: [cell], lambda cell, quick: {count}, {{}},
                           lambda data, out, options: pandas.DataFrame({{"mean": [data[cell].mean()]}}))
class Count(Silent):
    most = 0
    def update(self, part):
        self.most = max(self.most, sum(1 for _ in part.shards.folder.iterdir()))
with tempfile.TemporaryDirectory() as out:
    count = Count()
    assert campaign.run(made, out, engine="serial", progress=count, chunk_seconds=0.1).samples == {count}
    assert len(list(pathlib.Path(out).rglob("*.npy"))) == 1
print(peak(), count.most)
"""


def million(effort: Effort) -> list[Row]:
    """Count memory and files of a run of many samples, in short chunks, in a process of its own."""
    (idle,) = python(PEAK + "print(peak())")
    memory, files = python(PEAK + MILLION.format(count=effort.million))
    return [
        Row(MEMORY.format(million=effort.million), "import rmt, pandas", np.array([memory - idle]), "MiB", fewer=True),
        Row(FILES.format(million=effort.million), "", np.array([files]), "", fewer=True),
    ]


def every_row(effort: Effort) -> Iterator[Row]:
    """Yield the lines as they are measured, with their targets."""
    for case in (runner, workers, million):
        for row in case(effort):
            yield replace(row, target=TARGETS.get((row.work, row.peer)))


def run(effort: Effort, out: Path, command: str) -> None:
    """Measure everything, and write campaigns.md into `out`; `command` is named as what wrote it."""
    start = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    rows = report.shown(every_row(effort))
    minutes = (time.perf_counter() - start) / 60
    text = report.campaign_markdown(rows, command=command, minutes=minutes, chunk_seconds=effort.chunk_seconds)
    (out / "campaigns.md").write_text(text)
    print(f"wrote {out / 'campaigns.md'} after {minutes:.1f} minutes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a first look, in a minute")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="where the file goes")
    options = parser.parse_args()
    run(QUICK if options.quick else FULL, options.out, f"make bench{'-quick' if options.quick else ''}")


if __name__ == "__main__":
    main()
