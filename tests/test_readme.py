"""The README is true: its Python runs, its commands exist and end well, its names are there."""

import re
import shlex
from pathlib import Path

import pytest

from rmt import campaign
from rmt.cli import main
from rmt.cli.entry import COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language):
    found = re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)
    assert found
    return found


def commands(program):
    lines = [line.split("#")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if shlex.split(line)[:1] == [program]]


def test_python_block_runs(capsys):
    (block,) = blocks("python")
    names = {}
    exec(compile(block, "README.md", "exec"), names)
    p, radius = map(float, capsys.readouterr().out.split())
    assert f"P(rho > 1) = {p:.4f}" in block
    assert f"with probability {p:.2f}" in README.replace("\n", " ")
    assert 0.8 < radius < 1.1
    assert names["norms"].shape == (8, 64)
    assert len(block.strip().splitlines()) == 7  # import, blank, five lines


@pytest.mark.parametrize("line", [line for line in commands("rmt") if " run " not in line])
def test_printing_commands_end_well(capsys, line):
    assert main(shlex.split(line)[1:]) == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize("line", [line for line in commands("rmt") if " run " in line])
def test_run_commands_are_understood(capsys, monkeypatch, line):
    monkeypatch.chdir(ROOT)
    assert main([*shlex.split(line)[1:], "--help"]) == 0
    experiment = campaign.load(ROOT / "experiments" / "fig1.py")
    assert f"options of {experiment.name}" in capsys.readouterr().out


def test_make_commands_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = {line.split()[1] for line in commands("make")} | set(re.findall(r"`make ([\w-]+)`", README))
    assert {"fig1", "test"} <= targets
    assert not [target for target in targets if f"\n{target}:" not in makefile]


def test_options_in_the_table_are_those_of_the_commands(capsys):
    for command in COMMANDS:
        (row,) = re.findall(rf"^\| `rmt {command}.*$", README, flags=re.MULTILINE)
        main([command, "--help"])
        options = re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, flags=re.MULTILINE)
        assert set(re.findall(r"`(--[a-z-]+)", row)) == set(options)


def test_paths_in_the_text_are_there():
    for path in re.findall(r"`((?:experiments|docs|rmt)/[\w./]+)`|\]\(([\w./]+)\)", README):
        assert (ROOT / "".join(path)).exists()
