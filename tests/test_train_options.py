"""Options of `rmt train run` that belong to the task, lengths that change their unit, and the rows of the paper."""

import json

import pytest

from rmt.checks import InputError
from rmt.cli import main, train_run
from rmt.training import Config, TrainConfig, preset, table
from rmt.training.tasks import task_function

DEFAULTS = table.experiment.defaults()


def test_options_of_a_task_are_numbers_truths_or_text():
    read = [train_run.option(text) for text in ("enlarge=4", "tau=17.5", "tokens=True", "colour=grey", "cache=a=b")]
    assert read == [("enlarge", 4), ("tau", 17.5), ("tokens", True), ("colour", "grey"), ("cache", "a=b")]
    assert [type(value) for _, value in read] == [int, float, bool, str, str]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["length=9"], "--option cannot set 'length': use --length"),
        (["data=x"], "--option cannot set 'data': use --data"),
        (["size=9"], "--option cannot set 'size': use --size"),
        (["seed=9"], "--option cannot set 'seed': use --data-seed"),
        (["name=imdb"], "--option cannot set 'name', which is TASK"),
        (["progress=true"], "--option cannot set 'progress'"),
        (["enlarge=2", "enlarge=4"], "--option must name each option once, got 'enlarge' again"),
    ],
)
def test_options_that_are_set_elsewhere_or_twice_are_refused(capsys, tmp_path, options, said):
    words = [word for option in options for word in ("--option", option)]
    assert main(["train", "run", "digits", "--out", str(tmp_path / "out"), *words]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err
    assert not (tmp_path / "out").exists()


def asked(*words):
    return train_run.configuration(train_run._parser().parse_args(["digits", "--out", "x", *words])).train


def test_a_warm_up_counts_what_the_length_counts():
    assert (asked("--preset", "imdb").epochs, asked("--preset", "imdb").warm_up) == (65, 7)
    assert asked("--preset", "imdb", "--epochs", "30").warm_up == 7
    assert asked("--preset", "imdb", "--steps", "5000").warm_up == 500
    assert asked("--preset", "imdb", "--steps", "3").warm_up == 0
    assert asked("--preset", "imdb", "--steps", "5000", "--warm-up", "9").warm_up == 9
    assert preset("listops", steps=400).train == preset("listops", steps=400, warm_up=40).train
    assert Config(train=TrainConfig(steps=1000, warm_up=100)).changed(epochs=20).train.warm_up == 2
    with pytest.raises(InputError, match="steps must be an integer"):
        preset("imdb", steps="many")


def test_the_paper_has_both_cifars_and_all_linear_recurrent_units_of_the_rebuttal():
    made = table.plan({**DEFAULTS, "size": "paper"})
    assert {"lru/ring", "lru/uniform", "lru/rescaled"} <= set(made["imdb"])
    colours = {task: made[task]["dense/half"].ensemble.options["colour"] for task in ("cifar-grey", "cifar")}
    assert colours == {"cifar-grey": "grey", "cifar": "flat"}
    for training in table.SIZES["paper"].tasks.values():
        task_function(training.task)
        assert json.dumps(table.baseline_cell(training).params["names"])
