"""An experiment file, from a path to the `Experiment` that it defines."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path

from rmt import checks
from rmt.campaign.plan import Experiment, one_line, place


def load(path: str | os.PathLike) -> Experiment:
    """Run the Python file at `path` and return what it calls ``experiment``.

    The file becomes the module ``experiment_<its name>``, and may import its neighbours.

    Raises
    ------
    InputError
        Where the file is absent, is no Python, raises, or defines no `Experiment` of that name.
    """
    path = Path(path)
    try:
        code = compile(path.read_bytes(), str(path), "exec")
    except OSError as error:
        raise checks.InputError(f"experiment file {path} cannot be read: {error.strerror}") from error
    except SyntaxError as error:
        line = f":{error.lineno}" if error.lineno else ""
        raise checks.InputError(f"{path}{line}: not Python: {error.msg}") from error
    except ValueError as error:  # null bytes
        raise checks.InputError(f"{path}: not Python: {error}") from error
    name = f"experiment_{path.stem}"
    module = types.ModuleType(name)
    module.__file__ = str(path)
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    sys.modules[name] = module
    try:
        exec(code, module.__dict__)
    except (Exception, SystemExit) as error:
        raise checks.InputError(f"{place(error, str(path)) or f'{path}: '}{one_line(error)}") from error
    if "experiment" not in module.__dict__:
        raise checks.InputError(f"{path} defines no `experiment`: give it one, an rmt.campaign.Experiment")
    if not isinstance(module.__dict__["experiment"], Experiment):
        kind = type(module.__dict__["experiment"]).__name__
        raise checks.InputError(f"{path}: `experiment` must be an rmt.campaign.Experiment, got {kind}")
    return module.__dict__["experiment"]
