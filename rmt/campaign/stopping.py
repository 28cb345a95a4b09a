"""When a cell has enough samples: at its count, or before, once the standard error of its target is small enough."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rmt import checks
from rmt.campaign.cells import Cell
from rmt.campaign.plan import Experiment, call_user

FIRST_LOOK = 64


def looks(count: int) -> Iterator[int]:
    """Yield the numbers of samples at which the standard error is judged: 64 * 2^k, and `count` at last.

    They are fixed beforehand, and judged on samples 0, 1, ..., so that where a cell stops depends on its
    samples alone, and not on timing.
    """
    look = FIRST_LOOK
    while look < count:
        yield look
        look *= 2
    yield count


def target(experiment: Experiment, cell: Cell, values: np.ndarray) -> np.ndarray | None:
    """Return what the standard error of a cell is about, (count,), or None where it has no target."""
    if experiment.target is None:
        return values if values.ndim == 1 and values.dtype.kind == "f" else None
    chosen = call_user("target", experiment.target, cell, values)
    if chosen is None:
        return None
    try:
        result = np.asarray(chosen)
    except ValueError:  # ragged
        result = np.empty(0, dtype=object)
    if result.shape != (len(values),) or result.dtype.kind not in "biuf":
        raise checks.InputError(
            f"target() must return a real number for each of {len(values)} samples, "
            f"got shape {result.shape} of {result.dtype}"
        )
    return result.astype(float)


def standard_error(values: np.ndarray) -> float:
    """Return the standard error of the mean of `values`, (count,).

    Of zeros and ones it is that of a proportion with two of each added (Agresti & Coull 1998): twenty
    ones in a row do not make a probability certain.
    """
    count = len(values)
    if np.isin(values, (0.0, 1.0)).all():
        share = (values.sum() + 2) / (count + 4)
        return float(np.sqrt(share * (1 - share) / (count + 4)))
    with np.errstate(all="ignore"):  # NaN where a value is none, or is infinite: such a cell goes on to its count
        return float(values.std(ddof=1) / np.sqrt(count)) if count > 1 else np.inf
