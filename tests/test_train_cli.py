"""`rmt train` without the extra `train`: what it says, and bad input before anything is computed."""

import importlib.util

import numpy as np
import pandas as pd
import pytest

from rmt import campaign, checks
from rmt.campaign.plan import make_plan
from rmt.cli import main, train_run
from rmt.training import presenting, preset, probe, table
from rmt.training.runs import CURVES, NUMBERS, Training, unpack

DEFAULTS = table.experiment.defaults()
WITHOUT = importlib.util.find_spec("jax") is None or importlib.util.find_spec("optax") is None


def run(capsys, *arguments):
    status = main(["train", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize("arguments", [[], ["--help"], ["run", "--help"], ["probe", "--help"], ["table", "--help"]])
def test_help_needs_no_extra(capsys, arguments):
    status, out, err = run(capsys, *arguments)
    assert (status, err) == (0, "")
    assert "rmt train" in out


@pytest.mark.skipif(not WITHOUT, reason="the extra is installed")
@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "digits", "--out"],
        ["run", "imdb", "--preset", "imdb", "--out"],
        ["probe", "--out"],
        ["table", "--out"],
    ],
)
def test_a_missing_extra_is_one_line_and_status_4(capsys, tmp_path, arguments):
    status, out, err = run(capsys, *arguments, tmp_path / "out")
    assert (status, out) == (4, "")
    assert err.count("\n") == 1
    assert "pip install 'rmt[train]'" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not WITHOUT, reason="the extra is installed")
@pytest.mark.parametrize("name", ["table1", "forecasting"])
def test_experiments_that_train_say_so_too(capsys, tmp_path, name):
    assert main(["run", f"experiments/{name}.py", "--out", str(tmp_path / "out")]) == 4
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "rmt[train]" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fly"], "commands: run, probe, table"),
        (["run"], "TASK"),
        (["run", "digits"], "--out"),
        (["run", "dogits", "--out", "x"], "'digits'"),
        (["run", "digits", "--out", "x", "--init", "gloro"], "'glorot'"),
        (["run", "digits", "--out", "x", "--init", "exact"], "exact:0.99"),
        (["run", "digits", "--out", "x", "--recurrence", "sparse"], "'dense'"),
        (["run", "digits", "--out", "x", "--steps", "0"], "steps"),
        (["run", "digits", "--out", "x", "--steps", "5", "--epochs", "2"], "epochs or steps"),
        (["run", "digits", "--out", "x", "--d-model", "many"], "many"),
        (["run", "digits", "--out", "x", "--preset", "mnist"], "'imdb'"),
        (["run", "digits", "--out", "x", "--option", "enlarge"], "NAME=VALUE"),
        (["run", "digits", "--out", "x", "--max-seconds", "-1"], "max_seconds"),
        (["run", "digits", "--out", "x", "--checkpoint-seconds", "-1"], "checkpoint_seconds"),
        (["run", "digits", "--out", "x", "--lerning-rate", "1"], "--lerning-rate"),
        (["probe", "--init", "gloro"], "'glorot'"),
        (["probe", "--widths", "0"], "d_hidden"),
        (["probe", "--seeds", "0"], "seeds"),
        (["probe", "--seeds", "1.5"], "seeds"),
        (["probe", "--length", "0"], "length"),
        (["probe", "--workers", "0"], "workers"),
        (["table", "--out", "x", "--size", "huge"], "huge"),
        (["table", "--out", "x", "--data", "nowhere"], "nowhere"),
        (["table", "--out", "x", "--tasks", "imdb"], "'pybytes'"),
        (
            ["table", "--out", "x", "--size", "paper"],
            "task imdb: data must say where the files are: the folder",
        ),
        (["table", "--out", "x", "--size", "paper", "--data", "/"], "task listops: /basic_train.tsv is not there"),
        (["table", "--out", "x", "--size", "paper", "--tasks", "cifar"], "(--data of `rmt train table`, or RMT_DATA)"),
        (["table", "--out", "x", "--rows", "dense"], "RECURRENCE/INIT"),
        (["table", "--out", "x", "--rows", "dense/gloro"], "'glorot'"),
        (["table", "--out", "x", "--rows", "dense/half", "dense/half"], "differ"),
    ],
)
def test_bad_input_is_one_line_and_status_2(capsys, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert said in err
    assert not any(tmp_path.iterdir())


def asked(*arguments):
    return train_run.configuration(train_run._parser().parse_args(["digits", "--out", "x", *arguments]))


def test_every_field_is_an_option_with_the_default_of_its_class():
    given = {
        **{"recurrence": "lru", "init": "ring", "norm": "layer", "d_model": 7, "d_hidden": 9, "layers": 3},
        **{"dropout": 0.25, "encoder": "embedding", "pooling": "last", "scan": "associative", "batch": 5},
        **{"steps": 70, "warm_up": 11, "lr": 0.002, "lr_factor": 0.5, "lr_min": 1e-5, "weight_decay": 0.25},
        **{"clip": 2.0, "evaluate_every": 13, "seed": 4},
    }
    words = [word for name, value in given.items() for word in ("--" + name.replace("_", "-"), str(value))]
    config = asked(*words)
    assert {**vars(config.model), **vars(config.train)} == given | {"epochs": None}
    assert asked() == table.Config(train=table.TrainConfig(steps=1000, warm_up=100))
    assert asked("--steps", "70").train.warm_up == 7
    assert (asked("--epochs", "20").train.warm_up, asked("--epochs", "20").train.steps) == (2, None)
    assert asked("--preset", "imdb", "--init", "half", "--emulate-paper") == preset(
        "imdb", init="half", emulate_paper=True
    )


def test_out_that_is_a_file_is_refused(capsys, tmp_path):
    path = tmp_path / "file"
    path.write_text("mine")
    for arguments in (["run", "digits"], ["probe"], ["table"]):
        status, _, err = run(capsys, *arguments, "--out", path)
        assert status in (2, 4) if arguments == ["table"] and WITHOUT else status == 2
        assert str(path) in err or status == 4
    assert path.read_text() == "mine"


# What needs no training


@pytest.mark.parametrize("size", ["default", "quick", "paper"])
def test_plan_has_a_cell_for_each_task_and_row(size):
    made = table.plan({**DEFAULTS, "size": size})
    expected = table.SIZES[size]
    assert list(made) == list(expected.tasks)
    seen = set()
    for task, rows in made.items():
        assert list(rows) == list(expected.rows)
        for row, cell in rows.items():
            model = cell.ensemble.config.model
            assert row.split("/") == [model.recurrence, model.init, model.norm][: row.count("/") + 1]
            assert cell.ensemble.task == task.removesuffix("-grey")
            seen.add(cell.sha256)
    assert len(seen) == len(made) * len(expected.rows)


def test_the_folder_of_the_data_is_no_part_of_what_a_run_is(monkeypatch, tmp_path):
    before = table.plan({**DEFAULTS, "size": "paper"})["imdb"]["dense/glorot"]
    monkeypatch.setenv("RMT_DATA", str(tmp_path))
    assert table.plan({**DEFAULTS, "size": "paper"})["imdb"]["dense/glorot"] == before


def test_quick_changes_the_size_and_says_so():
    experiment = campaign.Experiment(
        "like table1",
        lambda options: list(table.plan(options)["digits"].values()),
        table.experiment.samples,
        table.experiment.options,
        table.experiment.present,
        quick_options={"size": "quick"},
    )
    assert make_plan(experiment, quick=True).options["size"] == "quick"
    assert make_plan(experiment).options["size"] == "default"
    chosen = make_plan(experiment, quick=True, options={"size": "default"})
    assert set(chosen.counts.values()) == {table.SIZES["quick"].runs}


def test_points_are_the_evaluations_of_a_run():
    digits = table.SIZES["default"].tasks["digits"]
    for changes, points in (
        ({"steps": 600, "evaluate_every": 120}, 6),
        ({"steps": 601, "evaluate_every": 120}, 7),
        ({"steps": 7, "evaluate_every": None}, 8),
        ({"epochs": 4, "evaluate_every": None, "warm_up": 0}, 5),
    ):
        assert Training("digits", digits.config.changed(**{"warm_up": 0, **changes})).points == points


def test_unpack_gives_back_numbers_and_curves():
    values = np.arange(2 * (len(NUMBERS) + 3 * len(CURVES)), dtype=float).reshape(2, -1)
    found = unpack(values)
    assert found.numbers["validation"].tolist() == values[:, 0].tolist()
    assert found.curves["loss"][1].tolist() == values[1, [len(NUMBERS) + 1 + 5 * i for i in range(3)]].tolist()


def test_table_of_a_probe_counts():
    made = [
        probe.Probe("glorot", 4, 0, (1.1, 0.9), 1, "loss", (float("nan"),)),
        probe.Probe("glorot", 4, 1, (1.3, 1.2), 3, "gradient", (1.0, 1.0, 1.0)),
        probe.Probe("half", 4, 0, (0.5, 0.6), None, None, (1.0,)),
    ]
    frame = probe.table(made)
    assert frame[["n", "init", "runs", "diverged", "unstable"]].values.tolist() == [
        [4, "glorot", 2, 2, 2],
        [4, "half", 1, 0, 0],
    ]
    first = frame.iloc[0]
    assert (first.first_step, first.last_step) == (1, 3)
    assert first.radius == pytest.approx(1.125)
    assert first.radius_sd == pytest.approx(np.sqrt((0.025**2 + 0.225**2 + 0.175**2 + 0.075**2) / 3))
    assert first.radius_max == pytest.approx(1.2)
    shown = probe.readable(frame)
    assert shown["diverged"].tolist() == ["2 of 2", "0 of 1"]
    assert shown["first step"].tolist() == ["1-3", "-"]


NEEDY = """
from rmt import checks
from rmt.campaign import Experiment


def cells(options):
    raise checks.MissingExtraError("a library is needed: pip install 'rmt[train]'")


experiment = Experiment("needy", cells, lambda cell, quick: 1, {}, print)
"""


def test_reproduce_leaves_out_what_needs_an_extra_and_goes_on(capsys, tmp_path, monkeypatch, demo_file):
    folder = tmp_path / "clone" / "experiments"
    folder.mkdir(parents=True)
    (folder / "a_needy.py").write_text(NEEDY)
    (folder / "demo.py").write_text(demo_file.read_text())
    monkeypatch.setattr("rmt.cli.report.ROOT", folder.parent)
    monkeypatch.chdir(folder.parent)
    assert main(["reproduce", "--workers", "1", "--quick"]) == 0
    captured = capsys.readouterr()
    assert "a_needy is left out: a library is needed: pip install 'rmt[train]'\n" in captured.err
    assert "a_needy" not in (folder.parent / "results" / "all" / "index.html").read_text()
    assert 'href="demo/report.html"' in (folder.parent / "results" / "all" / "index.html").read_text()
    assert main(["reproduce", "--only", "a_needy"]) == 4
    assert "needs an extra" in capsys.readouterr().err


def test_an_experiment_asks_for_files_before_it_computes(tmp_path, monkeypatch):
    monkeypatch.delenv("RMT_DATA", raising=False)
    monkeypatch.setattr(table, "prepare", lambda: None)
    options = {**DEFAULTS, "size": "paper", "rows": "dense/half"}
    with pytest.raises(checks.InputError, match="task imdb: data must say where"):
        table.experiment.cells(options)
    monkeypatch.setenv("RMT_DATA", str(tmp_path))
    for name in ("basic_train.tsv", "basic_val.tsv", "basic_test.tsv"):
        (tmp_path / "listops-1000").mkdir(exist_ok=True)
        (tmp_path / "listops-1000" / name).touch()
    for folder in ("train/pos", "train/neg", "test/pos", "test/neg"):
        (tmp_path / "aclImdb" / folder).mkdir(parents=True)
    with pytest.raises(checks.InputError, match=r"task cifar-grey: .*data_batch_1 is not there"):
        table.experiment.cells(options)
    (tmp_path / "cifar-10-batches-py").mkdir()
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        (tmp_path / "cifar-10-batches-py" / name).touch()
    assert len(table.experiment.cells(options)) == 8
    size = table.Size({"sunspots": Training("sunspots", table.Config())}, (), 1)
    with pytest.raises(checks.InputError, match=r"task sunspots: .*SN_m_tot_V2.0.csv is not there"):
        table.check_files(size, ["sunspots"])


@pytest.fixture
def stored():
    """What a campaign of two rows on one task could have stored: of three runs of the first, one diverged."""
    size = table.SIZES["quick"]
    made = table.plan({**DEFAULTS, "size": "quick", "rows": "dense/glorot dense/half"})
    training = size.tasks["digits"]
    data = {}
    for row, cell in made["digits"].items():
        numbers = {name: np.arange(3.0) for name in NUMBERS} | {"data": np.full(3, 5.0)}
        numbers["test"] = np.array([0.2, 0.4, 0.9])
        gone = 2.0 if row == "dense/glorot" else np.nan
        numbers["diverged_at"] = np.array([np.nan, np.nan, gone])
        curves = np.tile(np.linspace(0, 1, 3)[:, None], (3, 1, len(CURVES)))
        flat = np.stack([numbers[name] for name in NUMBERS], axis=1)
        data[cell] = np.concatenate([flat, curves.reshape(3, -1)], axis=1)
    baselines = {"digits": table.baseline_cell(training)}
    data[baselines["digits"]] = np.array([[0.1, 0.86, 5.0]])
    return data, made, baselines


def test_means_leave_out_runs_that_diverged(stored, tmp_path):
    shown = presenting.write(*stored, tmp_path, "table1").set_index("row")
    frame = pd.read_csv(tmp_path / "table1.csv", na_values="undefined").set_index("row")
    glorot, half = frame.loc["dense/glorot"], frame.loc["dense/half"]
    assert (glorot.test, glorot.diverged, glorot.first_step, glorot.runs) == (pytest.approx(0.3), 1, 2, 3)
    assert glorot.test_sd == pytest.approx(np.std([0.2, 0.4], ddof=1))
    # radii are those of all three, and so are the eigenvalues that had to be moved
    assert (glorot.radius_first, glorot.radius_last, glorot.moved_eigenvalues) == (1, 1, 3)
    assert (half.test, half.diverged) == (pytest.approx(0.5), 0)
    assert np.isnan(half.first_step)
    assert frame.loc["least squares", "test"] == 0.86
    assert shown.accuracy["dense/glorot"] == "0.300 ± 0.141"
    assert shown.diverged["dense/glorot"] == "1 of 3, step 2"
    assert shown.accuracy["baseline: least squares"] == "0.860"
    assert {path.name for path in tmp_path.iterdir()} == {
        f"table1.{x}" for x in ("csv", "md", "tex", "pdf", "png", "svg")
    }


def test_every_count_of_runs_that_diverged(stored, tmp_path):
    data, made, baselines = stored
    shown = {}
    for gone in ([np.nan, np.nan, np.nan], [np.nan, 4, np.nan], [np.nan, 4, 2], [7, 4, 12]):
        data[made["digits"]["dense/half"]][:, NUMBERS.index("diverged_at")] = gone
        line = presenting.readable(presenting.summary(data, made, baselines)).set_index("row").loc["dense/half"]
        shown[line.diverged] = line.accuracy
    assert shown == {
        "0 of 3": "0.500 ± 0.361",  # of 0.2, 0.4, 0.9
        "1 of 3, step 4": "0.550 ± 0.495",  # of 0.2, 0.9
        "2 of 3, step 2-4": "0.200",
        "3 of 3, step 4-12": "diverges",
    }


def test_runs_with_other_data_are_refused(stored, tmp_path):
    data, made, baselines = stored
    data[made["digits"]["dense/half"]][1, NUMBERS.index("data")] = 6.0
    with pytest.raises(checks.InputError, match="runs of digits had different data"):
        presenting.write(data, made, baselines, tmp_path, "table1")
    assert not any(tmp_path.iterdir())


def test_the_figure_shows_means_bands_crosses_and_the_best_baseline(stored):
    data, made, baselines = stored
    curves = len(NUMBERS)
    for row, cell in made["digits"].items():
        values = data[cell][:, curves:].reshape(3, 3, len(CURVES))
        values[..., CURVES.index("step")] = [0, 3, 6]
        values[..., CURVES.index("validation")] = [[np.nan, 0.3, 0.4], [np.nan, 0.5, 0.8], [np.nan, 0.1, 0.1]]
        values[..., CURVES.index("radius")] = [[1, 2, 3], [2, 4, 5], [9, 9, 9]] if row == "dense/glorot" else 0.5
    data[made["digits"]["dense/glorot"]][:, NUMBERS.index("radius_last")] = [5, 6, 7]
    data[baselines["digits"]] = np.array([[0.86, 0.1, 5.0]])  # the better one stands first
    figure = presenting.draw(data, made, baselines)
    top, bottom = figure.axes

    def lines(ax):
        return [tuple(np.round(values, 12).tolist() for values in line.get_data()) for line in ax.lines]

    assert ([0, 1], [0.86, 0.86]) in lines(top)
    assert {text.get_text() for text in top.texts} == {"majority, test"}
    assert ([3, 6], [0.4, 0.6]) in lines(top)  # of the two that went
    assert ([3, 6], [0.3, round(1.3 / 3, 12)]) in lines(top)  # of all three
    assert ([0, 3, 6], [1.5, 3.0, 4.0]) in lines(bottom)
    assert ([0, 3, 6], [0.5, 0.5, 0.5]) in lines(bottom)
    crosses = [line for line in bottom.lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert [tuple(map(list, line.get_data())) for line in crosses] == [([2.0], [7.0])]
    corners = top.collections[0].get_paths()[0].vertices
    assert {tuple(corner) for corner in np.round(corners, 12)} >= {(3, 0.3), (6, 0.4), (3, 0.5), (6, 0.8)}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "dense/glorot",
        "dense/half",
        "a run that diverged",
        "smallest to largest run",
    ]


def test_errors_are_medians_as_one_run_about_to_explode_would_be_all_of_a_mean(stored):
    data, made, baselines = stored
    task = Training("mackey_glass", made["digits"]["dense/half"].ensemble.config)
    baselines = {"digits": table.baseline_cell(task)}
    data[baselines["digits"]] = np.array([[1.0, 1.7, 0.4, 5.0]])
    half = data[made["digits"]["dense/half"]]
    half[:, NUMBERS.index("test")] = [3e9, 0.04, 0.1234]
    curves = half[:, len(NUMBERS) :].reshape(3, 3, len(CURVES))
    curves[..., CURVES.index("step")] = [0, 3, 6]
    curves[..., CURVES.index("validation")] = [[np.nan, 3e9, 2e9], [np.nan, 0.5, 0.2], [np.nan, 0.3, 0.1]]
    shown = presenting.readable(presenting.summary(data, made, baselines)).set_index("row").NRMSE
    assert shown["dense/half"] == "0.123 (0.04 – 3e+09)"
    assert shown["dense/glorot"] == "0.3 (0.2 – 0.4)"  # of the two that went
    assert shown["baseline: autoregression"] == "0.400"
    top = presenting.draw(data, made, baselines).axes[0]
    assert (top.get_yscale(), top.get_ylim()[1], top.get_ylabel()) == ("log", 10, "NRMSE, validation (cut at 10)")
    drawn = [list(line.get_ydata()) for line in top.lines]
    assert [0.5, 0.2] in drawn
    assert top.collections[1].get_paths()[0].vertices[:, 1].max() == 10


def test_rows_of_the_tables_are_told_apart_without_colour():
    for size in table.SIZES.values():
        for training in size.tasks.values():
            looks = [presenting.style(table.changed(training, row)) for row in size.rows]
            shapes = [tuple(look[key] for key in ("marker", "linestyle", "linewidth")) for look in looks]
            assert len(set(shapes)) == len(shapes)
