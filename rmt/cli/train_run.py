"""`rmt train run`: one training run, from its options to its files, through interruptions."""

from __future__ import annotations

import argparse
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmt import checks
from rmt.cli.common import DONE, INTERRUPTED, STATUSES, Parser, complain, number, print_json, say

if TYPE_CHECKING:
    from rmt.training.config import Config
    from rmt.training.result import FitResult
    from rmt.training.tasks import Task

# Field of ModelConfig or TrainConfig -> what it is; types and defaults are theirs.
FIELDS = {
    "recurrence": "dense, diagonal or lru; default dense",
    "init": "how it is drawn: glorot, half, half-variance, uniform, ring, truncated, rescaled, exact:RHO, with "
    "options as in rescaled:alpha=0.05; default rescaled",
    "norm": "batch, layer, state-layer-norm or none; default batch",
    "d_model": "dimension between the layers; default 64",
    "d_hidden": "dimension of the state; default 64",
    "layers": "number of recurrences; default 2",
    "dropout": "probability; default 0",
    "encoder": "one-hot or embedding; default one-hot",
    "pooling": "mean or last; default as the task says",
    "scan": "auto, sequential or associative; default auto",
    "batch": "sequences in a batch; default 32",
    "epochs": "how long, in epochs",
    "steps": "how long, in steps; default 1000",
    "warm_up": "of the learning rate, in what the length is given in; default a tenth",
    "lr": "peak learning rate; default 0.001",
    "lr_factor": "that of the recurrence, in units of --lr; default 0.05",
    "lr_min": "learning rate at the end; default 1e-7",
    "weight_decay": "default 0.05",
    "clip": "norm that the gradient is cut to; default none",
    "evaluate_every": "steps between evaluations; default a tenth of all, or an epoch",
    "seed": "of initialisation, batches and dropout; default 0",
}
# What of a task is no matter of --option, and what to do instead.
OWN = {
    "data": ": use --data",
    "length": ": use --length",
    "size": ": use --size",
    "seed": ": use --data-seed",
    "name": ", which is TASK",
    "progress": ", which the command sets",
}
TEXT = ("recurrence", "init", "norm", "encoder", "pooling", "scan")


def run(arguments: list[str], resume: str) -> int:
    """Train one model."""
    given = _parser().parse_args(arguments)
    out = Path(given.out)
    if out.exists() and not out.is_dir():
        raise checks.InputError(f"--out must be a directory, got {given.out!r}, which is a file")
    config = configuration(given)
    checks.real("checkpoint_seconds", given.checkpoint_seconds, at_least=0)
    deadline = _deadline(given.max_seconds)
    from rmt.training.progress import display
    from rmt.training.tasks import load_task, task_function

    task_function(given.task)
    options = _options(given.option or [])
    common = {"data": given.data, "length": given.length, "size": given.size, "seed": given.data_seed}
    checks.optional("jax", "train")
    from rmt.training.fit import fit
    from rmt.training.runs import keep_memory
    from rmt.training.writing import description, write

    keep_memory()
    shown = display()
    with signals() as stop:
        task = load_task(given.task, **common, progress=shown.message, **options)
        stop.gently = True
        with shown:
            result = fit(
                task,
                config,
                folder=out / "checkpoints",
                checkpoint_seconds=given.checkpoint_seconds,
                progress=shown,
                stop=lambda: stop.is_set() or time.monotonic() >= deadline,
            )
    if not result.complete:
        why = "interrupted" if stop.is_set() else "out of time"
        where = f"step {result.step:,} of {result.steps:,} is kept in {given.out}"
        return complain(f"rmt: {why}; {where}; go on with: {resume}", INTERRUPTED)
    written = write(result, task, out)
    if given.json:
        print_json({**description(result, task), "written": [str(path) for path in written]})
    else:
        say("\n".join([*sentences(result, task), "written by this call:", *(f"  {path}" for path in written)]))
    return DONE


def sentences(result: FitResult, task: Task) -> list[str]:
    """Say what a run came to."""
    model, measure = result.config.model, "accuracy" if result.kind == "classification" else "NRMSE"
    what = f"{model.layers} x {model.recurrence}, {model.init}, norm {model.norm}, n = {model.d_hidden}"
    lines = [f"{result.task}, T = {task.steps:,}: {what}; {result.n_parameters:,} parameters"]
    if result.diverged_at is not None:
        lines.append(f"Diverged: the {result.diverged} was not finite at step {result.diverged_at:,}.")
    if result.best is not None and result.test is not None:
        chosen = f"the best of {len(result.history) - 1} evaluations, at step {result.best.step:,}"
        lines.append(f"{measure} on the test set {result.test:.4f}; validation {result.best.validation:.4f}, {chosen}")
    reached = ", ".join(f"{name} {value:.4f}" for name, value in task.baselines.items())
    lines += [f"baselines: {reached}"] if reached else []
    first, last = (" ".join(f"{radius:.4f}" for radius in result.history[i].radii) for i in (0, -1))
    lines.append(f"spectral radius of each layer: {first} before training, {last} at step {result.history[-1].step:,}")
    if result.moved_eigenvalues:
        lines.append(f"{result.moved_eigenvalues} eigenvalues were moved into the disc, where an LRU can start from")
    if result.seconds_per_step == result.seconds_per_step:
        lines.append(f"{result.seconds_per_step:.3g} s a step on {result.environment['device']}")
    return lines


def configuration(given: argparse.Namespace) -> Config:
    """Return the configuration that the options describe."""
    from rmt.training.config import Config, TrainConfig, preset

    changes = {name: getattr(given, name) for name in FIELDS if getattr(given, name) is not None}
    changes |= {"emulate_paper": True} if given.emulate_paper else {}
    if given.preset is not None:
        return preset(given.preset, **changes)
    length = changes.get("epochs") if "epochs" in changes else changes.get("steps", 1000)
    if "warm_up" not in changes:
        changes["warm_up"] = int(length) // 10 if isinstance(length, (int, float)) else 0
    if "epochs" in changes and "steps" in changes:
        TrainConfig(epochs=changes["epochs"], steps=changes["steps"])  # which says that both are too much
    return Config(train=TrainConfig(steps=1000)).changed(**changes)


def option(text: str) -> tuple[str, Any]:
    """Read NAME=VALUE: the value is true or false, a number, or text."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise checks.InputError(f"--option must be NAME=VALUE, as in enlarge=4, got {text!r}")
    if value.lower() in ("true", "false"):
        return name, value.lower() == "true"
    try:
        return name, number(value)
    except argparse.ArgumentTypeError:
        return name, value


def _options(texts: list[str]) -> dict[str, Any]:
    """Read all NAME=VALUE; those that have an option of the command to themselves are refused."""
    options: dict[str, Any] = {}
    for name, value in map(option, texts):
        if name in OWN:
            raise checks.InputError(f"--option cannot set {name!r}{OWN[name]}")
        if name in options:
            raise checks.InputError(f"--option must name each option once, got {name!r} again")
        options[name] = value
    return options


def _parser() -> Parser:
    parser = Parser(
        prog="rmt train run",
        usage="rmt train run TASK --out DIR [options]",
        description=(
            "Train one model, choose its best evaluation on the validation set, score that on the test set.\n"
            "The same command again goes on where it was interrupted, also after a kill. Divergence, a loss or\n"
            "a gradient that is not finite, ends the run and is its result."
        ),
        epilog=(
            "tasks: listops, imdb, cifar, digits, pybytes, adding, copy, mackey_glass, lorenz, sunspots\n\n"
            "example: rmt train run pybytes --length 1024 --init half --steps 400 --out results/half\n\n" + STATUSES
        ),
    )
    parser.add_argument("task", metavar="TASK", help="what is learnt")
    add = parser.add_argument
    add("--out", metavar="DIR", required=True, help="folder of checkpoints and results; made if absent")
    add("--preset", metavar="NAME", help="the paper's settings: cifar, listops or imdb; other options change them")
    for name, text in FIELDS.items():
        kind: Any = str if name in TEXT else number
        add("--" + name.replace("_", "-"), type=kind, metavar="X" if kind is number else "NAME", help=text)
    add("--emulate-paper", action="store_true", help="repeat the faults of the published code")
    add("--data", metavar="PATH", help="folder or file of the data, for tasks that read some")
    add("--length", type=number, metavar="T", help="steps of a sequence; default as the task is usually run")
    add("--size", type=number, metavar="N", help="sequences to train on; default as the task is usually run")
    add("--data-seed", type=number, default=0, metavar="S", help="of what is random in the data; default 0")
    add("--option", action="append", metavar="NAME=VALUE", help="another option of the task; may be repeated")
    add("--checkpoint-seconds", type=number, default=60.0, metavar="S", help="between checkpoints; default 60")
    add("--max-seconds", type=number, metavar="S", help="stop after S seconds; exit status 75")
    add("--json", action="store_true", help="print JSON")
    return parser


class Stop(threading.Event):
    """Set by a signal; before there is anything to keep, a signal ends the command at once."""

    gently = False


@contextmanager
def signals() -> Iterator[Stop]:
    """Take SIGINT and SIGTERM: the first one is noted, the second interrupts as usual."""
    stop = Stop()

    def on_signal(number: int, frame: object) -> None:
        if stop.is_set() or not stop.gently:
            raise KeyboardInterrupt
        stop.set()

    earlier = {}
    if threading.current_thread() is threading.main_thread():
        earlier = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for signum, handler in earlier.items():
            signal.signal(signum, signal.SIG_DFL if handler is None else handler)


def _deadline(max_seconds: Any) -> float:
    return float("inf") if max_seconds is None else time.monotonic() + checks.real("max_seconds", max_seconds, above=0)
