"""How a run shows where it stands: a live table on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from rmt.campaign.plan import Cell

if TYPE_CHECKING:
    from rich.progress import TaskID


class Silent:
    """Shows nothing; what every display has."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the display."""

    def start(self, counts: dict[Cell, int], kept: int) -> None:
        """Begin on the cells of `counts`; `kept` more were complete before."""

    def advance(self, cell: Cell, done: int, remaining: float) -> None:
        """`done` samples of `cell` are there; the whole run takes about `remaining` seconds more."""

    def finish(self, cell: Cell, seconds: float) -> None:
        """`cell` is complete and stored, for `seconds` of computing."""

    def message(self, text: str) -> None:
        """Say one line."""


class Lines(Silent):
    """One line for each complete cell."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.finished = self.total = 0
        self.counts: dict[Cell, int] = {}

    def start(self, counts: dict[Cell, int], kept: int) -> None:
        """Say what was complete before."""
        self.counts, self.finished, self.total = counts, kept, kept + len(counts)
        if kept:
            self.message(f"{kept} of {self.total} cells were complete before and are kept")

    def finish(self, cell: Cell, seconds: float) -> None:
        """Say that `cell` is complete."""
        self.finished += 1
        self.message(f"[{self.finished}/{self.total}] {self.counts[cell]} x {cell.label}: {seconds:.1f} s")

    def message(self, text: str) -> None:
        """Print the line."""
        print(text, file=self.stream, flush=True)


class Live(Lines):
    """A line above for each complete cell; below, a bar for each cell in work, and the time to go."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=12),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            console=Console(file=stream),
            transient=True,
        )
        self.tasks: dict[Cell, TaskID] = {}

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bars.stop()

    def start(self, counts: dict[Cell, int], kept: int) -> None:
        """Make the bars; those of cells are shown when their turn comes."""
        super().start(counts, kept)
        self.all = self.bars.add_task("all samples", total=sum(counts.values()), left="")
        width = max(16, self.bars.console.width - 48)  # beside bar, count and time
        for cell, count in counts.items():
            name = cell.label if len(cell.label) <= width else cell.label[: width - 3] + "..."
            self.tasks[cell] = self.bars.add_task(name, total=count, left="", visible=False, start=False)

    def advance(self, cell: Cell, done: int, remaining: float) -> None:
        """Move the bars."""
        minutes, seconds = divmod(int(remaining), 60)
        self.bars.update(self.all, advance=1, left=f"about {minutes}:{seconds:02d} left")
        task = self.tasks[cell]
        if done == 2:  # the first sample of each cell comes ahead of the cell's turn
            self.bars.start_task(task)
        self.bars.update(task, completed=done, visible=done > 1)

    def finish(self, cell: Cell, seconds: float) -> None:
        """Put a line in the place of the bar."""
        self.bars.remove_task(self.tasks.pop(cell))
        super().finish(cell, seconds)

    def message(self, text: str) -> None:
        """Print the line above the bars."""
        self.bars.console.print(text, markup=False, highlight=False)


def display(stream: TextIO | None = None) -> Silent:
    """Return the display for `stream`, standard error by default."""
    stream = sys.stderr if stream is None else stream
    return Live(stream) if stream.isatty() else Lines(stream)
