"""`rmt run`: an experiment file, from its options to its tables and figures."""

from __future__ import annotations

import argparse
import os
import shlex
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from rmt import checks
from rmt.cli.common import DONE, INCOMPLETE, INTERRUPTED, STATUSES, Parser, complain, number, say

if TYPE_CHECKING:
    from rmt.campaign import Experiment, Outcome

ENGINES = ("processes", "serial", "dask")
SETTINGS = (
    "seed",
    "quick",
    "samples",
    "target_se",
    "max_seconds",
    "workers",
    "scheduler",
    "allow_mixed_numerics",
)


def run(arguments: list[str], resume: str) -> int:
    """Run an experiment file."""
    from rmt import campaign
    from rmt.campaign.progress import display
    from rmt.campaign.reading import count_kept

    parser = _run_parser()
    asks_for_help = any(argument in ("-h", "--help") for argument in arguments)
    plain = [argument for argument in arguments if argument not in ("-h", "--help")]
    first, unknown = _run_parser(add_help=False).parse_known_args(plain)
    if first.file is None:
        if asks_for_help:
            parser.parse_args(["--help"])
        parser.error("FILE is missing")
    experiment = _load(first.file, unknown)
    _add_options(parser, experiment)
    parser.prog = f"rmt run {shlex.quote(first.file)}"
    given = vars(parser.parse_args(arguments))
    if given["out"] is None:
        parser.error("--out DIR is missing")
    try:
        outcome = campaign.run(
            experiment,
            given["out"],
            options={name: given[name] for name in experiment.options if name in given},
            progress=display(),
            engine="dask" if given["engine"] is None and given["scheduler"] else given["engine"] or "processes",
            arguments=["run", *arguments],
            **{name: given[name] for name in SETTINGS},
        )
    except KeyboardInterrupt:
        kept = f"{count_kept(given['out']):,} samples are kept in {given['out']}"
        return complain(f"rmt: interrupted; {kept}; go on with: {resume}", INTERRUPTED)
    return report_outcome(outcome, given["out"], resume, given["scheduler"])


def report_outcome(outcome: Outcome, out: str, resume: str, scheduler: str | None = None) -> int:
    """Say what became of a run in `out`, and return the exit status."""
    from rmt.tables import format_cell

    if outcome.interrupted:
        kept = f"{outcome.samples:,} samples are kept in {out}"
        lost = scheduler and scheduler in outcome.interrupted
        where = " (another --scheduler, or none, serves as well)" if lost else ""
        return complain(f"rmt: {outcome.interrupted}; {kept}; go on with{where}: {resume}", INTERRUPTED)
    if outcome.failures:
        count = outcome.total - outcome.kept
        what = f"{len(outcome.failures)} samples failed and {count} of {outcome.total} cells are incomplete"
        where = f"the others are kept, and failures/ in {out} has the reasons"
        return complain(f"rmt: {what}; {where}; the same command tries them again", INCOMPLETE)
    assert outcome.table is not None
    lines = [outcome.table.map(lambda value: format_cell(value) or "NaN").to_string(index=False), ""]
    if outcome.mixed:
        lines += [f"{outcome.mixed:,} samples come from machines with other numerics, and are labelled", ""]
    lines += [f"results are in {out} ({outcome.samples:,} samples in shards/); written by this call:"]
    say("\n".join(lines + [f"  {path}" for path in outcome.written]))
    return DONE


def _load(file: str, unknown: list[str]) -> Experiment:
    """Load an experiment file; of an option of its own before FILE, the value was taken for FILE."""
    from rmt import campaign

    if unknown and not os.path.exists(file):
        raise checks.InputError(
            f"experiment file {file} cannot be read: it is not there; FILE comes before the options of the experiment"
        )
    return campaign.load(file)


def _run_parser(*, add_help: bool = True) -> Parser:
    parser = Parser(
        prog="rmt run",
        usage="rmt run FILE --out DIR [options] [options of the experiment]",
        description="Run an experiment file: draw its samples, store them, draw its figures and tables.",
        epilog=(
            "`rmt run FILE --help` lists the options of FILE too.\n"
            "The same command again goes on where it was interrupted, and changes no data once it is done; with\n"
            "larger counts it adds samples, and with smaller ones it uses all that are there. A directory with a\n"
            "run of another configuration or seed is refused, and told apart. Neither the engine nor the number of\n"
            "workers changes a bit of the results.\n\n"
            "example: rmt run experiments/fig1.py --out results/fig1 --seed 7\n\n" + STATUSES
        ),
        add_help=add_help,
    )
    parser.add_argument("file", nargs="?", metavar="FILE", help="a Python file that defines `experiment`")
    parser.add_argument("--out", metavar="DIR", help="directory of all results; made if absent")
    add = parser.add_argument
    add("--quick", action="store_true", help="few samples: for a first look")
    add("--seed", type=number, default=0, metavar="S", help="root seed, an integer; default 0")
    add("--samples", type=number, metavar="N", help="samples of every cell, in place of the experiment's counts")
    add("--target-se", type=number, metavar="X", help="stop a cell once its standard error is at most X")
    add("--max-seconds", type=number, metavar="S", help="begin nothing new after S seconds; exit status 75")
    add("--engine", choices=ENGINES, help="where samples are computed; default processes")
    add("--workers", type=number, metavar="N", help="how many; default RMT_NUM_THREADS, or the number of cores")
    add("--scheduler", metavar="ADDR", help="Dask scheduler to join, such as tcp://host:8786")
    add("--allow-mixed-numerics", action="store_true", help="take and label samples whose last bits may differ")
    return parser


def _add_options(parser: Parser, experiment: Experiment) -> None:
    group = parser.add_argument_group(f"options of {experiment.name}")
    for name, default in experiment.options.items():
        flag = "--" + name.replace("_", "-")
        # Those that are not given are left to the experiment: only what the user gave is told to others.
        shared: dict[str, Any] = {"dest": name, "default": argparse.SUPPRESS}
        shown = default[0] if isinstance(default, tuple) else default
        shared["help"] = f"default {shown}".replace("%", "%%")  # argparse would fill in what it takes for a format
        if isinstance(default, tuple):
            group.add_argument(flag, type=partial(_choice, default), choices=default, **shared)
        elif isinstance(default, bool):
            group.add_argument(flag, action=argparse.BooleanOptionalAction, **shared)
        else:
            kind = type(default)
            group.add_argument(flag, type=kind, metavar=kind.__name__.upper(), **shared)


def _choice(choices: tuple[Any, ...], text: str) -> Any:
    """Return the choice that a text stands for: as it is printed, or as a number that is equal; else the text."""
    for choice in choices:
        if str(choice) == text:
            return choice
    for choice in choices:
        if not isinstance(choice, (bool, str)):
            with suppress(ValueError):
                if type(choice)(text) == choice:
                    return choice
    return text
