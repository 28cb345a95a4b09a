"""Initialisers of recurrent weights: in NumPy here, and for each framework in the submodule of its name.

``rmt.initializers.torch``, ``jax``, ``keras`` and ``reservoirpy`` have the same initialisers, spelled as those
frameworks spell theirs. Each is imported when it is first asked for, and needs its framework.
"""

import importlib
from typing import Any

from rmt.initializers.core import exact_radius, orthogonal, rescaled_glorot_normal, ring, uniform_disc
from rmt.initializers.lru import LRUParameters, lru_parameters
from rmt.initializers.scaling import scale_to_radius

ADAPTERS = ("torch", "jax", "keras", "reservoirpy")

__all__ = [
    "LRUParameters",
    "exact_radius",
    "lru_parameters",
    "orthogonal",
    "rescaled_glorot_normal",
    "ring",
    "scale_to_radius",
    "uniform_disc",
]


def __getattr__(name: str) -> Any:
    if name in ADAPTERS:
        return importlib.import_module(f"rmt.initializers.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *ADAPTERS])
