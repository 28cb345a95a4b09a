"""The exact law of the spectral radius of a Ginibre matrix at finite n."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar

import numpy as np

from rmt import checks
from rmt.laws import radius_complex, radius_real
from rmt.laws.interpolant import Interpolant, find_level, interpolate
from rmt.laws.law import Law
from rmt.parallel import one_blas_thread

LARGEST_N = {"real": 65_536, "complex": 10**12}

# The levels of g = log(-log F) between which a law is tabulated: F = 1e-100, 1e-30; 1 - F = 1e-17, 1e-300.
_FLOOR, _LOW, _HIGH, _CEILING = math.log(230.3), math.log(69.1), -39.2, -691.0

# Up to this n the law is tabulated against log r, because log F(r) is like n^2 log r near r = 0; above, against
# r - sqrt(n), which has digits to spare where n is large.
_LOGARITHMIC = 64


@dataclass(frozen=True, eq=False)
class _Tables:
    """g(y) = log(-log F) of the unscaled radius against a coordinate y, tabulated piece by piece when first needed."""

    n: int
    field: str

    @property
    def logarithmic(self) -> bool:
        return self.n <= _LOGARITHMIC

    def direct(self, y: float) -> float:
        """Evaluate g(y) from the exact formula."""
        root = math.sqrt(self.n)
        r, shift = (math.exp(y), math.exp(y) - root) if self.logarithmic else (root + y, y)
        if r <= 0:
            return math.inf
        if self.field == "complex":
            log_cdf = radius_complex.log_cdf(self.n, r, shift)
        else:
            log_cdf = radius_real.log_cdf(self.n, r)
        return math.log(-log_cdf) if log_cdf < 0 else -math.inf

    @cached_property
    def core(self) -> Interpolant:
        """From F = 1e-30 to 1 - F = 1e-17: to 2e-13 in F, and to 1e-11 relative in 1 - F and in log F."""
        start = math.log(self.n) / 2 if self.logarithmic else 0.0
        with one_blas_thread():
            low = find_level(self.direct, _LOW, start, 0.5)
            high = find_level(self.direct, _HIGH, max(low, start), 0.5)

        def error(values: np.ndarray, exact: np.ndarray) -> np.ndarray:
            difference = np.abs(values - exact)
            return np.maximum(difference * np.exp(exact - np.exp(exact)) / 2e-13, difference / 1e-11)

        return interpolate(self.direct, low, high, error)

    @cached_property
    def below(self) -> Interpolant:
        """From F = 1e-100 to the lower end of the core: to 1e-8 relative in log F."""
        with one_blas_thread():
            low = find_level(self.direct, _FLOOR, self.core.low, 0.5)
        return interpolate(self.direct, low, self.core.low, lambda values, exact: np.abs(values - exact) / 1e-8)

    @cached_property
    def above(self) -> Interpolant:
        """From the upper end of the core to 1 - F = 1e-300: to 2e-11 relative in 1 - F."""
        with one_blas_thread():
            high = find_level(self.direct, _CEILING, self.core.high, 2.0)
        return interpolate(self.direct, self.core.high, high, lambda values, exact: np.abs(values - exact) / 2e-11)

    def evaluate(self, y: np.ndarray, slope: bool = False) -> np.ndarray:
        """Return g, or its derivative, at `y`; beyond the tables g is +inf (F = 0) or -inf (F = 1)."""
        result = np.where(np.isnan(y), np.nan, np.where(y < self.core.low, np.inf, -np.inf))
        for name in ("core", "below", "above"):
            outside = {"below": y < self.core.low, "above": y > self.core.high}.get(name)
            if outside is not None and not outside.any():
                continue
            piece = getattr(self, name)
            inside = (y >= piece.low) & (y <= piece.high)
            result[inside] = piece.with_slope(y[inside])[1] if slope else piece(y[inside])
        return result

    def inverse(self, g: np.ndarray) -> np.ndarray:
        """Return the y of each g; beyond the tables the end of the tables."""
        result = np.empty_like(g)
        low, high = self.core(np.array([self.core.low, self.core.high]))
        for where, name in ((g > low, "below"), (g < high, "above"), ((g <= low) & (g >= high), "core")):
            if where.any():
                result[where] = getattr(self, name).inverse(g[where])
        return result

    @cached_property
    def moments(self) -> tuple[float, float]:
        """Mean of the radius less sqrt(n), and standard deviation; beyond the core there is nothing that counts."""
        y, weights = self.core.rule()
        root = math.sqrt(self.n)
        radius, weights = (np.exp(y), weights * np.exp(y)) if self.logarithmic else (root + y, weights)
        shift = radius - root if self.logarithmic else y
        lowest = math.exp(self.core.low) - root if self.logarithmic else self.core.low
        upper = -np.expm1(-np.exp(self.core(y)))
        mean = lowest + weights @ upper
        variance = (lowest - mean) ** 2 + 2 * weights @ ((shift - mean) * upper)
        return float(mean), math.sqrt(variance)


@lru_cache(maxsize=128)
def _tables(n: int, field: str) -> _Tables:
    return _Tables(n, field)


@dataclass(frozen=True)
class SpectralRadiusLaw(Law):
    """Exact law of the spectral radius of a Ginibre matrix at finite n.

    The matrix is W = scale * G / sqrt(n) of shape (n, n), with independent entries of variance scale**2 / n: real
    normal, or complex normal with E|w|^2 = scale**2 / n. With scale = 1 it is a Glorot matrix.

    Parameters
    ----------
    n : int
        Width, 1 <= n <= 65,536 (real) or 1 <= n <= 1e12 (complex).
    field : {"real", "complex"}
        Field of the entries.
    scale : float
        Multiplies the matrix and hence the radius; > 0.

    Raises
    ------
    rmt.checks.InputError
        If an argument is not as above.

    Notes
    -----
    Complex: the squared moduli of the eigenvalues of G are, as a set, independent Gamma(k, 1) variables, k = 1..n
    (Kostlan 1992). Real: a Pfaffian that reduces to a determinant (Forrester & Nagao 2007; Sinclair 2007; Borodin &
    Sinclair 2009; Rider & Sinclair 2014).

    The law is tabulated on first use: in about 0.1 s (complex), about 1 s (real, n = 1024), about half a minute (real,
    n = 65,536). Accuracy: `cdf` to 1e-12 absolute (n <= 4096); `sf`, `logsf`, `isf` to 1e-10 relative down to
    probability 1e-100; `logcdf` to 1e-8 relative down to F = 1e-30. The lower tail reaches down to F = 1e-100 and the
    upper one to 1 - F = 1e-300, with an accuracy that falls off beyond the limits just named; a probability below that
    is returned as 0, its log as -inf, and `ppf` and `isf` refuse one.
    At n = 1e12 the spacing of doubles near r = 1 alone moves F by 1e-9; quantiles and moments are not affected.

    References
    ----------
    E. Kostlan, "On the spectra of Gaussian matrices", Linear Algebra Appl. 162-164 (1992).
    P. J. Forrester, T. Nagao, "Eigenvalue statistics of the real Ginibre ensemble", Phys. Rev. Lett. 99 (2007).
    B. Rider, C. D. Sinclair, "Extremal laws for the real Ginibre ensemble", Ann. Appl. Probab. 24 (2014).

    Examples
    --------
    >>> import rmt
    >>> law = rmt.SpectralRadiusLaw(64)
    >>> round(law.sf(1.0), 12)
    0.883069054351
    >>> round(law.mean(), 12), round(law.std(), 12)
    (1.056801573768, 0.051818740091)
    """

    n: int
    field: str = "real"
    scale: float = 1.0

    known_down_to: ClassVar[tuple[float, float]] = (1e-100, 1e-300)

    def __post_init__(self) -> None:
        object.__setattr__(self, "field", checks.field(self.field))
        limit = LARGEST_N[self.field]
        object.__setattr__(self, "n", checks.integer(f"n ({self.field} field)", self.n, maximum=limit))
        object.__setattr__(self, "scale", checks.real("scale", self.scale, above=0))

    @property
    def _table(self) -> _Tables:
        return _tables(self.n, self.field)

    def _coordinate(self, r: np.ndarray) -> np.ndarray:
        radius = r / self.scale
        if self._table.logarithmic:
            with np.errstate(divide="ignore"):
                return np.log(np.maximum(radius, 0.0)) + math.log(self.n) / 2
        return (radius - 1) * math.sqrt(self.n)

    def _g(self, r: np.ndarray) -> np.ndarray:
        return self._table.evaluate(self._coordinate(r))

    def _g_slope(self, r: np.ndarray) -> np.ndarray:
        slope = self._table.evaluate(self._coordinate(r), slope=True)
        return slope / r if self._table.logarithmic else slope * (math.sqrt(self.n) / self.scale)

    def _g_inverse(self, g: np.ndarray) -> np.ndarray:
        y = self._table.inverse(g)
        root = math.sqrt(self.n)
        return self.scale * (np.exp(y) / root if self._table.logarithmic else 1 + y / root)

    def mean(self) -> float:
        """Return E[rho], to 1e-10."""
        return self.scale * (1 + self._table.moments[0] / math.sqrt(self.n))

    def std(self) -> float:
        """Return the standard deviation of rho, to 1e-10 relative."""
        return self.scale * self._table.moments[1] / math.sqrt(self.n)

    def support(self) -> tuple[float, float]:
        """Return (0, inf)."""
        return 0.0, math.inf
