"""A Dask scheduler and workers as processes of their own on 127.0.0.1, for tests; nothing of them is left behind."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from rmt.campaign.progress import Silent

ROOT = Path(__file__).parents[1]
PATH = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
DASK = [sys.executable, "-W", "ignore", "-m", "dask"]


class Cluster:
    """A scheduler at `address`, whose files and logs are in `folder`, and the workers that `add` starts."""

    def __init__(self, folder, **environment):
        self.folder = folder
        self.processes = []
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "scheduler.json"
        options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
        self.scheduler = self._start("scheduler", *options, "--scheduler-file", file, **environment)
        wait_for(lambda: file.is_file() and file.read_text().endswith("}"), self.scheduler)
        self.address = json.loads(file.read_text())["address"]

    def _start(self, *arguments, **environment):
        log = open(self.folder / f"{len(self.processes)}.log", "w")  # noqa: SIM115
        process = subprocess.Popen(
            [*DASK, *map(str, arguments)],
            stdout=log,
            stderr=log,
            cwd=self.folder,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": PATH, "TMPDIR": str(self.folder), **environment},
        )
        log.close()
        self.processes.append(process)
        return process

    def add(self, *options, nanny=False, **environment):
        """Start a worker of one thread, and return its process, which is that of the nanny if it has one."""
        common = ["--host", "127.0.0.1", "--no-dashboard", "--memory-limit", "0", "--local-directory", self.folder]
        kind = "--nanny" if nanny else "--no-nanny"
        return self._start("worker", self.address, kind, "--nthreads", "1", *common, *options, **environment)

    def joined(self):
        """Return how many workers have joined the scheduler until now."""
        return sum(path.read_text().count("Registered to") for path in self.folder.glob("*.log"))

    def close(self):
        """End every process, and those that they started."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for(condition, *processes, seconds=300):
    """Wait until `condition()` holds, while `processes` live."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        assert all(process.poll() is None for process in processes)
        time.sleep(0.02)


class Watch(Silent):
    """Keeps the messages, and calls what is given at the first one, and at the first commit."""

    def __init__(self, message=lambda: None, commit=lambda: None):
        self.lines = []
        self.calls = {"message": message, "commit": commit}

    def once(self, what):
        self.calls.pop(what, lambda: None)()

    def message(self, text):
        self.lines.append(text)
        self.once("message")

    def update(self, part):
        self.once("commit")


def workers(out):
    """Return the pids of the workers that the logs of `out` name."""
    lines = [json.loads(line) for path in (out / "runs").glob("*.jsonl") for line in path.read_text().splitlines()]
    return {int(line["worker"].split(" at ")[0].rpartition(":")[2]) for line in lines if "worker" in line}
