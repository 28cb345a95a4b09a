"""Diagonal matrices: recurrences without mixing, as in linear recurrent units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.random import Generator

from rmt import checks
from rmt.ensembles.base import Ensemble
from rmt.ensembles.gaussian import Ginibre, glorot, rescaled_glorot

SPECTRA = ("uniform_disc", "glorot", "rescaled_glorot", "ring")

# The arguments, with their defaults, that have a meaning for some spectra only.
DEFAULTS = {"r_min": 0.0, "r_max": 1.0, "max_phase": 2 * math.pi}
APPLICABLE = {
    "uniform_disc": ("r_max",),
    "glorot": (),
    "rescaled_glorot": (),
    "ring": ("r_min", "r_max", "max_phase"),
}


@dataclass(frozen=True)
class Diagonal(Ensemble):
    """Diagonal matrices of random eigenvalues, as complex128 whatever the field.

    - "uniform_disc": iid uniform on the disc of radius `r_max`, so that |lambda| has density 2 r / r_max^2.
    - "ring": |lambda|^2 iid uniform on [r_min^2, r_max^2], the phase uniform on [0, max_phase].
    - "glorot", "rescaled_glorot": the joint spectrum of one matrix of :func:`glorot` or
      :func:`rescaled_glorot`, whose entries have variance 1/n or gain^2/n; the eigenvalues repel each other.

    With the field "real" the spectrum is that of a real matrix. The Ginibre spectra are so by themselves; the
    others become floor(n/2) iid conjugate pairs, of which one member has the law above, and, where n is odd,
    one real eigenvalue: its modulus has the law above, its sign is that of cos(phase) for one more phase.

    Parameters
    ----------
    n : int
        Size of the matrix.
    spectrum : {"uniform_disc", "glorot", "rescaled_glorot", "ring"}
        Law of the eigenvalues.
    field : {"complex", "real"}
        Whether eigenvalues stand alone or in conjugate pairs.
    r_min, r_max : float
        Radii, 0 <= r_min <= r_max and r_max > 0: both for "ring", `r_max` for "uniform_disc".
    max_phase : float
        Largest phase in radians, 0 < max_phase <= 2 pi, for "ring".

    Raises
    ------
    InputError
        If an argument is out of its range, or given to a spectrum for which it has no meaning.

    References
    ----------
    Orvieto et al. (2023), arXiv 2303.06349 (LRU), lemma 3.2: the ring.
    Ginibre (1965), J. Math. Phys. 6, 440-449: the joint spectrum.

    Examples
    --------
    >>> import rmt
    >>> ring = rmt.Diagonal(4, "ring", r_min=0.9, r_max=0.99)
    >>> moduli = abs(ring.draw_eigenvalues(5, rng=0))
    >>> moduli.shape, bool(moduli.min() >= 0.9), bool(moduli.max() <= 0.99)
    ((5, 4), True, True)
    """

    n: int
    spectrum: str = "uniform_disc"
    field: str = "complex"
    r_min: float = DEFAULTS["r_min"]
    r_max: float = DEFAULTS["r_max"]
    max_phase: float = DEFAULTS["max_phase"]

    def __post_init__(self) -> None:
        spectrum = checks.choice("spectrum", self.spectrum, SPECTRA)
        r_max = checks.real("r_max", self.r_max, above=0)
        self._canonical(
            n=checks.integer("n", self.n),
            field=checks.field(self.field),
            r_min=checks.real("r_min", self.r_min, at_least=0, at_most=r_max),
            r_max=r_max,
            max_phase=checks.real("max_phase", self.max_phase, above=0, at_most=2 * math.pi),
        )
        for name, default in DEFAULTS.items():
            value = getattr(self, name)
            if name not in APPLICABLE[spectrum] and value != default:
                where = " and ".join(repr(s) for s in SPECTRA if name in APPLICABLE[s])
                raise checks.InputError(f"{name} applies to {where} only, got {value!r} with {spectrum!r}")

    @property
    def dtype(self) -> np.dtype:
        """Type of the entries: complex128."""
        return np.dtype(np.complex128)

    @cached_property
    def ginibre(self) -> Ginibre | None:
        """The Ginibre ensemble that has this spectrum, or None."""
        if self.spectrum == "glorot":
            return glorot(self.n, self.field)
        if self.spectrum == "rescaled_glorot":
            return rescaled_glorot(self.n, self.field)
        return None

    def matrix(self, rng: Generator) -> np.ndarray:
        """Return one matrix (n, n), drawn from `rng`."""
        return np.diag(self.eigenvalues(rng))

    def eigenvalues(self, rng: Generator) -> np.ndarray:
        """Return the n complex eigenvalues of one matrix, drawn from `rng`."""
        if self.ginibre is not None:
            return self.ginibre.eigenvalues(rng)
        if self.field == "complex":
            return self._independent(rng, self.n)
        eigenvalues = np.empty(self.n, np.complex128)
        half = self._independent(rng, (self.n + 1) // 2)
        pairs = self.n // 2
        eigenvalues[0 : 2 * pairs : 2] = half[:pairs]
        eigenvalues[1 : 2 * pairs : 2] = half[:pairs].conj()
        if self.n % 2:
            eigenvalues[-1] = math.copysign(abs(half[-1]), half[-1].real)
        return eigenvalues

    def _independent(self, rng: Generator, count: int) -> np.ndarray:
        # The disc is the ring from radius 0 with every phase.
        moduli = np.sqrt(rng.uniform(self.r_min**2, self.r_max**2, count))
        return moduli * np.exp(1j * rng.uniform(0, self.max_phase, count))
