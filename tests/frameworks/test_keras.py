"""The initialisers for Keras, in Keras with the JAX backend."""

import json
import math
import subprocess
import sys

import keras
import numpy as np
import oracles
import pytest

import rmt
from rmt.checks import InputError

init = rmt.initializers.keras

# Keras' own: its variables do not know NumPy 2's `copy` yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

BUILD = {
    "rescaled": lambda **options: init.RescaledGlorotNormal(**options),
    "orthogonal": lambda **options: init.Orthogonal(0.9, **options),
    "radius": lambda **options: init.ExactRadius(0.9, **options),
    "disc": lambda **options: init.UniformDisc(0.9, **options),
    "ring": lambda **options: init.Ring(0.5, 0.9, 2.0, **options),
}
EACH = pytest.mark.parametrize("build", BUILD.values(), ids=BUILD)


def array(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def radii(tensor):
    return np.abs(np.linalg.eigvals(array(tensor).astype(complex))).max(axis=-1)


def law(n, field="real", **options):
    return rmt.SpectralRadiusLaw(n, field, rmt.rescaled_gain(n, field, **options)).cdf


def model(initializer, layer=keras.layers.SimpleRNN):
    return keras.Sequential([keras.Input((None, 3)), layer(16, recurrent_initializer=initializer)])


@pytest.mark.parametrize("options", [{}, {"alpha": 0.1, "layers": 2}])
def test_the_recurrent_kernel_of_a_simple_rnn_has_the_exact_law(options):
    sample = []
    for seed in range(400):
        layer = keras.layers.SimpleRNN(16, recurrent_initializer=init.RescaledGlorotNormal(seed=seed, **options))
        layer.build((None, None, 3))
        sample.append(radii(layer.cell.recurrent_kernel))
    oracles.check_law(sample, law(16, **options))


@pytest.mark.parametrize(("layer", "gates"), [(keras.layers.LSTM, 4), (keras.layers.GRU, 3)])
def test_the_gates_of_a_layer_have_the_exact_law(layer, gates):
    sample = []
    for seed in range(100):
        made = layer(16, recurrent_initializer=init.RescaledGlorotNormal(seed=seed, gates=gates))
        made.build((None, None, 3))
        sample.append(radii(np.stack(np.split(array(made.cell.recurrent_kernel), gates, axis=1))))
    oracles.check_law(sample, law(16))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "complex64"])
def test_every_dtype_has_the_exact_law(dtype):
    W = init.RescaledGlorotNormal(seed=0)((1000, 16, 16), dtype=dtype)
    assert keras.backend.standardize_dtype(W.dtype) == dtype
    field = "complex" if dtype == "complex64" else "real"
    oracles.check_law(radii(W), law(16, field))
    oracles.check_second_moment(array(W).astype(complex)[:, :2, 3], rmt.rescaled_gain(16, field) ** 2 / 16)
    if field == "complex":
        oracles.check_mean(array(W)[:, 0, :4] ** 2, 0)  # circular: E w^2 = 0


@pytest.mark.parametrize(("dtype", "field"), [("float32", "real"), ("complex64", "complex")])
def test_the_gain_is_that_of_the_field(dtype, field):
    # The radius of a 1 x 1 matrix is its modulus: a gain that is off shows.
    W = array(init.RescaledGlorotNormal(seed=0, alpha=0.1)((20_000, 1, 1), dtype=dtype))
    oracles.check_second_moment(W.ravel(), rmt.rescaled_gain(1, field, alpha=0.1) ** 2)
    oracles.check_proportion((np.abs(W) > 1).sum(), W.size, 0.1)


def test_the_normals_are_not_truncated():
    W = array(init.RescaledGlorotNormal(seed=0)((300, 300)))
    standard = W * (math.sqrt(300) / rmt.rescaled_gain(300))
    oracles.check_proportion((np.abs(standard) > 2).sum(), W.size, 0.0455002638963584)


@EACH
def test_seeds_mean_what_they_mean_to_keras(build):
    first = array(build(seed=1)((6, 6)))
    assert first.shape == (6, 6)
    assert np.array_equal(first, array(build(seed=1)((6, 6))))
    assert not np.array_equal(first, array(build(seed=2)((6, 6))))
    unseeded = build()
    assert np.array_equal(array(unseeded((6, 6))), array(unseeded((6, 6))))
    assert not np.array_equal(array(unseeded((6, 6))), array(build()((6, 6))))
    generator = keras.random.SeedGenerator(1)
    moving = build(seed=generator)
    assert not np.array_equal(array(moving((6, 6))), array(moving((6, 6))))
    keras.utils.set_random_seed(5)
    again = array(build()((6, 6)))
    keras.utils.set_random_seed(5)
    assert np.array_equal(again, array(build()((6, 6))))


@EACH
def test_low_precision_is_single_precision_rounded(build):
    single = build(seed=1)((2, 6, 6), dtype="float32")
    for dtype in ("float16", "bfloat16"):
        assert np.array_equal(array(build(seed=1)((2, 6, 6), dtype=dtype)), array(keras.ops.cast(single, dtype)))


@EACH
@pytest.mark.parametrize("shape", [(12, 4), (4, 12), (2, 4, 12)])
def test_every_gate_is_a_matrix_of_its_own(build, shape):
    W = array(build(seed=1, gates=3)(shape))
    separate = array(build(seed=1)((*shape[:-2], 3, 4, 4)))
    assert W.shape == shape
    if build is BUILD["rescaled"]:  # the same numbers in the order of the whole array
        assert np.array_equal(W.ravel(), separate.ravel())
    else:
        assert np.array_equal(np.stack(np.split(W, 3, -2 if shape[-2] == 12 else -1), -3), separate)


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_orthogonal(dtype):
    Q = array(init.Orthogonal(0.5, seed=0)((2000, 3, 3), dtype=dtype))
    assert np.allclose(Q @ Q.conj().mT, 0.25 * np.eye(3), atol=1e-5)
    trace = np.trace(Q, axis1=1, axis2=2) / 0.5
    oracles.check_mean(trace, 0)
    oracles.check_second_moment(trace, 1)


def test_eigenvalues_of_disc_and_ring():
    disc = array(init.UniformDisc(0.8, seed=0)((5000,), dtype="complex64"))
    oracles.check_law(np.abs(disc), lambda r: np.clip(r / 0.8, 0, 1) ** 2)
    oracles.check_mean(disc, 0)
    ring = array(init.Ring(0.6, 0.9, 1.0, seed=0)((5000,), dtype="complex64"))
    oracles.check_law(np.abs(ring) ** 2, lambda x: np.clip((x - 0.36) / 0.45, 0, 1))
    oracles.check_law(np.angle(ring), lambda x: np.clip(x, 0, 1))


def test_a_complex_weight_of_a_layer():
    weight = keras.layers.Layer().add_weight(shape=(7,), dtype="complex64", initializer=init.Ring(0.6, 0.9))
    assert 0.6 - 1e-6 <= np.abs(array(weight.value)).min() <= np.abs(array(weight.value)).max() <= 0.9 + 1e-6


def test_the_weights_of_a_linear_recurrent_unit():
    class LRU(keras.layers.Layer):
        def build(self, shape):
            self.nu_log = self.add_weight(shape=(8,), name="nu_log")
            self.theta_log = self.add_weight(shape=(8,), name="theta_log")
            eigenvalues = rmt.initializers.ring(8, r_min=0.9, r_max=0.999, rng=0)
            nu_log, theta_log, _ = rmt.initializers.lru_parameters(eigenvalues)
            self.nu_log.assign(nu_log)
            self.theta_log.assign(theta_log)

    layer = LRU()
    layer.build((None, 3))
    moduli = np.exp(-np.exp(array(layer.nu_log.value)))
    assert 0.9 - 1e-6 <= moduli.min() <= moduli.max() <= 0.999 + 1e-6


@pytest.mark.parametrize("n", [1, 4, 5])
def test_real_matrices_of_disc_and_ring(n):
    W = array(init.Ring(0.6, 0.9, 2.0, seed=0)((4000, n, n)))
    assert np.allclose(W @ W.mT, W.mT @ W, atol=1e-6)
    theirs = rmt.Diagonal(n, "ring", "real", r_min=0.6, r_max=0.9, max_phase=2.0).draw_eigenvalues(4000, rng=0)
    oracles.check_same_law(np.linalg.eigvals(W).real.max(axis=1), theirs.real.max(axis=1))
    assert 0.6 - 1e-5 <= np.abs(np.linalg.eigvals(W)).min() <= radii(W).max() <= 0.9 + 1e-5
    disc = init.UniformDisc(0.5, seed=0)((2000, n, n))
    oracles.check_law(radii(disc), lambda r: np.clip(r / 0.5, 0, 1) ** (2 * ((n + 1) // 2)))


def test_exact_radius():
    assert radii(init.ExactRadius(0.9, seed=0)((3, 120, 120))) == pytest.approx(0.9, rel=1e-5)
    assert radii(init.ExactRadius(seed=0)((50, 50), dtype="complex64")) == pytest.approx(0.99, rel=1e-5)


@EACH
@pytest.mark.parametrize("seed", [3, None, "generator"])
def test_the_configuration_makes_the_same_initializer(build, seed):
    original = build(seed=keras.random.SeedGenerator(3) if seed == "generator" else seed, gates=2)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(original)))
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(original)
    assert keras.saving.serialize_keras_object(again) == config
    assert {"seed", "gates"} < set(config["config"])
    if seed is not None:
        assert np.array_equal(array(again((8, 4))), array(original((8, 4))))


def test_the_configuration_holds_the_options():
    config = init.RescaledGlorotNormal(seed=1, rule="gumbel", alpha=0.1, layers=2, gates=3).get_config()
    assert config == {"seed": 1, "rule": "gumbel", "alpha": 0.1, "layers": 2, "gates": 3}
    assert init.Ring(0.1, 0.2, 3.0, seed=1).get_config() == {
        "seed": 1, "r_min": 0.1, "r_max": 0.2, "max_phase": 3.0, "gates": 1
    }  # fmt: skip
    assert init.UniformDisc(0.2, seed=1).get_config() == {"seed": 1, "r_max": 0.2, "gates": 1}
    assert init.ExactRadius(0.2, seed=1).get_config() == {"seed": 1, "radius": 0.2, "gates": 1}
    assert init.Orthogonal(0.2, seed=1).get_config() == {"seed": 1, "gain": 0.2, "gates": 1}


@EACH
def test_saved_and_loaded_within_a_model(build, tmp_path):
    original = model(build(seed=1))
    original.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(2, 5, 3))
    assert np.array_equal(array(again(x)), array(original(x)))
    initializer = again.layers[0].cell.recurrent_initializer
    assert type(initializer) is type(build())
    assert np.array_equal(array(initializer((16, 16))), array(original.layers[0].cell.recurrent_kernel))


def test_a_fresh_process_loads_a_model_after_one_import(tmp_path):
    model(init.RescaledGlorotNormal(seed=1, alpha=0.1)).save(tmp_path / "model.keras")
    code = f"import rmt.initializers.keras, keras; m = keras.models.load_model({str(tmp_path / 'model.keras')!r}); "
    code += "print(m.layers[0].cell.recurrent_initializer.alpha)"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.split()[-1] == "0.1"


def test_a_layer_trains():
    network = keras.Sequential([model(init.RescaledGlorotNormal(seed=1)), keras.layers.Dense(1)])
    network.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    history = network.fit(rng.normal(size=(8, 5, 3)), rng.normal(size=(8, 1)), epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


BAD = [
    (lambda: init.RescaledGlorotNormal()((4, 5)), r"shape must have shape .* got shape \(4, 5\)$"),
    (lambda: model(init.RescaledGlorotNormal(), keras.layers.LSTM), "gates=4 draws each of them"),
    (lambda: init.RescaledGlorotNormal()((4,)), r"got shape \(4,\)"),
    (lambda: init.RescaledGlorotNormal()((4, 4), dtype="int32"), "dtype must be .* got int32"),
    (lambda: init.RescaledGlorotNormal(rule="paper")((4, 4)), "n must be >= 164"),
    (lambda: init.RescaledGlorotNormal(rule="guess"), "rule must be one of"),
    (lambda: init.RescaledGlorotNormal(alpha=2), "alpha must be"),
    (lambda: init.RescaledGlorotNormal(layers=2), "layers must be 1 without alpha"),
    (lambda: init.RescaledGlorotNormal(gates=0), "gates must be"),
    (lambda: init.RescaledGlorotNormal(seed="seed"), "seed"),
    (lambda: init.Orthogonal(0), "gain must be"),
    (lambda: init.Orthogonal()((4, 5)), "shape must have shape"),
    (lambda: init.ExactRadius(0), "radius must be"),
    (lambda: init.ExactRadius()((4, 5)), "shape must have shape"),
    (lambda: init.Ring(0.9, 0.8), "r_min must be"),
    (lambda: init.Ring()((4, 5)), "shape must have shape"),
    (lambda: init.Ring()((), dtype="complex64"), r"got shape \(\)"),
    (lambda: init.Ring(gates=2)((8, 4), dtype="complex64"), "gates must be 1"),
    (lambda: init.UniformDisc(0), "r_max must be"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert isinstance(caught.value, InputError) or message == "seed"  # that one is Keras' own
