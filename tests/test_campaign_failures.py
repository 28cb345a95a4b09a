"""Samples that fail: found, named, and tried again; none is dropped, and the others are there."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from campaigns import (
    CELLS,
    OBEDIENT,
    Listener,
    Shuffled,
    data,
    experiment,
    oracle,
    order,
    serial,
)
from demos import contents, shards

from rmt import campaign
from rmt.checks import InputError
from rmt.cli import main

COUNT = 40


@pytest.fixture(autouse=True)
def orders(tmp_path, monkeypatch):
    (tmp_path / "orders").mkdir()
    monkeypatch.setenv("RMT_TEST_ORDERS", str(tmp_path / "orders"))
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # which takes long


def failures(out):
    return {int(path.stem): json.loads(path.read_text()) for path in out.glob("failures/*/*.json")}


@pytest.mark.parametrize("order_seed", [None, 0, 1])
@pytest.mark.parametrize(
    ("what", "wrong"),
    [("raise", [0]), ("raise", [0, 1, 2, 20, 21, 39]), ("raise", list(range(40))), ("shape", [39]), ("shape", [7, 8])],
)
def test_failures_are_isolated_and_tried_again(tmp_path, what, wrong, order_seed):
    made = experiment([OBEDIENT, CELLS[0]], COUNT)
    out, whole = tmp_path / "out", oracle(tmp_path / "whole", made)
    engine = {} if order_seed is None else {"engine": Shuffled(order_seed), "workers": 3, "chunk_seconds": 0.001}
    for index in wrong:
        order(OBEDIENT, index, what)
    listener = Listener()
    outcome = serial(out, made, progress=listener, **engine)
    assert outcome.table is None
    assert (outcome.kept, outcome.total, outcome.samples) == (1, 2, 2 * COUNT - len(wrong))
    found = failures(out)
    assert sorted(found) == wrong
    for record in found.values():
        assert (record["cell"], record["seed"], record["tries"]) == (OBEDIENT.label, 0, 3)
        assert record["sha256"] == OBEDIENT.sha256.hex()
        assert "Traceback" in record["traceback"]
    reason = {
        "raise": "ArithmeticError: by order in two lines",
        "shape": "ValueError: <f8 (5,) where sample 0 is <f8 ()",
    }
    lines = [f"sample {index} of {OBEDIENT.label} failed: {reason[what]}" for index in wrong]
    assert sorted(outcome.failures) == sorted(lines)
    assert len([line for line in listener.lines if "failed" in line]) == min(len(wrong), 3)
    # Some of it is mended: the records of the rest stay.
    for index in wrong[::2]:
        order(OBEDIENT, index, None)
    assert len(serial(out, made, **engine).failures) == len(wrong[1::2])
    if wrong[1:]:
        assert set(wrong[1::2]) <= set(failures(out)) <= set(wrong)
    for index in wrong:
        order(OBEDIENT, index, None)
    assert serial(out, made, **engine).table is not None
    assert failures(out) == {}
    assert data(contents(out)) == data(whole)


def test_sample_0_fails_and_the_others_have_two_shapes(tmp_path):
    """Whichever is stored first is the shape of the cell, and the run can be mended."""
    order(OBEDIENT, 0, "raise")
    for index in range(3, COUNT, 2):
        order(OBEDIENT, index, "shape")
    made = experiment([OBEDIENT], COUNT)
    outcome = serial(tmp_path / "out", made, engine=Shuffled(0), workers=7, chunk_seconds=0.001)
    assert sorted(failures(tmp_path / "out")) == [0, *range(3, COUNT, 2)]
    assert outcome.samples == COUNT - 20
    for index in range(COUNT):
        order(OBEDIENT, index, None)
    assert serial(tmp_path / "out", made).table is not None
    assert data(contents(tmp_path / "out")) == data(oracle(tmp_path / "whole", made))


def test_the_command_says_so(tmp_path, capsys):
    (tmp_path / "file.py").write_text("import campaigns\nexperiment = campaigns.experiment([campaigns.OBEDIENT], 40)\n")
    arguments = ["run", str(tmp_path / "file.py"), "--out", str(tmp_path / "out"), "--engine", "serial"]
    order(OBEDIENT, 5, "raise")
    assert main(arguments) == 3
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"rmt: 1 samples failed and 1 of 1 cells are incomplete; the others are kept, and failures/ in "
        f"{tmp_path / 'out'} has the reasons; the same command tries them again"
    )
    order(OBEDIENT, 5, None)
    assert main(arguments) == 0
    assert failures(tmp_path / "out") == {}


def test_a_cell_that_fails_again_and_again_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr("rmt.campaign.coordinator.MOST_FAILED", 10)
    for index in range(0, COUNT, 2):
        order(OBEDIENT, index, "raise")
    listener = Listener()
    outcome = serial(tmp_path / "out", experiment([OBEDIENT, CELLS[0]], COUNT), progress=listener)
    assert (outcome.kept, len(outcome.failures), outcome.samples) == (1, 10, 9 + COUNT)
    assert sum("10 samples of" in line and "it is left as it is" in line for line in listener.lines) == 1


def test_files_stay_few_where_samples_are_missing(tmp_path, monkeypatch):
    monkeypatch.setattr("rmt.campaign.schedule.MOST_FILES", 5)
    most = []
    for index in (4, 100):
        order(OBEDIENT, index, "raise")
    real = campaign.coordinator.Part.add

    def add(part, shard):
        real(part, shard)
        most.append(len(part.held.shards))

    monkeypatch.setattr("rmt.campaign.schedule.Part.add", add)
    serial(tmp_path / "out", experiment([OBEDIENT], 200))
    assert len(most) > 150
    assert max(most) <= 3 + 5
    assert len(shards(tmp_path / "out")) <= 8


class SillyError(Exception):
    def __str__(self):
        raise RuntimeError("cannot even say what it is")


def silly(ensemble, params, rng):
    if rng.random() < 0.5:
        raise SillyError
    return 1.0


def nothing(ensemble, params, rng):
    return [np.array([]), "text", None, object()][rng.integers(4)]


def test_errors_that_cannot_be_shown_and_results_that_are_none(tmp_path):
    made = [campaign.Cell(silly, None), campaign.Cell(nothing, None)]
    outcome = serial(tmp_path / "out", experiment(made, 20))
    below = [i for i in range(20) if campaign.stream(0, made[0], i).random() < 0.5]
    assert [line for line in outcome.failures if "silly" in line] == [
        f"sample {index} of silly None failed: SillyError" for index in below
    ]
    what = "TypeError: a statistic returns a number or an array of numbers"
    assert sum(what in line for line in outcome.failures) == 20


def test_a_statistic_that_is_interrupted_interrupts_the_run(tmp_path):
    made = campaign.Cell(interrupts, None)
    with pytest.raises(KeyboardInterrupt):
        serial(tmp_path / "out", experiment([made], 20))
    assert failures(tmp_path / "out") == {}


def interrupts(ensemble, params, rng):
    raise KeyboardInterrupt


def test_not_a_number_is_a_sample_like_any_other(tmp_path):
    made = experiment([campaign.Cell(infinities, None)], 200)
    outcome = serial(tmp_path / "out", made, target_se=0.1)
    assert (outcome.failures, outcome.samples) == ([], 200)
    assert isinstance(outcome.table, pd.DataFrame)
    (path,) = shards(tmp_path / "out")
    assert {0.0, np.inf} < set(np.load(path)) | {0.0}
    assert np.isnan(np.load(path)).any()


def infinities(ensemble, params, rng):
    return [np.nan, np.inf, -np.inf, 1.0, 1e308][rng.integers(5)]


def worn(ensemble, params, rng):
    params["list"].append(rng.standard_normal())
    return float(len(params["list"]))


def worn_array(ensemble, params, rng):
    params["array"] += 1.0
    return params["array"][0]


@pytest.mark.parametrize("statistic", [worn, worn_array])
def test_a_statistic_that_changes_its_parameters_is_refused(tmp_path, statistic):
    """Its samples would depend on the order of work."""
    made = campaign.Cell(statistic, None, {"list": [1], "array": np.zeros(2)})
    with pytest.raises(InputError, match=r"worn.*changed its own parameters"):
        serial(tmp_path / "out", experiment([made], 20))
    assert shards(tmp_path / "out") == []


def elsewhere(ensemble, params, rng):
    os.chdir("/")
    return rng.standard_normal()


def test_a_statistic_that_changes_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = experiment([campaign.Cell(elsewhere, None)], 20, present=lambda *what: pd.DataFrame({"x": [1]}))
    assert serial(Path("out"), made).samples == 20
    assert len(shards(tmp_path / "out")) == 1
    assert (tmp_path / "out" / "runs").is_dir()
