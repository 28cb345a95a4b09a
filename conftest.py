"""What is collected: tests and doctests of what needs a framework only with --frameworks (`make test-frameworks`)."""

import importlib.util
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parent
TESTS = ROOT / "tests" / "frameworks"
ADAPTERS = {ROOT / "rmt" / "initializers" / f"{name}.py": name for name in ("torch", "jax", "keras", "reservoirpy")}
ADAPTERS |= {
    ROOT / "rmt" / "training" / f"{name}.py": "optax"
    for name in ("checkpoints", "fit", "model", "norms", "optimiser", "probe", "scans", "steps")
}
ADAPTERS[ROOT / "rmt" / "training" / "tasks" / "digits.py"] = "sklearn"


def pytest_addoption(parser):
    """Add the option."""
    parser.addoption("--frameworks", action="store_true", help="collect the tests that need torch, jax, keras, ...")


def pytest_configure(config):
    """Tell Keras, before anything imports it, which backend to take and where its home is: it writes a file there."""
    if config.getoption("--frameworks"):
        os.environ.setdefault("KERAS_BACKEND", "jax")
        os.environ.setdefault("KERAS_HOME", str(Path(sys.prefix) / "keras"))


def pytest_ignore_collect(collection_path, config):
    """Leave out what needs a framework that is not asked for, or the doctests of one that is not installed."""
    if not config.getoption("--frameworks"):
        return True if collection_path == TESTS or collection_path in ADAPTERS else None
    name = ADAPTERS.get(collection_path)
    return True if name and importlib.util.find_spec(name) is None else None
