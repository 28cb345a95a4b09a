"""One step of training and one batch of predictions, compiled once for all seeds and initialisations."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rmt import checks
from rmt.training.batches import Batch, in_place, in_turn
from rmt.training.config import TrainConfig
from rmt.training.model import Model
from rmt.training.optimiser import optimiser
from rmt.training.tasks import Split, accuracy, nrmse

if TYPE_CHECKING:
    import jax
    import jax.numpy as jnp
    import optax
else:
    jax = checks.optional("jax", "train")
    jnp = checks.optional("jax.numpy", "train")
    optax = checks.optional("optax", "train")


class Compiled(NamedTuple):
    """The functions of a run.

    Attributes
    ----------
    start : callable
        (parameters, state) -> carry, which has the state of the optimiser as well.
    step : callable
        (carry, batch, key) -> (carry, loss, whether the loss is finite, whether all gradients are too).
    predict : callable
        (parameters, state, batch) -> (predictions, sum of losses, whether all outputs are finite).
    """

    start: Callable
    step: Callable
    predict: Callable


class Carry(NamedTuple):
    """What changes from step to step."""

    parameters: Any
    state: Any
    optimiser: Any


def loss(kind: str, outputs: jax.Array, batch: dict[str, Any]) -> tuple[jax.Array, jax.Array]:
    """Return the sum of losses, each times its weight, and the sum of weights.

    The loss is the cross-entropy, in nats, of "classification"; for "regression" the square error, averaged over the
    dimensions of a target.
    """
    targets, weights = batch["targets"], batch["weights"]
    if kind == "classification":
        logarithms = jax.nn.log_softmax(outputs, axis=-1)
        losses = -jnp.take_along_axis(logarithms, targets[..., None], axis=-1)[..., 0]
    else:
        losses = ((outputs - targets) ** 2).mean(axis=-1)
    return (losses * weights).sum(), weights.sum()


def compiled(model: Model, kind: str, train: TrainConfig, warm_up: int, steps: int, *, late: bool = False) -> Compiled:
    """Return the functions of a run; runs that differ in initialisation, seed or length of an epoch alone share them.

    Parameters
    ----------
    model : Model
    kind : {"classification", "regression"}
    train : TrainConfig
    warm_up, steps, late
        As for :func:`rmt.training.optimiser.optimiser`.
    """
    model = dataclasses.replace(model, config=dataclasses.replace(model.config, init="glorot"))
    train = dataclasses.replace(train, seed=0, evaluate_every=None, epochs=None, steps=steps, warm_up=warm_up)
    return _compiled(model, kind, train, late)


@lru_cache(maxsize=16)
def _compiled(model: Model, kind: str, train: TrainConfig, late: bool) -> Compiled:
    rule = optimiser(train, train.warm_up, int(train.steps or 0), late=late)

    def start(parameters: Any, state: Any) -> Carry:
        parameters, state = jax.tree.map(jnp.asarray, (parameters, state))
        return Carry(parameters, state, rule.init(parameters))

    @jax.jit
    def step(carry: Carry, batch: Batch, key: jax.Array) -> tuple[Carry, jax.Array, jax.Array, jax.Array]:
        def mean_loss(parameters: Any) -> tuple[jax.Array, Any]:
            outputs, state = model(parameters, carry.state, batch["inputs"], batch["mask"], train=True, key=key)
            total, weight = loss(kind, outputs, batch)
            return total / weight, state

        (value, state), gradients = jax.value_and_grad(mean_loss, has_aux=True)(carry.parameters)
        changes, rule_state = rule.update(gradients, carry.optimiser, carry.parameters)
        after = Carry(optax.apply_updates(carry.parameters, changes), state, rule_state)
        finite = [jnp.isfinite(array).all() for array in jax.tree.leaves(gradients)]
        return after, value, jnp.isfinite(value), jnp.stack(finite).all()

    @jax.jit
    def predict(parameters: Any, state: Any, batch: Batch) -> tuple[jax.Array, jax.Array, jax.Array]:
        outputs = model(parameters, state, batch["inputs"], batch["mask"])[0]
        finite = jnp.isfinite(outputs).all()
        predictions = outputs.argmax(axis=-1) if kind == "classification" else outputs
        return predictions, loss(kind, outputs, batch)[0], finite

    return Compiled(start, step, predict)


def score(
    functions: Compiled, kind: str, carry: Any, split: Split, size: int, *, padding_counts: bool = False
) -> tuple[float, float]:
    """Return the accuracy, or the NRMSE, of a model on a split, and its mean loss.

    Parameters
    ----------
    functions : Compiled
    kind : {"classification", "regression"}
        Which of the two.
    carry : Carry, or anything with its `parameters` and `state`
    split : Split
    size : int
        Sequences in a batch.
    padding_counts : bool
        As for :func:`rmt.training.batches.batch`.

    Returns
    -------
    tuple of float
        Both NaN where an output is not finite.
    """
    predictions, losses, weight = [], 0.0, 0.0
    for batch in in_turn(split, size, padding_counts=padding_counts):
        predicted, total, finite = functions.predict(carry.parameters, carry.state, batch)
        if not finite:
            return float("nan"), float("nan")
        predicted = np.asarray(predicted)
        predictions.append(np.swapaxes(predicted, 0, 1) if split.stepwise else predicted)
        losses, weight = losses + float(total), weight + float(batch["weights"].sum())
    everything = np.concatenate(predictions)[: len(split)]
    if split.stepwise:
        everything = in_place(everything, split, padding_counts=padding_counts)
    measure = accuracy if kind == "classification" else nrmse
    return measure(everything, split), losses / weight
