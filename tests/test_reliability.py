"""docs/reliability.md: each command that shows a promise kept runs tests that are there."""

import ast
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMANDS = re.findall(r"`pytest ([^`]+)`", (ROOT / "docs" / "reliability.md").read_text())


def names_in(file):
    tree = ast.parse((ROOT / file).read_text())
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


def chosen(command):
    """Return which tests of each file `pytest COMMAND` runs: files, and -k with words joined by "or"."""
    words = shlex.split(command)
    wanted = words.pop(words.index("-k") + 1).split(" or ") if "-k" in words else [""]
    return {file: [t for t in names_in(file) if any(w in t for w in wanted)] for file in words if file != "-k"}


def test_every_promise_has_a_command():
    rows = [line for line in (ROOT / "docs" / "reliability.md").read_text().splitlines() if line.startswith("| ")][2:]
    assert len(rows) >= 17
    assert all("`pytest tests/" in row for row in rows)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_runs_tests(command):
    assert all(chosen(command).values())


def test_a_word_that_no_test_has_is_seen():
    assert chosen("tests/test_reliability.py -k 'nonesuch or promise'") == {
        "tests/test_reliability.py": ["test_every_promise_has_a_command"]
    }
    assert not any(chosen("tests/test_reliability.py -k none_such").values())
