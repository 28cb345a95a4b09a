"""Compile the kernels into the cache, so that the first run does not wait for the compiler.

`make` calls this once after the installation. Without it, each kernel is compiled when it is first called.
"""

import sys
from concurrent.futures import ProcessPoolExecutor


def warm(field):
    """Call everything that has a compiled loop, for one field of numbers."""
    import numpy as np

    import rmt

    ensemble = rmt.Ginibre(128, field)
    for method in ("dense", "krylov"):
        rmt.sample_spectral_radius(ensemble, 1, method=method, rng=0)
    rmt.sample_eigenvalues(ensemble, 1, rng=0)
    for method in ("dense", "lazy"):
        rmt.sample_power_norms(ensemble, 4, 1, method=method, rng=0)
        rmt.sample_hidden_norms(ensemble, 4, 1, method=method, rng=0)
        rmt.sample_hidden_norms(rmt.IndependentProduct(8, field), 4, 1, method=method, rng=0)
    rmt.sample_hidden_norms(rmt.Diagonal(8, field=field), 4, 1, rng=0)
    W = ensemble.draw(rng=0)
    rmt.hidden_norms(W, np.ones((4, 3, 128), W.dtype))
    for method in ("auto", "krylov"):
        rmt.spectral_radius(W, method=method)
    rmt.mean_hidden_norm(4, 8, field)


if __name__ == "__main__":
    with ProcessPoolExecutor(2) as pool:
        for _ in pool.map(warm, ("real", "complex")):
            pass
    sys.exit(0)
