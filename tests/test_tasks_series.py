"""Forecasting: integrators against independent ones and exact identities, autoregression, and the sunspot file."""

import numpy as np
import pytest
from oracles import check_mean
from scipy.integrate import solve_ivp

from rmt.checks import InputError
from rmt.training.tasks import Split, dynamics, load_task, nrmse, series
from rmt.training.tasks.sunspots import NAME, read, windows


def delay_equation(history, tau, end):
    """x at 0, 1, ..., end by the method of steps: a solver of high order on each interval of length tau."""

    def before(t):
        return history

    points, begin, x = [history], 0.0, history
    while begin < end:
        finish = min(begin + tau, end)

        def slope(t, y, before=before):
            late = before(t - tau)
            return 0.2 * late / (1 + late**10) - 0.1 * y

        solution = solve_ivp(slope, (begin, finish), [x], method="DOP853", rtol=1e-12, atol=1e-13, dense_output=True)
        assert solution.success
        points += [float(solution.sol(t)[0]) for t in range(len(points), int(finish + 1e-9) + 1)]

        def before(t, curve=solution.sol):
            return curve(t)[0]

        begin, x = finish, solution.y[0, -1]
    return np.array(points)


@pytest.mark.parametrize(("history", "tau"), [(0.5, 17.0), (1.2, 17.0), (1.5, 6.0), (0.9, 2.3)])
def test_mackey_glass_against_the_method_of_steps(history, tau):
    wanted = delay_equation(history, tau, 120)
    found = dynamics.mackey_glass_series(np.array([history, 0.7]), 121, tau=tau)[0]
    np.testing.assert_allclose(found, wanted, atol=2e-6)
    later = dynamics.mackey_glass_series(np.array([history]), 21, tau=tau, transient=100)[0]
    np.testing.assert_array_equal(later, found[100:])
    assert np.ptp(wanted) > 0.1


def test_mackey_glass_is_of_order_four(monkeypatch):
    wanted = delay_equation(0.6, 17.0, 100)[60:]
    errors = []
    for step in (0.5, 0.25, 0.125):
        monkeypatch.setattr(dynamics, "MACKEY_GLASS_STEP", step)
        found = dynamics.mackey_glass_series(np.array([0.6]), 101)[0, 60:]
        errors.append(np.abs(found - wanted).max())
    assert 11 < errors[0] / errors[1] < 24
    assert 11 < errors[1] / errors[2] < 24


def test_where_mackey_glass_loses_its_fixed_point():
    # x = 1 has the characteristic equation z = -0.4 exp(-z tau) - 0.1; Hopf at omega = sqrt(0.4^2 - 0.1^2)
    critical = np.arccos(-0.25) / np.sqrt(0.15)
    assert 4.7 < critical < 4.72
    history = np.array([0.95, 1.05])
    np.testing.assert_allclose(dynamics.mackey_glass_series(history, 50, tau=4.0, transient=1000), 1.0, atol=1e-6)
    swinging = dynamics.mackey_glass_series(history, 200, tau=5.0, transient=1500)
    assert np.ptp(swinging, axis=1).min() > 0.1
    crossings = np.flatnonzero((swinging[0, :-1] < 1) & (swinging[0, 1:] >= 1))
    assert np.diff(crossings).mean() == pytest.approx(2 * np.pi / np.sqrt(0.15), rel=0.1)


def test_mackey_glass_is_chaotic_at_17():
    near = dynamics.mackey_glass_series(np.array([0.8, 0.8 + 1e-6]), 3, transient=3000)
    assert np.abs(near[0] - near[1]).max() > 1e-4
    stable = dynamics.mackey_glass_series(np.array([0.8, 0.8 + 1e-6]), 3, tau=4.0, transient=1000)
    assert np.abs(stable[0] - stable[1]).max() < 1e-9


def test_lorenz_against_another_solver():
    points = np.random.default_rng(0).normal(size=(3, 3)) * 5 + [0, 0, 25]
    found = dynamics.lorenz_series(points, 101)

    def slope(t, state):
        x, y, z = state
        return 10 * (y - x), x * (28 - z) - y, x * y - 8 * z / 3

    for point, trajectory in zip(points, found, strict=True):
        wanted = solve_ivp(slope, (0, 2), point, "DOP853", np.arange(101) * 0.02, rtol=1e-12, atol=1e-12).y.T
        np.testing.assert_allclose(trajectory, wanted, atol=1e-4)
    np.testing.assert_array_equal(dynamics.lorenz_series(points, 11, transient=90), found[:, 90:])


def test_lorenz_keeps_its_identities():
    # stationary means: of the derivatives of x^2, z and x y; and (x, y) -> (-x, -y) changes nothing
    rng = np.random.default_rng(1)
    points = np.array([0, 0, 25.0]) + 5 * rng.standard_normal((400, 3))
    x, y, z = np.moveaxis(dynamics.lorenz_series(points, 300, transient=1000), 2, 0)
    check_mean((x * x - x * y).mean(axis=1), 0.0)
    check_mean((x * y - 8 / 3 * z).mean(axis=1), 0.0)
    check_mean((10 * y * y - 11 * x * y + 28 * x * x - x * x * z).mean(axis=1), 0.0)
    check_mean(x.mean(axis=1), 0.0)
    assert np.std(z) > 8


@pytest.mark.parametrize(("name", "d"), [("mackey_glass", 1), ("lorenz", 3)])
def test_forecasts_of_a_system(name, d):
    options = {"length": 90, "size": 30, "horizon": 7, "washout": 20}
    first, again, other = (load_task(name, seed=seed, **options) for seed in (0, 0, 1))
    assert first.record == again.record
    assert first.record["sha256"] != other.record["sha256"]
    assert (first.kind, first.readout, first.n_outputs, first.input_size) == ("regression", "steps", d, d)
    for split in first.splits.values():
        assert split.inputs.shape == (30, 90, d)
        np.testing.assert_array_equal(split.inputs[:, 7:], split.targets[:, :-7])
        np.testing.assert_array_equal(split.weights, np.tile([0.0] * 20 + [1.0] * 70, (30, 1)))
    np.testing.assert_allclose(first.train.inputs.mean(axis=(0, 1)), 0, atol=0.05)
    np.testing.assert_allclose(first.train.inputs.std(axis=(0, 1)), 1, atol=0.05)
    assert first.baselines["autoregression"] < 0.5 < first.baselines["persistence"]
    assert first.baselines["mean"] == pytest.approx(1, abs=0.02)
    for bad, words in (({"washout": 90}, "washout"), ({"horizon": 0}, "horizon"), ({"size": 0}, "size")):
        with pytest.raises(InputError, match=f"{words} must be an integer"):
            load_task(name, **options | bad)


def test_tau_is_a_multiple_of_the_step():
    for tau in (17.05, 0.1, 1e9, np.nan):
        with pytest.raises(InputError, match="tau must be"):
            load_task("mackey_glass", tau=tau, size=2, length=10, washout=1)


# autoregression


def autoregressive(rng, size, steps):
    """x_t = 1.6 x_{t-1} - 0.8 x_{t-2} + 0.1 + noise, stationary."""
    x = np.zeros((size, steps + 100))
    for t in range(2, steps + 100):
        x[:, t] = 1.6 * x[:, t - 1] - 0.8 * x[:, t - 2] + 0.1 + rng.standard_normal(size)
    return x[:, 100:, None]


def test_autoregression_against_lstsq_and_its_law():
    rng = np.random.default_rng(2)
    splits = [series.ahead(autoregressive(rng, count, 60), 59, 1, 9) for count in (200, 50, 50)]
    train, validation, test = splits

    def design(split, order):
        rows = [
            [*(float(split.inputs[i, t - lag, 0]) for lag in range(order)), 1.0]
            for i in range(len(split))
            for t in range(9, 59)
        ]
        return np.array(rows), split.targets[:, 9:].reshape(-1, 1).astype(float)

    errors = {}
    for order in (1, 2, 4):
        features, targets = design(train, order)
        wanted = np.linalg.lstsq(features, targets, rcond=None)[0]
        np.testing.assert_allclose(series.fit_autoregression(train, order), wanted, rtol=1e-8, atol=1e-10)
        for name, split in (("validation", validation), ("test", test)):
            features, targets = design(split, order)
            errors[name, order] = np.sqrt(np.mean((features @ wanted - targets) ** 2)) / targets.std()
    found, order = series.autoregression(train, validation, test, (1, 2, 4, 64))
    assert order == min((1, 2, 4), key=lambda p: errors["validation", p])
    assert found == pytest.approx(errors["test", order])
    np.testing.assert_allclose(series.fit_autoregression(train, 2)[:, 0], [1.6, -0.8, 0.1], atol=0.05)
    assert order > 1
    assert series.persistence(test) == pytest.approx(nrmse(test.inputs, test))
    # one lag does less harm than two where there is nothing to foresee: the order is that of validation alone
    noise = series.ahead(rng.standard_normal((50, 60, 1)), 59, 1, 9)
    assert series.autoregression(train, noise, test, (1, 2))[1] == 1
    assert series.autoregression(train, validation, noise, (1, 2))[1] == 2
    with pytest.raises(InputError, match="orders must have one of at most 10"):
        series.autoregression(*splits, (11, 20))


def test_autoregression_of_vectors_takes_every_input():
    rng = np.random.default_rng(3)
    x = rng.standard_normal((20, 40, 2))
    x[:, 1:, 1] = 0.5 * x[:, :-1, 0] - 2.0  # the second is the first, a step late
    split = series.ahead(x, 39, 1, 5)
    coefficients = series.fit_autoregression(split, 1)
    np.testing.assert_allclose(coefficients[:, 1], [0.5, 0.0, -2.0], atol=1e-5)
    lengths = np.full(20, 39, np.int32)
    second = Split(split.inputs, lengths, np.ascontiguousarray(split.targets[..., 1:]), split.weights)
    assert series.autoregression(second, second, second, (1,))[0] < 1e-5


# sunspots


def silso(months=1200, seed=0):
    """Lines in the format of the World Data Center, and their values."""
    rng = np.random.default_rng(seed)
    t = np.arange(months)
    values = np.abs(90 * np.sin(np.pi * t / 131) + rng.normal(0, 12, months)).round(1)
    lines = [
        f"{1749 + i // 12};{i % 12 + 1:02};{1749 + (i + 0.5) / 12:8.3f}; {v:5.1f};{5.5:5.1f};{31:5d};1"
        for i, v in enumerate(values)
    ]
    return "\r\n".join(lines) + "\r\n", values


@pytest.fixture
def file(tmp_path):
    path = tmp_path / NAME
    path.write_text(silso()[0], newline="")
    return path


def test_each_month_is_a_target_once(file):
    values = silso()[1]
    scaled = (values - values[:720].mean()) / values[:720].std()
    for data in (file, file.parent, str(file)):
        task = load_task("sunspots", data=data)
    assert task.record["months"] == ["1749-01", "1848-12"]
    assert task.steps == 264
    for name, begin, end in (("train", 144, 720), ("validation", 720, 960), ("test", 960, 1200)):
        split = task.splits[name]
        np.testing.assert_array_equal(split.inputs[:, 12:], split.targets[:, :-12])
        counted = split.targets[split.weights > 0]
        if name == "train":
            assert {round(float(v), 4) for v in counted[:, 0]} == {round(float(v), 4) for v in scaled[begin:end]}
        else:
            np.testing.assert_allclose(np.sort(counted[:, 0]), np.sort(scaled[begin:end]), atol=1e-5)
    # nothing to train on comes from later months
    assert np.abs(task.train.inputs[-1, -1, 0] - scaled[720 - 13]) < 1e-5
    assert np.abs(task.train.targets[-1, -1, 0] - scaled[720 - 1]) < 1e-5
    assert task.baselines["autoregression"] < task.baselines["persistence"] < 1
    assert set(task.baselines) == {"mean", "persistence", "autoregression"}


@pytest.mark.parametrize("stride", [5, 3])
@pytest.mark.parametrize("end", range(40, 52))
def test_windows(stride, end):
    values = np.arange(100.0)
    split = windows(values, 20, end, 8, 2, 3, stride)
    np.testing.assert_array_equal(split.targets, split.inputs + 2)
    counted = split.targets[split.weights > 0].ravel().astype(int)
    times = np.bincount(counted, minlength=100)
    assert set(np.flatnonzero(times)) == set(range(20, end))
    assert (times.max() == 1) == (stride == 5)
    assert not (split.weights[:, :3] > 0).any()
    with pytest.raises(InputError, match="must leave room in 3 months"):
        windows(values, 20, 23, 8, 2, 3, stride)
    with pytest.raises(InputError, match="must leave room"):
        windows(values, 4, 50, 8, 2, 3, stride)


def test_a_file_that_is_not_there(tmp_path):
    for data in (tmp_path, tmp_path / NAME):
        with pytest.raises(InputError, match=r"SN_m_tot_V2.0.csv is not there; data must be the file SN_m_tot"):
            load_task("sunspots", data=data)


def test_cut_or_changed_anywhere(tmp_path):
    text, values = silso(20)
    content = text.encode()
    path = tmp_path / NAME
    whole = {i for i in range(len(content) + 1) if content[:i].endswith((b"1", b"1\r", b"1\r\n"))}
    rng = np.random.default_rng(0)
    refused = 0
    for place in range(len(content)):
        path.write_bytes(content[:place])
        found = outcome(path)
        if found is not None:
            assert place in whole
            np.testing.assert_array_equal(found, values[: len(found)])
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        found = outcome(path)
        refused += found is None
        if found is not None:  # a digit of one value, or of a column that is not read
            assert np.sum(found != values) <= 1
    assert refused > len(content) * 0.6


def outcome(path):
    try:
        return read(path)[0]
    except InputError as error:
        message = str(error)
    assert message.startswith(f"{path} cannot be read: ")
    assert message.isprintable()
    return None


def test_months_in_order_and_bounds(tmp_path):
    text, _ = silso(30)
    lines = text.splitlines()
    path = tmp_path / NAME
    for other, words in (
        ([*lines[:7], *lines[8:]], "line 8 is not the month after"),
        ([*lines[:7], lines[6], *lines[7:]], "line 8 is not the month after"),
        ([*lines[:7], lines[7].replace(";08;", ";13;")], "line 8 is not the month after"),
        ([*lines[:7], lines[7].replace(";1749.", ";1750.")], "line 8 is not the month after"),
        ([*lines[:7], "1749;08;1749.625;  -1.0;  5.5;   31;1"], "line 8 is not as in"),
        (["Year,Month", *lines], "line 1 is not as in"),
        ([], "it is empty"),
        ([*lines, " " * 1_000_000], "more than the 1,000,000 bytes"),
    ):
        path.write_text("\n".join(other))
        with pytest.raises(InputError, match=words):
            read(path)
    path.write_text(text)
    with pytest.raises(InputError, match="must leave room"):
        load_task("sunspots", data=path)
