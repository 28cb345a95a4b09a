"""Damage, kills and interrupts: nothing that was committed is lost, and the end result is the same."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from demos import command, contents, stamps

from rmt import campaign
from rmt.campaign.progress import Silent
from rmt.checks import InputError


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"sha256": "0"}', "seed"])
def test_damaged_manifest_is_named(demo_file, tmp_path, damage):
    campaign.run(campaign.load(demo_file), tmp_path / "out", quick=True)
    manifest = tmp_path / "out" / "manifest.json"
    altered = manifest.read_bytes().replace(b'"seed": 0', b'"seed": 1') if damage == "seed" else damage
    manifest.write_bytes(altered)
    with pytest.raises(InputError, match=r"manifest\.json is damaged"):
        campaign.run(campaign.load(demo_file), tmp_path / "out", quick=True)
    assert manifest.read_bytes() == altered


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "missing", "other seed"])
def test_damaged_samples_are_set_aside_and_computed_again(demo_file, tmp_path, damage):
    out = tmp_path / "out"
    demo = campaign.load(demo_file)
    campaign.run(demo, out)
    whole = contents(out)
    path = sorted((out / "samples").iterdir())[1]
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "other seed":
        campaign.run(demo, tmp_path / "other", seed=1)
        (foreign,) = (tmp_path / "other" / "samples").glob(path.name[:-25] + "*")
        path.unlink()
        path = path.with_name(foreign.name)
        foreign.rename(path)
    else:
        middle = len(data) // 2
        flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        path.write_bytes({"cut": data[:-1], "flip": flipped, "empty": b""}[damage])
    lines = []

    class Listener(Silent):
        def message(self, text):
            lines.append(text)

    campaign.run(demo, out, progress=Listener())
    now = contents(out)
    aside = {name for name in now if name.endswith(".damaged")}
    assert {name: data for name, data in now.items() if name not in aside} == whole
    assert aside == (set() if damage == "missing" else {f"samples/{path.name}.damaged"})
    assert len(lines) == len(aside)
    assert all(f"{path.name}.damaged" in line for line in lines)


class Killed(BaseException):
    """What stands for a kill: nothing tidies up after it."""


@pytest.mark.parametrize("last", range(15))
def test_killed_at_each_system_call_of_a_commit(demo_file, tmp_path, monkeypatch, last):
    """A manifest and four cells, each flushed, renamed, and flushed in its directory."""
    demo, out = campaign.load(demo_file), tmp_path / "out"
    calls = []

    def dying(call):
        def inner(*arguments):
            calls.append(call.__name__)
            if len(calls) > last:
                raise Killed
            return call(*arguments)

        return inner

    with monkeypatch.context() as patch:
        for name in ("fsync", "replace"):
            patch.setattr(os, name, dying(getattr(os, name)))
        patch.setattr(Path, "unlink", lambda path, missing_ok=False: None)
        with pytest.raises(Killed):
            campaign.run(demo, out)
    assert calls == (["fsync", "replace", "fsync"] * 5)[: last + 1]
    names = {path.name for path in out.rglob("*") if path.is_file() and ".partial-" not in path.name}
    assert len(names) == (last + 1) // 3
    assert ("manifest.json" in names) == (last >= 2)
    campaign.run(demo, out)
    campaign.run(demo, tmp_path / "whole")
    assert contents(out) == contents(tmp_path / "whole")


def test_a_machine_with_other_bits_may_not_continue(demo_file, tmp_path, monkeypatch):
    out = tmp_path / "out"
    demo = campaign.load(demo_file)
    campaign.run(demo, out)
    next((out / "samples").glob("eigenvalues*")).unlink()
    before = contents(out)
    monkeypatch.setattr(
        "rmt.campaign.runner.sample", lambda cell, root, index: campaign.sample(cell, root, index) + 1e-15
    )
    with pytest.raises(InputError, match="cannot be continued here"):
        campaign.run(demo, out)
    assert contents(out) == before


# killed and interrupted


def test_interrupt_keeps_complete_cells_and_names_the_command(demo_file, tmp_path):
    arguments = [demo_file, "--out", tmp_path / "out", "--size", "9", "--wait", "0.02"]
    process = command(*arguments, RMT_NUM_THREADS="1")
    while not list((tmp_path / "out" / "samples").glob("normals*.parquet")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 75
    last = stderr.splitlines()[-1]
    assert last.endswith("rmt run " + " ".join(map(str, arguments)))
    assert "Traceback" not in stderr
    assert stdout == ""
    kept = stamps(tmp_path / "out")
    assert 1 < len(kept) < 12
    process = command(*arguments)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert {path: stamp for path, stamp in stamps(tmp_path / "out").items() if path in kept} == kept
    command(demo_file, "--out", tmp_path / "whole", "--size", "9", "--wait", "0.02").communicate(timeout=30)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def kill_and_resume(demo_file, out, delays):
    """Kill the run after each of `delays` seconds from the moment it begins to write, then let it end."""
    arguments = [demo_file, "--out", out, "--size", "6", "--wait", "0.002"]
    for delay in delays:
        process = command(*arguments)
        while process.poll() is None and not out.exists():
            time.sleep(0.001)
        time.sleep(delay)
        process.kill()
        process.communicate()
    process = command(*arguments)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert "damaged" not in stderr
    return contents(out)


def test_killed_runs_resume_to_the_same_bytes(demo_file, tmp_path):
    killed = kill_and_resume(demo_file, tmp_path / "killed", [0.0, 0.03, 0.06])
    assert killed == kill_and_resume(demo_file, tmp_path / "whole", [])


@pytest.mark.heavy
def test_many_kills(demo_file, tmp_path):
    rng = np.random.default_rng(0)
    whole = kill_and_resume(demo_file, tmp_path / "whole", [])
    for trial in range(15):
        assert kill_and_resume(demo_file, tmp_path / f"{trial}", rng.uniform(0, 0.15, size=4)) == whole


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
