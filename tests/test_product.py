import numpy as np
import pytest

import rmt
from rmt.kernels.orthogonal import orthogonalise
from rmt.kernels.product import DEPTH, LEAST_STEPS, multiply_packed, pack, panels_for, workspace
from rmt.kernels.tile import ROWS, VECTORS

SIZES = [1, 3, 4, ROWS - 1, ROWS, ROWS + 1, ROWS + 3, 2 * ROWS, 100, DEPTH, DEPTH + 1, 2 * DEPTH + ROWS + 1]
COUNTS = [1, 2, 3, VECTORS, VECTORS + 1, 2 * VECTORS - 1, 32]


def packed(W, vectors, steps):
    panels = panels_for(W, vectors, steps)
    panels[:] = np.nan
    pack(W, panels)
    return panels


def product(W, h, steps):
    panels = packed(W, len(h), steps)
    groups, state, image = workspace(panels, h)
    image[:] = np.nan
    multiply_packed(W, panels, groups, state, image)
    assert np.array_equal(state[: len(h), : h.shape[1]], h)
    assert not image[len(h) :].any()
    assert not image[:, h.shape[1] :].any()
    return image[: len(h), : h.shape[1]]


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
        is_packed = field == "real" and count >= VECTORS and steps > 0 and n >= ROWS
        assert (len(packed(W, count, steps)) > 0) == is_packed
        assert np.abs(product(W, h, steps) - h @ W.T).max() < 1e-14 * n


@pytest.mark.parametrize("field", ["real", "complex"])
def test_multiply_by_a_diagonal(field):
    rng = np.random.default_rng(0)
    d, h = drawn(rng, 50, field), drawn(rng, (5, 50), field)
    assert np.allclose(product(d, h, LEAST_STEPS), d * h, rtol=1e-15)


def test_a_product_does_not_depend_on_the_vectors_beside():
    rng = np.random.default_rng(1)
    W, h = rng.standard_normal((150, 150)), rng.standard_normal((11, 150))
    assert np.array_equal(product(W, h, LEAST_STEPS)[3:8], product(W, h[3:8], LEAST_STEPS))


def test_products_leave_what_is_beside_the_result_alone():
    rng = np.random.default_rng(2)
    n, count = ROWS + 5, VECTORS + 2
    W, h = rng.standard_normal((n, n)), rng.standard_normal((count, n))
    panels = packed(W, count, LEAST_STEPS)
    groups, state, image = workspace(panels, h)
    memory = np.full(image.size + 200, 7.0)
    out = memory[100:-100].reshape(image.shape)
    multiply_packed(W, panels, groups, state, out)
    assert np.allclose(out[:count, :n], h @ W.T, atol=1e-12)
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
