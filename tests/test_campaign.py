"""Runs of a campaign: what a store holds, what is refused, and the same bytes whatever happens."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from demos import FILE, changes_shape, contents, experiment, fails_at_second, leaves, normals, stamps

from rmt import campaign
from rmt.campaign.store import read_manifest
from rmt.checks import InputError


def test_run_stores_what_present_gets(demo_file, tmp_path):
    out = tmp_path / "out"
    seen = {}

    def keep(data, out, options):
        seen.update(data)
        return pd.DataFrame({"x": [1]})

    demo = dataclasses.replace(campaign.load(demo_file), present=keep)
    outcome = campaign.run(demo, out, quick=True, seed=5, options={"field": "complex"})
    assert (outcome.kept, outcome.total, outcome.failures, outcome.interrupted) == (4, 4, [], False)
    assert set(outcome.written) == {path for path in out.rglob("*") if path.is_file()}
    for cell, values in seen.items():
        expected = np.stack([campaign.sample(cell, 5, index) for index in range(3)])
        assert np.array_equal(values, expected)
        assert not values.flags.writeable
        (path,) = (out / "samples").glob(f"{cell.name}-*.parquet")
        table = pd.read_parquet(path)
        assert len(table) == 3
        if values.dtype.kind == "c":
            assert np.array_equal(np.stack(table["imag"]).ravel(), values.imag.ravel())
        else:
            assert np.array_equal(np.stack(table["value"]).ravel(), values.ravel())
    # The second call reads what the first one computed.
    first = dict(seen)
    campaign.run(demo, out, quick=True, seed=5, options={"field": "complex"})
    assert all(np.array_equal(first[cell], seen[cell]) and first[cell].dtype == seen[cell].dtype for cell in first)


def test_manifest(demo_file, tmp_path):
    campaign.run(campaign.load(demo_file), tmp_path / "out", quick=True, seed=5)
    manifest = read_manifest(tmp_path / "out" / "manifest.json")
    assert manifest["configuration"]["seed"] == 5
    assert manifest["configuration"]["quick"] is True
    assert manifest["configuration"]["options"] == {"field": "real", "size": 2, "wait": 0.0, "loud": False}
    assert [cell["samples"] for cell in manifest["configuration"]["cells"]] == [3, 3, 3, 3]
    assert set(manifest["versions"]) == {"rmt", "python", "numpy", "scipy", "numba", "blas"}


def test_second_call_changes_no_data(demo_file, tmp_path):
    out = tmp_path / "out"
    first = campaign.run(campaign.load(demo_file), out)
    before, bytes_before = stamps(out), contents(out)
    second = campaign.run(campaign.load(demo_file), out)
    assert stamps(out) == before
    assert contents(out) == bytes_before
    assert second.written == [out / "table.csv"]
    pd.testing.assert_frame_equal(first.table, second.table)


def test_same_bytes_for_one_and_several_threads(demo_file, tmp_path, monkeypatch):
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("RMT_NUM_THREADS", threads)
        campaign.run(campaign.load(demo_file), tmp_path / threads)
    assert contents(tmp_path / "1") == contents(tmp_path / "2") == contents(tmp_path / "5")


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"seed": 1}, "seed: 0 there, 1 asked"),
        ({"options": {"field": "complex"}}, "option field: real there, complex asked"),
        ({"options": {"size": 3}}, "cell only asked: normals"),
        ({"options": {"size": 1}}, "cell only there: normals"),
        ({"quick": False}, "3 samples there, 12 asked"),
    ],
)
def test_another_run_is_refused_with_a_diff(demo_file, tmp_path, changed, line):
    out = tmp_path / "out"
    campaign.run(campaign.load(demo_file), out, quick=True)
    before, bytes_before = stamps(out), contents(out)
    with pytest.raises(InputError) as error:
        campaign.run(campaign.load(demo_file), out, **{"quick": True, **changed})
    assert line in str(error.value)
    assert "\n" not in str(error.value)
    assert (stamps(out), contents(out)) == (before, bytes_before)


def test_a_long_diff_is_cut(tmp_path):
    many = [campaign.Cell(normals, None, {"k": k}) for k in range(60)]
    campaign.run(experiment(many[:1]), tmp_path)
    with pytest.raises(InputError, match="and 55 more"):
        campaign.run(experiment(many), tmp_path)


def test_directories_that_are_no_run_are_refused(demo_file, tmp_path):
    demo = campaign.load(demo_file)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all my work")
    with pytest.raises(InputError, match=r"thesis\.txt"):
        campaign.run(demo, tmp_path / "mine")
    assert contents(tmp_path / "mine") == {"thesis.txt": b"all my work"}
    with pytest.raises(InputError, match="not a directory"):
        campaign.run(demo, demo_file)
    with pytest.raises(InputError, match="cannot be written"):
        campaign.run(demo, demo_file / "below")
    (tmp_path / "empty").mkdir()
    assert campaign.run(demo, tmp_path / "empty", quick=True).table is not None


def test_read_only_directory_is_refused(demo_file, tmp_path, monkeypatch):
    def refuse(path, **options):
        raise PermissionError(13, "Permission denied")

    demo, out = campaign.load(demo_file), tmp_path / "out"
    campaign.run(demo, out, quick=True)
    before = contents(out)
    monkeypatch.setattr("rmt.campaign.store.Path.touch", refuse)  # root may write everywhere
    with pytest.raises(InputError, match="out cannot be written: Permission denied"):
        campaign.run(demo, out, quick=True)
    assert contents(out) == before


def test_full_disk_is_one_line_and_resumes(demo_file, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    out = tmp_path / "out"
    demo = campaign.load(demo_file)
    campaign.run(demo, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr("rmt.campaign.store.os.fsync", full)
        with pytest.raises(InputError, match="No space left"):
            campaign.run(demo, out)
    campaign.run(demo, out)
    assert contents(out) == contents(tmp_path / "whole")


def test_failing_samples_are_named_and_the_rest_is_kept(tmp_path):
    good = campaign.Cell(normals, None)
    bad = [campaign.Cell(function, None) for function in (fails_at_second, changes_shape, leaves)]
    outcome = campaign.run(experiment([*bad, good], 40), tmp_path)
    assert outcome.table is None
    assert not outcome.interrupted
    assert (outcome.kept, outcome.total) == (1, 4)
    assert len(outcome.failures) == 3
    assert all("\n" not in line and line.startswith("sample ") for line in outcome.failures)
    (line,) = (line for line in outcome.failures if "fails_at_second" in line)
    index = int(line.split()[1])
    assert line.endswith("ArithmeticError: no luck in two lines")
    with pytest.raises(ArithmeticError):
        campaign.sample(bad[0], 0, index)
    assert [path.name.split("-")[0] for path in (tmp_path / "samples").iterdir()] == ["normals"]


def test_error_in_present_keeps_the_samples(demo_file, tmp_path):
    demo_file.write_text(FILE.replace("    (out /", "    raise KeyError('n')\n    (out /"))
    line = FILE.splitlines().index("def present(data, out, options):") + 2
    with pytest.raises(InputError, match=rf"demo\.py:{line}: present\(\) raised KeyError.*samples.*kept"):
        campaign.run(campaign.load(demo_file), tmp_path / "out")
    assert len(list((tmp_path / "out" / "samples").iterdir())) == 4
    demo_file.write_text(FILE)
    before = stamps(tmp_path / "out")
    assert campaign.run(campaign.load(demo_file), tmp_path / "out").table is not None
    assert stamps(tmp_path / "out") == before
