"""Checks of arguments: every public function calls these before it does anything else.

Each check returns the value in its canonical type, or raises :class:`InputError`, whose message
names the argument, what is allowed and what was given.
"""

from __future__ import annotations

import importlib
import math
import numbers
import os
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

FIELDS = ("real", "complex")


class InputError(ValueError):
    """A value that a caller passed is outside of what is allowed."""


class MissingExtraError(ImportError):
    """A library that only an optional part of rmt needs is not installed."""


def shown(value: object) -> str:
    """Return `value` as error messages show it: its repr on one line, cut where it is long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else text[:77] + "..."


def integer(name: str, value: Any, *, minimum: int = 1, maximum: int | None = None) -> int:
    """Return `value` as an int within [minimum, maximum]; a float counts if it is integral (1e12)."""
    allowed = f"an integer >= {minimum:,}" if maximum is None else f"an integer from {minimum:,} to {maximum:,}"
    is_number = isinstance(value, (numbers.Real, np.number)) and not isinstance(value, (bool, np.bool_))
    if not is_number or not math.isfinite(value) or value != int(value):
        raise InputError(f"{name} must be {allowed}, got {shown(value)}")
    result = int(value)
    if result < minimum or (maximum is not None and result > maximum):
        raise InputError(f"{name} must be {allowed}, got {shown(value)}")
    return result


def real(
    name: str,
    value: Any,
    *,
    above: float = -math.inf,
    below: float = math.inf,
    at_least: float = -math.inf,
    at_most: float = math.inf,
) -> float:
    """Return `value` as a finite float with above < value < below and at_least <= value <= at_most."""
    bounds = [
        f"{sign} {bound:g}"
        for sign, bound in ((">", above), (">=", at_least), ("<", below), ("<=", at_most))
        if math.isfinite(bound)
    ]
    allowed = " and ".join(["a finite number", *bounds]).replace("number and", "number", 1)
    is_number = isinstance(value, (numbers.Real, np.number)) and not isinstance(value, (bool, np.bool_))
    if not is_number or np.iscomplexobj(value) or not math.isfinite(value):
        raise InputError(f"{name} must be {allowed}, got {shown(value)}")
    result = float(value)
    if not (above < result < below and at_least <= result <= at_most):
        raise InputError(f"{name} must be {allowed}, got {shown(value)}")
    return result


def choice(name: str, value: Any, allowed: Sequence[str]) -> str:
    """Return `value` if it is one of the strings `allowed`."""
    if not isinstance(value, str) or value not in allowed:
        raise InputError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {shown(value)}")
    return value


def field(value: Any) -> str:
    """Return the name of a field of numbers, "real" or "complex"."""
    return choice("field", value, FIELDS)


def generator(rng: Any) -> np.random.Generator:
    """Return ``numpy.random.default_rng(rng)``, the meaning of every `rng` argument (SPEC 7)."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"rng must be None, a non-negative integer, a SeedSequence, a BitGenerator or a Generator, got {shown(rng)}"
        ) from error


def array(name: str, value: Any, *, ndim: int | None = None) -> np.ndarray:
    """Return `value` as an array of finite doubles or complex doubles, of `ndim` dimensions if that is given."""
    try:
        result = np.asarray(value)
    except ValueError as error:
        raise InputError(f"{name} must be a numeric array, got a ragged sequence") from error
    if result.dtype.kind not in "biufc":
        got = f"dtype {result.dtype}" if result.ndim else shown(value)
        if hasattr(value, "draw"):
            got += "; its draw() returns a matrix"
        raise InputError(f"{name} must be a numeric array, got {got}")
    if ndim is not None and result.ndim != ndim:
        raise InputError(f"{name} must have {ndim} dimension(s), got shape {result.shape}")
    result = result.astype(np.complex128 if result.dtype.kind == "c" else np.float64, copy=False)
    with np.errstate(over="ignore", invalid="ignore"):
        total = result.sum()  # finite only if all are, and faster to see
    if not np.isfinite(total) and not np.isfinite(result).all():
        raise InputError(f"{name} must be finite, got an array with NaN or infinity")
    return result


def square(name: str, value: Any) -> np.ndarray:
    """Return `value` as a finite array of shape (..., n, n), n >= 1."""
    result = array(name, value)
    if result.ndim < 2 or result.shape[-1] != result.shape[-2] or result.shape[-1] == 0:
        raise InputError(f"{name} must have shape (..., n, n) with n >= 1, got shape {result.shape}")
    return result


@cache
def physical_memory() -> float:
    """Return the bytes of memory of this machine, infinite where the system does not tell."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        return math.inf


def memory(what: str, size: int, /, **arguments: int) -> None:
    """Refuse the `arguments`, whose names and values the message shows, if `what` takes more bytes than there are."""
    if size > physical_memory():
        given = " and ".join(f"{name} = {value:,}" for name, value in arguments.items())
        raise InputError(
            f"{given}: {what} would take {size / 2**30:,.1f} GiB, and must fit into the "
            f"{physical_memory() / 2**30:,.1f} GiB of memory of this machine"
        )


def optional(module: str, extra: str) -> Any:
    """Return the module of that name, which comes with the extra `extra` of rmt."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{module} is needed and not installed: pip install 'rmt[{extra}]' ({error})", name=module
        ) from error
