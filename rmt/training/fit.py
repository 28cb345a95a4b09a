"""One training run: from a task and a configuration to a result, through any number of interruptions."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import rmt.training.batches as batches
from rmt import checks
from rmt.training import checkpoints
from rmt.training.config import Config
from rmt.training.model import Model, moved_eigenvalues
from rmt.training.result import Evaluation, FitResult, Progress, better
from rmt.training.steps import Carry, compiled, score
from rmt.training.tasks import Task
from rmt.training.tasks.base import content_hash

if TYPE_CHECKING:
    import jax
else:
    jax = checks.optional("jax", "train")


def fit(
    task: Task,
    config: Config,
    *,
    folder: Path | str | None = None,
    checkpoint_seconds: float = 60.0,
    progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> FitResult:
    """Train one model, choose its best epoch on the validation set, and score that on the test set.

    Every step is looked at: a loss or a gradient that is not finite ends the run, and is its result. On a CPU the
    result depends on the task, the configuration and the versions of libraries alone, to the bit: not on where the run
    was interrupted.

    Parameters
    ----------
    task : Task
        What is learnt.
    config : Config
        The model and how it is trained.
    folder : path, optional
        Where checkpoints are kept. A run that has some there goes on from the newest; a run that is complete is not
        repeated.
    checkpoint_seconds : float
        A checkpoint is written after each evaluation, and after a step where this time has passed.
    progress : callable, optional
        Called after each step with a :class:`Progress`.
    stop : callable, optional
        Asked after each step; where it returns true, a checkpoint is written and the run returns, not complete.

    Returns
    -------
    FitResult

    Raises
    ------
    InputError
        If there are fewer sequences than a batch takes, or `folder` holds another run.
    MissingExtraError
        If JAX or optax is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from rmt.training import Config, ModelConfig, TrainConfig
    >>> from rmt.training.fit import fit
    >>> from rmt.training.tasks import Split, Task
    >>> bits = np.random.default_rng(0).integers(0, 2, (64, 8))
    >>> split = Split(bits, np.full(64, 8, np.int32), bits[:, -1].astype(np.int32))      # which bit is the last?
    >>> task = Task("last bit", "classification", "last", 2, 2, split, split, split, {}, {})
    >>> model = ModelConfig(d_model=8, d_hidden=8, layers=1)
    >>> result = fit(task, Config(model, TrainConfig(steps=30, lr=0.01)))
    >>> result.complete, result.test, result.losses.shape
    (True, 1.0, (30,))
    """
    checks.real("checkpoint_seconds", checkpoint_seconds, at_least=0)
    run = _Run(task, config, None if folder is None else Path(folder))
    run.begin()
    saved = time.monotonic()
    while not run.finished:
        run.advance()
        evaluation = run.evaluate() if run.step in run.evaluations and not run.diverged else None
        if run.step == run.steps or run.diverged:
            run.conclude()
        halted = stop is not None and stop()
        if evaluation or run.finished or halted or time.monotonic() - saved >= checkpoint_seconds:
            run.save()
            saved = time.monotonic()
        if progress is not None:
            progress(Progress(run.step, run.steps, run.losses[-1], run.wall[-1], evaluation))
        if halted:
            break
    return run.result()


@dataclass
class _Run:
    """A run in progress."""

    task: Task
    config: Config
    folder: Path | None
    step: int = 0
    losses: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)  # seconds of each step
    cpu: list[float] = field(default_factory=list)
    timed: list[bool] = field(default_factory=list)  # whether the times are those of the step alone
    history: list[Evaluation] = field(default_factory=list)
    best: Evaluation | None = None
    chosen: Carry | None = None  # parameters and state of `best`
    diverged: str | None = None
    finished: bool = False
    test: float | None = None

    def __post_init__(self) -> None:
        task, train = self.task, self.config.train
        self.epoch = len(task.train) // train.batch
        if self.epoch == 0:
            raise checks.InputError(
                f"batch must be at most the {len(task.train)} sequences of train, got {train.batch}"
            )
        if train.epochs is not None:
            self.steps, warm_up = train.epochs * self.epoch, train.warm_up * self.epoch
        else:
            self.steps, warm_up = int(train.steps or 0), train.warm_up
        every = train.evaluate_every or (self.epoch if train.epochs is not None else max(1, self.steps // 10))
        self.evaluations = {*range(every, self.steps, every), self.steps}
        faulty = self.config.emulate_paper
        pooling = self.config.model.pooling
        readout = task.readout if task.readout == "steps" or pooling is None else pooling
        self.model = Model(self.config.model, task.input_size, task.vocabulary is not None, task.n_outputs, readout)
        self.functions = compiled(self.model, task.kind, train, warm_up, self.steps, late=faulty)
        self.key = jax.random.key(train.seed)
        self.carry = self.functions.start(*self.model.initial(train.seed, emulate_paper=faulty))
        self.fresh = True  # whether the next step compiles

    def begin(self) -> None:
        """Take up the newest checkpoint, or look at the radii before training."""
        found = None if self.folder is None else checkpoints.load(self.folder)
        if found is None:
            self.history = [self._evaluation()]
            return
        self._check(found.record["identity"])
        self.carry = jax.tree.map(jax.numpy.asarray, found.tree("now", self.carry))
        record = found.record
        self.step, self.diverged, self.finished = record["step"], record["diverged"], record["finished"]
        self.test = record["test"]
        self.history = [_evaluation(entry) for entry in record["history"]]
        self.wall, self.cpu, self.timed = (found.arrays[name].tolist() for name in ("wall", "cpu", "timed"))
        self.losses = found.arrays["losses"].tolist()
        if record["best"] is not None:
            self.best = self.history[record["best"]]
            self.chosen = found.tree("best", self._kept())

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What a checkpoint must agree with."""
        splits = self.task.splits.values()
        return {"task": self.task.name, "sha256": content_hash(*splits), **self.config.description()}

    def _check(self, stored: dict[str, Any]) -> None:
        present = self.identity
        for name, value in present.items():
            if stored.get(name) != value:
                held, asked = _difference(stored.get(name), value)
                raise checks.InputError(f"{self.folder} holds another run: {name} is {held} there, and {asked} here")

    def _kept(self) -> Carry:
        return Carry(self.carry.parameters, self.carry.state, None)

    def advance(self) -> None:
        """Take one step, unless loss or gradient are not finite."""
        epoch, place = divmod(self.step, self.epoch)
        if place == 0 or self.fresh:
            self.order = batches.order(len(self.task.train), self.config.train.seed, epoch)
        size = self.config.train.batch
        rows = self.order[place * size : (place + 1) * size]
        began = time.perf_counter(), time.process_time()
        batch = batches.batch(self.task.train, rows, padding_counts=self.config.emulate_paper)
        after, loss, finite_loss, finite = self.functions.step(
            self.carry, batch, jax.random.fold_in(self.key, self.step)
        )
        self.losses.append(float(loss))
        if not finite_loss:
            self.diverged = "loss"
        elif not finite:
            self.diverged = "gradient"
        else:
            self.carry = after
        self.wall.append(time.perf_counter() - began[0])
        self.cpu.append(time.process_time() - began[1])
        self.timed.append(not self.fresh)
        self.fresh = False
        self.step += 1

    def _score(self, split: Any, carry: Any) -> tuple[float, float]:
        size, faulty = self.config.train.batch, self.config.emulate_paper
        return score(self.functions, self.task.kind, carry, split, size, padding_counts=faulty)

    def evaluate(self) -> Evaluation:
        """Score the model as it is, and keep it where it is the best so far."""
        validation, loss = self._score(self.task.validation, self.carry)
        faulty = self.config.emulate_paper
        test = self._score(self.task.test, self.carry)[0] if faulty else None
        before = self.history[-1].step
        mean = float(np.mean(np.array(self.losses[before : self.step], np.float32), dtype=np.float64))
        entry = self._evaluation(loss=mean, validation_loss=loss, validation=validation, test=test)
        self.history.append(entry)
        judged = "test" if faulty else "validation"
        if better(self.task.kind, getattr(entry, judged), None if self.best is None else getattr(self.best, judged)):
            self.best, self.chosen = entry, self._kept()
        return entry

    def _evaluation(self, **scores: float | None) -> Evaluation:
        radii = tuple(self.model.radii(self.carry.parameters))
        names = ("loss", "validation_loss", "validation", "test")
        loss, validation_loss, validation, test = (scores.get(name) for name in names)
        return Evaluation(self.step, self.step / self.epoch, loss, validation_loss, validation, test, radii)

    def conclude(self) -> None:
        """Score the best parameters on the test set: the run is over."""
        if self.chosen is not None:
            self.test = self._score(self.task.test, self.chosen)[0]
        self.finished = True

    def save(self) -> None:
        """Write a checkpoint, where there is a place for it."""
        if self.folder is None:
            return
        trees: dict[str, Any] = {"now": self.carry}
        if self.chosen is not None:
            trees["best"] = self.chosen
        times = {"wall": self.wall, "cpu": self.cpu, "timed": self.timed}
        arrays = {name: np.array(values) for name, values in times.items()}
        record = {
            "identity": self.identity,
            "step": self.step,
            "diverged": self.diverged,
            "finished": self.finished,
            "test": self.test,
            "history": [dataclasses.asdict(entry) for entry in self.history],
            "best": None if self.best is None else self.history.index(self.best),
        }
        checkpoints.save(
            self.folder, self.step, {**trees, **arrays, "losses": np.array(self.losses, np.float32)}, record
        )

    def result(self) -> FitResult:
        """Return what there is."""
        timed = np.array(self.timed, bool)

        def median(values: list[float]) -> float:
            return float(np.median(np.array(values)[timed])) if timed.any() else math.nan

        config = self.config
        return FitResult(
            config=config,
            task=self.task.name,
            kind=self.task.kind,
            complete=self.finished,
            step=self.step - (self.diverged is not None),
            steps=self.steps,
            diverged_at=self.step if self.diverged else None,
            diverged=self.diverged,
            history=tuple(self.history),
            best=self.best,
            test=self.test,
            losses=np.array(self.losses, np.float32),
            seconds_per_step=median(self.wall),
            cpu_seconds_per_step=median(self.cpu),
            n_parameters=sum(int(np.size(leaf)) for leaf in jax.tree.leaves(self.carry.parameters)),
            moved_eigenvalues=moved_eigenvalues(config.model, config.train.seed, emulate_paper=config.emulate_paper),
            environment={"jax": jax.__version__, "device": jax.devices()[0].device_kind},
        )


def _evaluation(entry: dict[str, Any]) -> Evaluation:
    return Evaluation(**{**entry, "radii": tuple(entry["radii"])})


def _difference(stored: Any, present: Any) -> tuple[str, str]:
    """Return what differs between two values, or between two dicts of values."""
    if not (isinstance(stored, dict) and isinstance(present, dict)):
        return repr(stored), repr(present)
    names = [name for name in present if stored.get(name) != present[name]]
    held, asked = (", ".join(f"{name}={values.get(name)!r}" for name in names) for values in (stored, present))
    return held, asked
