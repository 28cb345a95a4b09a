"""Kills of the coordinator, several runners at once, signals: nothing committed is lost, and the end is the same."""

import os
import signal
import time

import numpy as np
import pytest
from campaigns import CELLS, data, die_at, experiment, oracle, run, serial, watch_disk
from demos import contents

from rmt.campaign import sample
from rmt.campaign.shards import parse
from rmt.campaign.store import Store


@pytest.fixture(autouse=True)
def no_flush(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # which takes long


def committed(out, count):
    """Check that every file under a final name is whole and right, and return how many samples they hold.

    What a log says to be committed is there, whatever was joined since.
    """
    if not (out / "manifest.json").exists():
        assert not (out / "shards").exists()
        return 0
    store, held = Store(out), 0
    for entry in store.entries:
        folder, found = store.shards(entry), store.scan(entry)
        (cell,) = (cell for cell in CELLS if cell.sha256.hex() == entry.sha256)
        assert found.damaged == []
        there = {index for start, stop in found.covered(count) for index in range(start, stop)}
        assert there >= logged(store, entry)
        for start, stop in found.covered(count):
            expected = np.stack([sample(cell, 0, index) for index in range(start, stop)])
            assert np.array_equal(folder.load(start, stop), expected)
            held += stop - start
    return held


def logged(store, entry):
    """Return the indices of the samples of a cell that the logs say were committed."""
    lines = [line for run in store.runs().values() for line in run if "shard" in line]
    found = [parse(store.directory / "shards" / line["shard"]) for line in lines]
    mine = [shard for shard in found if shard.path.parent.name == entry.folder]
    return {index for shard in mine for index in range(shard.start, shard.stop)}


def kill_at_every_call(forks, tmp_path, part, **options):
    """Kill at the first disk call, at the second, ...: whenever that is, the next call ends as if it had not been."""
    count, cells = options["count"], [CELLS[number] for number in options.get("cells", range(len(CELLS)))]
    whole = oracle(tmp_path / "whole", experiment(cells, count))
    kept = []
    for number in range(2000):
        out = tmp_path / f"{number}"
        status = forks.run(die_at, out, number, part, options)
        if status == 0:
            break
        assert status == -signal.SIGKILL
        kept.append(committed(out, count) if out.exists() else 0)
        serial(out, experiment(cells, count))
        assert contents(out) == whole, number
    assert contents(out) == whole
    assert len(cells) > 1 or kept == sorted(kept)  # a later kill finds no less
    return kept


def test_killed_at_each_system_call_of_the_store(forks, tmp_path):
    kept = kill_at_every_call(forks, tmp_path, False, count=4, cells=[2])
    assert len(kept) > 40
    assert (kept[0], kept[-1]) == (0, 4)


def test_killed_in_the_middle_of_each_write(forks, tmp_path):
    kept = kill_at_every_call(forks, tmp_path, True, count=4, cells=[2])
    assert (kept[0], kept[-1]) == (0, 4)


@pytest.mark.heavy
def test_killed_at_each_system_call_of_a_larger_run(forks, tmp_path):
    assert len(kill_at_every_call(forks, tmp_path, False, count=12)) > 200


def killed_at_random(forks, folder, kills, seed):
    """Kill runs in one directory after random times, and more where these are at their end."""
    rng = np.random.default_rng(seed)
    options = {"count": 150}
    whole = oracle(folder / "whole", experiment(count=150))
    trial, done, kept = 0, 0, 0
    while done < kills:
        out = folder / f"{trial}"
        process = forks.start(run, out, options)
        time.sleep(rng.uniform(0, 0.3))
        os.kill(process, signal.SIGKILL)
        status = forks.wait(process)
        assert status in (0, -signal.SIGKILL)
        done += status != 0
        before, kept = kept, committed(out, 150)
        assert kept >= before
        if status == 0 or rng.random() < 0.1 or done == kills:
            serial(out, experiment(count=150))
            assert contents(out) == whole
            trial, kept = trial + 1, 0
    return trial


def test_killed_at_random_moments(forks, tmp_path):
    assert killed_at_random(forks, tmp_path, 5, seed=0)


@pytest.mark.heavy
def test_killed_at_200_random_moments(forks, tmp_path):
    assert killed_at_random(forks, tmp_path, 200, seed=1) > 3


# loss of power


def test_what_is_committed_survives_a_loss_of_power(tmp_path, monkeypatch):
    """A file is flushed before it gets its name, its name before anything counts on it, and every folder likewise."""
    events = []

    def act(name, call, path):
        if name == "fsync":
            path = os.readlink(f"/proc/self/fd/{path}")
        result = call()
        if str(tmp_path) in path:
            events.append((name, path))
        return result

    def note(name, real):
        def noted(source, target, *arguments, **options):
            real(source, target, *arguments, **options)
            if str(tmp_path) in str(target):
                events.append(("named", f"{source} {target}"))

        monkeypatch.setattr(os, name, noted)

    out = tmp_path / "below" / "out"
    watch_disk(act, lambda *what: monkeypatch.setattr(*what, raising=False))
    for name in ("replace", "link"):
        note(name, getattr(os, name))
    serial(out, experiment(CELLS[2:], 5))
    named = [(number, *path.split(" ")) for number, (name, path) in enumerate(events) if name == "named"]
    folders = [(number, path) for number, (name, path) in enumerate(events) if name == "mkdir" and "runs" not in path]
    assert len(folders) == 4  # below, out, shards, and that of the cell
    assert len(named) == 6  # a manifest, four files of samples, and what they are joined to
    for number, source, target in named:
        last = max(at for at, event in enumerate(events[:number]) if event == ("write", source))
        assert ("fsync", source) in events[last:number]
        rest = events[number + 1 :]
        flushed = rest.index(("fsync", os.path.dirname(target)))
        assert {name for name, _ in rest[:flushed]} <= {"replace", "link", "unlink"}
        assert all(".partial-" in path for name, path in rest[:flushed] if name == "unlink")
    for number, path in folders:
        first = next(at for at, (name, inside) in enumerate(events) if name == "named" and path in inside)
        assert ("fsync", os.path.dirname(path)) in events[number:first]


# two runners


def race(forks, out, runners, options, kill=None):
    processes = [forks.start(run, out, options) for _ in range(runners)]
    if kill is not None:
        time.sleep(kill)
        os.kill(processes[0], signal.SIGKILL)
    return [forks.wait(process) for process in processes]


def several(forks, folder, trials):
    whole = oracle(folder / "whole", experiment(count=40))
    for trial in range(trials):
        out, runners = folder / f"{trial}", 2 + trial % 3
        assert race(forks, out, runners, {"count": 40, "chunk_seconds": 10.0 ** -(trial % 7)}) == [0] * runners
        assert contents(out) == whole
        assert 1 <= len(list((out / "runs").iterdir())) <= runners


def test_two_runners_on_one_directory(forks, tmp_path):
    several(forks, tmp_path, 4)


@pytest.mark.heavy
def test_two_runners_many_times(forks, tmp_path):
    several(forks, tmp_path, 60)


@pytest.mark.heavy
def test_two_runners_of_which_one_is_killed(forks, tmp_path):
    whole = oracle(tmp_path / "whole", experiment(count=60))
    for number, kill in enumerate(np.linspace(0, 0.4, 25)):
        out = tmp_path / f"{number}"
        assert race(forks, out, 3, {"count": 60}, kill)[1:] == [0, 0]
        serial(out, experiment(count=60))  # takes away what the killed one may have left
        assert contents(out) == whole


def test_two_runners_of_different_counts(forks, tmp_path):
    whole = oracle(tmp_path / "whole", experiment(count=40))
    for trial in range(5):
        out = tmp_path / f"{trial}"
        processes = [forks.start(run, out, {"count": count}) for count in (40 - 5 * trial, 40)]
        assert [forks.wait(process) for process in processes] == [0, 0]
        assert data(contents(out)) == data(whole)
