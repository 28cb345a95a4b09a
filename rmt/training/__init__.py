"""Training of linear recurrent models, from one initialisation or another: configuration, models, tasks, runs.

The models need JAX and optax (``pip install 'rmt[train]'``); their modules are imported when `fit` is first asked for.
"""

import importlib
from typing import Any

from rmt.training.config import FAULTS, PRESETS, Config, ModelConfig, TrainConfig, preset
from rmt.training.initialise import Initialisation

NEEDS_JAX = {"fit": "fit", "FitResult": "fit", "Progress": "fit"}

__all__ = ["FAULTS", "PRESETS", "Config", "Initialisation", "ModelConfig", "TrainConfig", "preset"]


def __getattr__(name: str) -> Any:
    if name in NEEDS_JAX:
        return getattr(importlib.import_module(f"rmt.training.{NEEDS_JAX[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *NEEDS_JAX])
