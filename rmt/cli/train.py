"""`rmt train`: one training run, a table of initialisations, and a count of divergence."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rmt import checks, parallel
from rmt.cli.common import DONE, INTERRUPTED, STATUSES, Parser, complain, number, print_json, say
from rmt.cli.train_run import run, signals

ROOT = Path(__file__).parents[2]  # of a clone

HELP = """\
usage: rmt train run TASK ... | probe ... | table ...

Train linear recurrent models, and see what their initialisation does. All three need the extra `train`.

  rmt train run TASK --out DIR   one model: curves, radii of every layer, score on the test set
  rmt train probe                how often, and at which step, training diverges: no data, under two minutes
  rmt train table --out DIR      rows (initialisations) x tasks x seeds, as `rmt run experiments/table1.py`

examples:
  rmt train run pybytes --init rescaled:alpha=0.05 --steps 400 --out results/pybytes
  rmt train run imdb --preset imdb --data ~/aclImdb --out results/imdb
  rmt train probe --init glorot half rescaled --widths 64
  rmt train table --rows dense/glorot dense/rescaled --out results/table1

`rmt train run --help`, and so on, lists the options.

"""


def train(arguments: list[str], resume: str) -> int:
    """Train models: one, a table of them, or a probe of divergence."""
    commands = {"run": run, "probe": probe, "table": table}
    if not arguments or arguments[0] in ("-h", "--help"):
        say(HELP + STATUSES.rstrip())
        return DONE
    if arguments[0] not in commands:
        known = ", ".join(commands)
        raise checks.InputError(f"rmt train {arguments[0]} is no command; commands: {known} (see `rmt train --help`)")
    return commands[arguments[0]](arguments[1:], resume)


# Divergence


def probe(arguments: list[str], resume: str) -> int:
    """Count how often training diverges."""
    from rmt.training import probe as probing
    from rmt.training.runs import keep_memory

    given = _probe_parser().parse_args(arguments)
    out = None if given.out is None else Path(given.out)
    if out is not None and out.exists() and not out.is_dir():
        raise checks.InputError(f"--out must be a directory, got {given.out!r}, which is a file")
    workers = parallel.threads() if given.workers is None else given.workers
    total = len(given.init) * len(given.widths) * (given.seeds if isinstance(given.seeds, int) else 1)
    settings = {name: getattr(given, name) for name in PROBE_FIELDS}
    began, count = time.monotonic(), itertools.count(1)

    def show(found: probing.Probe) -> None:
        how = "finite" if found.diverged_at is None else f"{found.diverged} not finite at step {found.diverged_at}"
        line = f"[{next(count)}/{total}] n = {found.width}, {found.init}, seed {found.seed}: {how}"
        complain(f"{line}; largest radius {max(found.radii):.3f}; {time.monotonic() - began:.0f} s", DONE)

    keep_memory()
    with signals() as stop:
        stop.gently = True
        found = probing.probe(
            inits=given.init, widths=given.widths, workers=workers, progress=show, stop=stop.is_set, **settings
        )
    if stop.is_set():
        return complain(f"rmt: interrupted; go on with: {resume}", INTERRUPTED)
    frame = probing.table(found)
    written = []
    if out is not None:
        from rmt.tables import write_tables

        try:
            out.mkdir(parents=True, exist_ok=True)
            written = write_tables(frame, out / "probe", shown=probing.readable(frame).set_index("n"), missing="-")
        except OSError as error:
            raise checks.InputError(f"--out {given.out!r} cannot be written: {error.strerror or error}") from error
    if given.json:
        rows = [{k: None if v != v else v for k, v in row.items()} for row in frame.to_dict("records")]
        print_json({**settings, "rows": rows, "written": [str(path) for path in written]})
        return DONE
    lines = [
        f"{given.layers} layers, T = {given.length}, {given.steps} steps, {given.recurrence}, norm {given.norm}",
        probing.readable(frame).to_string(index=False),
    ]
    say("\n".join(lines + (["written by this call:", *(f"  {path}" for path in written)] if written else [])))
    return DONE


PROBE_FIELDS = ("seeds", "length", "layers", "steps", "batch", "recurrence", "norm", "d_model", "lr")


def _probe_parser() -> Parser:
    from rmt.training.probe import INITS, WIDTHS

    parser = Parser(
        prog="rmt train probe",
        description=(
            "Count how many of some runs diverge within a few steps of training, and at which step: random\n"
            "tokens, no data. Beside it the spectral radius, before training, of one layer and of the largest."
        ),
        epilog="example: rmt train probe --init glorot rescaled --widths 64 --out results/probe\n\n" + STATUSES,
    )
    add = parser.add_argument
    add("--init", nargs="+", default=list(INITS), metavar="NAME", help=f"default {' '.join(INITS)}")
    add("--widths", nargs="+", type=number, default=list(WIDTHS), metavar="N", help="d_hidden; default 64 256")
    add("--seeds", type=number, default=6, metavar="K", help="runs of each; default 6")
    add("--length", type=number, default=2048, metavar="T", help="steps of a sequence; default 2048")
    add("--layers", type=number, default=4, metavar="L", help="default 4")
    add("--steps", type=number, default=3, metavar="K", help="steps of training; default 3")
    add("--batch", type=number, default=2, metavar="B", help="sequences in a batch; default 2")
    add("--recurrence", default="dense", metavar="NAME", help="dense, diagonal or lru; default dense")
    add("--norm", default="batch", metavar="NAME", help="batch, layer, state-layer-norm or none; default batch")
    add("--d-model", type=number, default=32, metavar="D", help="dimension between the layers; default 32")
    add("--lr", type=number, default=1e-3, metavar="R", help="peak learning rate; default 0.001")
    add("--workers", type=number, metavar="N", help="runs at once; default RMT_NUM_THREADS, or the number of cores")
    add("--out", metavar="DIR", help="write probe.csv, probe.md and probe.tex into DIR")
    add("--json", action="store_true", help="print JSON")
    return parser


# The table


def table(arguments: list[str], resume: str) -> int:
    """Run the experiment table1, in the words of `rmt train`."""
    from rmt import campaign
    from rmt.campaign.progress import display
    from rmt.cli.run import report_outcome
    from rmt.training.table import SIZES, check_files, plan

    given = _table_parser().parse_args(arguments)
    options = {name: getattr(given, name) for name in ("size", "tasks", "rows", "emulate_paper")}
    options["tasks"], options["rows"] = " ".join(given.tasks or []), " ".join(given.rows or [])
    told = {"RMT_TRAIN_CHECKPOINTS": str(Path(given.out).resolve() / "checkpoints")}
    if given.data is not None:
        if not Path(given.data).exists():
            raise checks.InputError(f"--data must be a folder that is there, got {given.data!r}")
        told["RMT_DATA"] = str(Path(given.data).resolve())
    chosen = {**options, "size": "quick"} if given.quick and given.size == "default" else options
    made = plan(chosen)  # which says what is wrong with them
    check_files(SIZES[chosen["size"]], made, told.get("RMT_DATA"))
    file = ROOT / "experiments" / "table1.py"
    if file.is_file():
        experiment = campaign.load(file)
    else:  # of rmt installed without its experiments
        from rmt.training.table import experiment
    with _environment(told):  # which the workers inherit
        outcome = campaign.run(
            experiment,
            given.out,
            options=options,
            seed=given.seed,
            quick=given.quick,
            samples=given.samples,
            max_seconds=given.max_seconds,
            workers=given.workers,
            progress=display(),
        )
    return report_outcome(outcome, given.out, resume)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _table_parser() -> Parser:
    parser = Parser(
        prog="rmt train table",
        description=(
            "Train every row (an initialisation) on every task from several seeds, and write one table and the\n"
            "curves. The same as `rmt run experiments/table1.py`, but for checkpoints within a run: an interrupted\n"
            "command goes on in the middle of a training."
        ),
        epilog=(
            "A row is RECURRENCE/INIT or RECURRENCE/INIT/NORM. Sizes: default (pybytes and digits, on two cores),\n"
            "paper (listops, imdb, cifar with the paper's settings: for a GPU, with --workers 1), quick (seconds).\n\n"
            "example: rmt train table --rows dense/glorot dense/rescaled:alpha=0.05 --out results/table1\n\n" + STATUSES
        ),
    )
    add = parser.add_argument
    add("--out", metavar="DIR", required=True, help="directory of all results; made if absent")
    add("--size", choices=("default", "quick", "paper"), default="default", help="default default")
    add("--quick", action="store_true", help="a first look, in seconds: the size quick")
    add("--tasks", nargs="+", metavar="TASK", help="these of the size's tasks alone")
    add("--rows", nargs="+", metavar="ROW", help="these rows, in place of the size's")
    add("--samples", type=number, metavar="N", help="runs of each row; default 3")
    add("--seed", type=number, default=0, metavar="S", help="root seed, an integer; default 0")
    add("--emulate-paper", action="store_true", help="repeat the faults of the published code")
    add("--data", metavar="DIR", help="folder of the data, for tasks that read some")
    add("--workers", type=number, metavar="N", help="how many; default RMT_NUM_THREADS, or the number of cores")
    add("--max-seconds", type=number, metavar="S", help="begin nothing new after S seconds; exit status 75")
    return parser
