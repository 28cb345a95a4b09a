"""The square blocks of an array of recurrent weights: one matrix, a batch of them, or stacked gates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rmt import checks

MOST_GATES = 4  # of a cell that the libraries have: the LSTM


@dataclass(frozen=True)
class Blocks:
    """An array of weights of shape `shape`, made of independent n x n matrices.

    The leading axes of `shape` count matrices. The last two are (n, n), or, with gates > 1, (gates n, n) or
    (n, gates n), whose blocks are the matrices of the gates.
    """

    shape: tuple[int, ...]
    n: int
    gates: int

    @property
    def count(self) -> int:
        """Number of matrices."""
        return math.prod(self.shape[:-2]) * self.gates

    @property
    def separate(self) -> tuple[int, ...]:
        """Shape of the matrices before they are joined: (..., n, n), or (..., gates, n, n)."""
        stack = (self.gates,) if self.gates > 1 else ()
        return (*self.shape[:-2], *stack, self.n, self.n)

    def join(self, matrices: Any, xp: Any) -> Any:
        """Return `matrices` of shape `separate` as one array of shape `shape`.

        `xp` is the module of `matrices` that has ``swapaxes`` and ``reshape``: numpy, jax.numpy, torch or keras.ops.
        """
        if self.shape[-1] > self.n:
            matrices = xp.swapaxes(matrices, -3, -2)
        return xp.reshape(matrices, self.shape)


def square_blocks(name: str, shape: Sequence[int], gates: int = 1) -> Blocks:
    """Return the blocks of an array of that shape; `name` is what the caller knows the array as."""
    gates = checks.integer("gates", gates)
    shape = _sizes(name, shape)
    rows, columns = shape[-2:] if len(shape) > 1 else (0, 1)
    if gates == 1 and rows != columns:
        raise checks.InputError(
            f"{name} must have shape (..., n, n), because a recurrence takes its state to itself, got shape {shape}"
            + _hint(rows, columns)
        )
    n = min(rows, columns)
    if gates > 1 and (rows == columns or max(rows, columns) != gates * n):
        raise checks.InputError(
            f"{name} must have shape (..., {gates} n, n) or (..., n, {gates} n) for gates={gates}, got shape {shape}"
        )
    return Blocks(shape, n, gates)


def vectors(name: str, shape: Sequence[int], gates: int = 1) -> tuple[int, ...]:
    """Return the shape (..., n) of vectors of complex eigenvalues, checked."""
    shape = _sizes(name, shape)
    if not shape:
        raise checks.InputError(f"{name} must have shape (..., n) for complex eigenvalues, got shape ()")
    if checks.integer("gates", gates) > 1:
        raise checks.InputError(f"gates must be 1 for complex eigenvalues, which are no matrices, got {gates}")
    return shape


def _sizes(name: str, shape: Sequence[int]) -> tuple[int, ...]:
    try:
        sizes = tuple(shape)
    except TypeError as error:
        raise checks.InputError(f"{name} must be a sequence of integers, got {checks.shown(shape)}") from error
    return tuple(checks.integer(f"every size in {name}", size) for size in sizes)


def _hint(rows: int, columns: int) -> str:
    small, large = min(rows, columns), max(rows, columns)
    if small == 0 or large % small or large // small > MOST_GATES:  # input weights, rather
        return ""
    return f"; if these are {large // small} stacked gates, gates={large // small} draws each of them"
