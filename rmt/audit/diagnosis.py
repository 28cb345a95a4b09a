"""The numbers of one recurrence: radius, place in the law, non-normality, growth, and the gain that is advised."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import schur

from rmt import checks, parallel
from rmt.audit.growth import FLOAT32, DenseGrowth, DiagonalGrowth, Growth
from rmt.audit.numerical_range import numerical_radius, support
from rmt.laws.radius import SpectralRadiusLaw
from rmt.spectra.given import spectral_radius

LARGEST = 1e100  # entries beyond are no weights, and squares of them leave the range of a double

STABLE, SLOW, PASSES, EXPLODES = "stable", "grows slowly", "passes the limit", "explodes"

DIGITS = 4  # of a gain; rounded down, so that what is printed is enough


@dataclass(frozen=True)
class Diagnosis:
    """What is known of the recurrence h_t = W h_{t-1} + x_t of one matrix W, for inputs of mean 0 and covariance I.

    Attributes
    ----------
    n : int
        Size of W.
    field : {"real", "complex"}
        Field of W; a diagonal matrix counts as complex.
    radius, residual, method, proven
        As in :class:`rmt.RadiusResult`; a diagonal matrix has the method "diagonal".
    scale : float
        Root mean square of the entries times sqrt(n), ``||W||_F / sqrt(n)``: 1 for a Glorot or an orthogonal matrix.
    glorot_cdf, glorot_sf : float
        Probabilities that a Glorot matrix of this size and field has a radius below, and above, that of W.
    own_scale_cdf : float
        The same as `glorot_cdf` for a Gaussian matrix of the scale of W: near 0 or 1, W is no matrix of independent
        entries. NaN if W = 0.
    norm : float
        Spectral norm.
    numerical_abscissa : float
        Largest eigenvalue of the Hermitian part of W.
    numerical_radius_low, numerical_radius_high : float
        Bounds of max |x* W x| over unit vectors x, at most 0.5% apart. ``||W^k|| <= 2 numerical_radius**k``.
    non_normality : float
        Henrici's departure from normality divided by ``||W||_F``: 0 for a normal matrix, 1 for a nilpotent one,
        about 0.71 for a Glorot matrix. To 1e-7.
    log10_rms : float
        Decimal logarithm of the root mean square of the state after all steps, ``sqrt(E||h_T||^2 / n)``.
    step_limit, step_overflow : int or None
        First step at which that root mean square exceeds the limit, and the largest float32; None if it never does.
    verdict : str
        "explodes" or "passes the limit": the limit is passed; the first if radius**T > 2. Otherwise "grows slowly" if
        radius**T > 2, else "stable".
    gain : float
        Factor of the weights that is advised: 1 if the limit is not passed. NaN if none is enough.
    eigenvalues : ndarray of shape (n,)
        Of W.
    times, log10_curve : ndarray
        Some steps t, and the decimal logarithm of the root mean square of the state there.
    """

    n: int
    field: str
    radius: float
    residual: float
    method: str
    proven: bool
    scale: float
    glorot_cdf: float
    glorot_sf: float
    own_scale_cdf: float
    norm: float
    numerical_abscissa: float
    numerical_radius_low: float
    numerical_radius_high: float
    non_normality: float
    log10_rms: float
    step_limit: int | None
    step_overflow: int | None
    verdict: str
    gain: float
    eigenvalues: np.ndarray
    times: np.ndarray
    log10_curve: np.ndarray


def diagnose(A: np.ndarray, steps: int, limit: float, *, shift: float = 0.0, factor: float = 1.0) -> Diagnosis:
    """Diagnose W = shift I + factor A over a number of steps.

    Parameters
    ----------
    A : ndarray of shape (n, n), or (n,)
        Finite doubles or complex doubles; the diagonal of W if it is a vector.
    steps : int
        T, the last step.
    limit : float
        Of the root mean square of the state, > 1.
    shift, factor : float
        See above; a diagonal takes 0 and 1 only. The gain is one of A.

    Returns
    -------
    Diagnosis

    Notes
    -----
    The gain brings the radius to E[rho] / (E[rho] + std[rho]) of a Glorot matrix of the size, where a rescaled Glorot
    matrix (:func:`rmt.rescaled_gain`) has its own on average. Where W is so far from normal that it passes the limit
    even then, the gain is reduced until it does not.

    Examples
    --------
    >>> import numpy as np
    >>> from rmt.audit.diagnosis import diagnose
    >>> result = diagnose(1.1 * np.eye(2), 1000, limit=316.0)
    >>> result.verdict, result.step_limit, result.step_overflow, result.gain
    ('explodes', 53, 923, 0.6186)
    """
    largest = float(np.abs(A).max())
    if largest > LARGEST:
        raise checks.InputError(f"entries must be at most {LARGEST:g} in modulus, got {largest:.3g}")
    with parallel.one_blas_thread():
        return _diagnose(A, steps, limit, shift, factor)


def _diagnose(A: np.ndarray, steps: int, limit: float, shift: float, factor: float) -> Diagnosis:
    field = "complex" if np.iscomplexobj(A) or A.ndim == 1 else "real"
    log_limit = 2 * math.log(limit)
    if A.ndim == 1:
        form = eigenvalues = A
        found = _of_diagonal(A)
    else:
        W = factor * A + shift * np.eye(len(A))
        found = _of_matrix(W)
        form = schur(W, output=field, check_finite=False)[0]
        eigenvalues = _of_schur(form)
        found["non_normality"] = _departure(form, eigenvalues)
    law = SpectralRadiusLaw(len(A), field)
    growth = _growth(form, steps)
    log_rms = growth.log_mean_square(steps)
    step_limit = growth.first_beyond(log_limit) if log_rms > log_limit else None
    gain = 1.0
    if step_limit is not None:
        target = law.mean() / (law.mean() + law.std())
        gain = _gain(form, eigenvalues, shift, target, lambda W: _growth(W, steps).log_mean_square(steps) > log_limit)
    times, curve = growth.curve()
    radius, scale = found["radius"], found["scale"]
    doubles = radius > 0 and steps * math.log(radius) > math.log(2)
    verdict = (EXPLODES if doubles else PASSES) if step_limit is not None else SLOW if doubles else STABLE
    half_decade = 0.5 / math.log(10)
    return Diagnosis(
        n=len(A),
        field=field,
        glorot_cdf=law.cdf(radius),
        glorot_sf=law.sf(radius),
        own_scale_cdf=law.cdf(radius / scale) if scale > 0 else math.nan,
        log10_rms=half_decade * log_rms,
        step_limit=step_limit,
        step_overflow=growth.first_beyond(2 * FLOAT32) if log_rms > 2 * FLOAT32 else None,
        verdict=verdict,
        gain=gain,
        eigenvalues=np.asarray(eigenvalues, complex),
        times=times,
        log10_curve=half_decade * curve,
        **found,
    )


def _of_diagonal(d: np.ndarray) -> dict[str, Any]:
    radius = float(np.abs(d).max())
    return {
        "radius": radius,
        "residual": 0.0,
        "method": "diagonal",
        "proven": True,
        "scale": math.sqrt(float(np.mean(np.abs(d) ** 2))),
        "norm": radius,
        "numerical_abscissa": float(d.real.max()),
        "numerical_radius_low": radius,
        "numerical_radius_high": radius,
        "non_normality": 0.0,
    }


def _of_matrix(W: np.ndarray) -> dict[str, Any]:
    result = spectral_radius(W, full_output=True)
    # In units near the largest entry, where no square underflows.
    unit = float(np.abs(W).max()) or 1.0
    U = W / unit
    low, high = numerical_radius(U)
    return {
        "radius": float(result.value),
        "residual": float(result.residual),
        "method": str(result.method),
        "proven": bool(result.proven),
        "scale": unit * float(np.linalg.norm(U)) / math.sqrt(len(W)),
        "norm": unit * float(np.linalg.norm(U, 2)),
        "numerical_abscissa": unit * support(U, 0.0),
        "numerical_radius_low": unit * low,
        "numerical_radius_high": unit * high,
    }


def _of_schur(form: np.ndarray) -> np.ndarray:
    """Return the eigenvalues of a matrix in real or complex Schur form."""
    if np.iscomplexobj(form):
        return np.diag(form).copy()
    # LAPACK's blocks of two have equal entries on the diagonal, and entries of opposite signs beside it.
    values = np.diag(form).astype(complex)
    (starts,) = np.nonzero(np.diag(form, -1))
    imaginary = np.sqrt(np.abs(np.diag(form, -1)[starts])) * np.sqrt(np.abs(np.diag(form, 1)[starts]))
    values[starts] += 1j * imaginary
    values[starts + 1] -= 1j * imaginary
    return values


def _departure(form: np.ndarray, eigenvalues: np.ndarray) -> float:
    unit = float(np.abs(form).max()) or 1.0
    whole, diagonal = float(np.linalg.norm(form / unit)), float(np.linalg.norm(eigenvalues / unit))
    return math.sqrt(max(0.0, 1 - (diagonal / whole) ** 2)) if whole > 0 else 0.0


def _growth(form: np.ndarray, steps: int) -> Growth:
    """Return the growth of a recurrence in Schur form, or of a diagonal one."""
    return DiagonalGrowth(np.abs(form), steps) if form.ndim == 1 else DenseGrowth(form, steps)


def _gain(
    form: np.ndarray, eigenvalues: np.ndarray, shift: float, target: float, passes_limit: Callable[[np.ndarray], bool]
) -> float:
    """Return the gain g that is advised for W = shift I + B, which passes the limit: of shift I + g B."""

    def radius(g: float) -> float:
        return float(np.abs(shift + g * (eigenvalues - shift)).max())

    def passes(g: float) -> bool:
        if form.ndim == 1:
            return passes_limit(g * form)
        identity = np.eye(len(form))
        return passes_limit(shift * identity + g * (form - shift * identity))

    # The largest gain up to 1 that brings the radius to the target; then, rarely, one that the growth allows too.
    if shift == 0:
        gain = min(1.0, target / radius(1.0)) if radius(1.0) > 0 else 1.0
    else:
        gain = _largest(1.0, lambda g: radius(g) <= target, 1e-9)
    if passes(_floor(gain)):
        gain = math.nan if passes(0.0) else _largest(gain, lambda g: not passes(_floor(g)), 1e-3)
    return _floor(gain)


def _largest(start: float, holds: Callable[[float], bool], tol: float) -> float:
    """Return a g <= start at which a condition holds that holds near 0: where it ends, to a relative `tol`."""
    if holds(start):
        return start
    low, high = 0.5 * start, start
    while not holds(low):
        low, high = 0.5 * low, low
    while high - low > tol * low:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _floor(gain: float) -> float:
    """Round a positive gain down to a few digits."""
    if not 0 < gain < 1:
        return gain
    unit = 10.0 ** (math.floor(math.log10(gain)) + 1 - DIGITS)
    return float(f"{math.floor(gain / unit) * unit:.{DIGITS}g}")
