"""What decides the last bits of a sample: versions, and a canary, a few results that a machine either reproduces."""

from __future__ import annotations

import hashlib
import platform
from functools import cache

import numpy as np

from rmt import parallel
from rmt.campaign.identity import digest
from rmt.ensembles.gaussian import Ginibre
from rmt.recurrence import sample_hidden_norms
from rmt.spectra.sampled import sample_eigenvalues, sample_spectral_radius


@cache
def canary() -> dict[str, str]:
    """Return {what: hash of its bits} for small computations through each library that samples rest on."""
    rng = np.random.Generator(np.random.PCG64DXSM(2**64 - 59))
    W = rng.standard_normal((67, 67)) / 8
    x = np.linspace(0.01, 30, 501)
    with parallel.one_blas_thread():
        results = {
            "numpy.random": [W, rng.standard_gamma(3.7, 50), rng.standard_exponential(50)],
            "numpy elementary functions": [np.exp(-x), np.log(x), np.sin(x), np.hypot(x, x[::-1])],
            "BLAS": [W @ W, W @ W[0], W[:, :5].T @ W, (W + 1j * W.T) @ (W - 1j * W.T)],
            "LAPACK": [sample_eigenvalues(Ginibre(24, field), 1, rng=1) for field in ("real", "complex")],
            "rmt radius": [sample_spectral_radius(Ginibre(40), 1, method="krylov", rng=2)],
            "rmt norms": [sample_hidden_norms(Ginibre(40), 20, 1, method=m, rng=3) for m in ("lazy", "dense")],
        }
    return {name: hashlib.sha256(b"".join(map(_bytes, parts))).hexdigest()[:16] for name, parts in results.items()}


def _bytes(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values).tobytes()


def canary_label(hashes: dict[str, str]) -> str:
    """Return the 16 hexadecimal digits that stand for a canary."""
    return digest(hashes)[:16]


def versions() -> dict[str, str]:
    """Return the versions of all that decides the bits of a sample; BLAS with its kernel and its one thread."""
    import numba
    import scipy.linalg
    from threadpoolctl import threadpool_info

    from rmt import __version__

    blas = {
        f"{info['internal_api']} {info.get('version')} {info.get('architecture', '')}".strip()
        for info in threadpool_info()
        if info["user_api"] == "blas"
    }
    return {
        "rmt": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "numba": numba.__version__,
        "blas": ", ".join(sorted(blas)) or "unknown",
        "blas threads": "1",
    }


def changes(there: dict[str, str], here: dict[str, str]) -> str:
    """Say in what two sets of versions, or two canaries, differ; "" where they agree."""
    names = [*there, *(name for name in here if name not in there)]
    return "; ".join(
        f"{name}: {there.get(name, 'none')} there, {here.get(name, 'none')} here"
        for name in names
        if there.get(name) != here.get(name)
    )
