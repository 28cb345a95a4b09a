"""Initialisers for PyTorch, spelled as those of ``torch.nn.init``: they fill a tensor in place and return it.

All draw from `generator`, or else from the default generator of the tensor's device. float16, bfloat16 and complex32
tensors are drawn in single precision and rounded.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rmt import checks
from rmt.ensembles.diagonal import Diagonal
from rmt.initializers import lru
from rmt.initializers.layout import Blocks, square_blocks, vectors
from rmt.initializers.scaling import RADIUS, factors
from rmt.initializers.spectrum import halves, parts, real_matrix
from rmt.laws.gumbel import rescaled_gain

if TYPE_CHECKING:
    import torch
else:
    torch = checks.optional("torch", "torch")

__all__ = ["exact_radius_", "lru_parameters", "orthogonal_", "rescaled_glorot_normal_", "ring_", "uniform_disc_"]


@torch.no_grad()
def rescaled_glorot_normal_(
    tensor: torch.Tensor,
    gain: float = 1.0,
    generator: torch.Generator | None = None,
    *,
    rule: str = "exact",
    alpha: float | None = None,
    layers: int = 1,
    gates: int = 1,
) -> torch.Tensor:
    """Fill `tensor` with Glorot's normal initialisation times the gain that keeps the spectral radius below one.

    The entries are untruncated normals of standard deviation ``gain * rmt.rescaled_gain(n, ...) / sqrt(n)``; those of a
    complex tensor have that root of E|w|^2.

    Parameters
    ----------
    tensor : torch.Tensor of shape (..., n, n)
        Any floating or complex dtype, any device. With `gates`, of shape (..., gates n, n) or (..., n, gates n).
    gain : float
        A further factor, > 0.
    generator : torch.Generator, optional
        Source of the random numbers, on the device of `tensor`.
    rule, alpha, layers
        As for :func:`rmt.rescaled_gain`: which law of the radius is used, and the accepted probability `alpha` that any
        of `layers` independent matrices has a radius above one (before `gain`).
    gates : int
        Number of square blocks, each a matrix of its own: 4 for the ``weight_hh_l0`` of an LSTM, which is (4 n, n), 3
        for a GRU's.

    Returns
    -------
    torch.Tensor
        `tensor`.

    Raises
    ------
    rmt.checks.InputError
        If `tensor` has no square blocks or another dtype, or an argument is out of its range.

    Examples
    --------
    >>> import torch
    >>> from rmt.initializers.torch import rescaled_glorot_normal_
    >>> rnn = torch.nn.RNN(8, 64)
    >>> rescaled_glorot_normal_(rnn.weight_hh_l0).shape
    torch.Size([64, 64])
    >>> lstm = torch.nn.LSTM(8, 64)
    >>> rescaled_glorot_normal_(lstm.weight_hh_l0, gates=4).shape
    torch.Size([256, 64])
    """
    blocks = _blocks(tensor, gates)
    gain = checks.real("gain", gain, above=0)
    field = "complex" if tensor.is_complex() else "real"
    std = gain * rescaled_gain(blocks.n, field, rule, alpha=alpha, layers=layers) / math.sqrt(blocks.n)
    if tensor.dtype == _working(tensor.dtype) and std < _largest(tensor) / 100:
        return tensor.normal_(0.0, std, generator=generator)
    return _fill(tensor, std * _normal(tensor, blocks.shape, generator), "gain", gain)


@torch.no_grad()
def orthogonal_(
    tensor: torch.Tensor, gain: float = 1.0, generator: torch.Generator | None = None, *, gates: int = 1
) -> torch.Tensor:
    """Fill `tensor` with `gain` times uniform orthogonal matrices, or unitary ones if it is complex.

    As ``torch.nn.init.orthogonal_`` for one real square matrix; but every matrix of a batch and every gate is
    orthogonal by itself, and half precision and complex tensors are served too.

    Parameters
    ----------
    tensor, generator, gates
        As for :func:`rescaled_glorot_normal_`.
    gain : float
        The modulus of all eigenvalues, > 0.

    Returns
    -------
    torch.Tensor
        `tensor`.

    Raises
    ------
    rmt.checks.InputError
        If `tensor` has no square blocks or another dtype, or an argument is out of its range.

    Examples
    --------
    >>> import torch
    >>> from rmt.initializers.torch import orthogonal_
    >>> W = orthogonal_(torch.empty(3, 3))
    >>> torch.allclose(W @ W.T, torch.eye(3), atol=1e-6)
    True
    """
    blocks = _blocks(tensor, gates)
    gain = checks.real("gain", gain, above=0)
    if tensor.is_meta:
        return tensor
    Q, R = torch.linalg.qr(_normal(tensor, blocks.separate, generator))
    diagonal = torch.diagonal(R, dim1=-2, dim2=-1)
    # The law of Q is uniform once the diagonal of R is positive (Mezzadri 2007).
    return _fill(tensor, blocks.join(gain * Q * (diagonal / diagonal.abs()).unsqueeze(-2), torch), "gain", gain)


@torch.no_grad()
def uniform_disc_(
    tensor: torch.Tensor, r_max: float = 1.0, generator: torch.Generator | None = None, *, gates: int = 1
) -> torch.Tensor:
    """Fill `tensor` with eigenvalues uniform on the disc of radius `r_max`, or with a real matrix that has them.

    Parameters
    ----------
    tensor, generator, gates
        As for :func:`ring_`.
    r_max : float
        Radius of the disc, > 0.

    Returns
    -------
    torch.Tensor
        `tensor`.

    Raises
    ------
    rmt.checks.InputError
        If the shape or dtype of `tensor` does not fit, or an argument is out of its range.

    Examples
    --------
    >>> import torch
    >>> from rmt.initializers.torch import uniform_disc_
    >>> uniform_disc_(torch.empty(64, dtype=torch.complex64)).shape
    torch.Size([64])
    """
    return _spectrum(tensor, ("uniform_disc", 0.0, r_max, 2 * math.pi), generator, gates)


@torch.no_grad()
def ring_(
    tensor: torch.Tensor,
    r_min: float = 0.0,
    r_max: float = 1.0,
    max_phase: float = 2 * math.pi,
    generator: torch.Generator | None = None,
    *,
    gates: int = 1,
) -> torch.Tensor:
    """Fill `tensor` with eigenvalues uniform on a ring (as in LRU), or with a real matrix that has them.

    |lambda|^2 is uniform on [r_min^2, r_max^2] and the phase on [0, max_phase]. A complex tensor of shape (..., n) gets
    n independent eigenvalues, for a diagonal recurrence (``torch.view_as_real`` of it has shape (..., n, 2), as S5
    stores them); a real one of shape (..., n, n) becomes block-diagonal, a conjugate pair a +- bi being
    [[a, b], [-b, a]].
    For the parameters nu_log and theta_log see :func:`lru_parameters`.

    Parameters
    ----------
    tensor : torch.Tensor
        Complex, of shape (..., n); or real, of shape (..., n, n), or as `gates` says in
        :func:`rescaled_glorot_normal_`.
    r_min, r_max : float
        Radii, 0 <= r_min <= r_max and r_max > 0.
    max_phase : float
        Largest phase in radians, 0 < max_phase <= 2 pi.
    generator : torch.Generator, optional
        Source of the random numbers, on the device of `tensor`.
    gates : int
        Number of square blocks of a real tensor.

    Returns
    -------
    torch.Tensor
        `tensor`.

    Raises
    ------
    rmt.checks.InputError
        If the shape or dtype of `tensor` does not fit, or an argument is out of its range.

    Examples
    --------
    >>> import torch
    >>> from rmt.initializers.torch import ring_
    >>> eigenvalues = ring_(torch.empty(64, dtype=torch.complex64), r_min=0.9, r_max=0.99)
    >>> bool(eigenvalues.abs().max() < 0.991)
    True
    """
    return _spectrum(tensor, ("ring", r_min, r_max, max_phase), generator, gates)


@torch.no_grad()
def exact_radius_(
    tensor: torch.Tensor, radius: float = RADIUS, generator: torch.Generator | None = None, *, gates: int = 1
) -> torch.Tensor:
    """Fill `tensor` with Glorot matrices scaled to the spectral radius `radius`, by a radius that is proven.

    The radius is computed on the CPU; it is exact to the rounding of the dtype.

    Parameters
    ----------
    tensor, generator, gates
        As for :func:`rescaled_glorot_normal_`; every matrix is scaled by itself.
    radius : float
        The spectral radius, > 0.

    Returns
    -------
    torch.Tensor
        `tensor`.

    Raises
    ------
    rmt.checks.InputError
        If `tensor` has no square blocks or another dtype, or an argument is out of its range.

    Examples
    --------
    >>> import rmt, torch
    >>> from rmt.initializers.torch import exact_radius_
    >>> W = exact_radius_(torch.empty(64, 64), 0.9)
    >>> round(rmt.spectral_radius(W), 5)
    0.9
    """
    blocks = _blocks(tensor, gates)
    checks.real("radius", radius, above=0)
    if tensor.is_meta:
        return tensor
    W = _normal(tensor, blocks.separate, generator)
    scale = torch.as_tensor(factors(W.cpu().numpy(), radius)[..., None, None])
    return _fill(tensor, blocks.join(W * scale.to(W.device, W.real.dtype), torch), "radius", radius)


def lru_parameters(eigenvalues: torch.Tensor) -> lru.LRUParameters:
    """Return the parameters of a linear recurrent unit with these eigenvalues, 0 < |lambda| < 1, as tensors.

    Parameters
    ----------
    eigenvalues : torch.Tensor
        Complex, of any shape.

    Returns
    -------
    rmt.initializers.LRUParameters
        nu_log, theta_log and gamma_log; lambda = exp(-exp(nu_log) + 1j * exp(theta_log)). Not finite where an
        eigenvalue is 0 or has a modulus >= 1.

    Examples
    --------
    >>> import torch
    >>> from rmt.initializers.torch import lru_parameters, ring_
    >>> eigenvalues = ring_(torch.empty(8, dtype=torch.complex64), r_min=0.9, r_max=0.999)
    >>> nu_log, theta_log, gamma_log = lru_parameters(eigenvalues)
    >>> torch.allclose(torch.exp(torch.complex(-nu_log.exp(), theta_log.exp())), eigenvalues, atol=1e-5)
    True
    """
    return lru.parameters(eigenvalues.abs(), eigenvalues.angle(), torch)


def _check(tensor: Any) -> None:
    if not isinstance(tensor, torch.Tensor) or not (tensor.is_floating_point() or tensor.is_complex()):
        given = tensor.dtype if isinstance(tensor, torch.Tensor) else type(tensor).__name__
        raise checks.InputError(f"tensor must be a torch.Tensor of a floating or complex dtype, got {given}")


def _blocks(tensor: torch.Tensor, gates: int) -> Blocks:
    _check(tensor)
    return square_blocks("tensor", tensor.shape, gates)


def _working(dtype: torch.dtype) -> torch.dtype:
    """Return the precision to draw in: low ones have neither the tails of a normal law nor a QR factorisation."""
    if dtype in (torch.float64, torch.complex128):
        return dtype
    return torch.complex64 if dtype.is_complex else torch.float32


def _largest(tensor: torch.Tensor) -> float:
    return float(torch.finfo(tensor.dtype).max)


def _fill(tensor: torch.Tensor, drawn: torch.Tensor, name: str, value: float) -> torch.Tensor:
    """Copy what was drawn into `tensor`, or leave that alone where the argument `name` is too large for its dtype."""
    # Small values are not looked at, which would make the CPU wait for another device.
    large = value > _largest(tensor) / 100 and not tensor.is_meta
    if large and not torch.isfinite(drawn.to(tensor.dtype)).all():
        largest = _largest(tensor)
        raise checks.InputError(
            f"{name} must be smaller for {tensor.dtype}, which ends at {largest:.4g}, got {value!r}"
        )
    return tensor.copy_(drawn)


def _empty(tensor: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.empty(shape, dtype=_working(tensor.dtype), device=tensor.device)


def _normal(tensor: torch.Tensor, shape: tuple[int, ...], generator: torch.Generator | None) -> torch.Tensor:
    return _empty(tensor, shape).normal_(generator=generator)


def _spectrum(
    tensor: torch.Tensor, law: tuple[str, float, float, float], generator: torch.Generator | None, gates: int
) -> torch.Tensor:
    _check(tensor)
    if tensor.is_complex():
        shape = vectors("tensor", tensor.shape, gates)
        diagonal = Diagonal(shape[-1], law[0], "complex", *law[1:])
        u, v = _empty(tensor, (2, *shape)).real.uniform_(generator=generator)
        return _fill(tensor, torch.complex(*parts(diagonal, u, v, torch)), "r_max", law[2])
    blocks = _blocks(tensor, gates)
    diagonal = Diagonal(blocks.n, law[0], "real", *law[1:])
    u, v = _empty(tensor, (2, *blocks.separate[:-2], halves(blocks.n))).uniform_(generator=generator)
    matrices = real_matrix(diagonal, u, v, torch, lambda x: torch.as_tensor(x).to(u))
    return _fill(tensor, blocks.join(matrices, torch), "r_max", law[2])
