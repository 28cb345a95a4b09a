"""The parameters of linear recurrent units (LRU), from the eigenvalues of a diagonal recurrence."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from rmt import checks


class LRUParameters(NamedTuple):
    """The parameters of a linear recurrent unit: lambda = exp(-exp(nu_log) + 1j * exp(theta_log)).

    Attributes
    ----------
    nu_log : array
        log(-log |lambda|).
    theta_log : array
        log of the phase, which is taken in (0, 2 pi].
    gamma_log : array
        log(sqrt(1 - |lambda|^2)): inputs multiplied by exp(gamma_log) keep the state at the size of the input.
    """

    nu_log: Any
    theta_log: Any
    gamma_log: Any


def lru_parameters(eigenvalues: Any) -> LRUParameters:
    """Return nu_log, theta_log and gamma_log of a linear recurrent unit with these eigenvalues.

    Parameters
    ----------
    eigenvalues : complex array_like
        From :func:`ring` or :func:`uniform_disc`, say; 0 < |lambda| < 1.

    Returns
    -------
    LRUParameters
        Real arrays of the shape of `eigenvalues`; lambda = exp(-exp(nu_log) + 1j * exp(theta_log)).

    Raises
    ------
    rmt.checks.InputError
        If an eigenvalue is 0 or has a modulus >= 1, which these parameters cannot express.

    References
    ----------
    Orvieto et al. (2023), arXiv 2303.06349, sections 3.3 and 3.4.

    Examples
    --------
    >>> import numpy as np, rmt
    >>> eigenvalues = rmt.initializers.ring(8, r_min=0.9, r_max=0.999, rng=0)
    >>> nu_log, theta_log, gamma_log = rmt.initializers.lru_parameters(eigenvalues)
    >>> np.allclose(np.exp(-np.exp(nu_log) + 1j * np.exp(theta_log)), eigenvalues)
    True
    """
    values = checks.array("eigenvalues", eigenvalues)
    modulus = np.abs(values)
    if np.any((modulus <= 0) | (modulus >= 1)):
        raise checks.InputError("eigenvalues must have 0 < |lambda| < 1 for the parameters of a linear recurrent unit")
    return parameters(modulus, np.angle(values), np)


def parameters(modulus: Any, angle: Any, xp: Any) -> LRUParameters:
    """Return the parameters of moduli below 1 and angles in (-pi, pi]; `xp` is numpy, jax.numpy or torch."""
    phase = xp.where(angle > 0, angle, angle + 2 * math.pi)
    return LRUParameters(xp.log(-xp.log(modulus)), xp.log(phase), xp.log1p(-(modulus**2)) / 2)
