import math

import numpy as np
import oracles
import pytest
from scipy import stats

import rmt
from rmt.checks import InputError
from rmt.ensembles.iid import truncated_normal_std

TRUNCATED_STD = 0.87962566103423978  # of a standard normal between -2 and 2

LAWS = {
    "normal": (rmt.IID(3, "normal", scale=2.0), stats.norm()),
    "ginibre": (rmt.Ginibre(3, scale=0.7), stats.norm()),
    "uniform": (rmt.IID(3, "uniform"), stats.uniform(-math.sqrt(3), 2 * math.sqrt(3))),
    "student": (rmt.IID(3, "student_t", df=2.5), stats.t(2.5, scale=math.sqrt(0.5 / 2.5))),
    "truncated": (rmt.IID(3, "truncated_normal", bound=1.5), stats.truncnorm(-1.5, 1.5)),
    "barely truncated": (rmt.IID(3, "truncated_normal", bound=40), stats.norm()),
    "nearly uniform": (rmt.IID(3, "truncated_normal", bound=1e-5), stats.uniform(-1e-5, 2e-5)),
}


@pytest.mark.parametrize("name", LAWS)
def test_entries_follow_their_law(name):
    ensemble, law = LAWS[name]
    entries = ensemble.draw(2000, rng=5) * math.sqrt(3) / ensemble.scale
    if name in ("truncated", "nearly uniform"):
        entries *= law.std()
    oracles.check_law(entries, law.cdf)
    if isinstance(ensemble, rmt.IID):
        parts = rmt.IID(3, ensemble.entry, "complex", 1.0, ensemble.df, ensemble.bound).draw(1000, rng=6)
        parts = np.stack([parts.real, parts.imag]) * math.sqrt(6)
        oracles.check_law(parts * (law.std() if name in ("truncated", "nearly uniform") else 1), law.cdf)


def test_rademacher_entries_are_fair_signs():
    W = rmt.IID(4, "rademacher").draw(2000, rng=0)
    assert np.array_equal(np.unique(W), [-0.5, 0.5])
    oracles.check_proportion((W > 0).sum(), W.size, 0.5)


@pytest.mark.parametrize("bound", [1e-6, 0.01, 1.0, 2.0, 5.0, 50.0])
def test_truncated_std(bound):
    phi, mass = stats.norm.pdf(bound), 2 * stats.norm.cdf(bound) - 1
    if bound == 1e-6:
        assert truncated_normal_std(bound) == pytest.approx(bound / math.sqrt(3), rel=1e-12)
    else:
        assert truncated_normal_std(bound) == pytest.approx(math.sqrt(1 - 2 * bound * phi / mass), rel=1e-9)
    assert truncated_normal_std(2.0) == pytest.approx(TRUNCATED_STD, rel=1e-15)


def test_truncated_glorot_stays_within_its_bound():
    W = rmt.truncated_glorot(16, bound=1.5).draw(100, rng=0)
    assert 1.49 < np.abs(W).max() * 4 <= 1.5 + 1e-12


def test_glorot_family_is_ginibre():
    assert rmt.glorot(7, "complex") == rmt.Ginibre(7, "complex", 1.0)
    assert rmt.halved_glorot(7) == rmt.Ginibre(7, "real", 0.5)
    assert rmt.halved_variance_glorot(7) == rmt.Ginibre(7, "real", math.sqrt(0.5))
    assert np.allclose(rmt.halved_glorot(7).draw(rng=0), rmt.glorot(7).draw(rng=0) / 2)


@pytest.mark.parametrize(
    ("n", "options", "gain"),
    [(192, {}, 0.93596108), (192, {"rule": "paper"}, 0.81744940), (64, {"n_std": 0}, 1 / 1.056801573768)],
)
def test_rescaled_glorot_has_the_scale_of_its_gain(n, options, gain):
    assert rmt.rescaled_glorot(n, **options).scale == pytest.approx(gain, rel=1e-8)


def test_rescaled_glorot_exceeds_radius_one_with_probability_alpha():
    ensemble = rmt.rescaled_glorot(20, alpha=0.3)
    radii = rmt.sample_spectral_radius(ensemble, 2000, method="dense", rng=0)
    oracles.check_proportion((radii > 1).sum(), len(radii), 0.3)


@pytest.mark.parametrize("k", [1, 2, 3, 7])
def test_unitary_traces(k):
    n = 5
    U = rmt.Haar(n, "complex").draw(20_000, rng=k)
    traces = np.trace(np.linalg.matrix_power(U, k), axis1=1, axis2=2)
    oracles.check_mean(traces, 0)
    oracles.check_second_moment(traces, min(k, n))
    if k == 1:
        oracles.check_mean(np.abs(traces) ** 4, 2)


def test_orthogonal_traces():
    Q = rmt.Haar(5).draw(20_000, rng=1)
    traces = np.trace(Q, axis1=1, axis2=2)
    for power, expected in ((1, 0), (2, 1), (3, 0), (4, 3)):
        oracles.check_mean(traces**power, expected)
    oracles.check_mean(np.trace(Q @ Q, axis1=1, axis2=2), 1)
    oracles.check_proportion((np.linalg.det(Q) > 0).sum(), len(Q), 0.5)


@pytest.mark.parametrize("field", ["real", "complex"])
def test_haar_matrices_are_unitary(field):
    U = rmt.Haar(30, field).draw(20, rng=0)
    assert np.allclose(U @ U.conj().swapaxes(1, 2), np.eye(30), atol=1e-13)


def test_haar_of_one_or_two_dimensions():
    signs = rmt.Haar(1).draw(2000, rng=0).ravel()
    assert np.array_equal(np.unique(signs), [-1, 1])
    oracles.check_proportion((signs > 0).sum(), 2000, 0.5)
    uniform = stats.uniform(-math.pi, 2 * math.pi).cdf
    oracles.check_law(np.angle(rmt.Haar(1, "complex").draw(2000, rng=0)), uniform)
    Q = rmt.Haar(2).draw(2000, rng=0)
    oracles.check_law(np.arctan2(Q[:, 1, 0], Q[:, 0, 0]), uniform)


def test_uniform_disc():
    radius = 1.5
    x = rmt.Diagonal(4, r_max=radius).draw_eigenvalues(3000, rng=0)
    oracles.check_law(np.abs(x), lambda r: (r / radius) ** 2)  # density 2 r / radius^2
    oracles.check_law(np.angle(x), stats.uniform(-math.pi, 2 * math.pi).cdf)
    oracles.check_law(x.real, stats.semicircular(scale=radius).cdf)
    oracles.check_mean(x[:, :, None] * x[:, None].conj(), np.eye(4) * radius**2 / 2)
    oracles.check_mean((np.abs(x[:, :3]) ** 2 - radius**2 / 2) * (np.abs(x[:, 1:]) ** 2 - radius**2 / 2), 0)


@pytest.mark.parametrize("max_phase", [0.3, math.pi, 2 * math.pi])
def test_ring(max_phase):
    x = rmt.Diagonal(3, "ring", r_min=0.4, r_max=0.9, max_phase=max_phase).draw_eigenvalues(3000, rng=1)
    oracles.check_law(np.abs(x) ** 2, stats.uniform(0.16, 0.81 - 0.16).cdf)
    phase = np.angle(x) % (2 * math.pi)
    oracles.check_law(phase, stats.uniform(0, max_phase).cdf)
    oracles.check_mean((np.abs(x) ** 2 - (0.16 + 0.81) / 2) * (phase - max_phase / 2), 0)


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("max_phase", [1.0, 2.0, 2 * math.pi])
def test_real_ring_has_conjugate_pairs(n, max_phase):
    x = rmt.Diagonal(n, "ring", "real", r_min=0.5, max_phase=max_phase).draw_eigenvalues(3000, rng=n)
    pairs = x[:, : n - n % 2]
    assert np.array_equal(pairs[:, 0::2], pairs[:, 1::2].conj())
    oracles.check_law(np.abs(x[:, ::2]) ** 2, stats.uniform(0.25, 0.75).cdf)
    if n > 1:
        oracles.check_law(np.angle(pairs[:, 0::2]) % (2 * math.pi), stats.uniform(0, max_phase).cdf)
    if n % 2:
        assert not x[:, -1].imag.any()
        phase = stats.uniform(0, max_phase)
        positive = phase.cdf(math.pi / 2) + phase.sf(3 * math.pi / 2)
        oracles.check_proportion((x[:, -1].real > 0).sum(), len(x), positive)


def test_thin_ring():
    x = rmt.Diagonal(6, "ring", r_min=0.7, r_max=0.7).draw_eigenvalues(10, rng=0)
    assert np.allclose(np.abs(x), 0.7)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_diagonal_glorot_has_the_moments_of_ginibre(k):
    n = 4
    x = rmt.Diagonal(n, "glorot").draw_eigenvalues(20_000, rng=k)
    expected = n / (k + 1) * math.prod(1 + j / n for j in range(1, k + 1))
    oracles.check_mean((np.abs(x) ** (2 * k)).sum(axis=1), expected)


def test_diagonal_glorot_is_a_joint_spectrum():
    # E|det|^2 = n!/n^n; independent moduli of the same mean density would give 0.5625 for n = 2.
    x = rmt.Diagonal(2, "glorot").draw_eigenvalues(20_000, rng=0)
    oracles.check_second_moment(x.prod(axis=1), 0.5)
    # Real: E tr W^2 = 1, and sqrt(2) of the two eigenvalues are real on average (Edelman 1997).
    x = rmt.Diagonal(2, "glorot", "real").draw_eigenvalues(20_000, rng=0)
    oracles.check_mean((x**2).sum(axis=1).real, 1)
    oracles.check_proportion((x.imag == 0).all(axis=1).sum(), len(x), math.sqrt(0.5))


def test_state_space_rules_agree_to_their_orders():
    base = rmt.glorot(6)
    gaps = {}
    for step in (0.01, 0.005):
        exact = rmt.StateSpace(base, step, -0.5, "zoh").draw(rng=0)
        for method in ("bilinear", "euler"):
            W = rmt.StateSpace(base, step, -0.5, method).draw(rng=0)
            gaps[method, step] = np.linalg.norm(W - exact)
    assert gaps["bilinear", 0.01] / gaps["bilinear", 0.005] == pytest.approx(8, rel=0.1)
    assert gaps["euler", 0.01] / gaps["euler", 0.005] == pytest.approx(4, rel=0.1)


def test_zero_order_hold_is_a_semigroup():
    once = rmt.StateSpace(rmt.glorot(6), 0.4, -0.5, "zoh").draw(rng=0)
    half = rmt.StateSpace(rmt.glorot(6), 0.2, -0.5, "zoh").draw(rng=0)
    assert np.allclose(half @ half, once, atol=1e-13)


def test_bilinear_and_hold_keep_stability():
    for method in ("bilinear", "zoh"):
        ensemble = rmt.StateSpace(rmt.glorot(20), 5.0, shift=-3.0, method=method)
        assert np.abs(ensemble.draw_eigenvalues(50, rng=0)).max() < 1


def test_product_has_factors_but_no_spectrum():
    product = rmt.IndependentProduct(4, "complex", 0.5)
    assert np.array_equal(product.draw(rng=0), rmt.Ginibre(4, "complex", 0.5).draw(rng=0))
    with pytest.raises(InputError, match="no single spectrum"):
        product.draw_eigenvalues(rng=0)
