"""ListOps: the value, 0 to 9, of a nested list of minima, maxima, medians and sums; drawn, or read from files."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from rmt import checks
from rmt.audit import reading
from rmt.training.tasks import baselines, files
from rmt.training.tasks import listops_trees as trees
from rmt.training.tasks.base import Split, Task, content_hash, sizes

VERSION = 1  # of the generator: what is cached under another one is not used
NAMES = ("basic_train.tsv", "basic_val.tsv", "basic_test.tsv")
INNER = ("listops-1000", "listops")
NEEDED = f"a folder with {', '.join(NAMES)} of Long Range Arena's ListOps"
MAX_ROWS = 1_000_000  # of a file

_WORDS = {name.encode(): trees.FIRST_OPERATOR + i for i, name in enumerate(trees.OPERATORS)}
_WORDS |= {str(digit).encode(): trees.FIRST_DIGIT + digit for digit in range(10)} | {b"]": trees.END}


def listops(
    *,
    data: str | os.PathLike[str] | None = None,
    length: int = 2000,
    size: int = 96_000,
    seed: int = 0,
    minimum: int = 500,
    cache: str | os.PathLike[str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Task:
    """Return ListOps, drawn by the rules of Long Range Arena or read from its files.

    Tokens are 1, ..., 10 for the digits, 11, ..., 14 for ``[MIN [MAX [MED [SM``, 15 for ``]``, and 0 for padding.

    Parameters
    ----------
    data : path, optional
        A folder with ``basic_train.tsv``, ``basic_val.tsv`` and ``basic_test.tsv``; None: expressions are drawn.
    length : int
        T; an expression has fewer tokens.
    size : int
        Expressions to train on; validation and test have as many, and at most 2,000. From files, the first ones.
    seed : int
        Of the draw.
    minimum : int
        An expression that is drawn has more tokens than this.
    cache : path, optional
        A folder where what was drawn is kept, and found again by the same options.
    progress : callable, optional
        Is told how far it is: 100,000 expressions take about half a minute.

    Returns
    -------
    Task
        Classification by the mean over steps. Baselines: the most frequent value, about .17; given the operator at
        the root, about .36; naive Bayes on counts of tokens.

    Raises
    ------
    InputError
        If files are not there or broken; every expression in them is evaluated and compared with its target.

    References
    ----------
    Nangia and Bowman (2018), ListOps; Tay et al. (2021), Long Range Arena.

    Examples
    --------
    >>> from rmt.training.tasks.listops import listops
    >>> task = listops(length=60, minimum=20, size=100)
    >>> task.train.inputs.shape, task.vocabulary, task.n_outputs
    ((100, 60), 16, 10)
    """
    length = checks.integer("length", length, minimum=6)
    options: dict[str, Any] = {"length": length, "size": checks.integer("size", size)}
    if data is None:
        options |= {
            "seed": checks.integer("seed", seed, minimum=0),
            "minimum": checks.integer("minimum", minimum, minimum=1, maximum=length - 3),
        }
        splits = _drawn(options, None if cache is None else Path(cache), progress)
        source = "drawn by the rules of Long Range Arena (Tay et al., 2021): depth 10, 2-10 arguments"
    else:
        splits = _from_files(files.folder(data, NAMES, NEEDED, inner=INNER), length, size, progress)
        source = "the files of Long Range Arena (Tay et al., 2021)"
    train, validation, test = splits
    return Task(
        name="listops",
        kind="classification",
        readout="mean",
        vocabulary=trees.VOCABULARY,
        n_outputs=10,
        train=train,
        validation=validation,
        test=test,
        baselines={
            "majority": baselines.majority(train, test),
            "root operator": given_root(train, test),
            "naive Bayes": baselines.naive_bayes(train, test, trees.VOCABULARY),
        },
        record={
            "source": source,
            "options": options,
            "versions": {"numpy": np.__version__, "generator": VERSION},
            "sha256": content_hash(*splits),
        },
    )


def found(data: Any) -> Path | None:
    """Return the folder of the files; None where expressions are drawn."""
    return None if data is None else files.folder(data, NAMES, NEEDED, inner=INNER)


def given_root(train: Split, test: Split) -> float:
    """Return the accuracy of the value most frequent in `train` under the operator at the root."""
    table = np.zeros((trees.VOCABULARY, 10), np.int64)
    np.add.at(table, (train.inputs[:, 0], train.targets), 1)
    return baselines.accuracy(table.argmax(axis=1)[test.inputs[:, 0]], test)


def _drawn(options: dict[str, Any], cache: Path | None, progress: Callable[[str], None] | None) -> list[Split]:
    counts = sizes(options["size"])
    path = None
    if cache is not None:
        key = hashlib.sha256(json.dumps([VERSION, options], sort_keys=True).encode()).hexdigest()
        path = cache / f"listops-{key[:16]}.npz"
        if path.exists():
            return _cut(*_cached(path, sum(counts), options["length"]), counts)
        try:
            cache.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise checks.InputError(f"cache {cache} cannot be written: {error.strerror or error}") from error
    rng = np.random.default_rng(options["seed"])
    drawn = trees.draw(sum(counts), rng, minimum=options["minimum"], maximum=options["length"], progress=progress)
    if path is not None:
        _keep(path, *drawn)
    return _cut(*drawn, counts)


def _cut(tokens: np.ndarray, lengths: np.ndarray, values: np.ndarray, counts: tuple[int, ...]) -> list[Split]:
    """Cut rows into splits of so many each."""
    ends = np.cumsum(counts)
    return [
        Split(tokens[last - count : last], lengths[last - count : last], values[last - count : last])
        for count, last in zip(counts, ends, strict=True)
    ]


def _digest(tokens: np.ndarray, lengths: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.frombuffer(bytes.fromhex(content_hash(Split(tokens, lengths, values))), np.uint8)


def _keep(path: Path, tokens: np.ndarray, lengths: np.ndarray, values: np.ndarray) -> None:
    """Write what was drawn, whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    valid = np.arange(tokens.shape[1]) < lengths[:, None]
    try:
        with partial.open("wb") as file:
            digest = _digest(tokens, lengths, values)
            np.savez(file, tokens=tokens[valid], lengths=lengths, values=values, sha256=digest)
        partial.replace(path)
    except OSError as error:
        raise checks.InputError(f"cache {path.parent} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _cached(path: Path, count: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read what was kept, and compare it with its hash."""
    try:
        arrays = reading.read(path)
        if arrays["lengths"].shape != (count,) or arrays["values"].shape != (count,):
            raise checks.InputError("its shapes are others")
        lengths, values = arrays["lengths"].load(), arrays["values"].load()
        tokens = np.zeros((count, width), np.uint8)
        tokens[np.arange(width) < lengths[:, None]] = arrays["tokens"].load()
        if not np.array_equal(_digest(tokens, lengths, values), arrays["sha256"].load()):
            raise checks.InputError("its content is not that of its hash")
    except Exception as error:  # parsers fail on a broken file in ways that nobody can list
        reason = " ".join(str(error).split())[:200]
        raise checks.InputError(f"{path} is damaged and can be deleted: {reason}") from error
    return tokens, lengths, values


def _from_files(folder: Path, length: int, size: int, progress: Callable[[str], None] | None) -> list[Split]:
    splits = []
    for name, count in zip(NAMES, sizes(size), strict=True):
        splits.append(read_tsv(folder / name, length, count))
        if progress is not None:
            progress(f"listops: {len(splits[-1]):,} expressions of {name}")
    return splits


def read_tsv(path: Path, length: int, most: int = MAX_ROWS) -> Split:
    """Return the expressions of a file of Long Range Arena's ListOps.

    Parameters
    ----------
    path : Path
        Lines of an expression, a tab and its value, below the line ``Source<tab>Target``. Parentheses are left out.
    length : int
        T; a longer expression is an error.
    most : int
        How many lines are read.

    Returns
    -------
    Split

    Raises
    ------
    InputError
        If a line is no expression, or its value another.
    """
    rows: list[bytes] = []
    values: list[int] = []
    limit = 16 * length + 64  # bytes of a line: a token with its spaces and parentheses has no more than 9
    try:
        if not path.is_file():
            raise checks.InputError(f"{path} cannot be read: it is no file")
        with path.open("rb") as file:
            if file.readline(limit).split() != [b"Source", b"Target"]:
                raise checks.InputError(f"{path} cannot be read: its first line is not Source<tab>Target")
            while len(rows) < most and (line := file.readline(limit)):
                try:
                    tokens, value = _parsed(line, length)
                except checks.InputError as error:
                    raise checks.InputError(f"{path} cannot be read: line {len(rows) + 2}: {error}") from error
                rows.append(tokens)
                values.append(value)
    except OSError as error:
        raise checks.InputError(f"{path} cannot be read: {error.strerror or error}") from error
    if not rows:
        raise checks.InputError(f"{path} cannot be read: it has no expression")
    lengths = np.array([len(row) for row in rows], np.int32)
    inputs = np.zeros((len(rows), length), np.uint8)
    inputs[np.arange(length) < lengths[:, None]] = np.frombuffer(b"".join(rows), np.uint8)
    return Split(inputs, lengths, np.array(values, np.int32))


def _parsed(line: bytes, length: int) -> tuple[bytes, int]:
    """Return the tokens of a line, and the value that they have and it says."""
    source, tab, target = line.rstrip(b"\r\n").partition(b"\t")
    if not tab or not line.endswith(b"\n"):
        raise checks.InputError("it is not an expression, a tab, a value and an end of line, or too long")
    try:
        tokens = bytes(_WORDS[word] for word in source.translate(None, b"()").split())
    except KeyError as error:
        shown = ascii(error.args[0].decode("latin-1"))[:40]
        raise checks.InputError(f"{shown} is neither a digit nor one of {' '.join(trees.OPERATORS)} ]") from error
    if len(tokens) > length:
        raise checks.InputError(f"it has {len(tokens):,} tokens, and length = {length:,} allows no more")
    value = evaluate(tokens)
    if target != str(value).encode():
        raise checks.InputError(f"its value is {value}, and {ascii(target.decode('latin-1'))[:20]} stands there")
    return tokens, value


def evaluate(tokens: bytes) -> int:
    """Return the value of an expression.

    Examples
    --------
    >>> from rmt.training.tasks.listops import evaluate
    >>> evaluate(bytes([13, 10, 3, 11, 6, 8, 15, 4, 15]))  # [MED 9 2 [MIN 5 7 ] 3 ]
    4
    """
    stack: list[list[int]] = [[]]
    operators: list[int] = []
    for token in tokens:
        if token >= trees.END:
            arguments = stack.pop()
            if not operators or not arguments:
                raise checks.InputError("its brackets do not fit")
            stack[-1].append(_applied(operators.pop(), arguments))
        elif token >= trees.FIRST_OPERATOR:
            operators.append(token)
            stack.append([])
        else:
            stack[-1].append(token - trees.FIRST_DIGIT)
    if operators or len(stack[0]) != 1:
        raise checks.InputError("its brackets do not fit")
    return stack[0][0]


def _applied(operator: int, arguments: list[int]) -> int:
    name = trees.OPERATORS[operator - trees.FIRST_OPERATOR]
    if name == "[MIN":
        return min(arguments)
    if name == "[MAX":
        return max(arguments)
    if name == "[SM":
        return sum(arguments) % 10
    arguments.sort()
    count = len(arguments)
    return (arguments[(count - 1) // 2] + arguments[count // 2]) // 2
