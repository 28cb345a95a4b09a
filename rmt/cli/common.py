"""What all commands share: exit statuses, the parser, and how they print."""

from __future__ import annotations

import argparse
import difflib
import json
import os
import shutil
import sys
from contextlib import suppress
from typing import Any, NoReturn

from rmt import checks

DONE, FINDING, BAD_INPUT, INCOMPLETE, NO_EXTRA, BUG, INTERRUPTED = 0, 1, 2, 3, 4, 70, 75

STATUSES = """\
exit status: 0 done; 1 a finding; 2 bad input, with one line that says what; 3 some samples failed;
4 an extra is missing, with one line that names it; 70 an error of rmt itself, with its traceback;
75 interrupted, with the command that resumes.
"""


class HelpShown(Exception):  # noqa: N818
    """argparse has printed what was asked for, and there is nothing more to do."""


class Parser(argparse.ArgumentParser):
    """argparse with one line for an error, and no guessing at abbreviated options."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        """Raise what argparse found, for one line at the entry."""
        raise checks.InputError(f"{message}{self._meant(message)} (see `{self.prog} --help`)")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Leave after the help, in a way that no ``sys.exit()`` of an experiment file is taken for."""
        raise HelpShown

    def _meant(self, message: str) -> str:
        """Return the options that are spelt almost like those that are unknown."""
        if not message.startswith("unrecognized arguments: "):
            return ""
        found = [
            match
            for word in message.split()
            if word.startswith("--")
            for match in difflib.get_close_matches(word.partition("=")[0], self._option_string_actions, 1, 0.75)
        ]
        return f"; did you mean {' '.join(found)}?" if found else ""


def program() -> list[str]:
    """Return the words that call this command here; another program of the name `rmt` comes with GNU tar."""
    found = shutil.which("rmt")
    ours = found is not None and os.path.dirname(os.path.realpath(found)) in _folders(sys.executable)
    return ["rmt"] if ours else [sys.executable, "-m", "rmt"]


def _folders(path: str) -> list[str]:
    return [os.path.dirname(path), os.path.realpath(os.path.dirname(path))]


def complain(line: str, status: int) -> int:
    """Print `line` on standard error, if anybody hears it, and return `status`."""
    with suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)
    return status


def say(text: str) -> None:
    """Print `text` on standard output."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise checks.InputError(f"standard output cannot be written: {error.strerror or error}") from error


def print_json(result: Any) -> None:
    """Print `result` as JSON."""
    say(json.dumps(result, allow_nan=False, indent=2))


def number(text: str) -> int | float:
    """Read an int where the text is one, else a float; what is allowed is checked by the function called."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
