"""Where a cell stops: at the same look, whoever computed it, in which pieces, and however often it was interrupted."""

import os
import signal

import numpy as np
import pytest
from campaigns import CELLS, Listener, Shuffled, data, die_at, experiment, oracle, run, scalar, serial
from demos import contents, shards

from rmt import campaign
from rmt.campaign.shards import Shards
from rmt.campaign.stopping import looks, standard_error, target
from rmt.checks import InputError

COUNT = 1500
TARGET = 0.04
CELL = campaign.Cell(scalar, None)


@pytest.fixture(autouse=True)
def no_flush(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # which takes long


@pytest.fixture(scope="module")
def values():
    return np.array([campaign.sample(CELL, 0, index) for index in range(COUNT)])


def test_looks():
    assert list(looks(1)) == [1]
    assert list(looks(64)) == [64]
    assert list(looks(65)) == [64, 65]
    assert list(looks(1500)) == [64, 128, 256, 512, 1024, 1500]
    assert list(looks(2**12)) == [64, 128, 256, 512, 1024, 2048, 4096]


def slow_error(values):
    """The standard error by its definition; of a proportion with two zeros and two ones added."""
    if set(values) <= {0.0, 1.0}:
        values = [*values, 0.0, 0.0, 1.0, 1.0]
        mean = sum(values) / len(values)
        return (sum((x - mean) ** 2 for x in values) / len(values) ** 2) ** 0.5
    mean = sum(values) / len(values)
    return (sum((x - mean) ** 2 for x in values) / (len(values) - 1) / len(values)) ** 0.5


@pytest.mark.parametrize("size", [2, 64, 128, 1000])
def test_standard_error(values, size):
    rng = np.random.default_rng(size)
    for sample in (
        values[:size],
        (values[:size] > 1).astype(float),
        np.zeros(size),
        np.ones(size),
        3 * values[:size] - 7,
    ):
        assert standard_error(sample) == pytest.approx(slow_error(sample.tolist()), rel=1e-12)
    hit = rng.integers(size)
    assert standard_error(np.where(np.arange(size) == hit, np.nan, values[:size])) != 0
    assert not standard_error(np.where(np.arange(size) == hit, np.nan, values[:size])) <= 1e300
    assert not standard_error(np.where(np.arange(size) == hit, np.inf, values[:size])) <= 1e300
    assert standard_error(np.full(size, 2.5)) == 0


def test_one_sample_says_nothing_of_its_error():
    assert standard_error(np.array([0.3])) == np.inf
    assert 0.1 < standard_error(np.ones(1)) < 1


def test_a_proportion_of_none_or_all_is_not_certain():
    """64 ones in a row: Agresti and Coull's interval still has a width."""
    assert standard_error(np.ones(64)) == pytest.approx(np.sqrt(66 / 68 * 2 / 68 / 68))
    covered = []
    for share in (0.5, 0.9, 0.98):
        for hits in np.random.default_rng(0).binomial(64, share, 4000):
            sample = np.repeat([1.0, 0.0], [hits, 64 - hits])
            middle = (hits + 2) / 68
            covered.append(abs(middle - share) < 1.96 * standard_error(sample))
    assert np.reshape(covered, (3, -1)).mean(axis=1).min() > 0.93


def stops_at(values, se):
    return next((look for look in looks(COUNT) if standard_error(values[:look]) <= se), COUNT)


def sequential(out, **options):
    outcome = serial(out, experiment([CELL], COUNT), **{"target_se": TARGET, "chunk_seconds": 1e-3, **options})
    return outcome.samples


@pytest.mark.parametrize("se", [10.0, 0.1, 0.08, 0.04, 1e-9])
def test_a_cell_stops_at_the_first_look_that_suffices(tmp_path, values, se):
    stop = stops_at(values, se)
    assert stop == {10.0: 64, 0.1: 128, 0.08: 256, 0.04: 1024, 1e-9: COUNT}[se]
    assert sequential(tmp_path, target_se=se) == stop
    (path,) = shards(tmp_path)
    assert np.array_equal(np.load(path), values[:stop])


def test_the_engine_and_the_pieces_do_not_matter(tmp_path):
    whole = oracle(tmp_path / "whole", experiment([CELL], COUNT), target_se=TARGET)
    for seed, workers in enumerate((1, 3, 50)):
        out = tmp_path / f"{workers}"
        sequential(out, engine=Shuffled(seed), workers=workers)
        assert contents(out) == whole
    for seconds in (1e-4, 1e300):
        out = tmp_path / f"{seconds}"
        sequential(out, chunk_seconds=seconds)
        assert contents(out) == whole


def test_what_was_there_before_does_not_matter(tmp_path, values):
    """More samples than needed, or gaps, or ends between looks."""
    made, pieces = experiment([CELL], COUNT), {"chunk_seconds": 1e-3}
    assert serial(tmp_path / "more", made, samples=1200, **pieces).samples == 1200
    listener = Listener()
    more = serial(tmp_path / "more", made, target_se=TARGET, progress=listener)  # 1024 would do
    assert (more.samples, more.table["n"].tolist()) == (1200, [1200])
    assert listener.lines == ["1,200 samples of each cell are there already: all are used"]
    assert serial(tmp_path / "more", made, **pieces).table["n"].tolist() == [COUNT]
    gaps = tmp_path / "gaps"
    assert sequential(gaps, max_seconds=1e-9) == 0
    folder = Shards(gaps / "shards" / CELL.name, CELL.sha256.hex(), 0)
    for start, stop in ((1, 5), (60, 70), (200, 300), (290, 305), (1020, 1100), (1200, 1300)):
        folder.commit(start, values[start:stop])
    outcome = serial(gaps, made, target_se=TARGET, **pieces)
    assert (outcome.samples, outcome.table["n"].tolist()) == (1200, [1100])  # up to the first gap
    assert np.array_equal(folder.load(0, 1024), values[:1024])


def test_a_target_that_is_tightened_goes_on(tmp_path, values):
    for se in (0.2, 0.1, 0.05):
        assert sequential(tmp_path / "out", target_se=se) == stops_at(values, se)
    assert sequential(tmp_path / "out", target_se=0.2) == stops_at(values, 0.05)  # all that are there are used
    assert [np.load(path).shape for path in shards(tmp_path / "out")] == [(stops_at(values, 0.05),)]


def test_interruptions_do_not_matter(forks, tmp_path):
    whole = oracle(tmp_path / "whole", experiment([CELL], COUNT), target_se=TARGET)
    options = {"count": COUNT, "cells": [0], "target_se": TARGET, "chunk_seconds": 3e-4}
    for number in (3, 30, 60):
        out = tmp_path / f"{number}"
        for _ in range(2):
            assert forks.run(die_at, out, number, False, options) == -signal.SIGKILL
        assert forks.run(run, out, options) == 0
        assert contents(out) == whole


def test_the_target_is_what_the_experiment_says(tmp_path):
    vector, phases = CELLS[1:]

    def first(cell, values):
        return None if cell == phases else np.abs(values[:, 0]) > 1

    made = experiment(CELLS[1:], COUNT, target=first)
    outcome = serial(tmp_path / "out", made, target_se=0.05, chunk_seconds=1)
    hits = np.array([abs(campaign.sample(vector, 0, index)[0]) > 1 for index in range(COUNT)])
    stop = next(look for look in looks(COUNT) if standard_error(hits[:look].astype(float)) <= 0.05)
    assert stop == 128
    assert outcome.table["n"].tolist() == [stop, COUNT]
    # By default a cell of arrays has none, and goes to its count.
    outcome = serial(tmp_path / "default", experiment(CELLS[1:], 100), target_se=0.5)
    assert outcome.table["n"].tolist() == [100, 100]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda cell, values: [*values[:1].tolist(), [1, 2]], "got shape"),
        (lambda cell, values: values[: len(values) // 2 - 1], "got shape"),
        (lambda cell, values: values.astype(complex), "complex128"),
        (lambda cell, values: np.full(len(values), "x"), "<U1"),
        (lambda cell, values: 1.0, "got shape"),
        (lambda cell, values: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_a_target_that_is_none_is_named(tmp_path, wrong, words):
    with pytest.raises(InputError) as error:
        target(experiment(target=wrong), CELL, np.arange(10.0))
    assert words in str(error.value)
    with pytest.raises(InputError):
        serial(tmp_path, experiment([CELL], 100, target=wrong), target_se=0.1)
    assert serial(tmp_path, experiment([CELL], 100), target_se=0.1).table is not None


@pytest.mark.parametrize("se", [0.0, -1.0, np.nan, np.inf, "x", None])
def test_targets_that_are_none(tmp_path, se):
    if se is None:
        assert serial(tmp_path, experiment([CELL], 70), target_se=None).samples == 70
        return
    with pytest.raises(InputError, match="target_se must be a finite number > 0"):
        serial(tmp_path, experiment([CELL], 70), target_se=se)


def test_out_of_time_between_looks(tmp_path, monkeypatch):
    """The deadline comes after a few chunks: what was committed counts, and the next call ends where it would have."""
    whole = oracle(tmp_path / "whole", experiment([CELL], COUNT), target_se=TARGET)
    ticks = iter(range(10**6))
    monkeypatch.setattr("rmt.campaign.coordinator.time.monotonic", lambda: float(next(ticks)))
    monkeypatch.setattr("rmt.campaign.runner.time.monotonic", lambda: float(next(ticks)))
    kept = []
    while True:
        made = experiment([CELL], COUNT)
        outcome = serial(tmp_path / "out", made, target_se=TARGET, max_seconds=12, chunk_seconds=1e-4)
        kept.append(outcome.samples)
        if outcome.table is not None:
            break
        assert outcome.interrupted == "out of time"
    assert len(kept) > 3
    assert kept == sorted(kept)
    assert data(contents(tmp_path / "out")) == data(whole)


@pytest.mark.parametrize("seconds", [0, -1, np.nan, np.inf, "soon"])
def test_deadlines_that_are_none(tmp_path, seconds):
    with pytest.raises(InputError, match="max_seconds must be a finite number > 0"):
        serial(tmp_path / "out", max_seconds=seconds)
    assert not (tmp_path / "out").exists()


def test_a_target_se_where_no_cell_has_a_target_is_said_to_stop_nothing(tmp_path):
    listener = Listener()
    serial(tmp_path / "none", experiment(CELLS[1:]), target_se=0.25, progress=listener)
    assert listener.lines == ["no cell has a target: target_se 0.25 stops nothing"]
    for number, made in enumerate((experiment(CELLS), experiment([CELL], target=lambda cell, values: values > 0))):
        listener = Listener()
        serial(tmp_path / f"{number}", made, target_se=0.25, progress=listener)
        serial(tmp_path / f"{number}", made, samples=20, progress=listener)
        assert listener.lines == []


@pytest.mark.parametrize("made", [experiment([CELL], 100), experiment([CELL], 100, target=lambda cell, x: x > 0)])
def test_the_error_that_is_shown_is_that_of_all_samples(tmp_path, made):
    class Shown(Listener):
        def start(self, parts):
            (self.part,) = parts

    serial(tmp_path, made, samples=40)
    shown = Shown()
    serial(tmp_path, made, progress=shown)
    values = target(made, CELL, np.array([campaign.sample(CELL, 0, index) for index in range(100)]))
    assert shown.part.moments.count == 100
    assert shown.part.moments.standard_error == pytest.approx(values.std(ddof=1) / 10, rel=1e-12)
