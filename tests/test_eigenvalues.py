import numpy as np
import pytest

from rmt.kernels import eigenvalues as kernel
from rmt.kernels.eigenvalues import eigenvalues


@pytest.mark.parametrize("n", [1, 2, 3, 20, 90])
@pytest.mark.parametrize("field", ["real", "complex"])
def test_same_as_numpy(n, field):
    rng = np.random.default_rng(n)
    W = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if field == "complex" else 0)
    before = W.copy()
    found = eigenvalues(W)
    assert found.dtype == np.complex128
    distance = np.abs(found[:, None] - np.linalg.eigvals(W))
    assert max(distance.min(axis=0).max(), distance.min(axis=1).max()) < 1e-11
    assert np.array_equal(W, before)


@pytest.mark.parametrize("unit", [1, 1j])
def test_a_batch_has_the_bits_of_its_matrices(unit):
    W = unit * np.random.default_rng(0).standard_normal((2, 3, 6, 6))
    W[0, 0] *= 2.0**900
    W[1, 2] *= 2.0**-900
    W[1, 0] = 0
    found = eigenvalues(W)
    assert found.shape == (2, 3, 6)
    for i in np.ndindex(2, 3):
        assert np.array_equal(found[i], eigenvalues(W[i]))


def test_any_layout_of_the_array():
    W = np.random.default_rng(0).standard_normal((8, 8))
    assert np.allclose(np.sort_complex(eigenvalues(W.T)), np.sort_complex(eigenvalues(W)))
    assert np.array_equal(eigenvalues(np.asfortranarray(W)), eigenvalues(W))
    assert np.array_equal(eigenvalues(np.kron(W, np.eye(2))[::2, ::2]), eigenvalues(W))


def test_known_spectra():
    assert np.array_equal(eigenvalues(np.zeros((4, 4))), np.zeros(4))
    shift = np.roll(np.eye(6), 1, axis=0)
    assert np.allclose(np.sort(np.angle(eigenvalues(shift))), np.pi / 3 * np.arange(-2, 4))
    assert np.allclose(np.sort_complex(eigenvalues(np.diag([1j, 2, -3]))), [-3, 1j, 2])


@pytest.mark.parametrize("scale", [2.0**-1000, 2.0**-600, 2.0**400, 2.0**1000])
@pytest.mark.parametrize("unit", [1, 1j])
def test_entries_of_any_size(scale, unit):
    W = unit * np.random.default_rng(0).standard_normal((5, 5))
    found, expected = eigenvalues(scale * W) / scale, eigenvalues(W)
    assert np.allclose(np.sort_complex(found), np.sort_complex(expected), atol=1e-14)


@pytest.mark.parametrize("dtype", [float, complex])
def test_failure_is_an_error(dtype, monkeypatch):
    def fail(*arguments):
        arguments[-1]._obj.value = 1  # info, passed by reference

    monkeypatch.setattr(kernel, "routine", lambda library, name, arguments: fail)
    with pytest.raises(np.linalg.LinAlgError, match="only 2 of 3 eigenvalues"):
        eigenvalues(np.eye(3, dtype=dtype))
