"""Initialisers of recurrent weights, in NumPy: what each draws, and from which law."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from rmt import checks
from rmt.ensembles.base import Ensemble
from rmt.ensembles.diagonal import DEFAULTS, Diagonal
from rmt.ensembles.gaussian import glorot, rescaled_glorot
from rmt.ensembles.haar import Haar
from rmt.initializers.layout import Blocks, square_blocks, vectors
from rmt.initializers.scaling import RADIUS, scale_to_radius
from rmt.initializers.spectrum import block_diagonal
from rmt.laws.gumbel import SMALLEST_N, rescaled_gain

Shape = int | Sequence[int]


def rescaled_glorot_normal(
    shape: Shape,
    *,
    field: str | None = None,
    rule: str = "exact",
    alpha: float | None = None,
    layers: int = 1,
    gates: int = 1,
    dtype: Any = None,
    rng: Any = None,
) -> np.ndarray:
    """Draw Glorot's normal initialisation times the gain that keeps the spectral radius below one.

    The entries are untruncated normals of variance ``gain**2 / n`` with ``gain = rmt.rescaled_gain(n, field, rule,
    alpha=alpha, layers=layers)``; complex ones have E|w|^2 = gain^2 / n. (The truncated normals of JAX and Haiku have a
    standard deviation of 0.8796 of the nominal one before they are corrected, which shrinks the radius by as much.)

    Parameters
    ----------
    shape : int or sequence of int
        n for (n, n); (..., n, n) for independent matrices; with `gates`, (..., gates n, n) or (..., n, gates n).
    field : {"real", "complex"}, optional
        Field of the entries; by default that of `dtype`.
    rule, alpha, layers
        As for :func:`rmt.rescaled_gain`: the law of the radius that is used, and the accepted probability `alpha` that
        any of `layers` independent matrices has a radius above one. Without `alpha`, mean plus standard deviation of
        the radius become one, which leaves about 15% of the matrices above one.
    gates : int
        Number of square blocks side by side, such as 4 for an LSTM; each is a matrix of its own.
    dtype : dtype, optional
        A floating or complex type; by default double precision of the field, and real.
    rng : SPEC 7 value, optional
        Source of the random numbers.

    Returns
    -------
    ndarray of shape `shape`

    Raises
    ------
    rmt.checks.InputError
        If the shape has no square blocks, or an argument is out of its range.

    Notes
    -----
    The gain of the exact rule is computed once for each n and field in a process: about 1 s at n = 256, 2 s at n = 1024
    and 7 s at n = 4096 for real matrices on two cores, less than 0.1 s for complex ones.

    References
    ----------
    Glorot & Bengio (2010), AISTATS, equation (12); Bar et al. (2025), arXiv 2505.19827, for the rescaling.

    Examples
    --------
    >>> import rmt
    >>> W = rmt.initializers.rescaled_glorot_normal(64, alpha=0.01, layers=4, rng=0)
    >>> W.shape, bool(rmt.spectral_radius(W) < 1)
    ((64, 64), True)
    >>> rmt.initializers.rescaled_glorot_normal((256, 64), gates=4, dtype="float32", rng=0).dtype
    dtype('float32')
    """
    blocks = square_blocks("shape", _square(shape), gates)
    field, dtype = number(field, dtype, "real")
    ensemble = rescaled_glorot(blocks.n, field, rule=rule, alpha=alpha, layers=layers)
    return _drawn(ensemble, blocks, dtype, rng)


def orthogonal(
    shape: Shape,
    gain: float = 1.0,
    *,
    field: str | None = None,
    gates: int = 1,
    dtype: Any = None,
    rng: Any = None,
) -> np.ndarray:
    """Draw uniform orthogonal (real) or unitary (complex) matrices: all eigenvalues have modulus `gain`.

    Parameters
    ----------
    shape : int or sequence of int
        As for :func:`rescaled_glorot_normal`.
    gain : float
        Positive factor, and the spectral radius; the entries have variance gain**2 / n.
    field, gates, dtype, rng
        As for :func:`rescaled_glorot_normal`.

    Returns
    -------
    ndarray of shape `shape`

    Raises
    ------
    rmt.checks.InputError
        If the shape has no square blocks, or an argument is out of its range.

    References
    ----------
    Mezzadri (2007), Notices of the AMS 54, 592-604; Saxe, McClelland & Ganguli (2014), ICLR.

    Examples
    --------
    >>> import rmt
    >>> Q = rmt.initializers.orthogonal(3, gain=0.5, rng=0)
    >>> round(rmt.spectral_radius(Q), 12)
    0.5
    """
    blocks = square_blocks("shape", _square(shape), gates)
    field, dtype = number(field, dtype, "real")
    gain = checks.real("gain", gain, above=0)
    with np.errstate(over="ignore"):
        drawn = gain * _drawn(Haar(blocks.n, field), blocks, dtype, rng)
    return _rounded(drawn, dtype, "gain", gain)


def uniform_disc(
    shape: Shape,
    *,
    r_max: float = 1.0,
    field: str | None = None,
    gates: int = 1,
    dtype: Any = None,
    rng: Any = None,
) -> np.ndarray:
    """Draw eigenvalues uniform on the disc of radius `r_max`: :func:`ring` from radius 0, with every phase.

    Parameters
    ----------
    shape : int or sequence of int
        As for :func:`ring`.
    r_max : float
        Radius of the disc, > 0; |lambda| has density 2 r / r_max^2.
    field, gates, dtype, rng
        As for :func:`ring`.

    Returns
    -------
    ndarray
        As for :func:`ring`.

    Raises
    ------
    rmt.checks.InputError
        If an argument is out of its range.

    Examples
    --------
    >>> import rmt
    >>> rmt.initializers.uniform_disc(4, rng=0).shape
    (4,)
    """
    return _spectrum(shape, ("uniform_disc", 0.0, r_max, DEFAULTS["max_phase"]), field, gates, dtype, rng)


def ring(
    shape: Shape,
    *,
    r_min: float = 0.0,
    r_max: float = 1.0,
    max_phase: float = 2 * math.pi,
    field: str | None = None,
    gates: int = 1,
    dtype: Any = None,
    rng: Any = None,
) -> np.ndarray:
    """Draw eigenvalues uniform on a ring, as linear recurrent units (LRU) start from.

    |lambda|^2 is uniform on [r_min^2, r_max^2] and the phase on [0, max_phase], independently; see
    ``rmt.initializers.lru_parameters`` for the parameters nu_log and theta_log.

    Parameters
    ----------
    shape : int or sequence of int
        Complex `dtype`: n for (n,), or (..., n): vectors of eigenvalues, for a diagonal recurrence.
        Real `dtype`: n for (n, n), or (..., n, n), with `gates` as for :func:`rescaled_glorot_normal`: real
        block-diagonal matrices with these eigenvalues, for a dense recurrence; a pair a +- bi is [[a, b], [-b, a]].
    r_min, r_max : float
        Radii, 0 <= r_min <= r_max and r_max > 0.
    max_phase : float
        Largest phase in radians, 0 < max_phase <= 2 pi.
    field : {"complex", "real"}, optional
        Whether eigenvalues are independent, or those of a real matrix: conjugate pairs next to each other and, where n
        is odd, a real one at the end. By default that of `dtype`; a real `dtype` needs "real".
    gates : int
        Number of square blocks side by side, for a real `dtype`.
    dtype : dtype, optional
        A floating or complex type; complex128 by default.
    rng : SPEC 7 value, optional
        Source of the random numbers.

    Returns
    -------
    ndarray
        Complex eigenvalues of shape (n,) or `shape`, or real matrices of shape (n, n) or `shape`.

    Raises
    ------
    rmt.checks.InputError
        If an argument is out of its range.

    References
    ----------
    Orvieto et al. (2023), arXiv 2303.06349, lemma 3.2.

    Examples
    --------
    >>> import rmt
    >>> eigenvalues = rmt.initializers.ring(8, r_min=0.9, r_max=0.99, rng=0)
    >>> eigenvalues.dtype, bool(abs(eigenvalues).min() >= 0.9)
    (dtype('complex128'), True)
    >>> W = rmt.initializers.ring(8, r_min=0.9, r_max=0.99, dtype=float, rng=0)
    >>> W.shape, bool(rmt.spectral_radius(W) < 0.99)
    ((8, 8), True)
    """
    return _spectrum(shape, ("ring", r_min, r_max, max_phase), field, gates, dtype, rng)


def exact_radius(
    shape: Shape,
    radius: float = RADIUS,
    *,
    field: str | None = None,
    gates: int = 1,
    dtype: Any = None,
    rng: Any = None,
) -> np.ndarray:
    """Draw a Glorot matrix and scale it so that its spectral radius is `radius`, by a radius that is proven.

    Parameters
    ----------
    shape : int or sequence of int
        As for :func:`rescaled_glorot_normal`; every matrix is scaled by itself.
    radius : float
        The spectral radius, > 0.
    field, gates, dtype, rng
        As for :func:`rescaled_glorot_normal`.

    Returns
    -------
    ndarray of shape `shape`

    Raises
    ------
    rmt.checks.InputError
        If the shape has no square blocks, or an argument is out of its range.

    Examples
    --------
    >>> import rmt
    >>> W = rmt.initializers.exact_radius(100, 0.9, rng=0)
    >>> round(rmt.spectral_radius(W), 12)
    0.9
    """
    blocks = square_blocks("shape", _square(shape), gates)
    field, dtype = number(field, dtype, "real")
    matrices = glorot(blocks.n, field).draw(blocks.count, rng=rng).reshape(blocks.separate)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = scale_to_radius(matrices, radius)
    return _rounded(np.asarray(blocks.join(scaled, np)), dtype, "radius", radius)


def check_gain_options(rule: str, alpha: float | None, layers: int) -> None:
    """Raise an InputError where the options do not go together, before there is a matrix and its n."""
    rescaled_gain(SMALLEST_N, "complex", rule, alpha=alpha, layers=layers)


def number(field: str | None, dtype: Any, default: str) -> tuple[str, np.dtype]:
    """Return the field and the type of entries; `default` is the field where neither is given."""
    if dtype is None:
        field = checks.field(default if field is None else field)
        return field, np.dtype(np.complex128 if field == "complex" else np.float64)
    try:
        dtype = np.dtype(dtype)
    except TypeError as error:
        raise checks.InputError(f"dtype must be a floating or complex type, got {dtype!r}") from error
    if dtype.kind not in "fc":
        raise checks.InputError(f"dtype must be a floating or complex type, got {dtype}")
    own = "complex" if dtype.kind == "c" else "real"
    if field is not None and checks.field(field) != own:
        raise checks.InputError(f"field must be {own!r} for dtype {dtype}, got {field!r}")
    return own, dtype


def _square(shape: Shape) -> Sequence[int]:
    return shape if isinstance(shape, Iterable) else (shape, shape)


def _drawn(ensemble: Ensemble, blocks: Blocks, dtype: np.dtype, rng: Any) -> np.ndarray:
    matrices = ensemble.draw(blocks.count, rng=rng).reshape(blocks.separate)
    return np.asarray(blocks.join(matrices, np)).astype(dtype, copy=False)


def _spectrum(
    shape: Shape, law: tuple[str, float, float, float], field: str | None, gates: int, dtype: Any, rng: Any
) -> np.ndarray:
    own, dtype = number(None, dtype, "complex")
    field = own if field is None else checks.field(field)
    if own == "complex":
        sizes = vectors("shape", shape if isinstance(shape, Iterable) else (shape,), gates)
        ensemble = Diagonal(sizes[-1], law[0], field, *law[1:])
        drawn = ensemble.draw_eigenvalues(math.prod(sizes[:-1]), rng=rng).reshape(sizes)
        return _rounded(drawn, dtype, "r_max", law[2])
    if field == "complex":
        raise checks.InputError(f"dtype must be complex for field='complex', got {dtype}")
    blocks = square_blocks("shape", _square(shape), gates)
    eigenvalues = Diagonal(blocks.n, law[0], field, *law[1:]).draw_eigenvalues(blocks.count, rng=rng)
    matrices = block_diagonal(eigenvalues.real, eigenvalues.imag, np.asarray).reshape(blocks.separate)
    return _rounded(np.asarray(blocks.join(matrices, np)), dtype, "r_max", law[2])


def _rounded(drawn: np.ndarray, dtype: np.dtype, name: str, value: float) -> np.ndarray:
    """Return what was drawn in its type; `name` and `value` are the argument that can be too large for it."""
    with np.errstate(over="ignore"):
        rounded = drawn.astype(dtype, copy=False)
    if not np.isfinite(rounded).all():
        largest = float(np.finfo(dtype).max)
        raise checks.InputError(f"{name} must be smaller for {dtype}, which ends at {largest:.4g}, got {value!r}")
    return rounded
