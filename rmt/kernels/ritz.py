"""Eigenpairs of small Hessenberg matrices by inverse iteration, in O(k^2) operations a step."""

from __future__ import annotations

import math

import numpy as np

from rmt.kernels.compile import kernel

EPS = 2.0**-52


@kernel
def _eliminate(A, multipliers, swapped, floor):  # type: ignore[no-untyped-def]
    """Reduce the Hessenberg matrix A to a triangle by row operations with pivoting; no pivot stays zero."""
    k = len(A)
    for i in range(k - 1):
        upper, lower = A[i], A[i + 1]
        swapped[i] = abs(lower[i]) > abs(upper[i])
        if swapped[i]:
            for j in range(i, k):
                upper[j], lower[j] = lower[j], upper[j]
        if upper[i] == 0:
            upper[i] = floor
        m = lower[i] / upper[i]
        multipliers[i] = m
        for j in range(i + 1, k):
            lower[j] -= m * upper[j]
    if A[k - 1, k - 1] == 0:
        A[k - 1, k - 1] = floor


@kernel
def _solve(A, multipliers, swapped, x):  # type: ignore[no-untyped-def]
    k = len(A)
    for i in range(k - 1):
        if swapped[i]:
            x[i], x[i + 1] = x[i + 1], x[i]
        x[i + 1] -= multipliers[i] * x[i]
    for i in range(k - 1, -1, -1):
        total = x[i]
        for j in range(i + 1, k):
            total -= A[i, j] * x[j]
        x[i] = total / A[i, i]


@kernel
def _solve_transposed(A, multipliers, swapped, y):  # type: ignore[no-untyped-def]
    k = len(A)
    for i in range(k):
        y[i] /= A[i, i]
        for j in range(i + 1, k):
            y[j] -= A[i, j] * y[i]
    for i in range(k - 2, -1, -1):
        y[i] -= multipliers[i] * y[i + 1]
        if swapped[i]:
            y[i], y[i + 1] = y[i + 1], y[i]


@kernel
def _normalise(x):  # type: ignore[no-untyped-def]
    largest = np.max(np.abs(x))
    x /= largest
    x /= math.sqrt(np.sum(x.real**2 + x.imag**2))


@kernel
def eigenpair(H, z, size):  # type: ignore[no-untyped-def]
    """Find the eigenvalue of the Hessenberg matrix H nearest to z, by Rayleigh quotients of both eigenvectors.

    Return it, the right eigenvector x, |x| = 1, the residual |H x - z x|, and |y x| for the left eigenvector y,
    |y| = 1: the inverse of its condition number. `size` is a norm of H.
    """
    k = len(H)
    x, y = np.full(k, complex(1 / math.sqrt(k), 0.0)), np.full(k, complex(1 / math.sqrt(k), 0.0))
    A = np.zeros((k, k), np.complex128)
    multipliers, swapped = np.empty(k, np.complex128), np.empty(k, np.bool_)
    floor = max(EPS * size, 1e-290)
    overlap = complex(0.0, 0.0)
    residual = np.inf
    for _ in range(2):
        for i in range(k):
            for j in range(max(i - 1, 0), k):
                A[i, j] = H[i, j]
            A[i, i] -= z
        _eliminate(A, multipliers, swapped, floor)
        _solve(A, multipliers, swapped, x)
        _solve_transposed(A, multipliers, swapped, y)
        _normalise(x)
        _normalise(y)
        overlap = np.sum(y * x)
        # (H - z) x, z still the shift: what is left of it after the correction is the residual.
        image = np.zeros(k, np.complex128)
        for i in range(k):
            total = -z * x[i]
            for j in range(max(i - 1, 0), k):
                total += H[i, j] * x[j]
            image[i] = total
        if abs(overlap) <= EPS:
            return z, x, np.inf, abs(overlap)
        step = np.sum(y * image) / overlap
        z += step
        image -= step * x
        residual = math.sqrt(np.sum(image.real**2 + image.imag**2))
    return z, x, residual, abs(overlap)
