"""One door to all tasks: a name and options in, a task out."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

from rmt import checks
from rmt.training.tasks.base import Task

# Each task is a function of a module of this folder, imported when it is asked for. What it takes, its signature says.
TASKS = {
    "listops": ("listops", "listops"),
    "imdb": ("imdb", "imdb"),
    "cifar": ("cifar", "cifar"),
    "digits": ("digits", "digits"),
    "pybytes": ("pybytes", "pybytes"),
    "adding": ("synthetic", "adding"),
    "copy": ("synthetic", "copy"),
    "mackey_glass": ("dynamics", "mackey_glass"),
    "lorenz": ("dynamics", "lorenz"),
    "sunspots": ("sunspots", "sunspots"),
}


def task_function(name: str) -> Callable[..., Task]:
    """Return the function that makes a task; its signature and docstring say which options it has.

    Parameters
    ----------
    name : str
        A key of :data:`TASKS`.

    Returns
    -------
    callable
        Of keyword arguments, which returns a :class:`Task`.

    Raises
    ------
    InputError
        If there is no such task.

    Examples
    --------
    >>> import inspect
    >>> from rmt.training.tasks import task_function
    >>> list(inspect.signature(task_function("digits")).parameters)
    ['size', 'seed', 'enlarge', 'permuted']
    """
    module, function = TASKS[checks.choice("task", name, tuple(TASKS))]
    return getattr(importlib.import_module(f"rmt.training.tasks.{module}"), function)


def check_data(name: str, data: Any = None) -> None:
    """Raise an error where the files of a task are not there; they are looked for, and not read.

    Parameters
    ----------
    name : str
        As for :func:`load_task`.
    data : str or path-like, optional
        As for :func:`load_task`.

    Raises
    ------
    InputError
        If a file is missing, or `data` is and the task needs it.
    """
    found = getattr(importlib.import_module(task_function(name).__module__), "found", None)
    if found is not None:
        found(data)


def load_task(
    name: str,
    *,
    data: Any = None,
    length: int | None = None,
    size: int | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
    **options: Any,
) -> Task:
    """Make or read a task; the same arguments give the same arrays.

    Parameters
    ----------
    name : str
        "listops", "imdb", "cifar", "digits", "pybytes", "adding", "copy", "mackey_glass", "lorenz" or "sunspots".
    data : str or path-like, optional
        The folder or file that holds the data, for tasks that read some.
    length : int, optional
        T, the steps of a sequence; default: as the task is usually run.
    size : int, optional
        Sequences to train on; validation and test have at most as many. Default: as the task is usually run.
    seed : int
        What every random choice follows from. It is that of the data, and no concern of a model's.
    progress : callable, optional
        Is told a line now and then by tasks that take long.
    **options
        Those of the task: see the function of its name in this folder.

    Returns
    -------
    Task

    Raises
    ------
    InputError
        If there is no such task or option, or the data are not there, broken, or not what they should be.
    MissingExtraError
        If a library is needed that is not installed.

    Examples
    --------
    >>> from rmt.training.tasks import load_task
    >>> task = load_task("adding", length=50, size=200)
    >>> task.train.inputs.shape, task.kind, task.readout
    ((200, 50, 2), 'regression', 'last')
    """
    function = task_function(name)
    taken = inspect.signature(function).parameters
    common = {"data": data, "length": length, "size": size, "seed": checks.integer("seed", seed, minimum=0)}
    given = {key: value for key, value in common.items() if value is not None} | options
    if progress is not None and "progress" in taken:
        given["progress"] = progress
    for key in given:
        if key not in taken and key != "seed":
            allowed = ", ".join(other for other in taken if other != "progress")
            raise checks.InputError(f"task {name!r} has no option {key!r}; it has {allowed}")
    return function(**{key: value for key, value in given.items() if key in taken})
