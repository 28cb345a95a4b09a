"""In what two configurations differ, one line for each thing: what stands in the manifest, and what is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

SAME = "of the same source, but the name of its file is a part of a cell"


def difference(stored: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    """Return one line for each thing in which two configurations differ."""
    lines = []
    for name in ("experiment", "seed", "stream_version"):
        if stored[name] != asked[name]:
            lines.append(f"{name}: {stored[name]} there, {asked[name]} asked")
    for name in sorted(stored["options"].keys() | asked["options"].keys()):
        there, here = (side["options"].get(name, "no such option") for side in (stored, asked))
        if there != here:
            lines.append(f"option {name}: {there} there, {here} asked")
    there, here = stored["sources"], asked["sources"]
    lines += [f"source of {name}, {_changed_line(there[name], here[name])}" for name in changed_sources(there, here)]
    return lines or _cells(stored, asked)  # cells that differ do so because of what was said


def changed_sources(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """Return the names of functions and classes of which both sides have a source, and not the same."""
    return [name for name, text in here.items() if None not in (text, there.get(name)) and there[name] != text]


def uncompared(stored: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    """Return a line for each class or function whose source is not known on both sides: a change of it is not seen.

    Of a function with a source this cannot be: its hash is a part of the cell.
    """
    lines = []
    for name, text in asked["sources"].items():
        before = stored["sources"].get(name)
        if text is None or before is None:
            where = "cannot be had here" if text is None else "is not in the manifest"
            lines.append(f"the source of {name} {where}: whether it has changed since is not known")
    return lines


def _cells(stored: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    """Return one line for each cell of one side alone; where both have one of its label, for what tells them apart."""
    old, new = ({cell["sha256"]: cell for cell in side["cells"]} for side in (stored, asked))
    there = [old[key] for key in old if key not in new]
    here = [new[key] for key in new if key not in old]
    lines: dict[str, None] = {}  # as a set that keeps the order: cells mostly differ in the same thing
    for cell in list(there):
        twin = next((other for other in here if other["label"] == cell["label"]), None)
        if twin is None:
            continue
        there.remove(cell)
        here.remove(twin)
        for place, one, two in _differences(cell["description"], twin["description"]):
            if place.endswith("class") or (_is_function(one) and _is_function(two)):
                before, after = (part["function"] if _is_function(part) else part for part in (one, two))
                lines[_named(before, after, stored["sources"], asked["sources"])] = None
            else:
                lines[f"{cell['label']}, {place}: {_short(one)} there, {_short(two)} asked"] = None
    labels = [f"cell only there: {cell['label']}" for cell in there]
    labels += [f"cell only asked: {cell['label']}" for cell in here]
    return [*sorted(lines, key=lambda line: line.endswith(SAME)), *labels]


def _differences(one: Any, two: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield where two descriptions differ, and what stands there on either side."""
    if one == two:
        return
    if isinstance(one, dict) and isinstance(two, dict) and one.keys() == two.keys() and not _is_function(one):
        for key in one:
            yield from _differences(one[key], two[key], f"{place}.{key}".strip("."))
    elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for i, pair in enumerate(zip(one, two, strict=True)):
            yield from _differences(*pair, f"{place}[{i}]")
    else:
        yield place, one, two


def _is_function(described: Any) -> bool:
    return isinstance(described, dict) and "function" in described


def _named(there: str, here: str, old: dict[str, Any], new: dict[str, Any]) -> str:
    """Say how two functions or classes differ: in the file that they are of, or in their source, or in both."""
    before, after = old.get(there), new.get(here)
    names = there if there == here else f"{_place(there)} there, {_place(here)} asked"
    if before is None or after is None or there.rpartition(".")[2] != here.rpartition(".")[2]:
        return names
    if before != after:
        return f"{names}: their sources differ, {_changed_line(before, after)}"
    return f"{names}: {SAME}"


def _place(name: str) -> str:
    """Return a qualified name for people: that of an experiment file is known by its file."""
    module, _, thing = name.partition(".")
    if not module.startswith("experiment_"):
        return name
    return f"{thing} of {module.removeprefix('experiment_')}.py"


def _short(described: Any) -> str:
    text = str(described)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _changed_line(there: str, here: str) -> str:
    """Say on one line how a source changed: its first line that differs."""
    old, new = there.splitlines(), here.splitlines()
    at = next((i for i, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), min(len(old), len(new)))
    before, after = (lines[at].strip() if at < len(lines) else "nothing" for lines in (old, new))
    return f"line {at + 1}: `{before}` there, `{after}` asked"
