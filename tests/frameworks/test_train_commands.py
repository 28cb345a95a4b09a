"""`rmt train` as a user gives it: a run that is killed goes on, a table resumes to the same bytes, a probe counts."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rmt import campaign
from rmt.campaign import numerics
from rmt.cli import main
from rmt.training import progress, steps, table
from rmt.training.fit import fit
from rmt.training.probe import configuration, probe, run
from rmt.training.runs import CURVES, record, unpack

ROOT = Path(__file__).parents[2]
SMALL = ["--d-model", "8", "--d-hidden", "8", "--layers", "1", "--batch", "16", "--lr", "0.01"]
ADDING = ["run", "adding", "--length", "16", "--size", "96", *SMALL, "--steps", "200", "--data-seed", "5"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def rmt_train(*arguments):
    """Start `rmt train` in a process of its own."""
    command = [sys.executable, "-m", "rmt", "train", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, **pipes)


def train(capsys, *arguments):
    status = main(["train", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def results(out):
    """Return what a run must come to however often it was interrupted: all but times."""
    found = json.loads((out / "result.json").read_text())
    for name in ("seconds_per_step", "cpu_seconds_per_step"):
        del found[name]
    return found, (out / "losses.csv").read_bytes(), (out / "history.csv").read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert main(["train", *ADDING, "--out", str(out)]) == 0
    return out


@pytest.fixture
def no_figure(monkeypatch):
    """Leave out the figure, which takes longer than the run."""
    monkeypatch.setattr("rmt.plotting.save_figure", lambda *_: [])
    return monkeypatch


def test_a_run_leaves_result_history_and_figure(capsys, whole):
    found = json.loads((whole / "result.json").read_text())
    assert (found["complete"], found["step"], found["diverged_at"]) == (True, 200, None)
    assert found["baselines"].keys() == {"mean"}
    assert found["data"]["sha256"]
    assert found["data"]["options"] == {"length": 16, "size": 96, "seed": 5}
    assert found["config"]["train"]["seed"] == 0
    history = pd.read_csv(whole / "history.csv")
    assert history.step.tolist() == list(range(0, 201, 20))
    assert found["best"]["validation"] == pytest.approx(history.validation.min(), rel=1e-12)
    assert history.loss[10] < 0.5 * history.loss[1]
    assert history.radius_1.tolist() == [entry["radii"][0] for entry in found["history"]]
    losses = pd.read_csv(whole / "losses.csv")
    assert losses.step.tolist() == list(range(1, 201))
    assert history.loss[1] == pytest.approx(losses.loss[:20].mean(), rel=1e-5)
    assert {path.name for path in whole.iterdir()} == {
        "checkpoints",
        "history.csv",
        "losses.csv",
        "result.json",
        *(f"training.{suffix}" for suffix in ("pdf", "png", "svg")),
    }


def test_the_same_command_changes_nothing_and_prints_json(capsys, whole):
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    status, out, _ = train(capsys, *ADDING, "--out", whole, "--json")
    assert status == 0
    printed = json.loads(out)
    assert printed.pop("written") == sorted(str(path) for path in whole.iterdir() if path.is_file())
    assert printed == json.loads((whole / "result.json").read_text())
    assert {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()} == before


def test_another_configuration_is_refused(capsys, whole):
    status, _, err = train(capsys, *ADDING, "--init", "half", "--out", whole)
    assert status == 2
    assert err.count("\n") == 1
    assert "init='rescaled'" in err


def test_a_killed_run_comes_to_the_same(capsys, whole, tmp_path, no_figure):
    out = tmp_path / "run"
    command = [*ADDING, "--out", out, "--checkpoint-seconds", "0"]
    with rmt_train(*command) as process:
        while latest(out) < 20 and process.poll() is None:
            time.sleep(0.01)
        process.kill()
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert 20 <= latest(out) < 200
    assert not (out / "result.json").exists()
    status, _, err = train(capsys, *command)
    assert status == 0
    assert int(re.search(r"step (\d+)/200", err)[1]) >= 20
    assert results(out) == results(whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_writes_a_checkpoint_and_names_the_command(capsys, whole, tmp_path, no_figure, number):
    original, out = progress.Lines.__call__, tmp_path / "a run"

    def interrupt(display, now):
        original(display, now)
        if now.step == 130:
            os.kill(os.getpid(), number)

    no_figure.setattr(progress.Lines, "__call__", interrupt)
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    command = [*ADDING, "--out", out]
    status, said, err = train(capsys, *command)
    assert (status, said) == (75, "")
    last = err.splitlines()[-1]
    assert f"interrupted; step {latest(out)} of 200 is kept" in last
    assert latest(out) in (130, 131)
    assert last.endswith(f"train {' '.join(ADDING)} --out '{out}'")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    no_figure.setattr(progress.Lines, "__call__", original)
    assert train(capsys, *command)[0] == 0
    assert results(out) == results(whole)


def latest(out):
    return max((int(path.name[:10]) for path in (out / "checkpoints").glob("*.npz")), default=0)


def test_out_of_time_is_status_75(capsys, tmp_path):
    status, out, err = train(capsys, *ADDING, "--out", tmp_path, "--max-seconds", "1e-6")
    assert (status, out) == (75, "")
    assert "out of time; step 1 of 200" in err.splitlines()[-1]


def test_divergence_is_a_result(capsys, tmp_path):
    status, out, _ = train(capsys, *ADDING, "--init", "exact:1e9", "--out", tmp_path)
    assert status == 0
    assert re.search(r"Diverged: the (loss|gradient) was not finite at step 1\.", out)
    found = json.loads((tmp_path / "result.json").read_text())
    assert (found["diverged_at"], found["test"], found["complete"]) == (1, None, True)
    assert found["history"][0]["radii"] == [pytest.approx(1e9, rel=1e-5)]
    assert (tmp_path / "training.png").stat().st_size > 0


# The probe


def test_glorot_diverges_and_the_others_do_not():
    inits = ["glorot", "half", "half-variance", "uniform", "rescaled:alpha=0.001"]
    found = probe(inits=inits, widths=[64], seeds=2, steps=2, batch=1, d_model=8)
    counts = {init: [entry.diverged_at for entry in found if entry.init == init] for init in inits}
    assert None not in counts["glorot"]
    assert all(at == [None] * 2 for init, at in counts.items() if init != "glorot")
    for entry in found:
        assert len(entry.radii) == 4
        assert len(entry.losses) == (entry.diverged_at or 2)
        assert (max(entry.radii) > 1) == (entry.init == "glorot")


def test_a_probe_ends_at_a_gradient_and_draws_each_batch_anew(monkeypatch):
    tokens = []

    def compiled(*_):
        def step(carry, batch, key):
            tokens.append(batch["inputs"])
            return carry, 0.5, True, len(tokens) < 2

        return steps.Compiled(lambda parameters, state: steps.Carry(parameters, state, None), step, None)

    monkeypatch.setattr(steps, "compiled", compiled)
    found = run(configuration("half", 8, layers=1, steps=3), 0, 20)
    assert (found.diverged, found.diverged_at, found.losses) == ("gradient", 2, (0.5, 0.5))
    run(configuration("half", 8, layers=1, steps=1), 1, 20)
    assert [batch.shape for batch in tokens] == [(20, 2)] * 3
    assert len({batch.tobytes() for batch in tokens}) == 3


def test_a_probe_does_not_depend_on_workers_or_on_other_runs(capsys, tmp_path):
    options = {"widths": [8, 16], "seeds": 2, "length": 20, "layers": 1, "steps": 2}
    one, two = (probe(inits=["half", "glorot"], workers=workers, **options) for workers in (1, 2))
    assert one == two
    assert [(entry.width, entry.init, entry.seed) for entry in one[:3]] == [
        (8, "half", 0),
        (8, "half", 1),
        (8, "glorot", 0),
    ]
    assert run(configuration("glorot", 16, layers=1, steps=2), 1, 20) == one[-1]


def test_probe_writes_what_it_prints(capsys, tmp_path):
    arguments = ["probe", "--init", "exact:1e9", "half", "--widths", "8", "--seeds", "2", "--length", "20"]
    arguments += ["--layers", "1", "--steps", "2", "--out", tmp_path]
    status, out, err = train(capsys, *arguments)
    assert status == 0
    assert err.count("\n") == 4
    assert "2 of 2" in out
    assert "0 of 2" in out
    frame = pd.read_csv(tmp_path / "probe.csv", na_values="-")
    assert frame.diverged.tolist() == [2, 0]
    assert frame.radius.tolist()[0] == pytest.approx(1e9, rel=1e-5)
    assert {path.name for path in tmp_path.iterdir()} == {"probe.csv", "probe.md", "probe.tex"}
    status, out, _ = train(capsys, *arguments[:-2], "--json")
    assert status == 0
    assert [row["diverged"] for row in json.loads(out)["rows"]] == [2, 0]


# The table


@pytest.fixture(scope="module")
def tiny():
    """Sizes of seconds, in place of those of table1."""
    digits = table.SIZES["quick"].tasks["digits"]
    config = digits.config.changed(d_model=4, d_hidden=8, layers=1, steps=4, evaluate_every=2)
    training = table.Training("digits", config, {"size": 32}, most=16)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("sample_spectral_radius", "sample_hidden_norms", "sample_eigenvalues"):
            # The canary of a campaign compiles for a minute where no training does.
            patch.setattr(numerics, name, lambda *_, **__: np.zeros(1))
        numerics.canary.cache_clear()
        yield {"default": table.Size({"digits": training}, ("dense/half", "dense/exact:1e9"), 2)}
    numerics.canary.cache_clear()


@pytest.fixture(scope="module")
def tabled(tiny, tmp_path_factory):
    """A table that nothing interrupted: the outcome of its campaign, and its folder."""
    out = tmp_path_factory.mktemp("table") / "whole"
    return campaign.run(table.build("table1", tiny), out, engine="serial"), out


def files(out):
    """Return the bytes of samples, tables and figures."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and "runs" not in path.parts and "_times" not in path.name and path.name != "manifest.json"
    }


def test_table_resumes_to_equal_bytes(tiny, tabled, tmp_path):
    whole, folder = tabled
    shown = whole.table.set_index("row")
    assert shown.diverged["dense/exact:1e9"] == "2 of 2, step 1"
    assert shown.accuracy["dense/exact:1e9"] == "diverges"
    assert shown.diverged["dense/half"] == "0 of 2"
    assert "baseline: least squares" in shown.index
    experiment = table.build("table1", tiny)
    for _ in range(2):
        assert campaign.run(experiment, tmp_path, engine="serial", max_seconds=1e-3, chunk_seconds=1e-3).table is None
    assert campaign.run(experiment, tmp_path, engine="serial").table is not None
    assert files(tmp_path) == files(folder)
    times = pd.read_csv(tmp_path / "table1_times.csv")
    assert (times.runs == 2).all()
    assert (times.seconds_per_run > 0).all()


def test_table_has_means_and_deviations_of_the_runs_that_went(tiny, tabled):
    folder = tabled[1]
    frame = pd.read_csv(folder / "table1.csv", na_values="undefined").set_index("row")
    training = next(iter(table.plan(table.experiment.defaults(), tiny)["digits"].values()))
    seeds = [int(campaign.stream(0, training, index).integers(2**32)) for index in range(2)]
    runs = unpack(np.stack([record(training.ensemble, seed) for seed in seeds]))
    line = frame.loc["dense/half"]
    assert line.test == pytest.approx(runs.numbers["test"].mean(), rel=1e-12)
    assert line.test_sd == pytest.approx(runs.numbers["test"].std(ddof=1), rel=1e-9)
    assert line.radius_first == pytest.approx(runs.curves["radius"][:, 0].mean(), rel=1e-12)
    assert runs.curves["step"].tolist() == [[0, 2, 4]] * 2
    assert np.isnan(frame.loc["dense/exact:1e9", "test"])
    baselines = table.SIZES["default"].tasks["digits"].load().baselines
    assert list(table.BASELINES["digits"]) == list(baselines)


def test_what_is_recorded_is_what_the_run_came_to(tiny):
    training = tiny["default"].tasks["digits"]
    for init, diverged in (("half", False), ("exact:1e9", True)):
        chosen = dataclasses.replace(training, config=training.config.changed(init=init, layers=2))
        task = chosen.load()
        assert len(task.validation) == 16
        assert chosen.config.train.seed == 0
        result = fit(task, chosen.config.changed(seed=1))
        found = unpack(record(chosen, 1)[None])
        assert diverged or result.history[0].radii[1] > result.history[0].radii[0]
        numbers = {name: values[0] for name, values in found.numbers.items() if not np.isnan(values[0])}
        expected = {
            "radius_first": max(result.history[0].radii),
            "radius_last": max(result.history[-1].radii),
            "moved_eigenvalues": 0,
            "parameters": result.n_parameters,
            "data": int(task.record["sha256"][:12], 16),
        }
        if diverged:
            expected |= {"diverged_at": result.diverged_at, "diverged_by_gradient": result.diverged == "gradient"}
        else:
            best = result.best
            expected |= {"validation": best.validation, "test": result.test, "best_step": best.step}
        assert numbers == expected
        assert found.diverged.tolist() == [diverged]
        for i, entry in enumerate(result.history):
            line = [entry.step, entry.loss, entry.validation_loss, entry.validation, max(entry.radii)]
            shown = [found.curves[name][0, i] for name in CURVES]
            np.testing.assert_array_equal(shown, np.array(line, float))
        assert np.isnan(found.curves["step"][0, len(result.history) :]).all()


@pytest.mark.parametrize("name", ["digits", "mackey_glass", "lorenz", "listops"])
def test_names_of_baselines_are_those_of_the_tasks(name):
    options = {"digits": {"size": 32}, "listops": {"size": 8, "length": 600}}.get(name, {"size": 4, "length": 120})
    task = table.Training(name, table.SIZES["default"].tasks["digits"].config, options).load()
    assert sorted(task.baselines) == sorted(table.BASELINES[name])


def test_a_run_in_the_middle_of_a_sample_goes_on_from_its_checkpoint(tiny, tmp_path, monkeypatch):
    training = next(iter(table.plan({**table.experiment.defaults()}, tiny)["digits"].values())).ensemble
    expected = record(training, 3)
    monkeypatch.setenv("RMT_TRAIN_CHECKPOINTS", str(tmp_path))
    from rmt.training import checkpoints

    steps = []
    original = checkpoints.save

    def save(folder, step, trees, kept):
        steps.append(step)
        path = original(folder, step, trees, kept)
        if len(steps) == 1:
            raise KeyboardInterrupt
        return path

    monkeypatch.setattr(checkpoints, "save", save)
    with pytest.raises(KeyboardInterrupt):
        record(training, 3)
    assert len(list(tmp_path.iterdir())) == 1
    assert np.array_equal(record(training, 3), expected, equal_nan=True)
    assert steps == [2, 4]
    assert not any(tmp_path.iterdir())
