"""An experiment file, from a path to the `Experiment` that it defines."""

from __future__ import annotations

import dataclasses
import os
import tokenize
from pathlib import Path

from rmt import checks
from rmt.campaign.plan import Experiment, one_line, place
from rmt.campaign.program import Program


def load(path: str | os.PathLike) -> Experiment:
    """Run the Python file at `path` and return what it calls ``experiment``.

    The file becomes the module ``experiment_<its name>``, and may import its neighbours.

    Parameters
    ----------
    path : str or path
        The experiment file.

    Returns
    -------
    Experiment
        It keeps the text of the file, which workers elsewhere are sent.

    Raises
    ------
    InputError
        Where the file is absent, is no Python, raises, or defines no `Experiment` of that name.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import rmt
    >>> text = "import rmt; experiment = rmt.campaign.Experiment('mine', list, int, {}, print)"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "mine.py")
    ...     _ = path.write_text(text)
    ...     rmt.campaign.load(path).name
    'mine'
    """
    path = Path(path)
    try:
        with tokenize.open(path) as file:
            program = Program(str(path), file.read())
        compile(program.source, str(path), "exec")
    except OSError as error:
        raise checks.InputError(f"experiment file {path} cannot be read: {error.strerror}") from error
    except SyntaxError as error:
        line = f":{error.lineno}" if error.lineno else ""
        raise checks.InputError(f"{path}{line}: not Python: {error.msg}") from error
    except ValueError as error:  # null bytes, or bytes that are no text
        raise checks.InputError(f"{path}: not Python: {error}") from error
    try:
        module = program.execute()
    except (Exception, SystemExit) as error:
        raise checks.InputError(f"{place(error, str(path)) or f'{path}: '}{one_line(error)}") from error
    if "experiment" not in module.__dict__:
        raise checks.InputError(f"{path} defines no `experiment`: give it one, an rmt.campaign.Experiment")
    if not isinstance(module.__dict__["experiment"], Experiment):
        kind = type(module.__dict__["experiment"]).__name__
        raise checks.InputError(f"{path}: `experiment` must be an rmt.campaign.Experiment, got {kind}")
    return dataclasses.replace(module.__dict__["experiment"], program=program)
