"""How a run shows where it stands: a live table on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from rmt.campaign.schedule import Part

if TYPE_CHECKING:
    from rich.table import Table

LINE_SECONDS = 20.0  # after which a line says how it stands, where nothing was said


class Silent:
    """Shows nothing; what every display has."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the display."""

    def start(self, parts: list[Part]) -> None:
        """Begin on the cells of `parts`, of which some may be complete."""

    def update(self, part: Part) -> None:
        """Show that samples of `part` were stored."""

    def finish(self, part: Part) -> None:
        """`part` is complete and stored."""

    def message(self, text: str) -> None:
        """Say one line."""


class Lines(Silent):
    """A line for each complete cell, and one now and then where cells or samples take long."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.parts: list[Part] = []
        self.began = self.said = time.monotonic()
        self.ended = threading.Event()

    def __enter__(self) -> Self:
        self.began = self.said = time.monotonic()
        self.ended.clear()
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.ended.set()

    def _watch(self) -> None:
        """Say how it stands wherever nothing was said for long: also while one sample is computed."""
        while not self.ended.wait(max(self.said + LINE_SECONDS - time.monotonic(), 0.01)):
            if time.monotonic() - self.said >= LINE_SECONDS:
                self.message(self.standing())

    def start(self, parts: list[Part]) -> None:
        """Say what was there before."""
        self.parts = parts
        self.began = time.monotonic()
        stored = sum(part.done for part in parts)
        if stored:
            complete = sum(part.final is not None for part in parts)
            self.message(f"{stored} samples are there already; {complete} of {len(parts)} cells are complete")

    def finish(self, part: Part) -> None:
        """Say that a cell is complete."""
        number = sum(other.final is not None for other in self.parts)
        error = f", standard error {part.moments.standard_error:.2g}" if part.sequential and part.moments.count else ""
        text = f"{part.final} x {part.cell.label}: {part.seconds:.1f} s{error}"
        self.message(f"[{number}/{len(self.parts)}] {text}" if self.parts else text)

    def standing(self) -> str:
        """Return a line about a cell in work, and the time to go."""
        at_work = [part for part in self.parts if part.open]
        part = next((part for part in at_work if part.flying), next(iter(at_work), None))
        if part is None:
            return "  looking at what is there, or joining it"
        if not any(part.computed for part in self.parts):
            what = f"  waiting for the first samples, since {duration(time.monotonic() - self.began)}; in work is "
            return f"{what}{part.cell.label}"
        return f"  {part.done}/{part.goal} of {part.cell.label}; {self.to_go()} to go"

    def to_go(self) -> str:
        """Return the time to go in words; it is rough until half is done, and every cell was begun."""
        if all(part.each is None for part in self.parts):
            return "unknown"
        done, left = sum(part.seconds for part in self.parts), sum(part.remaining for part in self.parts)
        rough = done < left or any(part.each is None and part.open for part in self.parts)
        return f"{'roughly' if rough else 'about'} {duration(self.left())}"

    def left(self) -> float:
        """Return the seconds to go, from what the samples cost so far and how many were computed at once."""
        computing = sum(part.seconds for part in self.parts)
        elapsed = max(time.monotonic() - self.began, 1e-3)
        return sum(part.remaining for part in self.parts) / max(computing / elapsed, 0.5)

    def message(self, text: str) -> None:
        """Print the line."""
        self.said = time.monotonic()
        with _unseen():
            print(text, file=self.stream, flush=True)


class Live(Lines):
    """A line above for each complete cell; below, a table of the cells in work."""

    ROWS = 8

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        from rich.console import Console
        from rich.live import Live as RichLive

        self.console = Console(file=stream)
        self.live = RichLive(console=self.console, refresh_per_second=4, transient=True, get_renderable=self._table)

    def __enter__(self) -> Self:
        with _unseen():
            self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        with _unseen():
            self.live.stop()

    def _table(self) -> Table:
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("cell", "done", "asked", "per second", "std. error", "to go"):
            table.add_column(name, justify="left" if name == "cell" else "right", no_wrap=True)
        open_parts = [part for part in self.parts if part.open]
        shown = sorted(open_parts, key=lambda part: not part.flying)[: self.ROWS]
        for part in shown:
            table.add_row(*self._row(part))
        if len(open_parts) > len(shown):
            table.add_row(f"and {len(open_parts) - len(shown)} cells more")
        if self.parts:
            done = sum(part.done for part in self.parts)
            asked = sum(part.goal for part in self.parts)
            table.add_row("all cells", f"{done:,}", f"{asked:,}", "", "", self.to_go(), style="bold")
        return table

    def _row(self, part: Part) -> tuple[str, ...]:
        width = max(16, self.console.width - 56)
        name = part.cell.label if len(part.cell.label) <= width else part.cell.label[: width - 3] + "..."
        rate = "" if part.each is None else f"{1 / part.each:,.3g}"
        error = part.moments.standard_error
        shown = "" if math.isnan(error) else f"{error:.2g}"
        return name, f"{part.done:,}", f"{part.goal:,}", rate, shown, duration(part.remaining)

    def message(self, text: str) -> None:
        """Print the line above the table."""
        with _unseen():
            self.console.print(text, markup=False, highlight=False)


@contextmanager
def _unseen() -> Iterator[None]:
    """Go on where nothing can be shown any more: the pipe or the terminal is closed, or the disk of the log is full."""
    with suppress(OSError, ValueError):
        yield


def duration(seconds: float) -> str:
    """Return a time for people: 0:07, 12:03, 3:05:10."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def display(stream: TextIO | None = None) -> Silent:
    """Return the display for `stream`, standard error by default."""
    stream = sys.stderr if stream is None else stream
    return Live(stream) if stream.isatty() else Lines(stream)
