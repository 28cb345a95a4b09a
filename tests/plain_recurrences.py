"""Recurrences the plain way, in NumPy: what the kernels and the lazy samplers are held against."""

from __future__ import annotations

import math

import numpy as np


def normal(rng, shape, field):
    if field == "real":
        return rng.standard_normal(shape)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / math.sqrt(2)


def squared(h):
    return (np.abs(h) ** 2).sum(axis=-1)


def brute_powers(W, v, steps):
    norms = [squared(v)]
    for _ in range(steps):
        v = (W @ v[..., None])[..., 0]
        norms.append(squared(v))
    return np.stack(np.broadcast_arrays(*norms), axis=-1)


def brute_hidden(W, x, h, layer_norm=False):
    norms = []
    for t in range(x.shape[-2]):
        h = (W @ h[..., None])[..., 0] + x[..., t, :]
        norms.append(squared(h) / x.shape[-1])
        if layer_norm:
            h = h - h.mean(axis=-1, keepdims=True)
            h = h / np.sqrt((np.abs(h) ** 2).mean(axis=-1, keepdims=True) + 1e-5)
    return np.stack(norms, axis=-1)


def simulate(n, steps, field, samples, seed, scale=1.0):
    """Hidden and power norms of dense matrices, in plain NumPy."""
    rng = np.random.default_rng(seed)
    hidden, powers = np.empty((samples, steps)), np.empty((samples, steps + 1))
    for first in range(0, samples, 100):
        part = slice(first, min(first + 100, samples))
        count = part.stop - part.start
        W = scale * normal(rng, (count, n, n), field) / math.sqrt(n)
        hidden[part] = brute_hidden(W, normal(rng, (count, steps, n), field), np.zeros((count, n)))
        v = normal(rng, (count, n), field)
        powers[part] = brute_powers(W, v / np.sqrt(squared(v))[:, None], steps)
    return hidden, powers


def reveal(n, steps, field, rng, scale=1.0):
    """||h_t||^2 / n of one sample: an orthonormal basis of everything seen, and W on all that it has met."""
    parts = 2 if field == "complex" else 1
    size = min(n, 2 * steps)
    seen = 0
    met, images = np.zeros((0, size)), np.zeros((0, size))

    def gaussian():
        """A fresh standard Gaussian vector: one coordinate for each direction seen, and one new direction."""
        nonlocal seen
        vector = np.zeros(size, complex if field == "complex" else float)
        vector[:seen] = normal(rng, seen, field)
        if seen < n:
            vector[seen] = math.sqrt(rng.chisquare(parts * (n - seen)) / parts)
            seen += 1
        return vector

    h, norms = np.zeros(size), []
    for _ in range(steps):
        known = met.conj() @ h
        new = h - known @ met
        image = known @ images
        length = np.linalg.norm(new)
        if length > 1e-9 * np.linalg.norm(h):
            fresh = scale / math.sqrt(n) * gaussian()
            met, images = np.vstack([met, new / length]), np.vstack([images, fresh])
            image = image + length * fresh
        h = image + gaussian()
        norms.append(squared(h) / n)
    return np.array(norms)
