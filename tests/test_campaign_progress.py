"""What plain output says while a run is at work: never silent for long, and no more exact than it can be."""

import io
import math
import time
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from campaigns import experiment, serial

from rmt import campaign
from rmt.campaign.progress import Lines
from rmt.campaign.schedule import Moments


def slow(ensemble, params, rng):
    time.sleep(params["seconds"])
    return rng.random()


@pytest.fixture
def often(monkeypatch):
    monkeypatch.setattr("rmt.campaign.progress.LINE_SECONDS", 0.1)


def lines_of(tmp_path, cell, count):
    stream = io.StringIO()
    assert serial(tmp_path / "out", experiment([cell], count), progress=Lines(stream)).table is not None
    said = stream.getvalue().splitlines()
    time.sleep(0.15)
    assert stream.getvalue().splitlines() == said  # and nothing when it is over
    return said


@pytest.mark.usefixtures("often")
def test_a_sample_that_takes_long_is_not_silent(tmp_path):
    cell = campaign.Cell(slow, None, {"seconds": 0.25})
    said = lines_of(tmp_path, cell, 4)
    waiting = [line for line in said if line.startswith("  waiting for the first samples, since 0:0")]
    assert len(waiting) >= 3
    assert waiting[0].endswith(f"; in work is {cell.label}")
    assert any(line.startswith(f"  2/4 of {cell.label}; ") and line.endswith(" to go") for line in said)
    assert said[-1].startswith("[1/1] 4 x ")


def test_a_run_that_speaks_says_nothing_more(tmp_path):
    cell = campaign.Cell(slow, None, {"seconds": 0.05})
    (line,) = lines_of(tmp_path, cell, 4)
    assert line.startswith("[1/1] 4 x ")


def part(seconds, remaining, each=1.0):
    return SimpleNamespace(seconds=seconds, remaining=remaining, each=each, open=True)


@pytest.mark.parametrize("seconds", [0.0, 0.5])
def test_a_first_run_says_that_it_compiles(tmp_path, monkeypatch, seconds):
    monkeypatch.setattr("rmt.campaign.runner.NOTICE_SECONDS", 0.1)
    monkeypatch.setattr("rmt.campaign.runner.canary", lambda: time.sleep(seconds))
    said = lines_of(tmp_path, campaign.Cell(slow, None, {"seconds": 0.0}), 4)
    assert said[0].startswith("compiling the kernels, once") is (seconds > 0)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([part(0.0, 0.0, None)], "unknown"),
        ([part(40.0, 60.0)], "roughly "),
        ([part(60.0, 40.0)], "about "),
        ([part(60.0, 40.0), part(0.0, 0.0, None)], "roughly "),
        ([part(60.0, 30.0), part(1.0, 40.0)], "roughly "),
    ],
)
def test_the_time_to_go_is_rough_until_half_is_done(parts, words):
    lines = Lines(io.StringIO())
    lines.parts, lines.began = parts, time.monotonic() - 50
    assert lines.to_go().startswith(words)
    if words != "unknown":
        left = sum(one.remaining for one in parts) / max(sum(one.seconds for one in parts) / 50, 0.5)
        minutes, seconds = divmod(round(left), 60)
        assert lines.to_go() == f"{words}{minutes}:{seconds:02d}"


def strange(ensemble, params, rng):
    return params["size"] * rng.choice([-1.0, 0.5, 1.0])


@pytest.mark.parametrize("size", [1e155, 1e200, 1e306, math.inf])
def test_values_beyond_all_measure_cost_no_run(tmp_path, size):
    cell = campaign.Cell(strange, None, {"size": size})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(lines_of(tmp_path, cell, 30)) == 1
        assert serial(tmp_path / "out", experiment([cell], 90), target_se=1.0).samples == 90


def test_moments_are_those_of_all_values():
    values = np.random.default_rng(0).standard_normal(1000)
    moments = Moments()
    for piece in np.split(values, [1, 2, 500]):
        moments.add(piece)
    assert moments.mean == pytest.approx(values.mean(), rel=1e-12)
    assert moments.standard_error == pytest.approx(values.std(ddof=1) / math.sqrt(1000), rel=1e-12)
