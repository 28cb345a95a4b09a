"""The initialisers for PyTorch, in PyTorch."""

import math

import numpy as np
import oracles
import pytest

import rmt
from rmt.checks import InputError

torch = pytest.importorskip(
    "torch",
    reason="there was no CPU build of PyTorch to install; to run these tests, install one into this environment",
)
init = rmt.initializers.torch

MATRICES = [init.rescaled_glorot_normal_, init.orthogonal_, init.uniform_disc_, init.ring_, init.exact_radius_]
EACH = pytest.mark.parametrize("fill", MATRICES, ids=lambda function: function.__name__)
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def radii(tensor):
    return np.abs(np.linalg.eigvals(tensor.detach().cdouble().numpy())).max(axis=-1)


@pytest.mark.parametrize("options", [{}, {"alpha": 0.1, "layers": 2}])
def test_the_recurrent_weight_of_an_rnn_has_the_exact_law(options):
    torch.manual_seed(0)
    sample = []
    for _ in range(500):
        rnn = torch.nn.RNN(3, 16, num_layers=2)
        for k in range(2):
            weight = getattr(rnn, f"weight_hh_l{k}")
            assert init.rescaled_glorot_normal_(weight, **options) is weight
            sample.append(radii(weight))
    assert weight.requires_grad
    assert weight.grad_fn is None
    gain = rmt.rescaled_gain(16, **options)
    oracles.check_law(sample, rmt.SpectralRadiusLaw(16, scale=gain).cdf)


@pytest.mark.parametrize("dtype", [*DTYPES, torch.complex64, torch.complex128])
def test_every_dtype_has_the_exact_law(dtype):
    W = init.rescaled_glorot_normal_(torch.empty(1000, 16, 16, dtype=dtype), generator=seeded(1))
    assert W.dtype == dtype
    field = "complex" if dtype.is_complex else "real"
    gain = rmt.rescaled_gain(16, field)
    oracles.check_law(radii(W), rmt.SpectralRadiusLaw(16, field, gain).cdf)
    oracles.check_second_moment(W.cdouble().numpy()[:, :2, 3], gain**2 / 16)
    if dtype.is_complex:
        oracles.check_mean(W.numpy()[:, 0, :4] ** 2, 0)  # circular: E w^2 = 0


def test_the_normals_are_not_truncated():
    W = init.rescaled_glorot_normal_(torch.empty(300, 300), generator=seeded(2)).numpy()
    standard = W * (math.sqrt(300) / rmt.rescaled_gain(300))
    oracles.check_proportion((np.abs(standard) > 2).sum(), W.size, 0.0455002638963584)


@pytest.mark.parametrize(("dtype", "field"), [(torch.float32, "real"), (torch.complex64, "complex")])
def test_it_is_the_normal_of_torch_with_another_standard_deviation(dtype, field):
    ours = init.rescaled_glorot_normal_(torch.empty(9, 9, dtype=dtype), 0.5, seeded(3), alpha=0.1)
    std = 0.5 * rmt.rescaled_gain(9, field, alpha=0.1) / 3
    assert torch.equal(ours, torch.nn.init.normal_(torch.empty(9, 9, dtype=dtype), std=std, generator=seeded(3)))


@EACH
def test_same_seed_same_bits(fill):
    first = fill(torch.empty(7, 7), generator=seeded(1))
    assert torch.equal(first, fill(torch.empty(7, 7), generator=seeded(1)))
    assert not torch.equal(first, fill(torch.empty(7, 7), generator=seeded(2)))
    torch.manual_seed(1)
    assert torch.equal(first, fill(torch.empty(7, 7)))
    assert not torch.equal(first, fill(torch.empty(7, 7)))


@EACH
def test_low_precision_is_single_precision_rounded(fill):
    single = fill(torch.empty(2, 6, 6), generator=seeded(1))
    for dtype in (torch.float16, torch.bfloat16):
        assert torch.equal(fill(torch.empty(2, 6, 6, dtype=dtype), generator=seeded(1)), single.to(dtype))


@EACH
@pytest.mark.parametrize("dtype", DTYPES)
def test_in_place_and_without_a_gradient(fill, dtype):
    tensor = torch.nn.Parameter(torch.full((2, 6, 6), torch.nan, dtype=dtype))
    pointer = tensor.data_ptr()
    assert fill(tensor) is tensor
    assert tensor.data_ptr() == pointer
    assert tensor.dtype == dtype
    assert tensor.requires_grad
    assert tensor.grad_fn is None
    assert torch.isfinite(tensor).all()


@EACH
def test_views_are_filled_and_nothing_beside_them(fill):
    whole = torch.zeros(3, 12, 12)
    fill(whole[1, 2:8, 1::2])
    assert torch.count_nonzero(whole) == torch.count_nonzero(whole[1, 2:8, 1::2]) > 0


@EACH
def test_tensors_without_storage_keep_their_shape(fill):
    tensor = torch.empty(6, 6, device="meta")
    assert fill(tensor) is tensor


@EACH
@pytest.mark.parametrize("shape", [(12, 4), (4, 12)])
def test_every_gate_is_a_matrix_of_its_own(fill, shape):
    W = fill(torch.empty(shape), gates=3, generator=seeded(1))
    gates = torch.stack(W.chunk(3, 0 if shape[0] == 12 else 1))
    separate = fill(torch.empty(3, 4, 4), generator=seeded(1))
    if fill is init.rescaled_glorot_normal_:  # the same numbers in the order of the whole tensor
        assert torch.equal(W.flatten(), separate.flatten())
    else:
        assert torch.equal(gates, separate)


def test_the_gates_of_an_lstm_have_the_exact_law():
    sample = []
    torch.manual_seed(4)
    for _ in range(250):
        lstm = torch.nn.LSTM(2, 16)
        init.rescaled_glorot_normal_(lstm.weight_hh_l0, gates=4)
        sample.append(radii(lstm.weight_hh_l0.reshape(4, 16, 16)))
    oracles.check_law(sample, rmt.SpectralRadiusLaw(16, scale=rmt.rescaled_gain(16)).cdf)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_orthogonal(dtype):
    Q = init.orthogonal_(torch.empty(2000, 3, 3, dtype=dtype), 0.5, generator=seeded(0)).numpy()
    assert np.allclose(Q @ Q.conj().mT, 0.25 * np.eye(3))
    trace = np.trace(Q, axis1=1, axis2=2) / 0.5
    oracles.check_mean(trace, 0)
    oracles.check_second_moment(trace, 1)


def test_orthogonal_is_the_one_of_torch_for_one_matrix():
    ours = init.orthogonal_(torch.empty(5, 5), 2.0, generator=seeded(0))
    assert torch.allclose(ours, torch.nn.init.orthogonal_(torch.empty(5, 5), 2.0, generator=seeded(0)), atol=1e-6)


def test_eigenvalues_of_disc_and_ring():
    disc = init.uniform_disc_(torch.empty(5000, dtype=torch.complex64), 0.8, seeded(0)).numpy()
    oracles.check_law(np.abs(disc), lambda r: np.clip(r / 0.8, 0, 1) ** 2)
    oracles.check_mean(disc, 0)
    ring = init.ring_(torch.empty(5000, dtype=torch.complex128), 0.6, 0.9, 1.0, seeded(0)).numpy()
    oracles.check_law(np.abs(ring) ** 2, lambda x: np.clip((x - 0.36) / 0.45, 0, 1))
    oracles.check_law(np.angle(ring), lambda x: np.clip(x, 0, 1))


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental:UserWarning")
def test_half_precision_complex_tensors():
    ring = init.ring_(torch.empty(50, dtype=torch.complex32), 0.6, 0.9)
    assert 0.59 < ring.to(torch.complex64).abs().min() < ring.to(torch.complex64).abs().max() < 0.91
    assert torch.isfinite(init.rescaled_glorot_normal_(torch.empty(6, 6, dtype=torch.complex32)).abs()).all()


@pytest.mark.parametrize("n", [1, 4, 5])
def test_real_matrices_of_disc_and_ring(n):
    W = init.ring_(torch.empty(4000, n, n, dtype=torch.float64), 0.6, 0.9, 2.0, seeded(0)).numpy()
    assert np.allclose(W @ W.mT, W.mT @ W)
    theirs = rmt.Diagonal(n, "ring", "real", r_min=0.6, r_max=0.9, max_phase=2.0).draw_eigenvalues(4000, rng=0)
    oracles.check_same_law(np.linalg.eigvals(W).real.max(axis=1), theirs.real.max(axis=1))
    assert 0.6 <= np.abs(np.linalg.eigvals(W)).min() <= radii(torch.from_numpy(W)).max() <= 0.9 + 1e-12
    disc = init.uniform_disc_(torch.empty(2000, n, n), 0.5, seeded(0))
    oracles.check_law(radii(disc), lambda r: np.clip(r / 0.5, 0, 1) ** (2 * ((n + 1) // 2)))


@pytest.mark.parametrize(
    ("dtype", "accuracy"), [(torch.float32, 1e-5), (torch.float64, 1e-11), (torch.complex64, 1e-5)]
)
def test_exact_radius(dtype, accuracy):
    W = init.exact_radius_(torch.empty(3, 120, 120, dtype=dtype), 0.9, seeded(0))
    assert radii(W) == pytest.approx(0.9, rel=accuracy)
    assert radii(init.exact_radius_(torch.empty(50, 50, dtype=dtype))) == pytest.approx(0.99, rel=accuracy)
    entries = W.numpy().ravel() * (math.sqrt(120) / 0.9)
    assert np.mean(np.abs(entries) ** 2) == pytest.approx(1, abs=0.3)


def test_lru_parameters_are_those_of_numpy():
    eigenvalues = init.ring_(torch.empty(2, 9, dtype=torch.complex128), 0.5, 0.99)
    ours, theirs = init.lru_parameters(eigenvalues), rmt.initializers.lru_parameters(eigenvalues.numpy())
    for tensor, array in zip(ours, theirs, strict=True):
        assert np.allclose(tensor.numpy(), array, rtol=1e-12)


def test_saved_and_loaded(tmp_path):
    rnn = torch.nn.RNN(3, 16)
    init.rescaled_glorot_normal_(rnn.weight_hh_l0)
    torch.save(rnn.state_dict(), tmp_path / "rnn.pt")
    again = torch.nn.RNN(3, 16)
    again.load_state_dict(torch.load(tmp_path / "rnn.pt", weights_only=True))
    assert torch.equal(again.weight_hh_l0, rnn.weight_hh_l0)
    x = torch.randn(5, 1, 3)
    assert torch.equal(again(x)[0], rnn(x)[0])


HALF = torch.full((8, 8), 2.0, dtype=torch.float16)

BAD = [
    (lambda: init.rescaled_glorot_normal_(torch.empty(4, 5)), r"tensor must have shape .* got shape \(4, 5\)$"),
    (lambda: init.rescaled_glorot_normal_(torch.nn.LSTM(2, 4).weight_hh_l0), "gates=4 draws each of them"),
    (lambda: init.rescaled_glorot_normal_(torch.empty(4)), "tensor must have shape"),
    (lambda: init.rescaled_glorot_normal_(torch.empty(4, 4, dtype=torch.int64)), "complex dtype, got torch.int64"),
    (lambda: init.rescaled_glorot_normal_(np.empty((4, 4))), "tensor must be a torch.Tensor .* got ndarray"),
    (lambda: init.rescaled_glorot_normal_(torch.empty(4, 4), 0), "gain must be"),
    (lambda: init.rescaled_glorot_normal_(torch.empty(4, 4), rule="paper"), "n must be >= 164"),
    (lambda: init.rescaled_glorot_normal_(torch.empty(4, 4), layers=2), "layers must be 1 without alpha"),
    (lambda: init.orthogonal_(torch.empty(4, 5)), "tensor must have shape"),
    (lambda: init.orthogonal_(torch.empty(4, 4), math.nan), "gain must be"),
    (lambda: init.exact_radius_(torch.empty(4, 4), -1), "radius must be"),
    (lambda: init.exact_radius_(torch.empty(4, 4, device="meta"), -1), "radius must be"),
    (lambda: init.ring_(torch.empty(4, 5)), "tensor must have shape"),
    (lambda: init.ring_(torch.empty(4, dtype=torch.int32)), "got torch.int32"),
    (lambda: init.ring_(torch.empty(8, 4, dtype=torch.complex64), gates=2), "gates must be 1"),
    (lambda: init.ring_(torch.empty(4, 4), 0.9, 0.8), "r_min must be"),
    (lambda: init.uniform_disc_(torch.empty(4, 4), 0), "r_max must be"),
    (
        lambda: init.exact_radius_(HALF, 1e6),
        r"radius must be smaller for torch.float16, which ends at 6.55e\+04",
    ),
    (lambda: init.orthogonal_(HALF, 1e6), "gain must be smaller for torch.float16"),
    (lambda: init.rescaled_glorot_normal_(HALF, 1e7), "gain must be smaller for torch.float16"),
    (lambda: init.rescaled_glorot_normal_(torch.empty(4, 4), 1e39), "gain must be smaller for torch.float32"),
    (lambda: init.ring_(HALF, 0.9, 1e6), "r_max must be smaller for torch.float16"),
    (
        lambda: init.uniform_disc_(torch.zeros(9, dtype=torch.complex32), 1e6),
        "r_max must be smaller for torch.complex32",
    ),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
    assert torch.equal(HALF, torch.full((8, 8), 2.0, dtype=torch.float16))  # what was there is not lost


def test_large_arguments_that_fit_are_taken():
    assert init.orthogonal_(torch.empty(8, 8, dtype=torch.float16), 2e4).isfinite().all()
    assert init.rescaled_glorot_normal_(torch.empty(8, 8), 1e36).isfinite().all()
