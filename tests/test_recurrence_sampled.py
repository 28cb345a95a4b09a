"""Norms sampled from ensembles: dense simulation, an independent lazy oracle, exact means, bits."""

from __future__ import annotations

import math

import numpy as np
import oracles
import pytest
from plain_recurrences import normal, reveal, simulate, squared
from scipy import special

import rmt
from rmt.checks import InputError
from rmt.laws.moments import mean_hidden_norm, mean_power_norm
from rmt.recurrence import sampled

FIELDS = ("real", "complex")


def check_same(first, second):
    """Two samples come from one law, which may be a constant."""
    if first.std() > 1e-9 or second.std() > 1e-9:
        oracles.check_same_law(first, second)
    else:
        np.testing.assert_allclose(first.mean(), second.mean(), atol=1e-9)


def check_same_paths(first, second):
    """Two samples of positive paths agree in law: at single times, in ratios and products, and in the whole."""
    first, second = np.log(first), np.log(second)
    steps = first.shape[1]
    for t in {0, 1, 2, steps // 4, steps // 2, 3 * steps // 4, steps - 2, steps - 1}:
        check_same(first[:, t], second[:, t])
    for early, late in [(0, 1), (1, 2), (steps // 4, steps // 2), (steps // 2, steps - 1), (steps - 2, steps - 1)]:
        check_same(first[:, late] - first[:, early], second[:, late] - second[:, early])
        check_same(first[:, late] + first[:, early], second[:, late] + second[:, early])
    check_same(first.sum(axis=1), second.sum(axis=1))
    check_same(*(np.abs(np.diff(logs, 2, axis=1)).sum(axis=1) for logs in (first, second)))


SIZES = [(64, 32, 1000), (16, 40, 2000), (256, 64, 150), (4, 12, 4000), (1, 5, 4000), (2, 9, 4000)]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(("n", "steps", "samples"), SIZES)
def test_lazy_against_dense(n, steps, samples, field):
    hidden, powers = simulate(n, steps, field, samples, seed=4)
    ensemble = rmt.Ginibre(n, field)
    check_same_paths(rmt.sample_hidden_norms(ensemble, steps, samples, method="lazy", rng=5), hidden)
    check_same_paths(rmt.sample_power_norms(ensemble, steps, samples, method="lazy", rng=6), powers)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("scale", [0.01, 0.5, 2.0])
def test_lazy_scale(field, scale):
    hidden, powers = simulate(8, 20, field, 3000, seed=7, scale=scale)
    ensemble = rmt.Ginibre(8, field, scale)
    check_same_paths(rmt.sample_hidden_norms(ensemble, 20, 3000, method="lazy", rng=8), hidden)
    check_same_paths(rmt.sample_power_norms(ensemble, 20, 3000, method="lazy", rng=9), powers)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(("n", "steps", "samples"), [(10**9, 12, 600), (4, 12, 600), (16, 40, 300)])
def test_lazy_against_plain_reveal(n, steps, samples, field):
    rng = np.random.default_rng(10)
    revealed = np.array([reveal(n, steps, field, rng) for _ in range(samples)])
    found = rmt.sample_hidden_norms(rmt.Ginibre(n, field), steps, 4 * samples, method="lazy", rng=11)
    check_same_paths(found, revealed)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("n", [9, 100, 10_000])
def test_lazy_means_are_exact(field, n):
    steps = int((1.5 if field == "real" else 2) * math.sqrt(n)) if n < 10_000 else 32
    ensemble = rmt.Ginibre(n, field, 1.1)
    hidden = rmt.sample_hidden_norms(ensemble, steps, 4000, rng=12)
    oracles.check_mean(hidden, [mean_hidden_norm(t, n, field, 1.1) for t in range(1, steps + 1)])
    powers = rmt.sample_power_norms(ensemble, steps, 4000, rng=13)
    oracles.check_mean(powers, [mean_power_norm(k, n, field, 1.1) for k in range(steps + 1)])


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("n", [1, 3, 12])
def test_independent_product(field, n):
    ensemble = rmt.IndependentProduct(n, field, 0.9)
    for sample in (rmt.sample_hidden_norms, rmt.sample_power_norms):
        lazy = sample(ensemble, 10, 1000, rng=14)
        np.testing.assert_array_equal(lazy, sample(ensemble, 10, 1000, method="lazy", rng=14))
        check_same_paths(lazy, sample(ensemble, 10, 1000, method="dense", rng=15))
    powers = rmt.sample_power_norms(rmt.IndependentProduct(n, field), 3, 4000, rng=16)
    oracles.check_mean(powers, np.ones(4))
    # By hand, with a fresh matrix at every step.
    rng = np.random.default_rng(17)
    h, path = np.zeros((2000, n)), []
    for _ in range(10):
        W = 0.9 * normal(rng, (2000, n, n), field) / math.sqrt(n)
        h = (W @ h[..., None])[..., 0] + normal(rng, (2000, n), field)
        path.append(squared(h) / n)
    check_same_paths(rmt.sample_hidden_norms(ensemble, 10, 1000, rng=18), np.stack(path, axis=-1))


@pytest.mark.parametrize("field", FIELDS)
def test_dense_is_the_recurrence_of_its_matrix(field):
    hidden, powers = simulate(12, 10, field, 2000, seed=19)
    ensemble = rmt.Ginibre(12, field)
    check_same_paths(rmt.sample_hidden_norms(ensemble, 10, 2000, method="dense", rng=20), hidden)
    check_same_paths(rmt.sample_power_norms(ensemble, 10, 2000, method="dense", rng=21), powers)


@pytest.mark.parametrize("field", FIELDS)
def test_haar_keeps_norms(field):
    np.testing.assert_allclose(rmt.sample_power_norms(rmt.Haar(5, field), 30, 4, rng=22), 1, rtol=1e-12)
    hidden = rmt.sample_hidden_norms(rmt.Haar(5, field), 6, 4000, rng=23)
    oracles.check_mean(hidden, np.arange(1, 7))


@pytest.mark.parametrize("field", FIELDS)
def test_diagonal(field):
    ensemble = rmt.Diagonal(50, "uniform_disc", field)
    t = np.arange(1, 21)
    oracles.check_mean(rmt.sample_hidden_norms(ensemble, 20, 4000, rng=24), np.cumsum(1 / t))
    oracles.check_mean(rmt.sample_power_norms(ensemble, 20, 4000, rng=25), 1 / np.arange(1, 22))
    # Elementwise and as a matrix product: the draws of the inputs are those of one stream.
    constant = rmt.Diagonal(6, "ring", r_min=0.5, r_max=0.5, max_phase=1e-12)
    found = rmt.sample_hidden_norms(constant, 8, 1, inputs=lambda steps, n, rng: np.ones((steps, n)), rng=26)
    np.testing.assert_allclose(found[0], (2 * (1 - 0.5 ** np.arange(1, 9))) ** 2, rtol=1e-9)
    # Never n x n: this matrix would take 640 GB.
    assert np.all(rmt.sample_hidden_norms(rmt.Diagonal(200_000), 2, 1, rng=27) > 0)


@pytest.mark.parametrize("field", FIELDS)
def test_structured_inputs_and_signal(field):
    n, steps = 6, 8
    ensemble = rmt.Ginibre(n, field, 0.8)
    seen = []

    def inputs(steps, n, rng):
        seen.append(rng.standard_normal((steps, n)))
        return seen[-1]

    signal = np.arange(steps * n).reshape(steps, n)
    first = rmt.sample_hidden_norms(ensemble, steps, 1, inputs=inputs, rng=28)
    both = rmt.sample_hidden_norms(ensemble, steps, 1, inputs=inputs, signal=signal, rng=28)
    np.testing.assert_array_equal(seen[0], seen[1])
    summed = rmt.sample_hidden_norms(ensemble, steps, 1, inputs=lambda *_: seen[0] + signal, rng=28)
    # The last callable draws nothing, so the matrix comes from the start of the stream: laws agree, not bits.
    assert first.shape == both.shape == summed.shape == (1, steps)
    assert not np.array_equal(first, both)
    # Given inputs and a deterministic matrix by way of a tiny scale: h_t = x_t.
    tiny = rmt.Ginibre(n, field, 1e-12)
    frozen = np.asfortranarray(signal, float)
    frozen.flags.writeable = False
    found = rmt.sample_hidden_norms(tiny, steps, 1, inputs=lambda *_: frozen, signal=1j * signal, rng=29)
    np.testing.assert_allclose(found[0], 2 * squared(signal) / n, rtol=1e-9)
    # A signal adds to Gaussian inputs: E ||h_1||^2 / n = 1 + ||signal_1||^2 / n.
    found = rmt.sample_hidden_norms(ensemble, 2, 4000, signal=np.full((2, n), 2.0), rng=30)
    oracles.check_mean(found, [5, 5 + 0.64 * 5])


def test_log_scale_of_samples():
    steps = 20_000
    for scale in (3.0, 0.01, 1e200, 1e-200):
        for field in FIELDS:
            logs = rmt.sample_power_norms(rmt.IndependentProduct(10, field, scale), steps, 2, log=True, rng=31)
            half = 10 / (2 if field == "real" else 1)
            mean = 2 * math.log(scale) + special.digamma(half) - math.log(half)
            spread = math.sqrt(special.polygamma(1, half) * steps)
            assert np.all(np.abs(logs[:, -1] - steps * mean) < oracles.MAX_Z * spread)
            assert np.isfinite(logs).all()
    for ensemble in (rmt.Ginibre(4, "real", 3.0), rmt.Ginibre(4, "complex", 0.01), rmt.Diagonal(4, r_max=3.0)):
        for sample in (rmt.sample_hidden_norms, rmt.sample_power_norms):
            logs = sample(ensemble, steps, 2, log=True, rng=32)
            assert np.isfinite(logs).all()
    assert np.all(np.isinf(rmt.sample_power_norms(rmt.Ginibre(4, scale=3.0), steps, 2, rng=33)[:, -1]))


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(("n", "steps"), [(6, 400), (64, 300)])
def test_lazy_growth_beyond_rounding(n, steps, field):
    """Where W h is known up to rounding, paths are as smooth as those of dense matrices."""
    ensemble = rmt.Ginibre(n, field, 3.0)
    lazy = rmt.sample_hidden_norms(ensemble, steps, 400, method="lazy", log=True, rng=34)
    dense = rmt.sample_hidden_norms(ensemble, steps, 400, method="dense", log=True, rng=35)
    for t in (20, steps // 4, steps // 2, steps - 1):
        oracles.check_same_law(lazy[:, t], dense[:, t])
    oracles.check_same_law(lazy[:, -1] - lazy[:, steps // 2], dense[:, -1] - dense[:, steps // 2])
    oracles.check_same_law(*(roughness(logs[:, steps // 2 :]) for logs in (lazy, dense)))
    oracles.check_same_law(*(roughness(logs[:, -6:]) for logs in (lazy, dense)))


def roughness(logs):
    return np.abs(np.diff(logs, 2)).sum(axis=1).clip(1e-6)


def test_lazy_extreme_scales():
    for field in FIELDS:
        big = rmt.sample_hidden_norms(rmt.Ginibre(8, field, 1e200), 5, 20, method="lazy", log=True, rng=36)
        assert np.isfinite(big).all()
        one = rmt.sample_hidden_norms(rmt.Ginibre(8, field, 1e3), 5, 20, method="lazy", log=True, rng=36)
        np.testing.assert_allclose(big - one, 2 * 197 * math.log(10) * np.arange(5) * np.ones((20, 1)), atol=0.2)
        for ensemble in (rmt.Ginibre(8, field, 1e-200), rmt.IndependentProduct(8, field, 1e-200)):
            small = rmt.sample_hidden_norms(ensemble, 400, 20, method="lazy", rng=37)
            oracles.check_mean(small.mean(axis=1), 1.0)


def test_auto_takes_the_faster_way():
    def same(method, ensemble, steps, **options):
        auto = rmt.sample_hidden_norms(ensemble, steps, 2, rng=38, **options)
        np.testing.assert_array_equal(
            auto, rmt.sample_hidden_norms(ensemble, steps, 2, method=method, rng=38, **options)
        )

    same("lazy", rmt.Ginibre(20), 20)
    same("dense", rmt.Ginibre(20), 21)
    same("lazy", rmt.IndependentProduct(20), 50)
    same("dense", rmt.Ginibre(20), 5, signal=np.ones((5, 20)))
    same("dense", rmt.Haar(20), 5)
    lazy = rmt.sample_power_norms(rmt.Ginibre(5), 50, 2, method="lazy", rng=39)
    np.testing.assert_array_equal(rmt.sample_power_norms(rmt.Ginibre(5), 50, 2, rng=39), lazy)


@pytest.mark.parametrize("sample", [rmt.sample_hidden_norms, rmt.sample_power_norms])
@pytest.mark.parametrize("method", ["auto", "lazy"])
def test_iid_normal_entries_are_a_ginibre_matrix(sample, method):
    ginibre, normal = rmt.Ginibre(10**6, "complex", 0.7), rmt.IID(10**6, "normal", "complex", 0.7)
    same = sample(normal, 9, 2, method=method, rng=44)
    np.testing.assert_array_equal(same, sample(ginibre, 9, 2, method="lazy", rng=44))


ENSEMBLES = [
    (rmt.Ginibre(300), "lazy"),
    (rmt.Ginibre(30, "complex"), "dense"),
    (rmt.IndependentProduct(7), "lazy"),
    (rmt.IndependentProduct(7), "dense"),
    (rmt.Diagonal(9), "dense"),
    (rmt.IID(12, "rademacher"), "dense"),
]


@pytest.mark.parametrize(("ensemble", "method"), ENSEMBLES)
def test_bits_depend_on_seed_and_index_only(ensemble, method, monkeypatch):
    for sample in (rmt.sample_hidden_norms, rmt.sample_power_norms):
        monkeypatch.setenv("RMT_NUM_THREADS", "1")
        one = sample(ensemble, 40, 6, method=method, rng=40)
        monkeypatch.setenv("RMT_NUM_THREADS", "2")
        np.testing.assert_array_equal(sample(ensemble, 40, 6, method=method, rng=40), one)
        np.testing.assert_array_equal(sample(ensemble, 40, 3, method=method, rng=40), one[:3])
        monkeypatch.setattr(sampled, "BLOCK", 7 * ensemble.n)
        np.testing.assert_array_equal(sample(ensemble, 40, 6, method=method, rng=40), one)
        monkeypatch.undo()
        assert not np.array_equal(sample(ensemble, 40, 6, method=method, rng=41), one)
        assert len(np.unique(one[:, -1])) == 6
        rng = np.random.default_rng(40)
        np.testing.assert_array_equal(sample(ensemble, 40, 6, method=method, rng=rng), one)
        assert not np.array_equal(sample(ensemble, 40, 6, method=method, rng=rng), one)


def test_bits_do_not_depend_on_blocks_of_inputs(monkeypatch):
    for options in (
        {"signal": np.arange(320).reshape(40, 8)},
        {"inputs": lambda steps, n, rng: rng.random((steps, n))},
    ):
        paths = []
        for block in (1, 24, 1 << 18):
            monkeypatch.setattr(sampled, "BLOCK", block)
            paths.append(rmt.sample_hidden_norms(rmt.Ginibre(8, "complex"), 40, 2, rng=43, **options))
        np.testing.assert_array_equal(paths[0], paths[2])
        np.testing.assert_array_equal(paths[1], paths[2])


@pytest.mark.parametrize("ensemble", [rmt.Ginibre, rmt.IndependentProduct])
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("n", [1, 6, 50])
def test_lazy_prefix_of_a_longer_path(ensemble, field, n):
    """The kernels draw step by step, so a longer path begins with the shorter one, up to the width of blocks."""
    for sample in (rmt.sample_hidden_norms, rmt.sample_power_norms):
        short, long = (sample(ensemble(n, field), steps, 3, method="lazy", rng=42) for steps in (10, 23))
        np.testing.assert_allclose(short, long[:, : short.shape[1]], rtol=1e-10)


BAD_SAMPLED = [
    (lambda: rmt.sample_hidden_norms(np.eye(3), 2, 2), "ensemble must be an rmt ensemble"),
    (lambda: rmt.sample_power_norms("Ginibre", 2, 2), "ensemble must be an rmt ensemble.*'Ginibre'"),
    (lambda: rmt.sample_hidden_norms(rmt.Ginibre(3), 0, 2), "steps must be an integer >= 1"),
    (lambda: rmt.sample_hidden_norms(rmt.Ginibre(3), 2, 0), "size must be an integer >= 1"),
    (lambda: rmt.sample_power_norms(rmt.Ginibre(3), 2.5, 2), "steps must be an integer >= 1, got 2.5"),
    (lambda: rmt.sample_power_norms(rmt.Ginibre(3), 2, True), "size must be an integer >= 1, got True"),
    (lambda: rmt.sample_power_norms(rmt.Ginibre(3), 2, 2, method="fast"), "method must be one of 'auto'"),
    (lambda: rmt.sample_power_norms(rmt.Haar(3), 2, 2, method="lazy"), "'lazy' fits Ginibre.*Haar.*'dense'"),
    (lambda: rmt.sample_hidden_norms(rmt.IID(3, "uniform"), 2, 2, method="lazy"), "'lazy' fits Ginibre.*IID.*'dense'"),
    (
        lambda: rmt.sample_hidden_norms(rmt.Ginibre(3), 2, 2, method="lazy", signal=np.ones((2, 3))),
        "'lazy' fits Ginibre.*no signal.*other inputs.*'dense'",
    ),
    (lambda: rmt.sample_hidden_norms(rmt.Ginibre(3), 2, 2, inputs="normal"), "inputs must be 'gaussian'.*'normal'"),
    (
        lambda: rmt.sample_hidden_norms(rmt.Ginibre(3), 2, 2, inputs=lambda steps, n, rng: np.ones((n, steps))),
        r"result of inputs must have shape \(steps, n\) = \(2, 3\), got shape \(3, 2\)",
    ),
    (
        lambda: rmt.sample_hidden_norms(rmt.Ginibre(3), 2, 2, inputs=lambda *_: np.full((2, 3), math.nan)),
        "result of inputs must be finite",
    ),
    (lambda: rmt.sample_hidden_norms(rmt.Ginibre(3), 2, 2, signal=np.ones(3)), r"signal must have shape.*\(3,\)"),
    (lambda: rmt.sample_hidden_norms(rmt.Ginibre(3), 2, 2, rng="seed"), "rng must be"),
    (lambda: rmt.sample_hidden_norms(rmt.Ginibre(2**63), 2, 2), "n must be .* to 9,007,199,254,740,992, got 92233"),
    (lambda: rmt.sample_power_norms(rmt.IndependentProduct(2**63), 2, 2), "n must be .* to 9,007,199,254,740,992"),
    (lambda: rmt.sample_hidden_norms(rmt.Ginibre(2**63), 2, 2, method="dense"), "n = 9,223,372,.*a vector would take"),
    (lambda: rmt.sample_power_norms(rmt.Haar(10**7), 2, 2), "n = 10,000,000: a matrix would take"),
    (lambda: rmt.sample_hidden_norms(rmt.Ginibre(10**9), 10**7, 1), "steps = 10,000,000: one sample would take"),
    (lambda: rmt.sample_power_norms(rmt.Ginibre(10**9), 10**7, 1), "steps = 10,000,000: one sample would take"),
    (lambda: rmt.sample_hidden_norms(rmt.Ginibre(3), 2, 10**13), "steps = 2 and size = 10,000,000,000,000: the result"),
    (lambda: rmt.sample_power_norms(rmt.IndependentProduct(3), 10**14, 1), "steps = 100,000,000,000,000 and size = 1:"),
]


@pytest.mark.parametrize(("call", "message"), BAD_SAMPLED)
def test_bad_input_of_sampled(call, message):
    with pytest.raises(InputError, match=message):
        call()
