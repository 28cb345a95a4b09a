"""How soon training diverges, over initialisations, widths and seeds: a few steps on random tokens, and no data."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rmt import checks
from rmt.training.config import Config, ModelConfig, TrainConfig

if TYPE_CHECKING:
    import pandas as pd

INITS = ("glorot", "half", "half-variance", "uniform", "rescaled", "rescaled:alpha=0.05")
WIDTHS = (64, 256)
VOCABULARY, CLASSES = 256, 6
DATA = 77  # the stream of the tokens, apart from those of parameters


@dataclass(frozen=True)
class Probe:
    """One run of a probe.

    Attributes
    ----------
    init : str
    width : int
        d_hidden.
    seed : int
    radii : tuple of float
        Spectral radius of each layer before training.
    diverged_at : int or None
        The first step 1, 2, ... whose loss or gradient was not finite.
    diverged : {"loss", "gradient"} or None
        Which of them.
    losses : tuple of float
        Of each step.
    """

    init: str
    width: int
    seed: int
    radii: tuple[float, ...]
    diverged_at: int | None
    diverged: str | None
    losses: tuple[float, ...]


def probe(
    *,
    inits: Sequence[str] = INITS,
    widths: Sequence[int] = WIDTHS,
    seeds: int = 6,
    length: int = 2048,
    layers: int = 4,
    steps: int = 3,
    batch: int = 2,
    recurrence: str = "dense",
    norm: str = "batch",
    d_model: int = 32,
    lr: float = 1e-3,
    workers: int = 2,
    progress: Callable[[Probe], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> list[Probe]:
    """Train a few steps on random tokens from each initialisation, width and seed, and see which runs stay finite.

    Parameters
    ----------
    inits : sequence of str
        As :class:`rmt.training.Initialisation` reads them.
    widths : sequence of int
        d_hidden.
    seeds : int
        Runs from the seeds 0, 1, ... of each.
    length : int
        T, the steps of a sequence.
    layers, recurrence, norm, d_model
        Of the model, as for :class:`rmt.training.ModelConfig`.
    steps, batch, lr
        Of the training, as for :class:`rmt.training.TrainConfig`; the rate is constant but for the cosine.
    workers : int
        Runs at once, which change no result.
    progress : callable, optional
        Is told of each run as it ends.
    stop : callable, optional
        Asked before each run; where it returns true, those that have not begun are left out.

    Returns
    -------
    list of Probe
        By width, initialisation and seed.

    Raises
    ------
    InputError
        If a value is out of its range.
    MissingExtraError
        If JAX or optax is not installed.

    Examples
    --------
    >>> from rmt.training.probe import probe
    >>> runs = probe(inits=["half"], widths=[8], seeds=2, length=32, layers=1, steps=2)
    >>> [(run.init, run.width, run.seed, run.diverged_at) for run in runs]
    [('half', 8, 0, None), ('half', 8, 1, None)]
    """
    configs = [
        configuration(
            init,
            width,
            layers=layers,
            steps=steps,
            batch=batch,
            recurrence=recurrence,
            norm=norm,
            d_model=d_model,
            lr=lr,
        )
        for width, init in itertools.product(widths, inits)
    ]
    length = checks.integer("length", length)
    wanted = list(itertools.product(configs, range(checks.integer("seeds", seeds))))
    workers = checks.integer("workers", workers)
    checks.optional("optax", "train")
    checks.optional("jax", "train")

    def one(job: tuple[Config, int]) -> Probe | None:
        if stop is not None and stop():
            return None
        found = run(*job, length)
        if progress is not None:
            progress(found)
        return found

    with ThreadPoolExecutor(workers) as pool:
        return [found for found in pool.map(one, wanted) if found is not None]


def configuration(
    init: str,
    width: int,
    *,
    layers: int = 4,
    steps: int = 3,
    batch: int = 2,
    recurrence: str = "dense",
    norm: str = "batch",
    d_model: int = 32,
    lr: float = 1e-3,
) -> Config:
    """Return the configuration of a run, checked."""
    model = ModelConfig(recurrence, init, norm, d_model, width, layers)
    return Config(model, TrainConfig(batch=batch, steps=steps, lr=lr))


def run(config: Config, seed: int, length: int) -> Probe:
    """Train from one seed until a step is not finite, or to the last.

    Parameters
    ----------
    config : Config
        With `steps`.
    seed : int
        Of parameters and tokens.
    length : int
        T, the steps of a sequence.

    Returns
    -------
    Probe
    """
    import jax

    from rmt.training.model import Model
    from rmt.training.steps import compiled

    steps, batch = int(config.train.steps or 0), config.train.batch
    model = Model(config.model, VOCABULARY, True, CLASSES, "mean")
    functions = compiled(model, "classification", config.train, 0, steps)
    carry = functions.start(*model.initial(seed))
    radii = tuple(model.radii(carry.parameters))
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(DATA,)))
    key, losses, diverged = jax.random.key(seed), [], None
    for step in range(steps):
        tokens = {
            "inputs": rng.integers(VOCABULARY, size=(length, batch)).astype(np.int32),
            "mask": np.ones((length, batch), np.float32),
            "targets": rng.integers(CLASSES, size=batch).astype(np.int32),
            "weights": np.ones(batch, np.float32),
        }
        carry, loss, finite_loss, finite = functions.step(carry, tokens, jax.random.fold_in(key, step))
        losses.append(float(loss))
        if not (finite_loss and finite):
            diverged = "loss" if not finite_loss else "gradient"
            break
    model_config = config.model
    at = len(losses) if diverged else None
    return Probe(model_config.init, model_config.d_hidden, seed, radii, at, diverged, tuple(losses))


def table(found: Sequence[Probe]) -> pd.DataFrame:
    """Return a line for each width and initialisation.

    Returns
    -------
    DataFrame
        "n", "init", "runs", "diverged" (how many), "first_step" and "last_step" (of divergence; NaN without any),
        "radius" and "radius_sd" (of one layer), "radius_max" (mean over runs of the largest of a network),
        "unstable" (runs with a layer of radius above 1).
    """
    import pandas as pd

    lines = []
    for (width, init), group in itertools.groupby(found, key=lambda entry: (entry.width, entry.init)):
        runs = list(group)
        at = [entry.diverged_at for entry in runs if entry.diverged_at is not None]
        radii = np.array([entry.radii for entry in runs])
        lines.append(
            {
                "n": width,
                "init": init,
                "runs": len(runs),
                "diverged": len(at),
                "first_step": min(at, default=math.nan),
                "last_step": max(at, default=math.nan),
                "radius": radii.mean(),
                "radius_sd": radii.std(ddof=1) if radii.size > 1 else math.nan,
                "radius_max": radii.max(axis=1).mean(),
                "unstable": int((radii.max(axis=1) > 1).sum()),
            }
        )
    return pd.DataFrame(lines)


def readable(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table for readers."""
    import pandas as pd

    def line(r: Any) -> dict[str, str]:
        steps = f"{r.first_step:.0f}" if r.first_step == r.last_step else f"{r.first_step:.0f}-{r.last_step:.0f}"
        return {
            "n": str(r.n),
            "init": r.init,
            "diverged": f"{r.diverged} of {r.runs}",
            "first step": steps if r.diverged else "-",
            "ρ of a layer": f"{r.radius:.3f} ± {r.radius_sd:.3f}",
            "largest ρ of a network": f"{r.radius_max:.3f}",
            "networks with ρ > 1": f"{r.unstable} of {r.runs}",
        }

    return pd.DataFrame([line(r) for r in frame.itertuples()])
