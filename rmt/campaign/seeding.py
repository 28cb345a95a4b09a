"""The generators of many samples of a cell: those of `stream`, bit by bit, at a tenth of the cost.

A ``SeedSequence`` mixes the words of its entropy one after the other into a pool of four. The samples of a cell
differ in the last word only, their index; so NumPy mixes the others once, and the last step is done here for
thousands of indices together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import PCG64DXSM, Generator, SeedSequence
from numpy.random.bit_generator import ISpawnableSeedSequence

from rmt.campaign.cells import STREAM_VERSION, Cell, stream

BLOCK = 4096  # states that are made at once
POOL = 4

# The constants of O'Neill's seed_seq_fe, as NumPy has them; all arithmetic is modulo 2^32.
INIT_A, MULT_A, INIT_B, MULT_B = 0x43B0D7E5, 0x931E8875, 0x8B51F9DD, 0x58F38DED
MIX_L, MIX_R = 0xCA01F9DD, 0x4973F715
WORD = 2**32


class Streams:
    """The generators of samples start, ..., stop - 1 of a cell: each is a fresh ``stream(root, cell, index)``.

    Parameters
    ----------
    root : int
        The root seed.
    cell : Cell
        The cell.
    start, stop : int
        The range of indices.
    """

    def __init__(self, root: int, cell: Cell, start: int, stop: int) -> None:
        self.root, self.cell = root, cell
        self.start, self.stop = start, min(stop, WORD)
        self.key = (STREAM_VERSION, *cell.words)
        self.pool = SeedSequence(root, spawn_key=self.key).pool.tolist()
        # An integer takes as many words as it needs, and the root seed at least as many as the pool has.
        words = max(POOL, -(-root.bit_length() // 32)) + len(self.key)
        self.mixed = POOL**2 + POOL * (words - POOL)
        self.block = np.empty((0, POOL), dtype=np.uint64)
        self.first = start

    def __getitem__(self, index: int) -> Generator:
        if not self.start <= index < self.stop:  # an index of two words, too
            return stream(self.root, self.cell, index)
        if not self.first <= index < self.first + len(self.block):
            self.first = index
            self.block = self._states(np.arange(index, min(index + BLOCK, self.stop), dtype=np.uint32))
        return Generator(PCG64DXSM(_Seed(self.block[index - self.first], self.root, self.key, index)))

    def _states(self, index: np.ndarray) -> np.ndarray:
        """Return what PCG64DXSM asks of the SeedSequence of each index, (count, 4)."""
        const = INIT_A * pow(MULT_A, self.mixed, WORD) % WORD
        pool = []
        for word in self.pool:
            value = index ^ np.uint32(const)
            const = const * MULT_A % WORD
            value = _folded(value * np.uint32(const))
            pool.append(_folded(np.uint32(MIX_L * word % WORD) - np.uint32(MIX_R) * value))
        states = np.empty((len(index), 2 * POOL), dtype="<u4")
        const = INIT_B
        for column in range(2 * POOL):
            value = pool[column % POOL] ^ np.uint32(const)
            const = const * MULT_B % WORD
            states[:, column] = _folded(value * np.uint32(const))
        return states.view("<u8").astype(np.uint64)


def _folded(value: np.ndarray) -> np.ndarray:
    return value ^ (value >> np.uint32(16))


class _Seed(ISpawnableSeedSequence):
    """The SeedSequence of one sample. What seeds PCG64DXSM is known; all else is asked of NumPy."""

    _sequence: SeedSequence | None = None

    def __init__(self, state: np.ndarray, root: int, key: tuple[int, ...], index: int) -> None:
        self._state, self._root, self._key, self._index = state, root, key, index

    def _whole(self) -> SeedSequence:
        if self._sequence is None:
            self._sequence = SeedSequence(self._root, spawn_key=(*self._key, self._index))
        return self._sequence

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> np.ndarray:
        if n_words == POOL and dtype is np.uint64:
            return self._state
        return self._whole().generate_state(n_words, dtype)

    def spawn(self, n_children: int) -> Any:
        return self._whole().spawn(n_children)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._whole(), name)
