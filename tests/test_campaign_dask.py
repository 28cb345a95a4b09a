"""Campaigns on a Dask cluster: the same bytes, whatever becomes of workers and scheduler."""

import asyncio
import importlib
import os
import re
import shutil
import signal
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from dask_cluster import PATH, ROOT, Cluster, Watch, wait_for, workers
from demos import contents, experiment, run, shards

import rmt
from rmt import campaign
from rmt.campaign import cluster as engine
from rmt.campaign.engines import make_engine
from rmt.campaign.work import Chunk, compute, make_job
from rmt.checks import InputError, MissingExtraError
from rmt.cli import main


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A scheduler, and two workers that are started again when they die."""
    made = Cluster(tmp_path_factory.mktemp("dask"))
    made.add("--nworkers", "2", nanny=True)
    yield made
    made.close()


@pytest.fixture
def bare(tmp_path):
    """A scheduler without workers."""
    made = Cluster(tmp_path / "cluster")
    yield made
    made.close()


def dask(what, out, cluster, **options):
    """Run on a cluster, for five minutes at most."""
    return run(what, out, **{"max_seconds": 300, **options}, engine="dask", scheduler=cluster.address)


def test_same_bytes_as_serial_from_a_file_that_workers_cannot_see(cluster, demo_file, tmp_path):
    demo = campaign.load(demo_file)
    run(demo, tmp_path / "serial")
    demo_file.unlink()
    dask(demo, tmp_path / "dask", cluster, chunk_seconds=0.01)
    assert contents(tmp_path / "dask") == contents(tmp_path / "serial")
    assert os.getpid() not in workers(tmp_path / "dask")
    assert workers(tmp_path / "dask")


def test_killed_worker(cluster, demo_file, tmp_path):
    def kill():
        for pid in workers(tmp_path / "dask"):
            os.kill(pid, signal.SIGKILL)

    demo, options = campaign.load(demo_file), {"wait": 0.05, "size": 3}
    run(demo, tmp_path / "serial", options=options)
    watch = Watch(commit=kill)
    dask(demo, tmp_path / "dask", cluster, options=options, progress=watch)
    assert "commit" not in watch.calls
    assert contents(tmp_path / "dask") == contents(tmp_path / "serial")


def test_scheduler_killed(bare, demo_file, tmp_path):
    demo, options = campaign.load(demo_file), {"wait": 0.05, "size": 3}
    run(demo, tmp_path / "serial", options=options)
    watch = Watch(message=bare.add, commit=bare.scheduler.kill)
    outcome = dask(demo, tmp_path / "dask", bare, options=options, progress=watch)
    assert outcome.interrupted == f"the Dask scheduler {bare.address} is gone"
    assert [line.rpartition(" has ")[2] for line in watch.lines] == [
        "no workers: waiting for them, 600 s at most",
        "workers",
    ]
    assert 0 < outcome.samples < 60
    run(demo, tmp_path / "dask", options=options)
    assert contents(tmp_path / "dask") == contents(tmp_path / "serial")


def test_no_workers(bare, demo_file, tmp_path, monkeypatch):
    monkeypatch.setenv("RMT_DASK_WAIT", "1")
    watch = Watch()
    outcome = dask(demo_file, tmp_path / "out", bare, progress=watch)
    assert outcome.interrupted == f"the Dask scheduler {bare.address} has had no workers for 1 s"
    assert watch.lines == [f"the Dask scheduler {bare.address} has no workers: waiting for them, 1 s at most"]


def test_no_answer(bare, demo_file, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "SILENCE_SECONDS", 1)
    watch = Watch(message=lambda: bare.scheduler.send_signal(signal.SIGSTOP))
    outcome = dask(demo_file, tmp_path / "out", bare, progress=watch)
    assert outcome.interrupted == f"the Dask scheduler {bare.address} has not answered for 1 s"


def test_client_that_lost_its_scheduler_takes_no_chunk(bare, demo_file):
    demo = campaign.load(demo_file)
    chunk = Chunk(make_job(demo.cells(demo.defaults())[0], 0, demo.program), 0, 2)
    made = make_engine("dask", scheduler=bare.address)()
    made.client.close()
    with pytest.raises(engine.LostChunkError) as caught:
        made.submit(chunk)
    assert made.died(caught.value)
    assert made.lost() == f"the Dask scheduler {bare.address} is gone"
    made.close()


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        ("finished", OSError("cut"), engine.LostChunkError),
        ("error", OSError("cut"), OSError),
        ("error", ImportError("rmt"), InputError),
    ],
)
def test_errors_of_the_way_are_told_from_those_of_the_chunk(status, error, expected):
    async def fail():
        raise error

    task = type("Task", (), {"status": status, "__await__": lambda self: fail().__await__()})
    with pytest.raises(expected, match=str(error)):
        asyncio.run(engine._result(task()))


def test_interrupt_while_there_are_no_workers(bare, demo_file, tmp_path, monkeypatch):
    monkeypatch.setenv("RMT_DASK_WAIT", "5")
    watch = Watch(message=lambda: os.kill(os.getpid(), signal.SIGINT))
    assert dask(demo_file, tmp_path / "out", bare, progress=watch).interrupted == "interrupted"


@pytest.mark.heavy
def test_last_worker_killed(bare, demo_file, tmp_path, monkeypatch):
    only = bare.add()
    wait_for(lambda: bare.joined() == 1)
    monkeypatch.setenv("RMT_DASK_WAIT", "2")
    demo, options = campaign.load(demo_file), {"wait": 0.05, "size": 3}
    run(demo, tmp_path / "serial", options=options)
    watch = Watch(commit=only.kill)
    outcome = dask(demo, tmp_path / "dask", bare, options=options, progress=watch)
    assert outcome.interrupted == f"the Dask scheduler {bare.address} has had no workers for 2 s"
    assert len(watch.lines) == 1
    bare.add("--nthreads", "3")
    wait_for(lambda: bare.joined() == 2)
    dask(demo, tmp_path / "dask", bare, options=options)
    assert contents(tmp_path / "dask") == contents(tmp_path / "serial")


def test_threads_of_one_worker_load_a_file_once(demo_file):
    demo_file.write_text("import time\ntime.sleep(0.1)\n" + demo_file.read_text())
    demo = campaign.load(demo_file)
    cell = demo.cells({"field": "real", "size": 1, "wait": 0.0})[0]
    chunk = Chunk(make_job(cell, 0, demo.program), 0, 2)
    del sys.modules[demo.program.name]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(compute, [chunk] * 4))
    assert [result.pieces[0][1].tobytes() for result in results] == [results[0].pieces[0][1].tobytes()] * 4


@pytest.mark.parametrize("address", ["", "host:1", "tcp://", "tcp://host", "tcp://host:0", "tcp://a b:1", "x://h:1", 7])
def test_malformed_address(demo_file, tmp_path, address):
    with pytest.raises(InputError, match="scheduler must be an address such as tcp://host:8786, got"):
        run(demo_file, tmp_path / "out", engine="dask", scheduler=address)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["nobody", "silent", "web"])
def test_address_of_no_scheduler(monkeypatch, kind):
    monkeypatch.setattr(engine, "CONNECT_SECONDS", 0.5)
    with ExitStack() as stack:
        if kind == "web":
            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Web))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
            port = server.server_port
        else:
            port = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
        if kind == "nobody":
            stack.close()
        address = f"tcp://127.0.0.1:{port}"
        with pytest.raises(InputError, match=f"^scheduler {address} cannot be joined: [^\n]+$"):
            make_engine("dask", scheduler=address)()


def test_scheduler_that_is_not_there_leaves_nothing_behind(demo_file, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "CONNECT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(InputError, match="cannot be joined"):
        run(demo_file, tmp_path / "out", engine="dask", scheduler=address)
    assert not (tmp_path / "out").exists()
    run(demo_file, tmp_path / "out")
    assert run(demo_file, tmp_path / "out", engine="dask", scheduler=address).table is not None  # no work, none asked


class Web(BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def test_arguments(monkeypatch):
    with pytest.raises(InputError, match="workers is of no use with a scheduler"):
        make_engine("dask", workers=2, scheduler="tcp://host:8786")
    with pytest.raises(InputError, match="workers must be an integer"):
        make_engine("dask", workers=0)
    monkeypatch.setenv("RMT_DASK_WAIT", "long")
    with pytest.raises(InputError, match="RMT_DASK_WAIT must be a whole number of seconds, got 'long'"):
        make_engine("dask", scheduler="tcp://host:8786")


def test_missing_extra(demo_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rmt\[dask\]'"):
        make_engine("dask")
    assert main(["run", str(demo_file), "--out", str(tmp_path / "out"), "--engine", "dask"]) == 4
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_complete_run_needs_no_scheduler(demo_file, tmp_path):
    run(demo_file, tmp_path / "out", quick=True)
    outcome = run(demo_file, tmp_path / "out", quick=True, engine="dask", scheduler="tcp://127.0.0.1:1")
    assert outcome.table is not None


# what a worker may lack

ODD = """
from rmt.campaign import numerics, work
hashes = {**numerics.canary(), "BLAS": "0" * 16}

def canary():
    with open("chunks", "a") as file:
        file.write(".")
    return hashes

work.canary = canary
"""


@pytest.fixture
def odd(bare, tmp_path):
    """A scheduler with a worker whose BLAS gives other bits."""
    (tmp_path / "odd.py").write_text(ODD)
    bare.add("--preload", tmp_path / "odd.py")
    return bare


@pytest.mark.heavy
def test_worker_with_other_bits_is_refused_while_others_remain(odd, demo_file, tmp_path):
    options = {"size": 8, "wait": 0.05}
    run(demo_file, tmp_path / "serial", options=options)
    odd.add()
    wait_for(lambda: odd.joined() == 2)
    watch = Watch()
    outcome = dask(demo_file, tmp_path / "dask", odd, options=options, chunk_seconds=0.05, progress=watch)
    assert 1 <= len((odd.folder / "chunks").read_text()) <= 4  # those in flight when it was refused
    assert contents(tmp_path / "dask") == contents(tmp_path / "serial")
    (line,) = watch.lines
    assert re.fullmatch(r"the worker \S+ at tcp://\S+ computes other bits \(BLAS: .*\): it gets no more work", line)
    assert len(workers(tmp_path / "dask")) == 1
    assert outcome.mixed == 0


@pytest.mark.heavy
def test_the_only_worker_that_was_not_refused_dies_and_comes_back_elsewhere(odd, demo_file, tmp_path):
    """Chunks bound to its old address are sent to the new one."""

    def kill():
        if watch.lines:
            assert "gets no more work" in watch.lines[0]
            for pid in workers(tmp_path / "dask"):
                os.kill(pid, signal.SIGKILL)
        else:
            watch.calls["commit"] = kill

    options = {"size": 8, "wait": 0.1}
    run(demo_file, tmp_path / "serial", options=options)
    odd.add(nanny=True)
    wait_for(lambda: odd.joined() == 2)
    watch = Watch(commit=kill)
    outcome = dask(demo_file, tmp_path / "dask", odd, options=options, chunk_seconds=0.05, progress=watch)
    assert outcome.interrupted == ""
    assert any("a worker died" in line for line in watch.lines)
    assert len(workers(tmp_path / "dask")) == 2
    assert contents(tmp_path / "dask") == contents(tmp_path / "serial")


@pytest.mark.heavy
def test_workers_with_other_bits_alone(odd, demo_file, tmp_path):
    with pytest.raises(InputError, match=r"computes other bits \(BLAS.*--allow-mixed-numerics takes and labels"):
        dask(demo_file, tmp_path / "out", odd, quick=True)
    outcome = dask(demo_file, tmp_path / "out", odd, quick=True, allow_mixed_numerics=True)
    assert outcome.mixed == outcome.samples == 12
    assert all(".mixed-" in path.name for path in shards(tmp_path / "out"))


@pytest.mark.heavy
@pytest.mark.parametrize("lack", ["no rmt", "another rmt", "another statistic", "no statistic"])
def test_worker_with_another_source_is_named(bare, tmp_path, monkeypatch, lack):
    here, there, name = tmp_path / "here", tmp_path / "there", f"module_{lack.replace(' ', '_')}"
    here.mkdir()
    there.mkdir()
    source = "def my_statistic(ensemble, params, rng):\n    return rng.standard_normal()\n"
    (here / f"{name}.py").write_text(source)
    if lack != "no statistic":
        (there / f"{name}.py").write_text(source.replace("normal", "cauchy") if lack == "another statistic" else source)
    if lack == "no rmt":
        (there / "rmt.py").write_text("raise ModuleNotFoundError(\"No module named 'rmt'\")")
    if lack == "another rmt":
        shutil.copytree(ROOT / "rmt", there / "rmt")
        with open(there / "rmt" / "streams.py", "a") as file:
            file.write("# another\n")
    monkeypatch.syspath_prepend(here)
    bare.add(PYTHONPATH=f"{there}{os.pathsep}{PATH}")
    cell = campaign.Cell(importlib.import_module(name).my_statistic, rmt.Ginibre(4))
    expected = {
        "no rmt": "a Dask worker cannot import what it needs .*No module named 'rmt'",
        "another rmt": r"the worker \S+ has another rmt: .* there, .* asked; install the same",
        "another statistic": r"the worker \S+ has another source or version of what defines my_statistic",
        "no statistic": "a Dask worker cannot import what it needs .*No module named 'module_no_statistic'",
    }
    with pytest.raises(InputError, match=f"^{expected[lack]}.*$"):
        dask(experiment([cell]), tmp_path / "out", bare)
