"""The processes of the default engine: what comes back, what a death costs, and that nobody waits for ever."""

import os
import signal
import struct
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection

import pytest

from rmt.campaign.pool import Pool, WorkerDied
from rmt.checks import InputError


def prepare():
    os.environ["PREPARED"] = "yes"


def square(x):
    return x * x, os.environ["PREPARED"], os.getpid()


def fail(kind):
    if kind == "input":
        raise InputError("one line")
    if kind == "exit":
        sys.exit(3)
    if kind == "unpicklable":
        return lambda: None
    raise type("Local", (Exception,), {})("of a type nobody else has")


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def die_while_answering():
    """Write half of a result, and be killed."""

    def half(self, data):
        os.write(self.fileno(), struct.pack("!i", 10**6) + b"x" * 1000)
        die()

    Connection._send_bytes = half
    return b"x" * 10**6


def die_and_leave_a_child():
    """Be killed while a child of one's own holds every pipe open."""
    if os.fork() == 0:
        time.sleep(20)
        os._exit(0)
    die()


def die_later_and_leave_a_child():
    """Be killed, once the answer is out, while a child of one's own holds every pipe open."""
    if os.fork() == 0:
        time.sleep(20)
        os._exit(0)
    threading.Timer(0.2, die).start()


def stop():
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    return "still here"


@pytest.fixture(scope="module")
def pool():
    made = Pool(1, prepare)
    yield made
    made.shutdown()


def test_results_come_back_from_prepared_processes(pool):
    results = [pool.submit(square, x).result() for x in range(3)]
    assert [value for value, _, _ in results] == [0, 1, 4]
    assert {prepared for _, prepared, _ in results} == {"yes"}
    assert len({process for _, _, process in results} - {os.getpid()}) == 1


def test_errors_come_back_as_text(pool):
    with pytest.raises(InputError, match="one line"):
        pool.submit(fail, "input").result()
    for kind, line in (
        ("exit", "SystemExit: 3"),
        ("local", "Local: of a type nobody else has"),
        ("unpicklable", "pickle"),
    ):
        with pytest.raises(RuntimeError, match=line):
            pool.submit(fail, kind).result()


def test_signals_are_the_coordinators(pool):
    assert pool.submit(stop).result() == "still here"


def test_what_is_larger_than_a_pipe_goes_both_ways(pool):
    text = b"x" * 3_000_000
    assert pool.submit(max, text, b"").result() == text


@pytest.mark.parametrize(
    "death",
    [
        die_while_answering,
        pytest.param(die, marks=pytest.mark.heavy),
        pytest.param(die_and_leave_a_child, marks=pytest.mark.heavy),
    ],
)
def test_a_death_costs_one_answer(pool, death):
    before = pool.submit(square, 1).result()[2]
    with pytest.raises(WorkerDied):
        pool.submit(death).result(timeout=60)
    assert pool.submit(square, 5).result(timeout=60)[0] == 25
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)


def test_a_long_question_to_a_process_that_died_idle(pool):
    process = pool.submit(square, 1).result()[2]
    pool.submit(die_later_and_leave_a_child).result()
    while pool._idle[0].process.exitcode is None:
        time.sleep(0.01)
    with pytest.raises(WorkerDied):
        pool.submit(len, b"x" * 5_000_000).result(timeout=10)
    assert pool.submit(square, 5).result(timeout=60)[2] != process
    assert not any("_send" in thread.name for thread in threading.enumerate() if thread.is_alive())


def test_a_kill_ends_all_at_once():
    pool = Pool(2, prepare)
    futures = [pool.submit(time.sleep, 60) for _ in range(4)]
    assert pool.submit(square, 2).cancel()
    while len(pool._alive) < 2:
        time.sleep(0.01)
    processes = [worker.process for worker in pool._alive]
    begin = time.monotonic()
    pool.kill()
    pool.shutdown(cancel_futures=True)
    assert time.monotonic() - begin < 10
    assert all(future.done() for future in futures)
    assert not any(process.is_alive() for process in processes)
    assert all(future.cancelled() or isinstance(future.exception(), WorkerDied) for future in futures)


SCRIPT = """
import math
from rmt.campaign.pool import Pool
{guard}
    pool = Pool(1, print)
    try:
        print(pool.submit(math.sqrt, 4).result())
    finally:
        pool.shutdown()
"""


@pytest.mark.heavy
@pytest.mark.parametrize("guard", [True, False])
def test_a_script_needs_a_guard_and_is_told_so(tmp_path, guard):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.format(guard='if __name__ == "__main__":' if guard else "if True:"))
    result = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=120)
    if guard:
        assert (result.returncode, result.stdout.split(), result.stderr) == (0, ["2.0"], "")
    else:
        assert result.returncode == 1
        last = result.stderr.splitlines()[-1]
        assert "ended before they could begin" in last
        assert '`if __name__ == "__main__":`' in last
