"""What a training run is: the model, how it is trained, and the settings of the paper."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rmt import checks
from rmt.training.initialise import Initialisation

RECURRENCES = ("dense", "diagonal", "lru")
NORMS = ("batch", "layer", "state-layer-norm", "none")
ENCODERS = ("one-hot", "embedding")
POOLINGS = ("mean", "last")
SCANS = ("auto", "sequential", "associative")

# What `emulate_paper` brings back, fault by fault.
FAULTS = {
    "uniform": "uniform eigenvalues are u exp(2 pi i u) with one u for radius and angle: a spiral that is denser "
    "towards 0, not the disc",
    "half": "'half' divides by sqrt(2), not by two",
    "padding": "steps of padding count as any others, in the mean pool and in the batch norm",
    "selection": "the best epoch is the one that is best on the test set",
    "schedule": "each step takes the learning rate of the step before it, and the first one the peak rate: no warm-up",
}


def _canonical(config: Any, **values: Any) -> None:
    for name, value in values.items():
        object.__setattr__(config, name, value)


@dataclass(frozen=True)
class ModelConfig:
    """A stack of linear recurrences h_t = A h_{t-1} + B u_t, y_t = C h_t + D u_t, and what is around each.

    Parameters
    ----------
    recurrence : {"dense", "diagonal", "lru"}
        A real matrix; complex eigenvalues, held as real and imaginary parts; or those of a linear recurrent unit,
        lambda = exp(-exp(nu_log) + i exp(theta_log)), with inputs multiplied by exp(gamma_log).
    init : str
        How A is drawn, as :class:`rmt.training.initialise.Initialisation` reads it: "rescaled:alpha=0.05", say.
    norm : {"batch", "layer", "state-layer-norm", "none"}
        What is before each recurrence: batch norm over the sequences and steps of a batch, layer norm, or none.
        "state-layer-norm" has the batch norm and a layer norm of the state itself, h_t = LN(A h_{t-1} + B u_t), of
        which complex states take real and imaginary parts as 2 d_hidden numbers.
    d_model, d_hidden, layers : int
        Dimension of u and y, of h, and number of recurrences.
    dropout : float
        Probability, 0 <= dropout < 1, that a coordinate is left out; it is so at all steps of a sequence.
    encoder : {"one-hot", "embedding"}
        What tokens become before the first dense layer: unit vectors, or learned vectors of dimension d_model. Real
        inputs go to the dense layer as they are.
    pooling : {"mean", "last"}, optional
        What is read of a sequence with one target; by default what the task says.
    scan : {"auto", "sequential", "associative"}
        How the recurrence is computed. "auto" is sequential on a CPU and with "state-layer-norm", which is not linear,
        and associative elsewhere.

    Raises
    ------
    InputError
        If a value is out of its range, or "associative" is asked for with "state-layer-norm".

    References
    ----------
    Orvieto et al. (2023), arXiv 2303.06349, for the architecture; Bar et al. (2025), arXiv 2505.19827, for its use
    with A drawn as a matrix or as its eigenvalues.

    Examples
    --------
    >>> from rmt.training.config import ModelConfig
    >>> ModelConfig(recurrence="diagonal", init="uniform", d_hidden=128).norm
    'batch'
    """

    recurrence: str = "dense"
    init: str = "rescaled"
    norm: str = "batch"
    d_model: int = 64
    d_hidden: int = 64
    layers: int = 2
    dropout: float = 0.0
    encoder: str = "one-hot"
    pooling: str | None = None
    scan: str = "auto"

    def __post_init__(self) -> None:
        _canonical(
            self,
            recurrence=checks.choice("recurrence", self.recurrence, RECURRENCES),
            init=str(Initialisation.parse(self.init)),
            norm=checks.choice("norm", self.norm, NORMS),
            d_model=checks.integer("d_model", self.d_model),
            d_hidden=checks.integer("d_hidden", self.d_hidden),
            layers=checks.integer("layers", self.layers),
            dropout=checks.real("dropout", self.dropout, at_least=0, below=1),
            encoder=checks.choice("encoder", self.encoder, ENCODERS),
            pooling=None if self.pooling is None else checks.choice("pooling", self.pooling, POOLINGS),
            scan=checks.choice("scan", self.scan, SCANS),
        )
        if self.norm == "state-layer-norm" and self.scan == "associative":
            raise checks.InputError(
                "scan must be 'sequential' or 'auto' with norm 'state-layer-norm', which makes the recurrence "
                "nonlinear, got 'associative'"
            )


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained: Adam, warm-up, cosine.

    The recurrence (A or its parameters, and B) has Adam at ``lr * lr_factor``; all else has AdamW at ``lr``. Both
    rates rise linearly during the warm-up and fall as a cosine to `lr_min`.

    Parameters
    ----------
    batch : int
        Sequences in a batch. The last batch of an epoch is left out where it is not full.
    epochs, steps : int, optional
        How long: exactly one of the two is given.
    warm_up : int
        Length of the warm-up, in epochs or in steps, whichever is given.
    lr, lr_factor, lr_min : float
        Peak rate; that of the recurrence in its units; the rate at the end, of both.
    weight_decay : float
        Of AdamW.
    clip : float, optional
        Norm that all gradients together are cut to; by default they are not.
    evaluate_every : int, optional
        Steps between evaluations; by default an epoch, or, where `steps` is given, a tenth of them.
    seed : int
        Of initialisation, order of batches, and dropout.

    Raises
    ------
    InputError
        If a value is out of its range.

    Examples
    --------
    >>> from rmt.training.config import TrainConfig
    >>> TrainConfig(steps=600, warm_up=60).lr
    0.001
    """

    batch: int = 32
    epochs: int | None = None
    steps: int | None = None
    warm_up: int = 0
    lr: float = 1e-3
    lr_factor: float = 0.05
    lr_min: float = 1e-7
    weight_decay: float = 0.05
    clip: float | None = None
    evaluate_every: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise checks.InputError(
                f"epochs or steps must be given, and not both, got epochs={self.epochs!r}, steps={self.steps!r}"
            )
        name = "epochs" if self.steps is None else "steps"
        length = checks.integer(name, getattr(self, name))
        lr = checks.real("lr", self.lr, above=0)
        lr_factor = checks.real("lr_factor", self.lr_factor, above=0)
        _canonical(
            self,
            batch=checks.integer("batch", self.batch),
            **{name: length},
            warm_up=checks.integer("warm_up", self.warm_up, minimum=0, maximum=length),
            lr=lr,
            lr_factor=lr_factor,
            lr_min=checks.real("lr_min", self.lr_min, at_least=0, at_most=min(lr, lr * lr_factor)),
            weight_decay=checks.real("weight_decay", self.weight_decay, at_least=0),
            clip=None if self.clip is None else checks.real("clip", self.clip, above=0),
            evaluate_every=None
            if self.evaluate_every is None
            else checks.integer("evaluate_every", self.evaluate_every),
            seed=checks.integer("seed", self.seed, minimum=0, maximum=2**32 - 1),
        )


@dataclass(frozen=True)
class Config:
    """A model and how it is trained.

    Parameters
    ----------
    model : ModelConfig
        The recurrence, its initialisation and sizes.
    train : TrainConfig
        Batches, steps and rates.
    emulate_paper : bool
        Whether to repeat the deterministic faults of the published code, which are listed in `FAULTS`: the spiral of
        "uniform", "half" as a division by sqrt(2), padding that counts, the best epoch chosen on the test set, and a
        learning rate that is late by one step.

    Raises
    ------
    InputError
        If a part is not of its class.

    Examples
    --------
    >>> from rmt.training.config import Config, preset
    >>> config = preset("imdb", init="half", epochs=10, warm_up=1)
    >>> config.model.d_model, config.model.init, config.train.batch, config.train.epochs
    (192, 'half', 32, 10)
    >>> Config.of(config.description()) == config
    True
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=lambda: TrainConfig(steps=1000, warm_up=100))
    emulate_paper: bool = False

    def __post_init__(self) -> None:
        for name, kind in (("model", ModelConfig), ("train", TrainConfig), ("emulate_paper", bool)):
            if not isinstance(getattr(self, name), kind):
                raise checks.InputError(f"{name} must be a {kind.__name__}, got {getattr(self, name)!r}")

    def description(self) -> dict[str, Any]:
        """Return the same as nested dicts of plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def of(cls, description: Mapping[str, Any]) -> Config:
        """Return the configuration of a :meth:`description`."""
        return cls(
            ModelConfig(**description["model"]), TrainConfig(**description["train"]), description["emulate_paper"]
        )

    def changed(self, **changes: Any) -> Config:
        """Return the configuration with some fields of its model or training replaced, by their names.

        Of `epochs` and `steps`, the one that is given replaces the other. Where that changes what `warm_up` counts,
        and it is not given, it becomes a tenth of the length.

        Raises
        ------
        InputError
            If no field has the name, or a value is out of its range.
        """
        if changes.get("steps") is not None:
            changes.setdefault("epochs", None)
        elif changes.get("epochs") is not None:
            changes.setdefault("steps", None)
        length = next((name for name in ("steps", "epochs") if changes.get(name) is not None), None)
        if length is not None and getattr(self.train, length) is None and "warm_up" not in changes:
            changes["warm_up"] = checks.integer(length, changes[length]) // 10
        parts: dict[str, Any] = {}
        for part in ("model", "train"):
            present = getattr(self, part)
            names = [entry.name for entry in dataclasses.fields(present) if entry.name in changes]
            parts[part] = dataclasses.replace(present, **{name: changes.pop(name) for name in names})
        parts["emulate_paper"] = changes.pop("emulate_paper", self.emulate_paper)
        if changes:
            raise checks.InputError(f"{min(changes)} is not a field of ModelConfig, TrainConfig or Config")
        return Config(**parts)


def _paper(model: int, hidden: int, batch: int, epochs: int, warm_up: int, factor: float, dropout: float) -> Config:
    return Config(
        ModelConfig(d_model=model, d_hidden=hidden, layers=6, dropout=dropout),
        TrainConfig(batch=batch, epochs=epochs, warm_up=warm_up, lr_factor=factor),
    )


# The settings of the paper for Long Range Arena; base rate 1e-3, weight decay 0.05, six layers in all.
PRESETS = {
    "cifar": _paper(512, 384, 50, 180, 18, 0.025, 0.1),
    "listops": _paper(256, 192, 32, 50, 5, 0.05, 0.0),
    "imdb": _paper(192, 256, 32, 65, 7, 0.025, 0.1),
}


def preset(name: str, **changes: Any) -> Config:
    """Return the settings of the paper for a task, with some fields replaced.

    Parameters
    ----------
    name : {"cifar", "listops", "imdb"}
        The task.
    **changes
        Fields of :class:`ModelConfig`, :class:`TrainConfig` or :class:`Config`.

    Returns
    -------
    Config

    Raises
    ------
    InputError
        If there is no such preset or field, or a value is out of its range.

    References
    ----------
    Bar et al. (2025), arXiv 2505.19827, table 1 and its code.

    Examples
    --------
    >>> from rmt.training.config import preset
    >>> preset("listops").train.warm_up
    5
    """
    return PRESETS[checks.choice("preset", name, tuple(PRESETS))].changed(**changes)
