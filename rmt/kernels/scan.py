"""Characteristic polynomials of a Hessenberg matrix at thousands of points: Hyman's recurrence by matrix products.

The recurrence of `rmt.kernels.hyman` runs in single precision for a slab of points together. Row j of V holds v_j
at the points of a slab, real parts, then imaginary parts. Columns are taken in panels: what the rows before the
panel contribute to it is one matrix product, and only the triangle inside the panel is left to loops.
"""

from __future__ import annotations

import math

import numpy as np

from rmt.kernels.compile import kernel
from rmt.kernels.lapack import sgemm

SLAB = 256  # points, at most: V of a slab stays in the second cache up to blocks of 400
LANES = 16  # the width of a slab is a multiple of it
PANEL = 64  # columns
FUSED = {"contract"}


@kernel
def single(U, first, last, S):  # type: ignore[no-untyped-def]
    """Round columns first..last - 1 of U into S (>= last, parts, >= last), single precision."""
    for j in range(first, last):
        for part in range(U.shape[1]):
            for i in range(j + 1):
                S[j, part, i] = np.float32(U[j, part, i])


@kernel(fastmath=FUSED)
def _subtract_real(u, V, first, target):  # type: ignore[no-untyped-def]
    # target -= sum_i u_i V[i], i = first..len(u) - 1, four at a time
    count = len(u)
    width = target.shape[0]
    i = first
    while i + 4 <= count:
        a, b, c, d = u[i], u[i + 1], u[i + 2], u[i + 3]
        A, B, C, D = V[i], V[i + 1], V[i + 2], V[i + 3]
        for m in range(width):
            target[m] -= a * A[m] + b * B[m] + c * C[m] + d * D[m]
        i += 4
    while i < count:
        a = u[i]
        A = V[i]
        for m in range(width):
            target[m] -= a * A[m]
        i += 1


@kernel(fastmath=FUSED)
def _subtract_imag(u, V, first, target):  # type: ignore[no-untyped-def]
    # target -= i sum_i u_i V[i], for complex rows (real parts, imaginary parts)
    half = target.shape[0] // 2
    for i in range(first, len(u)):
        a = u[i]
        A = V[i]
        for m in range(half):
            target[m] += a * A[half + m]
            target[half + m] -= a * A[m]


@kernel(fastmath=FUSED)
def _step(x, y, v, target):  # type: ignore[no-untyped-def]
    # target += z v, z = x + iy
    half = target.shape[0] // 2
    for m in range(half):
        target[m] += x[m] * v[m] - y[m] * v[half + m]
        target[half + m] += x[m] * v[half + m] + y[m] * v[m]


@kernel
def _advance(S, first, last, x, y, V, T):  # type: ignore[no-untyped-def]
    # From rows 0..first of V to rows first + 1..last.
    minus, zero = np.float32(-1), np.float32(0)
    half = len(x)
    width = 2 * half
    parts = S.shape[1]
    stride = parts * S.shape[2]
    for a in range(first, last, PANEL):
        b = min(a + PANEL, last)
        sgemm(
            width, b - a, a + 1, minus, V.ctypes.data, width,
            S[a:].ctypes.data, stride, zero, V[a + 1 :].ctypes.data, width,
        )  # fmt: skip
        if parts == 2:
            sgemm(
                width, b - a, a + 1, minus, V.ctypes.data, width,
                S[a:, 1].ctypes.data, stride, zero, T.ctypes.data, width,
            )  # fmt: skip
        for j in range(a, b):
            target = V[j + 1]
            if parts == 2:
                imaginary = T[j - a]
                for m in range(half):
                    target[m] -= imaginary[half + m]
                    target[half + m] += imaginary[m]
                _subtract_imag(S[j, 1, : j + 1], V, a + 1, target)
            _subtract_real(S[j, 0, : j + 1], V, a + 1, target)
            _step(x, y, V[j], target)


@kernel
def scan(S, k, larger, points, work, logs, logs_larger):  # type: ignore[no-untyped-def]
    """Compute log f_k at `points` (complex), f_k(z) = z^-k det(z - U_k): log|f| and arg f in logs (points, 2).

    Where larger > k, log f_larger goes to `logs_larger` likewise. `work` (`scan_workspace(larger)`, single) is
    overwritten. The points should be near the unit circle.
    """
    slabs = math.ceil(len(points) / SLAB)
    width = LANES * math.ceil(len(points) / (LANES * slabs))
    x, y = np.empty(width, np.float32), np.empty(width, np.float32)
    rows = 2 * width * (larger + 1)
    V = work[:rows].reshape(larger + 1, 2 * width)
    T = work[rows : rows + 2 * width * PANEL].reshape(PANEL, 2 * width)
    for start in range(0, len(points), width):
        count = min(width, len(points) - start)
        for m in range(width):
            z = points[start + min(m, count - 1)]
            x[m], y[m] = z.real, z.imag
            V[0, m], V[0, width + m] = 1.0, 0.0
        _advance(S, 0, k, x, y, V, T)
        _logarithms(V[k], k, points[start : start + count], logs[start:])
        if larger > k:
            _advance(S, k, larger, x, y, V, T)
            _logarithms(V[larger], larger, points[start : start + count], logs_larger[start:])


@kernel
def scan_workspace(k):  # type: ignore[no-untyped-def]
    """Return the length of the workspace for blocks of up to k columns."""
    return 2 * SLAB * (k + 1 + PANEL)


@kernel
def _logarithms(v, k, points, logs):  # type: ignore[no-untyped-def]
    half = len(v) // 2
    for m in range(len(points)):
        re, im, z = v[m], v[half + m], points[m]
        logs[m, 0] = 0.5 * (math.log(re * re + im * im) - k * math.log(z.real**2 + z.imag**2))
        logs[m, 1] = wrapped(math.atan2(im, re) - k * math.atan2(z.imag, z.real))


@kernel
def wrapped(angle):  # type: ignore[no-untyped-def]
    """Return the angle in [-pi, pi] that differs by a multiple of 2 pi."""
    return angle - 2 * math.pi * np.rint(angle / (2 * math.pi))
