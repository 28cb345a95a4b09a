"""A fresh matrix at every step, instead of the powers of one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from rmt import checks
from rmt.ensembles.base import Ensemble
from rmt.ensembles.gaussian import Ginibre


@dataclass(frozen=True)
class IndependentProduct(Ensemble):
    """Independent Ginibre matrices W_1, W_2, ..., one for each step of a recurrence h_t = W_t h_{t-1} + x_t.

    Each has iid Gaussian entries of variance ``scale**2 / n``, as in :class:`Ginibre`. A draw is one factor.
    There is no single matrix, hence no spectrum: functions of eigenvalues refuse this ensemble.

    Parameters
    ----------
    n : int
        Size of the factors.
    field : {"real", "complex"}
        Field of the entries.
    scale : float
        Positive factor; the entries have standard deviation ``scale / sqrt(n)``.

    Raises
    ------
    InputError
        If n < 1, the field is unknown, or the scale is not a positive finite number.

    References
    ----------
    Hanin & Nica (2020), Commun. Math. Phys. 376, 287-322, section 1.

    Examples
    --------
    >>> import rmt
    >>> rmt.IndependentProduct(3).draw(2, rng=0).shape
    (2, 3, 3)
    """

    n: int
    field: str = "real"
    scale: float = 1.0

    def __post_init__(self) -> None:
        factor = self.factor
        self._canonical(n=factor.n, field=factor.field, scale=factor.scale)

    @property
    def factor(self) -> Ginibre:
        """The ensemble of one factor."""
        return Ginibre(self.n, self.field, self.scale)

    def matrix(self, rng: Generator) -> np.ndarray:
        """Return one factor (n, n), drawn from `rng`."""
        return self.factor.checked_matrix(rng)

    def eigenvalues(self, rng: Generator) -> np.ndarray:
        """Raise InputError: there is no single matrix."""
        raise checks.InputError(
            "IndependentProduct draws a new matrix at every step and has no single spectrum; "
            f"the spectrum of one factor is that of {self.factor}"
        )
