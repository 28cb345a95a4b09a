"""The `rmt` command: parses, calls one function, prints.

Exit statuses: 0 done; 2 bad input, one line on standard error; 3 incomplete, some samples failed;
75 interrupted, the line names the command that resumes.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

from rmt import __version__, checks

DONE, BAD_INPUT, INCOMPLETE, INTERRUPTED = 0, 2, 3, 75
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)

MAIN_HELP = """\
Spectral radii, gains and hidden-state norms of random matrices W in h_t = W h_{t-1} + x_t.

commands:
  rmt run FILE --out DIR   run an experiment file, such as experiments/fig1.py
  rmt radius --n N         how large is the spectral radius of an N x N Glorot matrix?
  rmt gain --n N           by which factor must that matrix be scaled to be stable?

examples:
  rmt radius --n 256
  rmt gain --n 256 --alpha 0.05 --layers 4
  rmt run experiments/fig1.py --out results/fig1 --quick

`rmt COMMAND --help` explains a command.
"""

STATUSES = """\
exit status: 0 done; 2 bad input, with one line that says what; 3 some samples failed;
75 interrupted, with one line that names the command that resumes.
"""


class _Parser(argparse.ArgumentParser):
    """argparse with one line for an error, and no guessing at abbreviated options."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        raise checks.InputError(f"{message} (see `{self.prog} --help`)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the `rmt` command on `arguments` (``sys.argv`` by default) and return its exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    program = ["rmt"] if shutil.which("rmt") else [sys.executable, "-m", "rmt"]
    resume = shlex.join([*program, *arguments])
    try:
        return _dispatch(arguments, resume)
    except checks.InputError as error:
        return _complain(f"rmt: {error}", BAD_INPUT)
    except KeyboardInterrupt:
        return _complain(f"rmt: interrupted; go on with: {resume}", INTERRUPTED)
    except BrokenPipeError:
        # Whoever read standard output has seen enough; nothing more may be flushed to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE


def _complain(line: str, status: int) -> int:
    print(line, file=sys.stderr)
    return status


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise checks.InputError(f"standard output cannot be written: {error.strerror or error}") from error


def _print_json(result: dict[str, Any]) -> None:
    _print(json.dumps(result, allow_nan=False, indent=2))


def _dispatch(arguments: list[str], resume: str) -> int:
    commands = {"run": _run, "radius": _radius, "gain": _gain}
    if arguments in (["--version"], ["-V"]):
        _print(f"rmt {__version__}")
        return DONE
    if not arguments or arguments[0] in ("-h", "--help"):
        _print("usage: rmt [--version] COMMAND ...\n\n" + MAIN_HELP + "\n" + STATUSES.rstrip())
        return DONE
    if arguments[0] not in commands:
        raise checks.InputError(f"{arguments[0]!r} is no command; commands: {', '.join(commands)} (see `rmt --help`)")
    try:
        return commands[arguments[0]](arguments[1:], resume)
    except SystemExit as leave:  # argparse, after printing the help
        return int(leave.code or DONE)


# rmt run


def _run(arguments: list[str], resume: str) -> int:
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
        return _complain(f"rmt: interrupted; {kept}; go on with: {resume}", INTERRUPTED)
    if outcome.failures:
        count = outcome.total - outcome.kept
        kept = f"the others are kept in {given['out']}"
        return _complain(f"rmt: {count} of {outcome.total} cells are incomplete, {kept}", INCOMPLETE)
    assert outcome.table is not None
    lines = [
        outcome.table.to_string(index=False),
        "",
        f"results are in {given['out']}; written by this call:",
    ]
    _print("\n".join(lines + [f"  {path}" for path in outcome.written]))
    return DONE


def _run_parser(*, add_help: bool = True) -> _Parser:
    parser = _Parser(
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
    parser.add_argument("--seed", type=_number, default=0, metavar="S", help="root seed, an integer; default 0")
    return parser


def _add_options(parser: _Parser, experiment: Any) -> None:
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


# rmt radius, rmt gain


def _radius(arguments: list[str], resume: str) -> int:
    from rmt.laws.gumbel import GumbelLimit
    from rmt.laws.radius import SpectralRadiusLaw

    parser = _Parser(
        prog="rmt radius",
        description=(
            "The exact law of the spectral radius of an N x N Gaussian matrix whose entries have\n"
            "variance scale^2/N (scale 1: Glorot), beside its Gumbel limit as N grows, which does\n"
            "not exist below N = 164. A radius above 1 makes the recurrence h_t = W h_{t-1} unstable."
        ),
        epilog="example: rmt radius --n 256 --field complex\n\n" + STATUSES,
    )
    _add_matrix_arguments(parser)
    parser.add_argument("--scale", type=_number, default=1.0, metavar="S", help="factor of W; default 1")
    given = parser.parse_args(arguments)
    exact = _summary(SpectralRadiusLaw(given.n, given.field, given.scale))
    limit = None
    with suppress(checks.InputError):  # the exact law took the same arguments, so it is n < 164
        limit = _summary(GumbelLimit(given.n, given.field, given.scale))
    n = checks.integer("n", given.n)
    if given.json:
        result = {"n": n, "field": given.field, "scale": float(given.scale)}
        _print_json(result | {"exact": exact, "gumbel_limit": limit})
        return DONE
    lines = [f"spectral radius of W, n = {n}, {given.field} entries of variance {float(given.scale):g}^2/n"]
    lines.append(f"{'':14}{'exact':>18}{'Gumbel limit':>18}")
    other = None if limit is None else _rows(limit)
    for name, value in _rows(exact).items():
        beside = "undefined" if other is None else f"{other[name]:.12g}"
        lines.append(f"{name:14}{value:18.12g}{beside:>18}")
    _print("\n".join(lines))
    return DONE


def _summary(law: Any) -> dict[str, Any]:
    quantiles = {f"{q:g}": float(law.ppf(q)) for q in QUANTILES}
    return {
        "p_unstable": float(law.sf(1.0)),
        "mean": float(law.mean()),
        "std": float(law.std()),
        "quantiles": quantiles,
    }


def _rows(summary: dict[str, Any]) -> dict[str, float]:
    rows = {"P(rho > 1)": summary["p_unstable"], "mean": summary["mean"], "std": summary["std"]}
    return rows | {f"quantile {q}": value for q, value in summary["quantiles"].items()}


def _gain(arguments: list[str], resume: str) -> int:
    from rmt.laws.gumbel import rescaled_gain
    from rmt.laws.radius import SpectralRadiusLaw

    parser = _Parser(
        prog="rmt gain",
        description=(
            "The factor by which an N x N Glorot matrix must be multiplied to be stable:\n"
            "  rule exact   from the exact law at this N: 1/(mean + K standard deviations of the radius);\n"
            "               with --alpha A: any of the L layers is unstable with probability A\n"
            "  rule gumbel  the same from the limit law (N >= 164)\n"
            "  rule paper   the published formula (N >= 164)"
        ),
        epilog="examples:\n  rmt gain --n 256\n  rmt gain --n 256 --alpha 0.05 --layers 4\n\n" + STATUSES,
    )
    _add_matrix_arguments(parser)
    parser.add_argument("--rule", choices=("exact", "gumbel", "paper"), default="exact", help="default exact")
    parser.add_argument("--alpha", type=_number, metavar="A", help="probability of instability, in (0, 1)")
    parser.add_argument("--layers", type=_number, default=1, metavar="L", help="independent layers; default 1")
    parser.add_argument("--n-std", type=_number, default=1.0, metavar="K", help="standard deviations; default 1")
    given = parser.parse_args(arguments)
    options = {"alpha": given.alpha, "layers": given.layers, "n_std": given.n_std}
    gain = float(rescaled_gain(given.n, given.field, given.rule, **options))
    n, layers = checks.integer("n", given.n), checks.integer("layers", given.layers)
    try:
        unstable = float(SpectralRadiusLaw(n, given.field, gain).sf(1.0))
    except checks.InputError:  # beyond the reach of the exact law
        unstable = None
    if given.json:
        result = {"n": n, "field": given.field, "rule": given.rule, "alpha": given.alpha, "layers": layers}
        result |= {"n_std": float(given.n_std), "gain": gain, "p_unstable": unstable}
        _print_json(result)
        return DONE
    lines = [
        f"gain {gain:.12g}",
        f"entries of variance gain^2/n = {gain * gain / n:.6g} (n = {n}, {given.field})",
    ]
    if unstable is not None:
        lines.append(f"P(rho > 1) after rescaling: {unstable:.6g} in one layer" + _of_layers(unstable, layers))
    _print("\n".join(lines))
    return DONE


def _of_layers(unstable: float, layers: int) -> str:
    return "" if layers == 1 else f", {1 - (1 - unstable) ** layers:.6g} in any of {layers}"


def _add_matrix_arguments(parser: _Parser) -> None:
    parser.add_argument("--n", type=_number, required=True, metavar="N", help="size of W, an integer >= 1")
    parser.add_argument("--field", choices=checks.FIELDS, default="real", help="of the entries; default real")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _number(text: str) -> int | float:
    """Read an int where the text is one, else a float; what is allowed is checked by the function called."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
