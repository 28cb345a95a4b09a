"""Tables: a DataFrame in; CSV, Markdown and LaTeX out, the same bytes every time."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmt import checks

if TYPE_CHECKING:
    from pandas import DataFrame

# What plain text writes directly and LaTeX in mathematics.
_LATEX = str.maketrans(
    {"±": r"$\pm$", "ρ": r"$\rho$", "λ": r"$\lambda$", "<": "$<$", ">": "$>$", "≤": r"$\le$", "−": "$-$"}
)


def format_number(value: Any, digits: int = 4) -> str:
    """Return a number as text of `digits` significant digits; text and integers as they are, NaN as "".

    Examples
    --------
    >>> from rmt.tables import format_number
    >>> format_number(0.88306905), format_number(1e-7, 2), format_number(64), format_number(2.0)
    ('0.8831', '1.0e-07', '64', '2.000')
    """
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return ""
    if value == 0 or 1e-4 <= abs(value) < 10**digits:
        return f"{value:#.{digits}g}".rstrip(".")
    return f"{value:.{digits - 1}e}"


def format_cell(value: Any) -> str:
    """Return a value as text for a screen or page: `format_number`, but 0.03 and 16384 where a float is just that.

    Examples
    --------
    >>> from rmt.tables import format_cell
    >>> format_cell(0.03), format_cell(0.8830690543), format_cell(16384.0), format_cell(2.5e-7), format_cell("x")
    ('0.03', '0.8831', '16384', '2.5e-07', 'x')
    """
    if isinstance(value, float) and math.isfinite(value):
        if value.is_integer() and abs(value) < 1e6:
            return f"{value:.0f}"
        if float(f"{value:.4g}") == value:
            return f"{value:.4g}"
    return format_number(value)


def format_with_error(value: float, error: float) -> str:
    """Return "value ± error", the error with two significant digits and the value to the same decimal.

    Examples
    --------
    >>> from rmt.tables import format_with_error
    >>> format_with_error(0.881235, 0.007213), format_with_error(1234.5, 67.0)
    ('0.8812 ± 0.0072', '1234 ± 67')
    """
    if math.isnan(value):
        return ""
    if not (error > 0 and math.isfinite(error)):
        return format_number(float(value))
    decimals = max(0, 1 - math.floor(math.log10(float(f"{error:.1e}"))))
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def write_tables(
    frame: DataFrame, stem: str | Path, *, shown: DataFrame | None = None, missing: str = "undefined"
) -> list[Path]:
    """Write `frame` as stem.csv in full precision, and as stem.md and stem.tex for readers.

    Parameters
    ----------
    frame : DataFrame
        The table. Its index is not written to the CSV file.
    stem : str or Path
        Path of the files without suffix, in a directory that exists.
    shown : DataFrame, optional
        What the readers' tables show instead, with its index; default: `frame`, numbers to four digits.
    missing : str
        What stands for NaN and for empty text, in all files.

    Returns
    -------
    list of Path
        The three files. The same frame gives the same bytes.

    Examples
    --------
    >>> import pandas, tempfile
    >>> from rmt.tables import write_tables
    >>> folder = tempfile.TemporaryDirectory()
    >>> frame = pandas.DataFrame({"n": [64, 256], "P": [0.8830690543, float("nan")]})
    >>> csv, markdown, latex = write_tables(frame, folder.name + "/table")
    >>> print(markdown.read_text())
    | n   | P         |
    | --- | --------- |
    | 64  | 0.8831    |
    | 256 | undefined |
    >>> folder.cleanup()
    """
    stem = Path(stem)
    if not stem.parent.is_dir():
        raise checks.InputError(f"stem must lie in a directory that exists, got {str(stem)!r}")
    texts = {
        "csv": frame.to_csv(index=False, na_rep=missing, lineterminator="\n"),
        "md": to_markdown(_readable(frame, shown, missing)),
        "tex": to_latex(_readable(frame, shown, missing)),
    }
    paths = []
    for suffix, text in texts.items():
        # Not with_suffix, which would take the end of a stem like "n.64" for a suffix.
        path = stem.with_name(f"{stem.name}.{suffix}")
        path.write_text(text, encoding="utf-8", newline="\n")
        paths.append(path)
    return paths


def _readable(frame: DataFrame, shown: DataFrame | None, missing: str) -> DataFrame:
    """Return a frame of text whose index, where it means something, has become its first columns."""
    table = frame if shown is None else shown.reset_index()
    return table.map(lambda value: format_number(value) or missing)


def to_markdown(frame: DataFrame) -> str:
    """Return the columns of a frame as a Markdown table padded to align; the index is left out."""
    rows = [[str(cell).replace("|", r"\|") for cell in row] for row in [frame.columns, *frame.to_numpy()]]
    widths = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    lines = (" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(f"| {line} |\n" for line in lines)


def to_latex(frame: DataFrame) -> str:
    """Return the columns of a frame as a LaTeX tabular with booktabs rules; the index is left out."""
    style = frame.style.hide(axis="index").format(escape="latex")
    style = style.format_index(escape="latex", axis="columns")
    text: str = style.to_latex(hrules=True, column_format="l" * len(frame.columns))
    return text.translate(_LATEX)
