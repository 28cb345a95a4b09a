"""Batches of a split, in the order and the layout of a model: steps first, padding first."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.random import SeedSequence

from rmt.training.tasks import Split

Batch = dict[str, np.ndarray]

ORDER = 1000  # the stream of the order of sequences, apart from those of parameters


def order(size: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order of `size` sequences in an epoch 0, 1, ..."""
    return np.random.default_rng(SeedSequence(seed, spawn_key=(ORDER, epoch))).permutation(size)


def batch(split: Split, rows: np.ndarray, *, padding_counts: bool = False) -> Batch:
    """Return some sequences of a split, each moved so that it ends at the last step.

    Parameters
    ----------
    split : Split
    rows : integer array of shape (batch,)
        Which sequences; a negative number stands for none: sequence 0, with the weight 0.
    padding_counts : bool
        Whether sequences stay where they are, and padding counts as valid steps.

    Returns
    -------
    dict
        "inputs" (T, batch) or (T, batch, d); "mask" (T, batch), 1 for valid steps; "targets" and "weights",
        (batch, ...) or (T, batch, ...): what the loss compares with, and how much each counts.
    """
    present, rows = rows >= 0, np.maximum(rows, 0)
    T = split.steps
    lengths = np.full(len(rows), T) if padding_counts else split.lengths[rows]
    source = np.arange(T) - (T - lengths)[:, None]
    valid = source >= 0

    def moved(chosen: np.ndarray) -> np.ndarray:
        if not valid.all():
            index = np.maximum(source, 0).reshape(*source.shape, *[1] * (chosen.ndim - 2))
            chosen = np.take_along_axis(chosen, index, axis=1)
        return np.ascontiguousarray(np.swapaxes(chosen, 0, 1))

    inputs = moved(split.inputs[rows])
    targets = split.targets[rows]
    weights = present.astype(np.float32)
    if split.stepwise:
        targets = moved(targets)
        if split.weights is None:
            counted = (np.arange(T) < split.lengths[rows, None]).astype(np.float32)
        else:
            counted = split.weights[rows]
        weights = moved(counted) * valid.T * weights
    return {
        "inputs": inputs.astype(np.int32) if inputs.dtype.kind in "iu" else inputs,
        "mask": valid.T.astype(np.float32),
        "targets": targets,
        "weights": weights,
    }


def in_turn(split: Split, size: int, *, padding_counts: bool = False) -> Iterator[Batch]:
    """Yield a split in its own order, in batches of one size; the last is filled up with sequences of weight 0."""
    for first in range(0, len(split), size):
        rows = np.arange(first, first + size)
        yield batch(split, np.where(rows < len(split), rows, -1), padding_counts=padding_counts)


def in_place(predictions: np.ndarray, split: Split, *, padding_counts: bool = False) -> np.ndarray:
    """Return predictions (N, T, ...) of sequences that end at the last step, as the targets of the split stand."""
    if padding_counts:
        return predictions
    source = np.arange(split.steps) + (split.steps - split.lengths)[:, None]
    index = np.minimum(source, split.steps - 1).reshape(*source.shape, *[1] * (predictions.ndim - 2))
    return np.take_along_axis(predictions, index, axis=1)
