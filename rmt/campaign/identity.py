"""The canonical description of a cell: the one text from which its name, its hash and its seeds follow."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rmt import checks


def qualified_name(thing: Any) -> str:
    """Return the importable name of a function or class; ours are public names, whichever file holds them."""
    name = getattr(thing, "__qualname__", "")
    if not name or "<" in name:
        raise checks.InputError(f"a function of a cell must be importable by name, got {thing!r}")
    module = str(thing.__module__)
    if module == "__mp_main__":  # what a worker process calls the script that started the run
        module = "__main__"
    return f"rmt.{name}" if module.split(".")[0] == "rmt" else f"{module}.{name}"


def source(function: Callable) -> str | None:
    """Return the source text of a function, or None where there is none."""
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return None


def describe_function(function: Callable) -> dict[str, Any]:
    """Describe a user's function by its qualified name and the hash of its source (None without a source)."""
    text = source(function)
    digest = None if text is None else hashlib.sha256(text.encode()).hexdigest()
    return {"function": qualified_name(function), "source_sha256": digest}


def sources(value: Any) -> dict[str, str]:
    """Return {qualified name: source text} of every function within `value`, which `describe` takes."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = [getattr(value, field.name) for field in dataclasses.fields(value) if field.compare]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return {name: text for item in value for name, text in sources(item).items()}
    if callable(value) and not isinstance(value, type):
        text = source(value)
        return {} if text is None else {qualified_name(value): text}
    return {}


def describe(value: Any) -> Any:
    """Return `value` as what JSON can hold, the same for equal values: dataclasses by class and fields."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if math.isnan(value):
            raise checks.InputError("a cell cannot be described by NaN")
        return value
    if isinstance(value, complex):
        return {"complex": [describe(value.real), describe(value.imag)]}
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return {"array": {"dtype": value.dtype.str, "shape": list(value.shape), "sha256": digest}}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field.name for field in dataclasses.fields(value) if field.compare]
        return {
            "class": qualified_name(type(value)),
            "fields": {name: describe(getattr(value, name)) for name in fields},
        }
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: describe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [describe(item) for item in value]
    if callable(value) and not isinstance(value, type):
        return describe_function(value)
    raise checks.InputError(
        "a cell is described by numbers, strings, arrays, functions, dataclasses, lists and dicts of them, "
        f"got {type(value).__name__}"
    )


def canonical(description: Any) -> str:
    """Return the canonical text of a description: JSON with sorted keys, floats by repr, no spaces."""
    return json.dumps(description, sort_keys=True, separators=(",", ":"))


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical text of `value`."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()
