"""One random stream per sample, so that a sample depends on its index and on nothing beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.random import PCG64DXSM, Generator, SeedSequence

from rmt import checks


@dataclass(frozen=True)
class Streams:
    """The generators of samples 0, 1, ..., size - 1; each is made when it is asked for.

    Stream i depends on `root` and on i: not on `size`, nor on which thread asks, nor on the order.
    """

    root: int
    size: int

    @cached_property
    def _words(self) -> np.ndarray:
        # What SeedSequence makes of the root, made once: that would take a third of the time that a stream does.
        return np.frombuffer(self.root.to_bytes(16, "little"), "<u4").astype(np.uint32)

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Generator:
        if not 0 <= index < self.size:
            raise IndexError(index)
        return Generator(PCG64DXSM(SeedSequence(self._words, spawn_key=(index,))))

    def __iter__(self) -> Iterator[Generator]:
        return (self[index] for index in range(self.size))


def streams(rng: Any, size: int) -> Streams:
    """Return the streams of `size` samples. Takes 128 bits from `rng`, so that the next call differs."""
    words = checks.generator(rng).integers(0, 2**32, size=4, dtype=np.uint32)
    return Streams(int.from_bytes(words.tobytes(), "little"), size)
