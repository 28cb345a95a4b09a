"""Norms of the recurrences of matrices that are there."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rmt import checks, parallel
from rmt.kernels import recurrence


def power_norms(W: Any, v: Any, steps: int, *, log: bool = False) -> np.ndarray:
    """Return the squared norms of v, W v, ..., W^steps v.

    The powers are rescaled as they grow or shrink, so their logarithms are finite at any number of steps.

    Parameters
    ----------
    W : array_like of shape (..., n, n)
        Real or complex matrices.
    v : array_like of shape (..., n)
        Start vectors. The leading axes of `W` and `v` broadcast; vectors that share a matrix are multiplied together.
    steps : int
        Largest power.
    log : bool
        Whether to return natural logarithms: finite for vectors that are not zero, -inf for zero.

    Returns
    -------
    ndarray of shape (..., steps + 1)
        ``||W^k v||^2`` for k = 0, ..., steps; inf where that exceeds the largest double.

    Raises
    ------
    InputError
        If an array is not finite, the shapes do not fit together, or `steps` is not a positive integer.

    Examples
    --------
    >>> import rmt
    >>> rmt.power_norms([[0, 2], [0, 0]], [3, 4], 2)
    array([25., 64.,  0.])
    >>> rmt.power_norms([[10.0]], [1.0], 1000, log=True)[-1] / 1000    # 2 log 10
    np.float64(4.605170185988...)
    """
    W = checks.square("W", W)
    v = _vectors("v", v, W)
    steps = checks.integer("steps", steps)
    _check_batch({"W": W[..., 0, 0], "v": v[..., 0]})
    dtype = np.result_type(W, v)

    def norms(matrix: np.ndarray, h: np.ndarray, squares: np.ndarray, powers: np.ndarray) -> None:
        recurrence.power(matrix, h.astype(dtype, order="C"), np.zeros(len(h), np.int64), squares, powers)

    return squared_norms(*_for_each_matrix(norms, W.astype(dtype, copy=False), steps + 1, (v, 1)), log)


def hidden_norms(W: Any, x: Any, h0: Any = None, *, layer_norm: bool = False, log: bool = False) -> np.ndarray:
    """Return the squared norms of the hidden states of h_t = W h_{t-1} + x_t, divided by n.

    The states are rescaled as they grow or shrink, so their logarithms are finite at any number of steps.

    Parameters
    ----------
    W : array_like of shape (..., n, n)
        Real or complex matrices.
    x : array_like of shape (..., steps, n)
        Inputs of each step. The leading axes of `W`, `x` and `h0` broadcast; sequences that share a matrix are
        advanced together, which is several times faster than one by one.
    h0 : array_like of shape (..., n), optional
        States before the first step; zero if not given.
    layer_norm : bool
        Whether each state passes a layer norm, h_t = LN(a_t) with a_t = W h_{t-1} + x_t. The norms are then those of
        the a_t. LN(a) = (a - mean(a)) / sqrt(var(a) + 1e-5), with var(a) the mean of |a - mean(a)|^2 over
        the n components, real or complex; 1e-5 is the default of ``torch.nn.LayerNorm``. `h0` enters as it is.
    log : bool
        Whether to return natural logarithms: finite for states that are not zero, -inf for zero.

    Returns
    -------
    ndarray of shape (..., steps)
        ``||h_t||^2 / n``, or ``||a_t||^2 / n`` with `layer_norm`, for t = 1, ..., steps; inf where that exceeds the
        largest double.

    Raises
    ------
    InputError
        If an array is not finite or the shapes do not fit together.

    References
    ----------
    Ba, Kiros & Hinton (2016), arXiv 1607.06450, equation (4): layer norm in a recurrent network.

    Examples
    --------
    >>> import numpy as np, rmt
    >>> rmt.hidden_norms([[0.5, 0], [0, 1]], np.ones((3, 2)))
    array([1. , 3.125 , 6.03125])
    >>> rmt.hidden_norms(np.eye(4), np.zeros((2, 4)), h0=[[1, 0, 0, 0], [0, 0, 2, 0]])
    array([[0.25, 0.25],
           [1. , 1. ]])
    """
    W = checks.square("W", W)
    n = W.shape[-1]
    x = _vectors("x", x, W)
    if x.ndim < 2 or x.shape[-2] == 0:
        raise checks.InputError(f"x must have shape (..., steps, {n}) with steps >= 1, got shape {x.shape}")
    h0 = np.zeros(n) if h0 is None else _vectors("h0", h0, W)
    _check_batch({"W": W[..., 0, 0], "x": x[..., 0, 0], "h0": h0[..., 0]})
    dtype = np.result_type(W, x, h0)

    def norms(matrix: np.ndarray, x: np.ndarray, h: np.ndarray, squares: np.ndarray, powers: np.ndarray) -> None:
        x = np.require(x, dtype, ["C", "W"])
        h = h.astype(dtype, order="C")
        recurrence.hidden(matrix, x, h, np.zeros(len(h), np.int64), bool(layer_norm), squares, powers)

    squares, powers = _for_each_matrix(norms, W.astype(dtype, copy=False), x.shape[-2], (x, 2), (h0, 1))
    return squared_norms(squares / n, powers, log)


def squared_norms(squares: np.ndarray, powers: np.ndarray, log: bool) -> np.ndarray:
    """Return ``squares * 4.0**powers`` or its logarithm: what kernels return, for the caller."""
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        if log:
            return np.log(squares) + 2 * math.log(2) * powers
        return np.ldexp(squares, 2 * powers)


def _vectors(name: str, value: Any, W: np.ndarray) -> np.ndarray:
    vectors = checks.array(name, value)
    if vectors.ndim == 0 or vectors.shape[-1] != W.shape[-1]:
        raise checks.InputError(
            f"{name} must have {W.shape[-1]} as its last length, for W of shape {W.shape}; got shape {vectors.shape}"
        )
    return vectors


def _check_batch(batches: dict[str, np.ndarray]) -> None:
    try:
        np.broadcast_shapes(*(array.shape for array in batches.values()))
    except ValueError as error:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in batches.items())
        raise checks.InputError(f"the leading axes must broadcast, got {shapes}") from error


def _broadcast(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    # What NumPy broadcasts is read-only, and kernels would be given a copy of it.
    return array if array.shape == shape else np.broadcast_to(array, shape)


def _for_each_matrix(
    norms: Callable[..., None], W: np.ndarray, length: int, *inputs: tuple[np.ndarray, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Call norms(matrix, ..., squares, powers) for each matrix of W; return all squares and powers.

    An input is given with the number of its own, last axes, and arrives as (S, *own axes), for the S sequences that
    share the matrix; squares and powers (S, length) are to be filled.
    """
    batch = np.broadcast_shapes(W.shape[:-2], *(array.shape[: array.ndim - own] for array, own in inputs))
    spread = [_broadcast(array, (*batch, *array.shape[array.ndim - own :])) for array, own in inputs]
    W = W.reshape((1,) * (len(batch) - W.ndim + 2) + W.shape)
    squares = np.empty((*batch, length))
    powers = np.empty((*batch, length), np.int64)

    def one(index: tuple[int, ...]) -> None:
        # An axis along which W has length 1 belongs to the sequences that share the matrix.
        rows = tuple(slice(None) if shared == 1 else i for i, shared in zip(index, W.shape, strict=False))
        parts = [array[rows].reshape(-1, *array.shape[len(batch) :]) for array in spread]
        shape = squares[rows].shape
        found = np.empty((math.prod(shape[:-1]), length)), np.empty((math.prod(shape[:-1]), length), np.int64)
        norms(np.require(W[index], None, ["C", "W"]), *parts, *found)
        squares[rows], powers[rows] = (array.reshape(shape) for array in found)

    parallel.thread_map(one, np.ndindex(W.shape[:-2]), math.prod(W.shape[:-2]))
    return squares, powers
