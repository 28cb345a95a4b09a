"""One certified sample of the spectral radius of a Ginibre matrix, from a leading block of its Hessenberg form.

The form is drawn column by column (`rmt.kernels.hessenberg`); its leading block of some 6 sqrt(n) columns already
has the eigenvalues at the edge of the disc. All of them outside a circle are found and counted by the argument
principle (`rmt.kernels.contour`), the largest is polished on a larger block, and columns are added until the error
that the rest of the matrix can cause is below TOLERANCE.
"""

from __future__ import annotations

import math
from collections import namedtuple

import numpy as np

from rmt.kernels.compile import kernel
from rmt.kernels.contour import EVERY, eigenvalues_outside
from rmt.kernels.hessenberg import block_eigenvalues, draw_unit_columns
from rmt.kernels.hyman import certificate, newton, right_vector
from rmt.kernels.scan import scan_workspace, single

TOLERANCE = 1e-11  # of the radius, relative
BLOCK, LARGER, CAPACITY = 6.0, 8.0, 10.0  # columns, in units of sqrt(n)
NODES = 8.0  # on a half circle, in units of sqrt(n)
SMALL = 24  # n up to which the whole matrix goes to QR at once
# Retries: steps on the ladder of radii, and the factor of the nodes.
ATTEMPTS = ((0, 1), (1, 1), (-1, 2), (2, 2))
QR, FAILED = -1, -2  # in place of the number of retries

Workspace = namedtuple("Workspace", ["U", "c", "S", "v", "y", "points", "logs", "logs_larger", "scan"])


def workspace(n: int, parts: int, capacity: float = CAPACITY) -> Workspace:
    """Arrays for `sample_radius`; what is never touched takes address space alone."""
    most = min(n, math.ceil(capacity * math.sqrt(n)))
    larger = min(n, math.ceil(LARGER * math.sqrt(n)))
    nodes = 2 * _nodes(n, parts)
    return Workspace(
        U=np.empty((most, parts, most + 8)),
        c=np.empty(most + 1),
        S=np.empty((larger, parts, larger + 8), np.float32),
        v=np.empty((4, most + 1)),
        y=np.empty((2, most)),
        points=np.empty(nodes + 1, np.complex128),
        logs=np.empty((nodes + 1, 2)),
        logs_larger=np.empty((nodes // EVERY + 1, 2)),
        scan=np.empty(scan_workspace(larger), np.float32),
    )


@kernel
def _nodes(n, parts):  # type: ignore[no-untyped-def]
    return EVERY * math.ceil(parts * NODES * math.sqrt(n) / EVERY)


@kernel
def sample_radius(rng, n, radii, start, work):  # type: ignore[no-untyped-def]
    """Draw H and return the spectral radius of H/sqrt(n), residual, relative error, and the number of retries.

    `radii` are circles to try, increasing, from radii[start]. The residual is that of the leading pair in the whole
    matrix, the error its first-order effect. In place of the number of retries: QR where the eigenvalues come from
    the QR algorithm, FAILED where the workspace holds too few columns for a certificate.
    """
    root = math.sqrt(n)
    unit = 1 / root
    block, larger = min(n, math.ceil(BLOCK * root)), min(n, math.ceil(LARGER * root))
    work.c[0] = 1.0
    draw_unit_columns(rng, n, 0, larger, work.U, work.c)
    drawn = larger
    if n > SMALL:
        single(work.U, 0, larger, work.S)
        base = start
        for retries in range(len(ATTEMPTS)):
            rung = min(max(base + ATTEMPTS[retries][0], 0), len(radii) - 1)
            count = 0
            while count == 0 and rung >= 0:
                count, z = eigenvalues_outside(
                    work.U, work.S, block, larger, radii[rung], ATTEMPTS[retries][1] * _nodes(n, work.U.shape[1]), unit,
                    work.points, work.logs, work.logs_larger, work.scan, work.v,
                )  # fmt: skip
                base = rung
                rung -= 1
            if count > 0 and len(z) > 0:
                radius, residual, error, drawn = _polish(rng, n, z, drawn, 0.1 * unit, work)
                if error <= TOLERANCE:
                    return radius, residual, error, retries
    while True:
        z = block_eigenvalues(work.U, work.c, drawn)
        before = drawn
        radius, residual, error, drawn = _polish(rng, n, z, drawn, 0.1 * unit, work)
        if error <= TOLERANCE:
            return radius, residual, error, QR
        if drawn == before:
            return radius, residual, error, FAILED


@kernel(forceinline=True)
def _polish(rng, n, z, drawn, margin, work):  # type: ignore[no-untyped-def]
    """Polish the largest of z on all columns drawn, with those within `margin` of it, and draw until it is certain.

    Return radius, residual, relative error (infinite where an eigenvalue moved by more than half the margin) and
    the number of columns drawn.
    """
    largest = np.max(np.abs(z))
    leading = complex(0.0, 0.0)
    for i in range(len(z)):
        if abs(z[i]) < largest - margin or (work.U.shape[1] == 1 and z[i].imag < -1e-3 * margin):
            continue
        moved, _, _ = newton(work.U, drawn, z[i], 1e-9 * largest, work.v)
        if not abs(moved - z[i]) < 0.5 * margin:
            return largest, np.inf, np.inf, drawn
        if abs(moved) > abs(leading):
            leading = moved
    while True:
        leading, last, slope = newton(work.U, drawn, leading, 1e-9 * largest, work.v)
        right_vector(work.U, drawn, leading, work.y)
        residual, error = certificate(work.U, work.c, drawn, slope, work.v, work.y)
        error = (error + last * last) / largest
        if error <= TOLERANCE or drawn == len(work.c) - 1:
            return abs(leading), residual, error, drawn
        more = min(len(work.c) - 1, drawn + math.ceil(0.5 * math.sqrt(n)))
        draw_unit_columns(rng, n, drawn, more, work.U, work.c)
        drawn = more
