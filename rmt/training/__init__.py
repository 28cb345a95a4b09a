"""Training of linear recurrent models, from one initialisation or another: configuration, tasks, models, runs.

``rmt.training.fit.fit(task, config)`` is one run. It and the model need JAX and optax: ``pip install 'rmt[train]'``.
"""

from rmt.training.config import FAULTS, PRESETS, Config, ModelConfig, TrainConfig, preset
from rmt.training.initialise import Initialisation

__all__ = ["FAULTS", "PRESETS", "Config", "Initialisation", "ModelConfig", "TrainConfig", "preset"]
