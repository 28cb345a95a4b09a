"""Who computes the samples, in which pieces and in which order: the files are the same, byte for byte."""

import os
from concurrent.futures import BrokenExecutor, Executor, ThreadPoolExecutor

import numpy as np
import pytest
from campaigns import CELLS, OBEDIENT, Listener, Mortal, Shuffled, data, experiment, oracle, order, serial, vector
from demos import contents, shards

from rmt import campaign
from rmt.campaign import cells
from rmt.campaign.numerics import canary, canary_label
from rmt.campaign.store import Store
from rmt.checks import InputError

COUNT = 40


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return oracle(tmp_path_factory.mktemp("whole") / "out", experiment(count=COUNT))


@pytest.fixture(autouse=True)
def no_flush(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # which takes long


# the same bytes


@pytest.mark.parametrize("seconds", [1e-300, 1e-5, 1e-3, 0.1, 1e300])
def test_pieces_of_any_length(tmp_path, whole, seconds):
    serial(tmp_path, experiment(count=COUNT), chunk_seconds=seconds)
    assert contents(tmp_path) == whole


@pytest.mark.parametrize("workers", [1, 2, 7, 100])
def test_any_order(tmp_path, whole, workers):
    for seed in range(3):
        out = tmp_path / f"{seed}"
        serial(out, experiment(count=COUNT), engine=Shuffled(seed), workers=workers)
        assert contents(out) == whole


def test_threads(tmp_path, whole):
    with ThreadPoolExecutor(3) as threads:
        serial(tmp_path, experiment(count=COUNT), engine=threads, workers=3)
    assert contents(tmp_path) == whole


@pytest.mark.parametrize("workers", [2, *(pytest.param(number, marks=pytest.mark.heavy) for number in (1, 7))])
def test_processes(tmp_path, whole, workers):
    serial(tmp_path, experiment(count=COUNT), engine="processes", workers=workers)
    assert contents(tmp_path) == whole


@pytest.mark.heavy
def test_our_own_statistics_on_each_engine(tmp_path):
    import rmt

    W = rmt.Ginibre(20)
    made = [campaign.Cell(name, W) for name in ("spectral_radius", "eigenvalues", "eigenvalue_moduli")]
    made += [campaign.Cell(name, W, {"steps": 7}) for name in ("power_norms", "hidden_norms")]
    whole = oracle(tmp_path / "whole", experiment(made, 30))
    for number, engine in enumerate(("processes", Shuffled(0), ThreadPoolExecutor(2))):
        serial(tmp_path / f"{number}", experiment(made, 30), engine=engine, workers=2, chunk_seconds=0.01)
        assert contents(tmp_path / f"{number}") == whole


def test_raising_the_count_changes_no_sample(tmp_path, whole):
    before = {}
    for count in (1, 2, 3, 17, 18, COUNT):
        serial(tmp_path, experiment(count=count), engine=Shuffled(count), workers=3)
        for cell in CELLS:
            held = Store(tmp_path).shards(Store(tmp_path).entries[CELLS.index(cell)])
            samples = held.load(0, count)
            assert np.array_equal(samples[: len(before.get(cell, []))], before.get(cell, samples[:0]))
            before[cell] = samples
    assert data(contents(tmp_path)) == data(whole)


def test_adding_cells_changes_no_sample(tmp_path, whole):
    serial(tmp_path, experiment(CELLS[1:2], COUNT))
    (path,) = shards(tmp_path)
    assert whole[str(path.relative_to(tmp_path))] == path.read_bytes()


# workers that die


def deadly(*samples):
    return {(cell.key, index): times for cell, index, times in samples}


@pytest.mark.parametrize("contagious", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_samples_that_kill_their_worker_are_found(tmp_path, whole, monkeypatch, seed, contagious):
    one, two, three = CELLS
    always = deadly((one, 0, 99), (one, 23, 99), (two, COUNT - 1, 99))
    executor = Mortal(seed, always | deadly((one, 11, 2), (two, 12, 1), (three, 0, 2), (three, 5, 3)), contagious)
    monkeypatch.setattr("rmt.campaign.engines.Processes", executor.engine)
    outcome = serial(tmp_path, experiment(count=COUNT), engine="processes", workers=3, chunk_seconds=0.01)
    assert outcome.table is None
    assert (outcome.kept, outcome.total, outcome.samples) == (1, 3, 3 * COUNT - 3)
    assert sorted(line.split(":")[0] for line in outcome.failures) == sorted(
        f"sample {index} of {cell.label} failed" for cell, index in ((one, 0), (one, 23), (two, COUNT - 1))
    )
    assert all("the worker died each of 3 times" in line for line in outcome.failures)
    found = {(cell, int(path.stem)) for cell in CELLS for path in (tmp_path / "failures" / cell.name).glob("*.json")}
    assert found == {(one, 0), (one, 23), (two, COUNT - 1)}
    # Three times alone, and perhaps once before, when it was first in flight.
    assert all(3 <= executor.alone.count(sample) <= 4 for sample in always)
    # The cause is gone.
    assert serial(tmp_path, experiment(count=COUNT)).table is not None
    assert contents(tmp_path) == whole


@pytest.mark.parametrize("contagious", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_workers_that_die_for_no_reason_of_theirs(tmp_path, whole, monkeypatch, seed, contagious):
    rng = np.random.default_rng(seed)
    victims = [(cell, index, int(rng.integers(1, 3))) for cell in CELLS for index in rng.choice(COUNT, 5)]
    executor = Mortal(seed, deadly(*victims), contagious)
    monkeypatch.setattr("rmt.campaign.engines.Processes", executor.engine)
    outcome = serial(tmp_path, experiment(count=COUNT), engine="processes", workers=3, chunk_seconds=1e-3)
    assert outcome.failures == []
    assert contents(tmp_path) == whole
    assert max(executor.deadly.values()) == 0


def test_where_every_worker_dies_the_run_says_so(tmp_path, monkeypatch):
    executor = Mortal(0, deadly(*((cell, index, 99) for cell in CELLS for index in range(COUNT))), False)
    monkeypatch.setattr("rmt.campaign.engines.Processes", executor.engine)
    with pytest.raises(InputError, match="12 workers died and none has handed in a sample"):
        serial(tmp_path, experiment(count=COUNT), engine="processes")


@pytest.fixture
def obedient(tmp_path, monkeypatch):
    (tmp_path / "orders").mkdir()
    monkeypatch.setenv("RMT_TEST_ORDERS", str(tmp_path / "orders"))
    made = experiment([*CELLS, OBEDIENT], COUNT)
    return made, oracle(tmp_path / "whole", made)


def test_processes_of_which_one_is_killed(tmp_path, obedient):
    made, whole = obedient
    order(OBEDIENT, 20, "kill once")
    listener = Listener()
    assert serial(tmp_path / "out", made, engine="processes", workers=2, progress=listener).failures == []
    assert contents(tmp_path / "out") == whole
    assert sum("a worker died" in line for line in listener.lines) == 1


@pytest.mark.heavy
def test_processes_that_a_sample_kills(tmp_path, obedient):
    made, whole = obedient
    order(OBEDIENT, 1, "kill")
    out = tmp_path / "out"
    outcome = serial(out, made, engine="processes", workers=2, chunk_seconds=1.0)
    assert [line.split(":")[0] for line in outcome.failures] == [f"sample 1 of {OBEDIENT.label} failed"]
    assert (outcome.kept, outcome.samples) == (3, 4 * COUNT - 1)
    order(OBEDIENT, 1, None)
    assert serial(out, made).table is not None
    assert contents(out) == whole


class Broken(Executor):
    def __init__(self, error):
        self.error = error

    def submit(self, *arguments):
        raise self.error


def test_an_executor_that_breaks(tmp_path, whole):
    outcome = serial(tmp_path, experiment(count=COUNT), engine=Broken(BrokenExecutor("gone")))
    assert (outcome.table, outcome.interrupted) == (None, "the executor is broken")
    with pytest.raises(InputError, match="takes no work: RuntimeError: cannot schedule"):
        serial(tmp_path, experiment(count=COUNT), engine=Broken(RuntimeError("cannot schedule new futures")))
    assert serial(tmp_path, experiment(count=COUNT)).table is not None
    assert contents(tmp_path) == whole


# other numerics: the canary


OTHER = {**canary(), "LAPACK": "0" * 16}


def elsewhere(patch, *, coordinator=True, change=1e-15):
    """Let this machine, or only its workers, compute other bits, and say so in the canary."""
    patch.setattr("rmt.campaign.work.canary", lambda: OTHER)
    patch.setattr("rmt.campaign.work.draw", lambda cell, rng: cells.draw(cell, rng) * (1 + change))
    if coordinator:
        patch.setattr("rmt.campaign.coordinator.canary", lambda: OTHER)


def test_a_machine_with_another_canary_is_refused_or_labelled(tmp_path, monkeypatch, whole):
    serial(tmp_path, experiment(count=10))
    before = contents(tmp_path)
    with monkeypatch.context() as patch:
        elsewhere(patch)
        with pytest.raises(InputError) as error:
            serial(tmp_path, experiment(count=30))
        line = str(error.value)
        assert "cannot be continued here: the canary differs (LAPACK: " in line
        assert "--allow-mixed-numerics" in line
        assert "\n" not in line
        assert contents(tmp_path) == before
        listener = Listener()
        outcome = serial(tmp_path, experiment(count=30), allow_mixed_numerics=True, progress=listener)
        assert (outcome.samples, outcome.mixed) == (90, 60)
        assert any(canary_label(OTHER) in text for text in listener.lines)
    labelled = [path for path in shards(tmp_path) if path.name.endswith(f".mixed-{canary_label(OTHER)}.npy")]
    assert [path.name.split("-")[:2] for path in labelled] == [["10", "30"]] * 3
    assert len(shards(tmp_path)) == 6
    # The machine that began goes on, and says how many are not its own.
    outcome = serial(tmp_path, experiment(count=COUNT))
    assert (outcome.samples, outcome.mixed) == (3 * COUNT, 60)
    # Where it has them too, its own are taken.
    store = Store(tmp_path)
    for cell, entry in zip(CELLS, store.entries, strict=True):
        store.shards(entry).commit(10, np.stack([campaign.sample(cell, 0, index) for index in range(10, 25)]))
    outcome = serial(tmp_path, experiment(count=COUNT))
    assert outcome.mixed == 15
    for cell, entry in zip(CELLS, store.entries, strict=True):
        values = store.shards(entry).load(0, COUNT)
        truth = np.stack([campaign.sample(cell, 0, index) for index in range(COUNT)])
        same = [np.array_equal(*pair) for pair in zip(values, truth, strict=True)]
        assert same[:25] + same[30:] == [True] * (COUNT - 5)
        assert not all(same[25:30])


def test_a_worker_with_another_canary_is_refused_or_labelled(tmp_path, monkeypatch):
    elsewhere(monkeypatch, coordinator=False)
    with pytest.raises(InputError, match=r"the worker \S+ computes other bits \(LAPACK: .*--allow-mixed-numerics"):
        serial(tmp_path, experiment(count=10))
    assert shards(tmp_path) == []
    assert serial(tmp_path, experiment(count=10), allow_mixed_numerics=True).mixed == 30


def test_a_machine_that_computes_a_stored_sample_otherwise_is_refused(tmp_path, monkeypatch):
    serial(tmp_path, experiment(count=10))
    before = contents(tmp_path)

    def raises(cell, root, index):
        raise MemoryError("too large")

    for wrong, words in (
        (lambda *what: campaign.sample(*what) + 1e-15, "comes out otherwise"),
        (raises, "MemoryError"),
    ):
        monkeypatch.setattr("rmt.campaign.coordinator.sample", wrong)
        # Versions and canary are the same, so that it is the code, which no flag lets in.
        for mix in (False, True):
            with pytest.raises(InputError, match=f"sample 0 of .* {words}.*: code that it calls has changed") as error:
                serial(tmp_path, experiment(count=20), allow_mixed_numerics=mix)
            assert "--allow-mixed-numerics" not in str(error.value)
        assert contents(tmp_path) == before


def test_a_cell_of_labelled_samples_alone_does_not_stand_for_its_kind(tmp_path, monkeypatch):
    """One sample of each statistic is compared, of a cell that has some of the manifest's kind of machine."""
    one, two = (campaign.Cell(vector, None, {"k": k}) for k in (1, 2))
    counts = {one: 1, two: 10}
    made = experiment([one, two], samples=lambda cell, quick: counts[cell])
    serial(tmp_path, made)
    (path,) = shards(tmp_path, one.name)
    store = Store(tmp_path)
    folder = store.shards(store.entries[0])
    folder.commit(0, folder.load(0, 1), canary_label(OTHER))
    path.unlink()
    monkeypatch.setattr("rmt.campaign.coordinator.sample", lambda *what: campaign.sample(*what) + 1e-15)
    with pytest.raises(InputError, match=f"sample 0 of {two.label} comes out otherwise"):
        serial(tmp_path, made, samples=20)
