"""Matrices of iid entries, Gaussian or not, and the truncated normal initialiser of common libraries."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.special import erf, erfinv, gammainc

from rmt import checks
from rmt.ensembles.base import Ensemble
from rmt.ensembles.gaussian import Ginibre

ENTRIES = ("normal", "uniform", "rademacher", "student_t", "truncated_normal")
MIN_BOUND = 1e-6  # below it the squares of the entries lose digits


def truncated_normal_std(bound: float) -> float:
    """Return the standard deviation of a standard normal variable conditioned on [-bound, bound]."""
    # E[x^2; |x| < b] / P(|x| < b), both as chi-square distribution functions: nothing cancels.
    return math.sqrt(gammainc(1.5, bound**2 / 2) / gammainc(0.5, bound**2 / 2))


@dataclass(frozen=True)
class IID(Ensemble):
    """Matrices of iid entries of mean zero and variance ``scale**2 / n``, whatever the law of the entry.

    A complex entry is (a + i b) / sqrt(2), a and b independent and of the law of the real entry:
    E|w|^2 = scale^2/n and E w^2 = 0.

    Parameters
    ----------
    n : int
        Size of the matrix.
    entry : {"normal", "uniform", "rademacher", "student_t", "truncated_normal"}
        Law of the entry before it is standardised: N(0, 1), uniform on an interval around zero, a random
        sign, Student's t, or N(0, 1) conditioned on [-bound, bound].
    field : {"real", "complex"}
        Field of the entries.
    scale : float
        Positive factor; the entries have standard deviation ``scale / sqrt(n)``.
    df : float, optional
        Degrees of freedom of "student_t", above 2, where its variance is finite; the other laws have none.
    bound : float, optional
        Where "truncated_normal" is truncated, in standard deviations of the normal before truncation; at
        least 1e-6, and 2 unless it is given. The other laws have none.

    Raises
    ------
    InputError
        If an argument is out of its range, `df` is missing, or `df` or `bound` is given to a law without it.

    References
    ----------
    Tao & Vu (2008), Commun. Contemp. Math. 10, 261-307 (circular law for iid entries).
    Cipolloni, Erdos & Xu (2023), arXiv 2312.08325 (the limit law of the radius is universal).

    Examples
    --------
    >>> import rmt
    >>> rmt.IID(4, "rademacher").draw(rng=0)[0]
    array([ 0.5,  0.5,  0.5, -0.5])
    >>> rmt.IID(4, "student_t", df=5).df
    5.0
    """

    n: int
    entry: str = "normal"
    field: str = "real"
    scale: float = 1.0
    df: float | None = None
    bound: float | None = None

    def __post_init__(self) -> None:
        entry = checks.choice("entry", self.entry, ENTRIES)
        df, bound = self.df, self.bound
        if entry == "student_t":
            df = checks.real("df", df, above=2)
        elif df is not None:
            raise checks.InputError(f"df applies to entry 'student_t' only, got {df!r} with {entry!r}")
        if entry == "truncated_normal":
            bound = checks.real("bound", 2.0 if bound is None else bound, at_least=MIN_BOUND)
        elif bound is not None:
            raise checks.InputError(f"bound applies to entry 'truncated_normal' only, got {bound!r} with {entry!r}")
        self._canonical(
            n=checks.integer("n", self.n),
            field=checks.field(self.field),
            scale=checks.real("scale", self.scale, above=0),
            df=df,
            bound=bound,
        )

    def matrix(self, rng: Generator) -> np.ndarray:
        """Return one matrix (n, n), drawn from `rng`."""
        if self.field == "real":
            W = self._standardised(rng, (self.n, self.n))
        else:
            W = self._standardised(rng, (self.n, self.n, 2)).view(np.complex128)[..., 0] * math.sqrt(0.5)
        W *= self.scale / math.sqrt(self.n)
        return W

    def _standardised(self, rng: Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Return real iid entries of mean 0 and variance 1."""
        if self.entry == "uniform":
            return rng.uniform(-math.sqrt(3), math.sqrt(3), shape)
        if self.entry == "rademacher":
            return 2.0 * rng.integers(0, 2, shape) - 1.0
        if self.df is not None:
            return rng.standard_t(self.df, shape) * math.sqrt((self.df - 2) / self.df)
        if self.bound is not None:
            quantiles = rng.uniform(-1, 1, shape) * erf(self.bound / math.sqrt(2))
            x = np.clip(math.sqrt(2) * erfinv(quantiles), -self.bound, self.bound)
            return x / truncated_normal_std(self.bound)
        return rng.standard_normal(shape)


def as_ginibre(ensemble: Ensemble) -> Ginibre | None:
    """Return the Ginibre ensemble whose matrices have the law of those of `ensemble`, or None."""
    # A subclass may draw other matrices.
    if type(ensemble) is Ginibre:
        return ensemble
    if type(ensemble) is IID and ensemble.entry == "normal":
        return Ginibre(ensemble.n, ensemble.field, ensemble.scale)
    return None


def truncated_glorot(n: int, bound: float = 2.0, corrected: bool = False) -> IID:
    """Return Glorot's initialisation with a truncated normal, as Haiku and JAX have it.

    The entries are N(0, 1/n) conditioned on [-bound, bound] standard deviations. Truncation shrinks their
    variance, at bound 2 to 0.7737 / n (standard deviation 0.8796 / sqrt(n)), unless it is corrected to 1 / n.

    Parameters
    ----------
    n : int
        Size of the matrix.
    bound : float
        Where the normal is truncated, in its standard deviations.
    corrected : bool
        Whether the entries are divided by the standard deviation that truncation leaves.

    Returns
    -------
    IID
        Real, with `scale` the standard deviation that is left.

    Examples
    --------
    >>> import rmt
    >>> round(rmt.truncated_glorot(4).scale, 10)
    0.879625661
    >>> rmt.truncated_glorot(4, corrected=True).scale
    1.0
    """
    bound = checks.real("bound", bound, at_least=MIN_BOUND)
    return IID(n, "truncated_normal", scale=1.0 if corrected else truncated_normal_std(bound), bound=bound)
