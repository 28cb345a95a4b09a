"""Random eigenvalues out of uniform numbers of any framework: as complex parts, or as a real block-diagonal matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from rmt.ensembles.diagonal import Diagonal


def parts(law: Diagonal, u: Any, v: Any, xp: Any) -> tuple[Any, Any]:
    """Return the real and imaginary parts of independent eigenvalues.

    Parameters
    ----------
    law : Diagonal
        A ring or a uniform disc, which is the ring from radius 0 with every phase.
    u, v : array
        Independent uniform numbers from [0, 1), for the moduli and the phases.
    xp : module
        numpy, jax.numpy, torch or keras.ops: that of the arrays.
    """
    modulus = xp.sqrt(law.r_min**2 + (law.r_max**2 - law.r_min**2) * u)
    phase = law.max_phase * v
    return modulus * xp.cos(phase), modulus * xp.sin(phase)


def halves(n: int) -> int:
    """Return the number of independent eigenvalues of a real n x n matrix: pairs, and a real one if n is odd."""
    return (n + 1) // 2


def real_matrix(law: Diagonal, u: Any, v: Any, xp: Any, like: Any) -> Any:
    """Return real block-diagonal matrices (..., n, n) with eigenvalues in conjugate pairs, a + bi as [[a, b], [-b, a]].

    Parameters
    ----------
    law : Diagonal
        As for :func:`parts`; its n is the size of the matrices.
    u, v : array of shape (..., halves(n))
        Independent uniform numbers from [0, 1).
    xp : module
        numpy, jax.numpy, torch or keras.ops: that of the arrays.
    like : callable
        Makes a NumPy array into one like `u`.

    Notes
    -----
    Where n is odd, the last eigenvalue is real: its modulus has the law of the others, its sign is that of
    cos(phase), as for :class:`rmt.Diagonal`.
    """
    a, b = parts(law, u, v, xp)
    if law.n % 2:
        last = np.arange(halves(law.n)) == halves(law.n) - 1
        a = like(~last) * a + like(last) * xp.sign(a) * xp.sqrt(a * a + b * b)
        b = like(~last) * b
    pairs = (*a.shape[:-1], 2 * halves(law.n))
    real = xp.reshape(a[..., None] * like(np.array([1, 1])), pairs)
    imaginary = xp.reshape(b[..., None] * like(np.array([1, -1])), pairs)
    return block_diagonal(real[..., : law.n], imaginary[..., : law.n], like)


def block_diagonal(real: Any, imaginary: Any, like: Any) -> Any:
    """Return the real matrices (..., n, n) of eigenvalues (..., n): pairs a + bi, a - bi, then a real one."""
    n = real.shape[-1]
    index = np.arange(n)
    partner = np.minimum(index ^ 1, n - 1)  # the last of an odd n is its own partner, and has no imaginary part
    return real[..., None] * like(np.eye(n)) + imaginary[..., None] * like(partner[:, None] == index)
