"""The entry of the `rmt` command: which command, and what becomes of its errors."""

from __future__ import annotations

import importlib
import os
import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rmt import __version__, checks
from rmt.cli.common import BAD_INPUT, BUG, DONE, INTERRUPTED, NO_EXTRA, STATUSES, HelpShown, complain, program, say

# Command -> the module of this folder with the function of that name, which takes the arguments behind the command
# and the line that would give the command again, and returns the exit status.
COMMANDS = {
    "run": "run",
    "status": "store",
    "verify": "store",
    "export": "store",
    "report": "report",
    "reproduce": "report",
    "radius": "laws",
    "gain": "laws",
    "audit": "audit",
    "train": "train",
}

MAIN_HELP = """\
Spectral radii, gains and hidden-state norms of random matrices W in h_t = W h_{t-1} + x_t.

commands:
  rmt run FILE --out DIR   run an experiment file, such as experiments/fig1.py
  rmt status DIR           how does the run in DIR stand, and which command goes on?
  rmt verify DIR           is every file whole, and do samples come out the same again?
  rmt export DIR           its samples and a summary as Parquet, CSV, LaTeX or Markdown
  rmt report DIR           one HTML page that shows it
  rmt reproduce            every experiment of this clone, with a page for each
  rmt radius --n N         how large is the spectral radius of an N x N Glorot matrix?
  rmt gain --n N           by which factor must that matrix be scaled to be stable?
  rmt audit FILE           will the recurrent weights in FILE explode, when, and what to change?
  rmt train run TASK       train a model of linear recurrences; see what its init does (extra: train)

examples:
  rmt radius --n 256
  rmt gain --n 256 --alpha 0.05 --layers 4
  rmt run experiments/fig1.py --out results/fig1 --quick
  rmt audit model.safetensors --steps 2000

`rmt COMMAND --help` explains a command.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the `rmt` command on `arguments` (``sys.argv`` by default) and return its exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    resume = shlex.join([*program(), *arguments])
    try:
        with _terminable():
            return _dispatch(arguments, resume)
    except checks.InputError as error:
        return complain(f"rmt: {error}", BAD_INPUT)
    except checks.MissingExtraError as error:
        return complain(f"rmt: {error}", NO_EXTRA)
    except KeyboardInterrupt:
        return complain(f"rmt: interrupted; go on with: {resume}", INTERRUPTED)
    except BrokenPipeError:
        # Whoever read standard output has seen enough; nothing more may be flushed to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except (Exception, SystemExit) as error:  # left to Python, its status would be that of a finding
        trace = "".join(traceback.format_exception(error))
        return complain(f"{trace}rmt: this is an error of rmt itself, which the lines above describe", BUG)


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM interrupt like Ctrl-C: both end with the line that goes on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def _dispatch(arguments: list[str], resume: str) -> int:
    if arguments in (["--version"], ["-V"]):
        say(f"rmt {__version__}")
        return DONE
    if not arguments or arguments[0] in ("-h", "--help"):
        say("usage: rmt [--version] COMMAND ...\n\n" + MAIN_HELP + "\n" + STATUSES.rstrip())
        return DONE
    if arguments[0] not in COMMANDS:
        raise checks.InputError(f"{arguments[0]!r} is no command; commands: {', '.join(COMMANDS)} (see `rmt --help`)")
    command = getattr(importlib.import_module(f"rmt.cli.{COMMANDS[arguments[0]]}"), arguments[0])
    try:
        return command(arguments[1:], resume)
    except HelpShown:
        return DONE
