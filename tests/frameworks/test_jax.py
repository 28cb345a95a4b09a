"""The initialisers for JAX, in JAX and in Flax."""

import math
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from flax import nnx, serialization

import rmt
from rmt.checks import InputError

init = rmt.initializers.jax
KEY = jax.random.key(0)

MATRICES = [
    init.rescaled_glorot_normal,
    init.orthogonal,
    init.exact_radius,
    lambda **options: init.uniform_disc(**{"dtype": jnp.float32, **options}),
    lambda **options: init.ring(0.5, **{"dtype": jnp.float32, **options}),
]
EACH = pytest.mark.parametrize(
    "build", MATRICES, ids=["rescaled_glorot_normal", "orthogonal", "exact_radius", "uniform_disc", "ring"]
)


def radii(array):
    return np.abs(np.linalg.eigvals(np.asarray(array).astype(complex))).max(axis=-1)


def law(n, field="real", **options):
    return rmt.SpectralRadiusLaw(n, field, rmt.rescaled_gain(n, field, **options)).cdf


@pytest.mark.parametrize("options", [{}, {"alpha": 0.1, "layers": 2}])
def test_the_recurrent_kernel_of_a_flax_cell_has_the_exact_law(options):
    cell = nn.SimpleCell(16, recurrent_kernel_init=init.rescaled_glorot_normal(**options))

    @jax.jit
    @jax.vmap
    def kernel(key):
        return cell.init(key, jnp.zeros((1, 16)), jnp.zeros((1, 3)))["params"]["h"]["kernel"]

    W = kernel(jax.random.split(KEY, 1000))
    assert W.shape == (1000, 16, 16)
    oracles.check_law(radii(W), law(16, **options))


@pytest.mark.parametrize(("cell", "gates"), [(nn.LSTMCell, ["hi", "hf", "hg", "ho"]), (nn.GRUCell, ["hr", "hz", "hn"])])
def test_cells_of_linen_initialise_every_gate(cell, gates):
    cell = cell(16, recurrent_kernel_init=init.rescaled_glorot_normal())
    carry = cell.initialize_carry(KEY, (1, 3))
    initialize = jax.jit(jax.vmap(lambda key: cell.init(key, carry, jnp.zeros((1, 3)))["params"]))
    params = initialize(jax.random.split(KEY, 200))
    oracles.check_law([radii(params[gate]["kernel"]) for gate in gates], law(16))


def test_the_stacked_gates_of_nnx_have_the_exact_law():
    sample = []
    for seed in range(100):
        recurrent = init.rescaled_glorot_normal(gates=4)
        cell = nnx.OptimizedLSTMCell(3, 16, recurrent_kernel_init=recurrent, rngs=nnx.Rngs(seed))
        kernel = np.asarray(cell.dense_h.kernel[...])
        assert kernel.shape == (16, 64)
        sample.append(radii(np.stack(np.split(kernel, 4, axis=1))))
    oracles.check_law(sample, law(16))


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32, jnp.complex64])
def test_every_dtype_has_the_exact_law(dtype):
    W = init.rescaled_glorot_normal(dtype)(KEY, (1000, 16, 16))
    assert W.dtype == dtype
    field = "complex" if dtype == jnp.complex64 else "real"
    oracles.check_law(radii(W), law(16, field))
    oracles.check_second_moment(np.asarray(W).astype(complex)[:, :2, 3], rmt.rescaled_gain(16, field) ** 2 / 16)


@pytest.mark.parametrize(("dtype", "field"), [(jnp.float32, "real"), (jnp.complex64, "complex")])
def test_it_is_the_normal_of_jax_with_another_standard_deviation(dtype, field):
    standard = jax.random.normal(KEY, (5, 5), dtype)
    expected = standard * (rmt.rescaled_gain(5, field, alpha=0.1) / math.sqrt(5))
    assert np.allclose(init.rescaled_glorot_normal(dtype, alpha=0.1)(KEY, (5, 5)), expected, rtol=1e-6)


def test_double_precision_where_it_is_enabled():
    with jax.enable_x64(True):
        W = init.rescaled_glorot_normal()(KEY, (16, 16))
        assert W.dtype == jnp.float64
        assert init.ring()(KEY, (16,)).dtype == jnp.complex128
        assert radii(init.exact_radius(0.9)(KEY, (120, 120))) == pytest.approx(0.9, rel=1e-11)
        Q = init.orthogonal(dtype=complex)(KEY, (5, 5))
        assert np.allclose(Q @ Q.conj().T, np.eye(5), atol=1e-14)


@pytest.mark.parametrize("dtype", [float, complex])
def test_double_precision_under_jit_in_whichever_thread_the_radius_is_computed(dtype):
    """`enable_x64` as a context holds for one thread; XLA hands callbacks to others as it likes, here 1 of 4."""
    with jax.enable_x64(True):
        build = jax.jit(init.exact_radius(0.9, dtype), static_argnums=1)
        crossing = jax.make_jaxpr(build, static_argnums=1)(KEY, (5, 5)).pretty_print()
        assert re.search(r"u32\[2\] = pure_callback\[", crossing), crossing
        for seed in range(25):
            W = np.asarray(build(jax.random.key(seed), (120, 120)))
            assert W.dtype == dtype
            assert radii(W) == pytest.approx(0.9, rel=1e-11)
        in_one = jax.vmap(build, in_axes=(0, None))(jax.random.split(KEY, 3), (20, 20))
        assert radii(in_one) == pytest.approx(0.9, rel=1e-11)


def test_the_normals_are_not_truncated():
    W = np.asarray(init.rescaled_glorot_normal()(KEY, (300, 300)))
    standard = W * (math.sqrt(300) / rmt.rescaled_gain(300))
    oracles.check_proportion((np.abs(standard) > 2).sum(), W.size, 0.0455002638963584)


@EACH
@pytest.mark.parametrize("shape", [(2, 6, 6), (5, 5)])
def test_the_same_values_with_and_without_jit(build, shape):
    initializer = build()
    eager = initializer(KEY, shape, jnp.float32)
    jitted = jax.jit(initializer, static_argnums=(1, 2))(KEY, shape, jnp.float32)
    assert eager.shape == shape
    assert np.allclose(eager, jitted, atol=1e-6)
    assert not np.allclose(eager, initializer(jax.random.key(1), shape, jnp.float32), atol=1e-3)
    assert np.array_equal(eager, initializer(KEY, shape, jnp.float32))


@EACH
def test_under_vmap_every_key_has_its_own_matrix(build):
    keys = jax.random.split(KEY, 4)
    each = np.stack([build()(key, (6, 6)) for key in keys])
    assert np.allclose(jax.vmap(lambda key: build()(key, (6, 6)))(keys), each, atol=1e-6)


@EACH
def test_low_precision_is_single_precision_rounded(build):
    single = build()(KEY, (2, 6, 6), jnp.float32)
    for dtype in (jnp.float16, jnp.bfloat16):
        assert np.array_equal(build()(KEY, (2, 6, 6), dtype), single.astype(dtype))


@EACH
@pytest.mark.parametrize("shape", [(12, 4), (4, 12), (2, 4, 12)])
def test_every_gate_is_a_matrix_of_its_own(build, shape):
    W = np.asarray(build(gates=3)(KEY, shape))
    separate = np.asarray(build()(KEY, (*shape[:-2], 3, 4, 4)))
    assert W.shape == shape
    if build is init.rescaled_glorot_normal:  # the same numbers in the order of the whole array
        assert np.array_equal(W.ravel(), separate.ravel())
    else:
        assert np.array_equal(np.stack(np.split(W, 3, -2 if shape[-2] == 12 else -1), -3), separate)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.complex64])
def test_orthogonal(dtype):
    Q = np.asarray(init.orthogonal(0.5, dtype)(KEY, (2000, 3, 3)))
    assert np.allclose(Q @ Q.conj().mT, 0.25 * np.eye(3), atol=1e-5)
    trace = np.trace(Q, axis1=1, axis2=2) / 0.5
    oracles.check_mean(trace, 0)
    oracles.check_second_moment(trace, 1)


def test_eigenvalues_of_disc_and_ring():
    disc = np.asarray(init.uniform_disc(0.8)(KEY, (5000,)))
    assert disc.dtype == np.complex64
    oracles.check_law(np.abs(disc), lambda r: np.clip(r / 0.8, 0, 1) ** 2)
    oracles.check_mean(disc, 0)
    ring = np.asarray(jax.jit(lambda key: init.ring(0.6, 0.9, 1.0)(key, (5000,)))(KEY))
    oracles.check_law(np.abs(ring) ** 2, lambda x: np.clip((x - 0.36) / 0.45, 0, 1))
    oracles.check_law(np.angle(ring), lambda x: np.clip(x, 0, 1))


@pytest.mark.parametrize("n", [1, 4, 5])
def test_real_matrices_of_disc_and_ring(n):
    W = np.asarray(init.ring(0.6, 0.9, 2.0)(KEY, (4000, n, n), jnp.float32))
    assert np.allclose(W @ W.mT, W.mT @ W, atol=1e-6)
    theirs = rmt.Diagonal(n, "ring", "real", r_min=0.6, r_max=0.9, max_phase=2.0).draw_eigenvalues(4000, rng=0)
    oracles.check_same_law(np.linalg.eigvals(W).real.max(axis=1), theirs.real.max(axis=1))
    assert 0.6 - 1e-5 <= np.abs(np.linalg.eigvals(W)).min() <= radii(W).max() <= 0.9 + 1e-5
    disc = init.uniform_disc(0.5)(KEY, (2000, n, n), jnp.float32)
    oracles.check_law(radii(disc), lambda r: np.clip(r / 0.5, 0, 1) ** (2 * ((n + 1) // 2)))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.complex64])
def test_exact_radius(dtype):
    initializer = init.exact_radius(0.9)
    assert radii(initializer(KEY, (3, 120, 120), dtype)) == pytest.approx(0.9, rel=1e-5)
    jitted = jax.jit(initializer, static_argnums=(1, 2))(KEY, (3, 120, 120), dtype)
    assert radii(jitted) == pytest.approx(0.9, rel=1e-5)
    assert radii(init.exact_radius()(KEY, (50, 50))) == pytest.approx(0.99, rel=1e-5)


def test_lru_parameters_are_those_of_numpy():
    eigenvalues = init.ring(0.5, 0.99)(KEY, (2, 9))
    theirs = rmt.initializers.lru_parameters(np.asarray(eigenvalues))
    for ours in (init.lru_parameters(eigenvalues), jax.jit(init.lru_parameters)(eigenvalues)):
        for mine, array in zip(ours, theirs, strict=True):
            assert np.allclose(mine, array, rtol=1e-4, atol=1e-5)


def test_saved_and_loaded():
    cell = nn.SimpleCell(16, recurrent_kernel_init=init.rescaled_glorot_normal())
    arguments = jnp.zeros((1, 16)), jnp.ones((1, 3))
    params = cell.init(KEY, *arguments)
    again = serialization.from_bytes(cell.init(jax.random.key(1), *arguments), serialization.to_bytes(params))
    assert np.array_equal(again["params"]["h"]["kernel"], params["params"]["h"]["kernel"])
    assert np.array_equal(cell.apply(again, *arguments)[1], cell.apply(params, *arguments)[1])


BAD = [
    (lambda: init.rescaled_glorot_normal()(KEY, (4, 5)), r"shape must have shape .* got shape \(4, 5\)$"),
    (lambda: init.rescaled_glorot_normal()(KEY, (4, 16)), "gates=4 draws each of them"),
    (lambda: init.rescaled_glorot_normal()(KEY, (4,)), r"got shape \(4,\)"),
    (lambda: init.rescaled_glorot_normal()(KEY, (4, 4), jnp.int32), "dtype must be .* got int32"),
    (lambda: init.rescaled_glorot_normal()(KEY, (4, 4), "flat"), "dtype must be .* got 'flat'"),
    (lambda: init.rescaled_glorot_normal(rule="paper")(KEY, (4, 4)), "n must be >= 164"),
    (lambda: init.rescaled_glorot_normal(rule="guess"), "rule must be one of"),
    (lambda: init.rescaled_glorot_normal(alpha=2), "alpha must be"),
    (lambda: init.rescaled_glorot_normal(layers=2), "layers must be 1 without alpha"),
    (lambda: init.rescaled_glorot_normal(gates=0), "gates must be"),
    (lambda: init.orthogonal(0), "scale must be"),
    (lambda: init.orthogonal(gates=0), "gates must be"),
    (lambda: init.orthogonal()(KEY, (4, 5)), "shape must have shape"),
    (lambda: init.exact_radius(0), "radius must be"),
    (lambda: init.exact_radius(gates=0), "gates must be"),
    (lambda: init.exact_radius()(KEY, (4, 5)), "shape must have shape"),
    (lambda: init.ring(0.9, 0.8), "r_min must be"),
    (lambda: init.ring(gates=0), "gates must be"),
    (lambda: init.ring()(KEY, ()), r"got shape \(\)"),
    (lambda: init.ring(gates=2)(KEY, (8, 4)), "gates must be 1"),
    (lambda: init.ring()(KEY, (4, 5), jnp.float32), "shape must have shape"),
    (lambda: init.uniform_disc(0), "r_max must be"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
