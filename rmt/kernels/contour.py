"""How many eigenvalues lie outside a circle, by the argument principle, and roughly where they are.

Let f(z) = z^-k det(z - U_k) for a Hessenberg matrix in unit form: f has a zero at each eigenvalue, its poles lie
at the origin, and f(oo) = 1. Along |z| = R the phase of f turns by -2 pi w, where w is the number of eigenvalues
outside; for a real matrix it turns by -pi w on the upper half, and only that half is visited.
"""

from __future__ import annotations

import math

import numpy as np

from rmt.kernels.compile import kernel
from rmt.kernels.hyman import eigenvalues_near
from rmt.kernels.scan import scan, wrapped

LARGEST_STEP = 1.8  # rad; a step of the phase beyond is divided by four
DIVISIONS = 8  # of a step, at most
ROUNDS = 4  # of the search for the eigenvalues outside
MOST = 12  # eigenvalues outside that are looked for
SLACK = 0.5  # of the Fourier coefficients of log f, in units of the distance of neighbours
EVERY = 4  # the larger block is visited at every fourth node


@kernel
def circle(S, k, larger, R, M, points, logs, logs_larger, work):  # type: ignore[no-untyped-def]
    """Compute log f_k at the M + 1 nodes R exp(i a m/M), m = 0..M, a = pi (real S) or 2 pi (complex).

    logs (> M, 2) takes log|f| and arg f. Where larger > k, logs_larger takes those of f_larger at every fourth node.
    """
    parts = S.shape[1]
    arc = parts * math.pi / M
    coarse = M // EVERY + 1
    rest = coarse
    for m in range(M + 1):
        z = complex(R * math.cos(arc * m), R * math.sin(arc * m))
        if m % EVERY == 0:
            points[m // EVERY] = z
        else:
            points[rest] = z
            rest += 1
    order = np.empty((M + 1, 2))
    scan(S, k, larger, points[:coarse], work, order, logs_larger)
    scan(S, k, k, points[coarse : M + 1], work, order[coarse:], logs_larger)
    rest = coarse
    for m in range(M + 1):
        if m % EVERY == 0:
            logs[m] = order[m // EVERY]
        else:
            logs[m] = order[rest]
            rest += 1


@kernel
def _put(row, node, left, right, phase_left, phase_right):  # type: ignore[no-untyped-def]
    row[0], row[1], row[2], row[3], row[4] = node, left, right, phase_left, phase_right


@kernel
def unwrap(S, k, R, M, logs, work):  # type: ignore[no-untyped-def]
    """Make the phases in `logs` (from `circle`) continuous, from 0 at the first node. Return whether that succeeded.

    Steps longer than LARGEST_STEP are divided by four, with new points, until none remains.
    """
    parts = S.shape[1]
    arc = parts * math.pi / M
    turn = np.empty(M)
    # Open intervals: node where it began, its end points as multiples of the arc, the phases there.
    open_intervals = np.empty((M, 5))
    count = 0
    for m in range(M):
        turn[m] = wrapped(logs[m + 1, 1] - logs[m, 1])
        if not abs(turn[m]) <= LARGEST_STEP:
            _put(open_intervals[count], m, m, m + 1, logs[m, 1], logs[m + 1, 1])
            turn[m] = 0.0
            count += 1
    for _ in range(DIVISIONS):
        if count == 0:
            break
        if count > 64 + M // 4:
            return False
        points, new = np.empty(3 * count, np.complex128), np.empty((3 * count, 2))
        for i in range(count):
            left, right = open_intervals[i, 1], open_intervals[i, 2]
            for q in range(3):
                angle = arc * (left + (right - left) * 0.25 * (q + 1))
                points[3 * i + q] = complex(R * math.cos(angle), R * math.sin(angle))
        scan(S, k, k, points, work, new, new)
        old, open_intervals = open_intervals, np.empty((4 * count, 5))
        still = 0
        for i in range(count):
            m, left, right = int(old[i, 0]), old[i, 1], old[i, 2]
            phase = old[i, 3]
            for q in range(4):
                following = new[3 * i + q, 1] if q < 3 else old[i, 4]
                step = wrapped(following - phase)
                if abs(step) <= LARGEST_STEP:
                    turn[m] += step
                else:
                    width = (right - left) * 0.25
                    _put(open_intervals[still], m, left + width * q, left + width * (q + 1), phase, following)
                    still += 1
                phase = following
        count = still
    logs[0, 1] = 0.0
    for m in range(M):
        logs[m + 1, 1] = logs[m, 1] + turn[m]
    return count == 0


@kernel
def agree(logs, logs_larger, M, tol):  # type: ignore[no-untyped-def]
    """Whether the block and the larger block have as many eigenvalues outside: f_larger/f_k turns by nothing.

    The ratio is smooth, because the eigenvalues near the circle are common to both blocks: every fourth node will do.
    Its mean logarithm, the sum of log(|z|/R) over eigenvalues outside of one and not of the other, stays below tol.
    """
    total = mean = 0.0
    previous = 0.0
    for m in range(M // EVERY + 1):
        phase = logs_larger[m, 1] - logs[EVERY * m, 1]
        if m > 0:
            step = wrapped(phase - previous)
            if not abs(step) <= LARGEST_STEP:
                return False
            total += step
        previous = phase
        weight = 0.5 if m in (0, M // EVERY) else 1.0
        mean += weight * (logs_larger[m, 0] - logs[EVERY * m, 0])
    return abs(total) < 1.0 and abs(mean) < tol * (M // EVERY)


@kernel
def power_sums(logs, M, w, half):  # type: ignore[no-untyped-def]
    """P_0 = sum log(|z_c|/R) and P_q = sum (R/z_c)^q, q = 1..w, over the w eigenvalues z_c outside the circle.

    They are Fourier coefficients of log f + i w t on the circle, of which `half` is known where they are real.
    P_0 is Jensen's formula: it needs no phases.
    """
    sums = np.zeros(w + 1, np.complex128)
    arc = (math.pi if half else 2 * math.pi) / M
    for m in range(M + 1):
        t = arc * m
        weight = (0.5 if m in (0, M) else 1.0) / M
        sums[0] += weight * logs[m, 0]
        rotation = complex(math.cos(t), -math.sin(t))
        term = weight * complex(logs[m, 0], logs[m, 1] + w * t)
        for q in range(1, w + 1):
            term *= rotation
            sums[q] -= q * (term.real if half else term)
    return sums


@kernel
def roots_from_power_sums(sums):  # type: ignore[no-untyped-def]
    """Find w numbers of which sums[q], q = 1..w, are the sums of q-th powers: Newton's identities, then Aberth."""
    w = len(sums) - 1
    e = np.ones(w + 1, np.complex128)  # elementary symmetric functions, with signs: the polynomial
    for q in range(1, w + 1):
        total = complex(0.0, 0.0)
        for i in range(1, q + 1):
            total -= e[q - i] * sums[i]
        e[q] = total / q
    u = np.empty(w, np.complex128)
    for i in range(w):
        angle = (2 * math.pi * i + 0.7) / w
        u[i] = complex(0.9 * math.cos(angle), 0.9 * math.sin(angle))
    for _ in range(60):
        largest = 0.0
        for i in range(w):
            p, slope = e[0], complex(0.0, 0.0)
            for q in range(1, w + 1):
                slope = slope * u[i] + p
                p = p * u[i] + e[q]
            pull = complex(0.0, 0.0)
            for m in range(w):
                if m != i:
                    pull += 1 / (u[i] - u[m])
            step = p / (slope - p * pull)
            u[i] -= step
            largest = max(largest, abs(step))
        if largest < 1e-9:
            break
    return u


@kernel
def remainders(sums, z, R):  # type: ignore[no-untyped-def]
    """Subtract the contribution of the eigenvalues z from the power sums of all."""
    rest = sums.copy()
    for i in range(len(z)):
        rest[0] -= math.log(abs(z[i]) / R)
        power = complex(1.0, 0.0)
        for q in range(1, len(sums)):
            power *= R / z[i]
            rest[q] -= power
    return rest


@kernel(forceinline=True)
def eigenvalues_outside(U, S, k, larger, R, M, unit, points, logs, logs_larger, work, v):  # type: ignore[no-untyped-def]
    """All eigenvalues of U_k outside |z| = R: their number, and an array of them if there are at most MOST.

    S is U in single precision, `unit` the distance of neighbouring eigenvalues. The number is -1 where it could not
    be established: a phase that jumps, a larger block that does not agree, eigenvalues that are not found or whose
    power sums are not those of the contour.
    """
    half = U.shape[1] == 1
    nothing = np.empty(0, np.complex128)
    circle(S, k, larger, R, M, points, logs, logs_larger, work)
    if larger > k and not agree(logs, logs_larger, M, 0.1 * unit):
        return -1, nothing
    if not unwrap(S, k, R, M, logs, work):
        return -1, nothing
    turns = -logs[M, 1] / (math.pi if half else 2 * math.pi)
    w = int(np.rint(turns))
    if w < 0 or abs(turns - w) > 0.01:
        return -1, nothing
    if w == 0 or w > MOST:
        return w, nothing
    sums = power_sums(logs, M, w, half)
    z = np.empty(w, np.complex128)
    found = 0
    for _ in range(ROUNDS):
        # Where some are found, the others are guessed anew: few numbers are well determined by their power sums.
        rest = remainders(sums, z[:found], R)[: w - found + 1]
        z[found:] = R / roots_from_power_sums(rest)
        for i in range(found, w):
            z[i] *= min(max(abs(z[i]), R), R + 0.5 * unit) / abs(z[i])
            if half:
                # Off the real axis, or two real guesses for a complex pair would never leave it.
                z[i] += 1j * unit * (0.1 + 0.03 * i)
        found = eigenvalues_near(U, k, z, found, R, unit, v)
        if found == w:
            break
    if found < w:
        return -1, nothing
    # What the contour says of the eigenvalues must be what they are, to the accuracy of the trapezoidal rule.
    rest = remainders(sums, z, R)
    for q in range(w + 1):
        if not abs(rest[q]) < SLACK * max(q, 1) * unit:
            return -1, nothing
    return w, z
