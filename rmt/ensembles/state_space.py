"""Recurrences that come from a differential equation with a random matrix."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.linalg import expm

from rmt import checks
from rmt.ensembles.base import Ensemble
from rmt.ensembles.product import IndependentProduct

METHODS = ("bilinear", "zoh", "euler")


@dataclass(frozen=True)
class StateSpace(Ensemble):
    """The matrix of one time step of dx/dt = A x, where A = shift * I + B and B is drawn from `base`.

    With step D, "bilinear" is (I - D A/2)^{-1} (I + D A/2), "zoh" (zero-order hold) is exp(D A), and "euler"
    is I + D A. The entries of A have the variance of `base`; those of the result have no common variance.

    Parameters
    ----------
    base : Ensemble
        Law of B; its `n` and `field` are those of the result.
    step : float
        Positive time step D.
    shift : float
        Real number added to every eigenvalue of B.
    method : {"bilinear", "zoh", "euler"}
        Rule of discretisation.

    Raises
    ------
    InputError
        If `base` is not an ensemble of single matrices, or another argument is out of its range.

    References
    ----------
    Gu, Goel & Re (2021), arXiv 2111.00396 (S4), equation (3): the bilinear rule.

    Examples
    --------
    >>> import rmt
    >>> import numpy as np
    >>> slow = rmt.StateSpace(rmt.glorot(3), step=0.1, shift=-1.0, method="zoh")
    >>> abs(np.linalg.eigvals(slow.draw(rng=0))).max() < 1
    np.True_
    """

    base: Ensemble
    step: float
    shift: float = 0.0
    method: str = "bilinear"
    n: int = dataclasses.field(init=False, repr=False)
    field: str = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.base, Ensemble) or isinstance(self.base, IndependentProduct):
            raise checks.InputError(f"base must be an ensemble of single matrices, got {self.base!r}")
        self._canonical(
            step=checks.real("step", self.step, above=0),
            shift=checks.real("shift", self.shift),
            method=checks.choice("method", self.method, METHODS),
            n=self.base.n,
            field=self.base.field,
        )

    @property
    def dtype(self) -> np.dtype:
        """Type of the entries: that of `base`."""
        return self.base.dtype

    def matrix(self, rng: Generator) -> np.ndarray:
        """Return one matrix (n, n), drawn from `rng`."""
        identity = np.eye(self.n)
        DA = self.step * (self.shift * identity + self.base.checked_matrix(rng))
        if self.method == "zoh":
            return expm(DA)
        if self.method == "euler":
            return identity + DA
        return np.linalg.solve(identity - DA / 2, identity + DA / 2)

    def eigenvalues(self, rng: Generator) -> np.ndarray:
        """Return the n complex eigenvalues of one matrix: the rule, applied to the eigenvalues of A."""
        z = self.step * (self.shift + self.base.checked_eigenvalues(rng))
        if self.method == "zoh":
            return np.exp(z)
        if self.method == "euler":
            return 1 + z
        return (1 + z / 2) / (1 - z / 2)
