"""The optimiser: Adam for the recurrence and AdamW for the rest, with warm-up and cosine."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rmt import checks
from rmt.training.config import TrainConfig
from rmt.training.model import RECURRENT

if TYPE_CHECKING:
    import jax
    import jax.numpy as jnp
    import optax
else:
    jax = checks.optional("jax", "train")
    jnp = checks.optional("jax.numpy", "train")
    optax = checks.optional("optax", "train")


def schedule(peak: float, lr_min: float, warm_up: int, steps: int, *, late: bool = False) -> Callable[[Any], Any]:
    """Return the learning rate as a function of the step 0, 1, ..., steps - 1.

    Parameters
    ----------
    peak, lr_min : float
        Largest rate, and the one that the cosine tends to.
    warm_up, steps : int
        Step k < warm_up has the rate peak * (k + 1) / warm_up; a later one that of half a cosine from `peak` at the
        step `warm_up` to `lr_min` at the step `steps`, one after the last.
    late : bool
        Whether each step has the rate of the step before it, and the first one `peak`, as in the published code.

    Returns
    -------
    callable

    Examples
    --------
    >>> from rmt.training.optimiser import schedule
    >>> rate = schedule(1.0, 0.0, 2, 6)
    >>> [round(float(rate(step)), 3) for step in range(6)]
    [0.5, 1.0, 1.0, 0.854, 0.5, 0.146]
    """

    def rate(step: Any) -> Any:
        step = jnp.asarray(step)
        rising = peak * (step + 1) / max(warm_up, 1)
        passed = jnp.clip((step - warm_up) / max(steps - warm_up, 1), 0, 1)
        falling = lr_min + (peak - lr_min) * (1 + jnp.cos(jnp.pi * passed)) / 2
        return jnp.where(step < warm_up, rising, falling)

    return (lambda step: jnp.where(jnp.asarray(step) == 0, peak, rate(jnp.asarray(step) - 1))) if late else rate


def groups(parameters: Any) -> Any:
    """Return the same tree with the name of its group, "recurrent" or "rest", for each parameter."""

    def group(path: tuple, _: Any) -> str:
        return "recurrent" if getattr(path[-1], "key", None) in RECURRENT else "rest"

    return jax.tree_util.tree_map_with_path(group, parameters)


def optimiser(config: TrainConfig, warm_up: int, steps: int, *, late: bool = False) -> optax.GradientTransformation:
    """Return the optimiser of a run.

    Parameters
    ----------
    config : TrainConfig
        Rates, weight decay, clipping.
    warm_up, steps : int
        Of the :func:`schedule`, in steps.
    late : bool
        As for :func:`schedule`.

    Returns
    -------
    optax.GradientTransformation

    References
    ----------
    Kingma & Ba (2015), ICLR; Loshchilov & Hutter (2019), ICLR.
    """
    peaks = {"recurrent": config.lr * config.lr_factor, "rest": config.lr}
    rates = {name: schedule(peak, config.lr_min, warm_up, steps, late=late) for name, peak in peaks.items()}
    parts = optax.multi_transform(
        {
            "recurrent": optax.adam(rates["recurrent"]),
            "rest": optax.adamw(rates["rest"], weight_decay=config.weight_decay),
        },
        groups,
    )
    return parts if config.clip is None else optax.chain(optax.clip_by_global_norm(config.clip), parts)
