"""Signals and deadlines: what is in flight is finished, what the last line says, and who is left behind."""

import os
import re
import shlex
import signal
import time

import pytest
from campaigns import OBEDIENT, SLOW, alive, command, experiment, oracle, order, workers
from demos import contents, shards

FILE = "import campaigns\nexperiment = campaigns.experiment([campaigns.{}], 120)\n"


@pytest.fixture
def orders(tmp_path, monkeypatch):
    (tmp_path / "orders").mkdir()
    monkeypatch.setenv("RMT_TEST_ORDERS", str(tmp_path / "orders"))


class Command:
    """One run of the command `rmt run` on a cell."""

    def __init__(self, forks, folder, cell, *options):
        self.forks, self.out, self.errors = forks, folder / "out", folder / "errors"
        (folder / "file.py").write_text(FILE.format(cell))
        self.arguments = ["run", str(folder / "file.py"), "--out", str(self.out), *options]
        self.errors.unlink(missing_ok=True)
        self.process = forks.start(command, *self.arguments, errors=self.errors)

    def until(self, condition):
        end = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.01)

    def wait(self):
        return self.forks.wait(self.process)

    def lines(self):
        return self.errors.read_text().splitlines()

    def check_interrupted(self, why="interrupted"):
        """Check the exit status and the last line, and return how many samples are kept."""
        assert self.wait() == 75
        last = self.lines()[-1]
        before, _, resume = last.partition("; go on with: ")
        assert shlex.split(resume)[-len(self.arguments) :] == self.arguments
        kept = re.fullmatch(rf"rmt: {why}; (\d+) samples are kept in {self.out}", before)
        assert kept is not None
        assert not any("Traceback" in line for line in self.lines())
        return int(kept[1])


@pytest.mark.usefixtures("orders")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_finishes_what_is_in_flight(forks, tmp_path, number):
    run = Command(forks, tmp_path, "SLOW", "--engine", "serial")
    run.until(lambda: shards(run.out))
    os.kill(run.process, number)
    kept = run.check_interrupted()
    held = sum(int(path.name.split("-")[1]) - int(path.name.split("-")[0]) for path in shards(run.out))
    assert 0 < kept == held < 120
    run = Command(forks, tmp_path, "SLOW", "--engine", "serial")
    assert run.wait() == 0
    assert any(line.startswith(f"{kept} samples are there already; 0 of 1 cells") for line in run.lines())
    expected = oracle(tmp_path / "whole", experiment([SLOW], 120))
    found = contents(run.out)
    del found["manifest.json"], expected["manifest.json"]  # which names the file of the experiment
    assert found == expected


@pytest.mark.usefixtures("orders")
def test_out_of_time(forks, tmp_path):
    run = Command(forks, tmp_path, "SLOW", "--engine", "serial", "--max-seconds", "0.2")
    assert 0 < run.check_interrupted("out of time") < 120
    run = Command(forks, tmp_path, "SLOW", "--engine", "serial", "--max-seconds", "100")
    assert run.wait() == 0
    # With nothing left to do, there is no time to run out of.
    assert Command(forks, tmp_path, "SLOW", "--engine", "serial", "--max-seconds", "1e-9").wait() == 0


@pytest.mark.usefixtures("orders")
def test_a_second_interrupt_ends_a_sample_in_this_process(forks, tmp_path):
    order(OBEDIENT, 30, "wait")
    run = Command(forks, tmp_path, "OBEDIENT", "--engine", "serial")
    run.until(lambda: shards(run.out))
    time.sleep(0.2)
    for _ in range(3):  # as make and timeout pass on one Ctrl-C
        os.kill(run.process, signal.SIGINT)
        time.sleep(0.03)
    time.sleep(0.4)
    assert alive(run.process)  # sample 30 is in flight
    os.kill(run.process, signal.SIGINT)
    begin = time.monotonic()
    kept = run.check_interrupted()
    assert time.monotonic() - begin < 10
    held = sum(int(path.name.split("-")[1]) - int(path.name.split("-")[0]) for path in shards(run.out))
    assert 0 < kept == held <= 30


@pytest.mark.usefixtures("orders")
def test_one_interrupt_that_comes_twice_keeps_what_is_in_flight(forks, tmp_path):
    run = Command(forks, tmp_path, "SLOW", "--workers", "1", "--samples", "500")
    run.until(lambda: shards(run.out))
    os.kill(run.process, signal.SIGINT)
    os.kill(run.process, signal.SIGTERM)
    assert 0 < run.check_interrupted() < 500


@pytest.mark.usefixtures("orders")
def test_a_signal_to_all_processes_at_once_costs_no_worker(forks, tmp_path):
    """As a batch system sends it, or Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGINT):
        (tmp_path / number.name).mkdir()
        run = Command(forks, tmp_path / number.name, "SLOW", "--workers", "1", "--samples", "500")
        run.until(lambda run=run: shards(run.out))
        os.killpg(run.process, number)
        assert 0 < run.check_interrupted() < 500
        assert not any("died" in line for line in run.lines())
    assert not any(map(alive, workers()))


def left_waiting(forks, folder):
    """Begin a run with two workers, of which one waits for long, and return it."""
    order(OBEDIENT, 0, "wait")
    run = Command(forks, folder, "OBEDIENT", "--workers", "1")
    run.until(lambda: any(map(alive, workers())))
    return run


@pytest.mark.usefixtures("orders")
def test_a_second_interrupt_leaves_no_worker_behind(forks, tmp_path):
    run = left_waiting(forks, tmp_path)
    os.kill(run.process, signal.SIGTERM)
    time.sleep(0.3)
    assert alive(run.process)
    assert any(map(alive, workers()))
    begin = time.monotonic()
    os.kill(run.process, signal.SIGINT)
    assert run.check_interrupted() == 0
    assert time.monotonic() - begin < 10
    assert not any(map(alive, workers()))
    assert not any("Traceback" in line for line in run.lines())


@pytest.mark.usefixtures("orders")
def test_workers_end_with_a_killed_coordinator(forks, tmp_path):
    run = left_waiting(forks, tmp_path)
    os.kill(run.process, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    run.until(lambda: not any(map(alive, workers())))
