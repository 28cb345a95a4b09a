"""Initialisers for Keras 3, spelled as those of ``keras.initializers``, for any backend.

A model that was saved with one of them is loaded again once this module is imported. A seed means what it means to
Keras: with an integer or None, every call of one initialiser returns the same values; with a
``keras.random.SeedGenerator``, other ones. float16 and bfloat16 are drawn in single precision and rounded.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rmt import checks
from rmt.ensembles.diagonal import DEFAULTS, Diagonal
from rmt.initializers.core import check_gain_options
from rmt.initializers.layout import square_blocks, vectors
from rmt.initializers.scaling import RADIUS, factors
from rmt.initializers.spectrum import halves, parts, real_matrix
from rmt.laws.gumbel import rescaled_gain


def _import_keras() -> Any:
    try:
        return checks.optional("keras", "keras")
    except checks.MissingExtraError as error:
        if importlib.util.find_spec("keras") is None:
            raise
        raise checks.MissingExtraError(
            f"keras is installed and cannot be imported ({error.__cause__}): name a backend that is installed in the "
            "environment variable KERAS_BACKEND (jax, torch or tensorflow)",
            name="keras",
        ) from error


if TYPE_CHECKING:
    import keras
else:
    keras = _import_keras()

__all__ = ["ExactRadius", "Orthogonal", "RescaledGlorotNormal", "Ring", "UniformDisc"]


class _Initializer(keras.initializers.Initializer):
    """What all share: seed and gates."""

    def __init__(self, seed: Any, gates: int) -> None:
        # Keras' own initialiser checks the seed, makes one for None, and knows how to write it down.
        source = keras.initializers.RandomNormal(seed=seed)
        self.seed = source.seed
        self._seed_config = source.get_config()["seed"]
        self.gates = checks.integer("gates", gates)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self._seed_config, "gates": self.gates}

    def _normal(self, shape: tuple[int, ...], dtype: str) -> Any:
        """Return iid standard normal numbers, with E|z|^2 = 1 where complex, in the working precision of `dtype`."""
        if not _is_complex(dtype):
            return keras.random.normal(shape, seed=self.seed, dtype=_working(dtype))
        x = keras.random.normal((2, *shape), stddev=math.sqrt(0.5), seed=self.seed, dtype=_working(dtype))
        return _complex(x[0], x[1], dtype)


@keras.saving.register_keras_serializable(package="rmt")
class RescaledGlorotNormal(_Initializer):
    """Glorot's normal initialisation times the gain that keeps the spectral radius below one.

    The entries are untruncated normals of variance ``gain**2 / n`` with ``gain = rmt.rescaled_gain(n, ...)``; complex
    ones have E|w|^2 = gain^2 / n. (Those of ``keras.initializers.GlorotNormal`` are truncated at two standard
    deviations and corrected.)

    Parameters
    ----------
    seed : int or keras.random.SeedGenerator, optional
        Source of the random numbers.
    rule, alpha, layers
        As for :func:`rmt.rescaled_gain`: which law of the radius is used, and the accepted probability `alpha` that any
        of `layers` independent matrices has a radius above one.
    gates : int
        Number of square blocks, each a matrix of its own: 4 for the (n, 4 n) recurrent kernel of an LSTM, 3 for a GRU.

    Raises
    ------
    rmt.checks.InputError
        If an argument is out of its range; when called, if the shape has no square blocks or the dtype is an integer.

    Examples
    --------
    >>> import keras
    >>> from rmt.initializers.keras import RescaledGlorotNormal
    >>> layer = keras.layers.SimpleRNN(64, recurrent_initializer=RescaledGlorotNormal(seed=0))
    >>> lstm = keras.layers.LSTM(64, recurrent_initializer=RescaledGlorotNormal(seed=0, gates=4))
    >>> RescaledGlorotNormal(seed=0)((64, 64)).shape
    (64, 64)
    """

    def __init__(
        self, seed: Any = None, rule: str = "exact", alpha: float | None = None, layers: int = 1, gates: int = 1
    ) -> None:
        super().__init__(seed, gates)
        check_gain_options(rule, alpha, layers)
        self.rule, self.alpha, self.layers = rule, alpha, layers

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        """Return a tensor of that shape, (..., n, n), or as `gates` says."""
        dtype = _dtype(dtype)
        blocks = square_blocks("shape", shape, self.gates)
        field = "complex" if _is_complex(dtype) else "real"
        gain = rescaled_gain(blocks.n, field, self.rule, alpha=self.alpha, layers=self.layers)
        return keras.ops.cast(self._normal(blocks.shape, dtype) * (gain / math.sqrt(blocks.n)), dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of this initialiser."""
        return {**super().get_config(), "rule": self.rule, "alpha": self.alpha, "layers": self.layers}


@keras.saving.register_keras_serializable(package="rmt")
class Orthogonal(_Initializer):
    """`gain` times uniform orthogonal matrices, or unitary ones if they are complex.

    As ``keras.initializers.Orthogonal`` for one real square matrix; but every matrix of a batch and every gate is
    orthogonal by itself.

    Parameters
    ----------
    gain : float
        The modulus of all eigenvalues, > 0.
    seed, gates
        As for :class:`RescaledGlorotNormal`.

    Raises
    ------
    rmt.checks.InputError
        As for :class:`RescaledGlorotNormal`.

    Examples
    --------
    >>> from rmt.initializers.keras import Orthogonal
    >>> Orthogonal(seed=0)((8, 8)).shape
    (8, 8)
    """

    def __init__(self, gain: float = 1.0, seed: Any = None, gates: int = 1) -> None:
        super().__init__(seed, gates)
        self.gain = checks.real("gain", gain, above=0)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        """Return a tensor of that shape, (..., n, n), or as `gates` says."""
        dtype = _dtype(dtype)
        blocks = square_blocks("shape", shape, self.gates)
        Q, R = keras.ops.qr(self._normal(blocks.separate, dtype))
        diagonal = keras.ops.diagonal(R, axis1=-2, axis2=-1)
        # The law of Q is uniform once the diagonal of R is positive (Mezzadri 2007).
        phases = diagonal / keras.ops.cast(keras.ops.abs(diagonal), diagonal.dtype)
        return keras.ops.cast(blocks.join(self.gain * Q * phases[..., None, :], keras.ops), dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of this initialiser."""
        return {**super().get_config(), "gain": self.gain}


@keras.saving.register_keras_serializable(package="rmt")
class ExactRadius(_Initializer):
    """Glorot matrices scaled to the spectral radius `radius`, by a radius that is proven.

    The radius is computed in NumPy, so that the initialiser is not for traced code; it is exact to the rounding of the
    dtype.

    Parameters
    ----------
    radius : float
        The spectral radius, > 0; every matrix is scaled by itself.
    seed, gates
        As for :class:`RescaledGlorotNormal`.

    Raises
    ------
    rmt.checks.InputError
        As for :class:`RescaledGlorotNormal`.

    Examples
    --------
    >>> import keras, rmt
    >>> from rmt.initializers.keras import ExactRadius
    >>> W = ExactRadius(0.9, seed=0)((64, 64))
    >>> round(rmt.spectral_radius(keras.ops.convert_to_numpy(W)), 5)
    0.9
    """

    def __init__(self, radius: float = RADIUS, seed: Any = None, gates: int = 1) -> None:
        super().__init__(seed, gates)
        self.radius = checks.real("radius", radius, above=0)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        """Return a tensor of that shape, (..., n, n), or as `gates` says."""
        dtype = _dtype(dtype)
        blocks = square_blocks("shape", shape, self.gates)
        W = self._normal(blocks.separate, dtype)
        scale = factors(keras.ops.convert_to_numpy(W), self.radius)[..., None, None]
        return keras.ops.cast(blocks.join(W * keras.ops.convert_to_tensor(scale, W.dtype), keras.ops), dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of this initialiser."""
        return {**super().get_config(), "radius": self.radius}


@keras.saving.register_keras_serializable(package="rmt")
class Ring(_Initializer):
    """Eigenvalues uniform on a ring (as in LRU), or real matrices that have them.

    |lambda|^2 is uniform on [r_min^2, r_max^2] and the phase on [0, max_phase]. A real dtype gives real block-diagonal
    matrices for a shape (..., n, n), as recurrent kernels are; a conjugate pair a +- bi is [[a, b], [-b, a]]. A complex
    one gives n independent eigenvalues for a shape (..., n), for a diagonal recurrence. For the weights nu_log and
    theta_log of an LRU, see ``rmt.initializers.lru_parameters``, whose arrays can be set as weights.

    Parameters
    ----------
    r_min, r_max : float
        Radii, 0 <= r_min <= r_max and r_max > 0.
    max_phase : float
        Largest phase in radians, 0 < max_phase <= 2 pi.
    seed, gates
        As for :class:`RescaledGlorotNormal`.

    Raises
    ------
    rmt.checks.InputError
        If an argument is out of its range; when called, if shape or dtype do not fit.

    Examples
    --------
    >>> import keras
    >>> from rmt.initializers.keras import Ring
    >>> layer = keras.layers.SimpleRNN(64, recurrent_initializer=Ring(0.9, 0.99, seed=0))
    >>> Ring(0.9, 0.99, seed=0)((64,), dtype="complex64").shape
    (64,)
    """

    _spectrum = "ring"

    def __init__(
        self,
        r_min: float = 0.0,
        r_max: float = 1.0,
        max_phase: float = 2 * math.pi,
        seed: Any = None,
        gates: int = 1,
    ) -> None:
        super().__init__(seed, gates)
        law = Diagonal(1, self._spectrum, "complex", r_min, r_max, max_phase)
        self.r_min, self.r_max, self.max_phase = law.r_min, law.r_max, law.max_phase

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        """Return a tensor of that shape: (..., n) if `dtype` is complex, else (..., n, n), or as `gates` says."""
        dtype = _dtype(dtype)
        if _is_complex(dtype):
            sizes = vectors("shape", shape, self.gates)
            return _complex(*parts(self._law(sizes[-1], "complex"), *self._uniform(sizes, dtype), keras.ops), dtype)
        blocks = square_blocks("shape", shape, self.gates)
        u, v = self._uniform((*blocks.separate[:-2], halves(blocks.n)), dtype)
        matrices = real_matrix(
            self._law(blocks.n, "real"), u, v, keras.ops, lambda x: keras.ops.convert_to_tensor(x, u.dtype)
        )
        return keras.ops.cast(blocks.join(matrices, keras.ops), dtype)

    def _law(self, n: int, field: str) -> Diagonal:
        return Diagonal(n, self._spectrum, field, self.r_min, self.r_max, self.max_phase)

    def _uniform(self, shape: tuple[int, ...], dtype: str) -> tuple[Any, Any]:
        x = keras.random.uniform((2, *shape), seed=self.seed, dtype=_working(dtype))
        return x[0], x[1]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of this initialiser."""
        own = {"r_min": self.r_min, "r_max": self.r_max, "max_phase": self.max_phase}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="rmt")
class UniformDisc(Ring):
    """Eigenvalues uniform on the disc of radius `r_max`, or real matrices that have them: :class:`Ring` from radius 0.

    Parameters
    ----------
    r_max : float
        Radius of the disc, > 0.
    seed, gates
        As for :class:`RescaledGlorotNormal`.

    Raises
    ------
    rmt.checks.InputError
        As for :class:`Ring`.

    Examples
    --------
    >>> from rmt.initializers.keras import UniformDisc
    >>> UniformDisc(seed=0)((64,), dtype="complex64").shape
    (64,)
    """

    _spectrum = "uniform_disc"

    def __init__(self, r_max: float = 1.0, seed: Any = None, gates: int = 1) -> None:
        super().__init__(DEFAULTS["r_min"], r_max, DEFAULTS["max_phase"], seed, gates)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of this initialiser."""
        return {"seed": self._seed_config, "gates": self.gates, "r_max": self.r_max}


def _dtype(dtype: Any) -> str:
    name = keras.backend.standardize_dtype(keras.config.floatx() if dtype is None else dtype)
    if not name.startswith(("float", "bfloat", "complex")):
        raise checks.InputError(f"dtype must be a floating or complex type, got {name}")
    return name


def _is_complex(dtype: str) -> bool:
    return dtype.startswith("complex")


def _working(dtype: str) -> str:
    """Return the precision to draw in: low ones have neither the tails of a normal law nor a QR factorisation."""
    return "float64" if dtype in ("float64", "complex128") else "float32"


def _complex(real: Any, imaginary: Any, dtype: str) -> Any:
    return keras.ops.cast(real, dtype) + 1j * keras.ops.cast(imaginary, dtype)
