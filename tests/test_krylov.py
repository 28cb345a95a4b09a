import numpy as np
import oracles
import pytest

from rmt.kernels import contour, hessenberg, hyman, radius, scan
from rmt.laws.radius import SpectralRadiusLaw
from rmt.spectra.certificate import CertificationError
from rmt.spectra.krylov import ROUNDING, krylov_radii, krylov_spectra

PARTS = {"real": 1, "complex": 2}
FIELDS = pytest.mark.parametrize("field", ["real", "complex"])


def whole(rng, n, field):
    """The Hessenberg matrix that a stream draws, as a dense array."""
    H = np.zeros((n, n), complex)
    column = np.zeros((PARTS[field], n))
    for j in range(n):
        below = hessenberg.draw_column(rng, n, j, column)
        H[: j + 1, j] = column[0, : j + 1] + (1j * column[1, : j + 1] if field == "complex" else 0)
        if j + 1 < n:
            H[j + 1, j] = below
    return H if field == "complex" else H.real


def drawn(rng, n, k, field):
    """Unit form of the leading block, its scaling, and the block of H/sqrt(n) itself."""
    U, c = np.zeros((k, PARTS[field], k + 8)), np.ones(k + 1)
    hessenberg.draw_unit_columns(rng, n, 0, k, U, c)
    return U, c


def dense(U):
    """The unit form as a dense array."""
    k = len(U)
    H = np.zeros((k, k), complex)
    for j in range(k):
        H[: j + 1, j] = U[j, 0, : j + 1] + (1j * U[j, 1, : j + 1] if U.shape[1] == 2 else 0)
        if j + 1 < k:
            H[j + 1, j] = 1
    return H


def outside(U, k, R, M, unit, S=None):
    """Eigenvalues of the leading block outside a circle, with a workspace for the occasion."""
    larger = len(U)
    if S is None:
        S = U.astype(np.float32)
    return contour.eigenvalues_outside(
        U, S, k, larger, R, M, unit, np.zeros(M + 1, complex), np.zeros((M + 1, 2)),
        np.zeros((M // contour.EVERY + 1, 2)), np.zeros(scan.scan_workspace(larger), np.float32),
        np.zeros((4, larger + 1)),
    )  # fmt: skip


# The draw


@FIELDS
def test_entries_have_their_laws(field):
    n = 6
    H = np.array([whole(rng, n, field) for rng in map(np.random.default_rng, range(4000))])
    for j in range(n):
        for i in range(j + 1):
            oracles.check_mean(H[:, i, j], 0)
            oracles.check_second_moment(H[:, i, j], 1)
        if j + 1 < n:
            assert np.isrealobj(H) or not H[:, j + 1, j].imag.any()
            assert H[:, j + 1, j].real.min() > 0
            oracles.check_second_moment(H[:, j + 1, j], n - 1 - j)
            oracles.check_mean(np.abs(H[:, j + 1, j]) ** 4, (n - 1 - j) * (n - 1 - j + 2 / PARTS[field]))


@FIELDS
def test_enlarging_a_block_draws_the_same_matrix(field):
    n = 30
    H = whole(np.random.default_rng(1), n, field) / np.sqrt(n)
    U, c = np.zeros((n, PARTS[field], n)), np.ones(n + 1)
    rng = np.random.default_rng(1)
    for first, last in ((0, 7), (7, 8), (8, 30)):
        hessenberg.draw_unit_columns(rng, n, first, last, U, c)
    D = np.diag(c[:n])
    assert np.allclose(np.linalg.inv(D) @ H @ D, dense(U), atol=1e-12)
    assert c[n] == 0
    spectrum = np.sort_complex(hessenberg.block_eigenvalues(U, c, 20))
    assert np.allclose(spectrum, np.sort_complex(np.linalg.eigvals(H[:20, :20])), atol=1e-10)


# Hyman's recurrence


@FIELDS
def test_characteristic_polynomial_and_slope(field):
    k = 40
    U, _ = drawn(np.random.default_rng(2), 50, k, field)
    eigenvalues = np.linalg.eigvals(dense(U))
    v = np.zeros((4, k + 1))
    for z in (1.05, -0.3 + 0.9j, 1.2j):
        p, slope = hyman.characteristic(U, k, complex(z), v)
        expected = np.prod(z - eigenvalues)
        assert abs(p - expected) < 1e-9 * abs(expected)
        assert abs(slope - expected * np.sum(1 / (z - eigenvalues))) < 1e-9 * abs(slope)
        leading = np.prod(z - np.linalg.eigvals(dense(U)[:17, :17]))
        assert abs(complex(v[0, 17], v[1, 17]) - leading) < 1e-9 * abs(leading)


@FIELDS
def test_certificate_is_residual_and_error_in_the_whole_matrix(field):
    n, k = 100, 60
    U, c = drawn(np.random.default_rng(3), n, n, field)
    D = np.diag(c[:n])
    H = D @ dense(U) @ np.linalg.inv(D)
    spectrum = np.linalg.eigvals(H)
    true = spectrum[np.argmax(abs(spectrum))]
    v, y = np.zeros((4, k + 1)), np.zeros((2, k))
    z, last, slope = hyman.newton(U, k, true, 1e-9, v)
    hyman.right_vector(U, k, z, y)
    residual, error = hyman.certificate(U, c, k, slope, v, y)
    x = np.zeros(n, complex)
    x[:k] = c[:k] * (y[0] + 1j * y[1])
    assert last < 1e-9
    assert residual == pytest.approx(np.linalg.norm(H @ x - z * x) / np.linalg.norm(x), rel=1e-6)
    assert 1e-12 < abs(z - true) < error < 1e-4


@FIELDS
def test_error_bounds_hold(field):
    n = 144
    for seed in range(40):
        U, c = drawn(np.random.default_rng(seed), n, n, field)
        v, y = np.zeros((4, n + 1)), np.zeros((2, n))
        spectrum = hessenberg.block_eigenvalues(U, c, n)
        start = spectrum[np.argmax(abs(spectrum))]
        best, _, _ = hyman.newton(U, n, start, 1e-9, v)
        z, last, slope = hyman.newton(U, 80, start, 1e-9, v)
        if np.isfinite(last):
            hyman.right_vector(U, 80, z, y)
            assert abs(z - best) < 1e-14 + hyman.certificate(U, c, 80, slope, v, y)[1]


# The argument principle


@FIELDS
@pytest.mark.parametrize("count", [1, 3, 70, 200])
def test_scan_agrees_with_the_double_recurrence(field, count):
    U, _ = drawn(np.random.default_rng(4), 200, 100, field)
    points = 1.03 * np.exp(1j * np.linspace(0, np.pi, count))
    logs, logs_larger = np.zeros((count, 2)), np.zeros((count, 2))
    work = np.zeros(scan.scan_workspace(100), np.float32)
    scan.scan(U.astype(np.float32), 70, 100, points, work, logs, logs_larger)
    v = np.zeros((4, 101))
    for m, z in enumerate(points):
        for k, log in ((70, logs[m]), (100, logs_larger[m])):
            f = hyman.characteristic(U, k, z, v)[0] * z ** (-k)
            assert abs(np.exp(complex(*log)) - f) < 2e-4 * abs(f)


def companion(roots):
    """Unit form of the companion matrix with these eigenvalues, for which nothing needs to be computed."""
    k = len(roots)
    coefficients = np.poly(roots)
    is_real = np.allclose(coefficients.imag, 0, atol=1e-9)
    U = np.zeros((k, 1 if is_real else 2, k + 8))
    U[k - 1, 0, :k] = -coefficients.real[:0:-1]
    if not is_real:
        U[k - 1, 1, :k] = -coefficients.imag[:0:-1]
    return U


@pytest.mark.parametrize(
    ("beyond", "field"),
    [
        ([1.2], "real"),
        ([-1.1], "real"),
        ([1.1, 1.2, -1.15], "real"),
        ([1.1 * np.exp(0.4j), 1.1 * np.exp(-0.4j)], "real"),
        ([1.1 * np.exp(1j), 1.1 * np.exp(-1j), 1.06, -1.2 * np.exp(2j), -1.2 * np.exp(-2j)], "real"),
        ([1.15 + 0.02j, 1.15 - 0.02j], "real"),
        ([1.1j], "complex"),
        ([1.1j, 1.1, -1.07 - 0.2j], "complex"),
    ],
)
def test_count_and_eigenvalues_of_known_matrices(beyond, field):
    inside = 0.8 * np.exp(2j * np.pi * (np.arange(12) + 0.5) / 12)
    U = companion(np.concatenate([beyond, inside]))
    assert U.shape[1] == PARTS[field]
    k = len(U)
    count, z = outside(U, k, 1.02, 256, 0.1)
    assert count == len(beyond)
    z = z[np.argmin(abs(z[:, None] - np.array(beyond)), axis=0)]
    assert np.allclose(z, beyond, atol=1e-6)
    assert outside(U, k, 1.3, 256, 0.1)[0] == 0
    assert outside(U, k, 0.7, 256, 0.1)[0] == k


@FIELDS
def test_counts_of_random_matrices(field):
    n, k = 100, 60
    M = 80 * PARTS[field]
    established = 0
    for seed in range(100):
        U, c = drawn(np.random.default_rng(seed), n, 80, field)
        moduli = abs(hessenberg.block_eigenvalues(U, c, k))
        for R in (0.98, 1.01, 1.04):
            count, z = outside(U, k, R, M, 0.1)
            if count >= 0:
                established += 1
                assert count == np.sum(moduli > R)
            if len(z):
                assert np.allclose(np.sort(abs(z)), np.sort(moduli)[-count:], atol=1e-6)
    assert established > 270


@FIELDS
def test_power_sums_give_their_numbers(field):
    u = np.array([0.9, 0.95 * np.exp(0.5j), 0.95 * np.exp(-0.5j), 0.97j, -0.97j, -0.8])
    if field == "complex":
        u = u * np.exp(0.3j)
    sums = np.array([np.sum(u**q) for q in range(7)])
    found = contour.roots_from_power_sums(sums)
    assert np.allclose(found[np.argmin(abs(found[:, None] - u), axis=0)], u, atol=1e-7)


# Wrong certificates are caught


def test_a_scan_of_another_matrix_is_no_certificate():
    n, k = 100, 60
    wrong = 0
    for seed in range(60):
        U, _ = drawn(np.random.default_rng(seed), n, k, "real")
        other, _ = drawn(np.random.default_rng(1000 + seed), n, k, "real")
        _, z = outside(U, k, 1.01, 80, 0.1, other.astype(np.float32))
        wrong += len(z) > 0
    assert wrong == 0


def test_an_eigenvalue_found_twice_counts_once():
    U = companion([1.2, 1.1, 0.3, -0.5])
    v = np.zeros((4, 5))
    for second, found in ((1.2, 1), (1.11, 2)):
        z = np.array([1.2, second], complex)
        assert hyman.eigenvalues_near(U, 4, z, 1, 1.02, 0.1, v) == found
        assert np.allclose(z[:found], [1.2, 1.1][:found], atol=1e-6)


def test_an_eigenvalue_of_the_larger_block_alone_is_no_certificate():
    U, _ = drawn(np.random.default_rng(5), 100, 80, "real")
    assert outside(U, 60, 1.01, 80, 0.1)[0] >= 0
    U[70, 0, 70] += 1.2
    assert outside(U, 60, 1.01, 80, 0.1)[0] == -1


@pytest.mark.parametrize("circles", [[3.0], [0.5], [0.5, 3.0]])
def test_useless_circles_lead_to_qr(circles):
    n = 150
    work = radius.workspace(n, 1)
    for seed in range(5):
        expected = abs(np.linalg.eigvals(whole(np.random.default_rng(seed), n, "real"))).max()
        found = radius.sample_radius(np.random.default_rng(seed), n, np.array(circles), len(circles) - 1, work)
        assert found[3] == radius.QR
        assert found[0] * np.sqrt(n) == pytest.approx(expected, rel=1e-10)


def test_too_few_columns_are_no_certificate():
    n = 400
    work = radius.workspace(n, 1, 8.0)
    circles = np.array([1.0])
    codes = [radius.sample_radius(np.random.default_rng(seed), n, circles, 0, work)[3] for seed in range(60)]
    assert codes.count(radius.FAILED) > 5
    assert all(codes[i] == radius.FAILED or codes[i] >= radius.QR for i in range(60))


def test_larger_workspaces_are_found(monkeypatch):
    expected = krylov_radii(400, "real", 40, rng=0)
    monkeypatch.setattr("rmt.spectra.krylov.CAPACITY", 8.0)
    monkeypatch.setattr("rmt.spectra.krylov.workspace", lambda n, parts, c=8.0: radius.workspace(n, parts, c))
    found = krylov_radii(400, "real", 40, rng=0)
    assert np.allclose(found.radius, expected.radius, rtol=1e-12)
    assert found.error.max() <= largest_error(400)


@FIELDS
def test_without_a_certificate_all_eigenvalues_decide(field, monkeypatch):
    def failing(rng, n, radii, start, work):
        return 0.5, np.inf, np.inf, radius.FAILED

    monkeypatch.setattr("rmt.spectra.krylov.sample_radius", failing)
    sample = krylov_radii(150, field, 3, rng=2)
    assert np.allclose(sample.radius, abs(krylov_spectra(150, field, 3, rng=2)).max(axis=1), rtol=1e-14)
    assert (sample.retries == radius.FAILED).all()
    assert np.isnan(sample.error).all()
    monkeypatch.setattr("rmt.spectra.krylov.draw_eigenvalues", lambda rng, n, parts: np.full(n, np.nan))
    with pytest.raises(CertificationError, match="n = 150 has no certificate"):
        krylov_radii(150, field, 3, rng=2)


# Whole samples


def largest_error(n):
    """What the rest of the matrix may cause, and rounding."""
    return radius.TOLERANCE + ROUNDING * np.sqrt(min(n, radius.LARGER * np.sqrt(n)))


def check_against_the_whole(n, field, size, seed):
    sample = krylov_radii(n, field, size, rng=seed)
    exact = abs(krylov_spectra(n, field, size, rng=seed)).max(axis=1)
    assert np.abs(sample.radius / exact - 1).max() < 1e-10
    assert sample.error.max() <= largest_error(n)
    return sample


@pytest.mark.parametrize("n", [1, 2, 3, 5, 16, 23, 24, 25, 26, 30, 36, 37, 49, 65, 100, 101])
@FIELDS
def test_every_small_size(n, field):
    check_against_the_whole(n, field, 10, n)


@pytest.mark.parametrize(("n", "size"), [(2, 300), (5, 300), (24, 300), (64, 300), (100, 300)])
def test_the_error_bounds_the_difference_from_qr(n, size):
    sample = krylov_radii(n, "real", size, rng=7)
    exact = abs(krylov_spectra(n, "real", size, rng=7)).max(axis=1)
    assert np.all(np.abs(sample.radius / exact - 1) <= sample.error)


@pytest.mark.parametrize(("n", "field", "size"), [(64, "real", 1000), (64, "complex", 300), (256, "real", 100)])
def test_radius_of_the_whole_matrix(n, field, size):
    sample = check_against_the_whole(n, field, size, 11)
    assert np.mean(sample.retries == 0) > 0.97
    assert np.mean(sample.retries == radius.QR) < 0.01


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("n", "field", "size"),
    [(64, "real", 50_000), (100, "real", 10_000), (256, "real", 4000), (1024, "real", 100), (256, "complex", 1000)],
)
def test_radius_of_the_whole_matrix_at_length(n, field, size):
    check_against_the_whole(n, field, size, 12)


@pytest.mark.parametrize(("n", "field"), [(64, "real"), (100, "real"), (100, "complex")])
def test_radii_follow_the_exact_law(n, field):
    sample = krylov_radii(n, field, 4000, rng=13)
    oracles.check_law(sample.radius, SpectralRadiusLaw(n, field, np.sqrt(n)).cdf)


@pytest.mark.heavy
@pytest.mark.parametrize("n", [64, 100, 257, 1024, 4096])
@FIELDS
def test_radii_follow_the_exact_law_at_length(n, field):
    sample = krylov_radii(n, field, 100_000 if n < 1000 else 10_000, rng=14)
    oracles.check_law(sample.radius, SpectralRadiusLaw(n, field, np.sqrt(n)).cdf)


@pytest.mark.heavy
@pytest.mark.parametrize("n", [100_000, 1_000_000])
def test_large_matrices(n):
    sample = krylov_radii(n, "real", 2, rng=15)
    assert sample.error.max() <= largest_error(n)
    assert np.all(np.abs(sample.radius / np.sqrt(n) - 1) < 0.01)


@FIELDS
def test_samples_depend_on_rng_and_index_only(field, monkeypatch):
    monkeypatch.setenv("RMT_NUM_THREADS", "1")
    expected = krylov_radii(90, field, 40, rng=16).radius
    assert np.array_equal(krylov_radii(90, field, 7, rng=16).radius, expected[:7])
    monkeypatch.setenv("RMT_NUM_THREADS", "2")
    assert np.array_equal(krylov_radii(90, field, 40, rng=16).radius, expected)
    assert not np.isin(krylov_radii(90, field, 40, rng=17).radius, expected).any()


@FIELDS
def test_spectra_are_those_of_the_matrix_drawn(field):
    generator = np.random.default_rng(18)
    H = whole(generator, 20, field)
    values = hessenberg.draw_eigenvalues(np.random.default_rng(18), 20, PARTS[field])
    expected = np.linalg.eigvals(H)
    assert np.allclose(values[np.argmin(abs(values[:, None] - expected), axis=0)], expected, atol=1e-10)
