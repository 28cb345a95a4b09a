"""Tasks: what is checked when one is made, the door to all of them, those that are drawn, scores and baselines."""

from collections import Counter

import numpy as np
import pytest
from oracles import check_mean, check_proportion

from rmt.checks import InputError
from rmt.training.tasks import TASKS, Split, Task, accuracy, baselines, load_task, nrmse, task_function
from rmt.training.tasks.base import content_hash

N, T = 6, 5
TOKENS = np.arange(N * T, dtype=np.uint8).reshape(N, T) % 4
REAL = np.linspace(0, 1, N * T * 2, dtype=np.float32).reshape(N, T, 2)
FULL = np.full(N, T, np.int32)
CLASSES = np.arange(N, dtype=np.int32) % 3
STEPS = np.zeros((N, T), np.int32)
ONES = np.ones((N, T), np.float32)


def changed(array, index, value):
    array = array.copy()
    array[index] = value
    return array


@pytest.mark.parametrize(
    ("inputs", "targets", "weights", "stepwise"),
    [
        (TOKENS, CLASSES, None, False),
        (TOKENS.astype(np.int64), STEPS, None, True),
        (TOKENS, STEPS, ONES, True),
        (REAL, REAL, ONES, True),
        (REAL, REAL[:, 0], None, False),
    ],
)
def test_every_form_of_a_split(inputs, targets, weights, stepwise):
    split = Split(inputs, FULL, targets, weights)
    assert (len(split), split.steps, split.stepwise) == (N, T, stepwise)
    part = split.take([3, 1])
    np.testing.assert_array_equal(part.inputs, inputs[[3, 1]])
    np.testing.assert_array_equal(part.targets, targets[[3, 1]])


def test_what_counts():
    lengths = np.array([1, 2, 3, 4, 5, 5], np.int32)
    split = Split(TOKENS, lengths, STEPS)
    np.testing.assert_array_equal(split.counted().sum(axis=1), lengths)
    np.testing.assert_array_equal(split.counted()[:, 0], 1)
    weights = ONES * 0
    weights[2, :3] = [0, 2, 0.5]
    np.testing.assert_array_equal(Split(TOKENS, lengths, STEPS, weights).counted(), weights)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"inputs": TOKENS.tolist()}, "inputs must be an array"),
        ({"inputs": REAL.astype(float)}, "got shape .* of float64"),
        ({"inputs": TOKENS[0]}, "inputs must be"),
        ({"inputs": TOKENS[:0]}, "at least one sequence"),
        ({"inputs": changed(REAL, (0, 0, 0), np.nan)}, "inputs must be finite"),
        ({"lengths": FULL.astype(np.int64)}, "lengths must be an int32"),
        ({"lengths": FULL[1:]}, "lengths must be an int32"),
        ({"lengths": changed(FULL, 2, 0)}, "values from 1 to 5"),
        ({"lengths": changed(FULL, 2, 6)}, "values from 1 to 5"),
        ({"targets": CLASSES[1:]}, "targets must be int32 of shape"),
        ({"targets": CLASSES.astype(np.float32)}, "targets must be int32 of shape"),
        ({"targets": CLASSES.astype(np.int64)}, "targets must be int32 of shape"),
        ({"targets": changed(REAL, (1, 1, 1), np.inf)}, "targets must be finite"),
        ({"weights": ONES}, "weights must be None where"),
        ({"targets": STEPS, "weights": ONES[1:]}, "weights must be float32"),
        ({"targets": STEPS, "weights": ONES.astype(float)}, "weights must be float32"),
        ({"targets": STEPS, "weights": -ONES}, "not all zero"),
        ({"targets": STEPS, "weights": 0 * ONES}, "not all zero"),
        ({"targets": STEPS, "weights": ONES, "lengths": changed(FULL, 1, 4)}, "zero behind lengths"),
        ({"targets": STEPS, "weights": changed(ONES, (0, 0), np.nan)}, "weights must be finite"),
    ],
)
def test_what_no_split_may_be(change, words):
    with pytest.raises(InputError, match=words):
        Split(**{"inputs": TOKENS, "lengths": FULL, "targets": CLASSES} | change)


def task(**change):
    tokens, vectors = Split(TOKENS, FULL, CLASSES), Split(REAL, FULL, REAL)
    split = vectors if change.pop("vectors", False) else tokens
    values = {
        "name": "a",
        "kind": "classification",
        "readout": "mean",
        "vocabulary": 4,
        "n_outputs": 3,
        **dict.fromkeys(("train", "validation", "test"), split),
        "baselines": {"majority": 1 / 3},
        "record": {},
    }
    return Task(**values | change)


def test_a_task():
    made = task()
    assert (made.steps, made.input_size, list(made.splits)) == (T, 4, ["train", "validation", "test"])
    made = task(vectors=True, kind="regression", readout="steps", vocabulary=None, n_outputs=2)
    assert made.input_size == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "ranking"}, "kind must be one of"),
        ({"readout": "first"}, "readout must be one of"),
        ({"n_outputs": 1}, "n_outputs must be an integer >= 2"),
        ({"n_outputs": 2}, "train split: targets must be int32 classes from 0 to 1"),
        ({"vocabulary": 3}, "train split: inputs must be tokens from 0 to 2"),
        ({"vocabulary": None}, "vocabulary must be None for real inputs"),
        ({"readout": "steps"}, "targets must be one a step"),
        ({"kind": "regression"}, "targets must be float32 vectors"),
        ({"test": Split(TOKENS[:, 1:], FULL - 1, CLASSES)}, "test split: inputs must be as those of train"),
        ({"validation": Split(TOKENS.astype(np.int32), FULL, CLASSES)}, "validation split: inputs must be as those"),
        ({"test": Split(TOKENS, FULL, CLASSES - 1)}, "test split: targets must be int32 classes"),
        ({"baselines": {"guess": np.nan}}, r"baselines\['guess'\]"),
        (
            {"vectors": True, "kind": "regression", "readout": "steps", "vocabulary": None, "n_outputs": 3},
            "n_outputs = 3",
        ),
    ],
)
def test_what_no_task_may_be(change, words):
    with pytest.raises(InputError, match=words):
        task(**change)


def test_the_hash_sees_every_array():
    base = Split(TOKENS, FULL, STEPS, ONES)
    others = [
        Split(changed(TOKENS, (5, 4), 0), FULL, STEPS, ONES),
        Split(TOKENS.astype(np.int32), FULL, STEPS, ONES),
        Split(TOKENS.reshape(N, T)[:, ::-1], FULL, STEPS, ONES),
        Split(TOKENS, changed(FULL, 5, 4), STEPS, changed(ONES, (5, 4), 0)),
        Split(TOKENS, FULL, changed(STEPS, (5, 4), 1), ONES),
        Split(TOKENS, FULL, STEPS, changed(ONES, (5, 4), 2)),
        Split(TOKENS, FULL, STEPS),
    ]
    assert len({content_hash(split) for split in (base, *others)}) == 1 + len(others)
    assert content_hash(Split(TOKENS.copy(), FULL, STEPS, ONES)) == content_hash(base)


def test_the_door():
    for name in TASKS:
        assert task_function(name).__doc__
    with pytest.raises(InputError, match=r"task must be one of 'listops', 'imdb', .*'sunspots'"):
        load_task("mnist")
    with pytest.raises(InputError, match="task 'adding' has no option 'data'; it has length, size, seed"):
        load_task("adding", data="somewhere")
    with pytest.raises(InputError, match="task 'copy' has no option 'symbol'; it has length, size, seed, symbols"):
        load_task("copy", symbol=3)
    with pytest.raises(InputError, match="seed must be an integer >= 0"):
        load_task("adding", seed=-1)
    for name in ("imdb", "cifar", "sunspots"):
        with pytest.raises(InputError, match="data must say where the files are"):
            load_task(name)
        with pytest.raises(InputError, match="data must be a path"):
            load_task(name, data=7)


@pytest.mark.parametrize(("name", "options"), [("adding", {"length": 30}), ("copy", {"length": 30, "symbols": 4})])
def test_draws_follow_the_seed(name, options):
    first, again, other = (load_task(name, size=50, seed=seed, **options) for seed in (3, 3, 4))
    assert first.record == again.record
    assert first.record["sha256"] != other.record["sha256"]
    assert not np.array_equal(first.train.inputs, first.test.inputs)
    for split, copy in zip(first.splits.values(), again.splits.values(), strict=True):
        assert content_hash(split) == content_hash(copy)
    assert [len(split) for split in load_task(name, size=2100, **options).splits.values()] == [2100, 2000, 2000]


def test_adding():
    split = load_task("adding", length=11, size=4000).train
    numbers, markers = split.inputs[..., 0].astype(float), split.inputs[..., 1]
    assert np.isin(markers, [0, 1]).all()
    np.testing.assert_array_equal(markers[:, :5].sum(axis=1), 1)
    np.testing.assert_array_equal(markers[:, 5:].sum(axis=1), 1)
    np.testing.assert_allclose((numbers * markers).sum(axis=1), split.targets[:, 0], atol=1e-6)
    check_mean(numbers.ravel(), 0.5)
    check_mean((split.targets[:, 0] - 1.0) ** 2, 1 / 6)
    for step in range(11):
        check_proportion(markers[:, step].sum(), 4000, 1 / 5 if step < 5 else 1 / 6)
    assert 0.99 < load_task("adding").baselines["mean"] < 1.01


def test_copy():
    made = load_task("copy", length=25, size=3000, symbols=6)
    split = made.train
    np.testing.assert_array_equal(split.targets[:, -6:] + 1, split.inputs[:, :6])
    np.testing.assert_array_equal(split.inputs[:, 6:18], 0)
    np.testing.assert_array_equal(split.inputs[:, 18], 9)
    np.testing.assert_array_equal(split.inputs[:, 19:], 0)
    np.testing.assert_array_equal(split.weights, np.repeat([[0] * 19 + [1] * 6], 3000, axis=0))
    for symbol in range(8):
        check_proportion((split.targets[:, -6:] == symbol).sum(), 18000, 1 / 8)
    hits = made.baselines["majority"] * 2000 * 6
    check_proportion(round(hits), 12000, 1 / 8)
    with pytest.raises(InputError, match="length must be an integer >= 13"):
        load_task("copy", length=12, symbols=6)


def test_scores_by_hand():
    weights = np.array([[0, 1, 3]], np.float32)
    three = np.full(1, 3, np.int32)
    split = Split(np.zeros((1, 3), np.uint8), three, np.array([[1, 1, 2]], np.int32), weights)
    assert accuracy(np.array([[0, 1, 0]]), split) == 0.25
    assert accuracy(np.array([[0, 0, 2]]), split) == 0.75
    targets = np.array([[[9, 9], [0, 1], [4, 1]]], np.float32)
    split = Split(np.zeros((1, 3, 1), np.float32), three, targets, weights)
    # mean (3, 1), variance 3 and 0; squared errors (1 + 4) and (0 + 1), weighted 1 and 3
    predictions = np.array([[[-7, 7], [1, 3], [4, 0]]], float)
    assert nrmse(predictions, split) == pytest.approx(np.sqrt((5 + 3 * 1) / 4 / 3))
    assert np.isnan(nrmse(predictions * np.nan, split))
    assert np.isfinite(nrmse(np.where(targets == 9, np.nan, predictions), split))  # what does not count, does not
    assert baselines.mean(split, split) == pytest.approx(1.0)
    assert (
        baselines.majority(
            Split(split.inputs, three, np.array([[0, 0, 5]], np.int32), weights),
            Split(split.inputs, three, np.array([[5, 5, 0]], np.int32), weights),
        )
        == 0.25
    )


def texts(rng, count, vocabulary=5, steps=12):
    """Sequences of three classes that differ in frequencies, of random lengths."""
    classes = rng.integers(0, 3, count).astype(np.int32)
    lengths = rng.integers(1, steps + 1, count).astype(np.int32)
    inputs = np.minimum(rng.integers(0, vocabulary, (count, steps)), vocabulary - 1 - classes[:, None]).astype(np.uint8)
    inputs[np.arange(steps) >= lengths[:, None]] = 0
    return Split(inputs, lengths, classes)


@pytest.mark.parametrize("order", [1, 2])
def test_naive_bayes_against_plain_counting(monkeypatch, order):
    monkeypatch.setattr(baselines, "BLOCK", 17)
    rng = np.random.default_rng(1)
    train, test = texts(rng, 100), texts(rng, 300)

    def runs(split, i):
        tokens = split.inputs[i, : split.lengths[i]].tolist()
        return list(zip(*(tokens[shift:] for shift in range(order)), strict=False))

    counts = {c: Counter(run for i in range(100) if train.targets[i] == c for run in runs(train, i)) for c in range(3)}
    right = 0
    for i in range(300):
        scores = []
        for c in range(3):
            total = sum(counts[c].values()) + 5**order
            prior = np.log((np.sum(train.targets == c) + 1) / 103)
            scores.append(prior + sum(np.log((counts[c][run] + 1) / total) for run in runs(test, i)))
        right += np.argmax(scores) == test.targets[i]
    assert baselines.naive_bayes(train, test, 5, order=order) == pytest.approx(right / 300)
    assert right > 130


def test_frequencies(monkeypatch):
    monkeypatch.setattr(baselines, "BLOCK", 17)
    split = texts(np.random.default_rng(2), 40)
    expected = [
        np.bincount(row[:length], minlength=5) / length for row, length in zip(split.inputs, split.lengths, strict=True)
    ]
    np.testing.assert_allclose(baselines.frequencies(split, 5), expected)


def test_least_squares_against_lstsq():
    rng = np.random.default_rng(3)
    centers = rng.normal(size=(3, 6))
    classes = rng.integers(0, 3, 500)
    features = 10 + 3 * (centers[classes] + rng.normal(size=(500, 6)))
    features[:, 5] = 7.0  # a constant is no division by zero
    design = np.column_stack([features[:300, :5], np.ones(300)])
    weights = np.linalg.lstsq(design, np.eye(3)[classes[:300]], rcond=None)[0]
    expected = (np.column_stack([features[300:, :5], np.ones(200)]) @ weights).argmax(axis=1)
    found = baselines.least_squares(features[:300], classes[:300], features[300:], ridge=1e-12)
    np.testing.assert_array_equal(found, expected)
    assert (found == classes[300:]).mean() > 0.6
    fewer = baselines.least_squares(features, classes, features[300:], ridge=1e-12, rows=300)
    np.testing.assert_array_equal(fewer, expected)
