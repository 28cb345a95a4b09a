"""Campaigns before they run: identity, seeds, experiments and their files."""

import json
import sys
import textwrap

import numpy as np
import oracles
import pandas as pd
import pytest
from demos import FILE, experiment, leaves, normals, run
from scipy import stats

import rmt
from rmt import campaign
from rmt.checks import InputError

# identity and seeds


def test_seed_rule_is_the_documented_one():
    cell = campaign.Cell("eigenvalues", rmt.Ginibre(3), {})
    words = [int.from_bytes(cell.sha256[4 * i : 4 * i + 4], "big") for i in range(8)]
    sequence = np.random.SeedSequence(7, spawn_key=(1, *words, 5))
    expected = np.random.Generator(np.random.PCG64DXSM(sequence)).random(4)
    assert np.array_equal(campaign.stream(7, cell, 5).random(4), expected)


def test_canonical_description():
    cell = campaign.Cell("power_norms", rmt.Ginibre(3), {"steps": np.int64(2), "log": True})
    assert json.loads(cell.key) == {
        "statistic": "rmt.sample_power_norms",
        "ensemble": {"class": "rmt.Ginibre", "fields": {"n": 3, "field": "real", "scale": 1.0}},
        "params": {"steps": 2, "log": True},
        "version": 1,
    }
    own = json.loads(campaign.Cell(normals, None).key)["statistic"]
    assert own["function"] == f"{normals.__module__}.normals"
    assert len(own["source_sha256"]) == 64


def test_cells_are_equal_by_description():
    first = campaign.Cell("power_norms", rmt.Ginibre(3), {"steps": 2, "log": True})
    second = campaign.Cell("power_norms", rmt.Ginibre(3.0), {"log": True, "steps": 2})
    assert first == second
    assert hash(first) == hash(second)
    others = [
        campaign.Cell("power_norms", rmt.Ginibre(3), {"steps": 3, "log": True}),
        campaign.Cell("power_norms", rmt.Ginibre(3, "complex"), {"steps": 2, "log": True}),
        campaign.Cell("hidden_norms", rmt.Ginibre(3), {"steps": 2, "log": True}),
        campaign.Cell("power_norms", rmt.Ginibre(3), {"steps": 2, "log": True}, version=2),
    ]
    assert len({first, second, *others}) == 5
    assert len({cell.name for cell in [first, *others]}) == 5


def test_arrays_and_functions_take_part_in_the_description():
    names = {
        campaign.Cell(normals, rmt.Ginibre(3), {"signal": value}).key
        for value in (np.zeros(3), np.ones(3), np.zeros((3, 1)), normals, leaves, 1j, None, (1, 2), {"a": 1})
    }
    assert len(names) == 9


def test_source_of_an_own_statistic_is_part_of_the_cell(demo_file):
    before = campaign.load(demo_file).cells({"field": "real", "size": 1, "wait": 0.0})
    demo_file.write_text(FILE.replace('standard_normal(params["k"])', 'uniform(size=params["k"])'))
    after = campaign.load(demo_file).cells({"field": "real", "size": 1, "wait": 0.0})
    assert before[0] != after[0]
    assert before[1] == after[1]


@pytest.mark.parametrize(
    "arguments",
    [
        ("radius", rmt.Ginibre(3)),
        (lambda ensemble, params, rng: 0, rmt.Ginibre(3)),
        ("power_norms", rmt.Ginibre(3), {}),
        ("power_norms", rmt.Ginibre(3), {"stepz": 3}),
        ("eigenvalues", object()),
        ("eigenvalues", rmt.Ginibre(3), 5),
        (normals, None, {"x": float("nan")}),
        (normals, None, {}, 0),
    ],
)
def test_bad_cells(arguments):
    with pytest.raises(InputError):
        campaign.Cell(*arguments)


def test_a_path_is_no_experiment(tmp_path):
    with pytest.raises(InputError, match=r"^experiment must be .* load\(FILE\) returns, got 'a\.py'$"):
        campaign.run("a.py", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def takes_no_params(ensemble, rng):
    return 0.0


def test_a_statistic_of_the_wrong_arguments_is_refused_before_any_sample():
    words = r"^statistic takes_no_params must take \(ensemble, params, rng\): too many positional arguments$"
    with pytest.raises(InputError, match=words):
        campaign.Cell(takes_no_params, rmt.Ginibre(3))


def test_samples_of_a_cell_follow_their_law_and_differ():
    cell = campaign.Cell(normals, None)
    drawn = np.array([campaign.sample(cell, 0, index) for index in range(2000)])
    assert len(np.unique(drawn)) == drawn.size
    oracles.check_law(drawn, stats.norm.cdf)
    other = np.array([campaign.sample(campaign.Cell(normals, None, {"k": 1}), 0, index) for index in range(2000)])
    oracles.check_mean(drawn * other, [0.0, 0.0])


def test_adding_cells_and_raising_counts_changes_no_sample(tmp_path):
    one, two = campaign.Cell(normals, None, {"k": 1}), campaign.Cell(normals, None, {"k": 2})
    seen = {}

    def keep(data, out, options):
        seen[out.name] = {cell: values.copy() for cell, values in data.items()}
        return pd.DataFrame()

    run(experiment([one], 4, present=keep), tmp_path / "small")
    run(experiment([two, one], 9, present=keep), tmp_path / "large")
    assert np.array_equal(seen["small"][one], seen["large"][one][:4])
    assert list(seen["large"]) == [two, one]


# experiments and their files


@pytest.mark.parametrize(
    "replaced",
    [
        {"name": ""},
        {"cells": None},
        {"samples": 5},
        {"present": "x"},
        {"target": 3},
        {"options": []},
        {"options": {"seed": 1}},
        {"options": {"Big": 1}},
        {"options": {"a-b": 1}},
        {"options": {"n": None}},
        {"options": {"n": ()}},
        {"options": {"n": [1]}},
        {"options": {"n": float("inf")}},
        {"options": {"n": (1.0, float("nan"))}},
        {"options": {"n": (1, "1")}},
        {"options": {"fast": True, "no_fast": 1}},
        {"quick_options": ["n"]},
        {"quick_options": {"n": 1}},
        {"options": {"n": 2}, "quick_options": {"n": "few"}},
    ],
)
def test_bad_experiments(replaced):
    with pytest.raises(InputError, match=r"^[^\n]+$"):
        experiment([], **replaced)


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"cells": lambda options: 1 / 0}, r"test_campaign_plan\.py:\d+: cells\(\) raised ZeroDivisionError"),
        ({"cells": lambda options: []}, "list of Cell that is not empty, got list$"),
        ({"cells": lambda options: ["eigenvalues"]}, "list of Cell that is not empty, got list with str in it$"),
        ({"cells": lambda options: None}, "list of Cell that is not empty, got NoneType$"),
        ({"cells": lambda options: [campaign.Cell(normals, None)] * 2}, "same cell twice"),
        ({"samples": lambda cell, quick: 0}, r"samples\(\)"),
        ({"samples": lambda cell, quick: 2.5}, r"samples\(\)"),
        ({"samples": lambda cell, quick: cell.nothing}, r"samples\(\) raised AttributeError"),
        ({"present": lambda data, out, options: None}, "DataFrame"),
        ({"present": lambda data, out, options: sys.exit(0)}, r"present\(\) raised SystemExit: 0; the samples in"),
        ({"cells": lambda options: sys.exit("no data")}, r"cells\(\) raised SystemExit: no data$"),
    ],
)
def test_bad_functions_of_an_experiment(tmp_path, replaced, message):
    with pytest.raises(InputError, match=message):
        run(experiment([campaign.Cell(normals, None)], **replaced), tmp_path / "out")
    assert (tmp_path / "out").exists() == ("present" in replaced)


@pytest.mark.parametrize(
    "bad",
    [
        {"seed": -1},
        {"seed": 1.5},
        {"seed": 2**128},
        {"options": {"nothing": 1}},
        {"options": {"field": "quaternion"}},
        {"options": {"size": 2.5}},
        {"options": {"wait": float("inf")}},
        {"samples": 0},
        {"samples": 2.5},
        {"target_se": 0.0},
        {"target_se": float("nan")},
        {"max_seconds": -1},
        {"chunk_seconds": 0},
        {"engine": "threads"},
        {"engine": "serial", "workers": 2},
        {"engine": "processes", "workers": 0},
        {"engine": "processes", "scheduler": "tcp://127.0.0.1:8786"},
    ],
)
def test_bad_arguments_of_a_run(demo_file, tmp_path, bad):
    with pytest.raises(InputError):
        run(demo_file, tmp_path / "out", **bad)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("x = (", "1: not Python"),
        ("x\0", "not Python"),
        ("y = 1\nx = 1 / 0\n", r"2: ZeroDivisionError: division by zero"),
        ("raise SystemExit", "SystemExit"),
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("x = 1", "defines no `experiment`"),
        ("experiment = 1", "got int"),
        ("import rmt\nrmt.campaign.Experiment('', None, None, {}, None)", r"2: InputError"),
    ],
)
def test_bad_experiment_files(tmp_path, text, message):
    path = tmp_path / "bad.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        campaign.load(path)
    assert "bad.py" in str(error.value)
    assert "\n" not in str(error.value)


def test_an_experiment_file_may_import_its_neighbours(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "neighbour_of_mine.py").write_text("def f(ensemble, params, rng):\n    return rng.random()\n")
    path = tmp_path / "with_neighbour.py"
    path.write_text(
        textwrap.dedent("""
        import pandas as pd
        import rmt
        from neighbour_of_mine import f
        cells = [rmt.campaign.Cell(f, None)]
        experiment = rmt.campaign.Experiment("x", lambda o: cells, lambda c, q: 2, {}, lambda d, o, p: pd.DataFrame())
        """)
    )
    assert run(path, tmp_path / "out").kept == 1
