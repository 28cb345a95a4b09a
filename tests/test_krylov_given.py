import numpy as np
import pytest
from scipy import sparse
from scipy.linalg import block_diag, circulant
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, aslinearoperator, eigs

import rmt
from rmt.kernels.reduction import hessenberg_eigenvalues, hessenberg_form
from rmt.kernels.ritz import eigenpair
from rmt.spectra import arnoldi, certificate, edge
from rmt.spectra import given as spectra_given
from rmt.spectra.certificate import CertificationError

STATISTICS = [(rmt.spectral_radius, np.abs), (rmt.spectral_abscissa, np.real)]
EACH = pytest.mark.parametrize(("statistic", "criterion"), STATISTICS)
PROVEN = {"dense", "hessenberg"}


def never_wrong(n, field, draws, seed):
    """Compare both routes with all eigenvalues, and return how often each method led to the value."""
    used = []
    for i in range(draws):
        W = rmt.glorot(n, field).draw(rng=(seed, i))
        spectrum = np.linalg.eigvals(W)
        radius, abscissa = np.abs(spectrum).max(), spectrum.real.max()
        for method in ("auto", "krylov"):
            result = rmt.spectral_radius(W[None], method=method, full_output=True)
            assert abs(result.value[0] - radius) < 1e-9 * radius, (method, i)
            assert result.residual[0] < 1e-9
            assert result.proven[0] == (result.method[0] in PROVEN)
            used.append((method, str(result.method[0])))
        assert abs(rmt.spectral_abscissa(W, method="krylov") - abscissa) < 1e-9 * radius
    return {key: used.count(key) / draws for key in set(used)}


@pytest.mark.parametrize(("n", "field", "draws"), [(256, "real", 200), (256, "complex", 20), (1024, "real", 3)])
def test_never_wrong(n, field, draws):
    used = never_wrong(n, field, draws, 0)
    assert used["auto", "hessenberg"] > 0.95
    assert used["krylov", "krylov"] > 0.95


@pytest.mark.heavy
@pytest.mark.parametrize(("n", "draws"), [(256, 10_000), (1024, 1_000)])
def test_never_wrong_in_many_draws(n, draws):
    used = never_wrong(n, "real", draws, 1)
    assert used["auto", "hessenberg"] > 0.98
    assert used["krylov", "krylov"] > 0.98


def test_right_where_arpack_is_wrong():
    missed = 0
    for i in range(40):
        W = rmt.glorot(256).draw(rng=i)
        radius = np.abs(np.linalg.eigvals(W)).max()
        try:
            arpack = abs(eigs(W, k=1, return_eigenvectors=False, v0=np.ones(256))[0])
        except ArpackNoConvergence:  # older versions of SciPy give up now and then, which is no wrong answer
            continue
        if abs(arpack - radius) > 1e-6:
            missed += 1
            assert rmt.spectral_radius(W) == pytest.approx(radius, rel=1e-9)
            assert rmt.spectral_radius(W, method="krylov") == pytest.approx(radius, rel=1e-9)
    assert missed > 0


def zoo(n=180):  # 12 sqrt(n) < n: no Krylov space is the whole
    rng = np.random.default_rng(7)
    G = rng.standard_normal((n, n)) / np.sqrt(n)
    blocks = [rng.standard_normal((3, 3)), np.diag([1.5, -1.5001]), G[:50, :50]]
    yield "orthogonal", rmt.Haar(n).draw(rng=0), {"dense"}
    yield "unitary", rmt.Haar(n, "complex").draw(rng=0), {"dense"}
    yield "permutation", np.eye(n)[rng.permutation(n)], {"dense"}
    yield "cyclic shift", np.roll(np.eye(n), 1, axis=0), {"dense"}
    yield "circulant", circulant(G[0]), None
    yield "zero", np.zeros((n, n)), None
    yield "identity", np.eye(n), None
    yield "minus identity", -np.eye(n), None
    yield "block diagonal", block_diag(G[: n // 2, : n // 2], 1.1 * G[n // 2 :, n // 2 :]), None
    yield "small blocks", block_diag(G, *blocks), None
    yield "triangular", np.triu(G), None
    yield "strictly triangular", np.triu(G, 1), {"dense"}
    yield "symmetric", G + G.T, None
    yield "skew", G - G.T, None
    yield "positive", np.abs(G), None
    yield "rank one", np.outer(G[0], G[1]), None
    yield "shifted", 5 * np.eye(n) + G, None
    yield "complex", G + 1j * G.T, None
    yield "huge", 1e304 * G, None
    yield "tiny", 1e-304 * G, None


ZOO = list(zoo())


@EACH
@pytest.mark.parametrize("method", ["auto", "krylov", "sparse"])
@pytest.mark.parametrize(("W", "allowed"), [case[1:] for case in ZOO], ids=[case[0] for case in ZOO])
def test_structured_matrices(statistic, criterion, method, W, allowed):
    spectrum = rmt.kernels.eigenvalues.eigenvalues(W)
    given = sparse.csr_array(W) if method == "sparse" else W
    result = statistic(given, method="krylov" if method == "krylov" else "auto", full_output=True)
    assert abs(result.value - criterion(spectrum).max()) <= 1e-9 * np.abs(spectrum).max()
    assert result.residual <= 1e-9 * np.abs(W).max()
    assert allowed is None or result.method in allowed


@pytest.mark.parametrize("size", [2, 3, 5])
def test_defective_matrices_within_the_backward_error(size):
    # Jordan blocks, turned: a perturbation of size e moves the eigenvalue by e^(1/size).
    n = 120
    Q = rmt.Haar(n).draw(rng=3)
    W = Q @ np.kron(np.diag(np.linspace(0.1, 1, n // size)), np.eye(size)) @ Q.T
    W += Q @ np.kron(np.eye(n // size), np.eye(size, k=1)) @ Q.T
    for method in ("auto", "krylov"):
        result = rmt.spectral_radius(W, method=method, full_output=True)
        assert result.residual < 1e-13
        assert abs(result.value - 1) < 10 * (n * 1e-16) ** (1 / size)


@EACH
def test_an_isolated_eigenvalue_in_a_small_block_of_a_large_sparse_matrix(statistic, criterion):
    n = 30_000
    bulk = 0.4 * sparse.random_array((n, n), density=5 / n, rng=np.random.default_rng(0))
    W = sparse.block_diag([bulk, np.array([[0.0, 40.0], [0.1, 0.0]])], format="csr")
    result = statistic(W, full_output=True)
    assert result.value == pytest.approx(2, rel=1e-9)
    assert (result.method, result.proven) == ("krylov", False)
    assert statistic(aslinearoperator(W)) == pytest.approx(2, rel=1e-9)


def test_too_large_to_fall_back():
    n = 20_000
    shift = sparse.csr_array((np.ones(n), (np.arange(n), (np.arange(n) + 1) % n)), shape=(n, n))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spectra_given, "LAST_LIMIT", 0.5)
        with pytest.raises(CertificationError, match="20,000 > 16,384"):
            rmt.spectral_radius(shift)
        patch.setattr(spectra_given, "MAX_BASIS", 20_000 * 30)
        with pytest.raises(CertificationError, match=r"at most 30 dimensions \(the lesser of .* and 600,000 / n\)"):
            rmt.spectral_radius(shift)
    with pytest.raises(rmt.checks.InputError, match="n <= 16,384"):
        rmt.spectral_radius(shift, method="dense")
    assert rmt.spectral_radius(sparse.csr_array((n, n))) == 0


def operator(function, dtype=float, n=100):
    return LinearOperator((n, n), matvec=function, dtype=dtype)


@EACH
def test_operators(statistic, criterion):
    for field in ("real", "complex"):
        W = rmt.glorot(300, field).draw(rng=1)
        expected = criterion(np.linalg.eigvals(W)).max()
        for factor in (1.0, 1e300, 1e-300):
            scaled = operator(lambda v, W=factor * W: W @ v, W.dtype, 300)
            result = statistic(scaled, full_output=True)
            assert result.value == pytest.approx(factor * expected, rel=1e-9)
            assert result.method == "krylov"
            assert result.residual < 1e-9 * factor


@EACH
@pytest.mark.parametrize(
    "bad",
    [
        operator(lambda v: np.full(100, np.nan)),
        operator(lambda v: np.full(100, np.inf)),
        operator(lambda v: np.ones(99)),
        operator(lambda v: 1j * v),
        operator(lambda v: v, object),
        sparse.csr_array(np.full((100, 100), np.inf)),
    ],
)
def test_bad_operators_are_refused(statistic, criterion, bad):
    with pytest.raises(rmt.checks.InputError, match="W"):
        statistic(bad)


def test_an_operator_that_is_not_linear_is_not_believed(monkeypatch):
    # Multiplication by the largest entry: no Ritz vector passes the explicit residual.
    monkeypatch.setattr(spectra_given, "MAX_DENSE_N", 50)
    W = rmt.glorot(100).draw(rng=0)
    with pytest.raises(CertificationError):
        rmt.spectral_radius(operator(lambda v: W @ v * (1 + 0.1 * np.sin(1e3 * v[0]))))


@EACH
def test_batches_and_threads(statistic, criterion, monkeypatch):
    W = np.stack([rmt.glorot(100).draw(rng=0), rmt.Haar(100).draw(rng=0), np.zeros((100, 100))])
    results = []
    for threads in ("1", "3"):
        monkeypatch.setenv("RMT_NUM_THREADS", threads)
        results.append(statistic(W, method="krylov", full_output=True))
    assert np.array_equal(results[0].value, results[1].value)
    assert results[0].method.tolist() == ["krylov", "dense", "krylov"]
    assert results[0].proven.tolist() == [False, True, False]
    for i in range(3):
        assert statistic(W[i], method="krylov") == results[0].value[i]


def test_tol_is_reached_and_costs():
    W = rmt.glorot(400).draw(rng=2)
    radius = np.abs(np.linalg.eigvals(W)).max()
    products = []
    for tol in (1e-3, 1e-7, 1e-12):
        count = []
        value = rmt.spectral_radius(operator(lambda v, c=count: (c.append(1), W @ v)[1], n=400), tol=tol)
        assert abs(value - radius) < tol * radius
        products.append(len(count))
    assert products[0] < products[1] < products[2]


def blind_first_space(monkeypatch, W):
    """Let the start vector of the first Krylov space lack the leading pair of W: no left eigenvector sees it."""
    values, left = np.linalg.eig(W.T)
    lead = left[:, np.argmax(np.abs(values))]
    basis = np.linalg.qr(np.column_stack([lead.real, lead.imag]) if lead.imag.any() else lead[:, None].real)[0]

    class Blind(arnoldi.Arnoldi):
        def __init__(self, n, dtype, limit, seed):
            super().__init__(n, dtype, limit, seed)
            if seed == 1:
                self.V[0] -= basis @ (basis.T @ self.V[0])
                self.V[0] /= np.linalg.norm(self.V[0])

    monkeypatch.setattr(arnoldi, "Arnoldi", Blind)


def test_the_second_start_vector_finds_what_the_first_missed(monkeypatch):
    # The first space is blind to the leading pair, up to rounding, and its own leading pair converges.
    W = rmt.glorot(256).draw(rng=0)
    radius = np.abs(np.linalg.eigvals(W)).max()
    blind_first_space(monkeypatch, W)
    first = arnoldi.Arnoldi(256, np.float64, 160, 1)
    arnoldi._extend(lambda rows: rows @ W.T, (first, 120))
    assert abs(first.outermost(np.abs).value) < radius - 1e-3
    assert rmt.spectral_radius(W, method="krylov") == pytest.approx(radius, rel=1e-9)


@pytest.mark.parametrize("runner_up", [0.9999, -0.9999, -1, 1])
def test_two_eigenvalues_that_are_almost_as_far_out(monkeypatch, runner_up):
    W = block_diag([[1.0]], [[runner_up]], 0.6 * rmt.glorot(200).draw(rng=0))
    W = (Q := rmt.Haar(202).draw(rng=1)) @ W @ Q.T
    for _ in range(2):
        assert rmt.spectral_radius(W, method="krylov") == pytest.approx(1, rel=1e-11)
        blind_first_space(monkeypatch, W)


def test_a_pair_that_the_matrix_does_not_confirm_is_not_returned(monkeypatch):
    W = rmt.glorot(120).draw(rng=5)
    assert rmt.spectral_radius(W, method="krylov", full_output=True).method == "krylov"
    monkeypatch.setattr(arnoldi, "_residual", lambda product, space, pair: 1e-3)
    assert rmt.spectral_radius(W, method="krylov", full_output=True).method == "hessenberg"


@pytest.mark.parametrize("field", ["real", "complex"])
def test_hessenberg_form_and_its_eigenpairs(field):
    W = rmt.glorot(40, field).draw(rng=1)
    H = hessenberg_form(W)
    expected = np.sort_complex(np.linalg.eigvals(W))
    assert np.allclose(np.sort_complex(hessenberg_eigenvalues(H)), expected, atol=1e-12)
    T = np.tril(H, 1).T.copy()
    z, x, residual, overlap = eigenpair(T, expected[-1] + 1e-6, np.linalg.norm(T))
    assert abs(z - expected[-1]) < 1e-12
    assert np.linalg.norm(T @ x - z * x) < 1e-13
    assert residual < 1e-13
    values, right = np.linalg.eig(T)
    left = np.linalg.inv(right)[np.argmin(np.abs(values - z))]
    assert overlap == pytest.approx(1 / np.linalg.norm(left), rel=1e-8)


def count(W, moduli, columns=None):
    H = hessenberg_form(W)
    return certificate._by_count(H, columns or len(H), np.array(moduli))


def test_the_count_does_not_believe_the_block():
    # Told that the radius is smaller than it is, it finds the eigenvalues further out all the same, or gives up.
    n = 256
    for seed in range(20):
        W = rmt.glorot(n).draw(rng=seed)
        moduli = np.sort(np.abs(np.linalg.eigvals(W)))[::-1]
        for skipped in (1, 2, 4, 8):
            found = count(W, moduli[skipped:])
            assert found is None or abs(found) == pytest.approx(moduli[0], rel=1e-9)
            found = count(W, moduli[skipped:], 96)
            assert found is None or abs(found) == pytest.approx(moduli[0], rel=1e-9)
        for columns in (None, 96):
            assert count(W, 0.5 * moduli, columns) is None
            assert count(W, 1.5 * moduli, columns) is None


def test_the_block_that_lacks_the_leading_pair_is_not_believed():
    # The first columns of the Hessenberg form belong to the Krylov space of e_1, to which a decoupled pair is unknown.
    n = 256
    for seed in range(5):
        W = rmt.glorot(n).draw(rng=seed)
        radius = np.abs(np.linalg.eigvals(W[:-2, :-2])).max()
        W[:, -2:] = W[-2:] = 0
        for factor in (0.97, 1.001, 1.03, 3.0):  # of the radius of the rest: not seen by it, nor in it
            a = factor * radius / np.sqrt(2)
            W[-2:, -2:] = [[a, a], [-a, a]]
            result = rmt.spectral_radius(W, full_output=True)
            assert result.value == pytest.approx(max(1, factor) * radius, rel=1e-9)
            assert result.proven


@pytest.mark.parametrize("field", ["real", "complex"])
def test_the_outermost_of_a_hessenberg_matrix_are_all_outside_of_the_circle(field):
    sizes = []
    for n, k in ((256, 96), (400, 150), (1024, 192), (150, 150)):
        for seed in range(10):
            H = hessenberg_form(rmt.glorot(n, field).draw(rng=seed))[:k]
            z, R = edge.outermost(H, n)
            expected = hessenberg_eigenvalues(H[:, :k])
            expected = expected[np.abs(expected) > R]
            assert len(z) == len(expected) > 0
            assert np.abs(z[:, None] - expected).min(axis=1).max() < 1e-3 / np.sqrt(n)
            assert np.abs(z[:, None] - expected).min(axis=0).max() < 1e-3 / np.sqrt(n)
            if field == "real":
                assert np.count_nonzero(z.imag > 0) == np.count_nonzero(z.imag < 0)
                assert np.all((z.imag == 0) | (np.abs(z.imag) > 1e-4 / np.sqrt(n)))
            sizes.append(len(z))
    assert 2 < np.mean(sizes) < 10


def test_no_circle_for_a_matrix_without_an_edge():
    assert edge.outermost(np.zeros((100, 104)), 1000) is None  # without a scale
    shift = np.diag(np.ones(99), -1).T.copy()
    shift[-1, 0] = 1.0
    assert edge.outermost(shift, 1000) is None  # its block has no scale, and all its eigenvalues lie on one circle


def test_what_the_count_misses_is_missed_by_jensen(monkeypatch):
    # Take a leading pair out of what the count found: the mean of log|f| still knows of it.
    original = edge.eigenvalues_outside

    def short(*arguments):
        w, z = original(*arguments)
        if w < 4 or len(z) == 0:
            return w if w >= 4 else -1, z[:0]
        rest = np.abs(z) < np.abs(z).max() - 1e-6
        return int(rest.sum()), z[rest]

    monkeypatch.setattr(edge, "eigenvalues_outside", short)
    for seed in range(10):
        W = rmt.glorot(256).draw(rng=seed)
        assert rmt.spectral_radius(W, full_output=True).method == "dense"


def test_single_precision_that_fails_is_noticed(monkeypatch):
    original = edge.eigenvalues_outside

    def noisy(U, S, k, larger, R, M, unit, points, logs, logs_larger, *rest):
        result = original(U, S, k, larger, R, M, unit, points, logs, logs_larger, *rest)
        logs[M // 2 :, 1] += 0.1
        logs_larger[len(logs_larger) // 2 :, 1] += 0.1
        return result

    monkeypatch.setattr(edge, "eigenvalues_outside", noisy)
    assert rmt.spectral_radius(rmt.glorot(256).draw(rng=0), full_output=True).method == "dense"


def test_a_scaling_that_rises_is_refused():
    H = np.triu(np.ones((80, 80)), -1).T.copy()
    H[np.arange(40, 79), np.arange(41, 80)] = 1e10
    U, S = np.empty((80, 1, 88)), np.empty((80, 1, 88), np.float32)
    assert not edge.unit_form(H, 1.0, U, S)
    assert edge.unit_form(H, 1e10, U, S)
