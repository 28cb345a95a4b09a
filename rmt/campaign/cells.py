"""A cell, one statistic of one ensemble, and its samples: each fixed by the cell, its index and the root seed."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rmt import checks
from rmt.campaign.identity import canonical, describe, describe_function, sources
from rmt.recurrence import sample_hidden_norms, sample_power_norms
from rmt.spectra.sampled import sample_eigenvalue_moduli, sample_eigenvalues, sample_spectral_radius

STREAM_VERSION = 1
"""Raised whenever the meaning of a seed changes; a store of another version is refused."""

STATISTICS: dict[str, Callable] = {
    "spectral_radius": sample_spectral_radius,
    "eigenvalues": sample_eigenvalues,
    "eigenvalue_moduli": sample_eigenvalue_moduli,
    "power_norms": sample_power_norms,
    "hidden_norms": sample_hidden_norms,
}


@dataclass(frozen=True, eq=False)
class Cell:
    """One statistic of one ensemble: what samples 0, 1, 2, ... are samples of.

    Cells are equal, and hash alike, where their canonical descriptions agree. The seed of a sample follows
    from that description and from the sample's index, and from nothing else in the experiment: adding cells
    or raising a count changes no other sample.

    Parameters
    ----------
    statistic : str or callable
        "spectral_radius", "eigenvalues", "eigenvalue_moduli", "power_norms" or "hidden_norms", one sample of which is
        ``rmt.sample_<name>(ensemble, size=1, rng=rng, **params)[0]``; or an importable function of
        (ensemble, params, rng) that returns a number or an array, always of the same shape.
    ensemble : dataclass
        An ensemble of rmt, or a frozen dataclass of one's own. The source of its class is compared with that of
        earlier calls.
    params : dict, default {}
        Arguments of the statistic: numbers, strings, arrays, functions, lists and dicts of them.
    version : int, default 1
        Raise it when the statistic changes its meaning in a way that its own source does not show.

    Examples
    --------
    >>> import rmt
    >>> cell = rmt.campaign.Cell("power_norms", rmt.Ginibre(8), {"steps": 3})
    >>> cell == rmt.campaign.Cell("power_norms", rmt.Ginibre(8), {"steps": 3})
    True
    >>> rmt.campaign.sample(cell, root=0, index=5).shape
    (4,)
    """

    statistic: str | Callable
    ensemble: Any
    params: dict[str, Any] = field(default_factory=dict)
    version: int = 1
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.params, Mapping):
            raise checks.InputError(f"params must be a dict, got {self.params!r}")
        object.__setattr__(self, "params", dict(self.params))
        version = checks.integer("version", self.version)
        if callable(self.statistic):
            statistic: Any = describe_function(self.statistic)
            self._check_signature(self.statistic)
        else:
            statistic = checks.choice("statistic", self.statistic, tuple(STATISTICS))
            try:
                signature = inspect.signature(STATISTICS[statistic])
                signature.bind(self.ensemble, size=1, rng=None, **self.params)
            except TypeError as error:
                raise checks.InputError(f"params of the statistic {statistic!r}: {error}") from None
        description = {
            "statistic": statistic if isinstance(statistic, dict) else f"rmt.sample_{statistic}",
            "ensemble": describe(self.ensemble),
            "params": describe(self.params),
            "version": version,
        }
        object.__setattr__(self, "key", canonical(description))

    def _check_signature(self, statistic: Callable) -> None:
        """Refuse a function that every sample would fail in, before the first one."""
        try:
            inspect.signature(statistic).bind(self.ensemble, self.params, None)
        except TypeError as error:
            name = getattr(statistic, "__qualname__", statistic)
            raise checks.InputError(f"statistic {name} must take (ensemble, params, rng): {error}") from None
        except ValueError:  # of a function that does not tell its arguments
            pass

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cell) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    @cached_property
    def sha256(self) -> bytes:
        """The 32 bytes that stand for this cell in seeds and on disk."""
        return hashlib.sha256(self.key.encode()).digest()

    @cached_property
    def words(self) -> tuple[int, ...]:
        """The same as eight integers, for the seeds."""
        return tuple(np.frombuffer(self.sha256, dtype=">u4").tolist())

    @property
    def sources(self) -> dict[str, str | None]:
        """The source text of each function and class of one's own that the cell names; see `identity.sources`."""
        return sources([self.statistic, self.ensemble, self.params])

    @property
    def statistic_name(self) -> str:
        """The statistic's name without its module."""
        return self.statistic if isinstance(self.statistic, str) else str(self.statistic.__qualname__)

    @property
    def label(self) -> str:
        """A line for people."""
        params = ", ".join(f"{name}={value!r}" for name, value in self.params.items())
        return " ".join(f"{self.statistic_name} {self.ensemble!r} {params}".split())

    @property
    def name(self) -> str:
        """A name for a folder: readable in front, unique by the hash at its end."""
        parts = [self.statistic_name]
        if is_dataclass(self.ensemble):
            parts.append(type(self.ensemble).__name__)
            parts += [_slug(f.name, getattr(self.ensemble, f.name)) for f in fields(self.ensemble) if f.compare]
        parts += [_slug(name, value) for name, value in self.params.items()]
        readable = re.sub(r"[^A-Za-z0-9._-]+", "_", "-".join(filter(None, parts)))
        return f"{readable[:80]}-{self.sha256.hex()[:16]}"


def _slug(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        return f"{name}{value:.4g}" if isinstance(value, float) else f"{name}{value}"
    return ""


def stream(root: int, cell: Cell, index: int) -> np.random.Generator:
    """Return the generator of sample `index` of `cell`: these and the root seed alone decide.

    Parameters
    ----------
    root : int
        The root seed.
    cell : Cell
        The cell.
    index : int
        Which sample, from 0 on.

    Returns
    -------
    numpy.random.Generator
        ``Generator(PCG64DXSM(SeedSequence(root, spawn_key=(stream version, *hash of the cell, index))))``.

    Examples
    --------
    >>> import rmt
    >>> cell = rmt.campaign.Cell("spectral_radius", rmt.Ginibre(8))
    >>> generators = rmt.campaign.stream(0, cell, 5), rmt.campaign.stream(0, cell, 5)
    >>> generators[0].random() == generators[1].random()
    True
    """
    sequence = np.random.SeedSequence(root, spawn_key=(STREAM_VERSION, *cell.words, index))
    return np.random.Generator(np.random.PCG64DXSM(sequence))


def sample(cell: Cell, root: int, index: int) -> np.ndarray:
    """Return sample `index` of `cell` under the root seed, as an array of doubles or complex doubles.

    Parameters
    ----------
    cell : Cell
        The cell.
    root : int
        The root seed.
    index : int
        Which sample, from 0 on.

    Returns
    -------
    ndarray
        In the shape of the statistic, which is the same for every sample of a cell.

    Examples
    --------
    >>> import rmt
    >>> cell = rmt.campaign.Cell("power_norms", rmt.Ginibre(8), {"steps": 3})
    >>> rmt.campaign.sample(cell, root=0, index=5).shape
    (4,)
    """
    return draw(cell, stream(root, cell, index))


def draw(cell: Cell, rng: np.random.Generator) -> np.ndarray:
    """Return the sample of `cell` that the generator of its index gives."""
    if callable(cell.statistic):
        value = cell.statistic(cell.ensemble, dict(cell.params), rng)
    else:
        value = STATISTICS[cell.statistic](cell.ensemble, size=1, rng=rng, **cell.params)[0]
    result = np.asarray(value)
    if result.dtype.kind not in "biufc" or result.size == 0:
        raise TypeError(f"a statistic returns a number or an array of numbers, got {type(value).__name__}")
    return result.astype(np.complex128 if result.dtype.kind == "c" else np.float64)
