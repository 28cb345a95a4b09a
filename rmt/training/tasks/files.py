"""Files of data: found or asked for, and read no further than what they should be."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rmt import checks


def given(data: Any, needed: str) -> Path:
    """Return `data` as a path, or say what is needed."""
    if data is None:
        raise checks.InputError(f"data must say where the files are: {needed}")
    if not isinstance(data, (str, os.PathLike)):
        raise checks.InputError(f"data must be a path, got {type(data).__name__}: {needed}")
    return Path(data)


def folder(data: Any, names: Sequence[str], needed: str, *, inner: Sequence[str] = ()) -> Path:
    """Return the folder that has all `names` in it: `data`, or one of those named `inner` in it.

    Parameters
    ----------
    data : str or path-like
        What the user gave.
    names : sequence of str
        Files and folders that must be there.
    needed : str
        What the user is told to put where.
    inner : sequence of str
        Names that an archive of these data unpacks to.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If one of the names is nowhere; the message names it.
    """
    path = given(data, needed)
    candidates = [path, *(path / name for name in inner)]
    for candidate in candidates:
        if all((candidate / name).exists() for name in names):
            return candidate
    nearest = max(candidates, key=lambda candidate: sum((candidate / name).exists() for name in names))
    missing = next(name for name in names if not (nearest / name).exists())
    raise checks.InputError(f"{nearest / missing} is not there; data must be {needed}")


def content(path: Path, most: int) -> bytes:
    """Return what a file holds.

    Parameters
    ----------
    path : Path
        A regular file.
    most : int
        The most bytes that it may hold.

    Returns
    -------
    bytes

    Raises
    ------
    InputError
        If it is none, is larger, or cannot be read.
    """
    data = beginning(path, most + 1)
    if len(data) > most:
        raise checks.InputError(f"{path} cannot be read: it holds more than the {most:,} bytes that such a file may")
    return data


def beginning(path: Path, most: int) -> bytes:
    """Return the first bytes of a file, at most `most`; a pipe or a device is refused."""
    try:
        if not path.is_file():
            raise checks.InputError(f"{path} cannot be read: it is no file")
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise checks.InputError(f"{path} cannot be read: {error.strerror or error}") from error
