"""The two scores, and trivial methods to hold against a model: fitted on one split, scored on another."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from rmt.training.tasks.base import Split

BLOCK = 1000  # sequences at once, so that memory stays small beside the data


def _counted(split: Split) -> np.ndarray:
    """Return how much each target counts: (N, T) where there is one a step, else ones (N,)."""
    return split.counted() if split.stepwise else np.ones(len(split), np.float32)


def accuracy(predictions: np.ndarray, split: Split) -> float:
    """Return the share of targets that are predicted, each counted by its weight.

    Parameters
    ----------
    predictions : integer ndarray of the shape of ``split.targets``
        Classes.
    split : Split
        Of a classification task.

    Returns
    -------
    float
        From 0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from rmt.training.tasks import Split, accuracy
    >>> split = Split(np.zeros((4, 9, 1), np.float32), np.full(4, 9, np.int32), np.array([0, 1, 2, 2], np.int32))
    >>> accuracy(np.array([0, 1, 2, 0]), split)
    0.75
    """
    return float(np.average(np.asarray(predictions) == split.targets, weights=_counted(split)))


def nrmse(predictions: np.ndarray, split: Split) -> float:
    """Return the normalised root mean square error: 0 is exact, and 1 what the mean of the targets reaches.

    The mean square error, summed over the dimensions of a target, is divided by the variance of the targets, summed
    alike, and the root taken. Both are means over the targets that count, by their weights.

    Parameters
    ----------
    predictions : ndarray of the shape of ``split.targets``
        Vectors.
    split : Split
        Of a regression task.

    Returns
    -------
    float
        NaN where a prediction is.

    Examples
    --------
    >>> import numpy as np
    >>> from rmt.training.tasks import Split, nrmse
    >>> targets = np.array([[1.0], [3.0]], np.float32)
    >>> split = Split(np.zeros((2, 9, 1), np.float32), np.full(2, 9, np.int32), targets)
    >>> nrmse(np.array([[2.0], [2.0]]), split), nrmse(np.array([[1.0], [2.0]]), split).__round__(4)
    (1.0, 0.7071)
    """
    counted = _counted(split) > 0
    weights = _counted(split)[counted].astype(np.float64)
    targets = split.targets[counted].astype(np.float64)
    error = np.average(((np.asarray(predictions)[counted] - targets) ** 2).sum(-1), weights=weights)
    spread = np.average(((targets - np.average(targets, axis=0, weights=weights)) ** 2).sum(-1), weights=weights)
    return math.sqrt(error / spread)


def majority(train: Split, test: Split) -> float:
    """Return the accuracy on `test` of the most frequent class of `train`."""
    counted = _counted(train)
    frequencies = np.bincount(train.targets.ravel(), weights=counted.ravel())
    return accuracy(np.full(test.targets.shape, frequencies.argmax()), test)


def mean(train: Split, test: Split) -> float:
    """Return the NRMSE on `test` of the mean of the targets of `train`."""
    counted = _counted(train)
    average = np.average(train.targets.reshape(counted.size, -1), axis=0, weights=counted.ravel())
    return nrmse(np.broadcast_to(average, test.targets.shape), test)


def naive_bayes(train: Split, test: Split, vocabulary: int, *, order: int = 1) -> float:
    """Return the accuracy on `test` of naive Bayes on counts of tokens: which occur, not where.

    Parameters
    ----------
    train, test : Split
        Tokens, and one class for a sequence.
    vocabulary : int
        Number of tokens.
    order : int
        1: each token alone; 2: each with its successor.

    Returns
    -------
    float
        Accuracy. Counts are increased by one (Laplace), and classes weighted by their frequency in `train`.
    """
    classes, events = int(train.targets.max()) + 1, vocabulary**order
    counts = np.ones((classes, events))
    for rows, codes, valid in _codes(train, vocabulary, order):
        labels = train.targets[rows]
        for label in np.unique(labels):
            chosen = codes[labels == label][valid[labels == label]]
            counts[label] += np.bincount(chosen, minlength=events)
    surprise = np.log(counts / counts.sum(axis=1, keepdims=True))
    prior = np.log(np.bincount(train.targets, minlength=classes) + 1.0)
    predictions = np.empty(len(test), np.int64)
    for rows, codes, valid in _codes(test, vocabulary, order):
        scores = [np.where(valid, table[codes], 0.0).sum(axis=1) for table in surprise]
        predictions[rows] = (np.stack(scores, axis=1) + prior).argmax(axis=1)
    return accuracy(predictions, test)


def _codes(split: Split, vocabulary: int, order: int) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yield blocks of sequences: their rows, the code of each run of `order` tokens, and which runs are valid."""
    for first in range(0, len(split), BLOCK):
        rows = slice(first, min(first + BLOCK, len(split)))
        width = split.steps - order + 1
        codes = np.zeros((rows.stop - rows.start, width), np.int64)
        for shift in range(order):
            codes = codes * vocabulary + split.inputs[rows, shift : shift + width]
        yield rows, codes, np.arange(width) < split.lengths[rows, None] - order + 1


def frequencies(split: Split, vocabulary: int) -> np.ndarray:
    """Return which share of the valid steps of each sequence each token has, (N, vocabulary)."""
    shares = np.empty((len(split), vocabulary))
    for rows, codes, valid in _codes(split, vocabulary, 1):
        row = np.broadcast_to(np.arange(len(codes))[:, None] * vocabulary, codes.shape)
        counts = np.bincount((codes + row)[valid], minlength=len(codes) * vocabulary)
        shares[rows] = counts.reshape(-1, vocabulary) / split.lengths[rows, None]
    return shares


def least_squares(
    train: np.ndarray, classes: np.ndarray, test: np.ndarray, *, ridge: float = 1e-3, rows: int = 10_000
) -> np.ndarray:
    """Return classes of `test` by linear least squares on features, one indicator for each class.

    Parameters
    ----------
    train : ndarray of shape (N, d)
        Features, of which the first `rows` sequences are used.
    classes : int ndarray of shape (N,)
        Their classes.
    test : ndarray of shape (M, d)
        Features to classify.
    ridge : float
        Penalty of the squared weights, for standardised features and a mean over sequences.
    rows : int
        How many sequences are enough.

    Returns
    -------
    int ndarray of shape (M,)
    """
    train, classes = train[:rows].astype(np.float64), classes[:rows]
    center, scale = train.mean(axis=0), train.std(axis=0)
    scale[scale == 0] = 1.0
    X = (train - center) / scale
    Y = np.eye(int(classes.max()) + 1)[classes]
    gram = X.T @ X / len(X) + ridge * np.eye(X.shape[1])
    weights = np.linalg.solve(gram, X.T @ (Y - Y.mean(axis=0)) / len(X))
    return np.concatenate(
        [((part - center) / scale @ weights + Y.mean(axis=0)).argmax(axis=1) for part in _parts(test)]
    )


def _parts(array: np.ndarray) -> Iterator[np.ndarray]:
    for first in range(0, len(array), BLOCK):
        yield array[first : first + BLOCK]
