"""Which package a piece of Python source comes from, byte by byte: natural text that is there already."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from rmt import checks
from rmt.training.tasks import baselines, files
from rmt.training.tasks.base import Split, Task, chosen, content_hash

PACKAGES = ("numpy", "scipy", "pandas", "matplotlib", "numba", "pyarrow")  # rmt needs all of them
SHARES = (0.7, 0.85)  # of the bytes of a package: up to the first to train on, up to the second for validation
MAX_FILE = 20_000_000  # bytes
BYTES = 256
_HEADER = re.compile(rb"\A(?:[ \t]*(?:#[^\n]*)?\r?\n)+")


@dataclass(frozen=True)
class Source:
    """A file of a package: its name, and what is left of its text."""

    name: str
    text: bytes


def pybytes(*, length: int = 1024, size: int | None = None, seed: int = 0, packages: Sequence[str] = PACKAGES) -> Task:
    """Return pieces of the Python source of installed packages, with the place of the package in `packages`.

    A package is split by file, by a hash of the file's name, so that no file has pieces in two splits. Left out are
    files whose content occurs twice, in one package or in several, the comments at the beginning of a file, where the
    licence stands, and the names of all the packages, in capitals or not, wherever they occur: a ``_`` takes their
    place. What imported names and house style tell, aliases such as ``np`` and ``pd`` among it, stays. Every package
    has as many pieces as the others. No piece overlaps another, and nothing of a package is imported or executed.

    Parameters
    ----------
    length : int
        T, the bytes of a piece.
    size : int, optional
        Pieces to train on, rounded down to a multiple of the number of packages; validation and test have at most as
        many. None: as many as the smallest package has.
    seed : int
        Decides which pieces are taken, and their order.
    packages : sequence of str
        Their names, as they are imported.

    Returns
    -------
    Task
        Classification by the mean over steps; a token is a byte. Baselines: the most frequent package; of bytes, and
        of pairs of bytes, naive Bayes; least squares on the frequencies of bytes.

    Raises
    ------
    InputError
        If a package is not installed, or has too few files.

    Examples
    --------
    >>> from rmt.training.tasks.pybytes import pybytes
    >>> task = pybytes(length=64, size=100, packages=["numpy", "scipy"])
    >>> task.train.inputs.shape, sorted(task.baselines)
    ((100, 64), ['least squares', 'majority', 'naive Bayes', 'naive Bayes, pairs'])
    """
    length = checks.integer("length", length, minimum=16)
    names = _named(packages)
    sources = [_sources(name, names) for name in names]
    seen: dict[bytes, int] = {}
    for source in (source for package in sources for source in package):
        key = hashlib.sha256(source.text).digest()
        seen[key] = seen.get(key, 0) + 1
    kept = [[s for s in package if seen[hashlib.sha256(s.text).digest()] == 1] for package in sources]
    rng = np.random.default_rng(checks.integer("seed", seed, minimum=0))
    divided = [divide(package) for package in kept]
    parts = []
    for split in range(3):
        pieces = [_pieces(package[split], length) for package in divided]
        count = min(len(piece) for piece in pieces)
        if count == 0:
            scarce = names[min(range(len(names)), key=lambda i: len(pieces[i]))]
            raise checks.InputError(
                f"packages must have source for pieces of {length:,} bytes in every split; {scarce!r} has too little"
            )
        chosen_pieces = np.stack([piece[rng.permutation(len(piece))[:count]] for piece in pieces], axis=1)
        labels = np.tile(np.arange(len(names), dtype=np.int32), count)
        parts.append((chosen_pieces.reshape(-1, length), labels))
    whole = None if size is None else checks.integer("size", size, minimum=len(names)) // len(names) * len(names)
    taken = chosen(whole, [np.arange(len(labels)) for _, labels in parts])
    splits = []
    for (inputs, labels), rows in zip(parts, taken, strict=True):
        order = rng.permutation(rows)
        splits.append(Split(inputs[order], np.full(len(order), length, np.int32), labels[order]))
    train, validation, test = splits
    shares = [baselines.frequencies(split, BYTES) for split in (train, test)]
    linear = baselines.least_squares(shares[0], train.targets, shares[1])
    return Task(
        name="pybytes",
        kind="classification",
        readout="mean",
        vocabulary=BYTES,
        n_outputs=len(names),
        train=train,
        validation=validation,
        test=test,
        baselines={
            "majority": baselines.majority(train, test),
            "naive Bayes": baselines.naive_bayes(train, test, BYTES),
            "naive Bayes, pairs": baselines.naive_bayes(train, test, BYTES, order=2),
            "least squares": baselines.accuracy(linear, test),
        },
        record={
            "source": "Python source of installed packages, split by file",
            "options": {"length": length, "size": len(train), "seed": seed, "packages": names},
            "versions": {"numpy": np.__version__} | {name: _version(name) for name in names},
            "files": {name: len(package) for name, package in zip(names, kept, strict=True)},
            "files sha256": _digest(kept),
            "sha256": content_hash(*splits),
        },
    )


def _named(packages: Sequence[str]) -> list[str]:
    names = [packages] if isinstance(packages, str) else list(packages)
    if (
        len(names) < 2
        or len(set(names)) < len(names)
        or not all(isinstance(n, str) and n.isidentifier() for n in names)
    ):
        raise checks.InputError(f"packages must be two or more different names of packages, got {names!r}"[:300])
    return names


def _sources(name: str, names: Sequence[str]) -> list[Source]:
    """Return the Python files of a package, in the order of their names, without what gives them away."""
    spec = importlib.util.find_spec(name)  # of a top-level name: imports nothing
    if spec is None or not spec.submodule_search_locations:
        raise checks.InputError(f"packages must be installed packages, and {name!r} is none")
    found = {}
    for root in map(Path, spec.submodule_search_locations):
        for path in root.rglob("*.py"):
            text = _HEADER.sub(b"", files.content(path, MAX_FILE))
            found[f"{name}/{path.relative_to(root).as_posix()}"] = _without(text, names)
    return [Source(key, found[key]) for key in sorted(found)]


def _without(text: bytes, names: Sequence[str]) -> bytes:
    """Return a text with a ``_`` for each of the names, in capitals or not."""
    for name in sorted((name.lower().encode() for name in names), key=len, reverse=True):
        lower, parts, begin = text.lower(), [], 0
        while (place := lower.find(name, begin)) >= 0:
            parts.append(text[begin:place])
            begin = place + len(name)
        text = b"_".join([*parts, text[begin:]])
    return text


def divide(sources: Sequence[Source]) -> tuple[list[Source], list[Source], list[Source]]:
    """Return the files to train on, for validation and for the test, by a hash of their names and nothing else.

    In the order of the hash, a file goes where the share of the bytes before it falls.
    """
    result: tuple[list[Source], list[Source], list[Source]] = ([], [], [])
    total = max(1, sum(len(source.text) for source in sources))
    before = 0
    for source in sorted(sources, key=lambda source: hashlib.sha256(source.name.encode()).digest()):
        result[sum(before / total >= share for share in SHARES)].append(source)
        before += len(source.text)
    return result


def _pieces(sources: Sequence[Source], length: int) -> np.ndarray:
    """Return the text of files, cut into pieces (N, length) from the beginning of each."""
    rows = [
        np.frombuffer(source.text[: len(source.text) // length * length], np.uint8).reshape(-1, length)
        for source in sources
    ]
    return np.concatenate([np.empty((0, length), np.uint8), *rows])


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        for distribution in _distributions().get(name, ()):
            return importlib.metadata.version(distribution)
    return "unknown"


@cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def _digest(packages: Sequence[Sequence[Source]]) -> str:
    total = hashlib.sha256()
    for source in (source for package in packages for source in package):
        total.update(f"{source.name}:{hashlib.sha256(source.text).hexdigest()};".encode())
    return total.hexdigest()
