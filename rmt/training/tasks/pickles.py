"""Pickles of numbers, strings, lists, dicts and NumPy arrays, read without the machine that pickles were made for.

A pickle is a program. This reads the few instructions that such data need, one by one, on a stack of its own: an array
is built from the bytes in the file, and nothing else that a pickle asks for is looked up, imported or called.
"""

from __future__ import annotations

import io
import math
import pickletools
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmt import checks

MAX_INSTRUCTIONS = 1_000_000

# What a pickle of an array asks for. Before NumPy 2, numpy._core was numpy.core; up to protocol 2, bytes are encoded
# strings, and no bytes are bytes().
_KNOWN = {
    "numpy._core.multiarray._reconstruct": "array",
    "numpy._core.numeric._frombuffer": "buffer",
    "numpy.ndarray": "ndarray",
    "numpy.dtype": "dtype",
    "_codecs.encode": "encode",
    "builtins.bytes": "empty",
}
_NUMERIC = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248])")
_MARK = object()


@dataclass(frozen=True)
class _Name:
    """Something that a pickle asks for, by what it stands for here."""

    role: str


@dataclass
class _Type:
    """A numeric type in the making."""

    code: str
    order: str = "|"


@dataclass
class _Array:
    """An array in the making."""

    value: np.ndarray | None = None


def loads(data: bytes) -> Any:
    """Return what a pickle holds: dicts, lists, tuples, strings, bytes, integers, and arrays of numbers.

    Parameters
    ----------
    data : bytes
        A whole pickle, of any protocol. Strings of Python 2 are read as Latin-1.

    Returns
    -------
    object
        In it an array is an object whose attribute ``value`` is the ndarray (read-only).

    Raises
    ------
    InputError
        If the pickle is broken, or needs anything else.

    Examples
    --------
    >>> import pickle
    >>> import numpy as np
    >>> from rmt.training.tasks import pickles
    >>> pickles.loads(pickle.dumps({"data": np.arange(3), "labels": [1, 2]}))["data"].value
    array([0, 1, 2])
    >>> pickles.loads(pickle.dumps(print))
    Traceback (most recent call last):
    ...
    rmt.checks.InputError: it asks for 'builtins.print', and nothing is executed
    """
    try:
        return _Machine().run(data)
    except checks.InputError:
        raise
    except Exception as error:  # a broken program fails in ways that nobody can list
        reason = " ".join(str(error).split())[:100]
        raise checks.InputError(f"its pickle is broken ({type(error).__name__}: {reason})") from error


class _Machine:
    """The stack and the memory of a pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memory: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(io.BytesIO(data))):
            if count >= MAX_INSTRUCTIONS:
                raise checks.InputError(f"its pickle has more than {MAX_INSTRUCTIONS:,} instructions")
            if opcode.name == "STOP":
                (result,) = self.stack
                return result
            self.step(opcode.name, argument)
        raise checks.InputError("its pickle does not end")

    def step(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in _CONSTANTS:
            make = _CONSTANTS[name]
            stack.append(make() if callable(make) else make)
        elif name in _LITERALS:
            stack.append(argument)
        elif name in ("PROTO", "FRAME"):
            pass
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            self.memory[int(argument)] = stack[-1]
        elif name == "MEMOIZE":
            self.memory[len(self.memory)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(self.memory[int(argument)])
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(name[-1])
            stack[-count:] = [tuple(self.few(count))]
        elif name == "TUPLE":
            stack.append(tuple(self.above()))
        elif name == "LIST":
            stack.append(self.above())
        elif name == "DICT":
            stack.append(_pairs(self.above()))
        elif name in ("APPEND", "APPENDS"):
            values = [stack.pop()] if name == "APPEND" else self.above()
            self.top(list).extend(values)
        elif name in ("SETITEM", "SETITEMS"):
            values = [stack.pop(-2), stack.pop()] if name == "SETITEM" else self.above()
            self.top(dict).update(_pairs(values))
        elif name == "GLOBAL":
            stack.append(_asked_for(argument.replace(" ", ".", 1)))
        elif name == "STACK_GLOBAL":
            module, attribute = self.few(2)
            stack[-2:] = [_asked_for(f"{_text(module)}.{_text(attribute)}")]
        elif name == "REDUCE":
            function, arguments = self.few(2)
            stack[-2:] = [_called(function, arguments)]
        elif name == "BUILD":
            state = stack.pop()
            _built(stack[-1], state)
        else:
            raise checks.InputError(f"its pickle has the instruction {name}, which no array and no list needs")

    def few(self, count: int) -> list[Any]:
        """Return the last values of the stack, which must be there."""
        values = self.stack[-count:]
        if len(values) < count or any(value is _MARK for value in values):
            raise checks.InputError("its pickle is broken (values are missing)")
        return values

    def above(self) -> list[Any]:
        """Take all values above the last mark, and the mark."""
        values = []
        while (value := self.stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def top(self, kind: type) -> Any:
        """Return the last value, which must be a list or a dict."""
        if type(self.stack[-1]) is not kind:
            raise checks.InputError("its pickle is broken (it fills what is no container)")
        return self.stack[-1]


_CONSTANTS: dict[str, Any] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "NONE": None,
    "NEWTRUE": True,
    "NEWFALSE": False,
    "MARK": _MARK,
}
_LITERALS = {
    *("BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}


def _asked_for(name: str) -> _Name:
    role = _KNOWN.get(name.replace("numpy.core.", "numpy._core.", 1).replace("__builtin__.", "builtins.", 1))
    if role is None:
        raise checks.InputError(f"it asks for {name[:80]!a}, and nothing is executed")
    return _Name(role)


def _called(function: Any, arguments: Any) -> Any:
    """Return what stands for the result of a call."""
    role = function.role if isinstance(function, _Name) else None
    if role == "array":
        return _Array()
    if role == "dtype":
        return _Type(_text(arguments[0]))
    if role == "encode":
        return _text(arguments[0]).encode("latin-1")
    if role == "empty" and arguments == ():
        return b""
    if role == "buffer":
        data, kind, shape, order = arguments
        return _Array(_filled(shape, kind, _text(order) == "F", data))
    raise checks.InputError("its pickle calls what cannot be called")


def _built(value: Any, state: Any) -> None:
    """Complete a type or an array by its state."""
    if isinstance(value, _Type):
        value.order = _text(state[1])
    elif isinstance(value, _Array) and value.value is None:
        _, shape, kind, fortran, data = state
        value.value = _filled(shape, kind, bool(fortran), data)
    else:
        raise checks.InputError("its pickle sets the state of what has none")


def _filled(shape: Any, kind: Any, fortran: bool, data: Any) -> np.ndarray:
    """Return the array of that shape and type whose entries are the bytes `data`."""
    if isinstance(data, str):
        data = data.encode("latin-1")
    code = kind.code if kind.code[:1] in "<>|=" else kind.order + kind.code
    if not _NUMERIC.fullmatch(code):
        raise checks.InputError(f"it has an array of {code[:20]!a}, and only numbers are read")
    dtype = np.dtype(code)
    proper = type(shape) is tuple and len(shape) <= 32 and all(type(n) is int and 0 <= n < 2**48 for n in shape)
    if not proper or type(data) not in (bytes, bytearray) or math.prod(shape) * dtype.itemsize != len(data):
        raise checks.InputError("the bytes of its array do not fit its shape")
    flat = np.frombuffer(bytes(data), dtype)
    return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


def _pairs(values: list[Any]) -> dict[Any, Any]:
    """Return keys and values in turn as a dict; no key is looked into, as a hash would."""
    if any(type(key) not in (str, bytes, int) for key in values[::2]):
        raise checks.InputError("its pickle has a key that is neither text nor an integer")
    return dict(zip(values[::2], values[1::2], strict=True))


def _text(value: Any) -> str:
    """Return text as such; anything else may be endless when it is written down."""
    if type(value) not in (str, bytes):
        raise checks.InputError("its pickle has something else where a name belongs")
    return value.decode("latin-1") if isinstance(value, bytes) else value
