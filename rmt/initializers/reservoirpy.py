"""Initialisers for ReservoirPy, spelled as those of ``reservoirpy.mat_gen``.

Each can be called with a shape, or with keywords alone, which gives an initialiser that knows them: both
``ring(100, 100, r_min=0.9)`` and ``Reservoir(100, W=ring(r_min=0.9))`` work. `seed` is an integer or a NumPy Generator,
or else ReservoirPy's own (``reservoirpy.set_seed``).

A ``Reservoir`` passes its own `sr`, 1.0 by default, and its `rc_connectivity`, 0.1 by default, to its initialiser;
keywords that the initialiser knows already win. Here `sr` multiplies the matrix, so that 1.0 leaves it as it is; for
:func:`exact_radius` it is the spectral radius itself.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from rmt import checks
from rmt.initializers import core
from rmt.initializers.layout import square_blocks
from rmt.initializers.scaling import RADIUS, scale_to_radius
from rmt.laws.gumbel import rescaled_gain

if TYPE_CHECKING:
    from reservoirpy import mat_gen
    from reservoirpy.utils.random import rand_generator
else:
    mat_gen = checks.optional("reservoirpy.mat_gen", "reservoirpy")
    rand_generator = checks.optional("reservoirpy.utils.random", "reservoirpy").rand_generator

__all__ = ["exact_radius", "orthogonal", "rescaled_glorot_normal", "ring", "uniform_disc"]

SPARSITY_TYPES = ("csr", "csc", "dense")


def _rescaled_glorot_normal(
    *shape: int,
    sr: float | None = 1.0,
    rule: str = "exact",
    alpha: float | None = None,
    layers: int = 1,
    connectivity: float = 1.0,
    dtype: Any = np.float64,
    sparsity_type: str = "csr",
    seed: Any = None,
    **options: Any,
) -> Any:
    """Draw Glorot's normal initialisation times the gain that keeps the spectral radius below one.

    The entries are untruncated normals of variance ``(sr * gain)**2 / n`` with ``gain = rmt.rescaled_gain(n, ...)``.

    Parameters
    ----------
    *shape : int, int
        n, n.
    sr : float
        Factor of the matrix, > 0; the radius stays below `sr` with the probability that the gain is for.
    rule, alpha, layers
        As for :func:`rmt.rescaled_gain`: which law of the radius is used, and the accepted probability `alpha` that any
        of `layers` independent matrices has a radius above one.
    connectivity : float
        Share of entries that are not zero; their variance is the larger, so that all n^2 have the variance above on
        average. The law of the radius, and with it `alpha`, is exact for 1.0 alone. It is wider for a sparse matrix:
        with n = 100 and a connectivity of 0.1 the radius exceeds 1 in 23% of the draws instead of 15%. Where that
        matters, use :func:`exact_radius`.
    dtype, sparsity_type, seed, **options
        As for ``reservoirpy.mat_gen.normal``, which draws the matrix.

    Returns
    -------
    ndarray, sparse array or callable
        A matrix, or, without a shape, an initialiser with these keywords.

    Raises
    ------
    rmt.checks.InputError
        If the shape is not square or an argument is out of its range.

    Examples
    --------
    >>> from reservoirpy.nodes import Reservoir
    >>> from rmt.initializers.reservoirpy import rescaled_glorot_normal
    >>> rescaled_glorot_normal(100, 100, seed=0).shape
    (100, 100)
    >>> reservoir = Reservoir(100, W=rescaled_glorot_normal(connectivity=1.0, alpha=0.01))
    """
    n, sr = _size(shape), _factor(sr)
    connectivity = checks.real("connectivity", connectivity, above=0, at_most=1)
    gain = rescaled_gain(n, rule=rule, alpha=alpha, layers=layers)
    W = mat_gen.normal(n, n, connectivity=connectivity, dtype=dtype, sparsity_type=sparsity_type, seed=seed, **options)
    count = W.nnz if sparse.issparse(W) else np.count_nonzero(W)
    return W * (sr * gain / math.sqrt(max(count, 1) / n))


def _exact_radius(*shape: int, sr: float | None = RADIUS, initializer: Any = mat_gen.normal, **options: Any) -> Any:
    """Draw a matrix and scale it to the spectral radius `sr`, by a radius that is proven up to n = 4096.

    The `sr` of ReservoirPy's own initialisers divides a sparse matrix by the one eigenvalue that ARPACK finds, which is
    not always the largest; such a matrix keeps a radius above `sr`.

    Parameters
    ----------
    *shape : int, int
        n, n.
    sr : float
        The spectral radius, > 0. (A ``Reservoir`` passes its own.)
    initializer : callable
        What draws the matrix: any initialiser of ``reservoirpy.mat_gen``, normal by default.
    **options
        Its keywords, such as connectivity, degree, dtype and seed.

    Returns
    -------
    ndarray, sparse array or callable
        A matrix, or, without a shape, an initialiser with these keywords.

    Raises
    ------
    rmt.checks.InputError
        If the shape is not square, `sr` is not positive, or the drawn matrix has the radius 0.

    Examples
    --------
    >>> import rmt
    >>> from rmt.initializers.reservoirpy import exact_radius
    >>> W = exact_radius(100, 100, sr=0.9, connectivity=0.1, seed=0)
    >>> round(rmt.spectral_radius(W.toarray()), 12)
    0.9
    """
    n, sr = _size(shape), _factor(sr, RADIUS)
    return scale_to_radius(initializer(n, n, **options), sr)


def _orthogonal(*shape: int, sr: float | None = 1.0, dtype: Any = np.float64, seed: Any = None, **unused: Any) -> Any:
    """Draw `sr` times a uniform orthogonal matrix: all eigenvalues have modulus `sr`.

    Parameters
    ----------
    *shape : int, int
        n, n.
    sr : float
        The spectral radius, > 0.
    dtype, seed
        As for ``reservoirpy.mat_gen.orthogonal``.
    **unused
        `connectivity`, which a ``Reservoir`` passes, has no meaning here.

    Returns
    -------
    ndarray or callable
        A matrix, or, without a shape, an initialiser with these keywords.

    Raises
    ------
    rmt.checks.InputError
        If the shape is not square or an argument is out of its range.

    Examples
    --------
    >>> from rmt.initializers.reservoirpy import orthogonal
    >>> orthogonal(8, 8, sr=0.9, seed=0).shape
    (8, 8)
    """
    _ignore(unused)
    n, sr = _size(shape), _factor(sr)
    return core.orthogonal(n, sr, dtype=dtype, rng=rand_generator(seed))


def _uniform_disc(
    *shape: int,
    sr: float | None = 1.0,
    dtype: Any = np.float64,
    sparsity_type: str = "csr",
    seed: Any = None,
    **unused: Any,
) -> Any:
    """Draw a real block-diagonal matrix with eigenvalues uniform on the disc of radius `sr`, in conjugate pairs.

    Parameters
    ----------
    *shape : int, int
        n, n.
    sr : float
        Radius of the disc, > 0.
    dtype, sparsity_type, seed, **unused
        As for :func:`ring`.

    Returns
    -------
    sparse array, ndarray or callable
        As for :func:`ring`.

    Raises
    ------
    rmt.checks.InputError
        As for :func:`ring`.

    Examples
    --------
    >>> from rmt.initializers.reservoirpy import uniform_disc
    >>> uniform_disc(8, 8, seed=0).nnz
    16
    """
    _ignore(unused)
    n, sr = _size(shape), _factor(sr)
    return _formatted(core.uniform_disc(n, r_max=sr, dtype=dtype, rng=rand_generator(seed)), sparsity_type)


def _ring(
    *shape: int,
    sr: float | None = 1.0,
    r_min: float = 0.0,
    r_max: float = 1.0,
    max_phase: float = 2 * math.pi,
    dtype: Any = np.float64,
    sparsity_type: str = "csr",
    seed: Any = None,
    **unused: Any,
) -> Any:
    """Draw a real block-diagonal matrix with eigenvalues uniform on a ring, in conjugate pairs.

    |lambda|^2 is uniform on [r_min^2, r_max^2] and the phase on [0, max_phase]; a pair a +- bi is [[a, b], [-b, a]].
    (``reservoirpy.mat_gen.ring`` is another thing: the matrix of a cycle.)

    Parameters
    ----------
    *shape : int, int
        n, n.
    sr : float
        Factor of the matrix, > 0.
    r_min, r_max : float
        Radii, 0 <= r_min <= r_max and r_max > 0.
    max_phase : float
        Largest phase in radians, 0 < max_phase <= 2 pi.
    dtype, sparsity_type, seed
        As for ``reservoirpy.mat_gen.normal``.
    **unused
        `connectivity`, which a ``Reservoir`` passes, has no meaning here.

    Returns
    -------
    sparse array, ndarray or callable
        A matrix with about 2 n nonzeros, or, without a shape, an initialiser with these keywords.

    Raises
    ------
    rmt.checks.InputError
        If the shape is not square or an argument is out of its range.

    Examples
    --------
    >>> from reservoirpy.nodes import Reservoir
    >>> from rmt.initializers.reservoirpy import ring
    >>> reservoir = Reservoir(100, W=ring(r_min=0.9, r_max=0.99))
    """
    _ignore(unused)
    n, sr = _size(shape), _factor(sr)
    W = core.ring(n, r_min=r_min, r_max=r_max, max_phase=max_phase, dtype=dtype, rng=rand_generator(seed))
    return _formatted(sr * W, sparsity_type)


def _size(shape: tuple[int, ...]) -> int:
    if len(shape) != 2:
        raise checks.InputError(f"shape must be n, n for the matrix of a reservoir, got {shape}")
    return square_blocks("shape", shape).n


def _factor(sr: float | None, default: float = 1.0) -> float:
    return default if sr is None else checks.real("sr", sr, above=0)


def _ignore(options: dict[str, Any]) -> None:
    """Raise an error for keywords other than the one that a Reservoir passes to every initialiser."""
    unknown = sorted(set(options) - {"connectivity"})
    if unknown:
        raise checks.InputError(f"{unknown[0]} is not an option of this initialiser")


def _formatted(W: np.ndarray, sparsity_type: str) -> Any:
    checks.choice("sparsity_type", sparsity_type, SPARSITY_TYPES)
    return W if sparsity_type == "dense" else sparse.csr_array(W).asformat(sparsity_type)


def _initializer(function: Any) -> Any:
    # ReservoirPy's own rescaling would divide by a radius that is not proven: `sr` goes to the function instead.
    return mat_gen.Initializer(function, allow_sr=True, allow_input_scaling=False, allow_rescaling=False)


rescaled_glorot_normal = _initializer(_rescaled_glorot_normal)
exact_radius = _initializer(_exact_radius)
orthogonal = _initializer(_orthogonal)
uniform_disc = _initializer(_uniform_disc)
ring = _initializer(_ring)
