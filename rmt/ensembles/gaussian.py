"""Gaussian matrices: Ginibre, and Glorot's initialisation with the scales of the paper."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from rmt import checks
from rmt.ensembles.base import Ensemble
from rmt.laws.gumbel import rescaled_gain


def standard_gaussian(rng: Generator, shape: tuple[int, ...], field: str) -> np.ndarray:
    """Return iid N(0, 1) entries, or CN(0, 1) with E|z|^2 = 1 where `field` is "complex"."""
    if field == "real":
        return rng.standard_normal(shape)
    parts = rng.standard_normal((*shape, 2))
    parts *= math.sqrt(0.5)
    return parts.view(np.complex128)[..., 0]


@dataclass(frozen=True)
class Ginibre(Ensemble):
    """Matrices of iid Gaussian entries of variance ``scale**2 / n``.

    Real entries are N(0, scale^2/n). Complex entries are CN(0, scale^2/n): E|w|^2 = scale^2/n and E w^2 = 0.
    The eigenvalues fill the disc of radius `scale` as n grows.

    Parameters
    ----------
    n : int
        Size of the matrix.
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
    Ginibre (1965), J. Math. Phys. 6, 440-449, sections 1 (complex) and 3 (real).

    Examples
    --------
    >>> import rmt
    >>> rmt.Ginibre(3).draw(2, rng=0).shape
    (2, 3, 3)
    >>> rmt.Ginibre(3, "complex", scale=0.5).dtype
    dtype('complex128')
    """

    n: int
    field: str = "real"
    scale: float = 1.0

    def __post_init__(self) -> None:
        self._canonical(
            n=checks.integer("n", self.n),
            field=checks.field(self.field),
            scale=checks.real("scale", self.scale, above=0),
        )

    def matrix(self, rng: Generator) -> np.ndarray:
        """Return one matrix (n, n), drawn from `rng`."""
        W = standard_gaussian(rng, (self.n, self.n), self.field)
        W *= self.scale / math.sqrt(self.n)
        return W


def glorot(n: int, field: str = "real") -> Ginibre:
    """Return Glorot's initialisation of a square layer: entries of variance ``1 / n``.

    Parameters
    ----------
    n : int
        Size of the matrix.
    field : {"real", "complex"}
        Field of the entries.

    Returns
    -------
    Ginibre
        ``Ginibre(n, field, 1.0)``.

    References
    ----------
    Glorot & Bengio (2010), AISTATS, equation (12) with fan-in and fan-out n: variance 2 / (n + n).

    Examples
    --------
    >>> import rmt
    >>> rmt.glorot(4)
    Ginibre(n=4, field='real', scale=1.0)
    """
    return Ginibre(n, field)


def halved_glorot(n: int, field: str = "real") -> Ginibre:
    """Return Glorot's initialisation with eigenvalues divided by two: entries of variance ``1 / (4 n)``.

    Parameters
    ----------
    n : int
        Size of the matrix.
    field : {"real", "complex"}
        Field of the entries.

    Returns
    -------
    Ginibre
        ``Ginibre(n, field, 0.5)``.

    References
    ----------
    Bar et al. (2025), arXiv 2505.19827, the rebuttal.

    Examples
    --------
    >>> import rmt
    >>> rmt.halved_glorot(4).scale
    0.5
    """
    return Ginibre(n, field, 0.5)


def halved_variance_glorot(n: int, field: str = "real") -> Ginibre:
    """Return Glorot's initialisation with the variance divided by two: entries of variance ``1 / (2 n)``.

    Parameters
    ----------
    n : int
        Size of the matrix.
    field : {"real", "complex"}
        Field of the entries.

    Returns
    -------
    Ginibre
        ``Ginibre(n, field, sqrt(0.5))``.

    References
    ----------
    Bar et al. (2025), arXiv 2505.19827: what the published code draws.

    Examples
    --------
    >>> import rmt
    >>> round(rmt.halved_variance_glorot(4).scale ** 2, 15)
    0.5
    """
    return Ginibre(n, field, math.sqrt(0.5))


def rescaled_glorot(n: int, field: str = "real", **gain_options: Any) -> Ginibre:
    """Return Glorot's initialisation times a stabilising gain: entries of variance ``gain**2 / n``.

    Parameters
    ----------
    n : int
        Size of the matrix.
    field : {"real", "complex"}
        Field of the entries.
    **gain_options
        Options of :func:`rescaled_gain`: `rule`, `alpha`, `layers`, `n_std`.

    Returns
    -------
    Ginibre
        ``Ginibre(n, field, rescaled_gain(n, field, **gain_options))``.

    References
    ----------
    Bar et al. (2025), arXiv 2505.19827; the default rule takes the exact law in place of the Gumbel limit.

    Examples
    --------
    >>> import rmt
    >>> round(rmt.rescaled_glorot(192).scale, 6)
    0.935961
    >>> round(rmt.rescaled_glorot(192, rule="paper").scale, 6)
    0.817449
    """
    return Ginibre(n, field, rescaled_gain(n, field, **gain_options))
