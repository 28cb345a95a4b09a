"""`status` and `open_run`: what is there, what is wrong, how to go on; also while a run writes."""

import dataclasses
import json
import math
import shlex
import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from demos import experiment, fails_at_second, normals, run
from stores import OWN, RADII, SPECTRA, empty, expected, flip, log, put, rename, shift, snapshot, store, truncate

from rmt import campaign
from rmt.campaign import shards
from rmt.campaign.stopping import standard_error
from rmt.checks import InputError
from rmt.cli import main


def radius(ensemble, params, rng):
    return float(rng.standard_normal())


def test_status_of_a_complete_run(demo_file, tmp_path):
    out = tmp_path / "out"
    run(demo_file, out, seed=3)
    before = snapshot(out)
    found = campaign.status(out)
    assert (found.complete, found.done, found.asked, found.ended, found.active) == (True, 48, 48, "done", False)
    assert (found.experiment, found.seed, found.options["size"]) == ("demo", 3, 2)
    assert (found.failed, found.mixed, found.damaged, found.set_aside) == (0, 0, 0, 0)
    files = list((out / "shards").rglob("*.npy"))
    assert (found.files, found.bytes) == (len(files), sum(path.stat().st_size for path in files))
    assert [cell.shape for cell in found.cells] == [[1], [2], [2, 3], [4]]
    assert [cell.field for cell in found.cells] == ["real", "real", "complex", "complex"]
    assert [cell.mean for cell in found.cells] == [None] * 4
    assert found.directory == str(out)
    assert snapshot(out) == before
    table = found.table()
    assert list(table["done"]) == [12] * 4
    assert table["mean"].isna().all()


def test_counts_mean_and_error_of_a_run_with_gaps(tmp_path):
    made = store(tmp_path)
    put(made, RADII, 0, 5)
    put(made, RADII, 3, 7)
    put(made, RADII, 9, 14)
    radii, spectra, _ = campaign.status(tmp_path).cells
    assert (radii.done, radii.asked, radii.stored, radii.prefix, radii.complete) == (10, 12, 12, 7, False)
    values = expected(RADII, 0, 7)
    assert radii.mean == pytest.approx(values.mean(), rel=1e-15)
    assert radii.standard_error == pytest.approx(values.std(ddof=1) / math.sqrt(7), rel=1e-14)
    assert (spectra.done, spectra.shape, spectra.field) == (0, None, None)
    put(made, RADII, 7, 9)
    assert campaign.status(tmp_path).cells[0].complete
    assert not campaign.status(tmp_path).complete


def test_numbers_that_are_not_finite_have_no_mean(tmp_path):
    made = store(tmp_path, [RADII])
    put(made, RADII, 0, 3, alter=lambda values: values.__setitem__(slice(0, 2), [np.inf, -np.inf]))
    found = campaign.status(tmp_path)
    assert (found.cells[0].mean, found.cells[0].standard_error) == (None, None)
    json.dumps(dataclasses.asdict(found), allow_nan=False)
    (only,) = (tmp_path / "shards").rglob("*.npy")
    only.unlink()
    put(made, RADII, 0, 1)
    (cell,) = campaign.status(tmp_path).cells
    assert (cell.mean, cell.standard_error) == (expected(RADII, 0, 1)[0], None)


def test_standard_error_is_that_of_the_stopping_rule():
    found = [standard_error(np.ones(20)), standard_error(np.array([1.0, 2.0]))]
    assert found == [pytest.approx(math.sqrt(22 / 24 * 2 / 24 / 24)), 0.5]


@pytest.mark.parametrize("damage", [truncate, empty, flip, rename, shift])
def test_damage_is_seen_and_left_alone(tmp_path, damage):
    made = store(tmp_path)
    put(made, RADII, 0, 4)
    path = put(made, RADII, 4, 12)
    damage(path)
    before = snapshot(tmp_path)
    found = campaign.status(tmp_path)
    assert (found.damaged, found.cells[0].done, found.complete) == (1, 4, False)
    assert found.cells[0].damaged == [path.name for path in path.parent.glob("*.npy") if not path.name.startswith("0-")]
    assert snapshot(tmp_path) == before


def test_a_file_in_the_folder_of_another_cell_is_damaged(tmp_path):
    made = store(tmp_path)
    put(made, OWN, 0, 4)
    path = put(made, RADII, 0, 4)
    path.rename(path.parents[1] / OWN.name / path.name)
    radii, _, own = campaign.status(tmp_path).cells
    assert (radii.done, own.done, len(own.damaged)) == (0, 4, 1)


def test_files_that_disagree_are_named(tmp_path):
    made = store(tmp_path)
    first = put(made, RADII, 0, 8)
    second = put(made, RADII, 6, 12, alter=lambda values: values.__setitem__(1, 1.0))
    (cell, *_) = campaign.status(tmp_path).cells
    assert cell.disputes == [f"{first.name} and {second.name} disagree about samples 6 to 7"]
    assert (cell.done, cell.complete) == (12, False)
    with pytest.raises(InputError, match="disagree about samples 6 to 7"):
        campaign.open_run(tmp_path)["spectral"]


def test_shapes_that_do_not_go_together_are_named(tmp_path):
    made = store(tmp_path)
    put(made, RADII, 0, 2)
    made.shards(made.entries[0]).commit(2, np.zeros((3, 2)))
    (cell, *_) = campaign.status(tmp_path).cells
    assert "different shapes" in cell.disputes[0]
    assert not cell.complete


def test_failed_samples_are_listed_until_they_succeed(tmp_path):
    bad = campaign.Cell(fails_at_second, None)
    run(experiment([bad], 20), tmp_path)
    raised = [index for index in range(20) if campaign.stream(0, bad, index).integers(2)]
    found = campaign.status(tmp_path)
    assert found.cells[0].failed == raised
    assert (found.failed, found.done, found.complete, found.ended) == (
        len(raised),
        20 - len(raised),
        False,
        "incomplete",
    )
    made = campaign.reading.Store(tmp_path)
    made.shards(made.entries[0]).commit(raised[0], np.ones(1))
    assert campaign.status(tmp_path).cells[0].failed == raised[1:]


def test_labelled_samples_are_counted(tmp_path):
    made = store(tmp_path)
    put(made, RADII, 0, 4)
    put(made, RADII, 2, 9, label="0123456789abcdef")
    put(made, RADII, 10, 11)
    found = campaign.status(tmp_path)
    assert (found.mixed, found.cells[0].mixed, found.cells[0].stored) == (5, 5, 10)


def test_what_is_asked_is_what_the_newest_call_asked(tmp_path):
    cell = campaign.Cell(radius, None)
    made = store(tmp_path, [cell], 50)
    key = cell.sha256.hex()
    assert (campaign.status(tmp_path).asked, campaign.status(tmp_path).call) == (50, None)
    header = {"stopping": {"samples": {key: 900, "other": 5}, "target_se": 0.1}, "host": "h", "time": "no time"}
    log(made, "20260101T000000Z-h-1-aa", header)
    assert campaign.status(tmp_path).asked == 900
    log(made, "20260102T000000Z-h-1-aa", header, {"ended": "done", "complete": {key: 64, "other": 3}})
    found = campaign.status(tmp_path)
    assert (found.asked, found.ended, found.host, found.last_activity) == (64, "done", "h", None)
    log(made, "20260103T000000Z-h-1-aa", {**header, "stopping": {"samples": {key: 20}}})
    found = campaign.status(tmp_path)
    assert (found.asked, found.ended, found.call) == (20, None, "20260103T000000Z-h-1-aa")


def test_a_precise_run_is_complete(tmp_path):
    cell = campaign.Cell(radius, None)
    run(experiment([cell], 100_000), tmp_path, target_se=0.1)
    found = campaign.status(tmp_path)
    assert found.complete
    assert found.asked == found.done < 1000
    assert found.cells[0].standard_error <= 0.1


@pytest.mark.parametrize(
    "line",
    ["", "{", "[1]", '"ended"', '{"stopping": 3}', '{"stopping": {"samples": [1]}}', '{"time": 3, "complete": 4}'],
)
def test_a_log_that_is_damaged_does_no_harm(tmp_path, line):
    made = store(tmp_path)
    put(made, RADII, 0, 4)
    log(made, "20260101T000000Z-h-1-aa", line)
    found = campaign.status(tmp_path)
    assert (found.done, found.asked) == (4, 36)
    assert campaign.verify(tmp_path).sound


def test_last_activity(tmp_path):
    made = store(tmp_path)
    now = datetime.now(UTC)
    lines = [{"time": (now - timedelta(seconds=age)).isoformat(), "host": "h"} for age in (500, 60)]
    log(made, "1", *lines)
    found = campaign.status(tmp_path)
    assert datetime.fromisoformat(found.last_activity) == (now - timedelta(seconds=60)).replace(microsecond=0)
    assert (found.active, found.ended) == (True, None)
    log(made, "1", lines[0])
    assert not campaign.status(tmp_path).active
    log(made, "1", *lines, {"ended": "interrupted"})
    assert not campaign.status(tmp_path).active


def test_the_command_goes_on_from_anywhere(tmp_path, monkeypatch, demo_file, capsys):
    monkeypatch.chdir(tmp_path)
    demo_file.write_text(demo_file.read_text().replace('"wait": 0.0', '"wait": 0.0, "word": "x"'))
    options = {"options": {"size": 1, "loud": True, "wait": 0.0, "word": "-two words"}, "seed": 11}
    outcome = run("demo.py", tmp_path / "out", **options, samples=5, max_seconds=1e-9)
    assert outcome.interrupted == "out of time"
    found = campaign.status(tmp_path / "out")
    assert (found.complete, found.asked, found.ended) == (False, 15, "out of time")
    monkeypatch.chdir("/")
    words = shlex.split(found.command)
    assert words[:2] == ["rmt", "run"]
    assert main([*words[1:], "--engine", "serial"]) == 0
    capsys.readouterr()
    found = campaign.status(tmp_path / "out")
    assert (found.complete, found.done) == (True, 15)


def test_the_command_repeats_quick_and_target(tmp_path, demo_file):
    run(demo_file, tmp_path / "out", quick=True, target_se=0.25)
    words = shlex.split(campaign.status(tmp_path / "out").command)
    assert words[words.index("--target-se") + 1] == "0.25"
    assert "--quick" in words
    assert "--seed" not in words
    assert campaign.status(store(tmp_path / "python").directory).command is None


def test_what_is_no_run_is_refused(tmp_path):
    for function in (campaign.status, campaign.verify, campaign.open_run, lambda out: campaign.export(out, "csv")):
        with pytest.raises(InputError, match="is no run"):
            function(tmp_path)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path, monkeypatch):
    made = store(tmp_path)
    put(made, RADII, 0, 4)

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("rmt.campaign.shards.Path.read_bytes", lambda path: refuse(path) if "npy" in path.name else b"")
    monkeypatch.setattr("rmt.campaign.store.read_manifest", lambda path: made.manifest)
    for function in (campaign.status, campaign.verify, lambda out: campaign.export(out, "csv")):
        with pytest.raises(InputError, match=r"\.npy cannot be read: Permission denied"):
            function(tmp_path)
    with pytest.raises(InputError, match="Permission denied"):
        campaign.open_run(tmp_path)["spectral"]


def test_open_run_finds_cells(tmp_path):
    twins = [campaign.Cell(normals, None, {"x": np.where(np.arange(2000) == 1000, k, 0.0)}) for k in range(2)]
    made = store(tmp_path, [RADII, SPECTRA, *twins])
    put(made, RADII, 0, 5)
    put(made, RADII, 6, 9)
    put(made, twins[1], 0, 2)
    stored = campaign.open_run(tmp_path)
    assert (stored.experiment, stored.seed, stored.options, len(stored)) == ("test", 0, {}, 4)
    np.testing.assert_array_equal(stored[RADII.label], expected(RADII, 0, 5))
    np.testing.assert_array_equal(stored["spectral_radius"], expected(RADII, 0, 5))
    np.testing.assert_array_equal(stored[RADII], expected(RADII, 0, 5))
    assert stored["eigenvalues"].shape == (0,)
    # Two cells of one label are told apart by the beginning of their hash.
    assert twins[0].label == twins[1].label
    assert "\n" not in twins[0].label
    np.testing.assert_array_equal(stored[twins[1].sha256.hex()[:16]], expected(twins[1], 0, 2))
    assert [values.shape for values in stored.values()] == [(5,), (0,), (0,), (2, 2)]
    with pytest.raises(KeyError, match=r"2 cells are called 'normals' in .*: normals None x=.*; normals None x="):
        stored["normals"]
    with pytest.raises(InputError, match=r"no cell is called 'radii' in .*: spectral_radius Ginibre.*"):
        stored["radii"]
    with pytest.raises(InputError, match="no cell is called 'normals None'"):
        stored[OWN]
    assert ("radii" in stored, RADII.label in stored, stored.get(3)) == (False, True, None)


def test_reading_while_a_run_writes(tmp_path, monkeypatch):
    """Files appear and are joined all the time; every look is of samples that are right."""
    monkeypatch.setattr(shards, "MOST_FILES", 3)
    monkeypatch.setattr("rmt.campaign.schedule.MOST_FILES", 3)
    monkeypatch.setattr("rmt.campaign.schedule.GROWTH", 1)
    cells = [campaign.Cell(radius, None), OWN]
    plan = experiment(cells, 120)
    out = tmp_path / "out"
    truth = [expected(cell, 0, 120) for cell in cells]
    worker = threading.Thread(target=run, args=(plan, out), kwargs={"chunk_seconds": 1e-9})
    worker.start()
    looks, seen = 0, set()
    try:
        while worker.is_alive() or looks == 0:
            if not (out / "manifest.json").exists():
                continue
            looks += 1
            found = campaign.status(out)
            assert (found.damaged, [cell.disputes for cell in found.cells]) == (0, [[], []])
            seen.add(found.done)
            for values, right in zip(campaign.open_run(out).values(), truth, strict=True):
                assert values.tobytes() == right[: len(values)].tobytes()
            assert campaign.verify(out, samples=2).sound
            samples = campaign.export(out, "csv", tmp_path / "export").written
            for path in samples[:-1]:
                values = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)[:, 1:]
                right = truth["normals" in path.name]
                assert values.tobytes() == right[: len(values)].tobytes()
    finally:
        worker.join(60)
    assert len(seen) > 3
    assert campaign.status(out).complete
    assert campaign.open_run(out)["radius"].tobytes() == truth[0].tobytes()
    assert campaign.status(out).files == 2
