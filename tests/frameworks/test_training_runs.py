"""Whole runs: divergence as a result, interruptions that leave no trace, checkpoints that are whole or not there."""

import json
import os
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest

from rmt.campaign import shards
from rmt.checks import InputError
from rmt.training import Config, ModelConfig, TrainConfig, checkpoints
from rmt.training import fit as fitting
from rmt.training.fit import _Run, fit
from rmt.training.result import better
from rmt.training.tasks import Split, Task


def bits(size, seed, T=12):
    """Sequences of bits with padding; the class is the last bit."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(T // 2, T + 1, size).astype(np.int32)
    inputs = rng.integers(0, 2, (size, T)).astype(np.int32) * (np.arange(T) < lengths[:, None])
    return Split(inputs.astype(np.uint8), lengths, inputs[np.arange(size), lengths - 1].astype(np.int32))


def last_bit(**changes):
    parts = {"train": bits(64, 1), "validation": bits(40, 2), "test": bits(40, 3), **changes}
    return Task("last bit", "classification", "last", 2, 2, **parts, baselines={}, record={})


MODEL = ModelConfig(d_model=8, d_hidden=6, layers=2, dropout=0.1)
CONFIG = Config(MODEL, TrainConfig(batch=16, steps=24, warm_up=4, lr=0.01, lr_factor=0.5, evaluate_every=6))


def same(first, second):
    """Two results agree in every bit, but for their times."""
    shown = []
    for result in (first, second):
        entry = result.description()
        shown.append({name: value for name, value in entry.items() if "seconds" not in name})
    assert shown[0] == shown[1]
    assert np.array_equal(first.losses, second.losses, equal_nan=True)


def newest(folder):
    return checkpoints.load(folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing interrupts, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    return fit(last_bit(), CONFIG, folder=folder), folder


def test_a_run_learns_and_says_what_it_did(whole):
    result, folder = whole
    assert result.complete
    assert (result.step, result.steps, result.losses.shape) == (24, 24, (24,))
    assert [entry.step for entry in result.history] == [0, 6, 12, 18, 24]
    assert result.history[-1].epoch == 6.0
    assert result.history[2].loss == pytest.approx(result.losses[6:12].mean(), rel=1e-6)
    assert all(len(entry.radii) == 2 and min(entry.radii) > 0 for entry in result.history)
    assert result.best.validation == max(entry.validation for entry in result.history[1:])
    assert result.test > 0.9
    assert result.seconds_per_step > 0
    assert result.cpu_seconds_per_step > 0
    assert json.loads(json.dumps(result.description()))["best"]["step"] == result.best.step
    again = fit(last_bit(), CONFIG, folder=folder, progress=lambda _: pytest.fail("a step was taken"))
    same(again, result)


KILLED = """
import sys, time
sys.path[:0] = [{root!r}, {tests!r}]
from tests.frameworks.test_training_runs import CONFIG, fit, last_bit

def show(progress):
    print(progress.step, flush=True)
    if progress.step == {step}:
        time.sleep(60)

fit(last_bit(), CONFIG, folder={folder!r}, progress=show)
"""


def test_a_run_that_is_killed_goes_on_with_the_same_bits(whole, tmp_path, pytestconfig):
    step, stored = 17, 12  # what came after the checkpoint is computed again
    root = str(pytestconfig.rootpath)
    code = KILLED.format(root=root, tests=root + "/tests", step=step, folder=str(tmp_path))
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert [int(child.stdout.readline()) for _ in range(step)][-1] == step
        os.kill(child.pid, signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    finally:
        child.kill()
        child.stdout.close()
        child.wait()
    assert newest(tmp_path).record["step"] == stored
    steps = []
    result = fit(last_bit(), CONFIG, folder=tmp_path, progress=lambda progress: steps.append(progress.step))
    assert steps[0] == stored + 1
    same(result, whole[0])
    killed, uninterrupted = newest(tmp_path).arrays, newest(whole[1]).arrays
    assert killed.keys() == uninterrupted.keys()
    for name in killed.keys() - {"wall", "cpu", "timed"}:
        assert np.array_equal(killed[name], uninterrupted[name]), name


def test_a_run_that_is_stopped_says_so_and_goes_on(whole, tmp_path):
    steps = []
    stopped = fit(
        last_bit(),
        CONFIG,
        folder=tmp_path,
        progress=lambda progress: steps.append(progress.step),
        stop=lambda: len(steps) == 4,
    )
    assert (stopped.complete, stopped.step, stopped.test) == (False, 5, None)
    same(fit(last_bit(), CONFIG, folder=tmp_path), whole[0])


def test_another_run_in_the_folder_is_refused(whole):
    with pytest.raises(InputError, match=r"holds another run: train is steps=24 there, and steps=25 here"):
        fit(last_bit(), CONFIG.changed(steps=25), folder=whole[1])
    with pytest.raises(InputError, match="sha256"):
        fit(last_bit(test=bits(40, 4)), CONFIG, folder=whole[1])
    with pytest.raises(InputError, match="at most the 64 sequences of train, got 65"):
        fit(last_bit(), CONFIG.changed(batch=65))


@pytest.mark.parametrize(("pooling", "readout"), [(None, "last"), ("mean", "mean")])
def test_a_configuration_may_read_a_sequence_otherwise_than_its_task(pooling, readout):
    assert _Run(last_bit(), CONFIG.changed(pooling=pooling), None).model.readout == readout


TREES = {"now": {"a": np.arange(3.0), "b": [np.float32(1), np.int32(2)]}}


class Killed(BaseException):
    pass


@pytest.mark.parametrize("moment", ["fsync", "replace", "flush_folder", "unlink"])
def test_a_checkpoint_is_whole_wherever_writing_ends(tmp_path, monkeypatch, moment):
    def dies(*_, **__):
        raise Killed

    for step in (1, 2):
        checkpoints.save(tmp_path, step, TREES, {"step": step})
    with monkeypatch.context() as patch:
        if moment == "flush_folder":
            patch.setattr(shards, "flush_folder", dies)
        elif moment == "unlink":
            patch.setattr(checkpoints.Path, "unlink", dies)
        else:
            patch.setattr(os, moment, dies)
            patch.setattr(shards.Path, "unlink", lambda *_, **__: None)  # a killed process cleans nothing up
        with pytest.raises(Killed):
            checkpoints.save(tmp_path, 3, TREES, {"step": 3})
    assert newest(tmp_path).record["step"] == (2 if moment in ("fsync", "replace") else 3)
    checkpoints.save(tmp_path, 4, TREES, {"step": 4})
    assert sorted(int(path.name[:10]) for path in tmp_path.iterdir()) == (
        [2, 4] if moment in ("fsync", "replace") else [3, 4]
    )


def test_a_damaged_checkpoint_gives_way_to_the_one_before_it(tmp_path):
    assert newest(tmp_path) is None
    paths = [checkpoints.save(tmp_path, step, TREES, {"step": step, "nan": float("nan")}) for step in (1, 2, 3)]
    assert [path.exists() for path in paths] == [False, True, True]
    data = bytearray(paths[2].read_bytes())
    data[len(data) // 2] ^= 1
    paths[2].write_bytes(data)
    found = newest(tmp_path)
    assert found.record["step"] == 2
    tree = found.tree("now", TREES["now"])
    assert jax.tree.all(jax.tree.map(lambda a, b: np.array_equal(a, b) and a.dtype == b.dtype, tree, TREES["now"]))
    with pytest.raises(InputError, match=r"no array now\['a'\] of shape \(4,\)"):
        found.tree("now", {**TREES["now"], "a": np.arange(4.0)})
    checkpoints.save(tmp_path, 3, TREES, {"step": 3})  # the run goes on from 2, and comes to 3 again
    paths[1].write_bytes(b"")
    assert newest(tmp_path).record["step"] == 3
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    with pytest.raises(InputError, match="every checkpoint"):
        newest(tmp_path)


def long_sequences(T=2048):
    rng = np.random.default_rng(0)
    inputs = rng.integers(0, 8, (8, T)).astype(np.uint8)
    split = Split(inputs, np.full(8, T, np.int32), np.arange(8, dtype=np.int32) % 2)
    return Task("noise", "classification", "mean", 8, 2, split, split, split, {}, {})


def test_glorot_diverges_within_five_steps_and_half_and_uniform_do_not():
    task = long_sequences()
    config = Config(ModelConfig(d_model=8, d_hidden=64, layers=4), TrainConfig(batch=4, steps=8, evaluate_every=8))
    for seed in range(3):
        result = fit(task, config.changed(init="glorot", seed=seed))
        assert result.complete
        assert result.diverged in ("loss", "gradient")
        assert 1 <= result.diverged_at <= 5
        assert max(result.history[0].radii) > 1
        assert (result.step, result.losses.size) == (result.diverged_at - 1, result.diverged_at)
        assert (result.best, result.test) == (None, None)
    for init in ("half", "uniform"):
        result = fit(task, config.changed(init=init))
        assert (result.diverged, result.step) == (None, 8)
        assert np.isfinite(result.losses).all()
        assert max(result.history[0].radii) <= 1
        assert result.test is not None


def test_a_diverged_run_is_over_and_stays_so(tmp_path):
    config = Config(ModelConfig(d_model=4, d_hidden=4, layers=1, init="exact:3000"), CONFIG.train)
    result = fit(last_bit(), config, folder=tmp_path)
    assert result.diverged_at is not None
    again = fit(last_bit(), config, folder=tmp_path, progress=lambda _: pytest.fail("a step was taken"))
    same(again, result)
    parameters = [array for name, array in newest(tmp_path).arrays.items() if name.startswith("now.parameters")]
    assert all(np.isfinite(array).all() for array in parameters)


@pytest.mark.parametrize(
    ("loss", "finite_loss", "finite", "why"),
    [(np.nan, False, False, "loss"), (0.5, True, False, "gradient"), (np.inf, False, True, "loss")],
)
def test_the_first_step_that_is_not_finite_ends_a_run_before_its_update(loss, finite_loss, finite, why):
    run, steps = _Run(last_bit(), CONFIG, None), []
    run.begin()

    def step(carry, batch, key):
        steps.append(carry)
        bad = len(steps) == 3
        after = carry._replace(parameters=jax.tree.map(lambda x: x + 1, carry.parameters))
        return after, loss if bad else 0.5, finite_loss or not bad, finite or not bad

    run.functions = run.functions._replace(step=step)
    while run.diverged is None and len(steps) < 5:
        run.advance()
    result = run.result()
    assert (run.diverged, len(steps), result.diverged_at, result.step) == (why, 3, 3, 2)
    assert run.carry is steps[2]  # what the third step began with
    np.testing.assert_array_equal(result.losses, np.array([0.5, 0.5, loss], np.float32))


@pytest.mark.parametrize("faulty", [False, True])
def test_a_length_in_epochs_is_one_in_steps(monkeypatch, faulty):
    seen, original = {}, fitting.compiled

    def compiled(model, kind, train, warm_up, steps, *, late):
        seen.update(warm_up=warm_up, steps=steps, late=late)
        return original(model, kind, train, warm_up, steps, late=late)

    monkeypatch.setattr(fitting, "compiled", compiled)
    for changes, warm_up, steps, evaluations in (
        ({"epochs": 3, "warm_up": 2, "evaluate_every": None}, 8, 12, {4, 8, 12}),  # 64 sequences are 4 batches of 16
        ({"epochs": 3, "warm_up": 0, "evaluate_every": 5, "batch": 13}, 0, 12, {5, 10, 12}),  # and 4 of 13
        ({"steps": 25, "warm_up": 2, "evaluate_every": None}, 2, 25, {*range(2, 25, 2), 25}),
        ({"steps": 7, "warm_up": 2, "evaluate_every": None}, 2, 7, set(range(1, 8))),
    ):
        run = _Run(last_bit(), CONFIG.changed(**changes, emulate_paper=faulty), None)
        assert seen == {"warm_up": warm_up, "steps": steps, "late": faulty}
        assert (run.steps, run.evaluations) == (steps, evaluations)


def test_the_test_set_is_scored_with_the_best_parameters_not_the_last(whole):
    run = _Run(last_bit(), CONFIG, whole[1])
    run.begin()
    run.carry = run.carry._replace(parameters=jax.tree.map(lambda x: 0 * x, run.carry.parameters))
    run.test = None
    run.conclude()
    assert run.test == whole[0].test > 0.9
    assert run._score(run.task.test, run.carry)[0] < 0.9


@pytest.mark.parametrize("faulty", [False, True])
def test_padding_counts_where_the_paper_is_emulated_alone(faulty):
    run, valid = _Run(last_bit(), CONFIG.changed(emulate_paper=faulty), None), []
    run.begin()

    def step(carry, batch, key):
        valid.append(batch["mask"].sum())
        return carry, 0.5, True, True

    def predict(parameters, state, batch):
        valid.append(batch["mask"][:, batch["weights"] > 0].sum())
        return batch["targets"], 0.0, True

    run.functions = run.functions._replace(step=step, predict=predict)
    for _ in range(4):
        run.advance()
    for split in (run.task.train, run.task.test):
        assert sum(valid) == (split.inputs.size if faulty else split.lengths.sum())
        valid.clear()
        run._score(run.task.test, run.carry)


def test_forecasts_are_scored_by_nrmse_and_chosen_by_the_smallest():
    rng = np.random.default_rng(0)
    inputs = np.cumsum(rng.standard_normal((96, 20, 1)), axis=1).astype(np.float32)
    lengths = np.full(32, 19, np.int32)
    weights = np.ones((32, 20), np.float32)
    weights[:, 0] = weights[:, 19] = 0
    targets = np.concatenate([inputs[:, 1:] - inputs[:, :-1], np.zeros((96, 1, 1), np.float32)], axis=1)
    splits = [
        Split(inputs[rows], lengths, -targets[rows], weights) for rows in (slice(0, 32), slice(32, 64), slice(64, 96))
    ]
    task = Task("walk", "regression", "steps", None, 1, *splits, {}, {})
    result = fit(task, CONFIG.changed(dropout=0, batch=8, layers=1))
    scores = [entry.validation for entry in result.history[1:]]
    assert result.best.validation == min(scores)
    assert 0 < result.test < 3
    assert better("regression", 0.1, 0.2)
    assert better("classification", 0.2, 0.1)
    assert better("regression", 0.1, float("nan"))
    assert not better("regression", float("nan"), 0.2)
    assert not better("classification", 0.2, 0.2)


def test_the_faults_of_the_paper_choose_on_the_test_set():
    hard = last_bit(test=bits(8, 5))
    config = CONFIG.changed(emulate_paper=True, steps=12, evaluate_every=1, layers=1)
    result = fit(hard, config)
    tests = [entry.test for entry in result.history[1:]]
    assert result.best.test == result.test == max(tests)
    assert result.best.step == 1 + tests.index(max(tests))
    honest = fit(hard, config.changed(emulate_paper=False))
    assert {entry.test for entry in honest.history} == {None}
    assert not np.array_equal(honest.losses, result.losses)


def test_an_epoch_takes_each_sequence_once_and_each_step_a_dropout_of_its_own():
    run = _Run(last_bit(), CONFIG, None)
    run.begin()
    split, seen = run.task.train, []

    def step(carry, batch, key):
        seen.append(((batch["inputs"] * batch["mask"]).T, jax.random.key_data(key).tolist()))
        return carry, 0.5, True, True

    run.functions = run.functions._replace(step=step)
    for _ in range(8):
        run.advance()
    everything = np.concatenate([inputs for inputs, _ in seen])
    for epoch in (everything[:64], everything[64:]):
        moved = np.array([np.roll(row, 12 - length) for row, length in zip(split.inputs, split.lengths, strict=True)])
        assert sorted(map(tuple, epoch)) == sorted(map(tuple, moved))
    assert not np.array_equal(everything[:64], everything[64:])
    assert len({tuple(key) for _, key in seen}) == 8
