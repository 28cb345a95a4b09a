"""What a task is: sequences, which of their steps are valid, targets, and what trivial methods reach."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmt import checks

KINDS = ("classification", "regression")
READOUTS = ("mean", "last", "steps")


@dataclass(frozen=True, eq=False)
class Split:
    """Sequences and their targets: one of the three parts of a task.

    Parameters
    ----------
    inputs : ndarray of shape (N, T) or (N, T, d)
        Tokens of any integer type, or float32 vectors. What stands behind `lengths` is padding, and zero.
    lengths : int32 ndarray of shape (N,)
        How many steps of a sequence are valid, from 1 to T.
    targets : ndarray
        Of one value for a sequence: int32 classes (N,), or float32 vectors (N, d). Of a value for each step:
        int32 classes (N, T), or float32 vectors (N, T, d).
    weights : float32 ndarray of shape (N, T), optional
        How much a step counts in loss and score, where there is a target for each step. None: every valid step
        counts as one.

    Raises
    ------
    InputError
        If shapes, types or values do not fit each other.

    Examples
    --------
    >>> import numpy as np
    >>> from rmt.training.tasks import Split
    >>> split = Split(np.zeros((3, 5), np.uint8), np.full(3, 5, np.int32), np.zeros(3, np.int32))
    >>> len(split), split.steps
    (3, 5)
    """

    inputs: np.ndarray
    lengths: np.ndarray
    targets: np.ndarray
    weights: np.ndarray | None = None

    def __post_init__(self) -> None:
        inputs, lengths, targets = self.inputs, self.lengths, self.targets
        _typed("inputs", inputs, "an array (N, T) of integers or (N, T, d) of float32")
        if not ((inputs.ndim == 2 and inputs.dtype.kind in "iu") or (inputs.ndim == 3 and inputs.dtype == np.float32)):
            raise checks.InputError(
                "inputs must be an array (N, T) of integers or (N, T, d) of float32, "
                f"got shape {inputs.shape} of {inputs.dtype}"
            )
        if 0 in inputs.shape:
            raise checks.InputError(f"inputs must hold at least one sequence and one step, got shape {inputs.shape}")
        size, steps = inputs.shape[:2]
        _typed("lengths", lengths, f"an int32 array ({size},)")
        if lengths.shape != (size,) or lengths.dtype != np.int32 or lengths.min() < 1 or lengths.max() > steps:
            raise checks.InputError(f"lengths must be an int32 array ({size},) of values from 1 to {steps}")
        _typed("targets", targets, "an array of int32 or float32")
        vectors = targets.dtype == np.float32
        leading = targets.shape[:-1] if vectors else targets.shape
        if leading not in ((size,), (size, steps)) or not (vectors or targets.dtype == np.int32):
            raise checks.InputError(
                f"targets must be int32 of shape ({size},) or ({size}, {steps}), or float32 with one axis more, "
                f"got shape {targets.shape} of {targets.dtype}"
            )
        for name, array in (("inputs", inputs), ("targets", targets)):
            if not np.isfinite(array).all():
                raise checks.InputError(f"{name} must be finite, got an array with NaN or infinity")
        if self.weights is not None:
            self._check_weights(self.weights)

    def _check_weights(self, weights: np.ndarray) -> None:
        _typed("weights", weights, "a float32 array (N, T)")
        if not self.stepwise:
            raise checks.InputError("weights must be None where a sequence has one target")
        if weights.shape != self.inputs.shape[:2] or weights.dtype != np.float32:
            raise checks.InputError(f"weights must be float32 of shape {self.inputs.shape[:2]}, got {weights.shape}")
        behind = np.arange(self.steps) >= self.lengths[:, None]
        if not (np.isfinite(weights).all() and weights.min() >= 0 and weights.any()) or weights[behind].any():
            raise checks.InputError("weights must be finite, >= 0, not all zero, and zero behind lengths")

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def steps(self) -> int:
        """T, the number of steps of a sequence with its padding."""
        return self.inputs.shape[1]

    @property
    def stepwise(self) -> bool:
        """Whether there is a target for each step."""
        return self.targets.ndim == (3 if self.targets.dtype == np.float32 else 2)

    def counted(self) -> np.ndarray:
        """Return how much each step counts, float32 (N, T): the weights, or one for every valid step."""
        if self.weights is not None:
            return self.weights
        return (np.arange(self.steps) < self.lengths[:, None]).astype(np.float32)

    def take(self, indices: Any) -> Split:
        """Return the sequences of these indices."""
        weights = None if self.weights is None else self.weights[indices]
        return Split(self.inputs[indices], self.lengths[indices], self.targets[indices], weights)


@dataclass(frozen=True, eq=False)
class Task:
    """A learning task: three splits, and what is to be known about them.

    Parameters
    ----------
    name : str
        What it is called.
    kind : {"classification", "regression"}
        Classes scored by accuracy, or vectors scored by the normalised root mean square error (NRMSE).
    readout : {"mean", "last", "steps"}
        Where the output is read: from the mean over all valid steps, from the last valid one, or at each step.
    vocabulary : int or None
        Tokens are 0, ..., vocabulary - 1; None: inputs are real vectors.
    n_outputs : int
        Number of classes, or dimension of the targets.
    train, validation, test : Split
        All of one length T and one type.
    baselines : dict of str to float
        What trivial methods, fitted on `train`, reach on `test`: accuracy or NRMSE.
    record : dict
        Where the data come from: source, options, versions, and "sha256" of all arrays (:func:`content_hash`).

    Raises
    ------
    InputError
        If the parts do not fit each other.

    Examples
    --------
    Which bit of eight is the last one?

    >>> import numpy as np
    >>> from rmt.training.tasks import Split, Task
    >>> bits = np.random.default_rng(0).integers(0, 2, (64, 8))
    >>> split = Split(bits, np.full(64, 8, np.int32), bits[:, -1].astype(np.int32))
    >>> task = Task("last bit", "classification", "last", 2, 2, split, split, split, {"guess": 0.5}, {})
    >>> task.steps, task.input_size
    (8, 2)
    """

    name: str
    kind: str
    readout: str
    vocabulary: int | None
    n_outputs: int
    train: Split
    validation: Split
    test: Split
    baselines: Mapping[str, float]
    record: Mapping[str, Any]

    def __post_init__(self) -> None:
        checks.choice("kind", self.kind, KINDS)
        checks.choice("readout", self.readout, READOUTS)
        classes = self.kind == "classification"
        checks.integer("n_outputs", self.n_outputs, minimum=2 if classes else 1)
        if self.vocabulary is not None:
            checks.integer("vocabulary", self.vocabulary)
        for name, split in self.splits.items():
            try:
                self._check(split)
            except checks.InputError as error:
                raise checks.InputError(f"{name} split: {error}") from error
        for name, value in self.baselines.items():
            checks.real(f"baselines[{name!r}]", value, at_least=0.0)

    def _check(self, split: Split) -> None:
        first, inputs, targets = self.train, split.inputs, split.targets
        if (inputs.shape[1:], inputs.dtype) != (first.inputs.shape[1:], first.inputs.dtype):
            raise checks.InputError(f"inputs must be as those of train, {first.inputs.shape[1:]} {first.inputs.dtype}")
        if (self.vocabulary is None) != (inputs.ndim == 3):
            raise checks.InputError("vocabulary must be None for real inputs, and an integer for tokens")
        if self.vocabulary is not None and not (inputs.min() >= 0 and inputs.max() < self.vocabulary):
            raise checks.InputError(f"inputs must be tokens from 0 to {self.vocabulary - 1}")
        if split.stepwise != (self.readout == "steps"):
            raise checks.InputError(f"targets must be one a step for readout 'steps' alone, got shape {targets.shape}")
        if self.kind == "regression" and (targets.dtype != np.float32 or targets.shape[-1] != self.n_outputs):
            raise checks.InputError(f"targets must be float32 vectors of n_outputs = {self.n_outputs}")
        if self.kind == "classification" and (
            targets.dtype != np.int32 or targets.min() < 0 or targets.max() >= self.n_outputs
        ):
            raise checks.InputError(f"targets must be int32 classes from 0 to {self.n_outputs - 1}")

    @property
    def splits(self) -> dict[str, Split]:
        """The three splits by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @property
    def steps(self) -> int:
        """T, the number of steps of a sequence."""
        return self.train.steps

    @property
    def input_size(self) -> int:
        """Dimension of the input of one step: the vocabulary, or d of real inputs."""
        return self.vocabulary if self.vocabulary is not None else self.train.inputs.shape[2]


def _typed(name: str, value: Any, allowed: str) -> None:
    if not isinstance(value, np.ndarray):
        raise checks.InputError(f"{name} must be {allowed}, got {type(value).__name__}")


def content_hash(*splits: Split) -> str:
    """Return the SHA-256 of all arrays of some splits, with their types and shapes, as hexadecimal digits.

    Examples
    --------
    >>> import numpy as np
    >>> from rmt.training.tasks import Split
    >>> from rmt.training.tasks.base import content_hash
    >>> split = Split(np.zeros((3, 5), np.uint8), np.full(3, 5, np.int32), np.zeros(3, np.int32))
    >>> content_hash(split)[:12], content_hash(split, split) == content_hash(split)
    ('6ff4daa04854', False)
    """
    total = hashlib.sha256()
    for split in splits:
        for array in (split.inputs, split.lengths, split.targets, split.weights):
            if array is None:
                total.update(b"none;")
                continue
            little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
            total.update(f"{little.dtype.str}{little.shape};".encode())
            total.update(little.data)
    return total.hexdigest()


def sizes(size: Any, others: int = 2000) -> tuple[int, int, int]:
    """Return how many sequences train, validation and test have: `size`, and at most `others` and `size` for both."""
    size = checks.integer("size", size)
    return size, min(size, others), min(size, others)


def chosen(size: int | None, parts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the first of the indices of each part: `size` of the first part, and at most as many of the others."""
    if size is None:
        return list(parts)
    size = checks.integer("size", size, maximum=len(parts[0]))
    return [part[:size] for part in parts]
