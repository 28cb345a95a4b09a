"""Hyman's recurrence: the characteristic polynomials of all leading blocks of a Hessenberg matrix at one point.

For the unit form U of a Hessenberg matrix (`rmt.kernels.hessenberg`) let v_0 = 1 and
v_{j+1} = z v_j - sum_{i <= j} U_ij v_i. Then v_k = det(z - U_k), U_k the leading k x k block; and where that
vanishes, (v_0, ..., v_{k-1}) is the left eigenvector. One pass takes k^2/2 multiplications with real U, reads the
columns in the order in which they are drawn, and gives the derivatives along the way (Hyman 1957; Wilkinson,
The Algebraic Eigenvalue Problem, 1965, chapter 7).
"""

from __future__ import annotations

import math

import numpy as np

from rmt.kernels.compile import kernel

SWEEPS = 12  # of Aberth's iteration
SUMS = {"reassoc", "contract", "nsz"}  # what a sum needs to be vectorised; NaN and infinity keep their meaning


@kernel(fastmath=SUMS, forceinline=True)
def _real_sums(u, v, m):  # type: ignore[no-untyped-def]
    vr, vi, dr, di = v[0], v[1], v[2], v[3]
    a = b = c = d = 0.0
    for i in range(m):
        a += u[i] * vr[i]
        b += u[i] * vi[i]
        c += u[i] * dr[i]
        d += u[i] * di[i]
    return a, b, c, d


@kernel(fastmath=SUMS, forceinline=True)
def _complex_sums(ur, ui, v, m):  # type: ignore[no-untyped-def]
    vr, vi, dr, di = v[0], v[1], v[2], v[3]
    a = b = c = d = 0.0
    for i in range(m):
        a += ur[i] * vr[i] - ui[i] * vi[i]
        b += ur[i] * vi[i] + ui[i] * vr[i]
        c += ur[i] * dr[i] - ui[i] * di[i]
        d += ur[i] * di[i] + ui[i] * dr[i]
    return a, b, c, d


@kernel(forceinline=True)
def characteristic(U, k, z, v):  # type: ignore[no-untyped-def]
    """Return det(z - U_k) and its derivative by z.

    v (4, > k) takes v_0..v_k, real and imaginary, and their derivatives, real and imaginary.
    """
    v[:, 0] = 0.0
    v[0, 0] = 1.0
    x, y = z.real, z.imag
    for j in range(k):
        if U.shape[1] == 1:
            a, b, c, d = _real_sums(U[j, 0], v, j + 1)
        else:
            a, b, c, d = _complex_sums(U[j, 0], U[j, 1], v, j + 1)
        v[0, j + 1] = x * v[0, j] - y * v[1, j] - a
        v[1, j + 1] = x * v[1, j] + y * v[0, j] - b
        v[2, j + 1] = x * v[2, j] - y * v[3, j] + v[0, j] - c
        v[3, j + 1] = x * v[3, j] + y * v[2, j] + v[1, j] - d
    return complex(v[0, k], v[1, k]), complex(v[2, k], v[3, k])


@kernel(forceinline=True)
def newton(U, k, z, tol, v):  # type: ignore[no-untyped-def]
    """Newton's method for an eigenvalue of U_k from z: the eigenvalue, |last step|, and det' where it began.

    The last step is shorter than tol, and the error left is about its square; else it is infinite.
    """
    for _ in range(12):
        p, slope = characteristic(U, k, z, v)
        step = p / slope
        z -= step
        if abs(step) < tol:
            return z, abs(step), slope
    return z, np.inf, slope


@kernel
def right_vector(U, k, z, y):  # type: ignore[no-untyped-def]
    """Right eigenvector of U_k for its eigenvalue z, into y (2, >= k), real and imaginary; y_{k-1} = 1."""
    x, w = z.real, z.imag
    for i in range(k):
        y[0, i] = y[1, i] = 0.0
    y[0, k - 1] = 1.0
    for j in range(k - 1, 0, -1):
        # y[:, i], i < j, holds -sum_{m > j} U_{i+1,m} y_m.
        p, q = y[0, j], y[1, j]
        u = U[j]
        for i in range(j):
            y[0, i] -= u[0, i + 1] * p
            y[1, i] -= u[0, i + 1] * q
        if U.shape[1] == 2:
            for i in range(j):
                y[0, i] += u[1, i + 1] * q
                y[1, i] -= u[1, i + 1] * p
        y[0, j - 1] += x * p - w * q
        y[1, j - 1] += x * q + w * p


@kernel
def certificate(U, c, k, slope, v, y):  # type: ignore[no-untyped-def]
    """Residual of an eigenpair of the block k in the whole matrix, and the first-order error of the eigenvalue.

    `v` and `slope` = det' are those of `characteristic`, `y` that of `right_vector`, c the scaling of the unit form.
    The right vector x = c y, continued by zeros, misses the whole eigenvalue equation by c_k in row k alone, so its
    residual is c_k/|x|; with the left vector l = v/c the error is residual |l| |x|/|l x| = c_k |l|/|slope|.
    """
    left = right = 0.0
    for i in range(k):
        left += (v[0, i] ** 2 + v[1, i] ** 2) / c[i] ** 2
        right += (y[0, i] ** 2 + y[1, i] ** 2) * c[i] ** 2
    return c[k] / math.sqrt(right), c[k] * math.sqrt(left) / abs(slope)


@kernel(forceinline=True)
def eigenvalues_near(U, k, z, known, R, unit, v):  # type: ignore[no-untyped-def]
    """Move z[known:] to eigenvalues of U_k outside |z| = R: Aberth's iteration on z^-k det(z - U_k).

    z[:known] are eigenvalues already, from which the others keep away; `unit` is the distance of neighbours. For a
    real matrix, one that converges (to 1e-4 units) takes the one nearest to its conjugate along. Return how many
    distinct eigenvalues outside there are now; they come first in z.
    """
    w = len(z)
    tol, reach = 1e-4 * unit, 0.4 * unit
    done = np.zeros(w, np.bool_)
    done[:known] = True
    for _ in range(SWEEPS):
        for c in range(w):
            if done[c]:
                continue
            p, slope = characteristic(U, k, z[c], v)
            step = p / (slope - k * p / z[c])
            pull = complex(0.0, 0.0)
            for other in range(w):
                if other != c and z[other] != z[c]:
                    pull += 1 / (z[c] - z[other])
            step /= 1 - step * pull
            if not abs(step) <= reach:
                step *= reach / abs(step)
            z[c] -= step
            if abs(step) < tol:
                done[c] = True
                if U.shape[1] == 1 and abs(z[c].imag) > 10 * tol:
                    partner, nearest = c, np.inf
                    for other in range(w):
                        distance = abs(z[other] - z[c].conjugate())
                        if not done[other] and distance < nearest:
                            partner, nearest = other, distance
                    if partner != c:
                        z[partner] = z[c].conjugate()
                        done[partner] = True
    found = 0
    for c in range(w):
        new = done[c] and abs(z[c]) > R
        for other in range(found):
            new &= abs(z[other] - z[c]) > 10 * tol
        if new:
            z[found] = z[c]
            found += 1
    return found
