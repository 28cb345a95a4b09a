"""Models and steps of training, against the same written down naively in complex numbers, and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rmt.checks import InputError
from rmt.training import ModelConfig, TrainConfig, norms, scans
from rmt.training.batches import batch, in_place, in_turn, order
from rmt.training.model import RECURRENT, Model
from rmt.training.optimiser import groups, optimiser, schedule
from rmt.training.steps import compiled, loss, score
from rmt.training.tasks import Split
from tests.frameworks import naive_training as naive

VOCABULARY, CLASSES = 4, 2
LENGTHS = (4, 1, 3)


@pytest.fixture(autouse=True)
def double():
    """Double precision, and little optimisation of what is compiled once for a few numbers, in this file alone."""
    enable = getattr(jax, "enable_x64", None)
    if enable is None:
        from jax.experimental import enable_x64 as enable
    quick = "jax_disable_most_optimizations"
    jax.config.update(quick, True)
    try:
        with enable(True):
            yield
    finally:
        jax.config.update(quick, False)


def doubles(tree):
    return jax.tree.map(lambda array: np.asarray(array, np.float64), tree)


def named(tree):
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]]


def sequences(lengths=LENGTHS, *, tokens=True, seed=0):
    rng = np.random.default_rng(seed)
    if tokens:
        return [rng.integers(0, VOCABULARY, length) for length in lengths]
    return [rng.standard_normal((length, 2)).astype(np.float32) for length in lengths]


def padded(given, targets, weights=None):
    lengths, T = np.array([len(sequence) for sequence in given], np.int32), max(map(len, given))
    inputs = np.zeros((len(given), T, *given[0].shape[1:]), given[0].dtype)
    for row, sequence in zip(inputs, given, strict=True):
        row[: len(sequence)] = sequence
    return Split(inputs, lengths, targets, weights)


def small(tokens=True, readout="mean", n_outputs=CLASSES, **options):
    config = ModelConfig(**{"d_model": 4, "d_hidden": 3, "layers": 2, "init": "exact:0.9", **options})
    model = Model(config, VOCABULARY if tokens else 2, tokens, n_outputs, readout)
    parameters, state = model.initial(seed=7)
    rng = np.random.default_rng(8)
    # Biases and scales that are not 0 and 1, so that every one of them matters.
    parameters = jax.tree.map(lambda x: x + 0.1 * rng.standard_normal(x.shape), parameters)
    return model, doubles(parameters), doubles(state)


def naive_states(kind, A, v):
    """h_t = A h_{t-1} + v_t in NumPy, one step at a time, complex where that is meant."""
    n = A.shape[-1]
    complexes = kind == "diagonal"
    matrix = np.diag(A[0] + 1j * A[1]) if complexes else A
    inputs = v[..., :n] + 1j * v[..., n:] if complexes else v
    states, h = [], np.zeros(inputs.shape[1:], inputs.dtype)
    for step in inputs:
        h = h @ matrix.T + step
        states.append(h)
    states = np.array(states)
    return np.concatenate([states.real, states.imag], axis=-1) if complexes else states


def drawn(kind, T, seed=0):
    rng = np.random.default_rng(seed)
    A = 0.6 * rng.standard_normal((3, 3) if kind == "dense" else (2, 3))
    return A, rng.standard_normal((T, 2, 3 if kind == "dense" else 6)), rng


@pytest.mark.parametrize("T", [1, 2, 7, 12])
@pytest.mark.parametrize("how", ["sequential", "associative"])
@pytest.mark.parametrize("kind", ["dense", "diagonal"])
def test_a_scan_is_the_loop_and_its_gradient_the_difference_quotient(kind, how, T):
    A, v, rng = drawn(kind, T)
    seen = rng.standard_normal(v.shape)  # dL/dh
    states, back = jax.vjp(lambda A, v: scans.linear_scan(kind, how, A, v), jnp.asarray(A), jnp.asarray(v))
    np.testing.assert_allclose(states, naive_states(kind, A, v), rtol=1e-12, atol=1e-12)
    by_A, by_v = back(jnp.asarray(seen))
    np.testing.assert_allclose(
        by_A, naive.gradients(lambda A: (seen * naive_states(kind, A, v)).sum(), A), rtol=1e-6, atol=1e-7
    )
    np.testing.assert_allclose(by_v, naive.gradients(lambda v: (seen * naive_states(kind, A, v)).sum(), v), atol=1e-6)


@pytest.mark.parametrize("kind", ["dense", "diagonal"])
def test_the_gradient_of_a_normalised_scan_is_the_difference_quotient(kind):
    A, v, rng = drawn(kind, 6)
    scale, bias, seen = rng.standard_normal(v.shape[-1]), rng.standard_normal(v.shape[-1]), rng.standard_normal(v.shape)
    mask = np.ones((6, 2, 1))
    mask[:3, 1] = 0

    def total(A, v, scale, bias):
        h, sums = np.zeros(v.shape[1:]), 0.0
        matrix = A if kind == "dense" else np.block([[np.diag(A[0]), -np.diag(A[1])], [np.diag(A[1]), np.diag(A[0])]])
        for step, valid, weight in zip(v, mask, seen, strict=True):
            z = h @ matrix.T + step
            spread = np.sqrt(z.var(axis=-1, keepdims=True) + naive.EPSILON)
            h = valid * ((z - z.mean(axis=-1, keepdims=True)) / spread * scale + bias)
            sums += (weight * h).sum()
        return sums

    given = [A, v, scale, bias]
    states, back = jax.vjp(
        lambda *arrays: scans.normalised_scan(kind, *arrays, jnp.asarray(mask)), *map(jnp.asarray, given)
    )
    assert float((seen * states).sum()) == pytest.approx(total(*given), rel=1e-12)
    for place, gradient in enumerate(back(jnp.asarray(seen))):
        expected = naive.gradients(lambda x, place=place: total(*given[:place], x, *given[place + 1 :]), given[place])
        np.testing.assert_allclose(gradient, expected, atol=2e-6)


CASES = [
    (recurrence, norm, scan)
    for recurrence in ("dense", "diagonal", "lru")
    for norm in ("batch", "layer", "state-layer-norm", "none")
    for scan in ("sequential", "associative")
    if (norm, scan) != ("state-layer-norm", "associative")
]


@pytest.mark.parametrize(("recurrence", "norm", "scan"), CASES)
def test_two_steps_are_those_of_the_naive_model_and_optimiser(recurrence, norm, scan):
    model, parameters, state = small(recurrence=recurrence, norm=norm, scan=scan, layers=1)
    given, targets = sequences(), np.array([0, 1, 1], np.int32)
    train = TrainConfig(batch=3, steps=6, warm_up=2, lr=0.01, lr_factor=0.3)
    functions = compiled(model, "classification", train, train.warm_up, train.steps)
    moving = batch(padded(given, targets), np.arange(3))
    carry, adam, expected = functions.start(parameters, state), naive.Adam(parameters, train, 2, 6), parameters

    def naive_loss(parameters):
        return naive.cross_entropy(parameters, state, given, targets, model.config, "mean")

    for _ in range(2):
        value_before = naive_loss(expected)
        expected = adam.update(expected, naive.gradients(naive_loss, expected))
        carry, value, finite_loss, finite = functions.step(carry, moving, jax.random.key(0))
        assert float(value) == pytest.approx(value_before, rel=1e-7)
        assert finite_loss
        assert finite
    # Adam makes steps of one size of small and of large gradients; their averages show the gradients themselves.
    moments = {name.split(".mu")[1]: leaf for name, leaf in named(carry.optimiser) if ".mu" in name}
    assert moments.keys() == dict(named(adam.first)).keys()
    for name, wanted in named(adam.first):
        np.testing.assert_allclose(moments[name], wanted, rtol=1e-5, atol=1e-8, err_msg=name)
    for (name, result), (_, wanted) in zip(named(carry.parameters), named(expected), strict=True):
        np.testing.assert_allclose(result, wanted, rtol=0, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("recurrence", ["dense", "lru"])
@pytest.mark.parametrize("readout", ["mean", "last", "steps"])
@pytest.mark.parametrize("encoder", ["one-hot", "embedding", "real"])
def test_outputs_are_those_of_the_naive_model(recurrence, readout, encoder):
    tokens = encoder != "real"
    model, parameters, state = small(tokens, readout, recurrence=recurrence, encoder=encoder if tokens else "one-hot")
    given = sequences(tokens=tokens)
    moving = batch(padded(given, np.zeros(3, np.int32)), np.arange(3))
    for train in (True, False):
        outputs = model(parameters, state, moving["inputs"], moving["mask"], train=train)[0]
        expected = naive.outputs(parameters, state, given, model.config, readout, train=train)
        for row, wanted in enumerate(expected):
            result = outputs[-len(wanted) :, row] if readout == "steps" else outputs[row]
            np.testing.assert_allclose(result, wanted, rtol=1e-8, atol=1e-10)


def test_padding_has_no_effect_and_that_of_the_paper_has():
    model, parameters, state = small()
    split = padded(sequences(), np.zeros(3, np.int32))
    wider = Split(np.pad(split.inputs, ((0, 0), (0, 4))), split.lengths, split.targets)
    outputs = []
    for given, counts in ((split, False), (wider, False), (wider, True)):
        moving = batch(given, np.arange(3), padding_counts=counts)
        outputs.append(model(parameters, state, moving["inputs"], moving["mask"], train=True)[0])
    np.testing.assert_allclose(outputs[1], outputs[0], rtol=1e-10)
    whole = [np.asarray(row) for row in wider.inputs]
    expected = naive.outputs(parameters, state, whole, model.config, "mean")
    np.testing.assert_allclose(outputs[2], np.stack(expected), rtol=1e-8)
    assert np.abs(outputs[2] - outputs[0]).max() > 1e-3


def test_losses_are_weighted_means():
    rng = np.random.default_rng(0)
    logits, weights = rng.standard_normal((4, 2, 3)), np.array([[1, 0], [0, 2], [0, 0], [1, 1]], float)
    targets = rng.integers(0, 3, (4, 2))
    total, weight = loss("classification", jnp.asarray(logits), {"targets": targets, "weights": weights})
    chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    expected = sum(-weights[t, b] * np.log(chances[t, b, targets[t, b]]) for t in range(4) for b in range(2))
    assert (float(total), float(weight)) == (pytest.approx(expected), 5.0)
    total, _ = loss("regression", jnp.asarray(logits), {"targets": np.zeros((4, 2, 3)), "weights": weights})
    assert float(total) == pytest.approx((weights * (logits**2).mean(-1)).sum())


def test_batches_end_at_the_last_step_and_predictions_go_back():
    given = sequences((3, 1, 4, 2))
    targets = np.zeros((4, 4), np.int32)
    for row, sequence in zip(targets, given, strict=True):
        row[: len(sequence)] = np.arange(1, len(sequence) + 1)
    split = padded(given, targets)
    moving = batch(split, np.array([3, 0, -1]))
    assert moving["mask"][:, :2].T.tolist() == [[0, 0, 1, 1], [0, 1, 1, 1]]
    assert moving["inputs"][2:, 0].tolist() == given[3].tolist()
    assert moving["targets"][:, 1].tolist()[1:] == [1, 2, 3]
    assert moving["weights"].T.tolist() == [[0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0]]
    every = list(in_turn(split, 3))
    assert [piece["inputs"].shape for piece in every] == [(4, 3), (4, 3)]
    stacked = np.concatenate([piece["targets"].T for piece in every])[:4]
    back = in_place(stacked, split)
    assert all((back[row, :length] == targets[row, :length]).all() for row, length in enumerate(split.lengths))
    weights = (targets == 2).astype(np.float32)
    weighted = batch(padded(given, targets, weights), np.array([3, 0, 1]))
    assert weighted["weights"].T.tolist() == [[0, 0, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert sorted(order(9, 0, 1)) == list(range(9))
    assert order(9, 0, 1).tolist() != order(9, 0, 2).tolist() != order(9, 1, 2).tolist()


def test_scores_of_a_split_that_does_not_fill_its_batches():
    model, parameters, state = small(readout="steps")
    given = sequences((5, 3, 1, 4, 2))
    targets = np.random.default_rng(1).integers(0, CLASSES, (5, 5)).astype(np.int32)
    split = padded(given, targets)
    functions = compiled(model, "classification", TrainConfig(steps=1), 0, 1)
    result, mean_loss = score(functions, "classification", functions.start(parameters, state), split, 2)
    logits = naive.outputs(parameters, state, given, model.config, "steps", train=False)
    right = [(z.argmax(-1) == row[: len(z)]) for z, row in zip(logits, targets, strict=True)]
    assert result == pytest.approx(np.concatenate(right).mean(), abs=1e-7)
    chance = [
        np.log(np.exp(z) / np.exp(z).sum(-1, keepdims=True))[np.arange(len(z)), row[: len(z)]]
        for z, row in zip(logits, targets, strict=True)
    ]
    assert mean_loss == pytest.approx(-np.concatenate(chance).mean(), rel=1e-6)
    broken = jax.tree.map(lambda x: x * np.nan, parameters)
    assert np.isnan(score(functions, "classification", functions.start(broken, state), split, 2)).all()


def test_running_statistics_are_averages_from_the_first_batch_on():
    rng = np.random.default_rng(0)
    state, parameters = doubles(norms.running(3)), doubles(norms.affine(3))
    batches, means, variances = rng.standard_normal((4, 5, 2, 3)), [], []
    mask = np.ones((5, 2, 1))
    mask[0, 1] = 0
    for x in batches:
        y, state = norms.batch_norm(parameters, state, jnp.asarray(x), jnp.asarray(mask), train=True)
        valid = np.asarray(y)[mask[..., 0] > 0]
        np.testing.assert_allclose([valid.mean(0), valid.var(0)], [[0] * 3, [1] * 3], atol=1e-4)
        means.append(x[mask[..., 0] > 0].mean(0))
        variances.append(x[mask[..., 0] > 0].var(0))
    weights = norms.DECAY ** np.arange(4)[::-1]
    np.testing.assert_allclose(state["mean"], np.average(means, axis=0, weights=weights))
    np.testing.assert_allclose(state["var"], np.average(variances, axis=0, weights=weights))


def test_dropout_leaves_out_a_coordinate_at_all_steps_and_keeps_the_mean():
    model, _, _ = small(dropout=0.25)
    x = jnp.ones((6, 400, 10))
    y = np.asarray(model._dropout(x, True, jax.random.key(0), 1))
    assert np.ptp(y, axis=0).max() == 0
    assert set(np.unique(y)) == {0.0, 1 / 0.75}
    assert abs((y[0] == 0).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 4000)
    assert model._dropout(x, False, None, 1) is x
    with pytest.raises(InputError, match="key"):
        model._dropout(x, True, None, 1)


def test_dropout_is_another_at_each_place(monkeypatch):
    model, parameters, state = small(dropout=0.25, layers=3)
    places, dropout = [], Model._dropout
    monkeypatch.setattr(Model, "_dropout", lambda self, x, *given: places.append(given[2]) or dropout(self, x, *given))
    moving = batch(padded(sequences(), np.zeros(3, np.int32)), np.arange(3))
    model(parameters, state, moving["inputs"], moving["mask"], train=True, key=jax.random.key(0))
    assert len(places) == len(set(places)) == 6
    first, second = (dropout(model, jnp.ones((2, 3, 50)), True, jax.random.key(0), place) for place in (0, 1))
    assert not np.array_equal(first, second)


def test_the_schedule_and_the_late_one():
    rate = schedule(1e-3, 1e-7, 3, 10)
    exact = [naive.rate(step, 1e-3, 1e-7, 3, 10) for step in range(10)]
    np.testing.assert_allclose([float(rate(step)) for step in range(10)], exact, rtol=1e-12)
    late = schedule(1e-3, 1e-7, 3, 10, late=True)
    np.testing.assert_allclose([float(late(step)) for step in range(10)], [1e-3, *exact[:-1]], rtol=1e-12)
    assert float(schedule(1e-3, 1e-7, 0, 10)(0)) == 1e-3
    assert float(rate(10)) == pytest.approx(1e-7)


def test_both_rates_end_at_the_smallest_rate():
    # Adam's steps for a constant gradient are as long as the rate.
    train = TrainConfig(steps=9, lr=0.01, lr_factor=0.5, lr_min=0.004, weight_decay=0)
    parameters = {"A": jnp.zeros(1), "W": jnp.zeros(1)}
    rule = optimiser(train, 2, 9)
    held = rule.init(parameters)
    for step in range(9):
        changes, held = rule.update(jax.tree.map(jnp.ones_like, parameters), held, parameters)
        for name, peak in (("A", 0.005), ("W", 0.01)):
            assert float(-changes[name][0]) == pytest.approx(naive.rate(step, peak, 0.004, 2, 9), rel=1e-5)


def test_clipping_cuts_all_gradients_together():
    train = TrainConfig(steps=9, clip=2.0)
    parameters = {"A": jnp.ones(3), "W": jnp.ones(2)}
    clipped, plain = optimiser(train, 0, 9), optimiser(TrainConfig(steps=9), 0, 9)
    held, expected = clipped.init(parameters), plain.init(parameters)
    for gradients in ({"A": jnp.full(3, 4.0), "W": jnp.full(2, 3.0)}, {"A": jnp.full(3, 0.1), "W": jnp.full(2, -0.2)}):
        norm = float(np.sqrt(sum((x**2).sum() for x in gradients.values())))
        cut = jax.tree.map(lambda x, norm=norm: x * min(1, 2.0 / norm), gradients)
        changes, held = clipped.update(gradients, held, parameters)
        wanted, expected = plain.update(cut, expected, parameters)
        for name in parameters:
            np.testing.assert_allclose(changes[name], wanted[name], rtol=1e-6)


def test_the_scan_follows_machine_and_norm(monkeypatch):
    assert scans.method("auto", "batch") == "sequential"
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert scans.method("auto", "batch") == "associative"
    assert scans.method("sequential", "batch") == "sequential"
    assert scans.method("auto", "state-layer-norm") == "sequential"


@pytest.mark.parametrize("recurrence", ["dense", "diagonal", "lru"])
def test_the_recurrence_is_what_has_the_small_rate(recurrence):
    _, parameters, _ = small(recurrence=recurrence)
    layer = groups(parameters)["layers"][0]
    found = {name for name, group in layer.items() if group == "recurrent"}
    assert found == set(RECURRENT) & set(parameters["layers"][0])
    assert len(found) == (4 if recurrence == "lru" else 2)
    assert set(jax.tree.leaves(groups({name: parameters[name] for name in ("encoder", "decoder")}))) == {"rest"}
