"""Norms of given recurrences: brute force in NumPy, exact arithmetic, scales beyond the range of doubles."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_recurrences import brute_hidden, brute_powers, normal

import rmt
from rmt.checks import InputError

FIELDS = ("real", "complex")

BATCHES = [
    ((), (), ()),
    ((3,), (), ()),
    ((), (5,), ()),
    ((), (33,), (33,)),
    ((2, 1), (1, 6), ()),
    ((2, 3, 1), (7,), (3, 7)),
    ((2, 1, 3), (5, 1), ()),
    ((1,), (4,), (2, 1)),
    ((0,), (), ()),
    ((2, 1), (0,), ()),
]


@pytest.mark.parametrize(("w", "x", "h"), BATCHES)
@pytest.mark.parametrize("n", [1, 2, 7])
@pytest.mark.parametrize("fields", [("real", "real"), ("complex", "real"), ("real", "complex")])
def test_given_batches_against_numpy(w, x, h, n, fields):
    rng = np.random.default_rng(1)
    W = normal(rng, (*w, n, n), fields[0])
    x = normal(rng, (*x, 9, n), fields[1])
    h = normal(rng, (*h, n), "real")
    for layer_norm in (False, True):
        found = rmt.hidden_norms(W, x, h, layer_norm=layer_norm)
        np.testing.assert_allclose(found, brute_hidden(W, x, h, layer_norm), rtol=1e-10)
    np.testing.assert_allclose(rmt.power_norms(W, x[..., 0, :], 9), brute_powers(W, x[..., 0, :], 9), rtol=1e-12)
    assert found.dtype == np.float64


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    n=st.integers(1, 40),
    sequences=st.integers(1, 12),
    steps=st.integers(1, 6),
    field=st.sampled_from(FIELDS),
    seed=st.integers(0, 2**32),
)
def test_shared_matrix_equals_one_by_one(n, sequences, steps, field, seed):
    rng = np.random.default_rng(seed)
    W = normal(rng, (n, n), field) / math.sqrt(n)
    x = normal(rng, (sequences, steps, n), field)
    together = rmt.hidden_norms(W, x)
    assert together.shape == (sequences, steps)
    np.testing.assert_allclose(together, [rmt.hidden_norms(W, one) for one in x], rtol=1e-11)
    np.testing.assert_allclose(rmt.hidden_norms(W, x, log=True), np.log(together), rtol=1e-12, atol=1e-12)


def test_default_start_is_zero_and_layout_does_not_matter():
    rng = np.random.default_rng(2)
    W, x = rng.standard_normal((5, 5)), rng.standard_normal((4, 6, 5))
    expected = rmt.hidden_norms(W, x, np.zeros(5))
    np.testing.assert_array_equal(rmt.hidden_norms(W, x), expected)
    np.testing.assert_array_equal(rmt.hidden_norms(np.asfortranarray(W), np.asfortranarray(x)), expected)
    np.testing.assert_array_equal(rmt.hidden_norms(W[::-1][::-1], x[:, ::-1][:, ::-1]), expected)


def test_arguments_are_not_written_to():
    W, x, h0 = np.full((2, 2), 1e300), np.full((3, 2), 1e300), np.full(2, 1e-300)
    copies = W.copy(), x.copy(), h0.copy()
    for array in (W, x, h0):
        array.flags.writeable = False
    rmt.hidden_norms(W, x, h0, log=True)
    rmt.power_norms(W, h0, 3, log=True)
    for array, copy in zip((W, x, h0), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def log_fraction(value):
    """Log of a positive Fraction of any size."""
    shift = value.numerator.bit_length() - value.denominator.bit_length()
    return math.log(value / Fraction(2) ** shift) + shift * math.log(2)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("size", [0, 60, 250])
def test_logs_against_exact_arithmetic(seed, size):
    """Entries of wildly different magnitude, where a plain loop overflows or underflows at the second step."""
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((2, 2)) * 10.0 ** rng.integers(-size, size + 1)
    x = rng.standard_normal((12, 2)) * 10.0 ** rng.integers(-size, size + 1, (12, 1))
    x[rng.random(12) < 0.3] = 0
    h = v = [Fraction(value) for value in rng.standard_normal(2) * 10.0 ** rng.integers(-size, size + 1)]
    start = np.array([float(value) for value in h])
    M = [[Fraction(value) for value in row] for row in W]
    hidden, powers = [], [log_fraction(v[0] ** 2 + v[1] ** 2)]
    for u in x:
        h = [row[0] * h[0] + row[1] * h[1] + Fraction(value) for row, value in zip(M, u, strict=True)]
        v = [row[0] * v[0] + row[1] * v[1] for row in M]
        hidden.append(log_fraction((h[0] ** 2 + h[1] ** 2) / 2))
        powers.append(log_fraction(v[0] ** 2 + v[1] ** 2))
    np.testing.assert_allclose(rmt.hidden_norms(W, x, start, log=True), hidden, rtol=1e-12, atol=1e-10)
    np.testing.assert_allclose(rmt.power_norms(W, start, 12, log=True), powers, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("scale", [3.0, 0.01, 1e300, 1e-300])
def test_log_scale_at_many_steps(scale):
    steps = 20_000
    rotation = np.array([[0.6, -0.8], [0.8, 0.6]])
    for start in (1e15, 1e-15):
        logs = rmt.power_norms(scale * rotation, [start, 0], steps, log=True)
        expected = 2 * (math.log(start) + np.arange(steps + 1) * math.log(scale))
        np.testing.assert_allclose(logs, expected, rtol=1e-11, atol=1e-9)
    # h_t = sum_{k<t} scale^k for the 1 x 1 matrix (scale).
    logs = rmt.hidden_norms([[scale]], np.ones((steps, 1)), log=True)
    t = np.arange(1, steps + 1)
    largest = np.maximum(0, t - 1) * max(math.log(scale), 0)
    ratio = min(scale, 1 / scale)
    np.testing.assert_allclose(logs, 2 * (largest + np.log((1 - ratio**t) / (1 - ratio))), rtol=1e-11, atol=1e-11)


def test_zero_states():
    shift = np.diag(np.full(2, 1e200), 1)
    np.testing.assert_array_equal(rmt.power_norms(shift, [0, 0, 1], 4, log=True)[[0, 3, 4]], [0, -math.inf, -math.inf])
    np.testing.assert_array_equal(rmt.power_norms(shift, [0, 0, 1], 3), [1, math.inf, math.inf, 0])
    np.testing.assert_array_equal(rmt.hidden_norms(shift, np.zeros((2, 3)), log=True), [-math.inf] * 2)
    # After the nilpotent matrix has sent a huge state to zero, a small input must be seen.
    x = np.zeros((5, 3))
    x[4, 0] = 1e-200
    logs = rmt.hidden_norms(shift, x, [0, 0, 1], log=True)
    np.testing.assert_allclose(logs[[1, 4]], [800 * math.log(10) - math.log(3), -400 * math.log(10) - math.log(3)])
    assert np.all(logs[2:4] == -math.inf)
    # Denormal numbers too.
    np.testing.assert_allclose(rmt.power_norms(np.eye(1), [5e-324], 1, log=True), 2 * math.log(5e-324), rtol=1e-15)


def test_plain_norms_are_exact_powers_of_two():
    norms = rmt.power_norms([[2.0**40]], [3.0], 12)
    np.testing.assert_array_equal(norms, np.ldexp(9.0, 80 * np.arange(13)))


def test_layer_norm():
    rng = np.random.default_rng(3)
    W, x = 1e4 * rng.standard_normal((6, 6)), rng.standard_normal((30, 6))
    # h is normalised, so W alone sets the size: no growth, and the scale of W drops out of the direction.
    plain = rmt.hidden_norms(W, 0 * x, x[0], layer_norm=True)
    assert plain[1:].max() < 6e8 * 6
    np.testing.assert_allclose(
        rmt.hidden_norms(1e200 * W, 0 * x, x[0], layer_norm=True, log=True)[1:],
        np.log(plain)[1:] + 400 * math.log(10),
        rtol=1e-9,
    )
    # A small state is divided by sqrt(eps): log norms fall by log(||W||^2 / eps) per step, without underflow.
    small = rmt.hidden_norms(1e-9 * np.diag([1.0, -1.0]), np.zeros((100, 2)), [1, -1], layer_norm=True, log=True)
    # x -> -x under diag(1, -1) leaves no spread, so the second state is zero: (1e-9, 1e-9) has LN zero.
    assert small[1] == -math.inf
    swap = 1e-9 * np.array([[0.0, 1.0], [1.0, 0.0]])
    small = rmt.hidden_norms(swap, np.zeros((100, 2)), [1, -1], layer_norm=True, log=True)
    np.testing.assert_allclose(np.diff(small), math.log(1e-18 / 1e-5), rtol=1e-9)


BAD_GIVEN = [
    (lambda: rmt.power_norms(np.ones((2, 3)), np.ones(3), 2), r"\(\.\.\., n, n\).*\(2, 3\)"),
    (lambda: rmt.power_norms(np.eye(2), np.ones(3), 2), r"v must have 2 .*\(3,\)"),
    (lambda: rmt.power_norms(np.eye(2), 1.0, 2), r"v must have 2 .*\(\)"),
    (lambda: rmt.power_norms(np.eye(2), [1, math.nan], 2), "v must be finite"),
    (lambda: rmt.power_norms(np.full((2, 2), math.inf), [1, 1], 2), "W must be finite"),
    (lambda: rmt.power_norms(np.eye(2), [1, 1], 0), "steps must be an integer >= 1"),
    (lambda: rmt.power_norms(np.ones((3, 2, 2)), np.ones((4, 2)), 2), r"broadcast.*\(3,\).*\(4,\)"),
    (lambda: rmt.hidden_norms(np.eye(2), np.ones(2)), r"x must have shape \(\.\.\., steps, 2\).*\(2,\)"),
    (lambda: rmt.hidden_norms(np.eye(2), np.ones((0, 2))), r"steps >= 1.*\(0, 2\)"),
    (lambda: rmt.hidden_norms(np.eye(2), np.ones((3, 2)), np.ones(3)), r"h0 must have 2 .*\(3,\)"),
    (lambda: rmt.hidden_norms(np.eye(2), np.ones((5, 3, 2)), np.ones((4, 2))), r"broadcast.*\(5,\).*\(4,\)"),
    (lambda: rmt.hidden_norms(np.eye(2), [["a", "b"]]), "x must be a numeric array"),
]


@pytest.mark.parametrize(("call", "message"), BAD_GIVEN)
def test_bad_input_of_given(call, message):
    with pytest.raises(InputError, match=message):
        call()
