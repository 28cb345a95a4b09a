"""How a training run shows where it stands: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import Self, TextIO

from rmt.campaign.progress import LINE_SECONDS, duration
from rmt.training.result import Evaluation, Progress


class Lines:
    """A line for each evaluation, and one now and then where these are far apart."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.latest: Progress | None = None
        self.evaluation: Evaluation | None = None
        self.began, self.first = time.monotonic(), 0
        self.said = self.began

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the display."""

    def __call__(self, progress: Progress) -> None:
        """Show a step."""
        if self.latest is None:
            self.began, self.first = time.monotonic(), progress.step
        self.latest = progress
        self.evaluation = progress.evaluation or self.evaluation
        self.show()

    def show(self) -> None:
        """Print the line, if it is time for one."""
        assert self.latest is not None
        if self.latest.evaluation is not None or time.monotonic() - self.said >= LINE_SECONDS:
            self.message(self.line())

    def line(self) -> str:
        """Return what is known now."""
        if self.latest is None:
            return "compiling"
        now, parts = self.latest, [f"step {self.latest.step:,}/{self.latest.steps:,}", f"loss {self.latest.loss:.4f}"]
        if self.evaluation is not None and self.evaluation.validation is not None:
            parts.append(f"validation {self.evaluation.validation:.4f}")
        if self.evaluation is not None:
            parts.append("radii " + " ".join(f"{radius:.3f}" for radius in self.evaluation.radii))
        if now.step > self.first:
            each = (time.monotonic() - self.began) / (now.step - self.first)
            parts.append(f"{duration(each * (now.steps - now.step))} to go")
        return "; ".join(parts)

    def message(self, text: str) -> None:
        """Print a line, if anybody sees it."""
        self.said = time.monotonic()
        with suppress(OSError, ValueError):
            print(text, file=self.stream, flush=True)


class Live(Lines):
    """The same as one line that changes; evaluations stay above it."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        from rich.console import Console
        from rich.status import Status

        self.console = Console(file=stream)
        self.status = Status("compiling", console=self.console)

    def __enter__(self) -> Self:
        with suppress(OSError, ValueError):
            self.status.start()
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError, ValueError):
            self.status.stop()

    def show(self) -> None:
        """Change the line."""
        assert self.latest is not None
        if self.latest.evaluation is not None:
            self.message(self.line())
        with suppress(OSError, ValueError):
            self.status.update(self.line())

    def message(self, text: str) -> None:
        """Print a line above."""
        with suppress(OSError, ValueError):
            self.console.print(text, markup=False, highlight=False)


def display(stream: TextIO | None = None) -> Lines:
    """Return the display for `stream`, standard error by default."""
    stream = sys.stderr if stream is None else stream
    return Live(stream) if stream.isatty() else Lines(stream)
