"""What all ensembles share: a description is frozen, checked when made, and drawn from only on request."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import Generator

from rmt import checks, parallel
from rmt.kernels.eigenvalues import eigenvalues


class Ensemble(ABC):
    """The description of a random n x n matrix.

    A subclass is a frozen dataclass that has `n` and defines :meth:`matrix`. Where it knows its eigenvalues or their
    radius without a matrix, it overrides :meth:`eigenvalues` or :meth:`radius` too. What these methods return is
    checked wherever rmt calls them: an InputError names what does not fit.

    Attributes
    ----------
    n : int
        Size of the matrix.
    field : {"real", "complex"}
        Field of numbers, "real" unless a subclass says otherwise; the eigenvalues of a real matrix come in conjugate
        pairs.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import rmt
    >>> @dataclass(frozen=True)
    ... class Laplace(rmt.Ensemble):
    ...     n: int
    ...
    ...     def matrix(self, rng):
    ...         return rng.laplace(scale=(2 * self.n) ** -0.5, size=(self.n, self.n))
    >>> rmt.sample_spectral_radius(Laplace(50), 3, rng=0).shape
    (3,)
    """

    n: int
    field: str = "real"

    @property
    def dtype(self) -> np.dtype:
        """Type of the entries: float64 for the real field, complex128 for the complex one."""
        return np.dtype(np.complex128 if self.field == "complex" else np.float64)

    @abstractmethod
    def matrix(self, rng: Generator) -> np.ndarray:
        """Return one matrix (n, n), drawn from `rng`."""

    def eigenvalues(self, rng: Generator) -> np.ndarray:
        """Return the n complex eigenvalues of one matrix, drawn from `rng`."""
        return eigenvalues(self.checked_matrix(rng))

    def radius(self, rng: Generator) -> float:
        """Return the spectral radius of one matrix, drawn from `rng`."""
        return float(np.abs(self.checked_eigenvalues(rng)).max())

    def checked_matrix(self, rng: Generator) -> np.ndarray:
        """Return :meth:`matrix` as a finite array (n, n) of :attr:`dtype`; InputError if it is none."""
        checks.memory("a matrix", self.dtype.itemsize * int(self.n) ** 2, n=self.n)
        return self._checked("matrix", self.matrix(rng), (self.n, self.n), self.dtype)

    def checked_eigenvalues(self, rng: Generator) -> np.ndarray:
        """Return :meth:`eigenvalues` as a finite complex array (n,); InputError if they are none."""
        return self._checked("eigenvalues", self.eigenvalues(rng), (self.n,), np.dtype(np.complex128))

    def _checked(self, method: str, value: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        name = f"{method}(rng) of {checks.shown(self)}"
        array = checks.array(name, value)
        if array.shape != shape:
            raise checks.InputError(f"{name} must have shape {shape}, got shape {array.shape}")
        if array.dtype.kind == "c" and dtype.kind != "c":
            raise checks.InputError(f"{name} must be real, as its field is {self.field!r}, got {array.dtype}")
        return np.ascontiguousarray(array, dtype)

    def draw(self, size: int | None = None, *, rng: Any = None) -> np.ndarray:
        """Draw matrices.

        Parameters
        ----------
        size : int, optional
            Number of matrices; None stands for one matrix without a leading axis.
        rng : SPEC 7 value, optional
            Matrix i depends on the state of `rng` and on i, not on `size`.

        Returns
        -------
        ndarray of shape (n, n) or (size, n, n)
        """
        return self._several(self.checked_matrix, (self.n, self.n), self.dtype, size, rng)

    def draw_eigenvalues(self, size: int | None = None, *, rng: Any = None) -> np.ndarray:
        """Draw the eigenvalues of matrices, in no particular order.

        Parameters
        ----------
        size : int, optional
            Number of matrices; None stands for one matrix without a leading axis.
        rng : SPEC 7 value, optional
            Sample i depends on the state of `rng` and on i, not on `size`.

        Returns
        -------
        complex ndarray of shape (n,) or (size, n)
        """
        return self._several(self.checked_eigenvalues, (self.n,), np.dtype(np.complex128), size, rng)

    @staticmethod
    def _several(
        one: Callable[[Generator], np.ndarray],
        shape: tuple[int, ...],
        dtype: np.dtype,
        size: int | None,
        rng: Any,
    ) -> np.ndarray:
        rng = checks.generator(rng)
        with parallel.one_blas_thread():
            if size is None:
                return one(rng)
            size = checks.integer("size", size)
            checks.memory("the result", dtype.itemsize * size * math.prod(shape), n=shape[0], size=size)
            samples = np.empty((size, *shape), dtype)
            for sample in samples:
                sample[...] = one(rng)
            return samples

    def _canonical(self, **values: Any) -> None:
        """Store checked arguments; only a constructor may do this to a frozen description."""
        for name, value in values.items():
            object.__setattr__(self, name, value)
