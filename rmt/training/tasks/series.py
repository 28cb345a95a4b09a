"""Forecasting: sequences of vectors, what each is some steps later, and two baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rmt import checks
from rmt.training.tasks import baselines
from rmt.training.tasks.base import Split, Task, content_hash

ORDERS = (1, 2, 4, 8, 16, 32, 64)
FITTED = 200  # sequences are enough for a linear predictor


def ahead(series: np.ndarray, length: int, horizon: int, washout: int) -> Split:
    """Return sequences whose target at each step is the input `horizon` steps later.

    Parameters
    ----------
    series : ndarray of shape (N, length + horizon, d)
        Values.
    length : int
        T.
    horizon : int
        How far ahead.
    washout : int
        The first steps of a sequence, which do not count.

    Returns
    -------
    Split
    """
    values = series.astype(np.float32)
    weights = np.ones((len(values), length), np.float32)
    weights[:, :washout] = 0.0
    lengths = np.full(len(values), length, np.int32)
    return Split(np.ascontiguousarray(values[:, :length]), lengths, np.ascontiguousarray(values[:, horizon:]), weights)


def persistence(test: Split) -> float:
    """Return the NRMSE of saying that nothing changes."""
    return baselines.nrmse(test.inputs, test)


def autoregression(train: Split, validation: Split, test: Split, orders: Sequence[int] = ORDERS) -> tuple[float, int]:
    """Return the NRMSE on `test` of the best linear predictor from the last p inputs and a constant, and p.

    Least squares on the targets that count of the first 200 sequences of `train`; p is that of `orders` with the least
    NRMSE on `validation`.
    """
    first = int(min(np.flatnonzero(split.counted().any(axis=0))[0] for split in (train, validation, test)))
    possible = [order for order in orders if order <= first + 1]
    if not possible:
        raise checks.InputError(f"orders must have one of at most {first + 1}, the inputs before the first target")
    fits = {order: fit_autoregression(train, order) for order in possible}
    errors = {order: baselines.nrmse(_predicted(fits[order], validation), validation) for order in possible}
    best = min(errors, key=lambda order: errors[order])
    return baselines.nrmse(_predicted(fits[best], test), test), best


def fit_autoregression(train: Split, order: int) -> np.ndarray:
    """Return the least-squares coefficients, one row for each lag and input and a last one for the constant."""
    counted = train.counted()[:FITTED] > 0
    features = _lags(train.inputs[:FITTED], order)[counted]
    return np.linalg.lstsq(features, train.targets[:FITTED][counted].astype(np.float64), rcond=None)[0]


def _lags(inputs: np.ndarray, order: int) -> np.ndarray:
    """Return the last `order` inputs of each step, the latest first, and a one; zeros before the beginning."""
    size, steps, width = inputs.shape
    result = np.zeros((size, steps, order * width + 1))
    for lag in range(min(order, steps)):
        result[:, lag:, lag * width : (lag + 1) * width] = inputs[:, : steps - lag]
    result[..., -1] = 1.0
    return result


def _predicted(coefficients: np.ndarray, split: Split) -> np.ndarray:
    order = (len(coefficients) - 1) // split.inputs.shape[2]
    parts = range(0, len(split), baselines.BLOCK)
    return np.concatenate([_lags(split.inputs[i : i + baselines.BLOCK], order) @ coefficients for i in parts])


def forecast(name: str, splits: Sequence[Split], record: Mapping[str, Any]) -> Task:
    """Return the task of these splits, with its baselines."""
    train, validation, test = splits
    linear, order = autoregression(train, validation, test)
    return Task(
        name=name,
        kind="regression",
        readout="steps",
        vocabulary=None,
        n_outputs=train.targets.shape[2],
        train=train,
        validation=validation,
        test=test,
        baselines={
            "mean": baselines.mean(train, test),
            "persistence": persistence(test),
            "autoregression": linear,
        },
        record={**record, "autoregression order": order, "sha256": content_hash(*splits)},
    )
