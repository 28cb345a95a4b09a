"""Processes of this machine, each with a pipe of its own: one that dies costs its own chunk, and nothing else.

The pool of the standard library has one pipe for all results: a process that is killed while it writes one leaves
everybody waiting for the rest of it, and the death of any process fails whatever is in flight. Here a thread
stands before each process, hands it what there is to do, and sees it die.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.resource_tracker
import os
import pickle
import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from rmt import checks
from rmt.campaign.plan import one_line

BIRTHS = 3  # times that a process may end before it could begin
LOOK_SECONDS = 1.0  # between looks at a process that is silent
LEAVE_SECONDS = 10.0  # for a process to end by itself
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class WorkerDied(BrokenExecutor):
    """The process ended before it gave an answer."""


class Worker:
    """One process, begun anew and not forked, so that no lock or thread is inherited."""

    def __init__(self, prepare: Callable[[], None]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, prepare))
        try:
            self.process.start()
        finally:
            theirs.close()  # what is left is the process's own: its death closes the pipe

    def ask(self, question: bytes) -> bytes:
        """Return the answer to a question; EOFError or OSError where the process is dead."""
        # In a thread: a long question waits for a reader, also where that is dead and a child of its holds the pipe.
        threading.Thread(target=self._send, args=(question,), daemon=True).start()
        return self.listen()

    def _send(self, question: bytes) -> None:
        with suppress(OSError, TypeError):  # the pipe broke, or was closed on the way: whoever listens finds out
            self.pipe.send_bytes(question)

    def listen(self) -> bytes:
        """Return what the process says next; EOFError or OSError where it is dead."""
        while not self.pipe.poll(LOOK_SECONDS):
            if self.process.exitcode is not None:  # what it started may live on, and hold the pipe open
                raise EOFError
        return self.pipe.recv_bytes()

    def end(self) -> None:
        """Let the process end by itself, or see to it."""
        with suppress(OSError), socket.socket(fileno=os.dup(self.pipe.fileno())) as pipe:
            pipe.shutdown(socket.SHUT_RDWR)  # which ends a `_send` that still waits
        self.pipe.close()
        if self.process.exitcode is None and not wait([self.process.sentinel], LEAVE_SECONDS):
            self.process.kill()
        self.process.join()


class Pool(ThreadPoolExecutor):
    """An executor of `workers` processes; one that dies is replaced.

    Parameters
    ----------
    workers : int
        How many processes there are at most; each begins when there is work for it.
    prepare : callable
        Called in each process before anything else; importable by name.
    """

    def __init__(self, workers: int, prepare: Callable[[], None]) -> None:
        multiprocessing.resource_tracker.ensure_running()  # lifts the block of signals in the thread that starts it
        super().__init__(workers, initializer=_block_signals)
        self._prepare = prepare
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._alive: set[Worker] = set()
        self._killed = False

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call `function`, importable by name, in a process."""
        return super().submit(self._ask, pickle.dumps((function, args, kwargs)))

    def _ask(self, question: bytes) -> Any:
        with self._lock:
            worker = self._idle.pop() if self._idle else None
        worker = worker or self._begin()
        try:
            answer = worker.ask(question)
        except (EOFError, OSError):
            self._end(worker)
            raise WorkerDied(f"the process {worker.process.pid} died") from None
        with self._lock:
            self._idle.append(worker)
        done, value = pickle.loads(answer)
        if not done:
            raise value
        return value

    def _begin(self) -> Worker:
        """Start a process, and wait until it is ready: if it dies later, it is of what it was given."""
        for _ in range(BIRTHS):
            with self._lock:
                if self._killed:
                    break
                try:
                    worker = Worker(self._prepare)
                except (OSError, RuntimeError) as error:
                    raise checks.InputError(f"a worker process cannot be started: {one_line(error)}") from error
                self._alive.add(worker)
            try:
                worker.listen()
                return worker
            except (EOFError, OSError):
                self._end(worker)
        if self._killed:
            raise WorkerDied("the pool is closed")
        raise checks.InputError(
            f"{BIRTHS} worker processes in a row ended before they could begin: in a script, what starts a run "
            'must stand under `if __name__ == "__main__":`; else, is memory short?'
        )

    def _end(self, worker: Worker) -> None:
        with self._lock:
            self._alive.discard(worker)
        worker.end()

    def kill(self) -> None:
        """End every process at once, in the middle of whatever it does; none is started any more."""
        with self._lock:
            self._killed = True
            for worker in self._alive:
                worker.process.kill()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes once they have done what they have in work."""
        super().shutdown(wait, cancel_futures=cancel_futures)
        for worker in self._idle if wait else ():
            worker.pipe.close()
        for worker in list(self._idle) if wait else ():
            self._end(worker)


def _block_signals() -> None:
    """Keep signals from this thread and from the processes that it starts: they are the coordinator's."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def _serve(pipe: Connection, prepare: Callable[[], None]) -> None:
    """Answer questions until the pipe closes: what a process does."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    prepare()
    try:
        pipe.send_bytes(b"ready")
        while True:
            pipe.send_bytes(_answer(pipe.recv_bytes()))
    except (EOFError, OSError):
        return


def _answer(question: bytes) -> bytes:
    try:
        function, args, kwargs = pickle.loads(question)
        return pickle.dumps((True, function(*args, **kwargs)))
    except BaseException as error:
        # As text, and not as it is: an exception need not survive the way through a pipe.
        known = isinstance(error, checks.InputError)
        return pickle.dumps((False, checks.InputError(str(error)) if known else RuntimeError(one_line(error))))
