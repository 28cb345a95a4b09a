"""Runs of a campaign: what a store holds, what is refused, and the same bytes whatever happens."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from demos import FILE, changes_shape, contents, experiment, fails_at_second, leaves, normals, run, shards, stamps

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
    outcome = run(demo, out, quick=True, seed=5, options={"field": "complex"})
    assert (outcome.kept, outcome.total, outcome.failures, outcome.interrupted) == (4, 4, [], "")
    assert (outcome.samples, outcome.mixed) == (12, 0)
    assert outcome.written == [out / "manifest.json"]
    for cell, values in seen.items():
        expected = np.stack([campaign.sample(cell, 5, index) for index in range(3)])
        assert np.array_equal(values, expected)
        assert not values.flags.writeable
        (path,) = shards(out, cell.name)
        assert np.array_equal(np.load(path), values)
    # The second call reads what the first one computed.
    first = dict(seen)
    run(demo, out, quick=True, seed=5, options={"field": "complex"})
    assert all(np.array_equal(first[cell], seen[cell]) and first[cell].dtype == seen[cell].dtype for cell in first)


def test_manifest(demo_file, tmp_path):
    run(demo_file, tmp_path / "out", quick=True, seed=5)
    manifest = read_manifest(tmp_path / "out" / "manifest.json")
    configuration = manifest["configuration"]
    assert configuration["seed"] == 5
    assert configuration["options"] == {"field": "real", "size": 2, "wait": 0.0, "loud": False}
    assert [cell["folder"] for cell in configuration["cells"]] == [path.parent.name for path in by_cell(tmp_path)]
    assert list(manifest["stopping"]["samples"].values()) == [3, 3, 3, 3]
    assert manifest["stopping"]["target_se"] is None
    assert set(configuration["sources"]) == {"experiment_demo.normals", "experiment_demo.phases"}
    assert set(manifest["versions"]) == {"rmt", "python", "numpy", "scipy", "numba", "blas", "blas threads"}
    assert len(manifest["canary"]) == 6


def by_cell(tmp_path):
    names = ("normals", "normals", "phases", "eigenvalues")
    files = {name: shards(tmp_path / "out", name) for name in names}
    return [files[name].pop(0) for name in names]


def test_second_call_changes_no_data(demo_file, tmp_path):
    out = tmp_path / "out"
    first = run(demo_file, out)
    before, bytes_before = stamps(out), contents(out)
    second = run(demo_file, out)
    assert stamps(out) == before
    assert contents(out) == bytes_before
    assert second.written == [out / "table.csv"]
    pd.testing.assert_frame_equal(first.table, second.table)


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"seed": 1}, "seed: 0 there, 1 asked"),
        ({"options": {"field": "complex"}}, "option field: real there, complex asked"),
        ({"options": {"size": 3}}, "option size: 2 there, 3 asked"),
    ],
)
def test_another_run_is_refused_with_a_diff(demo_file, tmp_path, changed, line):
    out = tmp_path / "out"
    run(demo_file, out, quick=True)
    before, bytes_before = stamps(out), contents(out)
    with pytest.raises(InputError) as error:
        run(demo_file, out, **{"quick": True, **changed})
    assert line in str(error.value)
    assert "\n" not in str(error.value)
    assert (stamps(out), contents(out)) == (before, bytes_before)


def test_a_long_diff_is_cut(tmp_path):
    many = [campaign.Cell(normals, None, {"k": k}) for k in range(60)]
    run(experiment(many[:1]), tmp_path)
    with pytest.raises(InputError, match=r"cell only asked: normals None k=1; .*and 55 more"):
        run(experiment(many), tmp_path)
    with pytest.raises(InputError, match="cell only there: normals None k=0; cell only asked: normals None k=1"):
        run(experiment(many[1:2]), tmp_path)


def test_raising_the_counts_adds_samples(demo_file, tmp_path):
    run(demo_file, tmp_path / "out", quick=True)
    assert run(demo_file, tmp_path / "out").samples == 48
    run(demo_file, tmp_path / "whole")
    ours, whole = contents(tmp_path / "out"), contents(tmp_path / "whole")
    del ours["manifest.json"], whole["manifest.json"]  # each has the counts of the call that made it
    assert ours == whole
    # Where fewer are asked for, all that are there are used, and nothing is lost.
    again = run(demo_file, tmp_path / "out", quick=True)
    assert again.table.equals(run(demo_file, tmp_path / "whole").table)
    assert (again.samples, len(shards(tmp_path / "out"))) == (48, 4)
    ours = contents(tmp_path / "out")
    del ours["manifest.json"]
    assert ours == whole
    assert run(demo_file, tmp_path / "out", samples=12).samples == 48


def test_a_changed_statistic_is_refused_with_its_line(demo_file, tmp_path):
    run(demo_file, tmp_path / "out", quick=True)
    demo_file.write_text(FILE.replace('standard_normal(params["k"])', 'uniform(size=params["k"])'))
    with pytest.raises(InputError) as error:
        run(demo_file, tmp_path / "out", quick=True)
    assert str(error.value).count("source of") == 1
    assert 'source of experiment_demo.normals, line 3: `return rng.standard_normal(params["k"])` there' in str(
        error.value
    )
    assert '`return rng.uniform(size=params["k"])` asked); choose another --out' in str(error.value)
    assert str(error.value).endswith("choose another --out")  # and nothing of removing what has samples


def test_a_store_without_a_sample_may_be_removed_for_another_run(demo_file, tmp_path):
    broken = FILE.replace('rng.standard_normal(params["k"])', "None").replace("return made + [", "return made or [")
    demo_file.write_text(broken)
    assert run(demo_file, tmp_path / "out", quick=True).failures
    demo_file.write_text(demo_file.read_text().replace("return None", "return 1.0"))
    with pytest.raises(InputError, match=r"; choose another --out, or remove it: no sample is in it yet$"):
        run(demo_file, tmp_path / "out", quick=True)


def test_directories_that_are_no_run_are_refused(demo_file, tmp_path):
    demo = campaign.load(demo_file)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all my work")
    with pytest.raises(InputError, match=r"thesis\.txt"):
        run(demo, tmp_path / "mine")
    assert contents(tmp_path / "mine") == {"thesis.txt": b"all my work"}
    with pytest.raises(InputError, match="not a directory"):
        run(demo, demo_file)
    with pytest.raises(InputError, match="cannot be written"):
        run(demo, demo_file / "below")
    (tmp_path / "empty").mkdir()
    assert run(demo, tmp_path / "empty", quick=True).table is not None


def test_read_only_directory_is_refused(demo_file, tmp_path, monkeypatch):
    def refuse(path, **options):
        raise PermissionError(13, "Permission denied")

    demo, out = campaign.load(demo_file), tmp_path / "out"
    run(demo, out, quick=True)
    before = contents(out)
    monkeypatch.setattr("rmt.campaign.store.Path.touch", refuse)  # root may write everywhere
    with pytest.raises(InputError, match="out cannot be written: Permission denied"):
        run(demo, out, quick=True)
    assert contents(out) == before


def test_failing_samples_are_named_and_the_rest_is_kept(tmp_path):
    good = campaign.Cell(normals, None)
    bad = [campaign.Cell(function, None) for function in (fails_at_second, changes_shape, leaves)]
    outcome = run(experiment([*bad, good], 40), tmp_path)
    assert outcome.table is None
    assert not outcome.interrupted
    assert (outcome.kept, outcome.total) == (1, 4)
    raised = [index for index in range(40) if campaign.stream(0, bad[0], index).integers(2)]
    assert [line for line in outcome.failures if "fails_at_second" in line] == [
        f"sample {index} of fails_at_second None failed: ArithmeticError: no luck in two lines" for index in raised
    ]
    assert all("\n" not in line and line.startswith("sample ") for line in outcome.failures)
    assert sum("leaves" in line for line in outcome.failures) == 40
    recorded = sorted(int(path.stem) for path in (tmp_path / "failures" / bad[0].name).iterdir())
    assert recorded == sorted(raised)
    assert sum(np.load(path).size for path in shards(tmp_path, "fails")) == 40 - len(raised)
    (path,) = shards(tmp_path, "normals")
    assert len(np.load(path)) == 40


def test_error_in_present_keeps_the_samples(demo_file, tmp_path):
    demo_file.write_text(FILE.replace("    (out /", "    raise KeyError('n')\n    (out /"))
    line = FILE.splitlines().index("def present(data, out, options):") + 2
    with pytest.raises(InputError, match=rf"demo\.py:{line}: present\(\) raised KeyError.*samples.*kept"):
        run(demo_file, tmp_path / "out")
    assert len(shards(tmp_path / "out")) == 4
    demo_file.write_text(FILE)
    before = stamps(tmp_path / "out")
    assert run(demo_file, tmp_path / "out").table is not None
    assert stamps(tmp_path / "out") == before
