"""The canonical description of a cell: the one text from which its name, its hash and its seeds follow."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import math
import sys
import types
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


def source(thing: Callable) -> str | None:
    """Return the source text of a function or class, or None where there is none."""
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError):
        return None


def describe_function(function: Callable) -> dict[str, Any]:
    """Describe a user's function by its qualified name and the hash of its source (None without a source)."""
    owner = getattr(function, "__self__", None)  # of a built-in function, its module
    if owner is not None and not isinstance(owner, (type, types.ModuleType)):
        name = f"{type(owner).__name__}.{getattr(function, '__name__', '')}"
        raise checks.InputError(
            f"a function of a cell must not be a method of an instance, which is no part of the cell, got {name}: "
            "make it a function, and give it by params what it needs"
        )
    text = source(function)
    sha256 = None if text is None else hashlib.sha256(text.encode()).hexdigest()
    return {"function": qualified_name(function), "source_sha256": sha256}


def _compiled(function: Callable) -> str | None:
    """Return a hash of what a function is compiled to, the same in every process; None where it is not of Python."""
    plain = inspect.unwrap(function)
    code = getattr(plain, "__code__", None)
    defaults = [getattr(plain, "__defaults__", None), getattr(plain, "__kwdefaults__", None)]
    return None if code is None else f"sha256 {digest(_parts([code, *defaults]))}"


def _parts(value: Any) -> Any:
    """Return a code object, or a constant of one, as what JSON can hold: without what differs between processes."""
    if isinstance(value, types.CodeType):
        return _parts([value.co_code, value.co_names, value.co_varnames, value.co_consts])
    if isinstance(value, (list, tuple)):
        return [_parts(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(map(repr, value))
    if isinstance(value, dict):
        return {name: _parts(item) for name, item in value.items()}
    simple = value is None or value is ... or isinstance(value, (bool, int, float, complex, str, bytes))
    return repr(value) if simple else type(value).__name__


def own_classes(kind: type) -> list[type]:
    """Return `kind` and the classes that it rests on, without those of rmt and of Python itself."""
    given = {"rmt", *sys.stdlib_module_names} - {"__main__"}
    return [base for base in kind.__mro__ if base.__module__.split(".")[0] not in given]


def sources(value: Any) -> dict[str, str | None]:
    """Return {qualified name: source text} of what is not of rmt within `value`, which `describe` takes.

    These are functions, and the classes of dataclasses with those that they rest on; None stands for a class without
    a source. For a function without one stands a hash of its compiled code, under a name that holds the version of
    Python. The hash of a cell covers the source of functions alone, so that other changes are found by comparing these
    texts.
    """
    found: dict[str, str | None] = {}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for kind in own_classes(type(value)):
            module = "__main__" if kind.__module__ == "__mp_main__" else kind.__module__
            found[f"{module}.{kind.__qualname__}"] = source(kind)
        value = [getattr(value, field.name) for field in dataclasses.fields(value) if field.compare]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            found |= sources(item)
    elif callable(value) and not isinstance(value, type):
        text, name = source(value), qualified_name(value)
        if text is None:
            text, name = _compiled(value), f"{name} as compiled by {sys.implementation.cache_tag}"
        found |= {} if text is None else {name: text}
    return found


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
        if value.dtype.hasobject:
            raise checks.InputError(f"an array of a cell must hold numbers or text, got dtype {value.dtype}")
        sha256 = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return {"array": {"dtype": value.dtype.str, "shape": list(value.shape), "sha256": sha256}}
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
        f"got {_got(value)}"
    )


def _got(value: Any) -> str:
    """Name what cannot be described, and what to do where it is a class of one's own or an instance of one."""
    kind = value if isinstance(value, type) else type(value)
    if not own_classes(kind):
        return f"the class {kind.__name__}" if isinstance(value, type) else kind.__name__
    if not isinstance(value, type):
        return f"{kind.__name__}: make {kind.__name__} a frozen dataclass"
    advice = "" if dataclasses.is_dataclass(kind) else f", once {kind.__name__} is a frozen dataclass"
    return f"the class {kind.__name__}: give an instance of it{advice}"


def canonical(description: Any) -> str:
    """Return the canonical text of a description: JSON with sorted keys, floats by repr, no spaces."""
    return json.dumps(description, sort_keys=True, separators=(",", ":"))


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical text of `value`."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()
