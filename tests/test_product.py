import numpy as np
import pytest

import rmt
from rmt.kernels.orthogonal import orthogonalise
from rmt.kernels.product import DEPTH, LEAST_STEPS, multiply, packed
from rmt.kernels.tile import ROWS, VECTORS

SIZES = [1, 3, 4, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS, 100, DEPTH, DEPTH + 1, 2 * DEPTH + ROWS + 1]
COUNTS = [1, 2, 3, VECTORS, VECTORS + 1, 2 * VECTORS - 1, 32]


def drawn(rng, shape, field):
    real = rng.standard_normal(shape)
    return real + 1j * rng.standard_normal(shape) if field == "complex" else real


@pytest.mark.parametrize("field", ["real", "complex"])
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("steps", [0, LEAST_STEPS])
def test_multiply_against_numpy(field, count, steps):
    rng = np.random.default_rng(count)
    for n in SIZES:
        W, h = drawn(rng, (n, n), field), drawn(rng, (count, n), field)
        panels = packed(W, count, steps)
        assert (len(panels) > 0) == (field == "real" and count >= VECTORS and steps > 0 and n >= ROWS)
        out = np.full((count, n), np.nan, W.dtype)
        multiply(W, panels, h, out)
        assert np.abs(out - h @ W.T).max() < 1e-14 * n


@pytest.mark.parametrize("field", ["real", "complex"])
def test_multiply_by_a_diagonal(field):
    rng = np.random.default_rng(0)
    d, h = drawn(rng, 50, field), drawn(rng, (5, 50), field)
    out = np.empty_like(h)
    multiply(d, packed(d, 5, LEAST_STEPS), h, out)
    assert np.allclose(out, d * h, rtol=1e-15)


def test_a_product_does_not_depend_on_the_vectors_beside():
    # Campaigns rely on it: a sample is the same in every batch that is packed.
    rng = np.random.default_rng(1)
    W, h = rng.standard_normal((150, 150)), rng.standard_normal((11, 150))
    panels, out, some = packed(W, 11, LEAST_STEPS), np.empty((11, 150)), np.empty((5, 150))
    multiply(W, panels, h, out)
    multiply(W, panels, h[3:8].copy(), some)
    assert np.array_equal(out[3:8], some)


def test_products_leave_what_is_beside_the_result_alone():
    rng = np.random.default_rng(2)
    n, count = ROWS + 5, VECTORS + 2
    W, h = rng.standard_normal((n, n)), rng.standard_normal((count, n))
    memory = np.full(count * n + 200, 7.0)
    out = memory[100:-100].reshape(count, n)
    multiply(W, packed(W, count, LEAST_STEPS), h, out)
    assert np.allclose(out, h @ W.T, atol=1e-12)
    assert np.all(memory[:100] == 7)
    assert np.all(memory[-100:] == 7)


@pytest.mark.parametrize("steps", [LEAST_STEPS - 1, LEAST_STEPS, 40, 41])
def test_long_and_short_batches_against_one_sequence_at_a_time(steps):
    rng = np.random.default_rng(3)
    W, x = rmt.glorot(60).draw(rng=rng), rng.standard_normal((6, steps, 60))
    one_by_one = np.array([rmt.hidden_norms(W, sequence) for sequence in x])
    assert np.allclose(rmt.hidden_norms(W, x), one_by_one, rtol=1e-12)


@pytest.mark.parametrize("count", [1, 3, 4, 5, 11])
def test_orthogonalise_against_numpy(count):
    rng = np.random.default_rng(count)
    for n in (11, 50, 257):
        V, w = np.linalg.qr(rng.standard_normal((n, count)))[0].T.copy(), rng.standard_normal(n)
        expected, overlaps = V @ w, np.empty(count)
        rest = w - expected @ V
        orthogonalise(V, w, overlaps)
        assert np.allclose(overlaps, expected, atol=1e-14)
        assert np.allclose(w, rest, atol=1e-14)
