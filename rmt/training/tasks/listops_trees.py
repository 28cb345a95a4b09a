"""Random nested lists of ListOps and their values: many trees at once, level by level.

Level k of a batch holds all nodes of depth k + 1 of all its trees, the children of a node side by side and in the order
of their parents, so that sums and sorts over children are those over runs of an array.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from rmt import checks

# Tokens. 0 is padding, 1, ..., 10 are the digits, then the operators in this order, and the bracket that closes.
OPERATORS = ("[MIN", "[MAX", "[MED", "[SM")
FIRST_DIGIT, FIRST_OPERATOR = 1, 11
END = FIRST_OPERATOR + len(OPERATORS)
VOCABULARY = END + 1

BATCH = 20_000  # trees drawn at once
PATIENCE = 400_000  # draws in a row without a new expression


@dataclass
class Level:
    """All nodes of one depth: the tree (depth 1) or parent of each, its arguments (0: a digit), and its tokens."""

    parent: np.ndarray
    arity: np.ndarray
    length: np.ndarray

    @property
    def inner(self) -> np.ndarray:
        """Indices of the operators."""
        return np.flatnonzero(self.arity)

    def starts(self) -> np.ndarray:
        """Where in the next level the children of each operator begin."""
        arity = self.arity[self.inner]
        return np.cumsum(arity) - arity


def draw(
    count: int,
    rng: Generator,
    *,
    minimum: int = 500,
    maximum: int = 2000,
    depth: int = 10,
    arguments: int = 10,
    probability: float = 0.25,
    progress: Callable[[str], None] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw distinct expressions of the ListOps of Long Range Arena.

    A node is an operator with `probability`, and else a digit; at the greatest depth it is a digit. An operator is
    MIN, MAX, MED (the median, rounded down) or SM (the sum modulo 10), each alike, with 2, ..., `arguments`
    arguments, each alike. Expressions of other lengths are drawn again.

    Parameters
    ----------
    count : int
        How many.
    rng : Generator
        What they are drawn from.
    minimum, maximum : int
        The number of tokens, without parentheses, is above the one and below the other.
    depth : int
        Greatest depth; the root has depth 1.
    arguments : int
        The most arguments of an operator.
    probability : float
        That of an operator, where it may stand.
    progress : callable, optional
        Is told how far it is.

    Returns
    -------
    tokens : uint8 ndarray of shape (count, maximum)
        Padded with zeros.
    lengths : int32 ndarray of shape (count,)
        Tokens of each.
    values : int32 ndarray of shape (count,)
        What each is worth, 0, ..., 9.

    Raises
    ------
    InputError
        If there are too few such expressions.

    References
    ----------
    Nangia and Bowman (2018), ListOps; lengths and depth as in Tay et al. (2021), Long Range Arena.
    """
    tokens = np.zeros((count, maximum), np.uint8)
    lengths, values = np.zeros(count, np.int32), np.zeros(count, np.int32)
    seen: set[bytes] = set()
    done = fruitless = said = 0
    while done < count:
        levels = _fitting(_structure(rng, depth, arguments, probability), minimum, maximum)
        fruitless += BATCH
        if len(levels[0].length):
            rows, row_values = _written(levels, rng, maximum)
            for row, length, value in zip(rows, levels[0].length, row_values, strict=True):
                known = hashlib.blake2b(row[:length], digest_size=16).digest()
                if known in seen or done == count:
                    continue
                seen.add(known)
                tokens[done], lengths[done], values[done] = row, length, value
                done += 1
                fruitless = 0
        if fruitless >= PATIENCE:
            raise checks.InputError(
                f"of more than {minimum} and fewer than {maximum} tokens, no more than {done:,} different expressions "
                f"were found, and {count:,} are asked for"
            )
        if progress is not None and done - said >= 10_000:
            said = done
            progress(f"listops: {done:,} of {count:,} expressions")
    return tokens, lengths, values


def _structure(rng: Generator, depth: int, arguments: int, probability: float) -> list[Level]:
    """Draw the shape of a batch of trees: how many arguments each node has."""
    levels: list[Level] = []
    parent = np.arange(BATCH)
    for below in range(depth - 1, -1, -1):
        if below:
            operator = rng.random(len(parent)) < probability
            arity = np.where(operator, rng.integers(2, arguments + 1, len(parent)), 0)
        else:
            arity = np.zeros(len(parent), np.int64)
        levels.append(Level(parent, arity, np.ones(len(parent), np.int64)))
        parent = np.repeat(np.arange(len(arity)), arity)
        if not len(parent):
            break
    for level, children in zip(levels[-2::-1], levels[:0:-1], strict=True):
        level.length[level.inner] = 2 + np.add.reduceat(children.length, level.starts())
    return levels


def _fitting(levels: list[Level], minimum: int, maximum: int) -> list[Level]:
    """Return the trees of the right lengths alone."""
    kept = (levels[0].length > minimum) & (levels[0].length < maximum)
    result = []
    for depth, level in enumerate(levels):
        if depth:
            kept = kept[level.parent]
            if not kept.any():
                break
        result.append(Level(level.parent[kept], level.arity[kept], level.length[kept]))
    return result


def _written(levels: list[Level], rng: Generator, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw digits and operators; return the tokens of each tree, padded to `width`, and its value."""
    names = [rng.integers(0, np.where(level.arity > 0, len(OPERATORS), 10)) for level in levels]
    rows = np.zeros((len(levels[0].length), width), np.uint8)
    tree, start = np.arange(len(rows)), np.zeros(len(rows), np.int64)
    for level, name, children in zip(levels, names, [*levels[1:], None], strict=True):
        rows[tree, start] = name + np.where(level.arity > 0, FIRST_OPERATOR, FIRST_DIGIT)
        inner = level.inner
        rows[tree[inner], start[inner] + level.length[inner] - 1] = END
        if children is not None:
            before = np.cumsum(children.length) - children.length
            arity = level.arity[inner]
            start = np.repeat(start[inner] + 1 - before[level.starts()], arity) + before
            tree = np.repeat(tree[inner], arity)
    return rows, _values(levels, names)


def _values(levels: list[Level], names: list[np.ndarray]) -> np.ndarray:
    """Return the value of each tree."""
    below = names[-1]
    for level, name in zip(levels[-2::-1], names[-2::-1], strict=True):
        inner, starts = level.inner, level.starts()
        arity = level.arity[inner]
        group = np.repeat(np.arange(len(inner)), arity)
        ordered = np.sort(group * 10 + below) - 10 * group  # sorted within each operator's arguments
        median = (ordered[starts + (arity - 1) // 2] + ordered[starts + arity // 2]) // 2
        total = np.add.reduceat(below, starts) % 10
        worth = np.choose(name[inner], [ordered[starts], ordered[starts + arity - 1], median, total])
        below = name.copy()
        below[inner] = worth
    return below
