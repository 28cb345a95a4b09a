"""Forecasting of two chaotic systems: Mackey and Glass's delay equation, and Lorenz's three equations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rmt import checks
from rmt.training.tasks import series
from rmt.training.tasks.base import Split, Task, sizes

MACKEY_GLASS_STEP = 0.1  # of the integration
LORENZ_STEP = 0.005
OTHERS = 200  # sequences for validation, and for the test


def mackey_glass(
    *,
    length: int = 500,
    size: int = 1000,
    seed: int = 0,
    horizon: int = 17,
    washout: int = 100,
    tau: float = 17.0,
) -> Task:
    """Return forecasts of the Mackey-Glass equation, x'(t) = 0.2 x(t - tau) / (1 + x(t - tau)^10) - 0.1 x(t).

    Each sequence is a trajectory of its own, from a constant history drawn uniform on [0.5, 1.5], 1,000 units of time
    later; a step is one unit. Values are standardised by mean and standard deviation of the train split.

    Parameters
    ----------
    length : int
        T.
    size : int
        Sequences to train on; validation and test have as many, and at most 200.
    seed : int
        Of the histories.
    horizon : int
        How many steps ahead.
    washout : int
        The first steps, which do not count.
    tau : float
        The delay, a multiple of 0.1. The fixed point x = 1 is stable up to 4.7; for 17 there is chaos.

    Returns
    -------
    Task
        Regression at each step. Baselines: the mean, persistence, autoregression.

    References
    ----------
    Mackey and Glass (1977), Oscillation and chaos in physiological control systems.

    Examples
    --------
    >>> from rmt.training.tasks.dynamics import mackey_glass
    >>> task = mackey_glass(length=60, washout=10, size=5)
    >>> task.train.inputs.shape, task.train.targets.shape
    ((5, 60, 1), (5, 60, 1))
    """
    length, horizon, washout = _steps(length, horizon, washout)
    tau = checks.real("tau", tau, at_least=2 * MACKEY_GLASS_STEP, at_most=1000.0)
    rng = np.random.default_rng(checks.integer("seed", seed, minimum=0))
    counts = sizes(size, OTHERS)
    history = rng.uniform(0.5, 1.5, sum(counts))
    values = mackey_glass_series(history, length + horizon, tau=tau, transient=1000)[..., None]
    options = {"length": length, "size": size, "seed": seed, "horizon": horizon, "washout": washout, "tau": tau}
    record = {
        "source": "integrated: Mackey and Glass (1977), Runge-Kutta of order 4, step 0.1",
        "options": options,
        "versions": {"numpy": np.__version__},
    }
    return series.forecast("mackey_glass", _standardised(values, counts, length, horizon, washout), record)


def mackey_glass_series(history: np.ndarray, steps: int, *, tau: float = 17.0, transient: int = 0) -> np.ndarray:
    """Integrate the Mackey-Glass equation from constant histories.

    The classical Runge-Kutta method of order 4 with step 0.1; x(t - tau) is a value that was computed, or in the middle
    of two the cubic through them with their derivatives. The error is of order 4.

    Parameters
    ----------
    history : ndarray of shape (N,)
        x(t) for t <= 0, positive.
    steps : int
        Values of each trajectory, one unit of time apart.
    tau : float
        The delay, a multiple of 0.1, at least 0.2.
    transient : int
        The time of the first value.

    Returns
    -------
    ndarray of shape (N, steps)

    Raises
    ------
    InputError
        If `tau` is no multiple of 0.1.

    Examples
    --------
    >>> import numpy as np
    >>> from rmt.training.tasks.dynamics import mackey_glass_series
    >>> mackey_glass_series(np.array([0.9, 1.2]), 3, tau=2.0, transient=500).round(6)
    array([[1., 1., 1.],
           [1., 1., 1.]])
    """
    h = MACKEY_GLASS_STEP
    delay = round(tau / h)
    if abs(delay * h - tau) > 1e-9 or delay < 2:
        raise checks.InputError(f"tau must be a multiple of {h}, at least {2 * h}, got {tau!r}")
    every = round(1 / h)
    x = np.array(history, np.float64)
    result = np.empty((len(x), steps))
    # The last `delay` values, their derivatives, and what they produce tau later.
    values, slopes, produced = np.empty((3, delay, len(x)))
    old = _production(x)
    for k in range((transient + steps - 1) * every + 1):
        if k % every == 0 and k >= transient * every:
            result[:, k // every - transient] = x
        here = k % delay  # holds step k - delay, and then step k
        following = (k + 1) % delay
        if k < delay:
            start = middle = end = old
        else:
            start, end = produced[here], produced[following]
            between = (values[here] + values[following]) / 2 + h / 8 * (slopes[here] - slopes[following])
            middle = _production(between)
        k1 = start - 0.1 * x
        values[here], slopes[here], produced[here] = x, k1, _production(x)
        k2 = middle - 0.1 * (x + h / 2 * k1)
        k3 = middle - 0.1 * (x + h / 2 * k2)
        k4 = end - 0.1 * (x + h * k3)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return result


def _production(x: np.ndarray) -> np.ndarray:
    return 0.2 * x / (1.0 + x**10)


def lorenz(*, length: int = 500, size: int = 1000, seed: int = 0, horizon: int = 25, washout: int = 100) -> Task:
    """Return forecasts of the Lorenz equations, x' = 10 (y - x), y' = x (28 - z) - y, z' = x y - 8/3 z.

    Each sequence is a trajectory of its own, from a normal point of standard deviation 5 around (0, 0, 25), 30 units of
    time later; a step is 0.02. Values are standardised by means and standard deviations of the train split.

    Parameters
    ----------
    length : int
        T.
    size : int
        Sequences to train on; validation and test have as many, and at most 200.
    seed : int
        Of the points.
    horizon : int
        How many steps ahead. Errors grow e-fold in about 55 steps.
    washout : int
        The first steps, which do not count.

    Returns
    -------
    Task
        Regression at each step, of all three coordinates. Baselines: the mean, persistence, autoregression.

    References
    ----------
    Lorenz (1963), Deterministic nonperiodic flow.

    Examples
    --------
    >>> from rmt.training.tasks.dynamics import lorenz
    >>> task = lorenz(length=60, washout=10, size=5)
    >>> task.train.inputs.shape, task.n_outputs
    ((5, 60, 3), 3)
    """
    length, horizon, washout = _steps(length, horizon, washout)
    rng = np.random.default_rng(checks.integer("seed", seed, minimum=0))
    counts = sizes(size, OTHERS)
    points = np.array([0.0, 0.0, 25.0]) + 5.0 * rng.standard_normal((sum(counts), 3))
    values = lorenz_series(points, length + horizon, transient=1500)
    record = {
        "source": f"integrated: Lorenz (1963), Runge-Kutta of order 4, step {LORENZ_STEP}",
        "options": {"length": length, "size": size, "seed": seed, "horizon": horizon, "washout": washout},
        "versions": {"numpy": np.__version__},
    }
    return series.forecast("lorenz", _standardised(values, counts, length, horizon, washout), record)


def lorenz_series(points: np.ndarray, steps: int, *, transient: int = 0, step: float = LORENZ_STEP) -> np.ndarray:
    """Integrate the Lorenz equations by the classical Runge-Kutta method of order 4.

    Parameters
    ----------
    points : ndarray of shape (N, 3)
        Where trajectories begin.
    steps : int
        Points of each, 0.02 units of time apart.
    transient : int
        How many such points pass before the first one.
    step : float
        Of the integration, a divisor of 0.02.

    Returns
    -------
    ndarray of shape (N, steps, 3)
    """
    every = round(0.02 / step)
    state = np.array(points, np.float64).T
    result = np.empty((len(points), steps, 3))
    for k in range((transient + steps - 1) * every + 1):
        if k % every == 0 and k >= transient * every:
            result[:, k // every - transient] = state.T
        k1 = _lorenz(state)
        k2 = _lorenz(state + step / 2 * k1)
        k3 = _lorenz(state + step / 2 * k2)
        k4 = _lorenz(state + step * k3)
        state = state + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return result


def _lorenz(state: np.ndarray) -> np.ndarray:
    x, y, z = state
    return np.stack([10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z])


def _steps(length: int, horizon: int, washout: int) -> tuple[int, int, int]:
    length = checks.integer("length", length, minimum=2)
    washout = checks.integer("washout", washout, minimum=0, maximum=length - 1)
    return length, checks.integer("horizon", horizon, maximum=100_000), washout


def _standardised(values: np.ndarray, counts: Sequence[int], length: int, horizon: int, washout: int) -> list[Split]:
    """Cut trajectories (N, length + horizon, d) into splits, standardised by the first."""
    train = values[: counts[0]]
    values = (values - train.mean(axis=(0, 1))) / train.std(axis=(0, 1))
    ends = np.cumsum(counts)
    return [
        series.ahead(values[end - count : end], length, horizon, washout)
        for count, end in zip(counts, ends, strict=True)
    ]
