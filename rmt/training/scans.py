"""The linear recurrence h_t = A h_{t-1} + v_t, h_0 = 0, over all steps, with a hand-written adjoint.

A sequence of states is one real array (T, batch, m), steps first. A recurrence is "dense", A of shape (n, n) and m = n;
or "diagonal", A of shape (2, n), the real and imaginary parts of the eigenvalues, and m = 2 n: the n real parts of a
state, then its n imaginary parts. No complex type appears, so that all gradients are those of real functions.

The adjoint of the recurrence is the recurrence backwards, g_t = A^T g_{t+1} + dL/dh_t, computed in the same way;
then dL/dv = g, and dL/dA is one product of g with the states.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from rmt import checks

if TYPE_CHECKING:
    import jax
    import jax.numpy as jnp
else:
    jax = checks.optional("jax", "train")
    jnp = checks.optional("jax.numpy", "train")

EPSILON = 1e-6  # added to the variance in every norm


def method(scan: str, norm: str) -> str:
    """Return how a recurrence is computed on this machine, "sequential" or "associative"."""
    if norm == "state-layer-norm" or (scan == "auto" and jax.default_backend() == "cpu"):
        return "sequential"
    return "associative" if scan == "auto" else scan


def apply(kind: str, A: jax.Array, h: jax.Array) -> jax.Array:
    """Return A h for states (..., m)."""
    if kind == "dense":
        return jnp.matmul(h, A.T, precision="highest")
    x, y = jnp.split(h, 2, axis=-1)
    return jnp.concatenate([A[0] * x - A[1] * y, A[0] * y + A[1] * x], axis=-1)


def transposed(kind: str, A: jax.Array) -> jax.Array:
    """Return the A of the adjoint: the transpose of the real matrix that A is."""
    return A.T if kind == "dense" else jnp.stack([A[0], -A[1]])


def squared(kind: str, A: jax.Array) -> jax.Array:
    """Return A^2."""
    if kind == "dense":
        return jnp.matmul(A, A, precision="highest")
    return jnp.stack([A[0] ** 2 - A[1] ** 2, 2 * A[0] * A[1]])


def gradient(kind: str, g: jax.Array, h: jax.Array) -> jax.Array:
    """Return the gradient by A of sum_t g_t . (A h_{t-1}), h_0 = 0."""
    g, h = g[1:].reshape(-1, g.shape[-1]), h[:-1].reshape(-1, h.shape[-1])
    if kind == "dense":
        return jnp.matmul(g.T, h, precision="highest")
    (gx, gy), (x, y) = jnp.split(g, 2, axis=-1), jnp.split(h, 2, axis=-1)
    return jnp.stack([(gx * x + gy * y).sum(axis=0), (gy * x - gx * y).sum(axis=0)])


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def linear_scan(kind: str, how: str, A: jax.Array, v: jax.Array) -> jax.Array:
    """Return all states of h_t = A h_{t-1} + v_t, h_0 = 0.

    Parameters
    ----------
    kind : {"dense", "diagonal"}
        What A is.
    how : {"sequential", "associative"}
        Step by step, in T products of small arrays; or pairs of steps at once, h_{2j} = A^2 h_{2j-2} + (A v_{2j-1} +
        v_{2j}), again and again: log2(T) levels of large products, and twice the work. The powers of A overflow
        where A^T does.
    A : array of shape (n, n) or (2, n)
        The matrix, or the eigenvalues.
    v : array of shape (T, batch, m)
        What is added at each step; m is n, or 2 n for a diagonal A.

    Returns
    -------
    array of shape (T, batch, m)

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from rmt.training.scans import linear_scan
    >>> linear_scan("dense", "sequential", jnp.array([[0.5]]), jnp.ones((3, 1, 1))).ravel().tolist()
    [1.0, 1.5, 1.75]
    """
    return _scan(kind, how, A, v)


def _scan(kind: str, how: str, A: jax.Array, v: jax.Array, *, backwards: bool = False) -> jax.Array:
    if how == "associative":
        return _paired(kind, A, v[::-1])[::-1] if backwards else _paired(kind, A, v)

    def step(h: jax.Array, v: jax.Array) -> tuple[jax.Array, jax.Array]:
        h = apply(kind, A, h) + v
        return h, h

    # Without unrolling: on a CPU that costs more than it saves.
    return jax.lax.scan(step, jnp.zeros_like(v[0]), v, reverse=backwards)[1]


def _paired(kind: str, A: jax.Array, v: jax.Array) -> jax.Array:
    T = v.shape[0]
    if T == 1:
        return v
    pairs = T // 2
    odd, even = v[0 : 2 * pairs : 2], v[1 : 2 * pairs : 2]  # steps 1, 3, ... and 2, 4, ...
    h_even = _paired(kind, squared(kind, A), apply(kind, A, odd) + even)
    later = v[2::2]  # steps 3, 5, ...
    h_odd = jnp.concatenate([v[:1], apply(kind, A, h_even[: len(later)]) + later])
    merged = jnp.stack([h_odd[:pairs], h_even], axis=1).reshape(2 * pairs, *v.shape[1:])
    return merged if 2 * pairs == T else jnp.concatenate([merged, h_odd[pairs:]])


def _forward(kind: str, how: str, A: jax.Array, v: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    h = _scan(kind, how, A, v)
    return h, (A, h)


def _backward(kind: str, how: str, kept: tuple[jax.Array, jax.Array], dh: jax.Array) -> tuple[jax.Array, jax.Array]:
    A, h = kept
    g = _scan(kind, how, transposed(kind, A), dh, backwards=True)
    return gradient(kind, g, h), g


linear_scan.defvjp(_forward, _backward)


def standardised(z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return z with mean 0 and variance 1 over its last axis, and the factor that it was multiplied by."""
    centred = z - z.mean(axis=-1, keepdims=True)
    factor = jax.lax.rsqrt((centred**2).mean(axis=-1, keepdims=True) + EPSILON)
    return centred * factor, factor


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def normalised_scan(
    kind: str, A: jax.Array, v: jax.Array, scale: jax.Array, bias: jax.Array, mask: jax.Array
) -> jax.Array:
    """Return all states of h_t = mask_t (LN(A h_{t-1} + v_t) * scale + bias), h_0 = 0, where LN is the layer norm.

    Parameters
    ----------
    kind, A, v
        As for :func:`linear_scan`.
    scale, bias : array of shape (m,)
        Of the layer norm, over all m numbers of a state.
    mask : array of shape (T, batch, 1)
        1 where a step is valid and 0 where it is padding, which leaves the state at 0.

    Returns
    -------
    array of shape (T, batch, m)
    """
    return _normalised(kind, A, v, scale, bias, mask)[0]


def _normalised(kind: str, A: Any, v: Any, scale: Any, bias: Any, mask: Any) -> tuple[Any, Any, Any]:
    def step(h: jax.Array, inputs: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        v, mask = inputs
        z, factor = standardised(apply(kind, A, h) + v)
        h = mask * (z * scale + bias)
        return h, (h, z, factor)

    return jax.lax.scan(step, jnp.zeros_like(v[0]), (v, mask))[1]


def _normalised_forward(kind: str, A: Any, v: Any, scale: Any, bias: Any, mask: Any) -> tuple[Any, tuple]:
    h, z, factor = _normalised(kind, A, v, scale, bias, mask)
    return h, (A, scale, mask, h, z, factor)


def _normalised_backward(kind: str, kept: tuple, dh: jax.Array) -> tuple:
    A, scale, mask, h, z, factor = kept
    back = transposed(kind, A)

    def step(carried: jax.Array, inputs: tuple) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        dh, mask, z, factor = inputs
        d = mask * (dh + carried)  # by the output of the layer norm
        dz = d * scale
        g = factor * (dz - dz.mean(axis=-1, keepdims=True) - z * (dz * z).mean(axis=-1, keepdims=True))
        return apply(kind, back, g), (g, d)

    g, d = jax.lax.scan(step, jnp.zeros_like(dh[0]), (dh, mask, z, factor), reverse=True)[1]
    return gradient(kind, g, h), g, (d * z).sum(axis=(0, 1)), d.sum(axis=(0, 1)), jnp.zeros_like(mask)


normalised_scan.defvjp(_normalised_forward, _normalised_backward)
