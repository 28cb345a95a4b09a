"""What the fault tests of campaigns share: an experiment, its oracle, calls that fail, and runs that can be killed."""

import ctypes
import gc
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from concurrent.futures import Executor, Future
from pathlib import Path

import numpy as np
import pandas as pd
from demos import contents

from rmt import campaign
from rmt.campaign.progress import Silent

# An experiment of three kinds of cells: numbers, vectors and complex matrices.


def scalar(ensemble, params, rng):
    return rng.standard_normal()


def vector(ensemble, params, rng):
    return rng.standard_normal(params["k"])


def phases(ensemble, params, rng):
    return np.exp(1j * rng.uniform(size=(2, 2)))


def present(data, out, options):
    means = [np.abs(values).mean() for values in data.values()]
    table = pd.DataFrame({"cell": [cell.label for cell in data], "n": list(map(len, data.values())), "mean": means})
    (out / "table.csv").write_text(table.to_csv(index=False))
    return table


def obedient(ensemble, params, rng):
    """Return the first draw; what `order` wrote about that sample is done before, and the process is written down."""
    value = rng.random()
    orders = Path(os.environ["RMT_TEST_ORDERS"])
    (orders / f"process {os.getpid()}").touch()
    time.sleep(params.get("seconds", 0.0))
    path = orders / repr(value)
    what = path.read_text() if path.exists() else ""
    if "once" in what:
        path.unlink()
    if "wait" in what:
        time.sleep(60)
    if "kill" in what:
        os.kill(os.getpid(), signal.SIGKILL)
    if "raise" in what:
        raise ArithmeticError("by order\nin two lines")
    return np.zeros(5) if "shape" in what else value


def workers():
    """Return the processes that computed samples of `obedient`."""
    return [int(path.name.split()[1]) for path in Path(os.environ["RMT_TEST_ORDERS"]).glob("process *")]


def alive(process):
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def order(cell, index, what):
    """Let sample `index` of a cell of `obedient` do `what` from now on; None: no more."""
    path = Path(os.environ["RMT_TEST_ORDERS"]) / repr(campaign.stream(0, cell, index).random())
    path.unlink(missing_ok=True) if what is None else path.write_text(what)


OBEDIENT = campaign.Cell(obedient, None)
SLOW = campaign.Cell(obedient, None, {"seconds": 0.02})
CELLS = (campaign.Cell(scalar, None), campaign.Cell(vector, None, {"k": 3}), campaign.Cell(phases, None))


def experiment(cells=CELLS, count=9, **replaced):
    parts = {
        "name": "faults",
        "cells": lambda options: list(cells),
        "samples": lambda cell, quick: count,
        "options": {},
        "present": present,
    }
    return campaign.Experiment(**{**parts, **replaced})


def serial(out, what=None, **options):
    """Run in this process; chunks of one sample unless `options` say otherwise."""
    options = {"engine": "serial", "chunk_seconds": 1e-9, **options}
    return campaign.run(experiment() if what is None else what, out, **options)


def oracle(folder, what=None, **options):
    """Return the bytes of every file of a serial run that nothing disturbs."""
    outcome = serial(folder, what, chunk_seconds=100.0, **options)
    assert outcome.table is not None
    return contents(folder)


def data(files):
    """Return what `contents` found in shards/ alone."""
    return {name: bytes_ for name, bytes_ in files.items() if name.startswith("shards/")}


class Shuffled(Executor):
    """Finishes what it is given in a random order."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.pending = []
        self.something = threading.Condition()
        threading.Thread(target=self._work, daemon=True).start()

    def submit(self, function, *arguments):
        future = Future()
        with self.something:
            self.pending.append((future, function, arguments))
            self.something.notify()
        return future

    def _work(self):
        while True:
            with self.something:
                while not self.pending:
                    self.something.wait()
                self.something.wait(0.001)  # for more of it to come
                future, function, arguments = self.pending.pop(self.random.randrange(len(self.pending)))
            future.set_result(function(*arguments))


# Calls of the store to the disk, each of which may be made to fail, or be the last one.

DISK = ("fsync", "replace", "link", "unlink", "mkdir")


def watch_disk(act, patch=setattr):
    """Let ``act(name, call, path)`` make, or not make, each call by which the store changes the disk.

    `call` makes it; for a write, ``call(part=True)`` writes the first half.
    """
    from rmt.campaign import log, shards

    for name in DISK:
        real = getattr(os, name)

        def watched(*arguments, real=real, name=name, **options):
            return act(name, lambda part=False: real(*arguments, **options), str(arguments[0]))

        patch(os, name, watched)
    for module in (shards, log):
        patch(module, "open", lambda path, *options, **more: WatchedFile(act, path, *options, **more))


class WatchedFile:
    def __init__(self, act, path, *options, **more):
        self.act, self.path = act, str(path)
        self.file = act("open", lambda part=False: open(path, *options, **more), self.path)  # noqa: SIM115

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, data):
        def call(part=False):
            self.file.write(data[: len(data) // 2] if part else data)
            self.file.flush()

        return self.act("write", call, self.path)


def die_at(out, number, part, options):
    """Run, and be killed at the disk call of that number: before it, or half way through if it is a write."""
    calls = []

    def act(name, call, path):
        calls.append(name)
        if len(calls) <= number or (part and name != "write"):
            return call()
        if part:
            call(part=True)
        return os.kill(os.getpid(), signal.SIGKILL)

    watch_disk(act)
    run(out, options)


def run(out, options):
    """Run in one of the processes of `Forks`: `count` samples of each cell from number `first` on."""
    count, first = options.pop("count", 9), options.pop("first", 0)
    outcome = serial(out, experiment(CELLS[first:], count), **options)
    return 0 if outcome.table is not None else 75


def command(*arguments):
    """Run the `rmt` command."""
    from rmt.cli import main

    return main([str(argument) for argument in arguments])


def limited(size, *arguments):
    """Run the `rmt` command where no file may grow beyond `size` bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return command(*arguments)


def unprivileged(*arguments):
    """Run the `rmt` command without the right of the superuser to write everywhere."""
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if os.geteuid() == 0 and ctypes.CDLL(None).capset(header, none) != 0:
        return 77
    return command(*arguments)


class Listener(Silent):
    """Keeps the lines that a run says."""

    def __init__(self):
        self.lines = []

    def message(self, text):
        self.lines.append(text)


# A process that has everything loaded, and forks: a run begins in milliseconds, and is killed for good.


class Forks:
    def __init__(self):
        here = Path(__file__).parent
        path = os.pathsep.join(filter(None, [str(here), str(here.parent), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": path}
        command = [sys.executable, "-c", "import campaigns; campaigns.serve_forks()"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def _ask(self, *question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def start(self, function, *arguments, errors=os.devnull):
        """Begin ``function(*arguments)`` of this module in a process; its stderr goes to `errors`. Return its id."""
        orders = os.environ.get("RMT_TEST_ORDERS", "")
        return self._ask("start", orders, str(errors), function.__name__, *map(_plain, arguments))

    def wait(self, process):
        """Wait for a process, and return its exit status, -9 for one that was killed."""
        return self._ask("wait", process)

    def run(self, function, *arguments, errors=os.devnull):
        """Begin, wait, and return the exit status."""
        return self.wait(self.start(function, *arguments, errors=errors))

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()


def _plain(value):
    return str(value) if isinstance(value, Path) else value


def serve_forks():
    os.fsync = lambda descriptor: None  # a kill, unlike a loss of power, leaves what was written
    with tempfile.TemporaryDirectory() as out:  # so that everything is loaded
        serial(Path(out) / "out")
    gc.freeze()
    for line in sys.stdin:
        what, *arguments = json.loads(line)
        if what == "wait":
            answer = os.waitstatus_to_exitcode(os.waitpid(arguments[0], 0)[1])
        else:
            answer = os.fork() or _child(*arguments)
        print(answer, flush=True)


def _child(orders, errors, function, *arguments):
    status = 70
    try:
        os.environ["RMT_TEST_ORDERS"] = orders
        os.setpgid(0, 0)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
        status = globals()[function](*arguments) or 0
    except BaseException:
        traceback.print_exc()
    os._exit(status)
