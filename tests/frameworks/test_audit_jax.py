"""The audit of JAX arrays and Flax parameters, in Flax."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import rmt
from rmt.checks import InputError

H = 16
KEY = jax.random.key(0)


def radius(jacobian):
    return np.abs(np.linalg.eigvals(np.asarray(jacobian, float))).max()


def large(tree):
    """Weights that are large enough to be unstable, and no biases."""
    leaves, form = jax.tree.flatten(tree)
    keys = jax.random.split(KEY, len(leaves))
    new = [
        3 / H**0.5 * jax.random.normal(k, w.shape) if w.ndim > 1 else 0 * w for k, w in zip(keys, leaves, strict=True)
    ]
    return jax.tree.unflatten(form, new)


@pytest.mark.parametrize(
    ("cell", "candidate", "rows"),
    [
        (nn.LSTMCell, "hg.kernel", 5),
        (nn.OptimizedLSTMCell, "hg.kernel", 5),
        (nn.GRUCell, "hn.kernel", 4),
        (nn.MGUCell, "hn.kernel", 3),
        (nn.SimpleCell, "h.kernel", 1),
    ],
)
def test_linen_cells_at_rest(cell, candidate, rows):
    module = cell(H)
    zero = module.initialize_carry(KEY, (3,))
    params = large(module.init(KEY, zero, jnp.zeros(3)))
    table = rmt.audit_weights(params).set_index("name")
    assert len(table) == rows
    flat, unflatten = jax.flatten_util.ravel_pytree(zero)

    def step(state):
        return jax.flatten_util.ravel_pytree(module.apply(params, unflatten(state), jnp.zeros(3))[0])[0]

    name = f"params.{candidate}" + ("" if cell is nn.SimpleCell else "[at rest]")
    assert table.radius[name] == pytest.approx(radius(jax.jacobian(step)(flat)), rel=1e-5)
    assert {reason for _, _, reason in table.attrs["skipped"]} <= {"input weights", "a vector", "not square"}


@pytest.mark.parametrize(
    ("cell", "candidate", "rows"),
    [
        (nnx.LSTMCell, "hg.kernel", 5),
        (nnx.OptimizedLSTMCell, "dense_h.kernel[g", 5),
        (nnx.GRUCell, "dense_h.kernel[n", 4),
    ],
)
def test_nnx_cells_at_rest(cell, candidate, rows):
    module = cell(3, H, rngs=nnx.Rngs(0))
    nnx.update(module, large(nnx.state(module, nnx.Param)))
    table = rmt.audit_weights(module).set_index("name")
    assert len(table) == rows
    assert table.equals(rmt.audit_weights(nnx.state(module)).set_index("name"))
    zero = module.initialize_carry((3,), nnx.Rngs(0))
    flat, unflatten = jax.flatten_util.ravel_pytree(zero)

    def step(state):
        return jax.flatten_util.ravel_pytree(module(unflatten(state), jnp.zeros(3))[0])[0]

    name = candidate + (", at rest]" if "[" in candidate else "[at rest]")
    assert table.radius[name] == pytest.approx(radius(jax.jacobian(step)(flat)), rel=1e-5)


def test_a_stack_of_layers_made_by_vmap():
    cell = nn.GRUCell(H)
    params = jax.vmap(lambda key: cell.init(key, jnp.zeros(H), jnp.zeros(3)))(jax.random.split(KEY, 3))
    table = rmt.audit_weights(params)
    assert len(table) == 3 * 4
    one = rmt.audit_weights(jax.tree.map(lambda leaf: leaf[1], params))
    assert set(one.radius) == {radius for name, radius in zip(table.name, table.radius, strict=True) if "[1" in name}


def test_types():
    W = 0.5 * jnp.eye(H)
    for dtype in (jnp.bfloat16, jnp.float16, jnp.float32, jnp.complex64):
        table = rmt.audit_weights({"W_hh": W.astype(dtype), "key": jax.random.key(0)})
        assert table.radius[0] == 0.5


def test_advice_as_the_page_gives_it_and_a_module_without_parameters():
    cell = nn.SimpleCell(128, recurrent_kernel_init=jax.nn.initializers.glorot_normal())
    zero = cell.initialize_carry(KEY, (3,))
    params = cell.init(KEY, zero, jnp.zeros(3))
    (gain,) = rmt.audit_weights(params, steps=2000).gain
    assert gain < 1
    params["params"]["h"]["kernel"] *= gain
    assert not rmt.audit_weights(params, steps=2000).unstable.any()
    plain = nn.SimpleCell(128)
    assert rmt.audit_weights(plain.init(KEY, zero, jnp.zeros(3))).radius[0] == pytest.approx(1, abs=1e-5)
    with pytest.raises(InputError, match=r"SimpleCell without an array; a module of flax\.linen holds none: give the"):
        rmt.audit_weights(plain)
