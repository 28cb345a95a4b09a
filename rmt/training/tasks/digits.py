"""Handwritten digits, pixel by pixel: the small images that come with scikit-learn."""

from __future__ import annotations

import numpy as np

from rmt import checks
from rmt.training.tasks import baselines
from rmt.training.tasks.base import Split, Task, chosen, content_hash

TEST = 360  # the last images
HELD_OUT = 0.15  # of the others
SIDE = 8


def digits(*, size: int | None = None, seed: int = 0, enlarge: int = 1, permuted: bool = False) -> Task:
    """Return 1,797 images of 8 x 8 pixels, row by row, with their digit.

    The test split are the last 360 images in the order of scikit-learn, whatever the seed.

    Parameters
    ----------
    size : int, optional
        Images to train on, of those not held out; validation and test have at most as many. None: all.
    seed : int
        Decides which images are held out for validation, the order, and the permutation.
    enlarge : int
        k: each pixel becomes k x k, so that T = 64 k^2.
    permuted : bool
        Whether all images have their pixels in one random order.

    Returns
    -------
    Task
        Classification by the mean over steps; a step is a brightness from 0 to 1. Baselines: the most frequent digit;
        least squares on the pixels.

    Raises
    ------
    MissingExtraError
        If scikit-learn is not installed.

    References
    ----------
    Alpaydin and Kaynak (1998), Optical recognition of handwritten digits, as in ``sklearn.datasets.load_digits``;
    pixels in one random order as in Le, Jaitly and Hinton (2015).

    Examples
    --------
    >>> from rmt.training.tasks.digits import digits
    >>> task = digits(enlarge=2)
    >>> task.steps, len(task.test.targets), {name: round(score, 2) for name, score in task.baselines.items()}
    (256, 360, {'majority': 0.1, 'least squares': 0.87})
    """
    enlarge = checks.integer("enlarge", enlarge, maximum=16)
    rng = np.random.default_rng(checks.integer("seed", seed, minimum=0))
    bunch = checks.optional("sklearn.datasets", "train").load_digits()
    images, labels = bunch.images / 16.0, bunch.target.astype(np.int32)
    order = rng.permutation(len(images) - TEST)
    held = round(HELD_OUT * len(order))
    parts = chosen(size, [order[held:], order[:held], np.arange(len(images) - TEST, len(images))])
    steps = images.repeat(enlarge, axis=1).repeat(enlarge, axis=2).reshape(len(images), -1, 1).astype(np.float32)
    if permuted:
        steps = steps[:, rng.permutation(steps.shape[1])]
    splits = [Split(steps[part], np.full(len(part), steps.shape[1], np.int32), labels[part]) for part in parts]
    train, validation, test = splits
    pixels = images.reshape(len(images), -1)
    linear = baselines.least_squares(pixels[parts[0]], train.targets, pixels[parts[2]])
    return Task(
        name="digits",
        kind="classification",
        readout="mean",
        vocabulary=None,
        n_outputs=10,
        train=train,
        validation=validation,
        test=test,
        baselines={
            "majority": baselines.majority(train, test),
            "least squares": baselines.accuracy(linear, test),
        },
        record={
            "source": "scikit-learn's digits (Alpaydin and Kaynak, 1998)",
            "options": {"size": len(train), "seed": seed, "enlarge": enlarge, "permuted": bool(permuted)},
            "versions": {"numpy": np.__version__, "scikit-learn": checks.optional("sklearn", "train").__version__},
            "sha256": content_hash(*splits),
        },
    )
