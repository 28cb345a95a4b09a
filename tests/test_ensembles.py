import math
import pickle
from dataclasses import FrozenInstanceError, dataclass

import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

import rmt
from rmt.checks import InputError
from rmt.ensembles.base import Ensemble
from rmt.laws.gumbel import rescaled_gain

N = 5
TRUNCATED_STD = 0.87962566103423978  # of a standard normal between -2 and 2

moment = integrate.quad(lambda x: x**4 * stats.truncnorm.pdf(x, -2, 2), -2, 2)[0]
TRUNCATED_KURTOSIS = moment / TRUNCATED_STD**4


@dataclass
class Row:
    """An ensemble, E|w|^2 and E|w|^4 / (E|w|^2)^2 of its entries; None where entries have no common law."""

    ensemble: Ensemble
    variance: float | None = None
    kurtosis: float | None = None


# A new ensemble is one new file and one new line here.
TABLE = [
    Row(rmt.Ginibre(N), 1 / N, 3),
    Row(rmt.Ginibre(N, "complex", 3.0), 9 / N, 2),
    Row(rmt.glorot(N, "complex"), 1 / N, 2),
    Row(rmt.halved_glorot(N), 1 / (4 * N), 3),
    Row(rmt.halved_variance_glorot(N), 1 / (2 * N), 3),
    Row(rmt.rescaled_glorot(N), rescaled_gain(N) ** 2 / N, 3),
    Row(rmt.rescaled_glorot(N, "complex", alpha=0.1), rescaled_gain(N, "complex", alpha=0.1) ** 2 / N, 2),
    Row(rmt.truncated_glorot(N), TRUNCATED_STD**2 / N, TRUNCATED_KURTOSIS),
    Row(rmt.truncated_glorot(N, corrected=True), 1 / N, TRUNCATED_KURTOSIS),
    Row(rmt.IID(N, scale=2.0), 4 / N, 3),
    Row(rmt.IID(N, "normal", "complex"), 1 / N, 2),
    Row(rmt.IID(N, "uniform"), 1 / N, 9 / 5),
    Row(rmt.IID(N, "uniform", "complex"), 1 / N, 7 / 5),
    Row(rmt.IID(N, "rademacher", scale=0.5), 0.25 / N, 1),
    Row(rmt.IID(N, "rademacher", "complex"), 1 / N, 1),
    Row(rmt.IID(N, "student_t", df=20), 1 / N, 3 * 18 / 16),
    Row(rmt.IID(N, "truncated_normal"), 1 / N, TRUNCATED_KURTOSIS),
    Row(rmt.IID(N, "truncated_normal", "complex", 2.0, bound=2.0), 4 / N, (TRUNCATED_KURTOSIS + 1) / 2),
    Row(rmt.Haar(N), 1 / N, 3 * N / (N + 2)),
    Row(rmt.Haar(N, "complex"), 1 / N, 2 * N / (N + 1)),
    Row(rmt.IndependentProduct(N, scale=2.0), 4 / N, 3),
    Row(rmt.IndependentProduct(N, "complex"), 1 / N, 2),
    Row(rmt.Diagonal(N)),
    Row(rmt.Diagonal(N, field="real", r_max=0.5)),
    Row(rmt.Diagonal(N, "ring", r_min=0.5, r_max=0.9, max_phase=1.0)),
    Row(rmt.Diagonal(N, "ring", "real", r_min=0.5)),
    Row(rmt.Diagonal(N, "glorot")),
    Row(rmt.Diagonal(N, "glorot", "real")),
    Row(rmt.Diagonal(N, "rescaled_glorot")),
    Row(rmt.StateSpace(rmt.glorot(N), step=0.1, shift=-1.0)),
    Row(rmt.StateSpace(rmt.glorot(N, "complex"), step=0.3, method="zoh")),
    Row(rmt.StateSpace(rmt.IID(N, "uniform"), step=1e-3, shift=2.0, method="euler")),
    Row(rmt.StateSpace(rmt.Diagonal(N, "glorot", "real"), step=0.1)),
]
EVERY = pytest.mark.parametrize("ensemble", [row.ensemble for row in TABLE], ids=repr)
WITH_MOMENTS = pytest.mark.parametrize(
    "row", [row for row in TABLE if row.variance], ids=lambda row: repr(row.ensemble)
)
WITH_SPECTRUM = pytest.mark.parametrize(
    "ensemble",
    [row.ensemble for row in TABLE if not isinstance(row.ensemble, rmt.IndependentProduct)],
    ids=repr,
)


@EVERY
def test_draws_have_shape_and_type(ensemble):
    field_dtype = np.complex128 if ensemble.field == "complex" else np.float64
    if not isinstance(getattr(ensemble, "base", ensemble), rmt.Diagonal):
        assert ensemble.dtype == field_dtype
    assert ensemble.draw(rng=0).shape == (N, N)
    assert ensemble.draw(3, rng=0).shape == (3, N, N)
    assert ensemble.draw(rng=0).dtype == ensemble.draw(2, rng=0).dtype == ensemble.dtype


@EVERY
def test_sample_i_depends_on_rng_and_i_only(ensemble):
    ten = ensemble.draw(10, rng=3)
    assert np.array_equal(ten[:4], ensemble.draw(4, rng=3))
    assert np.array_equal(ten[0], ensemble.draw(rng=3))
    assert not np.allclose(ten[0], ten[1])
    assert not np.allclose(ten[0], ensemble.draw(rng=4))
    shared = np.random.default_rng(3)
    assert np.array_equal(ten[:2], [ensemble.draw(rng=shared), ensemble.draw(rng=shared)])


@EVERY
def test_global_state_is_left_alone(ensemble):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    ensemble.draw(rng=0)
    ensemble.draw()
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@EVERY
def test_descriptions_are_frozen_values(ensemble):
    with pytest.raises(FrozenInstanceError):
        ensemble.n = 3
    ensemble.draw(rng=0)
    again = pickle.loads(pickle.dumps(ensemble))
    assert again == ensemble
    assert hash(again) == hash(ensemble)
    assert eval(repr(ensemble), vars(rmt)) == ensemble


@WITH_MOMENTS
def test_entries_have_the_stated_moments(row):
    W = row.ensemble.draw(20_000, rng=1)
    oracles.check_mean(W, 0)
    oracles.check_second_moment(W, row.variance)
    # The same average over all entries, for the fourth moment: entries of one matrix need not be independent.
    fourth = (np.abs(W) ** 4).mean(axis=(1, 2)) / row.variance**2
    oracles.check_mean(fourth, row.kurtosis)


@WITH_MOMENTS
def test_entries_are_uncorrelated_and_circular(row):
    w = row.ensemble.draw(10_000, rng=2).reshape(-1, N * N)[:, [0, 1, 2, N, N + 1, 2 * N]]
    products = w[:, :, None] * w[:, None, :].conj()
    oracles.check_mean(products, row.variance * np.eye(6))
    if row.ensemble.field == "complex":
        oracles.check_mean(w[:, :, None] * w[:, None, :], 0)


def same_set(first, second):
    # As the roots of one polynomial: multiple eigenvalues, which random signs have, are ill-conditioned.
    return np.allclose(np.poly(first), np.poly(second), rtol=1e-10, atol=1e-12)


@WITH_SPECTRUM
def test_eigenvalues_are_those_of_the_matrix(ensemble):
    for seed in range(20):
        known = ensemble.eigenvalues(np.random.default_rng(seed))
        assert known.shape == (N,)
        assert known.dtype == np.complex128
        matrix = ensemble.matrix(np.random.default_rng(seed))
        assert same_set(known, np.linalg.eigvals(matrix))
        radius = ensemble.radius(np.random.default_rng(seed))
        assert radius == pytest.approx(np.abs(known).max(), rel=1e-12)
        if ensemble.field == "real":
            assert same_set(known, known.conj())


@WITH_SPECTRUM
def test_draw_eigenvalues_does_not_depend_on_size(ensemble):
    many = ensemble.draw_eigenvalues(6, rng=1)
    assert many.shape == (6, N)
    assert np.array_equal(many[:2], ensemble.draw_eigenvalues(2, rng=1))
    assert np.array_equal(many[0], ensemble.draw_eigenvalues(rng=1))


def test_diagonal_matrices_hold_their_eigenvalues():
    ensemble = rmt.Diagonal(4, "ring", r_min=0.2)
    assert np.array_equal(ensemble.draw(rng=0), np.diag(ensemble.draw_eigenvalues(rng=0)))


BAD = [
    (lambda: rmt.Ginibre(0), "n must"),
    (lambda: rmt.Ginibre(2.5), "n must"),
    (lambda: rmt.Ginibre(True), "n must"),
    (lambda: rmt.Ginibre(3, "quaternion"), "field must"),
    (lambda: rmt.Ginibre(3, scale=0), "scale must"),
    (lambda: rmt.Ginibre(3, scale=math.nan), "scale must"),
    (lambda: rmt.glorot(-1), "n must"),
    (lambda: rmt.rescaled_glorot(100, rule="paper"), "164"),
    (lambda: rmt.rescaled_glorot(200, rule="paper", alpha=0.1), "alpha"),
    (lambda: rmt.truncated_glorot(3, bound=-2), "bound must"),
    (lambda: rmt.truncated_glorot(3, bound=math.inf), "bound must"),
    (lambda: rmt.IID(3, "cauchy"), "entry must"),
    (lambda: rmt.IID(3, "student_t"), "df must"),
    (lambda: rmt.IID(3, "student_t", df=2), "df must"),
    (lambda: rmt.IID(3, "uniform", df=3), "df applies"),
    (lambda: rmt.IID(3, "student_t", df=3, bound=2), "bound applies"),
    (lambda: rmt.IID(3, "truncated_normal", bound=0), "bound must"),
    (lambda: rmt.IID(3, scale=math.inf), "scale must"),
    (lambda: rmt.Diagonal(3, "square"), "spectrum must"),
    (lambda: rmt.Diagonal(3, r_min=0.5), "r_min applies to 'ring' only"),
    (lambda: rmt.Diagonal(3, "glorot", r_max=0.5), "r_max applies to 'uniform_disc' and 'ring'"),
    (lambda: rmt.Diagonal(3, "uniform_disc", max_phase=1), "max_phase applies"),
    (lambda: rmt.Diagonal(3, "ring", r_min=0.9, r_max=0.8), "r_min must"),
    (lambda: rmt.Diagonal(3, "ring", r_min=-0.1), "r_min must"),
    (lambda: rmt.Diagonal(3, "ring", r_max=0), "r_max must"),
    (lambda: rmt.Diagonal(3, "ring", max_phase=7), "max_phase must"),
    (lambda: rmt.Diagonal(3, "ring", max_phase=0), "max_phase must"),
    (lambda: rmt.Haar(0), "n must"),
    (lambda: rmt.Haar(3, "real symmetric"), "field must"),
    (lambda: rmt.IndependentProduct(3, scale=-1), "scale must"),
    (lambda: rmt.StateSpace(np.eye(3), 0.1), "base must"),
    (lambda: rmt.StateSpace(rmt.IndependentProduct(3), 0.1), "base must"),
    (lambda: rmt.StateSpace(rmt.glorot(3), 0), "step must"),
    (lambda: rmt.StateSpace(rmt.glorot(3), 0.1, math.nan), "shift must"),
    (lambda: rmt.StateSpace(rmt.glorot(3), 0.1, method="tustin"), "method must"),
    (lambda: rmt.glorot(3).draw(0), "size must"),
    (lambda: rmt.glorot(3).draw(2.5), "size must"),
    (lambda: rmt.glorot(3).draw(rng="seed"), "rng must"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_descriptions_of_huge_matrices_cost_nothing():
    assert rmt.Ginibre(1e12, "complex").n == 10**12


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.integers(1, 7), st.integers(1, 4), st.integers(0, 2**32), st.sampled_from(rmt.checks.FIELDS))
def test_any_size_can_be_drawn(n, size, seed, field):
    for ensemble in (
        rmt.Ginibre(n, field),
        rmt.IID(n, "uniform", field),
        rmt.Haar(n, field),
        rmt.Diagonal(n, "ring", field),
        rmt.Diagonal(n, "glorot", field),
        rmt.StateSpace(rmt.glorot(n, field), 0.1),
    ):
        W = ensemble.draw(size, rng=seed)
        assert W.shape == (size, n, n)
        assert np.isfinite(W).all()
        assert np.array_equal(W, ensemble.draw(size, rng=np.random.default_rng(seed)))


@dataclass(frozen=True)
class Own(Ensemble):
    """A user's ensemble, which returns what it is told to."""

    n: int
    value: object

    def matrix(self, rng):
        return self.value


DRAWS = [
    lambda ensemble: ensemble.draw(rng=0),
    lambda ensemble: ensemble.draw(2, rng=0),
    lambda ensemble: ensemble.draw_eigenvalues(rng=0),
    lambda ensemble: rmt.sample_spectral_radius(ensemble, 2, rng=0),
    lambda ensemble: rmt.sample_eigenvalues(ensemble, 2, rng=0),
    lambda ensemble: rmt.sample_eigenvalue_moduli(ensemble, 2, rng=0),
    lambda ensemble: rmt.sample_power_norms(ensemble, 3, 2, rng=0),
    lambda ensemble: rmt.sample_hidden_norms(ensemble, 3, 2, rng=0),
    lambda ensemble: rmt.sample_spectral_radius(rmt.StateSpace(ensemble, 0.1), 2, rng=0),
    lambda ensemble: rmt.StateSpace(ensemble, 0.1).draw(rng=0),
]


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.ones(4), r"must have shape \(4, 4\), got shape \(4,\)"),
        (np.ones((4, 3)), r"must have shape \(4, 4\), got shape \(4, 3\)"),
        (np.ones((3, 3)), r"must have shape \(4, 4\), got shape \(3, 3\)"),
        (np.full((4, 4), np.nan), "must be finite"),
        (np.full((4, 4), 1j), "must be real, as its field is 'real', got complex128"),
        (np.full((4, 4), None), "must be a numeric array, got dtype object"),
        (None, "must be a numeric array, got None"),
    ],
)
def test_what_an_own_ensemble_returns_is_checked_before_lapack_gets_it(draw, value, message):
    with pytest.raises(InputError, match=r"matrix\(rng\) of Own\(.*" + message):
        draw(Own(4, value))


@pytest.mark.parametrize("kind", ["f4", "i8", "?", ">f8", "list", "transposed", "strided"])
def test_an_own_ensemble_may_return_any_real_square(kind):
    """What used to reach LAPACK as it was: an aborted process, or numbers from nowhere."""
    W = np.round(rmt.glorot(6).draw(rng=1) * 9)
    value = {"list": W.tolist(), "transposed": W.T, "strided": np.repeat(W, 2, axis=1)[:, ::2]}.get(kind)
    if value is None:
        value = W.astype(kind)
    expected = np.abs(np.linalg.eigvals(np.array(value, float))).max()
    assert rmt.sample_spectral_radius(Own(6, value), 2, rng=0) == pytest.approx(expected, rel=1e-6)
    assert Own(6, value).draw(2).dtype == np.float64
    assert rmt.sample_power_norms(Own(6, value), 2, 2, method="dense", rng=0).shape == (2, 3)


def test_own_eigenvalues_are_checked_too():
    class Spectrum(Own):
        def eigenvalues(self, rng):
            return self.value

    for draw in (
        lambda one: one.draw_eigenvalues(),
        lambda one: rmt.sample_spectral_radius(one, 1),
        lambda one: rmt.sample_eigenvalues(one, 1),
    ):
        with pytest.raises(InputError, match=r"eigenvalues\(rng\) of .* must have shape \(4,\), got shape \(3,\)"):
            draw(Spectrum(4, np.ones(3)))
    assert rmt.sample_spectral_radius(Spectrum(2, [0.5, -3]), 1) == 3


def test_a_subclass_with_a_matrix_of_its_own_is_not_taken_for_its_base():
    class Zero(rmt.Ginibre):
        def matrix(self, rng):
            return np.zeros((self.n, self.n))

    assert rmt.sample_spectral_radius(Zero(5), 2, rng=0).tolist() == [0, 0]
    assert rmt.sample_power_norms(Zero(5), 1, 1, rng=0)[0, 1] == 0
    with pytest.raises(InputError, match="method"):
        rmt.sample_hidden_norms(Zero(5), 1, 1, method="lazy")


def test_a_matrix_is_asked_for_where_an_ensemble_is_given():
    with pytest.raises(InputError, match=r"got Ginibre\(n=8.*its draw\(\) returns a matrix"):
        rmt.spectral_radius(rmt.glorot(8))
    with pytest.raises(InputError, match=r"ensemble must be .*\.\.\.$"):
        rmt.sample_hidden_norms(np.ones((50, 50)), 1, 1)
