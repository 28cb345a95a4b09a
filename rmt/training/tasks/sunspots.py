"""Forecasting of the monthly mean number of sunspots: the file of the World Data Center SILSO."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from rmt import checks
from rmt.training.tasks import files, series
from rmt.training.tasks.base import Split, Task

NAME = "SN_m_tot_V2.0.csv"
NEEDED = f"the file {NAME} of the World Data Center SILSO (monthly mean total sunspot number), or the folder of it"
MAX_BYTES = 1_000_000  # 27,000 months
SHARES = (0.6, 0.8)  # of the months: up to the first to train on, up to the second for validation
STRIDE = 12  # months between the beginnings of sequences to train on
_LINE = re.compile(r"(\d{4});(\d\d);(\d{4}\.\d{3}); *(\d{1,3}\.\d); *(-1\.0|\d+\.\d); *(-1|\d+); *([01])")


def sunspots(
    *,
    data: str | os.PathLike[str] | None = None,
    length: int = 264,
    horizon: int = 12,
    washout: int = 132,
) -> Task:
    r"""Return forecasts of the number of sunspots, in the order of time: first to train on, last for the test.

    Values are standardised by mean and standard deviation of the months to train on. In validation and test each month
    is a target once; the washout of a sequence there may reach back into months before the split, which are past. The
    sequences to train on begin every 12 months, and overlap.

    Parameters
    ----------
    data : path
        The file ``SN_m_tot_V2.0.csv``, or the folder that holds it.
    length : int
        T, in months.
    horizon : int
        How many months ahead.
    washout : int
        The first steps, which do not count: 132 months are one cycle of the sun.

    Returns
    -------
    Task
        Regression at each step. Baselines: the mean, persistence, autoregression.

    Raises
    ------
    InputError
        If the file is not there or broken, or too short for such sequences.

    References
    ----------
    Clette and Lefevre (2016), The new sunspot number; WDC-SILSO, Royal Observatory of Belgium, Brussels.

    Examples
    --------
    A file in the format of WDC-SILSO, of a sun that keeps time:

    >>> import math, pathlib, tempfile
    >>> from rmt.training.tasks.sunspots import sunspots
    >>> months = [(1749 + i // 12, 1 + i % 12, 100 + 90 * math.sin(i / 21)) for i in range(3300)]
    >>> lines = [f"{y};{m:02};{y + (m - 0.5) / 12:.3f};{s:.1f};5.0;30;1" for y, m, s in months]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     size = pathlib.Path(folder, "SN_m_tot_V2.0.csv").write_text("\n".join(lines) + "\n")
    ...     task = sunspots(data=folder)
    >>> task.steps, task.baselines["autoregression"] < 0.01 < task.baselines["persistence"]
    (264, True)
    """
    length = checks.integer("length", length, minimum=2)
    washout = checks.integer("washout", washout, minimum=0, maximum=length - 1)
    horizon = checks.integer("horizon", horizon, maximum=1200)
    values, first, last = read(found(data))
    ends = [round(share * len(values)) for share in (*SHARES, 1)]
    begins = [washout + horizon, *ends[:-1]]
    known = values[: ends[0]]
    values = (values - known.mean()) / known.std()
    strides = (STRIDE, length - washout, length - washout)
    splits = [
        windows(values, begin, end, length, horizon, washout, stride)
        for begin, end, stride in zip(begins, ends, strides, strict=True)
    ]
    record = {
        "source": f"{NAME}, WDC-SILSO, Royal Observatory of Belgium, Brussels",
        "months": [first, last],
        "options": {"length": length, "horizon": horizon, "washout": washout},
        "versions": {"numpy": np.__version__},
    }
    return series.forecast("sunspots", splits, record)


def found(data: Any) -> Path:
    """Return the file."""
    path = files.given(data, NEEDED)
    path = path / NAME if path.is_dir() else path
    if not path.exists():
        raise checks.InputError(f"{path} is not there; data must be {NEEDED}")
    return path


def windows(values: np.ndarray, begin: int, end: int, length: int, horizon: int, washout: int, stride: int) -> Split:
    """Return sequences of one series whose targets that count are values[begin:end], all of them.

    Sequences begin every `stride` values, the first so that its washout ends with values[begin] as target, the last so
    that it ends with values[end - 1] as target. Where `stride` is length - washout, what two sequences share counts in
    the first of them alone.
    """
    first, last = begin - horizon - washout, end - horizon - length
    if first < 0 or last < first:
        raise checks.InputError(
            f"length = {length}, horizon = {horizon} and washout = {washout} must leave room in {end - begin} months"
        )
    starts = [*range(first, last, stride), last]
    pieces = np.stack([values[start : start + length + horizon] for start in starts])[..., None]
    split = series.ahead(pieces, length, horizon, washout)
    if stride == length - washout and len(starts) > 1 and split.weights is not None:
        split.weights[-1, : starts[-2] + length - last] = 0.0
    return split


def read(path: Path) -> tuple[np.ndarray, str, str]:
    """Return the monthly numbers of a file of SILSO, and its first and last month.

    Parameters
    ----------
    path : Path
        Lines ``year;month;decimal year;number;standard deviation;observations;definitive``.

    Returns
    -------
    values : ndarray of shape (months,)
    first, last : str
        As "1749-01".

    Raises
    ------
    InputError
        If a line is another one, or a month is missing.
    """
    text = files.content(path, MAX_BYTES).decode("latin-1")
    values: list[float] = []
    months: list[int] = []
    for number, line in enumerate(text.splitlines(), 1):
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise checks.InputError(f"{path} cannot be read: line {number} is not as in {NAME}")
        year, month = int(match[1]), int(match[2])
        proper = 1 <= month <= 12 and abs(year + (month - 0.5) / 12 - float(match[3])) < 0.01
        if not proper or (months and 12 * year + month != months[-1] + 1):
            raise checks.InputError(f"{path} cannot be read: line {number} is not the month after the line before")
        months.append(12 * year + month)
        values.append(float(match[4]))
    if not values:
        raise checks.InputError(f"{path} cannot be read: it is empty")
    first, last = (f"{(month - 1) // 12}-{(month - 1) % 12 + 1:02d}" for month in (months[0], months[-1]))
    return np.array(values), first, last
