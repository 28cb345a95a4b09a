"""Checkpoints of a run: files that are whole or not there, whatever is killed, and that are verified when read.

A checkpoint is one NumPy archive, ``<step>-<SHA-256 of its bytes>.npz``, of the arrays of some trees, each by its path,
and a record in JSON. It is written beside its place, flushed, and renamed; the one before it stays, for the case that
the newest is damaged.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rmt import checks
from rmt.campaign.shards import commit, partials

if TYPE_CHECKING:
    import jax
else:
    jax = checks.optional("jax", "train")

KEPT = 2
RECORD = "record"
_NAME = re.compile(r"(\d{10})-([0-9a-f]{64})\.npz")


class Checkpoint(NamedTuple):
    """What a file holds.

    Attributes
    ----------
    arrays : dict
        Arrays by the name of their tree and their path in it.
    record : dict
        Plain values.
    """

    arrays: dict[str, np.ndarray]
    record: dict[str, Any]

    def tree(self, name: str, like: Any) -> Any:
        """Return the tree that was saved as `name`, in the structure of `like`.

        Raises
        ------
        InputError
            If an array is missing, or has another shape or type than in `like`.
        """

        def found(path: tuple, leaf: Any) -> np.ndarray:
            key = _key(name, path)
            array = self.arrays.get(key)
            if array is None or (array.shape, array.dtype) != (np.shape(leaf), np.asarray(leaf).dtype):
                raise checks.InputError(f"the checkpoint has no array {key} of shape {np.shape(leaf)}")
            return array

        return jax.tree_util.tree_map_with_path(found, like)


def save(folder: Path, step: int, trees: dict[str, Any], record: dict[str, Any]) -> Path:
    """Write a checkpoint into a folder, and remove all but the newest two.

    Parameters
    ----------
    folder : Path
        Made where it is not there.
    step : int
        Steps taken.
    trees : dict of str -> tree of arrays
    record : dict
        Values for JSON.

    Returns
    -------
    Path
        The file.
    """
    arrays = {
        _key(name, path): np.asarray(leaf)
        for name, tree in trees.items()
        for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]
    }
    stream = io.BytesIO()
    text = np.frombuffer(json.dumps(record).encode(), np.uint8)
    np.savez(stream, allow_pickle=False, **{RECORD: text}, **arrays)
    data = stream.getvalue()
    path = folder / f"{step:010d}-{hashlib.sha256(data).hexdigest()}.npz"
    folder.mkdir(parents=True, exist_ok=True)
    commit(path, data)
    others = [other for other in _files(folder) if other != path]
    later = [other for other in others if _step(other) > step]  # damaged: a run goes on from the newest that is whole
    before = [other for other in others if _step(other) <= step]
    for old in [*later, *before[KEPT - 1 :], *partials([folder])]:
        old.unlink(missing_ok=True)
    return path


def load(folder: Path) -> Checkpoint | None:
    """Return the newest checkpoint of a folder whose bytes agree with its name; None where there is no file.

    Raises
    ------
    InputError
        If there are files, and all are damaged.
    """
    files = _files(folder)
    for path in files:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != path.stem.partition("-")[2]:
            continue
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        return Checkpoint(arrays, json.loads(arrays.pop(RECORD).tobytes()))
    if files:
        raise checks.InputError(f"every checkpoint in {folder} is damaged: remove them to begin again")
    return None


def _files(folder: Path) -> list[Path]:
    """Return the checkpoints of a folder, the newest first."""
    found = [path for path in folder.glob("*.npz") if _NAME.fullmatch(path.name)] if folder.is_dir() else []
    return sorted(found, key=lambda path: (_step(path), path.stat().st_mtime_ns), reverse=True)


def _step(path: Path) -> int:
    return int(path.name[:10])


def _key(name: str, path: tuple) -> str:
    return name + jax.tree_util.keystr(path)
