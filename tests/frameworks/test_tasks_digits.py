"""The digits of scikit-learn as sequences."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier
from sklearn.preprocessing import StandardScaler

from rmt.checks import InputError
from rmt.training.tasks import load_task

IMAGES, LABELS = load_digits(return_X_y=True)


def test_every_image_is_in_one_split():
    task = load_task("digits")
    assert [len(split) for split in task.splits.values()] == [1221, 216, 360]
    np.testing.assert_array_equal(task.test.inputs[..., 0] * 16, IMAGES[-360:])
    np.testing.assert_array_equal(task.test.targets, LABELS[-360:])
    known = np.concatenate([task.train.inputs, task.validation.inputs])[..., 0] * 16
    classes = np.concatenate([task.train.targets, task.validation.targets])
    rows = np.column_stack([known, classes])
    wanted = np.column_stack([IMAGES[:-360], LABELS[:-360]])
    np.testing.assert_array_equal(rows[np.lexsort(rows.T)], wanted[np.lexsort(wanted.T)])
    assert (task.kind, task.readout, task.vocabulary, task.n_outputs) == ("classification", "mean", None, 10)
    assert "scikit-learn" in task.record["versions"]


def test_the_seed_and_the_size():
    first, again, other = (load_task("digits", seed=seed, size=100) for seed in (1, 1, 2))
    assert first.record == again.record
    assert not np.array_equal(first.train.inputs, other.train.inputs)
    np.testing.assert_array_equal(first.test.inputs, other.test.inputs)
    assert [len(split) for split in first.splits.values()] == [100, 100, 100]
    with pytest.raises(InputError, match="size must be an integer from 1 to 1,221"):
        load_task("digits", size=1222)


def test_enlarged_and_permuted():
    plain, large = load_task("digits"), load_task("digits", enlarge=3)
    assert large.steps == 576
    images = large.test.inputs.reshape(-1, 24, 24)
    np.testing.assert_array_equal(images[:, 1::3, 2::3].reshape(-1, 64, 1), plain.test.inputs)
    np.testing.assert_array_equal(images[:, 0::3, 0::3], images[:, 2::3, 1::3])
    mixed = load_task("digits", permuted=True)
    assert not np.array_equal(mixed.test.inputs, plain.test.inputs)
    for there, here in zip(
        mixed.splits.values(), plain.splits.values(), strict=True
    ):  # the same pixels, otherwise placed
        assert sorted(map(tuple, there.inputs[..., 0].T)) == sorted(map(tuple, here.inputs[..., 0].T))

    def places(task):  # where each pixel of the plain images is, by what the training images have there
        columns = [column.tobytes() for column in np.ascontiguousarray(task.train.inputs[..., 0].T)]
        return [columns.index(column.tobytes()) for column in np.ascontiguousarray(plain.train.inputs[..., 0].T)]

    moved = sum(place != there for place, there in zip(places(plain), places(mixed), strict=True))
    assert moved > 32  # a random order leaves one in its place
    np.testing.assert_array_equal(mixed.train.targets, plain.train.targets)


def test_the_baselines():
    task = load_task("digits")
    assert 0.08 < task.baselines["majority"] < 0.12
    scaler = StandardScaler().fit(task.train.inputs[..., 0])
    train, test = (scaler.transform(split.inputs[..., 0]) for split in (task.train, task.test))
    ridge = RidgeClassifier(alpha=1e-3 * len(train)).fit(train, task.train.targets)
    assert task.baselines["least squares"] == pytest.approx(ridge.score(test, task.test.targets), abs=0.004)
