"""What is odd but allowed: strange files and streams, races with other runners, and very many samples."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from campaigns import CELLS, Listener, Shuffled, command, experiment, million, oracle, serial
from demos import FILE, contents, shards

from rmt import campaign
from rmt.campaign.progress import Lines, Live
from rmt.campaign.store import read_manifest
from rmt.checks import InputError


@pytest.fixture(autouse=True)
def no_flush(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # which takes long


# experiment files


@pytest.mark.parametrize("kind", ["form feeds", "byte order mark", "latin-1", "windows"])
def test_experiment_files_as_editors_write_them(tmp_path, kind):
    text = {
        "form feeds": FILE.replace("\ndef ", "\n\f\ndef "),
        "byte order mark": "\ufeff" + FILE,
        "latin-1": "# -*- coding: latin-1 -*-\n# Größe\n" + FILE,
        "windows": FILE.replace("\n", "\r\n"),
    }[kind]
    path = tmp_path / "demo.py"
    path.write_bytes(text.encode("latin-1" if kind == "latin-1" else "utf-8"))
    made = campaign.load(path)
    campaign.run(made, tmp_path / "out", engine="serial", quick=True)
    sources = read_manifest(tmp_path / "out" / "manifest.json")["configuration"]["sources"]
    assert sources["experiment_demo.phases"].strip() == FILE[FILE.index("def phases") : FILE.index("def cells")].strip()
    # A change is seen.
    path.write_bytes(path.read_bytes().replace(b"size=(2, 3)", b"size=(3, 2)"))
    with pytest.raises(InputError, match=r"source of experiment_demo\.phases, line 2: .*\(2, 3\).*there, .*\(3, 2\)"):
        campaign.run(campaign.load(path), tmp_path / "out", engine="serial", quick=True)


@pytest.mark.parametrize("content", [b"x = '\xff'", b"\xff\xfe\x00", b"# coding: nothing\n", b"x = 1\0"])
def test_files_of_no_encoding_are_refused_on_one_line(tmp_path, content):
    path = tmp_path / "bad.py"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.py.*not Python") as error:
        campaign.load(path)
    assert "\n" not in str(error.value)


SCRIPT = """
import pandas as pd
from rmt import campaign

def statistic(ensemble, params, rng):
    return rng.standard_normal()

cell = campaign.Cell(statistic, None)
made = campaign.Experiment(
    "script", lambda options: [cell], lambda cell, quick: 20, {}, lambda *what: pd.DataFrame({"x": [1]})
)
if __name__ == "__main__":
    print(campaign.run(made, "OUT", workers=1).samples)
"""


@pytest.mark.heavy
def test_a_statistic_of_the_script_itself(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.replace("OUT", str(tmp_path / "out")))
    result = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stdout, result.stderr) == (0, "20\n", "")


# streams


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("display", [Lines, Live])
def test_a_display_that_cannot_be_written_stops_nothing(tmp_path, display):
    full = open("/dev/full", "w")  # noqa: SIM115
    closed = open(os.devnull, "w")  # noqa: SIM115
    closed.close()
    for number, stream in enumerate((full, closed)):
        assert serial(tmp_path / f"{number}", progress=display(stream)).table is not None
    os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())
    full.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_exit_statuses_where_nobody_listens(forks, tmp_path):
    (tmp_path / "file.py").write_text("import campaigns\nexperiment = campaigns.experiment()\n")
    arguments = ["run", tmp_path / "file.py", "--engine", "serial", "--out", tmp_path / "out"]
    assert forks.run(command, *arguments, "--max-seconds", 1e-9, errors="/dev/full") == 75
    assert forks.run(command, *arguments, errors="/dev/full") == 0
    assert forks.run(command, *arguments, "--seed", 1, errors="/dev/full") == 2


# other runners


def test_a_manifest_that_appears_at_the_last_moment(tmp_path, monkeypatch):
    whole = oracle(tmp_path / "out")
    real, first = Path.exists, []

    def exists(path):
        if path.name == "manifest.json" and not first:
            first.append(path)
            return False
        return real(path)

    monkeypatch.setattr(Path, "exists", exists)
    assert serial(tmp_path / "out").table is not None
    assert first
    assert contents(tmp_path / "out") == whole


def test_files_that_vanish_at_the_last_moment(tmp_path, monkeypatch):
    """Another runner tidies up, and its own files come and go."""
    oracle(tmp_path / "out")
    touch, stat = Path.touch, Path.stat

    def vanish(path, **options):
        touch(path, **options)
        path.unlink()

    def gone(path, **options):
        if path.name == "table.csv":
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "touch", vanish)
    monkeypatch.setattr(Path, "stat", gone)
    assert serial(tmp_path / "out").written == []


def test_a_folder_of_somebody_else_is_not_searched(tmp_path, monkeypatch):
    (tmp_path / "thesis.txt").write_text("all my work")
    monkeypatch.setattr(os, "walk", None)
    with pytest.raises(InputError, match=r"thesis\.txt"):
        serial(tmp_path)


def test_handlers_of_signals_that_are_not_pythons(tmp_path, monkeypatch):
    real, given = signal.signal, []

    def foreign(number, handler):
        given.append(handler)
        real(number, handler)

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    monkeypatch.setattr(signal, "signal", foreign)
    serial(tmp_path / "out")
    assert given[2:] == [signal.SIG_DFL] * 2
    for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
        real(number, handler)


# sizes


def test_more_workers_than_samples(tmp_path):
    whole = oracle(tmp_path / "whole", experiment(count=2))
    serial(tmp_path / "out", experiment(count=2), engine=Shuffled(0), workers=4096)
    assert contents(tmp_path / "out") == whole


def test_more_samples_than_there_will_ever_be(tmp_path):
    listener = Listener()
    outcome = serial(tmp_path, samples=10**18, max_seconds=0.3, chunk_seconds=0.05, progress=listener)
    assert outcome.interrupted == "out of time"
    assert 0 < outcome.samples < 10**9
    counts = serial(tmp_path, samples=3).table["n"]  # without a gap, whatever was asked for
    assert counts.min() >= 3
    assert counts.sum() <= serial(tmp_path, samples=3).samples


def large(ensemble, params, rng):
    return rng.standard_normal(100_000)


def test_large_samples_come_in_pieces_that_fit(tmp_path, monkeypatch):
    monkeypatch.setattr("rmt.campaign.schedule.BLOCK_BYTES", 2_500_000)
    monkeypatch.setattr("rmt.campaign.shards.BLOCK_BYTES", 2_500_000)
    sizes = []

    class Measured(Shuffled):
        def finish(self, future, function, chunk):
            sizes.append(chunk.stop - chunk.start)
            super().finish(future, function, chunk)

    outcome = serial(tmp_path, experiment([campaign.Cell(large, None)], 20), engine=Measured(0), chunk_seconds=100.0)
    assert outcome.samples == 20
    assert max(sizes) == 3
    assert [tuple(map(int, path.name.split("-")[:2])) for path in shards(tmp_path)] == sorted(
        [(start, min(start + 3, 20)) for start in range(0, 20, 3)], key=lambda ends: f"{ends[0]}-"
    )


@pytest.mark.heavy
def test_a_million_samples(forks, tmp_path):
    assert forks.run(million, tmp_path / "out", 10**6) == 0
    grown, chunks, files, samples = json.loads((tmp_path / "out" / "took.json").read_text())
    assert samples == 10**6
    assert grown < 150_000  # kB; the samples are 8 MB
    assert chunks < 5000
    assert files <= 260
    (path,) = shards(tmp_path / "out")
    values = np.load(path)
    for index in (0, 1, 65_535, 65_536, 999_999):
        assert values[index] == campaign.sample(CELLS[0], 0, index)
