"""`rmt run`: an experiment file, from its options to its tables and figures."""

from __future__ import annotations

import argparse
from typing import Any

from rmt.cli.common import DONE, INCOMPLETE, INTERRUPTED, STATUSES, Parser, complain, number, say


def run(arguments: list[str], resume: str) -> int:
    """Run an experiment file."""
    from rmt import campaign
    from rmt.campaign.progress import display

    parser = _run_parser()
    asks_for_help = any(argument in ("-h", "--help") for argument in arguments)
    first = _run_parser(add_help=False).parse_known_args([a for a in arguments if a not in ("-h", "--help")])[0]
    if first.file is None:
        if asks_for_help:
            parser.parse_args(["--help"])
        parser.error("FILE is missing")
    experiment = campaign.load(first.file)
    _add_options(parser, experiment)
    given = vars(parser.parse_args(arguments))
    if given["out"] is None:
        parser.error("--out DIR is missing")
    outcome = campaign.run(
        experiment,
        given["out"],
        options={name: given[name] for name in experiment.options},
        seed=given["seed"],
        quick=given["quick"],
        progress=display(),
    )
    if outcome.interrupted:
        kept = f"{outcome.kept} of {outcome.total} cells are kept in {given['out']}"
        return complain(f"rmt: interrupted; {kept}; go on with: {resume}", INTERRUPTED)
    if outcome.failures:
        count = outcome.total - outcome.kept
        kept = f"the others are kept in {given['out']}"
        return complain(f"rmt: {count} of {outcome.total} cells are incomplete, {kept}", INCOMPLETE)
    assert outcome.table is not None
    lines = [
        outcome.table.to_string(index=False),
        "",
        f"results are in {given['out']}; written by this call:",
    ]
    say("\n".join(lines + [f"  {path}" for path in outcome.written]))
    return DONE


def _run_parser(*, add_help: bool = True) -> Parser:
    parser = Parser(
        prog="rmt run",
        usage="rmt run FILE --out DIR [--quick] [--seed S] [options of the experiment]",
        description="Run an experiment file: draw its samples, store them, draw its figures and tables.",
        epilog=(
            "`rmt run FILE --help` lists the options of FILE too.\n"
            "The same command again goes on where it was interrupted, and changes no data once it is done.\n"
            "A directory with a run of another configuration or seed is refused, and told apart.\n\n"
            "example: rmt run experiments/fig1.py --out results/fig1 --seed 7\n\n" + STATUSES
        ),
        add_help=add_help,
    )
    parser.add_argument("file", nargs="?", metavar="FILE", help="a Python file that defines `experiment`")
    parser.add_argument("--out", metavar="DIR", help="directory of all results; made if absent")
    parser.add_argument("--quick", action="store_true", help="few samples: for a first look")
    parser.add_argument("--seed", type=number, default=0, metavar="S", help="root seed, an integer; default 0")
    return parser


def _add_options(parser: Parser, experiment: Any) -> None:
    group = parser.add_argument_group(f"options of {experiment.name}")
    for name, default in experiment.options.items():
        flag = "--" + name.replace("_", "-")
        if isinstance(default, tuple):
            kind = type(default[0])
            group.add_argument(
                flag, dest=name, type=kind, choices=default, default=default[0], help=f"default {default[0]}"
            )
        elif isinstance(default, bool):
            group.add_argument(flag, dest=name, action=argparse.BooleanOptionalAction, default=default)
        else:
            kind = type(default)
            group.add_argument(
                flag,
                dest=name,
                type=kind,
                default=default,
                metavar=kind.__name__.upper(),
                help=f"default {default}",
            )
