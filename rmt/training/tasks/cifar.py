"""CIFAR-10 as sequences of pixels: the python and the binary version, of which nothing is executed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rmt import checks
from rmt.training.tasks import baselines, files, pickles
from rmt.training.tasks.base import Split, Task, chosen, content_hash

PYTHON = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
BINARY = tuple(f"{name}.bin" for name in PYTHON)
INNER = ("cifar-10-batches-py", "cifar-10-batches-bin")
NEEDED = f"the folder {INNER[0]} or {INNER[1]} of CIFAR-10, with data_batch_1 to data_batch_5 and test_batch"
IMAGES, PIXELS, CLASSES = 10_000, 32 * 32, 10  # images of a file
COLOURS = ("grey", "rgb", "flat")
LUMA = np.array([299, 587, 114])  # thousandths, ITU-R BT.601
HELD_OUT = 0.1


def cifar(
    *,
    data: str | os.PathLike[str] | None = None,
    size: int | None = None,
    seed: int = 0,
    colour: str = "grey",
    tokens: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Task:
    """Return the images, row by row, with their class 0, ..., 9.

    Parameters
    ----------
    data : path
        The folder ``cifar-10-batches-py`` or ``cifar-10-batches-bin``, or the one that holds it.
    size : int, optional
        Images to train on, of those not held out; validation and test have at most as many. None: all.
    seed : int
        Decides which tenth of the images to train on is held out for validation, the order, and which are taken
        where `size` is given.
    colour : {"grey", "rgb", "flat"}
        A step is a pixel in grey (T = 1024); a pixel of three values (1024); or one value, red, green and blue of a
        pixel one after the other (3072).
    tokens : bool
        Whether a step is one of 256 tokens, as in Long Range Arena, or a real value, standardised by mean and
        standard deviation over the images to train on.
    progress : callable, optional
        Is told which file was read.

    Returns
    -------
    Task
        Classification by the mean over steps. Baselines: the most frequent class; least squares on the pixels of
        10,000 images.

    Raises
    ------
    InputError
        If files are not there, not of their size, or hold anything but images and classes.

    References
    ----------
    Krizhevsky (2009), Learning multiple layers of features from tiny images; in grey and as a sequence in Tay et al.
    (2021), Long Range Arena. Grey is .299 R + .587 G + .114 B, rounded.

    Examples
    --------
    Files of blank images, which take no room on most disks:

    >>> import pathlib, tempfile
    >>> from rmt.training.tasks.cifar import BINARY, cifar
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in BINARY:
    ...         with pathlib.Path(folder, name).open("wb") as file:
    ...             size = file.truncate(10_000 * (1 + 3 * 1024))  # an image is its class, then red, green and blue
    ...     task = cifar(data=folder, size=100)
    >>> task.train.inputs.shape, task.baselines["majority"]
    ((100, 1024, 1), 1.0)
    """
    checks.choice("colour", colour, COLOURS)
    if tokens and colour == "rgb":
        raise checks.InputError("tokens must be False for colour='rgb', where a step has three values; 'flat' has one")
    root, names = found(data)
    rng = np.random.default_rng(checks.integer("seed", seed, minimum=0))
    images, labels = [], []
    for name in names:
        read = _from_binary if name.endswith(".bin") else _from_pickle
        pixels, classes = read(root / name)
        images.append(_coloured(pixels, colour))
        labels.append(classes)
        if progress is not None:
            progress(f"cifar: {name} read")
    known, unknown = np.concatenate(images[:-1]), images[-1]
    order = rng.permutation(len(known))
    held = max(1, round(HELD_OUT * len(known)))
    parts = chosen(size, [order[held:], order[:held], rng.permutation(len(unknown))])
    sources = [(known, np.concatenate(labels[:-1]))] * 2 + [(unknown, labels[-1])]
    raw = [(pixels[part], classes[part]) for (pixels, classes), part in zip(sources, parts, strict=True)]
    center = scale = None
    if not tokens:
        center = raw[0][0].mean(axis=(0, 1), dtype=np.float64)
        scale = np.maximum(raw[0][0].std(axis=(0, 1), dtype=np.float64), 1.0)
    splits = [_split(pixels, classes, center, scale) for pixels, classes in raw]
    train, validation, test = splits
    linear = baselines.least_squares(raw[0][0].reshape(len(train), -1), train.targets, raw[2][0].reshape(len(test), -1))
    options: dict[str, Any] = {"size": len(train), "seed": seed, "colour": colour, "tokens": tokens}
    return Task(
        name="cifar",
        kind="classification",
        readout="mean",
        vocabulary=256 if tokens else None,
        n_outputs=CLASSES,
        train=train,
        validation=validation,
        test=test,
        baselines={
            "majority": baselines.majority(train, test),
            "least squares": baselines.accuracy(linear, test),
        },
        record={
            "source": "CIFAR-10 (Krizhevsky, 2009), " + ("binary" if names is BINARY else "python") + " version",
            "options": options,
            "versions": {"numpy": np.__version__},
            "sha256": content_hash(*splits),
        },
    )


def found(data: Any) -> tuple[Path, tuple[str, ...]]:
    """Return the folder and the names of its files: the python version, or the binary one where that is there."""
    try:
        return files.folder(data, BINARY, NEEDED, inner=INNER), BINARY
    except checks.InputError:
        return files.folder(data, PYTHON, NEEDED, inner=INNER), PYTHON


def _from_binary(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels (N, 3072) and classes (N,) of a file of records: a class, and red, green, blue planes."""
    record = 1 + 3 * PIXELS
    content = files.content(path, IMAGES * record)
    if len(content) != IMAGES * record:
        raise checks.InputError(
            f"{path} cannot be read: it holds {len(content):,} bytes, and {IMAGES:,} images take {IMAGES * record:,}"
        )
    rows = np.frombuffer(content, np.uint8).reshape(IMAGES, record)
    if rows[:, 0].max() >= CLASSES:
        raise checks.InputError(f"{path} cannot be read: a class in it is not one of 0 to {CLASSES - 1}")
    return rows[:, 1:], rows[:, 0].astype(np.int32)


def _from_pickle(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the same of a pickled dict with ``data`` and ``labels``."""
    content = files.content(path, IMAGES * (6 * PIXELS + 256) + 10_000)  # some protocols need two bytes for one
    try:
        tree = pickles.loads(content)
        if type(tree) is not dict:
            raise checks.InputError("it is no dict with data and labels")
        entries = {key.decode("latin-1") if isinstance(key, bytes) else key: value for key, value in tree.items()}
        pixels, labels = getattr(entries.get("data"), "value", None), entries.get("labels")
        if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape != (IMAGES, 3 * PIXELS):
            raise checks.InputError(f"its data are no uint8 array ({IMAGES}, {3 * PIXELS})")
        if type(labels) is not list or len(labels) != IMAGES or any(type(label) is not int for label in labels):
            raise checks.InputError(f"its labels are no list of {IMAGES} integers")
        if not all(0 <= label < CLASSES for label in labels):
            raise checks.InputError(f"a class in it is not one of 0 to {CLASSES - 1}")
    except checks.InputError as error:
        raise checks.InputError(f"{path} cannot be read: {error}") from error
    return pixels, np.array(labels, np.int32)


def _coloured(pixels: np.ndarray, colour: str) -> np.ndarray:
    """Return planes (N, 3072) as steps (N, T, d) of uint8."""
    planes = pixels.reshape(-1, 3, PIXELS).transpose(0, 2, 1)
    if colour == "grey":
        return ((planes @ LUMA + 500) // 1000).astype(np.uint8)[..., None]
    return planes if colour == "rgb" else np.ascontiguousarray(planes).reshape(-1, 3 * PIXELS, 1)


def _split(pixels: np.ndarray, classes: np.ndarray, center: np.ndarray | None, scale: np.ndarray | None) -> Split:
    lengths = np.full(len(pixels), pixels.shape[1], np.int32)
    if center is None or scale is None:
        return Split(pixels[..., 0], lengths, classes)
    inputs = pixels.astype(np.float32)
    inputs -= center.astype(np.float32)
    inputs /= scale.astype(np.float32)
    return Split(inputs, lengths, classes)
