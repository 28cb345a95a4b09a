"""The audit of Keras models, in Keras with the JAX backend."""

import jax
import keras
import numpy as np
import pytest

import rmt

# Keras' own, while it is imported: its variables do not know NumPy 2's `copy` yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
H = 16


def large(layer):
    """Give a layer weights that are large enough to be unstable, and no biases."""
    rng = np.random.default_rng(0)
    layer.set_weights([3 / H**0.5 * rng.standard_normal(w.shape) * ("kernel" in w.name) for w in layer.weights])
    return layer


def radius(jacobian):
    return np.abs(np.linalg.eigvals(np.asarray(jacobian, float))).max()


def test_model():
    model = keras.Sequential(
        [
            keras.Input((5, 3)),
            keras.layers.LSTM(H, return_sequences=True),
            keras.layers.Bidirectional(keras.layers.GRU(H, return_sequences=True)),
            keras.layers.SimpleRNN(H),
            keras.layers.Dense(H),
        ]
    )
    table = rmt.audit_weights(model)
    assert len(table) == 5 + 2 * 4 + 1
    assert table.name[0].endswith("lstm/lstm_cell/recurrent_kernel[i]")
    assert not table.unstable.any()  # keras begins with orthogonal matrices
    assert table.radius.iloc[-1] == pytest.approx(1, rel=1e-6)
    reasons = {name.split("/")[-2]: reason for name, _, reason in table.attrs["skipped"] if name.endswith("kernel")}
    assert reasons["simple_rnn_cell"] == "input weights"
    assert "--all" in reasons["dense"]


@pytest.mark.parametrize(("kind", "candidate"), [("LSTM", "c"), ("GRU", "h")])
@pytest.mark.parametrize("reset_after", [True, False])
def test_cells_at_rest(kind, candidate, reset_after):
    options = {"reset_after": reset_after} if kind == "GRU" else {}
    cell = (
        getattr(keras.layers, f"{kind}Cell")(H, unit_forget_bias=False)
        if kind == "LSTM"
        else keras.layers.GRUCell(H, **options)
    )
    cell.build((None, 3))
    large(cell)
    states = 2 if kind == "LSTM" else 1

    def step(flat):
        _, new = cell(np.zeros((1, 3), "f4"), [flat[None, i * H : (i + 1) * H] for i in range(states)])
        return jax.numpy.concatenate([state[0] for state in new])

    jacobian = jax.jacobian(step)(jax.numpy.zeros(states * H))
    table = rmt.audit_weights(cell).set_index("name")
    (name,) = [name for name in table.index if name.endswith(f"[{candidate}, at rest]")]
    assert table.radius[name] == pytest.approx(radius(jacobian), rel=1e-5)
    assert table.unstable[name]
