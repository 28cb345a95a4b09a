"""What a machine may do to the bits of a run: a damaged manifest, kernels compiled anew."""

import os
import subprocess
import sys

import pytest
from demos import run

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
