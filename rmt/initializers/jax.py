"""Initialisers for JAX, spelled as those of ``jax.nn.initializers``: each call returns ``init(key, shape, dtype)``.

Flax takes them as `kernel_init` or `recurrent_kernel_init`. All work under jit and vmap. float16 and bfloat16 are drawn
in single precision and rounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rmt import checks
from rmt.ensembles.diagonal import Diagonal
from rmt.initializers import lru
from rmt.initializers.core import check_gain_options
from rmt.initializers.layout import square_blocks, vectors
from rmt.initializers.scaling import RADIUS, factors
from rmt.initializers.spectrum import halves, parts, real_matrix
from rmt.laws.gumbel import rescaled_gain

if TYPE_CHECKING:
    import jax
    import jax.numpy as jnp
else:
    jax = checks.optional("jax", "jax")
    jnp = jax.numpy

__all__ = ["exact_radius", "lru_parameters", "orthogonal", "rescaled_glorot_normal", "ring", "uniform_disc"]

Initializer = Callable[..., Any]


def rescaled_glorot_normal(
    dtype: Any = None, *, rule: str = "exact", alpha: float | None = None, layers: int = 1, gates: int = 1
) -> Initializer:
    """Build an initializer of Glorot normal matrices times the gain that keeps the spectral radius below one.

    The entries are untruncated normals of variance ``gain**2 / n`` with ``gain = rmt.rescaled_gain(n, ...)``; complex
    ones have E|w|^2 = gain^2 / n. (The normals of ``jax.nn.initializers.glorot_normal`` are truncated at two standard
    deviations and corrected; those of ``truncated_normal`` have a standard deviation of 0.8796 of the nominal one.)

    Parameters
    ----------
    dtype : dtype, optional
        The dtype where `init` is given none; by default JAX's own, float32.
    rule, alpha, layers
        As for :func:`rmt.rescaled_gain`: which law of the radius is used, and the accepted probability `alpha` that any
        of `layers` independent matrices has a radius above one.
    gates : int
        Number of square blocks, each a matrix of its own: 4 for the (n, 4 n) recurrent kernel of
        ``flax.nnx.OptimizedLSTMCell``. The cells of ``flax.linen`` initialise every gate by itself and need none.

    Returns
    -------
    callable
        ``init(key, shape, dtype)`` for a shape (..., n, n), or, with `gates`, (..., n, gates n) or (..., gates n, n).

    Raises
    ------
    rmt.checks.InputError
        If an argument is out of its range; by `init`, if the shape has no square blocks or the dtype is an integer.

    Examples
    --------
    >>> import jax
    >>> from rmt.initializers.jax import rescaled_glorot_normal
    >>> init = rescaled_glorot_normal(alpha=0.01, layers=4)
    >>> init(jax.random.key(0), (64, 64)).shape
    (64, 64)
    """
    check_gain_options(rule, alpha, layers)
    checks.integer("gates", gates)

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        kind = _dtype(dtype, float)
        blocks = square_blocks("shape", shape, gates)
        gain = rescaled_gain(blocks.n, _field(kind), rule, alpha=alpha, layers=layers)
        normal = jax.random.normal(key, blocks.shape, _working(kind))
        return (normal * (gain / math.sqrt(blocks.n))).astype(kind)

    return init


def orthogonal(scale: float = 1.0, dtype: Any = None, *, gates: int = 1) -> Initializer:
    """Build an initializer of `scale` times uniform orthogonal matrices, or unitary ones if they are complex.

    Every matrix of a batch and every gate is orthogonal by itself.

    Parameters
    ----------
    scale : float
        The modulus of all eigenvalues, > 0.
    dtype, gates
        As for :func:`rescaled_glorot_normal`.

    Returns
    -------
    callable
        As for :func:`rescaled_glorot_normal`.

    Raises
    ------
    rmt.checks.InputError
        As for :func:`rescaled_glorot_normal`.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from rmt.initializers.jax import orthogonal
    >>> W = orthogonal()(jax.random.key(0), (2, 8, 8))
    >>> bool(jnp.allclose(W @ W.mT, jnp.eye(8), atol=1e-5))
    True
    """
    scale = checks.real("scale", scale, above=0)
    checks.integer("gates", gates)

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        kind = _dtype(dtype, float)
        blocks = square_blocks("shape", shape, gates)
        matrices = jax.random.orthogonal(key, blocks.n, blocks.separate[:-2], _working(kind))
        return blocks.join(scale * matrices, jnp).astype(kind)

    return init


def uniform_disc(r_max: float = 1.0, dtype: Any = None, *, gates: int = 1) -> Initializer:
    """Build an initializer of eigenvalues uniform on the disc of radius `r_max`, or of real matrices that have them.

    Parameters
    ----------
    r_max : float
        Radius of the disc, > 0.
    dtype, gates
        As for :func:`ring`.

    Returns
    -------
    callable
        As for :func:`ring`.

    Raises
    ------
    rmt.checks.InputError
        As for :func:`ring`.

    Examples
    --------
    >>> import jax
    >>> from rmt.initializers.jax import uniform_disc
    >>> uniform_disc()(jax.random.key(0), (64,)).dtype
    dtype('complex64')
    """
    return _spectrum(("uniform_disc", 0.0, r_max, 2 * math.pi), dtype, gates)


def ring(
    r_min: float = 0.0, r_max: float = 1.0, max_phase: float = 2 * math.pi, dtype: Any = None, *, gates: int = 1
) -> Initializer:
    """Build an initializer of eigenvalues uniform on a ring (as in LRU), or of real matrices that have them.

    |lambda|^2 is uniform on [r_min^2, r_max^2] and the phase on [0, max_phase]. For the parameters nu_log and theta_log
    see :func:`lru_parameters`.

    Parameters
    ----------
    r_min, r_max : float
        Radii, 0 <= r_min <= r_max and r_max > 0.
    max_phase : float
        Largest phase in radians, 0 < max_phase <= 2 pi.
    dtype : dtype, optional
        The dtype where `init` is given none; by default JAX's own complex one, complex64.
    gates : int
        Number of square blocks, for a real dtype.

    Returns
    -------
    callable
        ``init(key, shape, dtype)``. With a complex dtype it returns n independent eigenvalues for a shape (..., n), for
        a diagonal recurrence. With a real one, as Flax asks for, it returns real block-diagonal matrices for a shape
        (..., n, n), in which a conjugate pair a +- bi is [[a, b], [-b, a]].

    Raises
    ------
    rmt.checks.InputError
        If an argument is out of its range; by `init`, if shape or dtype do not fit.

    Examples
    --------
    >>> import jax
    >>> from rmt.initializers.jax import ring
    >>> init = ring(r_min=0.9, r_max=0.99)
    >>> eigenvalues = init(jax.random.key(0), (64,))
    >>> bool(abs(eigenvalues).max() < 0.991)
    True
    >>> init(jax.random.key(0), (64, 64), "float32").shape
    (64, 64)
    """
    return _spectrum(("ring", r_min, r_max, max_phase), dtype, gates)


def exact_radius(radius: float = RADIUS, dtype: Any = None, *, gates: int = 1) -> Initializer:
    """Build an initializer of Glorot matrices scaled to the spectral radius `radius`, by a radius that is proven.

    The radius is computed on the host; it is exact to the rounding of the dtype. Under jit that is a callback.

    Parameters
    ----------
    radius : float
        The spectral radius, > 0; every matrix is scaled by itself.
    dtype, gates
        As for :func:`rescaled_glorot_normal`.

    Returns
    -------
    callable
        As for :func:`rescaled_glorot_normal`.

    Raises
    ------
    rmt.checks.InputError
        As for :func:`rescaled_glorot_normal`.

    Examples
    --------
    >>> import jax, rmt
    >>> from rmt.initializers.jax import exact_radius
    >>> W = exact_radius(0.9)(jax.random.key(0), (64, 64))
    >>> round(rmt.spectral_radius(W), 5)
    0.9
    """
    radius = checks.real("radius", radius, above=0)
    checks.integer("gates", gates)

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        kind = _dtype(dtype, float)
        blocks = square_blocks("shape", shape, gates)
        matrices = jax.random.normal(key, blocks.separate, _working(kind))
        return blocks.join(matrices * _factors(matrices, radius)[..., None, None], jnp).astype(kind)

    return init


def lru_parameters(eigenvalues: Any) -> lru.LRUParameters:
    """Return the parameters of a linear recurrent unit with these eigenvalues, 0 < |lambda| < 1, as JAX arrays.

    Parameters
    ----------
    eigenvalues : complex array
        Of any shape.

    Returns
    -------
    rmt.initializers.LRUParameters
        nu_log, theta_log and gamma_log; lambda = exp(-exp(nu_log) + 1j * exp(theta_log)). Not finite where an
        eigenvalue is 0 or has a modulus >= 1.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from rmt.initializers.jax import lru_parameters, ring
    >>> eigenvalues = ring(r_min=0.9, r_max=0.999)(jax.random.key(0), (8,))
    >>> nu_log, theta_log, gamma_log = lru_parameters(eigenvalues)
    >>> bool(jnp.allclose(jnp.exp(-jnp.exp(nu_log) + 1j * jnp.exp(theta_log)), eigenvalues, atol=1e-5))
    True
    """
    return lru.parameters(jnp.abs(eigenvalues), jnp.angle(eigenvalues), jnp)


def _factors(matrices: Any, radius: float) -> Any:
    """Return the factor for each matrix that gives it the radius, computed in NumPy.

    Under jit the numbers cross to the host and back as 32-bit words: `jax.enable_x64` as a context holds for one
    thread, a callback may run in another, and there JAX would round them to single precision.
    """
    kind = matrices.real.dtype
    if not isinstance(matrices, jax.core.Tracer):
        return jnp.asarray(factors(np.asarray(matrices), radius).astype(kind))

    def host(*parts: Any) -> np.ndarray:
        real, *imag = (_words_to_floats(part, kind) for part in parts)
        scale = factors(real + 1j * imag[0] if imag else real, radius)
        return scale.astype(kind)[..., None].view(np.uint32)

    parts = (matrices.real, matrices.imag) if _field(matrices.dtype) == "complex" else (matrices,)
    words = [_floats_to_words(part) for part in parts]
    count = words[0].shape[-1]
    result = jax.ShapeDtypeStruct((*matrices.shape[:-2], count), jnp.uint32)
    scale = jax.pure_callback(host, result, *words, vmap_method="expand_dims")
    return jax.lax.bitcast_convert_type(scale if count > 1 else scale[..., 0], kind)


def _floats_to_words(x: Any) -> Any:
    """Return the bits of real numbers as unsigned integers of 32 bits along a new last axis."""
    words = jax.lax.bitcast_convert_type(x, jnp.uint32)
    return words if words.ndim > x.ndim else words[..., None]


def _words_to_floats(words: Any, dtype: Any) -> np.ndarray:
    return np.ascontiguousarray(words).view(dtype)[..., 0]


def _spectrum(law: tuple[str, float, float, float], dtype: Any, gates: int) -> Initializer:
    Diagonal(1, law[0], "complex", *law[1:])  # checks the law before there is a shape
    checks.integer("gates", gates)

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        kind = _dtype(dtype, complex)
        precision = jnp.finfo(_working(kind)).dtype
        if _field(kind) == "complex":
            sizes = vectors("shape", shape, gates)
            u, v = jax.random.uniform(key, (2, *sizes), precision)
            return jax.lax.complex(*parts(Diagonal(sizes[-1], law[0], "complex", *law[1:]), u, v, jnp))
        blocks = square_blocks("shape", shape, gates)
        diagonal = Diagonal(blocks.n, law[0], "real", *law[1:])
        u, v = jax.random.uniform(key, (2, *blocks.separate[:-2], halves(blocks.n)), precision)
        matrices = real_matrix(diagonal, u, v, jnp, lambda x: jnp.asarray(x, precision))
        return blocks.join(matrices, jnp).astype(kind)

    return init


def _dtype(dtype: Any, default: type) -> Any:
    """Return the dtype as JAX has it, which is in single precision unless double precision is enabled."""
    try:
        kind = jax.dtypes.canonicalize_dtype(default if dtype is None else dtype)
    except TypeError as error:
        raise checks.InputError(f"dtype must be a floating or complex type, got {dtype!r}") from error
    if not jnp.issubdtype(kind, jnp.inexact):
        raise checks.InputError(f"dtype must be a floating or complex type, got {kind}")
    return kind


def _field(dtype: Any) -> str:
    return "complex" if jnp.issubdtype(dtype, jnp.complexfloating) else "real"


def _working(dtype: Any) -> Any:
    """Return the precision to draw in: low ones have neither the tails of a normal law nor a QR factorisation."""
    return dtype if _field(dtype) == "complex" or dtype == jnp.float64 else jnp.dtype(jnp.float32)
