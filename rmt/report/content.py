"""What a page shows of figures and tables: images as data, cells of tables as text with the value behind it."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from rmt.tables import format_cell

if TYPE_CHECKING:
    from pandas import DataFrame

MOST_ROWS = 1000
MOST_SVG_BYTES = 3 * 2**20  # a figure of more points is shown as PNG
LONG = 28  # characters of a cell whose text may be broken


@dataclass(frozen=True)
class Image:
    """A figure of the page: its file's name, the file as a data URI, and its size in CSS pixels."""

    name: str
    data: str
    width: int
    height: int


@dataclass(frozen=True)
class Column:
    """The head of a column; `number`: whether it holds numbers alone."""

    name: str
    number: bool


@dataclass(frozen=True)
class Cell:
    """One cell as text, with the value that it is sorted by where that is another text."""

    text: str
    kind: str
    value: str | None


@dataclass(frozen=True)
class Grid:
    """A table of the page."""

    name: str
    columns: list[Column]
    rows: list[list[Cell]] = field(default_factory=list)
    note: str = ""


def images(directory: Path) -> list[Image]:
    """Return the figures of a run, once each: as SVG, or as PNG where that is smaller by far or all there is."""
    found = []
    for stem in sorted({path.with_suffix("") for path in [*directory.glob("*.svg"), *directory.glob("*.png")]}):
        svg, png = stem.with_name(stem.name + ".svg"), stem.with_name(stem.name + ".png")
        if svg.is_file() and (svg.stat().st_size <= MOST_SVG_BYTES or not png.is_file()):
            found.append(_image(svg, "image/svg+xml", _svg_size(svg.read_bytes())))
        elif png.is_file():
            found.append(_image(png, "image/png", _png_size(png.read_bytes())))
    return found


def _image(path: Path, kind: str, size: tuple[int, int]) -> Image:
    data = base64.b64encode(path.read_bytes()).decode()
    return Image(path.stem, f"data:{kind};base64,{data}", *size)


def _svg_size(data: bytes) -> tuple[int, int]:
    try:
        box = ElementTree.fromstring(data).get("viewBox", "").split()
        return round(float(box[2])), round(float(box[3]))
    except (ElementTree.ParseError, IndexError, ValueError):
        return 800, 600


def _png_size(data: bytes) -> tuple[int, int]:
    if data[:8] != b"\x89PNG\r\n\x1a\n" or len(data) < 24:
        return 800, 600
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def csv_grids(directory: Path) -> list[Grid]:
    """Return the tables that the experiment wrote."""
    import pandas as pd

    grids = []
    for path in sorted(directory.glob("*.csv")):
        try:
            grids.append(grid(path.stem, pd.read_csv(path)))
        except (ValueError, UnicodeDecodeError):  # a file of the experiment's own that is no table
            continue
    return grids


def grid(name: str, frame: DataFrame, note: str = "", texts: Mapping[str, Sequence[str]] | None = None) -> Grid:
    """Return a DataFrame as a table of the page; `texts` has what stands for the numbers of some columns."""
    numbers = [frame[column].dtype.kind in "iuf" for column in frame.columns]
    columns = [Column(str(column), number) for column, number in zip(frame.columns, numbers, strict=True)]
    values = frame.head(MOST_ROWS).itertuples(index=False, name=None)
    rows = [[_cell(value, number) for value, number in zip(row, numbers, strict=True)] for row in values]
    for at, column in enumerate(frame.columns):
        if texts and column in texts:
            for row, text in zip(rows, texts[column], strict=False):
                row[at] = replace(row[at], text=text)
    if len(frame) > MOST_ROWS:
        note = f"The first {MOST_ROWS:,} of {len(frame):,} rows. {note}".strip()
    return Grid(name, columns, rows, note)


def _cell(value: Any, number: bool) -> Cell:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return Cell("", "number" if number else "text", "")
    if not number:
        return Cell(str(value), "long" if len(str(value)) > LONG else "text", None)
    return Cell(f"{value:,}" if isinstance(value, int) else format_cell(value), "number", repr(value))
