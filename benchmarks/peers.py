"""What people use today for the same work, each called the way its documentation says."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import numpy as np
import scipy.linalg
from scipy.sparse.linalg import ArpackNoConvergence, eigs

NUMPY = "numpy.linalg.eigvals"
ARPACK_K = (1, 6, 20)


def glorot(n: int, count: int, seed: int, field: str = "real") -> list[np.ndarray]:
    """Draw `count` Glorot matrices."""
    rng = np.random.default_rng(seed)
    if field == "real":
        return [rng.standard_normal((n, n)) / np.sqrt(n) for _ in range(count)]
    return [rng.standard_normal((n, 2 * n)).view(complex) / np.sqrt(2 * n) for _ in range(count)]


def numpy_radius(W: np.ndarray) -> float:
    return float(np.abs(np.linalg.eigvals(W)).max())


def float32_radius(W: np.ndarray) -> float:
    return float(np.abs(scipy.linalg.eigvals(W.astype(np.float32), check_finite=False)).max())


def torch_radius(W: np.ndarray) -> float:
    import torch

    return float(torch.linalg.eigvals(torch.from_numpy(W)).abs().max())


def arpack_radius(W: np.ndarray, k: int) -> float:
    """Return what ARPACK says at its defaults; NaN where it gives up. The start vector is fixed."""
    start = np.random.default_rng(0).standard_normal(len(W))
    try:
        return float(np.abs(eigs(W, k=k, v0=start, return_eigenvectors=False)).max())
    except ArpackNoConvergence:
        return float("nan")


def radius_peers() -> dict[str, Callable[[np.ndarray], float]]:
    """Return every peer that is installed: name -> function of one matrix."""
    peers = {NUMPY: numpy_radius, "scipy.linalg.eigvals, float32": float32_radius}
    for k in ARPACK_K:
        peers[f"scipy.sparse.linalg.eigs, k = {k}"] = lambda W, k=k: arpack_radius(W, k)
    if importlib.util.find_spec("torch"):
        peers["torch.linalg.eigvals"] = torch_radius
    return peers


def hidden_norms(W: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return ||h_t||^2 / n of one sequence by a plain loop, one matrix-vector product a step."""
    norms = np.empty(len(x))
    h = np.zeros(len(W))
    for t, u in enumerate(x):
        h = W @ h + u
        norms[t] = h @ h / len(h)
    return norms


def hidden_norms_batch(W: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the same for sequences (S, steps, n) advanced together, one matrix-matrix product a step."""
    norms = np.empty(x.shape[:2])
    h = np.zeros((len(x), len(W)))
    for t in range(x.shape[1]):
        h = h @ W.T + x[:, t]
        norms[:, t] = np.einsum("sn,sn->s", h, h) / len(W)
    return norms


def sampled_hidden_norms(n: int, steps: int, seed: int) -> np.ndarray:
    """Draw W and the inputs, and return the norms."""
    rng = np.random.default_rng(seed)
    return hidden_norms(rng.standard_normal((n, n)) / np.sqrt(n), rng.standard_normal((steps, n)))
