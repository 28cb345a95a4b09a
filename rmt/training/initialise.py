"""How recurrences are drawn, by name: matrices for dense ones, eigenvalues for the others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from rmt import checks
from rmt.ensembles.base import Ensemble
from rmt.ensembles.diagonal import Diagonal
from rmt.ensembles.gaussian import glorot, halved_glorot, halved_variance_glorot, rescaled_glorot
from rmt.ensembles.iid import IID, truncated_glorot
from rmt.initializers.core import check_gain_options, exact_radius
from rmt.initializers.spectrum import block_diagonal

# The options of each, with their types; "exact" has its radius without a name.
OPTIONS: dict[str, dict[str, type]] = {
    "glorot": {},
    "half": {},
    "half-variance": {},
    "uniform": {"r_max": float},
    "ring": {"r_min": float, "r_max": float, "max_phase": float},
    "truncated": {"bound": float, "corrected": bool},
    "rescaled": {"rule": str, "alpha": float, "layers": int, "n_std": float},
    "exact": {"radius": float},
}

# The eigenvalues of "ring", unless options say otherwise: memories of 10 to 1000 steps.
RING = {"r_min": 0.9, "r_max": 0.999}

# The largest modulus that a linear recurrent unit is started from; its parameters cannot express 1 or more.
LRU_MODULUS = 0.9999


@dataclass(frozen=True)
class Initialisation:
    """A named law of recurrences, with options: ``NAME`` or ``NAME:KEY=VALUE,KEY=VALUE`` in one string.

    Dense recurrences get a real n x n matrix M; diagonal ones and linear recurrent units the n eigenvalues of a
    complex one, which need not come in conjugate pairs.

    - ``glorot``: M has entries of variance 1 / n.
    - ``half``: Glorot's M / 2.  ``half-variance``: Glorot's M / sqrt(2).
    - ``truncated``: Glorot's normal truncated at two standard deviations (`bound`), of variance 0.774 / n unless
      ``corrected=true``.
    - ``rescaled``: Glorot's M times :func:`rmt.rescaled_gain` (`rule`, `alpha`, `layers`, `n_std`). With `alpha`, the
      layers are those of the model unless they are given.
    - ``exact:RHO``: Glorot's M scaled to the spectral radius RHO.
    - ``uniform``: eigenvalues uniform on the unit disc (on that of radius `r_max`).
    - ``ring``: |lambda|^2 uniform on [r_min^2, r_max^2], here [0.9^2, 0.999^2], and the phase on [0, max_phase].

    For ``uniform`` and ``ring`` a dense recurrence gets the real block-diagonal matrix of conjugate pairs: B and C are
    isotropic, so that the basis does not matter at the start.

    Parameters
    ----------
    name : str
        One of the above.
    options : tuple of (str, value)
        Sorted by name.

    References
    ----------
    Bar et al. (2025), arXiv 2505.19827; Orvieto et al. (2023), arXiv 2303.06349 (ring).

    Examples
    --------
    >>> from rmt.training.initialise import Initialisation
    >>> Initialisation.parse("exact:0.99")
    Initialisation(name='exact', options=(('radius', 0.99),))
    >>> str(Initialisation.parse("rescaled:layers=4, alpha=0.05"))
    'rescaled:alpha=0.05,layers=4'
    """

    name: str
    options: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Initialisation:
        """Return the initialisation that `text` names.

        Raises
        ------
        InputError
            If there is none of that name, or an option is unknown, malformed or out of its range.
        """
        name, _, rest = text.partition(":") if isinstance(text, str) else (text, "", "")
        name = checks.choice("init", name.strip() if isinstance(name, str) else name, tuple(OPTIONS))
        options = {}
        for part in filter(None, (part.strip() for part in rest.split(","))):
            key, equals, value = (piece.strip() for piece in part.partition("="))
            if name == "exact" and not equals:
                key, value = "radius", key
            if key not in OPTIONS[name]:
                allowed = ", ".join(OPTIONS[name]) or "none"
                raise checks.InputError(f"init {name!r} has the options: {allowed}; got {part!r}")
            if key in options:
                raise checks.InputError(f"init {name!r} takes each option once, got {key} again in {rest.strip()!r}")
            options[key] = _value(f"{name}:{key}", value, OPTIONS[name][key])
        result = cls(name, tuple(sorted(options.items())))
        result._check()
        return result

    def __str__(self) -> str:
        if self.name == "exact":
            return f"exact:{dict(self.options)['radius']!r}"
        shown = ",".join(f"{key}={_shown(value)}" for key, value in self.options)
        return f"{self.name}:{shown}" if shown else self.name

    def _check(self) -> None:
        options = dict(self.options)
        if self.name == "exact":
            if "radius" not in options:
                raise checks.InputError("init 'exact' must name its spectral radius, as in 'exact:0.99'")
            checks.real("exact:radius", options["radius"], above=0)
        elif self.name == "rescaled":
            checks.real("rescaled:n_std", options.get("n_std", 1.0), at_least=0)
            check_gain_options(options.get("rule", "exact"), options.get("alpha"), options.get("layers", 1))
        else:
            self._ensemble(2, "real", 1)

    def _ensemble(self, n: int, field: str, layers: int) -> Ensemble:
        """Return the law of the matrix, or of its eigenvalues where that is what is named."""
        options = dict(self.options)
        if self.name == "uniform":
            return Diagonal(n, "uniform_disc", field, **options)
        if self.name == "ring":
            return Diagonal(n, "ring", field, **{**RING, **options})
        if self.name == "rescaled":
            if options.get("alpha") is not None:
                options.setdefault("layers", layers)
            return rescaled_glorot(n, field, **options)
        if self.name == "truncated":
            law = truncated_glorot(n, **options)
            return IID(n, law.entry, field, law.scale, bound=law.bound)
        return {"glorot": glorot, "half": halved_glorot, "half-variance": halved_variance_glorot}[self.name](n, field)

    def matrix(self, n: int, rng: Generator, *, layers: int = 1, emulate_paper: bool = False) -> np.ndarray:
        """Draw the real matrix of a dense recurrence.

        Parameters
        ----------
        n : int
            Size of the matrix.
        rng : Generator
            Source of the random numbers.
        layers : int
            Layers of the model, for "rescaled" with `alpha`.
        emulate_paper : bool
            Whether "half" and "uniform" have the faults of the published code (``rmt.training.config.FAULTS``).

        Returns
        -------
        ndarray of shape (n, n)
        """
        if self.name == "exact":
            return exact_radius(n, dict(self.options)["radius"], rng=rng)
        if self.name in ("uniform", "ring"):
            eigenvalues = self._spiral(n, "real", rng) if emulate_paper and self.name == "uniform" else None
            if eigenvalues is None:
                eigenvalues = self._ensemble(n, "real", layers).eigenvalues(rng)
            return np.asarray(block_diagonal(eigenvalues.real, eigenvalues.imag, np.asarray))
        return self._published(emulate_paper)._ensemble(n, "real", layers).matrix(rng)

    def eigenvalues(self, n: int, rng: Generator, *, layers: int = 1, emulate_paper: bool = False) -> np.ndarray:
        """Draw the complex eigenvalues of a diagonal recurrence.

        Parameters
        ----------
        n, rng, layers, emulate_paper
            As for :meth:`matrix`.

        Returns
        -------
        complex ndarray of shape (n,)
        """
        if self.name == "exact":
            drawn = glorot(n, "complex").eigenvalues(rng)
            return drawn * (dict(self.options)["radius"] / np.abs(drawn).max())
        if emulate_paper and self.name == "uniform":
            return self._spiral(n, "complex", rng)
        return self._published(emulate_paper)._ensemble(n, "complex", layers).eigenvalues(rng)

    def _published(self, emulate_paper: bool) -> Initialisation:
        return Initialisation("half-variance") if emulate_paper and self.name == "half" else self

    def _spiral(self, n: int, field: str, rng: Generator) -> np.ndarray:
        count = n if field == "complex" else (n + 1) // 2
        u = rng.uniform(0, 1, count)
        spiral = dict(self.options).get("r_max", 1.0) * u * np.exp(2j * math.pi * u)
        if field == "complex":
            return spiral
        pairs = np.stack([spiral, spiral.conj()], axis=1).ravel()[:n]
        if n % 2:
            pairs[-1] = math.copysign(abs(pairs[-1]), pairs[-1].real)
        return pairs


def within_disc(eigenvalues: np.ndarray) -> tuple[np.ndarray, int]:
    """Return eigenvalues that a linear recurrent unit can have, and how many of them had to be moved.

    Those of modulus above 0.9999 keep their phase and get that modulus.
    """
    modulus = np.abs(eigenvalues)
    outside = modulus > LRU_MODULUS
    moved = np.where(outside, eigenvalues * (LRU_MODULUS / np.maximum(modulus, LRU_MODULUS)), eigenvalues)
    return moved, int(outside.sum())


def _value(name: str, text: str, kind: type) -> Any:
    if kind is str:
        return text
    if kind is bool:
        return checks.choice(name, text.lower(), ("true", "false")) == "true"
    try:
        return kind(text)
    except ValueError:
        what = "an integer" if kind is int else "a number"
        raise checks.InputError(f"{name} must be {what}, got {text!r}") from None


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
