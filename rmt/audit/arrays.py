"""Weights as named arrays: of a framework's model, of a tree of arrays, or of one array; read only when needed."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmt import checks

# A tree from a hostile file may contain itself, or share its branches so that it has more leaves than atoms are.
MAX_DEPTH, MAX_LEAVES = 32, 100_000

# Names of numeric types, in NumPy, torch and JAX; complex32, bfloat16 and float8_e4m3fn are among them.
_NUMERIC = re.compile(r"(bfloat16|float\d+\w*|complex\d+|u?int\d+)")


@dataclass(frozen=True)
class Weight:
    """A named array that is read when :meth:`array` is called.

    Attributes
    ----------
    name : str
        Its path in the tree, joined by dots; as it is in flat files.
    shape : tuple of int
        Its shape, known without reading.
    dtype : str
        Its type as the framework names it.
    load : callable
        Returns the array.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    load: Callable[[], Any]

    @property
    def numeric(self) -> bool:
        """Whether the entries are numbers: real, complex or integer, and not Boolean."""
        return _NUMERIC.fullmatch(self.dtype) is not None

    def array(self) -> np.ndarray:
        """Read the array, as finite doubles or complex doubles of the shape announced."""
        try:
            array = np.asarray(self.load())
            array = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64, copy=False)
        except Exception as error:  # whatever a framework or a broken file comes up with
            raise checks.InputError(f"{self.name} cannot be read: {first_line(error)}") from error
        if array.shape != self.shape:
            raise checks.InputError(f"{self.name} has shape {array.shape}, and {self.shape} was announced")
        bad = array.size - np.count_nonzero(np.isfinite(array))
        if bad:
            raise checks.InputError(
                f"{self.name} must be finite: {bad:,} of {array.size:,} entries are NaN or infinite"
            )
        return array


def printable(text: str) -> str:
    """Return a text with escapes for what would break a line, or command a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, short, or the name of its class."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return printable(lines[0])[:200] if lines else type(error).__name__


def named(weights: Any) -> dict[str, Weight]:
    """Return the arrays of a model, of a tree of arrays or of one array, by name.

    Parameters
    ----------
    weights : object
        A torch module (its ``state_dict()``), a keras model or layer (its ``weights``, by their ``path``), a flax
        module of nnx (its state), a mapping or sequence of arrays, nested at will, or one array: NumPy, JAX, torch,
        SciPy sparse, or nested lists of numbers. Leaves that are no arrays are left out.

    Returns
    -------
    dict of str to Weight

    Raises
    ------
    InputError
        If there is no array at all, or the tree is too deep or too large.
    """
    found: dict[str, Weight] = {}
    for path, leaf in _leaves(_tree(weights), (), [0]):
        name = ".".join(path) or "W"
        weight = _weight(name, leaf)
        if weight is None:
            continue
        if name in found:
            raise checks.InputError(f"weights must have distinct names, got two arrays named {name!r}")
        found[name] = weight
    if not found:
        raise checks.InputError(
            "weights must be a torch module, a keras model, a tree of arrays or an array, "
            f"got {type(weights).__name__} without an array{_hint(weights)}"
        )
    return found


def _hint(weights: Any) -> str:
    """Say what may have been meant by something that holds no array."""
    if isinstance(weights, (str, os.PathLike)):
        return "; a file is read by `rmt audit FILE`"
    linen = sys.modules.get("flax.linen")
    if linen is not None and isinstance(weights, linen.Module):
        return "; a module of flax.linen holds none: give the tree that its init returned"
    return ""


def _tree(weights: Any) -> Any:
    """Return what a model of a framework holds, and anything else as it is."""
    if isinstance(weights, Mapping) or hasattr(weights, "shape"):
        return weights
    if callable(getattr(weights, "state_dict", None)):
        return weights.state_dict()
    nnx = sys.modules.get("flax.nnx")
    if nnx is not None and isinstance(weights, nnx.Module):
        return nnx.state(weights)
    variables = getattr(weights, "weights", None)
    if isinstance(variables, (list, tuple)):
        return {getattr(variable, "path", None) or str(i): variable for i, variable in enumerate(variables)}
    return weights


def _leaves(tree: Any, path: tuple[str, ...], count: list[int]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if len(path) > MAX_DEPTH:
        raise checks.InputError(f"weights must be nested at most {MAX_DEPTH} deep")
    count[0] += 1
    if count[0] > MAX_LEAVES:
        raise checks.InputError(f"weights must have at most {MAX_LEAVES:,} entries")
    if isinstance(tree, tuple) and hasattr(tree, "_asdict"):
        tree = tree._asdict()
    if isinstance(tree, Mapping):
        for key, branch in tree.items():
            yield from _leaves(branch, (*path, str(key)), count)
    elif isinstance(tree, (list, tuple)) and not _is_matrix(tree):
        for i, branch in enumerate(tree):
            yield from _leaves(branch, (*path, str(i)), count)
    else:
        yield path, tree


def _is_matrix(rows: list | tuple) -> bool:
    """Whether these are lists of numbers of one length, as they are written down for a small matrix."""
    if not rows or not all(isinstance(row, (list, tuple)) and len(row) == len(rows[0]) for row in rows):
        return False
    return all(isinstance(entry, (int, float, complex)) for row in rows for entry in row)


def _weight(name: str, leaf: Any) -> Weight | None:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(leaf, torch.Tensor):
        return Weight(name, tuple(leaf.shape), str(leaf.dtype).removeprefix("torch."), lambda: _of_tensor(torch, leaf))
    if isinstance(leaf, (list, tuple)):
        leaf = np.array(leaf)
    shape, dtype = getattr(leaf, "shape", None), getattr(leaf, "dtype", None)
    if shape is None or dtype is None:
        return None
    methods = (getattr(leaf, name, None) for name in ("toarray", "numpy"))  # SciPy sparse; keras and TensorFlow
    load = next((method for method in methods if callable(method)), lambda: leaf)
    return Weight(name, tuple(int(length) for length in shape), getattr(dtype, "name", None) or str(dtype), load)


def _of_tensor(torch: Any, tensor: Any) -> np.ndarray:
    tensor = tensor.detach()
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    return tensor.to("cpu", torch.complex128 if tensor.is_complex() else torch.float64).resolve_conj().numpy()
