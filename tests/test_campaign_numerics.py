"""What a machine may do to the bits of a run: a damaged manifest, kernels compiled anew."""

import importlib
import os
import pkgutil
import subprocess
import sys

import pytest
from demos import run
from numba.core.dispatcher import Dispatcher

import rmt.kernels
from rmt.checks import InputError


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"sha256": "0"}', "seed"])
def test_damaged_manifest_is_named(demo_file, tmp_path, damage):
    run(demo_file, tmp_path / "out", quick=True)
    manifest = tmp_path / "out" / "manifest.json"
    altered = manifest.read_bytes().replace(b'"seed": 0', b'"seed": 1') if damage == "seed" else damage
    manifest.write_bytes(altered)
    with pytest.raises(InputError, match=r"manifest\.json is damaged"):
        run(demo_file, tmp_path / "out", quick=True)
    assert manifest.read_bytes() == altered


DRAWS = """
import hashlib, rmt
from rmt.campaign import Cell, sample
from rmt.spectra.krylov import krylov_radii
from rmt.parallel import one_blas_thread
for field in ("real", "complex"):
    W, steps = rmt.Ginibre(512, field), {"steps": 100}
    routes = [("power_norms", {**steps, "method": m}) for m in ("lazy", "dense")]
    routes += [("hidden_norms", {**steps, "method": m}) for m in ("lazy", "dense")]
    routes += [("spectral_radius", {"method": m}) for m in ("law", "krylov")]
    for statistic, params in [*routes, ("eigenvalues", {})]:
        with one_blas_thread():
            values = sample(Cell(statistic, W, params), 0, 0)
        print(field, statistic, params, hashlib.sha256(values.tobytes()).hexdigest()[:16])
    radii = krylov_radii(64, field, 200, rng=0)  # many, since most do not see the last bit of a sum
    given = rmt.spectral_radius(rmt.glorot(150, field).draw(rng=0), method="krylov", full_output=True)
    print(radii.radius.sum().hex(), radii.residual.sum().hex(), radii.error.sum().hex(), given)
"""


@pytest.mark.heavy
def test_freshly_compiled_and_cached_kernels_draw_the_same_bits(tmp_path):
    """The compiler may optimise a kernel differently for one process and for the cache: the sums must not care."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    fresh, cached = (
        subprocess.run(
            [sys.executable, "-c", DRAWS], env=environment, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    )
    assert fresh.splitlines() == cached.splitlines()


def kernels():
    """Every kernel, by the function that it is compiled from."""
    for module in pkgutil.iter_modules(rmt.kernels.__path__, "rmt.kernels."):
        for thing in vars(importlib.import_module(module.name)).values():
            if isinstance(thing, Dispatcher):
                yield thing


def called(kernel):
    names = kernel.py_func.__code__.co_names
    found = [kernel.py_func.__globals__.get(name) for name in names]
    return [thing for thing in found if isinstance(thing, Dispatcher)]


def reorders_sums(kernel):
    own = kernel.targetoptions.get("fastmath", ())
    return own is True or "reassoc" in (own or ()) or any(map(reorders_sums, called(kernel)))


def test_kernels_that_reorder_sums_have_no_second_copy():
    """What `rmt.kernels.compile.kernel` asks for: inlined into whichever kernel Python calls, down from there."""
    inner = {callee for kernel in kernels() for callee in called(kernel) if reorders_sums(callee)}
    assert len(inner) > 10
    copied = {kernel.py_func.__qualname__ for kernel in inner if not kernel.targetoptions.get("forceinline")}
    assert not copied
