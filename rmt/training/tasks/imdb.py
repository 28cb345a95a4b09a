"""Sentiment of film reviews, byte by byte: the files of the Large Movie Review Dataset."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rmt import checks
from rmt.training.tasks import baselines, files
from rmt.training.tasks.base import Split, Task, chosen, content_hash

FOLDERS = ("train/pos", "train/neg", "test/pos", "test/neg")
NEEDED = f"the folder aclImdb of the Large Movie Review Dataset, with text files in {', '.join(FOLDERS)}"
HELD_OUT = 0.1  # of the reviews to train on, for validation
MAX_FILES = 200_000  # in a folder
BYTES = 256


def imdb(
    *,
    data: str | os.PathLike[str] | None = None,
    length: int = 4096,
    size: int | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Task:
    """Return the reviews as sequences of bytes, with their sentiment: 0 negative, 1 positive.

    Parameters
    ----------
    data : path
        The folder ``aclImdb``, or the one that holds it.
    length : int
        T; of a longer review the first bytes are taken, as in Long Range Arena.
    size : int, optional
        Reviews to train on, of those not held out; validation and test have at most as many. None: all.
    seed : int
        Decides which tenth of the reviews to train on is held out for validation, the order, and which are taken
        where `size` is given.
    progress : callable, optional
        Is told how many were read.

    Returns
    -------
    Task
        Classification by the mean over steps; a token is a byte. Baselines: the most frequent sentiment; of bytes,
        and of pairs of bytes, naive Bayes; least squares on the frequencies of bytes.

    Raises
    ------
    InputError
        If files are not there, or empty.

    References
    ----------
    Maas et al. (2011), Learning word vectors for sentiment analysis; as bytes in Tay et al. (2021), Long Range Arena.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from rmt.training.tasks.imdb import imdb
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for part in ("train/pos", "train/neg", "test/pos", "test/neg"):
    ...         place = pathlib.Path(folder, "aclImdb", part)
    ...         place.mkdir(parents=True)
    ...         for i in range(20):
    ...             size = (place / f"{i}_7.txt").write_text(f"{i}: good" if part.endswith("pos") else f"{i}: bad")
    ...     task = imdb(data=folder, length=10)
    >>> task.test.inputs.shape, task.baselines["majority"], task.baselines["naive Bayes"]
    ((40, 10), 0.5, 1.0)
    """
    root = found(data)
    length = checks.integer("length", length, minimum=2)
    rng = np.random.default_rng(checks.integer("seed", seed, minimum=0))
    known, unknown = _reviews(root / "train"), _reviews(root / "test")
    order = rng.permutation(len(known))
    held = max(1, round(HELD_OUT * len(known)))
    parts = chosen(size, [order[held:], order[:held], rng.permutation(len(unknown))])
    splits = []
    for name, paths, indices in zip(("train", "validation", "test"), (known, known, unknown), parts, strict=True):
        splits.append(_read([paths[index] for index in indices], length))
        if progress is not None:
            progress(f"imdb: {len(indices):,} reviews of {name} read")
    train, validation, test = splits
    shares = [baselines.frequencies(split, BYTES) for split in (train, test)]
    linear = baselines.least_squares(shares[0], train.targets, shares[1])
    return Task(
        name="imdb",
        kind="classification",
        readout="mean",
        vocabulary=BYTES,
        n_outputs=2,
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
            "source": "the Large Movie Review Dataset (Maas et al., 2011)",
            "options": {"length": length, "size": len(train), "seed": seed},
            "versions": {"numpy": np.__version__},
            "sha256": content_hash(*splits),
        },
    )


def found(data: Any) -> Path:
    """Return the folder ``aclImdb``."""
    return files.folder(data, FOLDERS, NEEDED, inner=("aclImdb",))


def _reviews(folder: Path) -> list[tuple[Path, int]]:
    """Return the files of a folder with ``neg`` and ``pos``, in the order of their names, with their sentiment."""
    found = []
    for sentiment, name in enumerate(("neg", "pos")):
        try:
            with os.scandir(folder / name) as entries:
                paths = sorted(Path(entry.path) for entry, _ in zip(entries, range(MAX_FILES + 1), strict=False))
        except OSError as error:
            raise checks.InputError(f"{folder / name} cannot be read: {error.strerror or error}") from error
        if len(paths) > MAX_FILES:
            raise checks.InputError(f"{folder / name} has more than {MAX_FILES:,} files, and is not {NEEDED}")
        paths = [path for path in paths if path.suffix == ".txt"]
        if len(paths) < 2:
            raise checks.InputError(f"{folder / name} has no reviews; data must be {NEEDED}")
        found += [(path, sentiment) for path in paths]
    return found


def _read(reviews: Sequence[tuple[Path, int]], length: int) -> Split:
    inputs = np.zeros((len(reviews), length), np.uint8)
    lengths = np.zeros(len(reviews), np.int32)
    for row, (path, _) in enumerate(reviews):
        text = np.frombuffer(files.beginning(path, length), np.uint8)
        if not len(text):
            raise checks.InputError(f"{path} cannot be read: it is empty")
        inputs[row, : len(text)] = text
        lengths[row] = len(text)
    return Split(inputs, lengths, np.array([sentiment for _, sentiment in reviews], np.int32))
