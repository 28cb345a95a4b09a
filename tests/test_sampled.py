import math

import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import rmt
from rmt import parallel
from rmt.checks import InputError
from rmt.laws.radius import SpectralRadiusLaw
from rmt.spectra.sampled import same_spectrum
from rmt.streams import streams


@pytest.mark.parametrize("n", [1, 2, 3, 5, 10, 11, 50, 51])
@pytest.mark.parametrize("field", ["real", "complex"])
def test_dense_radius_follows_the_exact_law(n, field):
    ensemble = rmt.Ginibre(n, field, scale=0.7)
    x = rmt.sample_spectral_radius(ensemble, 3000 if n < 20 else 1000, method="dense", rng=n)
    oracles.check_law(x, SpectralRadiusLaw(n, field, 0.7).cdf)


@pytest.mark.parametrize(
    "ensemble",
    [
        rmt.Ginibre(8, scale=2.0),
        rmt.Ginibre(9, "complex"),
        rmt.IID(8, "normal", "complex", 0.5),
        rmt.Diagonal(7, "glorot", "real"),
        rmt.Diagonal(20, "rescaled_glorot"),
    ],
    ids=repr,
)
def test_the_law_is_that_of_the_dense_samples(ensemble):
    dense = rmt.sample_spectral_radius(ensemble, 1500, method="dense", rng=1)
    law = rmt.sample_spectral_radius(ensemble, 15_000, method="law", rng=2)
    oracles.check_same_law(dense, law)
    assert np.array_equal(law, rmt.sample_spectral_radius(ensemble, 15_000, rng=2))


def test_large_matrices_are_sampled_by_their_law():
    x = rmt.sample_spectral_radius(rmt.glorot(1e12, "complex"), 3, rng=0)
    assert np.all(np.abs(x - 1) < 1e-4)


def test_radii_that_are_known_without_a_matrix():
    assert np.array_equal(rmt.sample_spectral_radius(rmt.Haar(10**6), 4), np.ones(4))
    assert np.array_equal(rmt.sample_spectral_radius(rmt.Haar(10), 2, method="dense"), np.ones(2))
    x = rmt.sample_spectral_radius(rmt.Diagonal(1000), 2000, rng=0)
    oracles.check_law(x, lambda r: r**2000)
    x = rmt.sample_spectral_radius(rmt.Diagonal(9, "ring", "real", r_min=0.5), 2000, rng=0)
    oracles.check_law(x, lambda r: ((r**2 - 0.25) / 0.75) ** 5)


@pytest.mark.parametrize(("n", "expected"), [(2, math.sqrt(2)), (3, 1 + math.sqrt(2) / 2), (10, 2.92799349)])
def test_mean_number_of_real_eigenvalues(n, expected):
    x = rmt.sample_eigenvalues(rmt.glorot(n), 4000, rng=n)
    oracles.check_mean((x.imag == 0).sum(axis=1), expected)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_probability_that_all_eigenvalues_are_real(n):
    x = rmt.sample_eigenvalues(rmt.glorot(n), 4000, rng=n)
    number = (x.imag == 0).sum(axis=1)
    oracles.check_proportion((number == n).sum(), len(x), 2 ** (-n * (n - 1) / 4))
    if n == 4:
        oracles.check_proportion((number == 2).sum(), len(x), -1 / 4 + 11 * math.sqrt(2) / 16)


def test_squared_moduli_of_complex_eigenvalues_are_gammas():
    # As a set (Kostlan 1992); hence the largest, and the smallest, of independent Gamma(k), k = 1..n.
    n, scale = 6, 0.7
    spectra = rmt.sample_eigenvalues(rmt.Ginibre(n, "complex", scale), 3000, rng=0)
    moduli = rmt.sample_eigenvalue_moduli(rmt.Ginibre(n, "complex", scale), 3000, rng=1)
    assert moduli.shape == (3000, n)
    k = np.arange(1, n + 1)
    for x in (np.abs(spectra), moduli):
        _check_kostlan(np.sort(n * (x / scale) ** 2), k)


def _check_kostlan(x, k):
    oracles.check_law(x[:, -1], lambda t: stats.gamma.cdf(t[:, None], k).prod(axis=1))
    oracles.check_law(x[:, 0], lambda t: 1 - stats.gamma.sf(t[:, None], k).prod(axis=1))


def test_moduli_of_the_others_are_those_of_their_eigenvalues():
    for ensemble in (rmt.glorot(5), rmt.Haar(4, "complex"), rmt.Diagonal(6)):
        x = rmt.sample_eigenvalue_moduli(ensemble, 3, rng=2)
        assert np.array_equal(x, np.abs(rmt.sample_eigenvalues(ensemble, 3, rng=2)))


def test_moduli_depend_on_rng_and_index_only():
    ensemble = rmt.glorot(7, "complex")
    nine = rmt.sample_eigenvalue_moduli(ensemble, 9, rng=5)
    assert np.array_equal(nine[:4], rmt.sample_eigenvalue_moduli(ensemble, 4, rng=5))
    with pytest.raises(rmt.checks.InputError, match="size must be"):
        rmt.sample_eigenvalue_moduli(ensemble, 0)
    with pytest.raises(rmt.checks.InputError, match="single matrix"):
        rmt.sample_eigenvalue_moduli(rmt.IndependentProduct(4), 1)


def test_moduli_use_all_threads_and_keep_their_bits(monkeypatch):
    n, used = 50, []
    map_ = parallel.thread_map
    monkeypatch.setattr(parallel, "thread_map", lambda *arguments: used.append(1) or map_(*arguments))
    moduli = rmt.sample_eigenvalue_moduli(rmt.Ginibre(n, "complex", 0.7), 9, rng=5)
    squares = [stream.standard_gamma(np.arange(1, n + 1)) for stream in streams(5, 9)]
    assert np.array_equal(moduli, 0.7 * np.sqrt(np.array(squares) / n))
    assert used


def test_phases_of_unitary_eigenvalues():
    x = rmt.sample_eigenvalues(rmt.Haar(7, "complex"), 2000, rng=0)
    assert np.allclose(np.abs(x), 1, atol=1e-13)
    oracles.check_law(np.angle(x[:, 0] * x[:, 1:].prod(axis=1)), stats.uniform(-math.pi, 2 * math.pi).cdf)
    oracles.check_second_moment((x**3).sum(axis=1), 3)


SEVERAL = [
    rmt.Ginibre(12),
    rmt.Ginibre(12, "complex"),
    rmt.IID(12, "rademacher"),
    rmt.Diagonal(12, "ring", r_min=0.5),
    rmt.Diagonal(12, "glorot"),
    rmt.Haar(12),
    rmt.StateSpace(rmt.glorot(12), 0.1),
]
EACH = pytest.mark.parametrize("ensemble", SEVERAL, ids=repr)


@EACH
@pytest.mark.parametrize("method", ["auto", "dense"])
def test_radius_samples_depend_on_rng_and_index_only(ensemble, method, monkeypatch):
    monkeypatch.setenv("RMT_NUM_THREADS", "1")
    nine = rmt.sample_spectral_radius(ensemble, 9, method=method, rng=5)
    assert nine.shape == (9,)
    assert nine.dtype == np.float64
    assert np.array_equal(nine[:4], rmt.sample_spectral_radius(ensemble, 4, method=method, rng=5))
    for threads in ("2", "3"):
        monkeypatch.setenv("RMT_NUM_THREADS", threads)
        assert np.array_equal(nine, rmt.sample_spectral_radius(ensemble, 9, method=method, rng=5))
    if not isinstance(ensemble, rmt.Haar):
        shared = np.random.default_rng(5)
        assert np.array_equal(nine, rmt.sample_spectral_radius(ensemble, 9, method=method, rng=shared))
        assert len(set(nine) | set(rmt.sample_spectral_radius(ensemble, 9, method=method, rng=shared))) == 18


@EACH
def test_eigenvalue_samples_depend_on_rng_and_index_only(ensemble, monkeypatch):
    monkeypatch.setenv("RMT_NUM_THREADS", "1")
    nine = rmt.sample_eigenvalues(ensemble, 9, rng=5)
    assert nine.shape == (9, 12)
    assert nine.dtype == np.complex128
    assert np.array_equal(nine[:4], rmt.sample_eigenvalues(ensemble, 4, rng=5))
    monkeypatch.setenv("RMT_NUM_THREADS", "2")
    assert np.array_equal(nine, rmt.sample_eigenvalues(ensemble, 9, rng=5))
    assert not np.allclose(nine, rmt.sample_eigenvalues(ensemble, 9, rng=6))


@EACH
def test_radius_is_the_largest_modulus_of_the_same_draw(ensemble):
    # All eigenvalues of a Ginibre matrix come from its Hessenberg form, as the radius by "krylov" does.
    method = "dense" if same_spectrum(ensemble) is None else "krylov"
    radius = rmt.sample_spectral_radius(ensemble, 5, method=method, rng=8)
    spectrum = rmt.sample_eigenvalues(ensemble, 5, rng=8)
    assert np.allclose(radius, np.abs(spectrum).max(axis=1), rtol=1e-13)


def test_which_ensembles_have_the_spectrum_of_ginibre():
    assert same_spectrum(rmt.halved_glorot(4)) == rmt.Ginibre(4, scale=0.5)
    assert same_spectrum(rmt.IID(4, "normal", "complex", 3)) == rmt.Ginibre(4, "complex", 3)
    assert same_spectrum(rmt.Diagonal(4, "glorot", "real")) == rmt.Ginibre(4)
    for other in (rmt.IID(4, "uniform"), rmt.Diagonal(4), rmt.Haar(4), rmt.StateSpace(rmt.glorot(4), 1)):
        assert same_spectrum(other) is None


BAD = [
    (lambda: rmt.sample_spectral_radius(rmt.IID(4, "uniform"), 2, method="law"), "'auto' or 'dense' for IID"),
    (lambda: rmt.sample_spectral_radius(rmt.Haar(4), 2, method="law"), "'auto' or 'dense' for Haar"),
    (lambda: rmt.sample_spectral_radius(rmt.Haar(4), 2, method="krylov"), "'auto' or 'dense' for Haar"),
    (lambda: rmt.sample_spectral_radius(rmt.glorot(70_000), 2, method="law"), "65,536"),
    (lambda: rmt.sample_spectral_radius(rmt.glorot(1e8), 2), "10,000,000"),
    (lambda: rmt.sample_spectral_radius(rmt.glorot(4), 2, method="exact"), "method must"),
    (lambda: rmt.sample_spectral_radius(rmt.glorot(4), 0), "size must"),
    (lambda: rmt.sample_spectral_radius(rmt.glorot(4), 2, rng=-1), "rng must"),
    (lambda: rmt.sample_spectral_radius(np.eye(3), 2), "ensemble must"),
    (lambda: rmt.sample_spectral_radius(rmt.IndependentProduct(4), 2), "single matrix"),
    (lambda: rmt.sample_spectral_radius(rmt.IndependentProduct(4), 2, method="law"), "single matrix"),
    (lambda: rmt.sample_eigenvalues(rmt.IndependentProduct(4), 2), "single matrix"),
    (lambda: rmt.sample_eigenvalues(rmt.glorot(4), 1.5), "size must"),
    (lambda: rmt.sample_eigenvalues("glorot", 2), "ensemble must"),
    (lambda: rmt.sample_eigenvalues(rmt.glorot(10**7), 1), "n = 10,000,000: the Hessenberg form would take .* GiB"),
    (lambda: rmt.sample_eigenvalues(rmt.IID(10**7, "uniform"), 1), "n = 10,000,000: a matrix would take .* GiB"),
    (lambda: rmt.sample_eigenvalues(rmt.glorot(4), 10**13), "size = 10,000,000,000,000: the result would take"),
    (lambda: rmt.sample_spectral_radius(rmt.IID(10**7, "uniform"), 1), "n = 10,000,000: a matrix would take"),
    (lambda: rmt.sample_spectral_radius(rmt.glorot(4), 10**13), "size = 10,000,000,000,000: the result would take"),
    (lambda: rmt.sample_eigenvalue_moduli(rmt.glorot(10**13, "complex"), 1), "n = 10,000,000,000,000 and size = 1:"),
    (lambda: rmt.glorot(10**7).draw(rng=0), "n = 10,000,000: a matrix would take"),
    (lambda: rmt.glorot(1000).draw(10**9, rng=0), "n = 1,000 and size = 1,000,000,000: the result would take"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 2**32), st.sampled_from(rmt.checks.FIELDS))
def test_shapes_for_any_size(n, size, seed, field):
    x = rmt.sample_eigenvalues(rmt.glorot(n, field), size, rng=seed)
    assert x.shape == (size, n)
    if field == "real":
        assert np.allclose(x.sum(axis=1).imag, 0, atol=1e-12)
    radius = rmt.sample_spectral_radius(rmt.glorot(n, field), size, method="krylov", rng=seed)
    assert np.allclose(radius, np.abs(x).max(axis=1), rtol=1e-12)
