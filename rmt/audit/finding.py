"""Which arrays are recurrent: by their names where a library gives them, by their shape where it does not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial

import numpy as np

from rmt import checks
from rmt.audit import diagonal, names
from rmt.audit.arrays import Weight

MAX_N = 4096
MAX_MATRICES = 1000  # in one array
MAX_ASSUMED = 16  # arrays; more of them are a network of another kind, such as a transformer

UNKNOWN = "square, of an unknown name beside known ones: --all audits it"
SHAPELESS = "named as a recurrence, but of no shape that is known for one"
ASSUMABLE = ("a vector", SHAPELESS)  # of complex entries, where nothing else is found


@dataclass(frozen=True)
class Recurrence:
    """A linear recurrence h_t = W h_{t-1} + x_t that was found, W = shift I + factor A.

    Attributes
    ----------
    name : str
        Name of its array, with the part in brackets where the array holds several.
    array : str
        Name of its array alone.
    kind : {"matrix", "gate", "candidate", "at rest", "diagonal"}
        What A is; a diagonal one is given by its eigenvalues.
    reason : str
        Why it is taken for one, and how the array was read.
    n : int
        Size of the state.
    load : callable
        Returns A, of shape (n, n), or the eigenvalues (n,) of a diagonal one.
    shift, factor : float
        0 and 1, but for a cell at rest.
    """

    name: str
    array: str
    kind: str
    reason: str
    n: int
    load: Callable[[], np.ndarray]
    shift: float = 0.0
    factor: float = 1.0


@dataclass(frozen=True)
class Skipped:
    """An array that is not audited, and why."""

    name: str
    shape: tuple[int, ...]
    reason: str


def find(
    weights: dict[str, Weight], *, only: Sequence[str] = (), every: bool = False
) -> tuple[list[Recurrence], list[Skipped]]:
    """Find the recurrences among named arrays.

    Parameters
    ----------
    weights : dict of str to Weight
        As :func:`rmt.audit.arrays.named` and :func:`rmt.audit.reading.read` return it.
    only : sequence of str
        Patterns of names, with ``*`` and ``?``. If given, the arrays of such names are audited and no others:
        those whose name says nothing as square matrices, and a vector that is named in full as eigenvalues.
    every : bool
        Whether square arrays of unknown names are audited also where others have known ones.

    Returns
    -------
    list of Recurrence, list of Skipped

    Raises
    ------
    InputError
        If no recurrence is found, a pattern matches no name, or what is found is too large.
    """
    asked = _asked(weights, only)
    found, used = _diagonals(weights, asked)
    skipped = [Skipped(name, weights[name].shape, "not asked for") for name in weights if name not in asked | used]
    unknown = []
    for name, weight in asked.items():
        if name in used:
            continue
        layout, reason = names.layout(name, weights), names.otherwise(name, weights)
        parts = [] if layout is None else list(_parts(weight, layout, weights))
        found += parts
        if parts:
            continue
        if only or (layout is None and reason is None and _is_square(weight) and weight.shape[-1] > 1):
            unknown.append(weight)
            continue
        if reason is None and layout is not None and weight.numeric:
            reason = SHAPELESS
        skipped.append(Skipped(name, weight.shape, reason or _why_not(weight)))
    if not (only or every or found) and len(unknown) > MAX_ASSUMED:
        raise checks.InputError(
            f"{len(unknown):,} square arrays are there, and no name says which is recurrent, as in {unknown[0].name}; "
            "--only NAME chooses, --all audits them all"
        )
    if not (only or found or unknown):
        vectors = [asked[array.name] for array in skipped if array.name in asked and array.reason in ASSUMABLE]
        vectors = [weight for weight in vectors if "complex" in weight.dtype and len(weight.shape) == 1]
        if len(vectors) <= MAX_ASSUMED:
            found += [_vector(weight, "complex vector, assumed to be eigenvalues") for weight in vectors]
            skipped = [array for array in skipped if array.name not in {weight.name for weight in vectors}]
    if only or every or not found:
        for weight in unknown:
            parts = list(_by_shape(weight, bool(only), weight.name in only))
            found += parts
            skipped += [] if parts else [Skipped(weight.name, weight.shape, _why_not(weight))]
    else:
        skipped += [Skipped(weight.name, weight.shape, UNKNOWN) for weight in unknown]
    if not found:
        looked_at = [array for array in skipped if array.name in asked]
        shown = ", ".join(f"{array.name} {array.shape} ({array.reason})" for array in looked_at[:3])
        rest = f" and {len(looked_at) - 3} more" if len(looked_at) > 3 else ""
        parts_of_none = [asked[array.name] for array in looked_at if not names.is_shadow(array.name, weights)]
        eligible = any(map(_may_be_asked_for, parts_of_none))
        hint = "; --only NAME (only= in Python) chooses one" if eligible else ""
        raise checks.InputError(f"no recurrent matrix was found among {shown}{rest}{hint}")
    place = {name: i for i, name in enumerate(weights)}
    return sorted(found, key=lambda recurrence: place[recurrence.array]), skipped


def _asked(weights: dict[str, Weight], only: Sequence[str]) -> dict[str, Weight]:
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in weights):
            known = ", ".join(list(weights)[:10]) + (", ..." if len(weights) > 10 else "")
            raise checks.InputError(f"only must match a name, got {pattern!r}; names: {known}")
    return {n: w for n, w in weights.items() if not only or any(fnmatchcase(n, pattern) for pattern in only)}


def _diagonals(weights: dict[str, Weight], asked: dict[str, Weight]) -> tuple[list[Recurrence], dict[str, Weight]]:
    """Return the diagonal recurrences of which an array is asked for, and all arrays that they are read from."""
    found: list[Recurrence] = []
    used: dict[str, Weight] = {}
    for rule, members in diagonal.groups({n: w for n, w in weights.items() if not names.is_shadow(n, weights)}):
        arrays = {weight.name: weight for weight in members.values()}
        if not arrays.keys() & asked.keys():
            continue
        used |= arrays
        first = members[rule.leaves[0]]
        n = math.prod(first.shape)
        diagonal.check_size(first.name, n)
        load = partial(rule.read, members)
        found.append(Recurrence(first.name, first.name, "diagonal", rule.reason(members), n, load))
    return found, used


def _parts(weight: Weight, layout: names.Layout, weights: dict[str, Weight]) -> Iterator[Recurrence]:
    """Yield the recurrences that an array of a known name holds; none if its shape does not fit."""
    if layout.gates is None:
        if _is_square(weight):
            for name, load in _matrices(weight):
                yield from _gate(name, weight, layout.gate, layout.origin, load)
        return
    if not weight.numeric or len(weight.shape) != 2 or math.prod(weight.shape) == 0:
        return
    behind = None
    if "weight_hh" in weight.name:
        behind = weights.get("weight_hr".join(weight.name.rsplit("weight_hh", 1)))
    axis, width = layout.axis, weight.shape[1 - layout.axis]
    if behind is not None and len(behind.shape) == 2 and behind.shape[0] == width:
        width = behind.shape[1]  # an LSTM with a projection of its state
    count = weight.shape[axis] // width if width else 0
    if count not in layout.gates or count * width != weight.shape[axis]:
        return
    for i, gate in enumerate(layout.gates[count]):
        load = partial(_block, weight, axis, i * width, width, behind)
        name = f"{weight.name}[{gate[0]}]" if gate else weight.name
        yield from _gate(name, weight, gate, f"{layout.origin} {names.CELLS[count]}", load, width)


def _block(weight: Weight, axis: int, start: int, width: int, behind: Weight | None) -> np.ndarray:
    array = weight.array()
    block = array[start : start + width] if axis == 0 else array[:, start : start + width]
    return block if behind is None else block @ behind.array()


def _gate(
    name: str, weight: Weight, gate: str, origin: str, load: Callable[[], np.ndarray], n: int | None = None
) -> Iterator[Recurrence]:
    """Yield a matrix or a gate; and behind a candidate its cell at rest."""
    n = n or weight.shape[-1]
    if n > MAX_N:
        raise checks.InputError(f"{name} has n = {n:,}, and n <= {MAX_N:,} is audited; --only NAME chooses others")
    if not gate:
        yield Recurrence(name, weight.name, "matrix", origin, n, load)
        return
    why = f"{origin}, gate {gate[0]}"
    yield Recurrence(name, weight.name, "candidate" if gate.endswith("*") else "gate", why, n, load)
    if gate.endswith("*"):
        rest = f"{name[:-1]}, at rest]" if name.endswith("]") else f"{name}[at rest]"
        yield Recurrence(rest, weight.name, "at rest", f"{why}: the cell I/2 + W/4", n, load, 0.5, 0.25)


def _by_shape(weight: Weight, chosen: bool, in_full: bool) -> Iterator[Recurrence]:
    """Yield the recurrences of an array of unknown name; a vector that was chosen by its name in full is a diagonal."""
    if _is_square(weight):
        for name, load in _matrices(weight):
            yield from _gate(name, weight, "", "square, asked for" if chosen else "square, assumed recurrent", load)
    elif in_full and weight.numeric and len(weight.shape) == 1:
        yield _vector(weight, "a vector, asked for: its entries as eigenvalues")


def _vector(weight: Weight, why: str) -> Recurrence:
    diagonal.check_size(weight.name, weight.shape[0])
    return Recurrence(weight.name, weight.name, "diagonal", why, weight.shape[0], weight.array)


def _matrices(weight: Weight) -> Iterator[tuple[str, Callable[[], np.ndarray]]]:
    """Yield the name of each matrix of an array (n, n) or (k, n, n), and what returns it."""
    if len(weight.shape) == 2:
        yield weight.name, weight.array
        return
    if weight.shape[0] > MAX_MATRICES:
        raise checks.InputError(f"{weight.name} holds {weight.shape[0]:,} matrices, and {MAX_MATRICES:,} are audited")
    for i in range(weight.shape[0]):
        yield f"{weight.name}[{i}]", partial(_item, weight, i)


def _item(weight: Weight, i: int) -> np.ndarray:
    return weight.array()[i]


def _is_square(weight: Weight) -> bool:
    shape = weight.shape
    return weight.numeric and len(shape) in (2, 3) and shape[-1] == shape[-2] and math.prod(shape) > 0


def _may_be_asked_for(weight: Weight) -> bool:
    return _is_square(weight) or (weight.numeric and len(weight.shape) == 1 and weight.shape[0] > 0)


def _why_not(weight: Weight) -> str:
    if not weight.numeric:
        return f"entries of type {weight.dtype}"
    if math.prod(weight.shape) == 0:
        return "empty"
    if len(weight.shape) < 2:
        return "a vector" if weight.shape else "a number"
    if _is_square(weight):
        return "1 x 1"
    return "not square" if len(weight.shape) < 4 else "more than three axes"
