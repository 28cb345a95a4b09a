"""The model: an encoder, a stack of recurrences with what is around each, and a readout. Parameters are plain dicts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import SeedSequence

from rmt import checks
from rmt.initializers.lru import lru_parameters
from rmt.spectra.given import spectral_radius
from rmt.training import norms, scans
from rmt.training.config import ModelConfig
from rmt.training.initialise import Initialisation, within_disc

if TYPE_CHECKING:
    import jax
    import jax.numpy as jnp
else:
    jax = checks.optional("jax", "train")
    jnp = checks.optional("jax.numpy", "train")

Tree = dict[str, Any]

# What is drawn: each kind of parameter of each layer has a stream of its own, so that two runs with one seed differ in
# what their configurations say alone.
STREAMS = ("recurrence", "B", "C", "D", "out", "encoder", "embedding", "decoder")

# The parameters that are trained at lr * lr_factor, without weight decay.
RECURRENT = ("A", "nu_log", "theta_log", "gamma_log", "B")


@dataclass(frozen=True)
class Model:
    """A model for sequences of one kind.

    Parameters
    ----------
    config : ModelConfig
    input_size : int
        The vocabulary, or the dimension of real inputs.
    tokens : bool
        Whether inputs are tokens.
    n_outputs : int
        Classes, or dimension of the target.
    readout : {"mean", "last", "steps"}
        Mean over valid steps, last step, or each step.

    Examples
    --------
    >>> import numpy as np
    >>> from rmt.training import ModelConfig
    >>> from rmt.training.model import Model
    >>> model = Model(ModelConfig(d_model=4, d_hidden=8), input_size=10, tokens=True, n_outputs=3, readout="mean")
    >>> parameters, state = model.initial(seed=0)
    >>> tokens, mask = np.zeros((20, 2), int), np.ones((20, 2), np.float32)      # 20 steps, 2 sequences
    >>> model(parameters, state, tokens, mask)[0].shape
    (2, 3)
    """

    config: ModelConfig
    input_size: int
    tokens: bool
    n_outputs: int
    readout: str

    @property
    def kind(self) -> str:
        """What the recurrence is to :mod:`rmt.training.scans`."""
        return "dense" if self.config.recurrence == "dense" else "diagonal"

    def initial(self, seed: int, *, emulate_paper: bool = False) -> tuple[Tree, Tree]:
        """Draw the parameters, and make the state that batch norms carry.

        Dense layers have normal weights of variance 1 / fan-in and no bias; B and C have variance 1 / d_model and
        1 / d_hidden, of which complex B have half in each part; D has variance 1.

        Returns
        -------
        tuple of dict
            Parameters and state, of NumPy arrays in single precision.
        """
        config = self.config

        def normal(what: str, shape: tuple[int, ...], variance: float, layer: int = 0) -> np.ndarray:
            return (_stream(seed, what, layer).standard_normal(shape) * math.sqrt(variance)).astype(np.float32)

        def dense(what: str, inputs: int, outputs: int, layer: int = 0) -> dict[str, np.ndarray]:
            return {"W": normal(what, (inputs, outputs), 1 / inputs, layer), "b": np.zeros(outputs, np.float32)}

        d, n = config.d_model, config.d_hidden
        m = n if self.kind == "dense" else 2 * n
        embedded = self.tokens and config.encoder == "embedding"
        encoder = dense("encoder", d if embedded else self.input_size, d)
        if embedded:
            encoder["E"] = normal("embedding", (self.input_size, d), 1.0)
        layers, states = [], []
        for layer in range(config.layers):
            entry: Tree = self._recurrence(_stream(seed, "recurrence", layer), emulate_paper)
            entry["B"] = normal("B", (m, d), n / m / d, layer)
            entry["C"] = normal("C", (d, m), 1 / n, layer)
            entry["D"] = normal("D", (d,), 1.0, layer)
            entry["out"] = dense("out", d, 2 * d, layer)
            if config.norm != "none":
                entry["norm"] = norms.affine(d)
            if config.norm == "state-layer-norm":
                entry["state_norm"] = norms.affine(m)
            layers.append(entry)
            states.append(norms.running(d) if config.norm in ("batch", "state-layer-norm") else {})
        decoder = dense("decoder", d, self.n_outputs)
        return {"encoder": encoder, "layers": layers, "decoder": decoder}, {"layers": states}

    def _recurrence(self, rng: np.random.Generator, emulate_paper: bool) -> Tree:
        config = self.config
        law, n = Initialisation.parse(config.init), config.d_hidden
        if self.kind == "dense":
            return {"A": law.matrix(n, rng, layers=config.layers, emulate_paper=emulate_paper).astype(np.float32)}
        eigenvalues = law.eigenvalues(n, rng, layers=config.layers, emulate_paper=emulate_paper)
        if config.recurrence == "diagonal":
            return {"A": np.stack([eigenvalues.real, eigenvalues.imag]).astype(np.float32)}
        parameters = lru_parameters(within_disc(eigenvalues)[0])._asdict()
        return {name: value.astype(np.float32) for name, value in parameters.items()}

    def __call__(
        self,
        parameters: Tree,
        state: Tree,
        inputs: Any,
        mask: Any,
        *,
        train: bool = False,
        key: jax.Array | None = None,
    ) -> tuple[jax.Array, Tree]:
        """Return the outputs for a batch, and the state after it.

        Parameters
        ----------
        parameters, state : dict
            As :meth:`initial` makes them.
        inputs : integer array of shape (T, batch), or array of shape (T, batch, d)
            Sequences, steps first. Padding comes first too: every sequence ends at step T.
        mask : array of shape (T, batch)
            1 for valid steps, 0 for padding.
        train : bool
            Whether batch norms take the statistics of this batch, and coordinates are dropped out.
        key : key of jax.random, optional
            Of the dropout; needed in training where there is one.

        Returns
        -------
        tuple of array and dict
            Outputs of shape (batch, n_outputs), or (T, batch, n_outputs) for the readout "steps"; and the state.
        """
        config, mask = self.config, jnp.asarray(mask)[..., None]
        x = self._encoded(parameters["encoder"], inputs)
        states = []
        for layer, (entry, held) in enumerate(zip(parameters["layers"], state["layers"], strict=True)):
            u = x
            if config.norm == "layer":
                u = norms.layer_norm(entry["norm"], x)
            elif config.norm != "none":
                u, held = norms.batch_norm(entry["norm"], held, x, mask, train=train)
            y = _product(self._states(entry, u, mask), entry["C"].T) + u * entry["D"]
            y = self._dropout(jax.nn.gelu(y), train, key, 2 * layer)
            value, gate = jnp.split(_product(y, entry["out"]["W"]) + entry["out"]["b"], 2, axis=-1)
            x = x + self._dropout(value * jax.nn.sigmoid(gate), train, key, 2 * layer + 1)
            states.append(held)
        if self.readout == "mean":
            x = (x * mask).sum(axis=0) / mask.sum(axis=0)
        elif self.readout == "last":
            x = x[-1]
        return _product(x, parameters["decoder"]["W"]) + parameters["decoder"]["b"], {"layers": states}

    def _encoded(self, encoder: Tree, inputs: Any) -> jax.Array:
        if not self.tokens:
            return _product(inputs, encoder["W"]) + encoder["b"]
        # What a unit vector, or a learned vector, becomes in the dense layer: a row of one table for all tokens.
        table = encoder["E"] @ encoder["W"] if "E" in encoder else encoder["W"]
        return (table + encoder["b"])[inputs]

    def _states(self, entry: Tree, u: jax.Array, mask: jax.Array) -> jax.Array:
        """Return h_t, real parts before imaginary ones where they are complex; B and C are arranged likewise."""
        v = _product(u, entry["B"].T)
        if self.config.recurrence == "lru":
            modulus, phase = jnp.exp(-jnp.exp(entry["nu_log"])), jnp.exp(entry["theta_log"])
            A = jnp.stack([modulus * jnp.cos(phase), modulus * jnp.sin(phase)])
            v = v * jnp.tile(jnp.exp(entry["gamma_log"]), 2)
        else:
            A = entry["A"]
        v = v * mask  # so that the state is 0 until a sequence begins
        if self.config.norm == "state-layer-norm":
            norm = entry["state_norm"]
            return scans.normalised_scan(self.kind, A, v, norm["scale"], norm["bias"], mask)
        return scans.linear_scan(self.kind, scans.method(self.config.scan, self.config.norm), A, v)

    def _dropout(self, x: jax.Array, train: bool, key: jax.Array | None, place: int) -> jax.Array:
        if not train or self.config.dropout == 0:
            return x
        if key is None:
            raise checks.InputError("key must be given for a model with dropout in training")
        keep = 1 - self.config.dropout
        kept = jax.random.bernoulli(jax.random.fold_in(key, place), keep, (1, *x.shape[1:]))
        return x * (kept / keep).astype(x.dtype)

    def radii(self, parameters: Tree) -> list[float]:
        """Return the spectral radius of each recurrence, proven where it is dense; NaN where it is not finite."""
        result = []
        for entry in parameters["layers"]:
            held = {name: np.asarray(entry[name], np.float64) for name in RECURRENT if name in entry}
            if not all(np.isfinite(array).all() for array in held.values()):
                result.append(math.nan)
            elif self.config.recurrence == "lru":
                result.append(float(np.exp(-np.exp(held["nu_log"])).max()))
            elif self.kind == "diagonal":
                result.append(float(np.hypot(*held["A"]).max()))
            else:
                result.append(float(spectral_radius(held["A"])))
        return result


def moved_eigenvalues(config: ModelConfig, seed: int, *, emulate_paper: bool = False) -> int:
    """Return how many eigenvalues, over all layers, a linear recurrent unit could not start from, and were moved."""
    if config.recurrence != "lru":
        return 0
    law = Initialisation.parse(config.init)
    streams = (_stream(seed, "recurrence", i) for i in range(config.layers))
    drawn = (
        law.eigenvalues(config.d_hidden, stream, layers=config.layers, emulate_paper=emulate_paper)
        for stream in streams
    )
    return sum(within_disc(eigenvalues)[1] for eigenvalues in drawn)


def _product(x: jax.Array, W: jax.Array) -> jax.Array:
    """Return x W over the last axis of x: as one product of two matrices, whose gradients XLA then computes as such."""
    return (x.reshape(-1, x.shape[-1]) @ W).reshape(*x.shape[:-1], W.shape[-1])


def _stream(seed: int, what: str, layer: int) -> np.random.Generator:
    return np.random.default_rng(SeedSequence(seed, spawn_key=(STREAMS.index(what), layer)))
