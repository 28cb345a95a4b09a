"""Compile the kernels into the cache, so that the first run does not wait for the compiler.

`make` calls this once after the installation. Without it, each kernel is compiled when it is first called.
"""

import time
from concurrent.futures import ProcessPoolExecutor, wait

FIELDS = ("real", "complex")
LINE_SECONDS = 20.0


def steps(field):
    """Return what has compiled loops, by name, for one field of numbers: each a call without arguments."""
    import numpy as np

    import rmt

    ensemble = rmt.Ginibre(128, field)
    W = ensemble.draw(rng=0)
    product = rmt.IndependentProduct(8, field)
    x = np.ones((4, 3, 128), W.dtype)
    return {
        "radius of a dense matrix": lambda: rmt.sample_spectral_radius(ensemble, 1, method="dense", rng=0),
        "radius without the matrix": lambda: rmt.sample_spectral_radius(ensemble, 1, method="krylov", rng=0),
        "eigenvalues": lambda: rmt.sample_eigenvalues(ensemble, 1, rng=0),
        "norms of powers": lambda: rmt.sample_power_norms(ensemble, 4, 1, method="dense", rng=0),
        "norms of hidden states": lambda: rmt.sample_hidden_norms(ensemble, 4, 1, method="dense", rng=0),
        "norms of a product": lambda: rmt.sample_hidden_norms(product, 4, 1, method="dense", rng=0),
        "lazy norms of powers": lambda: rmt.sample_power_norms(ensemble, 4, 1, method="lazy", rng=0),
        "lazy norms of hidden states": lambda: rmt.sample_hidden_norms(ensemble, 4, 1, method="lazy", rng=0),
        "lazy norms of a product": lambda: rmt.sample_hidden_norms(product, 4, 1, method="lazy", rng=0),
        "a diagonal recurrence": lambda: rmt.sample_hidden_norms(rmt.Diagonal(8, field=field), 4, 1, rng=0),
        "norms of a given matrix": lambda: rmt.hidden_norms(W, x),
        "radius of a given matrix": lambda: rmt.spectral_radius(W),
        "certified radius of a given matrix": lambda: rmt.spectral_radius(W, method="krylov"),
        "moments": lambda: rmt.mean_hidden_norm(4, 8, field),
    }


def names(field):
    """Return the names of the steps."""
    return list(steps(field))


def warm(field, name):
    """Do one step."""
    steps(field)[name]()


def main():
    """Do all steps, each field in a process of its own, and say how far they are wherever it takes long."""
    pools = {field: ProcessPoolExecutor(1) for field in FIELDS}
    begin = time.monotonic()
    waiting = {}
    for field, pool in pools.items():
        for name in pool.submit(names, field).result():
            waiting[pool.submit(warm, field, name)] = f"{name}, {field}"
    total = len(waiting)
    while waiting:
        wait(waiting, timeout=LINE_SECONDS)
        for future in [future for future in waiting if future.done()]:
            del waiting[future]
            future.result()
        if waiting:
            line = f"{total - len(waiting)} of {total} after {time.monotonic() - begin:.0f} s"
            print(f"  {line}; in work: {'; '.join(_first(waiting.values()))}", flush=True)
    for pool in pools.values():
        pool.shutdown()


def _first(left):
    """Return the first step of each field."""
    by_field = {}
    for step in left:
        by_field.setdefault(step.rpartition(", ")[2], step)
    return by_field.values()


if __name__ == "__main__":
    main()
