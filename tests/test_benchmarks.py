"""The harness of the benchmarks measures what it says, and results.md is whole. No test here depends on a time."""

import os
import platform
import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks import campaigns, cases, figure, misses, peers, report, run, targets, timing
from benchmarks.timing import Row

FOLDER = Path(run.__file__).parent
TINY = cases.Effort(
    rounds={32: 2},
    all_peers=(32,),
    growth=(40, 80),
    repeats=1,
    large=100,
    large_rounds=1,
    width=32,
    steps=8,
    lazy=(32, 4),
    trials={32: 3},
    sizes=(32, 64),
    limit=30.0,
)
TINY_CAMPAIGN = campaigns.Effort(turns=1, samples=20, rounds=1, n=8, dense=40, chunk_seconds=0.001, million=30)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until a test moves it."""

    class Clock:
        now = 0.0

    monkeypatch.setattr(timing.time, "perf_counter", lambda: Clock.now)
    return Clock


def test_only_the_work_is_on_the_clock(clock):
    def spend(seconds):
        clock.now += seconds

    def prepare(seed):
        spend(100)
        return seed

    assert timing.timed(spend, 5, prepare)(20) == 4.0
    assert timing.timed(spend)(20) == 20.0


def test_contestants_take_turns_after_a_warm_up():
    order = []

    def contestant(name, seconds):
        def measure(seed):
            order.append((name, seed))
            return seconds + seed

        return measure

    measures = {"a": contestant("a", 10), "b": contestant("b", 20)}
    seconds = timing.interleave(measures, 2)
    assert order == [("a", 2), ("b", 2), ("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    np.testing.assert_array_equal(seconds["a"], [10, 11])
    np.testing.assert_array_equal(seconds["b"], [20, 21])
    order.clear()
    timing.interleave(measures, 1, warm_up=False)
    assert order == [("a", 0), ("b", 0)]


def test_speedup_is_the_time_of_the_peer_over_ours():
    (row,) = timing.speedups("work", {"rmt": np.array([1.0, 2.0, 4.0]), "peer": np.array([3.0, 8.0, 20.0])})
    assert (row.work, row.peer, row.median, row.quartiles) == ("work", "peer", 4.0, (3.5, 4.5))


@pytest.mark.parametrize(
    ("value", "target", "fewer", "met"),
    [(5, 5, False, True), (4.9, 5, False, False), (5, 5, True, True), (5.1, 5, True, False), (5, None, True, None)],
)
def test_met_is_the_median_against_the_target(value, target, fewer, met):
    assert Row("", "", np.array([0.0, value, 100.0]), target=target, fewer=fewer).met is met


def test_one_core_holds_threads_and_restores_them():
    before = dict(os.environ)
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    with timing.one_core():
        assert timing.python("import os; print(os.environ['OPENBLAS_NUM_THREADS'])") == [1.0]
        assert {info["num_threads"] for info in report.threadpool_info()} == {1}
        if cores is not None:
            assert timing.python("import os; print(len(os.sched_getaffinity(0)))") == [1.0]
    assert dict(os.environ) == before
    assert cores is None or os.sched_getaffinity(0) == cores


def test_misses_are_counted_by_sign_and_size():
    exact = np.full(7, 2.0)
    found = np.array([2.0, 2.0 * (1 + 1e-12), 2.0 * (1 - 1e-12), 1.9, 1.5, np.nan, 2.1])
    counted = misses.summary(found, exact)
    assert [counted[key] for key in ("matrices", "too low", "too high", "gave up")] == [7, 2, 1, 1]
    assert (counted["shortfall, median"], counted["shortfall, largest"]) == ("15.0%", "25.0%")
    assert counted["too low, 95% interval"] == "4.3% - 77.7%"


def test_peers_agree_where_they_find_the_radius():
    W = peers.glorot(40, 1, 3)[0]
    values = {name: peer(W) for name, peer in peers.radius_peers().items()}
    exact = values.pop(peers.NUMPY)
    for name, value in values.items():
        if "eigs" not in name:
            assert value == pytest.approx(exact, rel=1e-5)
        else:
            assert value <= exact * (1 + 1e-10)
    assert values["scipy.sparse.linalg.eigs, k = 20"] == pytest.approx(exact, rel=1e-10)


def test_plain_loops_agree():
    rng = np.random.default_rng(0)
    W, x = rng.standard_normal((5, 5)), rng.standard_normal((3, 7, 5))
    together = peers.hidden_norms_batch(W, x)
    np.testing.assert_allclose(together, [peers.hidden_norms(W, sequence) for sequence in x], rtol=1e-12)
    h = W @ x[0, 0] + x[0, 1]
    assert together[0, 1] == pytest.approx(h @ h / 5)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1852.3, "1,850"), (0.0631, "0.0631"), (5.0, "5"), (0, "0"), (1e6, "1,000,000"), (3.1e-7, "3.10e-07")],
)
def test_numbers(value, text):
    assert report.number(value) == text


def test_full_run_measures_every_target_once(monkeypatch):
    monkeypatch.setattr(cases, "interleave", lambda measures, rounds, **_: {name: np.ones(rounds) for name in measures})
    monkeypatch.setattr(cases, "python", lambda code: [1.0, 2.0**20])
    rows = list(map(targets.with_target, cases.every_row(cases.FULL)))
    aimed = [(row.work, row.peer) for row in rows if row.target is not None]
    assert sorted(aimed) == sorted(targets.TARGETS)
    assert len({(row.work, row.peer) for row in rows}) == len(rows)
    memory = next(row for row in rows if "memory" in row.work)
    if platform.system() == "Linux":
        assert memory.median == 1.0  # GiB, from kibibytes


def tables(text):
    """Return the tables of a Markdown text, each a list of rows of cells."""
    blocks = re.findall(r"(?:^\|.*\|\n)+", text, flags=re.MULTILINE)
    return [[row[2:-2].split(" | ") for row in block.splitlines()] for block in blocks]


def assert_well_formed(text, command, first=("work", "n", "n", "what")):
    assert f"Written by `{command}`" in text
    found = tables(text)
    assert tuple(table[0][0] for table in found) == first
    for table in found:
        assert len(table) > 2
        assert len({len(row) for row in table}) == 1
    for name in ("Python", "rmt", "numpy", "scipy", "numba", "BLAS", "CPU"):
        assert re.search(rf"^\| {name} \| \S+", text, flags=re.MULTILINE)
    # Neither hosts nor times of day or dates.
    assert not re.search(rf"\b{re.escape(platform.node())}\b", text)
    assert not re.search(r"\d:\d\d|20\d\d-\d\d", text)


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory):
    out = tmp_path_factory.mktemp("bench")
    run.run(TINY, out, "make bench")
    return out


def test_tiny_run_writes_its_files(tiny_run):
    assert sorted(path.name for path in tiny_run.iterdir()) == ["results.md", "scaling.png", "scaling.svg"]
    text = (tiny_run / "results.md").read_text()
    assert_well_formed(text, "make bench")
    for curve in figure.CURVES:
        assert f"| {curve.label} |" in text
    assert "T = 128 steps" in text
    assert "lazy in calls for 100 samples" in text
    methods = [row[1] for row in tables(text)[1][2:]]
    assert methods == list(misses.contestants())


def test_tiny_run_of_campaigns_writes_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr(campaigns, "cores", lambda: 1)  # worker processes take long to start: see below
    campaigns.run(TINY_CAMPAIGN, tmp_path, "make bench")
    assert_well_formed((tmp_path / "campaigns.md").read_text(), "make bench", ("work", "what"))


def test_a_curve_ends_at_its_limit(monkeypatch):
    slow = figure.Curve("slow", 0, "o", False, lambda n: lambda seed: float(n))
    short = figure.Curve("short", 1, "s", True, lambda n: lambda seed: 0.5, largest=20)
    times = figure.measure_curves((10, 20, 40, 80), 15.0, (slow, short))
    np.testing.assert_array_equal(times.index, [10, 20])
    np.testing.assert_array_equal(times["slow"], [10, 20])
    np.testing.assert_array_equal(times["short"], [0.5, 0.5])


def test_the_lazy_curve_is_timed_in_calls_for_many(monkeypatch, clock):
    def sample(ensemble, steps, size, *, method, rng):
        assert (ensemble.n, steps, method) == (2**20, figure.STEPS, "lazy")
        clock.now += 3 * size

    monkeypatch.setattr(figure.rmt, "sample_hidden_norms", sample)
    (lazy,) = (curve for curve in figure.CURVES if curve.label == "rmt, lazy")
    clock.now = 0.0
    assert lazy.measure(2**20)(0) == 3
    assert clock.now == 3 * figure.LAZY > 100


def test_committed_results_are_whole():
    text = (FOLDER / "results.md").read_text()
    assert_well_formed(text, "make bench")
    assert "scipy.sparse.linalg.eigs, k = 1 |" in text
    aimed = [(work, peer) for work, peer, _, target, _ in tables(text)[0][2:] if target]
    assert sorted(aimed) == sorted(targets.TARGETS)
    assert (FOLDER / "scaling.png").exists()
    assert (FOLDER / "scaling.svg").exists()


def test_committed_results_of_campaigns_are_whole():
    text = (FOLDER / "campaigns.md").read_text()
    assert_well_formed(text, "make bench", ("work", "what"))
    aimed = [(work, peer) for work, peer, _, target, _ in tables(text)[0][2:] if target]
    assert sorted(aimed) == sorted(campaigns.TARGETS)


def test_every_target_of_campaigns_is_measured(monkeypatch):
    seconds = {"rmt": np.array([3.0]), campaigns.LOOP: np.array([2.0]), "1": np.array([4.0]), "2": np.array([2.0])}
    monkeypatch.setattr(
        campaigns, "interleave", lambda measures, rounds, **_: {name: seconds[name] for name in measures}
    )
    monkeypatch.setattr(campaigns, "python", lambda code: [25.0, 7.0] if "def normal" in code else [5.0])
    monkeypatch.setattr(campaigns, "cores", lambda: 2)
    rows = {(row.work, row.peer): row for row in campaigns.every_row(campaigns.FULL)}
    assert {key: row.target for key, row in rows.items() if row.target is not None} == campaigns.TARGETS
    values = [rows[key].median for key in campaigns.TARGETS]
    assert values == [1.5, 2.0, 20.0, 7.0]
    assert [rows[key].met for key in campaigns.TARGETS] == [False, True, True, True]


def test_the_pace_is_that_of_the_steady_state():
    pace = campaigns.Pace(began=0.0)
    pace.times = [5.0, 5.1, *(6.0 + 0.5 * i for i in range(20))]
    pace.stored = [1, 2, *(20 + 10 * i for i in range(20))]
    late = [stored >= 53 for stored in pace.stored]
    assert sum(late) == 16
    assert pace.seconds_each() == pytest.approx(0.05)


def test_one_core_has_no_line_for_two_workers(monkeypatch):
    monkeypatch.setattr(campaigns, "cores", lambda: 1)
    assert campaigns.workers(TINY_CAMPAIGN) == []


@pytest.mark.heavy
def test_the_paces_of_worker_processes(monkeypatch):
    monkeypatch.setattr(campaigns, "cores", lambda: 2)
    rate, start = campaigns.workers(TINY_CAMPAIGN)
    assert rate.median > 0
    assert len(start.values) == 2
    assert start.values.min() > 0.2


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_files_are_short(path):
    assert len(path.read_text().splitlines()) < 400
