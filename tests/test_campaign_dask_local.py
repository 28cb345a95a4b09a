"""Campaigns on a Dask cluster of this machine, which begins and ends with the command; samples that kill workers."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest
from dask_cluster import Cluster, wait_for
from demos import contents, run, shards

from rmt import campaign
from rmt.campaign.cells import stream
from rmt.campaign.store import Store

pytestmark = pytest.mark.heavy

POISON = """
import os, signal
import pandas as pd
import rmt

def poison(ensemble, params, rng):
    value = rng.standard_normal()
    if value > 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return value

def present(data, out, options):
    return pd.DataFrame()

cells = [rmt.campaign.Cell(poison, rmt.Ginibre(4)), rmt.campaign.Cell("spectral_radius", rmt.Ginibre(4))]
experiment = rmt.campaign.Experiment("poison", lambda options: cells, lambda cell, quick: 6, {}, present)
"""


def poisoned(tmp_path):
    """Return the file, a root seed under which just one sample, not the first, kills its worker, and its index."""
    file = tmp_path / "poison.py"
    file.write_text(POISON)
    cell = campaign.load(file).cells({})[0]
    for seed in range(1000):
        deadly = [index for index in range(6) if stream(seed, cell, index).standard_normal() > 1]
        if len(deadly) == 1 and deadly[0] > 1:
            return file, seed, deadly[0]
    raise AssertionError


def check_poisoned(out, seed, deadly):
    cells = campaign.load(out.parent / "poison.py").cells({})
    """Hold the samples of `out` to those of this process, but for the deadly one, whose failure is recorded."""
    store = Store(out)
    for cell, entry in zip(cells, store.entries, strict=True):
        held = store.scan(entry)
        gaps = [(deadly, deadly + 1)] if cell is cells[0] else []
        assert held.missing(6) == gaps
        for index in set(range(6)) - {deadly if gaps else None}:
            value = store.shards(entry).load(index, index + 1, held)[0]
            assert value == campaign.sample(cell, seed, index)
    (failure,) = out.glob("failures/*/*.json")
    record = json.loads(failure.read_text())
    assert (record["index"], record["tries"]) == (deadly, 3)
    assert "the worker died each of 3 times" in record["error"]


def local(*arguments, tmp_path, **options):
    """Start `rmt run --engine dask` as the leader of a group of processes, as a terminal does."""
    return subprocess.Popen(
        [sys.executable, "-m", "rmt", "run", *map(str, arguments), "--engine", "dask"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path), "RMT_NUM_THREADS": "2"},
        start_new_session=True,
        **options,
    )


def samples(out):
    """Return how many samples the names of the files in `out` promise."""
    return sum(int(path.name.split("-")[1]) - int(path.name.split("-")[0]) for path in shards(out))


def group(leader):
    """Return the pids of the processes of a group that are not yet dead."""
    rows = subprocess.run(["ps", "-eo", "pid,pgid,stat"], capture_output=True, text=True, check=True).stdout.split("\n")
    fields = [row.split() for row in rows[1:] if row]
    return [int(pid) for pid, pgid, state in fields if int(pgid) == leader.pid and state[0] != "Z"]


def test_local_cluster(demo_file, tmp_path):
    run(demo_file, tmp_path / "serial")
    process = local(demo_file, "--out", tmp_path / "dask", tmp_path=tmp_path)
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert "Traceback" not in stderr
    assert "distributed" not in stderr
    assert "results are in" in stdout
    assert contents(tmp_path / "dask") == contents(tmp_path / "serial")
    assert not group(process)
    assert {path.name for path in (tmp_path / "dask-scratch-space").iterdir()} <= {"global.lock", "purge.lock"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_local_cluster_interrupted(demo_file, tmp_path, number):
    """SIGINT goes to the whole group, as from a terminal, and lets the workers end their chunks; SIGKILL to one."""
    arguments = [demo_file, "--out", tmp_path / "dask", "--wait", "0.1", "--size", "4"]
    run(demo_file, tmp_path / "serial", options={"wait": 0.1, "size": 4})
    process = local(*arguments, tmp_path=tmp_path)
    wait_for(lambda: shards(tmp_path / "dask"), process)
    assert len(group(process)) >= 3
    before = samples(tmp_path / "dask")
    if number == signal.SIGKILL:
        process.kill()
    else:
        os.killpg(process.pid, number)
    _, stderr = process.communicate(timeout=300)
    wait_for(lambda: not group(process), seconds=30)
    if number == signal.SIGINT:
        assert process.returncode == 75
        assert re.fullmatch(r"rmt: interrupted; \d+ samples are kept in .*; go on with: .*\n", stderr)
        assert samples(tmp_path / "dask") > before
    run(demo_file, tmp_path / "dask", options={"wait": 0.1, "size": 4})
    assert contents(tmp_path / "dask") == contents(tmp_path / "serial")


def test_sample_that_kills_its_worker_on_a_local_cluster(tmp_path):
    file, seed, deadly = poisoned(tmp_path)
    process = local(file, "--out", tmp_path / "out", "--seed", seed, tmp_path=tmp_path)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 3, stderr
    check_poisoned(tmp_path / "out", seed, deadly)


def test_sample_that_kills_its_worker_on_a_cluster(tmp_path):
    file, seed, deadly = poisoned(tmp_path)
    cluster = Cluster(tmp_path / "cluster", DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0")
    try:
        cluster.add("--nworkers", "2", nanny=True)
        outcome = run(file, tmp_path / "out", seed=seed, engine="dask", scheduler=cluster.address)
    finally:
        cluster.close()
    assert len(outcome.failures) == 1
    check_poisoned(tmp_path / "out", seed, deadly)
