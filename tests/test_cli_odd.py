"""Experiment files as odd as is allowed, and what may befall `rmt run` before and after its samples."""

import signal
import threading

import pytest
from demos import FILE

from rmt.cli import main

OPTIONS = """
import sys
import pandas as pd
import rmt

cell = rmt.campaign.Cell("spectral_radius", rmt.Ginibre(4))
choices = {{"flag": (False, True), "mixed": (1, "auto", 0.5), "text": "100%s of %"}}

def present(data, out, options):
    {}
    return pd.DataFrame({{name: [repr(value)] for name, value in options.items()}})

experiment = rmt.campaign.Experiment("odd", lambda options: [cell], lambda cell, quick: 2, choices, present)
"""


def run(capsys, *arguments):
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def write(tmp_path):
    def write(line="pass"):
        path = tmp_path / "odd.py"
        path.write_text(OPTIONS.format(line))
        return ["run", path, "--out", tmp_path / "out", "--engine", "serial"]

    return write


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ([], "False 1 '100%s of %'"),
        (["--flag", "False", "--mixed", "0.5"], "False 0.5 '100%s of %'"),
        (["--flag", "True", "--mixed", "auto", "--text", "%d"], "True 'auto' '%d'"),
        (["--mixed", "5e-1"], "False 0.5 '100%s of %'"),
    ],
)
def test_choices_of_any_type(capsys, write, given, values):
    status, out, _ = run(capsys, *write(), *given)
    assert status == 0
    assert out.splitlines()[1].split() == values.split()


def test_what_is_no_choice(capsys, write):
    for flag, value in (("--flag", "yes"), ("--flag", "0"), ("--mixed", "2")):
        status, out, err = run(capsys, *write(), flag, value)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert f"invalid choice: '{value}'" in err


def test_help_of_a_default_with_a_percent_sign(capsys, write):
    status, out, err = run(capsys, *write(), "--help")
    assert (status, err) == (0, "")
    assert "default 100%s of %" in out
    assert "default False" in out


@pytest.mark.parametrize("code", ["0", "", "'no data'", "3"])
def test_an_experiment_that_leaves_is_at_fault(capsys, write, code):
    status, out, err = run(capsys, *write(f"sys.exit({code})"))
    assert (status, out) == (2, "")
    assert "Traceback" not in err
    assert "present() raised SystemExit" in err.splitlines()[-1]


@pytest.fixture
def interruptible():
    """Let SIGINT interrupt, also where the tests run in the background and it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("place", ["loading", "present"])
def test_a_signal_outside_of_the_samples_names_the_command_that_goes_on(
    capsys, demo_file, tmp_path, number, place, interruptible
):
    line = f"import os, time; os.kill(os.getpid(), {int(number)}); time.sleep(5)\n"
    demo_file.write_text(line + FILE if place == "loading" else FILE.replace("    (out /", f"    {line}    (out /"))
    before = signal.getsignal(signal.SIGTERM)
    arguments = ["run", demo_file, "--out", tmp_path / "out", "--quick", "--engine", "serial"]
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (75, "")
    kept = "" if place == "loading" else f" 12 samples are kept in {tmp_path / 'out'};"
    last = err.splitlines()[-1]
    assert last.startswith(f"rmt: interrupted;{kept} go on with: ")
    assert last.endswith(" ".join(map(str, arguments)))
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_command_in_another_thread_leaves_signals_alone():
    found = []
    thread = threading.Thread(target=lambda: found.append(main(["--version"])))
    thread.start()
    thread.join()
    assert found == [0]


def test_a_file_of_several_dots_has_statistics_of_its_own(capsys, tmp_path):
    path = tmp_path / "demo.v2.py"
    path.write_text(FILE)
    status, _, err = run(capsys, "run", path, "--out", tmp_path / "out", "--quick", "--engine", "serial")
    assert status == 0, err


@pytest.mark.parametrize("error", [ZeroDivisionError("of ours"), SystemExit(1)])
def test_an_error_of_rmt_itself_is_no_finding(capsys, monkeypatch, error):
    def fail(*arguments):
        raise error

    monkeypatch.setattr("rmt.cli.laws.radius", fail)
    status, out, err = run(capsys, "radius", "--n", 4)
    assert (status, out) == (70, "")
    assert err.startswith("Traceback")
    assert err.splitlines()[-1].startswith("rmt: this is an error of rmt itself")
