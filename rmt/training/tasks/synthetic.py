"""Two tests of memory that are drawn: the adding problem, and copying after a delay."""

from __future__ import annotations

import numpy as np

from rmt import checks
from rmt.training.tasks import baselines
from rmt.training.tasks.base import Split, Task, content_hash, sizes

SYMBOLS = 8  # of the copy problem


def adding(*, length: int = 400, size: int = 10_000, seed: int = 0) -> Task:
    """Return the adding problem: the sum of two marked numbers among many.

    Each step has a number, uniform on [0, 1], and a marker, which is 1 at one step of each half and 0 elsewhere. The
    target is the sum of the two marked numbers, of variance 1/6.

    Parameters
    ----------
    length : int
        T, at least 2.
    size : int
        Sequences to train on; validation and test have as many, and at most 2,000.
    seed : int
        Of the draw.

    Returns
    -------
    Task
        Regression from the last step. Baseline: the mean, of NRMSE 1.

    References
    ----------
    Hochreiter and Schmidhuber (1997), Long short-term memory, experiment 4; the markers as in Le, Jaitly and Hinton
    (2015).

    Examples
    --------
    >>> from rmt.training.tasks.synthetic import adding
    >>> split = adding(length=20, size=50).train
    >>> numbers, markers = split.inputs[..., 0], split.inputs[..., 1]
    >>> bool(abs((numbers * markers).sum(axis=1) - split.targets[:, 0]).max() < 1e-6)
    True
    """
    length = checks.integer("length", length, minimum=2)
    rng = np.random.default_rng(checks.integer("seed", seed, minimum=0))
    splits = []
    for count in sizes(size):
        inputs = np.zeros((count, length, 2), np.float32)
        inputs[..., 0] = rng.random((count, length), np.float32)
        rows, half = np.arange(count), length // 2
        first, second = rng.integers(0, half, count), rng.integers(half, length, count)
        inputs[rows, first, 1] = inputs[rows, second, 1] = 1.0
        targets = inputs[rows, first, :1] + inputs[rows, second, :1]
        splits.append(Split(inputs, np.full(count, length, np.int32), targets))
    train, validation, test = splits
    return Task(
        name="adding",
        kind="regression",
        readout="last",
        vocabulary=None,
        n_outputs=1,
        train=train,
        validation=validation,
        test=test,
        baselines={"mean": baselines.mean(train, test)},
        record={
            "source": "drawn: the adding problem of Hochreiter and Schmidhuber (1997)",
            "options": {"length": length, "size": len(train), "seed": seed},
            "versions": {"numpy": np.__version__},
            "sha256": content_hash(*splits),
        },
    )


def copy(*, length: int = 200, size: int = 10_000, seed: int = 0, symbols: int = 10) -> Task:
    """Return the copy problem: symbols at the beginning are to be repeated at the end.

    The tokens are 1, ..., 8 for the symbols of the first `symbols` steps, 0 for a blank, and 9 for the signal to
    repeat, which is the step before the last `symbols`. The targets there are the symbols in order, as classes
    0, ..., 7; no other step counts.

    Parameters
    ----------
    length : int
        T, at least 2 symbols + 1; the symbols are to be kept for T - 2 symbols - 1 blanks and a signal.
    size : int
        Sequences to train on; validation and test have as many, and at most 2,000.
    seed : int
        Of the draw.
    symbols : int
        How many symbols are to be repeated.

    Returns
    -------
    Task
        Classification at each step. Baseline: the most frequent symbol, about 1/8.

    References
    ----------
    Hochreiter and Schmidhuber (1997); in this form Arjovsky, Shah and Bengio (2016), who count the blanks too.

    Examples
    --------
    >>> from rmt.training.tasks.synthetic import copy
    >>> split = copy(length=9, size=5, symbols=3).train
    >>> bool((split.inputs[:, :3] == split.targets[:, 6:] + 1).all())
    True
    """
    symbols = checks.integer("symbols", symbols)
    length = checks.integer("length", length, minimum=2 * symbols + 1)
    rng = np.random.default_rng(checks.integer("seed", seed, minimum=0))
    splits = []
    for count in sizes(size):
        inputs, targets = np.zeros((count, length), np.uint8), np.zeros((count, length), np.int32)
        drawn = rng.integers(0, SYMBOLS, (count, symbols))
        inputs[:, :symbols] = drawn + 1
        inputs[:, length - symbols - 1] = SYMBOLS + 1
        targets[:, length - symbols :] = drawn
        weights = np.zeros((count, length), np.float32)
        weights[:, length - symbols :] = 1.0
        splits.append(Split(inputs, np.full(count, length, np.int32), targets, weights))
    train, validation, test = splits
    return Task(
        name="copy",
        kind="classification",
        readout="steps",
        vocabulary=SYMBOLS + 2,
        n_outputs=SYMBOLS,
        train=train,
        validation=validation,
        test=test,
        baselines={"majority": baselines.majority(train, test)},
        record={
            "source": "drawn: the copy problem of Hochreiter and Schmidhuber (1997)",
            "options": {"length": length, "size": len(train), "seed": seed, "symbols": symbols},
            "versions": {"numpy": np.__version__},
            "sha256": content_hash(*splits),
        },
    )
