"""Batch norm and layer norm of sequences (T, batch, d), of which some steps are padding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rmt import checks
from rmt.training.scans import EPSILON, standardised

if TYPE_CHECKING:
    import jax
    import jax.numpy as jnp
else:
    jax = checks.optional("jax", "train")
    jnp = checks.optional("jax.numpy", "train")

Parameters = dict[str, "jax.Array"]

DECAY = 0.99  # of the running statistics, per step


def affine(size: int) -> dict[str, np.ndarray]:
    """Return the parameters of a norm: scale 1 and bias 0."""
    return {"scale": np.ones(size, np.float32), "bias": np.zeros(size, np.float32)}


def running(size: int) -> dict[str, np.ndarray]:
    """Return the running statistics of a batch norm, before any batch."""
    return {
        "mean": np.zeros(size, np.float32),
        "var": np.ones(size, np.float32),
        "batches": np.zeros((), np.float32),
    }


def layer_norm(parameters: Parameters, x: jax.Array) -> jax.Array:
    """Return x with mean 0 and variance 1 over its last axis, scaled and shifted."""
    return standardised(x)[0] * parameters["scale"] + parameters["bias"]


def batch_norm(
    parameters: Parameters, state: Parameters, x: jax.Array, mask: jax.Array, *, train: bool
) -> tuple[jax.Array, Parameters]:
    """Return x with mean 0 and variance 1 of every coordinate over the valid steps, scaled and shifted.

    Parameters
    ----------
    parameters : dict
        As :func:`affine` makes them.
    state : dict
        As :func:`running` makes it: mean and variance to use when `train` is false.
    x : array of shape (T, batch, d)
        Sequences.
    mask : array of shape (T, batch, 1)
        1 for valid steps, 0 for padding.
    train : bool
        Whether mean and variance are those of this batch. They then enter the state: averages over batches whose
        weights fall by 0.99 a batch, and sum to one from the first batch on.

    Returns
    -------
    tuple of array and dict
        Sequences of the shape of x, and the state.

    References
    ----------
    Ioffe & Szegedy (2015), ICML.
    """
    mean, var = state["mean"], state["var"]
    if train:
        count = mask.sum()
        mean = (x * mask).sum(axis=(0, 1)) / count
        var = (((x - mean) * mask) ** 2).sum(axis=(0, 1)) / count
        batches = state["batches"] + 1
        share = (1 - DECAY) / (1 - DECAY**batches)
        state = {
            "mean": state["mean"] + share * (mean - state["mean"]),
            "var": state["var"] + share * (var - state["var"]),
            "batches": batches,
        }
    return (x - mean) * (jax.lax.rsqrt(var + EPSILON) * parameters["scale"]) + parameters["bias"], state
