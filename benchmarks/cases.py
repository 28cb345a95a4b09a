"""The lines of the table: what is timed against what."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

import rmt
from benchmarks import peers
from benchmarks.timing import Measure, Row, interleave, python, speedups, timed
from rmt.kernels.radius import LARGER
from rmt.laws import radius as law_tables

RMT = "rmt"


@dataclass(frozen=True)
class Effort:
    """How much is run.

    Attributes
    ----------
    rounds : dict
        Sizes for the certified radius, and rounds for each.
    all_peers : tuple of int
        Sizes at which every peer is timed, not NumPy alone.
    growth : tuple of int
        Sizes for the exponent of the growth.
    repeats : int
        Rounds for all other lines.
    large, large_rounds : int
        The n that no other method can reach, and rounds for its radius.
    width, steps : int
        n of the lines about the law, given matrices and all eigenvalues; T of those about hidden norms.
    lazy : tuple of int
        n and T at which the lazy hidden norms meet the explicit recurrence.
    trials : dict
        Sizes for the error rates, and matrices for each.
    sizes, limit : tuple of int, float
        Sizes of the figure, and seconds after which a curve ends.
    """

    rounds: dict[int, int]
    all_peers: tuple[int, ...]
    growth: tuple[int, ...]
    repeats: int
    large: int
    large_rounds: int
    width: int
    steps: int
    lazy: tuple[int, int]
    trials: dict[int, int]
    sizes: tuple[int, ...]
    limit: float


SIZES = (*(2**j for j in range(6, 13)), *(4**j for j in range(7, 16)))  # 64 .. 1.07e9
FULL = Effort(
    rounds={64: 15, 256: 15, 1024: 9, 4096: 3},
    all_peers=(64, 256, 1024),
    growth=(1_000, 3_000, 10_000, 30_000, 100_000),
    repeats=15,
    large=1_000_000,
    large_rounds=3,
    width=1024,
    steps=1000,
    lazy=(4096, 128),
    trials={256: 500, 1024: 100},
    sizes=SIZES,
    limit=10.0,
)
QUICK = Effort(
    rounds={64: 7, 256: 7, 1024: 3},
    all_peers=(64, 256),
    growth=(1_000, 3_000, 10_000, 30_000),
    repeats=3,
    large=1_000_000,
    large_rounds=1,
    width=1024,
    steps=1000,
    lazy=(4096, 128),
    trials={256: 100},
    sizes=SIZES,
    limit=1.0,
)


def krylov(n: int, field: str = "real") -> Measure:
    """Return the time of one certified sample of the radius."""
    units = max(1, 50_000 // n)  # about 0.1 s
    ensemble = rmt.glorot(n, field)
    return timed(lambda seed: rmt.sample_spectral_radius(ensemble, units, method="krylov", rng=seed), units)


def radius(effort: Effort, field: str) -> list[Row]:
    """Time certified samples of the radius against eigenvalues of matrices; drawing these is not on the clock."""
    rows = []
    for n, rounds in effort.rounds.items():
        if field == "complex" and n > 1024:
            continue
        count = max(1, 1024 // n)

        def matrices(seed: int, n: int = n, count: int = count) -> list[np.ndarray]:
            return peers.glorot(n, count, seed, field)

        measures = {RMT: krylov(n, field)}
        for name, peer in peers.radius_peers().items():
            if name == peers.NUMPY or (field == "real" and n in effort.all_peers):
                measures[name] = timed(lambda many, peer=peer: [peer(W) for W in many], count, matrices)
        seconds = interleave(measures, rounds, warm_up=n <= 1024)
        rows += speedups(f"{field} radius, krylov, certified, n = {n:,}", seconds)
    return rows


def growth(effort: Effort) -> list[Row]:
    """Fit the exponent of the time of a certified sample: the slope of log time over log n."""
    seconds = interleave({str(n): krylov(n) for n in effort.growth}, effort.repeats)
    slopes = [np.polyfit(np.log(effort.growth), np.log(times), 1)[0] for times in zip(*seconds.values(), strict=True)]
    work = f"real radius, krylov: exponent of its growth, n = {min(effort.growth):,} to {max(effort.growth):,}"
    return [Row(work, "", np.array(slopes), "", fewer=True)]


LARGE = """
import resource, time, rmt
rmt.sample_spectral_radius(rmt.glorot(1000), 1, method="krylov", rng=0)
start = time.perf_counter()
rmt.sample_spectral_radius(rmt.glorot({n}), 1, method="krylov", rng={seed})
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def large(effort: Effort) -> list[Row]:
    """Take one sample in a process of its own. First of all: on Linux its peak starts at that of its parent."""
    kibibytes = 1 / 1024 if sys.platform == "darwin" else 1.0
    runs = np.array([python(LARGE.format(n=effort.large, seed=seed)) for seed in range(effort.large_rounds)])
    work = f"real radius, krylov, one certified sample, n = {effort.large:,}"
    return [
        Row(work, "", runs[:, 0], "s", fewer=True),
        Row(work + ": peak memory of the process", "", runs[:, 1] * kibibytes / 2**20, "GiB", fewer=True),
    ]


def drawing(effort: Effort) -> list[Row]:
    """Time a sample against drawing its random numbers alone.

    These are the fewest that any sample takes: the first k = 8 sqrt(n) columns of the Hessenberg form, k (k + 1) / 2
    normals and k gammas. Samples that add columns count as if they did not, so the ratio is an upper bound.
    """
    rows = []
    for n, rounds in effort.rounds.items():
        k = min(n, math.ceil(LARGER * math.sqrt(n)))
        units = max(1, 50_000 // n)
        shapes = (n - np.arange(1, min(k + 1, n))) / 2

        def draw(seed: int, k: int = k, units: int = units, shapes: np.ndarray = shapes) -> None:
            rng = np.random.default_rng(seed)
            for _ in range(units):
                rng.standard_normal(k * (k + 1) // 2)
                rng.standard_gamma(shapes)

        seconds = interleave({RMT: krylov(n), "numpy": timed(draw, units)}, rounds)
        work = f"real radius, krylov, n = {n:,}: time over that of drawing its random numbers"
        rows.append(Row(work, "numpy.random.Generator", seconds[RMT] / seconds["numpy"], "x", fewer=True))
    return rows


def law(effort: Effort) -> list[Row]:
    """Time the exact law: its tables, a million samples and a million values."""
    n, count = effort.width, 1_000_000
    exact = rmt.SpectralRadiusLaw(n)
    limit = stats.gumbel_r(exact.mean(), exact.std())
    points = np.linspace(exact.ppf(1e-6), exact.isf(1e-6), count)

    def prepare(seed: int) -> None:
        law_tables._tables.cache_clear()
        rmt.SpectralRadiusLaw(n).mean()

    samples = interleave(
        {
            RMT: timed(lambda seed: exact.rvs(count, rng=seed)),
            "scipy.stats.gumbel_r.rvs": timed(lambda seed: limit.rvs(count, random_state=seed)),
        },
        effort.repeats,
    )
    values = interleave(
        {
            RMT: timed(lambda seed: exact.cdf(points)),
            "scipy.stats.gumbel_r.cdf": timed(lambda seed: limit.cdf(points)),
        },
        effort.repeats,
    )
    tables = interleave(
        {
            RMT: timed(prepare),
            f"{peers.NUMPY} of one matrix": timed(peers.numpy_radius, 1, lambda seed: peers.glorot(n, 1, seed)[0]),
        },
        effort.repeats,
    )
    work = f"radius by law inversion, n = {n:,}, after preparation"
    return [
        Row(work, "", count / samples[RMT], "samples/s"),
        *speedups(work, samples),
        Row(f"SpectralRadiusLaw, n = {n:,}: preparation", "", tables[RMT], "s", fewer=True),
        *speedups(f"SpectralRadiusLaw, n = {n:,}: preparation", tables),
        Row(f"SpectralRadiusLaw.cdf, n = {n:,}, a million points", "", values[RMT], "s", fewer=True),
        *speedups(f"SpectralRadiusLaw.cdf, n = {n:,}, a million points", values),
    ]


def lazy_hidden_norms(effort: Effort) -> list[Row]:
    """Time hidden norms without the matrix."""
    (n, steps), units = effort.lazy, 100
    ensemble = rmt.glorot(n)
    seconds = interleave(
        {
            RMT: timed(lambda seed: rmt.sample_hidden_norms(ensemble, steps, units, method="lazy", rng=seed), units),
            "NumPy loop, drawing W included": timed(lambda seed: peers.sampled_hidden_norms(n, steps, seed)),
        },
        effort.repeats,
    )
    wide = rmt.glorot(effort.large)
    alone = timed(lambda seed: rmt.sample_hidden_norms(wide, effort.steps, 1, method="lazy", rng=seed))
    return [
        *speedups(f"hidden norms, lazy, n = {n:,}, T = {steps:,}", seconds),
        Row(
            f"hidden norms, lazy, n = {effort.large:,}, T = {effort.steps:,}",
            "",
            interleave({RMT: alone}, effort.repeats)[RMT],
            "s",
            fewer=True,
        ),
    ]


def given_matrix(effort: Effort) -> list[Row]:
    """Time the radius of a matrix that is there, and all eigenvalues of one that is not."""
    n = effort.width
    proven, tested, eigvals = "proven", "tested", peers.NUMPY

    def one(seed: int) -> np.ndarray:
        return peers.glorot(n, 1, seed)[0]

    seconds = interleave(
        {
            proven: timed(rmt.spectral_radius, 1, one),
            tested: timed(lambda W: rmt.spectral_radius(W, method="krylov"), 1, one),
            eigvals: timed(peers.numpy_radius, 1, one),
        },
        effort.repeats,
    )
    work = f"user's W, n = {n:,}, spectral_radius, completeness"
    ensemble = rmt.glorot(n)
    drawn = "numpy.linalg.eigvals, drawing W included"
    everything = interleave(
        {
            RMT: timed(lambda seed: rmt.sample_eigenvalues(ensemble, 1, rng=seed)),
            drawn: timed(lambda seed: np.linalg.eigvals(one(seed))),
        },
        effort.repeats,
    )
    return [
        *speedups(f"{work} proven", {key: seconds[key] for key in (proven, eigvals)}),
        *speedups(f"{work} tested", {key: seconds[key] for key in (tested, eigvals)}),
        *speedups(f"all eigenvalues, n = {n:,}", everything),
    ]


def explicit_hidden_norms(effort: Effort) -> list[Row]:
    """Time hidden norms of a given matrix and given inputs."""
    n, steps, batch = effort.width, effort.steps, 32
    W = peers.glorot(n, 1, 0)[0]
    x = np.random.default_rng(1).standard_normal((batch, steps, n))
    loop, one_by_one, together = "plain NumPy loop", "plain NumPy loop, one by one", "NumPy loop over the batch"
    single = interleave(
        {
            RMT: timed(lambda seed: rmt.hidden_norms(W, x[0])),
            loop: timed(lambda seed: peers.hidden_norms(W, x[0])),
        },
        effort.repeats,
    )
    many = interleave(
        {
            RMT: timed(lambda seed: rmt.hidden_norms(W, x)),
            one_by_one: timed(lambda seed: [peers.hidden_norms(W, sequence) for sequence in x]),
            together: timed(lambda seed: peers.hidden_norms_batch(W, x)),
        },
        effort.repeats,
    )
    work = f"explicit hidden norms, n = {n:,}, T = {steps:,}"
    return [
        *speedups(f"{work}, one sequence", single),
        *speedups(f"{work}, a batch of {batch}", many),
    ]


IMPORT = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


def imports(effort: Effort) -> list[Row]:
    """Time `import rmt`, in processes of their own."""
    peer = "numpy, scipy.stats, numba"

    def measure(names: str) -> Measure:
        return lambda seed: python(IMPORT.format(names))[0]

    seconds = interleave({RMT: measure("rmt"), peer: measure(peer)}, effort.repeats)
    return [Row("import rmt: time over that of its peers", f"import {peer}", seconds[RMT] / seconds[peer], fewer=True)]


def every_row(effort: Effort) -> Iterator[Row]:
    """Yield the lines of the table as they are measured."""
    yield from large(effort)
    for field in ("real", "complex"):
        yield from radius(effort, field)
    for case in (growth, drawing, law, lazy_hidden_norms, given_matrix, explicit_hidden_norms, imports):
        yield from case(effort)
