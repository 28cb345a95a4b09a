"""The Gumbel limit of the spectral radius, and the gains that make a matrix stable."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmt import checks
from rmt.laws.law import Law
from rmt.laws.radius import LARGEST_N, SpectralRadiusLaw

SMALLEST_N = 164
"""The smallest n with gamma_n > 0: below, the limit law does not exist."""

RULES = ("exact", "gumbel", "paper")


def gamma_n(n: Any) -> Any:
    """Return gamma_n = log n - 2 log log n - log(2 pi), which locates the Gumbel limit of the spectral radius.

    Parameters
    ----------
    n : int or array of int
        Width, n >= 2.

    Returns
    -------
    float or ndarray
        gamma_n; it is <= 0 for 2 <= n <= 163, where the limit law does not exist.

    Raises
    ------
    rmt.checks.InputError
        If an n is no integer >= 2; at n = 1 the formula has no value.

    References
    ----------
    B. Rider, "A limit theorem at the edge of a non-Hermitian random matrix ensemble", J. Phys. A 36 (2003).

    Examples
    --------
    >>> import rmt
    >>> round(rmt.gamma_n(163), 5), round(rmt.gamma_n(164), 4)
    (-0.00016, 0.0036)
    """
    if np.ndim(n) == 0:
        log_n = math.log(checks.integer("n", n, minimum=2))
        return log_n - 2 * math.log(log_n) - math.log(2 * math.pi)
    return np.array([gamma_n(item) for item in np.ravel(n)]).reshape(np.shape(n))


def _positive_gamma(n: int, what: str, instead: str) -> float:
    """Return gamma_n, or raise an error which says that `what` does not exist at this n, and what to take instead."""
    if n < SMALLEST_N:
        raise checks.InputError(
            f"n must be >= {SMALLEST_N} for {what}, which needs gamma_n > 0, got n = {n}; {instead} holds for every n"
        )
    return gamma_n(n)


@dataclass(frozen=True)
class GumbelLimit(Law):
    """Asymptotic law of the spectral radius of a Ginibre matrix: a Gumbel law. `SpectralRadiusLaw` is the exact one.

    W = scale * G / sqrt(n), independent entries of variance scale**2 / n. With t = sqrt(4 n gamma_n) (rho/scale - 1 -
    sqrt(gamma_n / 4n)): P(t < x) -> exp(-exp(-x)) in the complex field and exp(-exp(-x)/2) in the real one, which is
    the same Gumbel law with its location moved by -log 2. The convergence is as slow as log log n / log n.

    Parameters
    ----------
    n : int
        Width, n >= 164: below, gamma_n <= 0 and the limit law does not exist.
    field : {"real", "complex"}
        Field of the entries.
    scale : float
        Multiplies the matrix; > 0.

    Raises
    ------
    rmt.checks.InputError
        If an argument is not as above.

    References
    ----------
    B. Rider (2003), complex field; B. Rider, C. D. Sinclair (2014), real field; G. Cipolloni, L. Erdos, Y. Xu (2023)
    for other independent entries.

    Examples
    --------
    >>> import rmt
    >>> limit, exact = rmt.GumbelLimit(1024), rmt.SpectralRadiusLaw(1024)
    >>> round(limit.mean(), 4), round(exact.mean(), 4)
    (1.0156, 1.0235)
    """

    n: int
    field: str = "real"
    scale: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", checks.integer("n", self.n))
        object.__setattr__(self, "field", checks.field(self.field))
        object.__setattr__(self, "scale", checks.real("scale", self.scale, above=0))
        _positive_gamma(self.n, "the Gumbel limit", "the exact law, rmt.SpectralRadiusLaw,")

    @property
    def gumbel_scale(self) -> float:
        """Scale of the Gumbel law: scale / sqrt(4 n gamma_n)."""
        return self.scale / math.sqrt(4 * self.n * gamma_n(self.n))

    @property
    def gumbel_loc(self) -> float:
        """Location, and mode, of the Gumbel law."""
        shift = math.log(2) if self.field == "real" else 0.0
        return self.scale * (1 + math.sqrt(gamma_n(self.n) / (4 * self.n))) - shift * self.gumbel_scale

    def _g(self, r: np.ndarray) -> np.ndarray:
        return (self.gumbel_loc - r) / self.gumbel_scale

    def _g_slope(self, r: np.ndarray) -> np.ndarray:
        return np.full(np.shape(r), -1 / self.gumbel_scale)

    def _g_inverse(self, g: np.ndarray) -> np.ndarray:
        return self.gumbel_loc - self.gumbel_scale * g

    def mean(self) -> float:
        """Return the expectation."""
        return self.gumbel_loc + np.euler_gamma * self.gumbel_scale

    def std(self) -> float:
        """Return the standard deviation."""
        return math.pi / math.sqrt(6) * self.gumbel_scale

    def support(self) -> tuple[float, float]:
        """Return (-inf, inf)."""
        return -math.inf, math.inf


def rescaled_gain(
    n: int,
    field: str = "real",
    rule: str = "exact",
    *,
    alpha: float | None = None,
    layers: int = 1,
    n_std: float = 1.0,
) -> float:
    """Return the factor by which a Glorot matrix is multiplied so that its spectral radius stays below one.

    Parameters
    ----------
    n : int
        Width of the matrix, whose entries have variance 1/n before and gain**2 / n after the rescaling.
    field : {"real", "complex"}
        Field of the entries.
    rule : {"exact", "gumbel", "paper"}
        The law of the radius rho to start from: the exact one at this n; its Gumbel limit; or the formula of the paper,
        which is the Gumbel limit of the complex field, for both fields. The last two need n >= 164.
    alpha : float, optional
        Accepted probability, in (0, 1), that any of `layers` independent matrices has a radius above one; with
        rule="exact" at least 1e-300 for each. If given, the gain is 1 / ppf((1 - alpha)**(1/layers)); if None it is
        1 / (E[rho] + n_std std[rho]).
    layers : int
        Number of independent matrices that share `alpha`; needs `alpha`.
    n_std : float
        Number of standard deviations above the mean; finite. Not with `alpha`.

    Returns
    -------
    float
        The gain, to 12 significant digits: the last bits of a law differ between machines, those of a gain must not,
        because they decide the seeds of campaigns.

    Raises
    ------
    rmt.checks.InputError
        If an argument is not as above, or rule="paper" is combined with `alpha`.

    References
    ----------
    N. Bar et al., "Revisiting Glorot Initialization for Long-Range Linear Recurrences" (2025), for rule="paper".

    Examples
    --------
    >>> import rmt
    >>> round(rmt.rescaled_gain(256), 8), round(rmt.rescaled_gain(256, rule="paper"), 8)
    (0.94292816, 0.88799803)
    >>> gain = rmt.rescaled_gain(256, alpha=0.01, layers=4)
    >>> round(rmt.SpectralRadiusLaw(256, scale=gain).cdf(1.0) ** 4, 6)
    0.99
    """
    n = checks.integer("n", n)
    field = checks.field(field)
    rule = checks.choice("rule", rule, RULES)
    layers = checks.integer("layers", layers)
    n_std = checks.real("n_std", n_std)
    if alpha is not None:
        alpha = checks.real("alpha", alpha, above=0, below=1)
        if rule == "paper":
            raise checks.InputError(f"alpha must be None with rule='paper', got {alpha}; 'exact' and 'gumbel' take it")
        if n_std != 1.0:
            raise checks.InputError(f"n_std does not go with alpha, which sets the gain alone, got {n_std} and {alpha}")
    elif layers > 1:
        raise checks.InputError(f"layers must be 1 without alpha, got {layers}; the layers share the risk alpha")

    if rule == "exact" and n > LARGEST_N[field]:
        raise checks.InputError(
            f"n must be <= {LARGEST_N[field]:,} for rule='exact' in the {field} field, got {n}; rule='gumbel' goes on"
        )
    if rule == "paper":
        gamma = _positive_gamma(n, "rule='paper'", "rule='exact'")
        edge = 1 + math.sqrt(gamma / (4 * n))
        radius = edge + (np.euler_gamma + n_std * math.pi / math.sqrt(6)) / math.sqrt(4 * gamma * n)
    else:
        if rule == "gumbel":
            _positive_gamma(n, "rule='gumbel'", "rule='exact'")
        law = GumbelLimit(n, field) if rule == "gumbel" else SpectralRadiusLaw(n, field)
        if alpha is None:
            radius = law.mean() + n_std * law.std()
        else:
            risk = -math.expm1(math.log1p(-alpha) / layers)
            least = law.known_down_to[1]
            if risk < least:
                raise checks.InputError(f"alpha must be at least {least:g} for each of {layers} layers, got {alpha}")
            radius = law.isf(risk)
    if radius <= 0:
        raise checks.InputError(f"n_std must leave E[rho] + n_std std[rho] > 0, got {n_std}")
    return float(f"{1 / radius:.12g}")
