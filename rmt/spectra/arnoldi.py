"""The outermost eigenvalue of a matrix of which only products with vectors are needed, by Arnoldi's method.

From a random start vector, some 8 sqrt(n) products find the outermost eigenvalues of a dense random matrix to
rounding. Unlike the residual, which is small for any eigenvalue, a second and independent start vector tells
whether it is the outermost one: it must lead to the same. This is a test and not a proof.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rmt.kernels.orthogonal import orthogonalise
from rmt.kernels.reduction import hessenberg_eigenvalues
from rmt.kernels.ritz import EPS, eigenpair
from rmt.spectra.certificate import Criterion, Leading
from rmt.spectra.edge import outermost

Product = Callable[[np.ndarray], np.ndarray]  # of W with each row (m, n)

FIRST = 16  # dimension at the first check, or a little more; it doubles up to
DENSE = 5.0  # times sqrt(n), from where it grows as the error asks for:
LEAST_STEP = 0.25  # times sqrt(n), but no less than this
RATE = 4.3  # per sqrt(n) dimensions: the fall of log error from there on, for a dense random matrix
SURVEY = 1.9  # the outermost Ritz values are looked for when the dimension has grown by this factor
BY_COUNT = 64  # dimensions from which they are counted, and not all computed
NEAR, MOST = 0.01, 4  # Ritz values that are followed meanwhile: how far from the outermost, relative, and how many
DOUBT = 10.0  # errors by which one must be further in than another to be followed no longer
SHARES = 0.65, 0.75, 0.85, 1.0  # dimensions of the second space, in that of the first
AGREEMENT = 1e-4  # relative accuracy that is asked of the second
SINGULAR = 1e-14  # a product that leaves the space by less, relative, does not leave it


class Ritz(NamedTuple):
    """A Ritz value, the residual of its vector, a first-order bound of its error, and the vector in the basis."""

    value: complex
    residual: float
    error: float
    vector: np.ndarray


class Arnoldi:
    """Orthonormal basis V of the Krylov space of a random vector, by rows, and H with W V = V H."""

    def __init__(self, n: int, dtype: type, limit: int, seed: int) -> None:
        self.n, self.k = n, 0
        # What is never touched takes address space alone.
        self.V: np.ndarray = np.empty((limit + 1, n), dtype)
        self.H: np.ndarray = np.zeros((limit + 1, limit), dtype)
        self.closed = False  # whether the space is invariant
        self._surveyed = 0
        self._followed: np.ndarray = np.empty(0, np.complex128)
        rng = np.random.default_rng(seed)
        start = rng.standard_normal(n) + (1j * rng.standard_normal(n) if dtype is np.complex128 else 0.0)
        self.V[0] = start / np.linalg.norm(start)

    def add(self, w: np.ndarray) -> None:
        """Enlarge the space by w = W V[k], which is overwritten."""
        V, H, j = self.V, self.H, self.k
        size = before = _norm(w)
        for _ in range(2):  # twice is enough, and mostly once is
            if V.dtype == np.float64:
                overlaps = np.empty(j + 1)
                orthogonalise(V[: j + 1], w, overlaps)
            else:
                overlaps = V[: j + 1].conj() @ w
                w -= overlaps @ V[: j + 1]
            H[: j + 1, j] += overlaps
            left = _norm(w)
            if left > 0.7 * before:
                break
            before = left
        self.k = j + 1
        self.closed = self.k == self.n or left <= SINGULAR * size
        if not self.closed:
            H[j + 1, j] = left
            V[j + 1] = w / left

    def outermost(self, criterion: Criterion, *, survey: float = SURVEY) -> Ritz:
        """Return the Ritz value where `criterion` is largest, all being looked at when k has grown `survey` times."""
        H = self.H[: self.k, : self.k]
        if self.k > survey * self._surveyed:
            self._surveyed = self.k
            values = self._ritz_values(H.T.copy(), criterion)
            if H.dtype == np.float64:
                values = values[values.imag >= 0]
            values = values[np.argsort(-criterion(values), kind="stable")][:MOST]
            self._followed = values[criterion(values) >= criterion(values[0]) - NEAR * np.abs(values).max()]
        size = float(np.linalg.norm(H))
        below = abs(self.H[self.k, self.k - 1])
        pairs = []
        for value in self._followed:
            z, x, residual, overlap = eigenpair(H, value, size)
            residual = math.hypot(residual, below * abs(x[-1]))
            pairs.append(Ritz(z, residual, (residual + EPS * size) / overlap if overlap > EPS else math.inf, x))
        values, errors = np.array([pair.value for pair in pairs]), np.array([pair.error for pair in pairs])
        best = int(np.argmax(criterion(values)))
        in_doubt = criterion(values) + DOUBT * errors >= criterion(values[best]) - DOUBT * errors[best]
        self._followed = values[in_doubt]
        return pairs[best]

    def _ritz_values(self, columns: np.ndarray, criterion: Criterion) -> np.ndarray:
        """Return the outermost Ritz values; maybe not all of those further in than the first."""
        edge = outermost(columns, self.n) if criterion is np.abs and self.k >= BY_COUNT else None
        return hessenberg_eigenvalues(columns) if edge is None else edge.z


def _extend(product: Product, *dimensions: tuple[Arnoldi, int]) -> None:
    """Enlarge each space to its dimension, unless it is invariant before, all by one product at a time."""
    while True:
        growing = [space for space, k in dimensions if space.k < k and not space.closed]
        if not growing:
            return
        images = product(np.array([space.V[space.k] for space in growing]))
        for space, w in zip(growing, images, strict=True):
            space.add(w)


def _norm(w: np.ndarray) -> float:
    return math.sqrt(np.vdot(w, w).real)


def _first_dimension(n: int) -> int:
    """Return the dimension that becomes DENSE sqrt(n) when it is doubled some times."""
    k = DENSE * math.sqrt(n)
    return math.ceil(k / 2 ** max(0, math.floor(math.log2(k / FIRST))))


def _next_dimension(k: int, n: int, excess: float) -> int:
    """Return the dimension after k, where the error is `excess` times what is allowed."""
    root = math.sqrt(n)
    if k < DENSE * root:
        return 2 * k
    return k + math.ceil(root * min(max(LEAST_STEP, math.log(max(1.0, excess)) / RATE), DENSE))


def krylov_outermost(
    product: Product, n: int, dtype: type, criterion: Criterion, tol: float, limit: int
) -> Leading | None:
    """Return the eigenvalue where `criterion` is largest, or None if a space of dimension `limit` does not tell.

    The eigenvalue has a relative error of at most `tol` to first order.
    """
    first, second = (Arnoldi(n, dtype, limit, seed) for seed in (1, 2))
    k = _first_dimension(n)
    while True:
        k = min(k, limit)
        _extend(product, (first, k), (second, math.ceil(SHARES[0] * k)))
        found = first.outermost(criterion)
        allowed = tol * abs(found.value)
        if found.error <= allowed:  # one that is further out may have appeared since others were followed
            found = first.outermost(criterion, survey=1.0)
            allowed = tol * abs(found.value)
        for share in SHARES if found.error <= allowed else ():
            _extend(product, (second, math.ceil(share * first.k)))
            if _agree(found, second.outermost(criterion), criterion, tol):
                residual = _residual(product, first, found)
                return Leading(found.value, residual, "krylov") if residual <= _allowed(first, found) else None
        if k == limit:
            return None
        k = _next_dimension(k, n, found.error / allowed if allowed > 0 else math.inf)


def _agree(found: Ritz, other: Ritz, criterion: Criterion, tol: float) -> bool:
    """Whether the second space, less accurate, leads to the same eigenvalue, or accurately to one as far out."""
    size, accuracy = abs(found.value), 10 * (found.error + other.error)
    same = other.error <= AGREEMENT * size and abs(found.value - other.value) <= accuracy
    found_far, other_far = criterion(np.array([found.value, other.value]))
    return bool(same or (other.error <= tol * size and abs(found_far - other_far) <= accuracy))


def _residual(product: Product, space: Arnoldi, pair: Ritz) -> float:
    """Return |W x - lambda x| of the Ritz vector x, |x| = 1, from the matrix itself."""
    basis = space.V[: space.k]
    if space.V.dtype == np.complex128:
        x = pair.vector @ basis
        image = product(x[None])[0]
    else:
        parts = np.array([pair.vector.real, pair.vector.imag]) @ basis
        x, image = (real + 1j * imaginary for real, imaginary in (parts, product(parts)))
    return float(np.linalg.norm(image - pair.value * x))


def _allowed(space: Arnoldi, pair: Ritz) -> float:
    """Return the residual that the Ritz pair has, but for rounding: what is not linear has a larger one."""
    return 2 * pair.residual + space.k * EPS * float(np.linalg.norm(space.H))
