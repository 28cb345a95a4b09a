import os
import subprocess
import sys
import types

import numpy as np
import pytest

from rmt.kernels import lapack
from rmt.kernels.lapack import complex_hessenberg_eigenvalues, real_hessenberg_eigenvalues, sgemm


@pytest.mark.parametrize(("m", "n", "k"), [(1, 1, 1), (5, 3, 7), (64, 32, 100)])
def test_single_precision_product(m, n, k):
    rng = np.random.default_rng(0)
    # Column by column with room between the columns, as the kernels have them.
    A, B, C = (np.asarray(rng.standard_normal(shape), np.float32) for shape in ((k, m + 2), (n, k + 3), (n, m + 1)))
    before = C.copy()
    sgemm(m, n, k, -1.0, A.ctypes.data, m + 2, B.ctypes.data, k + 3, 0.5, C.ctypes.data, m + 1)
    expected = 0.5 * before[:, :m] - (A[:, :m].T.astype(float) @ B[:, :k].T).T
    assert np.allclose(C[:, :m], expected, atol=1e-4)
    assert np.array_equal(C[:, m:], before[:, m:])


def sorted_spectrum(values):
    return np.array(sorted(values, key=lambda z: (round(abs(z), 9), round(z.real, 9), z.imag)))


@pytest.mark.parametrize("n", [1, 2, 3, 10, 80, 150])
@pytest.mark.parametrize("field", ["real", "complex"])
def test_hessenberg_eigenvalues(n, field):
    rng = np.random.default_rng(n)
    H = np.triu(rng.standard_normal((n, n)), -1)
    if field == "complex":
        H = H + 1j * np.triu(rng.standard_normal((n, n)), -1)
        values = complex_hessenberg_eigenvalues(H.T.copy())
    else:
        values = real_hessenberg_eigenvalues(H.T.copy())
    assert np.allclose(sorted_spectrum(values), sorted_spectrum(np.linalg.eigvals(H)), rtol=1e-8, atol=1e-8)


def test_failure_of_lapack_is_seen():
    assert np.isnan(real_hessenberg_eigenvalues(np.full((5, 5), np.nan))).all()
    assert np.isnan(complex_hessenberg_eigenvalues(np.full((5, 5), np.nan + 0j))).all()


@pytest.mark.parametrize("signature", ["void (char *, long *, double *)", "void (char *, int *)"])
def test_another_interface_is_refused(signature):
    module = types.SimpleNamespace(__name__="other.lapack", __pyx_capi__={"dhseqr": signature})
    with pytest.raises(ImportError, match="unexpected interface of other"):
        lapack._bind(module, "dhseqr", 3)


@pytest.mark.parametrize("run", ["first", "cached"])
def test_compiled_code_survives_the_process(run, tmp_path_factory):
    cache = tmp_path_factory.getbasetemp() / "numba"
    code = (
        "import numpy as np\n"
        "from rmt.kernels.lapack import real_hessenberg_eigenvalues as f\n"
        "print(f(np.diag([1.0, 2.0, 3.0])).real.tolist(), sum(f.stats.cache_hits.values()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    hits = 0 if run == "first" else 1
    assert done.stdout.strip() == f"[1.0, 2.0, 3.0] {hits}"
