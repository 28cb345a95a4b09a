"""Damaged files, other bits, wrong clocks, full disks: what is noticed, what is said, and that the run can go on."""

import errno
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from campaigns import (
    CELLS,
    Forks,
    Listener,
    command,
    data,
    experiment,
    limited,
    oracle,
    run,
    serial,
    unprivileged,
    watch_disk,
)
from demos import contents, shards

from rmt import campaign
from rmt.campaign import cells
from rmt.campaign.store import Store
from rmt.checks import InputError

FILE = "import campaigns\nexperiment = campaigns.experiment(count=30)\n"


@pytest.fixture(scope="module")
def forks():
    made = Forks()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def no_flush(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # which takes long


# damaged samples


def cut(out, path):
    path.write_bytes(path.read_bytes()[:-1])
    return path


def empty(out, path):
    path.write_bytes(b"")
    return path


def flip(out, path):
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 128]))
    return path


def move(out, path):
    """Claim that samples 0 to 8 are samples 1 to 9."""
    return path.rename(path.with_name("1-10" + path.name[3:]))


def to_another_cell(out, path):
    (other,) = shards(out, "phases")
    return path.rename(other.with_name(path.name))


def from_another_seed(out, path):
    serial(out.parent / "other", seed=1)
    (other,) = shards(out.parent / "other", "scalar")
    path.unlink()
    return Path(shutil.copy(other, path.parent))


def strange(out, path):
    path.unlink()
    path = path.with_name("n" * 250 + ".npy")
    path.write_bytes(b"what is this?")
    return path


def folder(out, path):
    path.unlink()
    path.mkdir()
    return path


def delete(out, path):
    path.unlink()


DAMAGES = (cut, empty, flip, move, to_another_cell, from_another_seed, strange, folder, delete)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_samples_are_set_aside_and_computed_again(tmp_path, damage):
    out = tmp_path / "out"
    whole = oracle(out)
    (path,) = shards(out, "scalar")
    wrong = damage(out, path)
    listener = Listener()
    assert serial(out, progress=listener).table is not None
    assert data(contents(out)) == data(whole)
    aside = list((out / "damaged").iterdir()) if (out / "damaged").exists() else []
    if wrong is None:
        assert (aside, listener.lines) == ([], [])
    else:
        assert len(aside) == 1
        assert aside[0].name.endswith(wrong.name[-100:])
        assert listener.lines == [f"a damaged file is now {aside[0]}; its samples are computed again"]
    # And that was that.
    listener.lines.clear()
    serial(out, progress=listener)
    assert listener.lines == []
    assert {name: content for name, content in contents(out).items() if not name.startswith("damaged")} == whole


def test_a_file_that_is_damaged_twice_is_kept_twice(tmp_path):
    out = tmp_path / "out"
    whole = oracle(out)
    for _ in range(2):
        for path in shards(out):
            flip(out, path)
        serial(out)
    assert data(contents(out)) == data(whole)
    assert len(list((out / "damaged").iterdir())) == 6


def test_two_runners_that_find_the_same_damage(tmp_path, monkeypatch):
    """The other one is faster, and has its samples in place before this one sets the damaged file aside."""
    out = tmp_path / "out"
    whole = oracle(out)
    (path,) = shards(out, "scalar")
    flip(out, path)
    real = Store.set_aside

    def late(store, path):
        monkeypatch.setattr(Store, "set_aside", real)
        assert serial(out).table is not None
        return real(store, path)

    monkeypatch.setattr(Store, "set_aside", late)
    listener = Listener()
    assert serial(out, progress=listener).table is not None
    assert listener.lines == []
    assert len(list((out / "damaged").iterdir())) == 1
    assert data(contents(out)) == data(whole)


# other bits


def test_two_results_for_a_sample_are_an_error_that_names_files_and_runs(tmp_path, monkeypatch):
    def other(cell, rng):
        return cells.draw(cell, rng) + 1e-9

    one, two = tmp_path / "one", tmp_path / "two"
    for out, pieces in ((one, 100.0), (two, 1e-9)):
        with monkeypatch.context() as patch:
            if out == two:
                patch.setattr("rmt.campaign.work.draw", other)
            serial(out, experiment(CELLS[:1]), chunk_seconds=pieces)
    authors = [next((out / "runs").iterdir()).stem for out in (one, two)]
    first, second = (shards(out)[0] for out in (one, two))
    shutil.copytree(two / "shards", one / "shards", dirs_exist_ok=True)
    shutil.copytree(two / "runs", one / "runs", dirs_exist_ok=True)
    before = contents(one)
    with pytest.raises(InputError) as error:
        serial(one, experiment(CELLS[:1]), samples=20)
    line = str(error.value)
    assert "disagree about samples 0 to 8" in line
    assert all(path.name in line for path in (first, second))
    assert all(author in line for author in authors)
    assert "\n" not in line
    assert contents(one) == before
    shards(one)[shards(one).index(one / second.relative_to(two))].unlink()
    assert serial(one, experiment(CELLS[:1]), samples=20).samples == 20


# the clock


@pytest.mark.parametrize("years", [-1, 1])
def test_a_clock_that_is_wrong_by_a_year_decides_nothing(forks, tmp_path, monkeypatch, years):
    class Clock(datetime):
        @classmethod
        def now(cls, zone=None):
            return datetime.now(zone) + timedelta(days=365 * years)

    out = tmp_path / "out"
    whole = oracle(tmp_path / "whole")
    assert serial(out, samples=5).samples == 15
    then = time.time() + 365 * 86400 * years
    for path in out.rglob("*"):
        os.utime(path, (then, then))
    monkeypatch.setattr("rmt.campaign.log.datetime", Clock)
    monkeypatch.setattr(time, "time", lambda: then)
    assert serial(out, max_seconds=1e-9).interrupted == "out of time"
    outcome = serial(out)
    assert (outcome.samples, outcome.written) == (27, [out / "table.csv"])
    assert data(contents(out)) == data(whole)
    runs = Store(out).runs()
    assert [name[:5] for name in runs] == ["0001-", "0002-", "0003-"]
    assert {name[5:9] for name in runs} == {str((datetime.now(UTC)).year), str((Clock.now(UTC)).year)}
    assert set(Store(out).asked().values()) == {9}


# reading


def test_reading_while_a_run_commits_and_joins(forks, tmp_path):
    out, count = tmp_path / "out", 60
    truth = [np.stack([campaign.sample(cell, 0, index) for index in range(count)]) for cell in CELLS]
    process = forks.start(run, out, {"count": count})
    seen = [0, 0, 0]
    while seen != [count] * 3:
        if not (out / "manifest.json").exists():
            continue
        store = Store(out)
        for number, entry in enumerate(store.entries):
            held = store.scan(entry)
            assert held.damaged == []
            assert held.prefix() >= seen[number]
            seen[number] = held.prefix()
            for start, stop in held.covered(count):
                assert np.array_equal(store.shards(entry).load(start, stop, held), truth[number][start:stop])
    assert forks.wait(process) == 0


# the disk


def full_from(number, code=errno.ENOSPC, lasting=True):
    """Return what makes a disk full at the call of that number, and from then on; and how many calls there were."""
    calls = []

    def act(name, call, path):
        calls.append(name)
        if len(calls) <= number or name == "unlink" or not (lasting or len(calls) == number + 1):
            return call()
        if name == "write":
            call(part=True)
        raise OSError(code, os.strerror(code))

    return act, calls


def fill_disk(tmp_path, count, code, lasting=True):
    whole = oracle(tmp_path / "whole", experiment(CELLS[2:], count))
    for number in range(2000):
        out = tmp_path / f"{number}"
        act, calls = full_from(number, code, lasting)
        with pytest.MonkeyPatch.context() as patch:
            watch_disk(act, lambda *what: patch.setattr(*what, raising=False))
            try:
                outcome = serial(out, experiment(CELLS[2:], count))
            except InputError as error:
                outcome, line = None, str(error)
        if (out / "manifest.json").exists():
            assert all(not Store(out).scan(entry).damaged for entry in Store(out).entries)
        assert not [path for path in out.rglob("*") if ".partial-" in path.name]
        if outcome is None:
            assert os.strerror(code) in line
            assert "\n" not in line
            serial(out, experiment(CELLS[2:], count))
        assert contents(out) == whole
        if len(calls) <= number:
            return number
    raise AssertionError


def test_a_full_disk_stops_the_run_whatever_was_being_written(tmp_path):
    assert fill_disk(tmp_path, 4, errno.ENOSPC) > 35


@pytest.mark.heavy
@pytest.mark.parametrize("code", [errno.EIO, errno.EROFS, errno.EDQUOT])
def test_other_errors_of_the_disk_at_each_call(tmp_path, code):
    assert fill_disk(tmp_path, 6, code, lasting=code != errno.EIO) > 35


def test_a_limit_on_the_size_of_disk_files(forks, tmp_path):
    (tmp_path / "file.py").write_text(FILE)
    whole = oracle(tmp_path / "whole", experiment(count=30))
    arguments = ["run", tmp_path / "file.py", "--engine", "serial", "--out"]
    stopped = 0
    for size in (600, 1000, 3000, 4500, 6000):
        out, errors = tmp_path / f"{size}", tmp_path / f"errors {size}"
        status = forks.run(limited, size, *arguments, out, errors=errors)
        stopped += status == 2
        if status == 2:
            assert "File too large" in errors.read_text().splitlines()[-1]
            assert "Traceback" not in errors.read_text()
        assert forks.run(command, *arguments, out) == 0
        assert data(contents(out)) == data(whole)
    assert stopped >= 3


def test_a_read_only_disk_folder(forks, tmp_path):
    (tmp_path / "file.py").write_text(FILE)
    arguments = ["run", tmp_path / "file.py", "--engine", "serial", "--out", tmp_path / "out"]
    errors = tmp_path / "errors"
    assert forks.run(command, *arguments, "--samples", 5) == 0
    before = contents(tmp_path / "out")
    for samples, folder in enumerate(("", "shards", "runs", f"shards/{CELLS[0].name}"), 10):
        (tmp_path / "out" / folder).chmod(0o555)
        status = forks.run(unprivileged, *arguments, "--samples", samples, errors=errors)
        (tmp_path / "out" / folder).chmod(0o755)
        if status == 77:
            pytest.skip("needs a user whom permissions bind")
        assert status == (0 if folder == "shards" else 2)
        last = errors.read_text().splitlines()[-1]
        assert ("Permission denied" in last) == (folder != "shards")
        assert "Traceback" not in errors.read_text()
        if folder == "":
            assert contents(tmp_path / "out") == before
    (tmp_path / "out").chmod(0o000)
    assert forks.run(unprivileged, *arguments, errors=errors) == 2
    (tmp_path / "out").chmod(0o755)
    assert "Permission denied" in errors.read_text().splitlines()[-1]
    assert "Traceback" not in errors.read_text()


SMALL = 'mount -t tmpfs -o size=48k none "$1" && shift && "$@"; echo "status $?"; mount -o remount,size=4m "$0" && "$@"'


@pytest.mark.heavy
def test_a_small_disk_that_is_full(tmp_path):
    (tmp_path / "file.py").write_text(FILE)
    (tmp_path / "disk").mkdir()
    space = ["unshare", "--map-root-user", "--mount"]
    able = (
        shutil.which("unshare")
        and not subprocess.run(
            [*space, "mount", "-t", "tmpfs", "none", tmp_path / "disk"], capture_output=True
        ).returncode
    )
    if not able:
        pytest.skip("needs user namespaces")
    run = [sys.executable, "-m", "rmt", "run", tmp_path / "file.py", "--engine", "serial", "--samples", "2000"]
    keep = f'&& cp -r "$0/out" {tmp_path}/kept'
    result = subprocess.run(
        [*space, "sh", "-c", SMALL + keep, tmp_path / "disk", tmp_path / "disk", *run, "--out", tmp_path / "disk/out"],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
        },
    )
    assert "status 2\n" in result.stdout
    assert "No space left on device" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.returncode == 0
    whole = oracle(tmp_path / "larger", experiment(count=2000))
    assert data(contents(tmp_path / "kept")) == data(whole)
