"""The NumPy initialisers: laws, shapes and gates, types, seeds, errors; what an adapter without its framework says."""

import math
import subprocess
import sys

import numpy as np
import oracles
import pytest
from scipy import sparse

import rmt
from rmt import initializers
from rmt.checks import InputError, MissingExtraError
from rmt.initializers.layout import square_blocks
from rmt.initializers.spectrum import halves, parts, real_matrix

MATRICES = [
    initializers.rescaled_glorot_normal,
    initializers.orthogonal,
    initializers.exact_radius,
    lambda shape, **options: initializers.uniform_disc(shape, **{"dtype": float, **options}),
    lambda shape, **options: initializers.ring(shape, r_min=0.5, **{"dtype": float, **options}),
]
NAMES = ["rescaled_glorot_normal", "orthogonal", "exact_radius", "uniform_disc", "ring"]
EACH = pytest.mark.parametrize("draw", MATRICES, ids=NAMES)


def radii(matrices):
    return np.abs(np.linalg.eigvals(matrices)).max(axis=-1)


@pytest.mark.parametrize("field", ["real", "complex"])
@pytest.mark.parametrize("options", [{}, {"alpha": 0.1, "layers": 3}])
def test_rescaled_glorot_has_the_exact_law(field, options):
    W = initializers.rescaled_glorot_normal((1000, 16, 16), field=field, rng=0, **options)
    gain = rmt.rescaled_gain(16, field, **options)
    oracles.check_law(radii(W), rmt.SpectralRadiusLaw(16, field, gain).cdf)
    oracles.check_second_moment(W.reshape(-1, 256)[:, :5], gain**2 / 16)


def test_alpha_is_the_risk_of_all_layers():
    W = initializers.rescaled_glorot_normal((1000, 3, 16, 16), alpha=0.1, layers=3, rng=1)
    oracles.check_proportion((radii(W).max(axis=1) > 1).sum(), 1000, 0.1)


def test_the_rules_are_those_of_the_gain():
    for rule in ("exact", "gumbel", "paper"):
        W = initializers.rescaled_glorot_normal(164, field="complex", rule=rule, rng=0)
        assert np.array_equal(W, rmt.rescaled_glorot(164, "complex", rule=rule).draw(rng=0))


@pytest.mark.parametrize("field", ["real", "complex"])
def test_orthogonal(field):
    W = initializers.orthogonal((2000, 3, 3), 0.5, field=field, rng=0)
    assert np.allclose(W @ W.conj().mT, 0.25 * np.eye(3))
    # The Haar measure: E tr Q = 0 and E|tr Q|^2 = 1 (Diaconis & Shahshahani 1994).
    trace = np.trace(W, axis1=1, axis2=2) / 0.5
    oracles.check_mean(trace, 0)
    oracles.check_second_moment(trace, 1)


def test_disc_and_ring_as_eigenvalues():
    disc = initializers.uniform_disc((5000, 3), r_max=0.8, rng=0)
    oracles.check_law(np.abs(disc), lambda r: np.clip(r / 0.8, 0, 1) ** 2)
    oracles.check_mean(disc, 0)
    ring = initializers.ring((5000, 3), r_min=0.6, r_max=0.9, max_phase=1.0, rng=0)
    oracles.check_law(np.abs(ring) ** 2, lambda x: np.clip((x - 0.36) / 0.45, 0, 1))
    oracles.check_law(np.angle(ring), lambda x: np.clip(x, 0, 1))
    assert abs(np.corrcoef(np.abs(ring[:, 0]), np.angle(ring[:, 0]))[0, 1]) < 5 / math.sqrt(5000)
    assert abs(np.corrcoef(np.abs(ring[:, 0]), np.abs(ring[:, 1]))[0, 1]) < 5 / math.sqrt(5000)


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_disc_and_ring_as_real_matrices(n):
    for draw in (initializers.uniform_disc, initializers.ring):
        W = draw((3, n, n), dtype=float, rng=0)
        eigenvalues = draw((3, n), field="real", rng=0)
        assert eigenvalues.dtype == complex
        for matrix, expected in zip(W, eigenvalues, strict=True):
            assert np.allclose(np.poly(np.linalg.eigvals(matrix)), np.poly(expected))
        pairs = eigenvalues[:, : n // 2 * 2]
        assert np.array_equal(pairs[:, ::2], pairs[:, 1::2].conj())
        # A normal matrix, made of 2 x 2 blocks a + bi -> [[a, b], [-b, a]].
        assert np.allclose(W @ W.mT, W.mT @ W)
        assert np.array_equal(np.diagonal(W, axis1=1, axis2=2), eigenvalues.real)
        if n > 1:
            assert np.array_equal(W[:, 0, 1], eigenvalues[:, 0].imag)
            assert np.count_nonzero(W) == 3 * (2 * n - n % 2)


@pytest.mark.parametrize("n", [1, 2, 5, 8])
@pytest.mark.parametrize("law", [("uniform_disc", 0.0, 0.7), ("ring", 0.6, 0.9, 2.0)])
def test_what_the_adapters_make_of_uniform_numbers(n, law):
    """The same two laws as the ensemble's, from numbers that the frameworks draw."""
    u, v = np.random.default_rng(0).random((2, 1500, halves(n)))
    ensemble = rmt.Diagonal(n, law[0], "real", *law[1:])
    eigenvalues = np.linalg.eigvals(real_matrix(ensemble, u, v, np, np.asarray))
    theirs = ensemble.draw_eigenvalues(1500, rng=1)
    for of in (lambda x: np.abs(x).max(axis=1), lambda x: np.sort(x.real)[:, n // 2], lambda x: x.imag.max(axis=1)):
        oracles.check_same_law(of(eigenvalues), of(theirs))
    one = rmt.Diagonal(n, law[0], "complex", *law[1:])
    a, b = parts(one, u, v, np)
    theirs = one.draw_eigenvalues(1500 * halves(n), rng=2)
    for of in (np.abs, np.real, np.imag):
        oracles.check_same_law(of(a + 1j * b)[:, :n], of(theirs.ravel())[: 1500 * halves(n)])


@pytest.mark.parametrize("field", ["real", "complex"])
@pytest.mark.parametrize("n", [1, 20, 150])
def test_exact_radius(field, n):
    W = initializers.exact_radius((2, n, n), 0.9, field=field, rng=0)
    assert radii(W) == pytest.approx([0.9, 0.9], rel=1e-10)
    # Nothing but the scale differs from a Glorot matrix.
    ratio = W / rmt.glorot(n, field).draw(2, rng=0)
    assert np.allclose(ratio, ratio[:, :1, :1])
    assert rmt.spectral_radius(initializers.exact_radius(n, field=field)) == pytest.approx(0.99)


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
def test_scaling_a_sparse_matrix_keeps_its_kind(kind):
    dense = rmt.glorot(200).draw(rng=0) * (np.random.default_rng(0).random((200, 200)) < 0.1)
    W = initializers.scale_to_radius(kind(dense.astype(np.float32)), 0.9)
    assert type(W) is kind
    assert W.dtype == np.float32
    assert radii(W.toarray().astype(float)) == pytest.approx(0.9, rel=1e-5)


def test_scaling_of_sparse_matrices_divides_by_the_largest_eigenvalue():
    # For some of such matrices, scipy.sparse.linalg.eigs(k=1) returns a smaller one.
    for seed in range(3):
        rng = np.random.default_rng(seed)
        W = sparse.random_array((200, 200), density=0.1, rng=rng, data_sampler=rng.standard_normal)
        assert radii(initializers.scale_to_radius(W.tocsr(), 1.0).toarray()) == pytest.approx(1.0, rel=1e-9)


def test_the_radius_that_a_sparse_matrix_is_divided_by_is_proven(monkeypatch):
    def proven(W):
        result = rmt.spectral_radius(W, full_output=True)
        assert result.proven
        return result.value

    monkeypatch.setattr("rmt.initializers.scaling.spectral_radius", proven)
    W = sparse.random_array((150, 150), density=0.1, rng=np.random.default_rng(0))
    assert radii(initializers.scale_to_radius(W, 0.5).toarray()) == pytest.approx(0.5, rel=1e-9)


def test_a_large_sparse_matrix_is_not_made_dense(monkeypatch):
    monkeypatch.setattr("rmt.initializers.scaling.PROVEN_N", 99)
    monkeypatch.setattr(sparse.csr_array, "toarray", lambda self: pytest.fail("became dense"))
    W = sparse.diags_array(np.linspace(0.1, 2, 150)).tocsr()
    scaled = initializers.scale_to_radius(W, 0.5)
    assert abs(scaled).max() == pytest.approx(0.5, rel=1e-9)


def test_scaling_of_integers_and_lists():
    assert np.array_equal(initializers.scale_to_radius([[0, 2], [2, 0]], 0.5), [[0, 0.5], [0.5, 0]])
    W = sparse.csr_array([[0, 2], [2, 0]])
    assert np.array_equal(initializers.scale_to_radius(W, 0.5).toarray(), [[0, 0.5], [0.5, 0]])


def test_lru_parameters():
    eigenvalues = np.append(initializers.ring((3, 4), r_min=0.3, r_max=0.999, rng=0), [[0.5], [-0.5], [-0.5j]], axis=1)
    nu_log, theta_log, gamma_log = initializers.lru_parameters(eigenvalues)
    assert nu_log.shape == theta_log.shape == gamma_log.shape == eigenvalues.shape
    assert np.allclose(np.exp(-np.exp(nu_log) + 1j * np.exp(theta_log)), eigenvalues, rtol=1e-13)
    assert np.allclose(np.exp(gamma_log) ** 2, 1 - np.abs(eigenvalues) ** 2)
    assert np.isfinite(theta_log).all()
    for bad in ([1.0], [0.0], [0.5, -1.2j]):
        with pytest.raises(InputError, match=r"0 < \|lambda\| < 1"):
            initializers.lru_parameters(bad)


@EACH
@pytest.mark.parametrize("shape", [4, (4, 4), [4, 4], (2, 4, 4), np.array([3, 2, 4, 4]), (1, 1)])
def test_shapes(draw, shape):
    expected = (4, 4) if isinstance(shape, int) else tuple(shape)
    W = draw(shape, rng=0)
    assert W.shape == expected
    assert W.dtype == np.float64
    assert W.flags.writeable


@EACH
@pytest.mark.parametrize("shape", [(12, 4), (4, 12), (2, 12, 4), (2, 4, 12)])
def test_every_gate_is_a_matrix_of_its_own(draw, shape):
    W = draw(shape, gates=3, rng=0)
    assert W.shape == shape
    axis = -2 if shape[-2] == 12 else -1
    gates = np.stack(np.split(W, 3, axis), axis=-3)
    assert np.array_equal(gates, draw((*shape[:-2], 3, 4, 4), rng=0))


@EACH
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_types(draw, dtype):
    W = draw(6, dtype=dtype, rng=0)
    assert W.dtype == dtype
    assert np.allclose(W, draw(6, rng=0), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("draw", MATRICES[:3], ids=NAMES[:3])
def test_complex_types(draw):
    assert draw(6, dtype="complex64", rng=0).dtype == np.complex64
    assert draw(6, field="complex", rng=0).dtype == np.complex128
    assert np.array_equal(draw(6, field="complex", rng=0), draw(6, dtype=complex, rng=0))
    assert np.abs(draw(6, field="complex", rng=0).imag).min() > 0


def test_disc_and_ring_have_complex_types_by_default():
    for draw in (initializers.uniform_disc, initializers.ring):
        assert draw(6, rng=0).dtype == np.complex128
        assert draw((2, 6), dtype=np.complex64, rng=0).dtype == np.complex64


@EACH
def test_seeds(draw):
    assert np.array_equal(draw(6, rng=1), draw(6, rng=np.random.default_rng(1)))
    assert not np.array_equal(draw(6, rng=1), draw(6, rng=2))
    assert not np.array_equal(draw(6), draw(6))
    assert np.array_equal(draw((5, 6, 6), rng=1)[:2], draw((2, 6, 6), rng=1))
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    draw(6)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


glorot, scale = initializers.rescaled_glorot_normal, initializers.scale_to_radius
BAD = [
    (
        lambda: glorot((4, 5)),
        r"shape must have shape \(\.\.\., n, n\).* got shape \(4, 5\)$",
    ),
    (
        lambda: glorot((16, 4)),
        r"if these are 4 stacked gates, gates=4 draws each of them$",
    ),
    (lambda: glorot((2, 4, 12)), r"got shape \(2, 4, 12\); .* gates=3 draws"),
    (lambda: glorot((20, 4)), r"got shape \(20, 4\)$"),
    (lambda: glorot((4,)), r"got shape \(4,\)$"),
    (lambda: glorot(()), r"got shape \(\)$"),
    (lambda: glorot((4, 4), gates=4), r"\(\.\.\., 4 n, n\) or .* got shape \(4, 4\)"),
    (lambda: glorot((16, 4), gates=3), r"for gates=3, got shape \(16, 4\)"),
    (lambda: glorot((4, 4), gates=0), "gates must be an integer >= 1"),
    (lambda: glorot(0), "every size in shape must be an integer >= 1"),
    (lambda: glorot((0, 4, 4)), "every size in shape must be"),
    (lambda: glorot((4, "4")), "every size in shape must be"),
    (lambda: glorot(4, rule="guess"), "rule must be one of"),
    (lambda: glorot(4, rule="paper"), "n must be >= 164"),
    (lambda: glorot(4, alpha=2), "alpha must be"),
    (lambda: glorot(4, layers=2), "layers must be 1 without alpha"),
    (lambda: glorot(4, dtype=int), "dtype must be a floating or complex type, got int64"),
    (
        lambda: glorot(4, dtype="flat"),
        "dtype must be a floating or complex type, got 'flat'",
    ),
    (lambda: glorot(4, field="real", dtype=complex), "field must be 'complex' for dtype"),
    (lambda: glorot(4, field="quaternion"), "field must be one of"),
    (lambda: glorot(4, rng="seed"), "rng must be"),
    (lambda: initializers.orthogonal(4, 0), "gain must be a finite number > 0"),
    (lambda: initializers.orthogonal((4, 5)), "must have shape"),
    (lambda: initializers.exact_radius(4, 0), "radius must be a finite number > 0"),
    (lambda: initializers.exact_radius(4, math.inf), "radius must be a finite number > 0"),
    (lambda: scale([[0.0, 1.0], [0.0, 0.0]]), "must have a spectral radius > 0"),
    (
        lambda: scale(sparse.csr_array([[0.0, 1.0], [0.0, 0.0]])),
        "must have a spectral radius > 0",
    ),
    (lambda: scale(np.ones((2, 3))), "W must have shape"),
    (lambda: initializers.uniform_disc(4, r_max=0), "r_max must be"),
    (lambda: initializers.ring(4, r_min=2), "r_min must be"),
    (lambda: initializers.ring(4, max_phase=0), "max_phase must be"),
    (lambda: initializers.ring(()), r"\(\.\.\., n\) for complex eigenvalues, got shape \(\)"),
    (lambda: initializers.ring((8, 4), gates=2), "gates must be 1 for complex eigenvalues"),
    (lambda: initializers.ring((4, 5), dtype=float), r"must have shape \(\.\.\., n, n\)"),
    (lambda: initializers.ring(4, field="complex", dtype=float), "dtype must be complex for field='complex'"),
    (lambda: initializers.exact_radius(8, 1e6, dtype="float16"), "radius must be smaller for float16, which ends"),
    (lambda: initializers.ring(8, r_max=1e6, dtype="float16"), "r_max must be smaller for float16"),
    (lambda: initializers.uniform_disc(8, r_max=1e40, dtype="complex64"), "r_max must be smaller for complex64"),
    (lambda: initializers.orthogonal(8, gain=1e6, dtype="float16"), "gain must be smaller for float16"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_errors_speak_of_the_array_as_the_caller_knows_it():
    with pytest.raises(InputError, match=r"^tensor must have shape"):
        square_blocks("tensor", (4, 5))


def test_gains_are_computed_once(monkeypatch):
    glorot(7, rng=0)
    monkeypatch.setattr("rmt.laws.radius_real.log_cdf", lambda n, r: pytest.fail("computed again"))
    glorot((2, 7, 7), alpha=0.1, rng=0)


@pytest.mark.parametrize("name", ["torch", "jax", "keras", "reservoirpy"])
def test_an_adapter_without_its_framework_names_the_extra(name, monkeypatch):
    for module in [module for module in sys.modules if module.split(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, f"rmt.initializers.{name}", raising=False)
    with pytest.raises(MissingExtraError, match=rf"^{name}.* is needed and not installed: pip install 'rmt\[{name}\]'"):
        getattr(initializers, name)


def test_keras_without_a_backend_is_told_apart(tmp_path, monkeypatch):
    (tmp_path / "keras.py").write_text("import a_backend_that_is_not_there")
    code = "from rmt.initializers import keras"
    environment = {"PYTHONPATH": str(tmp_path), "PATH": ""}
    process = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, cwd=rmt.__path__[0]
    )
    last = process.stderr.strip().splitlines()[-1]
    assert "keras is installed and cannot be imported (No module named 'a_backend_that_is_not_there')" in last
    assert "KERAS_BACKEND" in last


def test_the_package_names_what_it_has():
    assert {*initializers.__all__, "torch", "jax", "keras", "reservoirpy"} == set(dir(initializers))
    with pytest.raises(AttributeError, match="has no attribute 'tensorflow'"):
        _ = initializers.tensorflow
