"""`rmt status`, `rmt verify` and `rmt export`: what they print, and how they end."""

import dataclasses
import json
import re
import shlex

import pytest
from demos import experiment, fails_at_second
from demos import run as run_experiment
from stores import OWN, RADII, SPECTRA, expected, flip, put, snapshot, store

from rmt import campaign
from rmt.campaign.inspection import CellStatus, Status
from rmt.cli import main

COMMANDS = (["status"], ["verify"], ["export", "--format", "csv"])


def run(capsys, *arguments):
    status = main(list(map(str, arguments)))
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture
def demo_run(demo_file, tmp_path):
    run_experiment(demo_file, tmp_path / "out", seed=4)
    return tmp_path / "out"


def test_status_of_a_complete_run(capsys, demo_run):
    status, out, err = run(capsys, "status", demo_run)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"demo in {demo_run}: 4 of 4 cells are complete, 48 of 48 samples are there"
    assert lines[1].startswith("root seed 4; files of samples: 4, ")
    assert lines[3] == "cell                                               done  asked  mean ± std. error"
    assert lines[4] == "normals Ginibre(n=4, field='real', scale=1.0) k=1    12     12"
    assert re.fullmatch(
        r"last activity: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, \d+ s ago, on .+; the newest call ended: done", lines[-1]
    )


def test_status_of_an_incomplete_run_names_what_is_wrong(capsys, tmp_path):
    bad = campaign.Cell(fails_at_second, None)
    run_experiment(experiment([RADII, bad, OWN], 20), tmp_path)
    made = campaign.reading.Store(tmp_path)
    put(made, RADII, 18, 24, label="0123456789abcdef")
    put(made, RADII, 19, 20, alter=lambda values: values.__setitem__(0, 7.0))
    for path in (tmp_path / "shards" / OWN.name).iterdir():
        flip(path)
    before = snapshot(tmp_path)
    status, out, _ = run(capsys, "status", tmp_path)
    assert status == 0
    assert snapshot(tmp_path) == before
    found = campaign.status(tmp_path)
    lines = out.splitlines()
    (radii,) = [line for line in lines if line.startswith(RADII.label + " ")]
    mean, error = found.cells[0].mean, found.cells[0].standard_error
    assert f"{mean:.2f} ± {error:.2f}" in radii
    assert radii.endswith("4 mixed, 1 in dispute")
    failures = [line for line in lines if line.endswith(f"{found.failed} failed")]
    assert len(failures) == 1
    assert re.search(r"normals None +0 +20 +1 damaged\n", out)
    assert f"failed samples: {found.failed}; failures/ has the reasons, and the next call tries them again" in lines
    assert "damaged files: 1; the next call sets them aside, and computes their samples again" in lines
    assert "samples of machines with other numerics, which are labelled: 4" in lines
    assert f"`rmt verify {tmp_path}` says which of them is right" in lines
    assert any("disagree about sample 19" in line for line in lines)
    assert lines[-1] == "the run was made in Python: the same rmt.campaign.run(...) goes on"
    assert "the newest call ended: incomplete" in lines[-2]


def test_status_names_the_command_that_goes_on(capsys, demo_file, tmp_path, monkeypatch):
    """The command that the user gave, with the paths as they are to be written here and now."""
    out = tmp_path / "out"
    monkeypatch.setattr("rmt.cli.common.program", lambda: ["rmt"])
    monkeypatch.setattr("rmt.cli.entry.program", lambda: ["rmt"])
    monkeypatch.setattr("rmt.cli.store.program", lambda: ["rmt"])
    monkeypatch.chdir(tmp_path)
    options = ["--engine", "serial", "--samples", "6", "--size=2", "--max-seconds"]
    for place in (["--out", "out"], ["--out=out"]):
        status, _, err = run(capsys, "run", "demo.py", *place, *options, "1e-9")
        assert status == 75
        status, text, _ = run(capsys, "status", "out")
        assert status == 0
        assert text.splitlines()[-1] == err.splitlines()[-1].partition("; ")[2].partition("; ")[2]
    monkeypatch.chdir("/")
    assert campaign.status(out).command == shlex.join(["rmt", "run", str(demo_file), f"--out={out}", *options, "1e-9"])
    monkeypatch.chdir(tmp_path)
    out.rename("elsewhere")
    assert campaign.status("elsewhere").command.startswith("rmt run demo.py --out=elsewhere --engine")
    (tmp_path / "elsewhere").rename(out)
    words = shlex.split(campaign.status(out).command)
    assert run(capsys, *words[1:-1], "100")[0] == 0
    assert "24 of 24 samples are there" in run(capsys, "status", out)[1]
    assert "go on" not in run(capsys, "status", out)[1]


def test_a_damaged_file_beside_a_complete_run_is_worth_another_call(capsys, demo_run):
    assert "go on with" not in run(capsys, "status", demo_run)[1]
    path = next((demo_run / "shards").rglob("*.npy"))
    path.with_name("0-1-00.npy").write_bytes(b"")
    text = run(capsys, "status", demo_run)[1]
    assert "4 of 4 cells are complete" in text
    assert re.search(rf"go on with: .* run .* --out {re.escape(str(demo_run))}", text)


def test_status_before_any_work(capsys, tmp_path):
    store(tmp_path)
    text = run(capsys, "status", tmp_path)[1]
    assert "0 of 36 samples" in text
    assert "last activity: none; no call had work to do yet" in text


def test_status_of_a_killed_run(capsys, demo_run):
    (path,) = (demo_run / "runs").iterdir()
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]))
    assert "a run seems at work" in run(capsys, "status", demo_run)[1]
    path.write_text("\n".join(lines[:-1]).replace('"time": "2', '"time": "1'))
    assert "no end was logged: it was killed, or takes long" in run(capsys, "status", demo_run)[1]


def names(kind):
    return [field.name for field in dataclasses.fields(kind)]


def test_status_json_is_as_documented(capsys, demo_run, tmp_path):
    status, out, _ = run(capsys, "status", demo_run, "--json")
    assert status == 0
    found = json.loads(out)
    assert found == dataclasses.asdict(campaign.status(demo_run))
    assert list(found) == names(Status)
    assert list(found["cells"][0]) == names(CellStatus)
    for kind in (Status, CellStatus):
        described = re.findall(r"^    ([a-z_, ]+) : ", kind.__doc__, flags=re.MULTILINE)
        assert {name for line in described for name in line.split(", ")} == set(names(kind))
    run(capsys, "status", "--help")
    run(capsys, "verify", "--help")
    help_text = run(capsys, "status", "--help")[1]
    assert set(names(Status)) | set(names(CellStatus)) <= set(re.findall(r"\w+", help_text))
    types = {name: type(value).__name__ for name, value in found.items()}
    assert types == {
        **dict.fromkeys(["directory", "experiment", "call", "host", "last_activity", "ended", "command"], "str"),
        **dict.fromkeys(["seed", "asked", "done", "failed", "mixed", "damaged", "files", "bytes", "set_aside"], "int"),
        **dict.fromkeys(["complete", "active"], "bool"),
        "options": "dict",
        "cells": "list",
    }
    # Where something is unknown it is null, and numbers that are not finite are too.
    put(store(tmp_path / "other", [RADII]), RADII, 0, 1, alter=lambda values: values.__setitem__(0, float("nan")))
    found = json.loads(run(capsys, "status", tmp_path / "other", "--json")[1])
    assert {name for name, value in found.items() if value is None} == {
        "call",
        "host",
        "last_activity",
        "ended",
        "command",
    }
    assert found["cells"][0]["mean"] is found["cells"][0]["standard_error"] is None


def test_verify_of_a_sound_run(capsys, demo_run, demo_file):
    before = snapshot(demo_run)
    status, out, err = run(capsys, "verify", demo_run, "--samples", "2", "--seed", "7")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert re.fullmatch(rf"hashed again: 4 files of 4 cells in {re.escape(str(demo_run))}, [\d,]+ bytes", lines[0])
    assert re.fullmatch(r"computed again: 8 samples of 4 cells, in \d+\.\d s \(--seed 7 chooses the same\)", lines[1])
    assert lines[2:] == [f"{demo_file} was run for its cells", "all that was checked agrees, bit by bit"]
    assert snapshot(demo_run) == before


def test_verify_of_a_forged_run_is_status_1(capsys, tmp_path):
    made = store(tmp_path)
    put(made, RADII, 0, 12, alter=lambda values: values.__setitem__(5, 1.0))
    flip(put(made, SPECTRA, 0, 12))
    status, out, _ = run(capsys, "verify", tmp_path, "--samples", "12", "--max-seconds", "100")
    assert status == 1
    (path,) = (tmp_path / "shards" / RADII.name).iterdir()
    found = [line for line in out.splitlines() if line.startswith("FOUND ")]
    assert len(found) == 2
    assert f"shards/{SPECTRA.name}/" in found[0]
    assert found[1] == (
        f"FOUND shards/{RADII.name}/{path.name}: sample 5 of {RADII.label} is not what is computed here: "
        f"1.0 stored, {expected(RADII, 5, 6)[0]} computed"
    )
    assert out.splitlines()[-1] == "findings: 2"


def test_verify_takes_another_file(capsys, demo_run, demo_file, tmp_path):
    (tmp_path / "there").mkdir()
    demo_file.rename(tmp_path / "there" / "demo.py")
    out = run(capsys, "verify", demo_run)[1]
    assert "computed again: 3 samples of 1 cells" in out
    assert "not computed again: normals" in out
    out = run(capsys, "verify", demo_run, "--experiment", tmp_path / "there" / "demo.py")[1]
    assert "computed again: 12 samples of 4 cells" in out


@pytest.mark.parametrize("format", ["csv", "parquet", "latex", "markdown"])
def test_export_prints_what_it_wrote(capsys, demo_run, tmp_path, format):
    status, out, err = run(capsys, "export", demo_run, "--format", format)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "written:"
    assert sorted(lines[1:]) == sorted(f"  {path}" for path in (demo_run / "export").iterdir())
    assert len(lines) == (2 if format in ("latex", "markdown") else 6)
    assert run(capsys, "export", demo_run, "--format", format, "--out", tmp_path / "there")[0] == 0
    assert {path.name for path in (tmp_path / "there").iterdir()} == {
        path.name for path in (demo_run / "export").iterdir()
    }
    # The run itself takes no notice.
    assert campaign.verify(demo_run).sound


def test_export_says_what_is_missing(capsys, tmp_path):
    put(store(tmp_path, [RADII]), RADII, 0, 5)
    out = run(capsys, "export", tmp_path, "--format", "markdown")[1]
    assert out.splitlines()[0] == f"{RADII.label} is incomplete: 5 of 12 samples are exported, up to the first gap"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_what_is_no_run_is_one_line_and_status_2(capsys, tmp_path, command):
    for place, why in ((tmp_path, "it has no manifest.json"), (tmp_path / "nowhere", "no directory is there")):
        status, out, err = run(capsys, command[0], place, *command[1:])
        assert (status, out) == (2, "")
        assert err == f"rmt: {place} is no run: {why}\n"
    (tmp_path / "manifest.json").write_text("{}")
    assert run(capsys, command[0], tmp_path, *command[1:])[0] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["status"], "DIR"),
        (["verify", "OUT", "--samples", "x"], "not a number"),
        (["verify", "OUT", "--samples", "1.5"], "samples must be"),
        (["verify", "OUT", "--max-seconds", "0"], "max_seconds must be"),
        (["verify", "OUT", "--seed", "-1"], "seed must be"),
        (["export", "OUT"], "--format"),
        (["export", "OUT", "--format", "hdf5"], "'parquet', 'csv', 'latex', 'markdown'"),
        (["status", "OUT", "--bogus"], "--bogus"),
    ],
)
def test_bad_arguments_are_one_line_and_status_2(capsys, tmp_path, arguments, words):
    store(tmp_path)
    status, out, err = run(capsys, *(tmp_path if word == "OUT" else word for word in arguments))
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("rmt: ")
    assert words in err


def test_the_commands_are_in_the_help(capsys):
    text = run(capsys, "--help")[1]
    for command in COMMANDS:
        assert f"rmt {command[0]} DIR" in text
        status, out, _ = run(capsys, command[0], "--help")
        assert (status, out.startswith(f"usage: rmt {command[0]}")) == (0, True)
        assert "exit status: 0 done" in out
