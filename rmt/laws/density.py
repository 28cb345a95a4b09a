"""The mean density of the moduli |lambda| at finite n, and how many eigenvalues lie outside a circle.

On the axis of the unscaled matrix G, rho = sqrt(n) r / scale, the mean number of eigenvalues per unit of rho
is, with P and Q the regularised incomplete gamma functions and chi_n the density of the chi law,

- complex G (Ginibre 1965): 2 rho Q(n, rho^2);
- real G, real eigenvalues of both signs (Edelman, Kostlan & Shub 1994):
  sqrt(2/pi) Q(n-1, rho^2) + chi_n(rho) P((n-1)/2, rho^2/2);
- real G, non-real eigenvalues (Edelman 1997), integrated over the angle:
  2 rho (1 - erfcx(sqrt(2) rho)) Q(n-1, rho^2).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from rmt import checks
from rmt.laws.special import gamma_ratio, log1p_minus, log_gamma_cdf

MAX_N = 10**12
# Every density is below the smallest double beyond this many scales, already at n = 1.
_FAR = 40.0
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(128)


def modulus_density(r: ArrayLike, n: int, field: str = "real", scale: float = 1.0) -> float | np.ndarray:
    """Return the exact mean density of |lambda|, over all eigenvalues of a Ginibre matrix, at finite n.

    A probability density on r >= 0: the law of |lambda| for an eigenvalue chosen at random, real or not.

    Parameters
    ----------
    r : float or array of float
        Moduli of eigenvalues of W; the density is 0 at r < 0.
    n : int
        Size of the matrix, up to 10**12.
    field : {"real", "complex"}
        Field of the entries.
    scale : float
        The entries of W have variance scale**2 / n (complex: E|w|^2).

    Returns
    -------
    float or ndarray
        In the shape of `r`.

    Raises
    ------
    rmt.checks.InputError
        If an argument is outside of what is allowed; a ValueError.

    See Also
    --------
    expected_real_eigenvalues : the integral of the part of the real eigenvalues, times n.

    References
    ----------
    Ginibre (1965), complex entries. Edelman (1997), Theorem 6.2, and Edelman, Kostlan & Shub (1994),
    Corollary 4.3, real entries.

    Examples
    --------
    >>> import rmt
    >>> rmt.modulus_density([-1.0, 0.0, 0.5, 1.0], 64).round(6)
    array([0.      , 0.099736, 1.00149 , 0.906621])
    >>> round(rmt.modulus_density(0.5, 64, "complex"), 6)
    1.0
    """
    r = checks.array("r", r)
    if np.iscomplexobj(r):
        raise checks.InputError(f"r must be real, got dtype {r.dtype}")
    n = checks.integer("n", n, maximum=MAX_N)
    field, scale = checks.field(field), checks.real("scale", scale, above=0)
    with np.errstate(over="ignore", under="ignore"):
        t = r / scale
        inside = (t >= 0) & (t < _FAR)
        excess = (r[inside] - scale) / scale * (1 + t[inside])  # t^2 - 1, exact near the edge
        result = np.zeros(r.shape)
        result[inside] = sum(_densities(t[inside], excess, n, field)) / scale
    return result if result.ndim else float(result)


def expected_real_eigenvalues(n: int) -> float:
    """Return the mean number of real eigenvalues of a real n x n Gaussian matrix; it grows as sqrt(2 n / pi).

    Parameters
    ----------
    n : int
        Size of the matrix, up to 10**12.

    Returns
    -------
    float
        Between 1 and n.

    Raises
    ------
    rmt.checks.InputError
        If n is not an integer from 1 to 10**12; a ValueError.

    References
    ----------
    Edelman, Kostlan & Shub (1994), Corollary 5.1: 1/2 + sqrt(2) 2F1(1, -1/2; n; 1/2) / B(n, 1/2).

    Examples
    --------
    >>> import rmt
    >>> round(rmt.expected_real_eigenvalues(2), 12)
    1.414213562373
    >>> round(rmt.expected_real_eigenvalues(1000), 8)
    25.72186288
    """
    n = checks.integer("n", n, maximum=MAX_N)
    # The terms of the hypergeometric series shrink at least by halves, at every n.
    hypergeometric = term = 1.0
    j = 0
    while abs(term) > 1e-18:
        term *= (j - 0.5) / (n + j) / 2
        hypergeometric += term
        j += 1
    inverse_beta = n * float(gamma_ratio(np.array(n))) / math.sqrt(math.pi)
    return 0.5 + math.sqrt(2) * hypergeometric * inverse_beta


def expected_outside(r: ArrayLike, n: int, field: str = "real") -> tuple[np.ndarray, np.ndarray]:
    """Return the mean numbers of eigenvalues of W = G / sqrt(n) with |lambda| > r, accurate in the far tail.

    Their sum bounds P(spectral radius > r) from above, and approaches it far outside of the disc.

    Parameters
    ----------
    r : float or array of float
        Radii, r >= 0.
    n : int
        Size of the matrix, up to 10**12.
    field : {"real", "complex"}
        Field of the entries.

    Returns
    -------
    real : ndarray
        Mean number of real eigenvalues outside; 0 for complex entries.
    others : ndarray
        Real entries: mean number of complex conjugate pairs outside. Complex entries: of eigenvalues.

    Raises
    ------
    rmt.checks.InputError
        If an argument is outside of what is allowed; a ValueError.

    Examples
    --------
    >>> from rmt.laws.density import expected_outside
    >>> real, pairs = expected_outside(1.6, 64)
    >>> print(f"{real + pairs:.10g}")
    1.057532603e-10
    >>> _, eigenvalues = expected_outside(0.0, 64, "complex")
    >>> round(float(eigenvalues), 9)
    64.0
    """
    r = checks.array("r", r)
    if np.iscomplexobj(r) or (r < 0).any():
        raise checks.InputError("r must be an array of numbers >= 0")
    n, field = checks.integer("n", n, maximum=MAX_N), checks.field(field)
    # Up to `edge`, 6 units of rho inside of the circle, Q = 1 to rounding and there are antiderivatives.
    edge = np.maximum(r, max(1 - 6 / math.sqrt(n), 0.0))
    real, others = np.subtract(_plateau_integrals(edge, n, field), _plateau_integrals(r, n, field))
    # Beyond the circle the densities fall as exp(-n/2 (x - log(1 + x))), x = t^2 - 1, or faster. The integral
    # stops where this has lost exp(-40) or more; both bounds of the step in x follow from convexity.
    start = np.maximum(edge, 1.0)
    x = start**2 - 1
    drop = 80.0 / n
    from_edge = drop + math.sqrt(drop * (drop + 2))
    tangent = drop * (1 + x) / np.maximum(x, 1e-300)
    stop = np.sqrt(start**2 + np.minimum(from_edge, tangent))
    half = (stop - edge)[..., None] / 2
    t = edge[..., None] + half * (1 + _NODES)
    far = np.minimum(t, _FAR)
    real_part, other_part = _densities(far, (far - 1) * (far + 1), n, field)
    pairs = 2.0 if field == "real" else 1.0
    weights = n * half * _WEIGHTS * (t < _FAR)
    return real + (weights * real_part).sum(-1), others + (weights * other_part).sum(-1) / pairs


def _densities(t: np.ndarray, excess: np.ndarray, n: int, field: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the parts of the real and of the other eigenvalues in the density of t = |lambda| at scale 1."""
    if field == "complex":
        return np.zeros_like(t), 2 * t * _upper_gamma(n, n * t**2, n * excess)
    if n == 1:
        return np.sqrt(2 / np.pi) * np.exp(-(t**2) / 2), np.zeros_like(t)
    rho, x = math.sqrt(n) * t, n * t**2
    a = n - 1
    difference = n * excess + 1  # x - a
    upper = _upper_gamma(a, x, difference)
    lower_half = np.exp(_log_gamma_cdf(a / 2, x / 2, difference / 2))
    # chi_n(rho) / 2, in a form that neither overflows nor cancels.
    inner = np.maximum(excess, -1 + 1e-16)
    chi = np.exp(a / 2 * log1p_minus(inner) - excess / 2) / (2 * math.sqrt(math.pi) * _gamma_star(n / 2))
    real = 2 / math.sqrt(n) * (upper / math.sqrt(2 * math.pi) + chi * lower_half)
    return real, 2 * t * (1 - special.erfcx(math.sqrt(2) * rho)) * upper


def _plateau_integrals(t: np.ndarray, n: int, field: str) -> tuple[np.ndarray, np.ndarray]:
    """Return antiderivatives, where Q = 1, of n times the densities of real eigenvalues and of others."""
    rho = math.sqrt(n) * t
    if field == "complex":
        return np.zeros_like(t), rho**2
    c = math.sqrt(2) * rho
    return c / math.sqrt(math.pi), (rho**2 - special.erfcx(c) / 2 - c / math.sqrt(math.pi)) / 2


def _log_gamma_cdf(a: float, x: np.ndarray, difference: np.ndarray) -> np.ndarray:
    # Where x is below a tenth of a large a, P is zero to rounding, at any x.
    return log_gamma_cdf(np.array(a), x, np.maximum(difference, -0.9 * a))


def _upper_gamma(a: float, x: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """Return Q(a, x); log P = log1p(-Q) keeps all the digits of a small Q."""
    return -np.expm1(_log_gamma_cdf(a, x, difference))


def _gamma_star(a: float) -> float:
    """Return Gamma(a) e^a a^(1/2 - a) / sqrt(2 pi), the factor 1 + 1/(12 a) + ... of Stirling's formula."""
    if a < 20:
        return math.gamma(a) * math.exp(a) * a ** (0.5 - a) / math.sqrt(2 * math.pi)
    t = 1 / a**2
    return math.exp((1 / 12 - t * (1 / 360 - t * (1 / 1260 - t / 1680))) / a)
