"""The initialisers for ReservoirPy, in ReservoirPy."""

import math
import pickle

import numpy as np
import oracles
import pytest
import reservoirpy
from reservoirpy import mat_gen
from reservoirpy.nodes import Reservoir, Ridge
from scipy import sparse

import rmt
from rmt.checks import InputError

init = rmt.initializers.reservoirpy

EACH = pytest.mark.parametrize("name", init.__all__)


def dense(W):
    return W.toarray() if sparse.issparse(W) else np.asarray(W)


def radius(W):
    return np.abs(np.linalg.eigvals(dense(W).astype(float))).max()


def reservoir(units, **options):
    node = Reservoir(units, **options)
    node.run(np.random.default_rng(0).normal(size=(5, 2)))
    return node


@pytest.mark.parametrize("options", [{}, {"alpha": 0.1, "layers": 2}])
def test_the_weights_of_a_reservoir_have_the_exact_law(options):
    W = init.rescaled_glorot_normal(connectivity=1.0, **options)
    sample = [radius(reservoir(16, W=W, seed=seed).W) for seed in range(600)]
    gain = rmt.rescaled_gain(16, **options)
    oracles.check_law(sample, rmt.SpectralRadiusLaw(16, scale=gain).cdf)


def test_the_normals_are_not_truncated():
    W = init.rescaled_glorot_normal(300, 300, seed=0) * (math.sqrt(300) / rmt.rescaled_gain(300))
    oracles.check_proportion((np.abs(W) > 2).sum(), W.size, 0.0455002638963584)
    oracles.check_second_moment(W.ravel(), 1)


@pytest.mark.parametrize(
    "options", [{"connectivity": 0.1}, {"degree": 7}, {"connectivity": 0.3, "sparsity_type": "csc"}]
)
def test_sparse_matrices_have_entries_of_the_same_total_variance(options):
    W = init.rescaled_glorot_normal(200, 200, seed=0, sr=0.5, **options)
    assert sparse.issparse(W)
    assert W.format == options.get("sparsity_type", "csr")
    assert W.nnz == pytest.approx(200 * options.get("degree", 200 * options.get("connectivity", 0)), rel=1e-3)
    standard = W.data * math.sqrt(W.nnz / 200) / (0.5 * rmt.rescaled_gain(200))
    oracles.check_mean(standard, 0)
    oracles.check_second_moment(standard, 1)


def test_a_reservoir_passes_its_connectivity_and_its_factor():
    W = reservoir(100, W=init.rescaled_glorot_normal, rc_connectivity=0.2, sr=0.5, seed=0).W
    assert W.nnz == 2000
    same = reservoir(100, W=init.rescaled_glorot_normal, rc_connectivity=0.2, seed=0).W
    assert np.allclose(W.toarray(), 0.5 * same.toarray(), rtol=1e-14)
    assert radius(reservoir(100, W=init.exact_radius, sr=0.7, seed=0).W) == pytest.approx(0.7, rel=1e-10)
    assert radius(reservoir(100, W=init.orthogonal, sr=0.7, seed=0).W) == pytest.approx(0.7, rel=1e-10)
    assert 0.6 < radius(reservoir(100, W=init.uniform_disc, sr=0.7, seed=0).W) < 0.7
    W = reservoir(100, W=init.ring(r_min=0.9, r_max=0.95), seed=0).W
    moduli = np.abs(np.linalg.eigvals(W.toarray()))
    assert 0.9 - 1e-12 <= moduli.min() <= moduli.max() <= 0.95 + 1e-12


@EACH
def test_partial_application(name):
    make = getattr(init, name)
    known = make(seed=3, sr=0.8)
    assert isinstance(known, mat_gen.Initializer)
    assert np.array_equal(dense(known(9, 9)), dense(make(9, 9, seed=3, sr=0.8)))
    assert np.array_equal(dense(known(9, 9, sr=0.1)), dense(known(9, 9)))  # as in ReservoirPy, the first word counts
    assert np.array_equal(dense(make(9, 9, seed=3, sr=None)), dense(make(9, 9, seed=3)))
    assert "sr" in make.__annotations__
    assert "Draw" in make.__doc__


@EACH
def test_seeds(name):
    make = getattr(init, name)
    first = dense(make(9, 9, seed=1))
    assert first.shape == (9, 9)
    assert np.array_equal(first, dense(make(9, 9, seed=np.random.default_rng(1))))
    assert not np.array_equal(first, dense(make(9, 9, seed=2)))
    reservoirpy.set_seed(4)
    again = dense(make(9, 9))
    assert not np.array_equal(again, dense(make(9, 9)))
    reservoirpy.set_seed(4)
    assert np.array_equal(again, dense(make(9, 9)))


@EACH
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types(name, dtype):
    W = getattr(init, name)(20, 20, dtype=dtype, seed=0)
    assert W.dtype == dtype
    assert np.allclose(dense(W), dense(getattr(init, name)(20, 20, seed=0)), rtol=1e-4, atol=1e-6)


@EACH
def test_saved_and_loaded(name):
    make = getattr(init, name)(seed=3)
    assert np.array_equal(dense(pickle.loads(pickle.dumps(make))(9, 9)), dense(make(9, 9)))
    node = reservoir(30, W=getattr(init, name), seed=0)
    again = pickle.loads(pickle.dumps(node))
    x = np.ones((4, 2))
    assert np.array_equal(again.run(x), node.run(x))


@pytest.mark.parametrize("sparsity_type", ["csr", "csc", "dense"])
@pytest.mark.parametrize("name", ["uniform_disc", "ring"])
def test_disc_and_ring_are_block_diagonal(name, sparsity_type):
    W = getattr(init, name)(9, 9, sparsity_type=sparsity_type, seed=0)
    assert sparse.issparse(W) == (sparsity_type != "dense")
    assert np.count_nonzero(dense(W)) == 17
    assert np.array_equal(dense(W), getattr(rmt.initializers, name)(9, dtype=float, rng=0))


def test_orthogonal():
    Q = init.orthogonal(9, 9, sr=0.5, seed=0)
    assert np.allclose(Q @ Q.T, 0.25 * np.eye(9))


@pytest.mark.parametrize(
    "initializer",
    [mat_gen.normal, mat_gen.uniform(connectivity=0.05), mat_gen.bernoulli(degree=3), mat_gen.small_world],
)
def test_exact_radius_of_every_kind_of_matrix(initializer):
    options = {"proba_rewire": 0.5} if initializer is mat_gen.small_world else {}
    W = init.exact_radius(150, 150, sr=1.0, initializer=initializer, seed=0, **options)
    assert radius(W) == pytest.approx(1.0, rel=1e-9)
    assert radius(init.exact_radius(50, 50, seed=0)) == pytest.approx(0.99, rel=1e-9)


def test_an_echo_state_network_trains():
    model = Reservoir(50, W=init.exact_radius(sr=0.9, connectivity=0.2), seed=0) >> Ridge(ridge=1e-6)
    x = np.sin(np.arange(300) / 5)[:, None]
    prediction = model.fit(x[:-1], x[1:], warmup=50).run(x[:-1])
    assert np.abs(prediction[100:] - x[101:]).max() < 0.01


BAD = [
    (lambda: init.rescaled_glorot_normal(4, 5), r"shape must have shape .* got shape \(4, 5\)"),
    (lambda: init.rescaled_glorot_normal(4), r"shape must be n, n .* got \(4,\)"),
    (lambda: init.rescaled_glorot_normal(2, 4, 4), "shape must be n, n"),
    (lambda: init.rescaled_glorot_normal(4, 4, sr=0), "sr must be"),
    (lambda: init.rescaled_glorot_normal(4, 4, connectivity=0), "connectivity must be"),
    (lambda: init.rescaled_glorot_normal(4, 4, connectivity=1.1), "connectivity must be"),
    (lambda: init.rescaled_glorot_normal(4, 4, rule="paper"), "n must be >= 164"),
    (lambda: init.rescaled_glorot_normal(4, 4, layers=2), "layers must be 1 without alpha"),
    (lambda: init.exact_radius(4, 5), "shape must have shape"),
    (lambda: init.exact_radius(4, 4, sr=-1), "sr must be"),
    (lambda: init.exact_radius(4, 4, initializer=mat_gen.zeros), "spectral radius > 0"),
    (lambda: init.orthogonal(4, 5), "shape must have shape"),
    (lambda: init.orthogonal(4, 4, gain=2), "gain is not an option"),
    (lambda: init.ring(4, 4, r_min=2), "r_min must be"),
    (lambda: init.ring(4, 4, sparsity_type="coo"), "sparsity_type must be one of"),
    (lambda: init.uniform_disc(4, 4, r_max=0.5), "r_max is not an option"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_input_scaling_is_refused():
    with pytest.raises(ValueError, match="Input scaling is not supported"):
        init.ring(4, 4, input_scaling=2.0)
