"""`rmt audit`: the diagnosis of a file of weights, for people and for CI."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmt import checks
from rmt.audit.diagnosis import EXPLODES
from rmt.audit.finding import UNKNOWN
from rmt.cli.common import DONE, FINDING, STATUSES, Parser, complain, number, print_json, say

if TYPE_CHECKING:
    from rmt.audit.finding import Recurrence
    from rmt.audit.weights import Audit, Finding

LEGEND = (
    "percentile: of the radius among Glorot matrices of that size. scale: the entries have the variance scale^2/n.",
    "num.: of the numerical range; ||W^k|| <= 2 (num. radius)^k for every k. non-normality: 0 for a normal matrix,",
    "about 0.71 for a Glorot matrix, 1 for a nilpotent one. The radii are proven: no eigenvalue lies further out.",
)
TANH = (
    "These steps are those of the linear recurrence. A tanh keeps the state itself within 1; behind one, it is small",
    "differences and gradients that grow like this, as long as the state is near 0. The advice is the same.",
)
FIRST_SECONDS, LINE_SECONDS = 2.0, 20.0  # to the first line on a terminal; elsewhere, and between lines
SENTENCES = 8  # of unstable matrices that are named one by one


def audit(arguments: list[str], resume: str) -> int:
    """Diagnose the recurrent matrices in a file."""
    given = _parser().parse_args(arguments)
    if given.out is not None and Path(given.out).exists() and not Path(given.out).is_dir():
        raise checks.InputError(f"--out must be a directory, got {given.out!r}, which is a file")
    from rmt.audit.reading import read
    from rmt.audit.weights import audit as audit_arrays

    weights = read(given.file)
    options = {"limit": given.limit, "gates": given.gates, "only": given.only or (), "every": given.all}
    try:
        with waiting() as progress:
            found = audit_arrays(weights, steps=given.steps, progress=progress, **options)
    except checks.InputError as error:
        text = str(error)
        raise checks.InputError(text if text.startswith(given.file) else f"{given.file}: {text}") from error
    written = [] if given.out is None else _write(found, Path(given.out))
    if given.json:
        print_json(_as_json(found, given.file, written))
    else:
        say(_as_text(found, given.file, written))
    return FINDING if found.unstable else DONE


@contextmanager
def waiting() -> Iterator[Callable[[int, int, Recurrence], None]]:
    """Say on standard error where an audit stands, when it takes long; yield what is told of each recurrence."""
    began, ended, line = time.monotonic(), threading.Event(), ["reading"]

    def progress(done: int, count: int, recurrence: Recurrence) -> None:
        line[0] = f"{done} of {count} done, at {recurrence.name}, n = {recurrence.n:,}"

    def tell() -> None:
        pause = FIRST_SECONDS if sys.stderr.isatty() else LINE_SECONDS
        while not ended.wait(pause):
            complain(f"rmt audit: {line[0]}; {time.monotonic() - began:.0f} s", DONE)
            pause = LINE_SECONDS

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield progress
    finally:
        ended.set()
        teller.join()


def _parser() -> Parser:
    parser = Parser(
        prog="rmt audit",
        usage="rmt audit FILE [--steps T] [--limit R] [--gates open|rest] [--only NAME] [--all] [--json] [--out DIR]",
        description=(
            "Will the hidden state of a recurrent network explode within T steps, when, and what to change?\n"
            "FILE is a .npy, .npz, safetensors or torch file of weights; nothing in it is ever executed, and torch\n"
            "files need torch. For each recurrent matrix W, and each gate of an LSTM or GRU, of the recurrence\n"
            "h_t = W h_{t-1} + x_t with inputs of variance 1: the spectral radius, proven; where it lies in the law\n"
            "of a Glorot matrix of that size; how far W is from normal; the root mean square of h_t and the steps\n"
            "at which it passes the limit and overflows float32; the gain to multiply W by."
        ),
        epilog=(
            "A tanh bounds the state: the growth is then that of gradients. Sigmoid gates are shown and do not\n"
            "count. A cell counts twice: with its gates open, h_t = W h_{t-1}, W that of its candidate; and at rest,\n"
            "linearised at 0, I/2 + W/4.\n\n"
            "examples:\n"
            "  rmt audit model.safetensors --steps 2000\n"
            "  rmt audit weights.npz --only 'encoder*' --json\n\n"
            "exit status 1: something passes the limit within T steps.\n" + STATUSES
        ),
    )
    parser.add_argument("file", metavar="FILE", help="the weights")
    parser.add_argument("--steps", type=number, default=1000, metavar="T", help="steps to be stable over; default 1000")
    default = "of rms(h_t), the root mean square; default 10 sqrt(T), ten times that of an orthogonal W"
    parser.add_argument("--limit", type=number, metavar="R", help=default)
    parser.add_argument("--gates", choices=("open", "rest"), default="open", help="rest: cells count at rest alone")
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="audit these arrays alone (* and ? match); may be repeated"
    )
    parser.add_argument("--all", action="store_true", help="square arrays of unknown names too")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--out", metavar="DIR", help="write audit.csv and audit.pdf, .png, .svg into DIR")
    return parser


def _as_json(found: Audit, file: str, written: list[Path]) -> dict[str, Any]:
    return {
        "file": file,
        "steps": found.steps,
        "limit": found.limit,
        "gates": found.gates,
        "unstable": bool(found.unstable),
        "matrices": [finding.row() for finding in found.findings],
        "skipped": [{"name": s.name, "shape": list(s.shape), "reason": s.reason} for s in found.skipped],
        "written": [str(path) for path in written],
    }


def _as_text(found: Audit, file: str, written: list[Path]) -> str:
    count, skipped = len(found.findings), len(found.skipped)
    arrays = f"; {_plural(skipped, 'array')} skipped (--json says why)" if skipped else ""
    squares = sum(skipped.reason == UNKNOWN for skipped in found.skipped)
    arrays += f", {squares} of them square and of an unknown name (--all audits them)" if squares else ""
    lines = [
        f"{file}: {_plural(count, 'recurrent matrix', 'recurrent matrices')}{arrays}",
        f"h_t = W h_(t-1) + x_t with inputs of variance 1 over {found.steps:,} steps; "
        f"the limit of rms(h_t) is {found.limit:.4g}",
        "",
    ]
    rows = [finding.row() for finding in found.findings]
    lines += _table(
        ("matrix", "n", "radius", "percentile", "scale", "norm", "num. abscissa", "num. radius", "non-normality"),
        [
            (
                row["name"],
                str(row["n"]),
                f"{row['radius']:.5g}",
                _percent(row["glorot_cdf"], row["glorot_sf"]),
                f"{row['scale']:.4g}",
                f"{row['norm']:.4g}",
                f"{row['numerical_abscissa']:.4g}",
                f"{row['numerical_radius_high']:.4g}",
                f"{row['non_normality']:.3f}",
            )
            for row in rows
        ],
    )
    lines += ["", *LEGEND, ""]
    lines += _table(
        ("matrix", f"rms(h_{found.steps})", "passes limit", "overflows", "gain", "verdict", "read as"),
        [
            (
                row["name"],
                _power(row["log10_rms"]),
                _step(row["step_limit"]),
                _step(row["step_overflow"]),
                _gain(row),
                row["verdict"] + ("" if row["counts"] else " (does not count)"),
                row["reason"],
            )
            for row in rows
        ],
    )
    lines += ["", *TANH] if found.unstable else []
    lines += ["", *_sentences(found)]
    if written:
        lines += ["", "written by this call:", *(f"  {path}" for path in written)]
    return "\n".join(lines)


def _sentences(found: Audit) -> list[str]:
    """Say in plain words what is unstable and what to do about it."""
    lines = []
    for finding in found.unstable[:SENTENCES]:
        diagnosis, name = finding.diagnosis, finding.recurrence.name
        explodes = " explodes" if diagnosis.verdict == EXPLODES else f", of radius {diagnosis.radius:.4g}"
        text = f"{name}{explodes}: rms(h_t) passes {found.limit:.4g} at step {diagnosis.step_limit:,}"
        if diagnosis.step_overflow is not None:
            text += f" and overflows float32 at step {diagnosis.step_overflow:,}"
        lines.append(f"{text}; {_advice(finding)}.")
    rest = len(found.unstable) - SENTENCES
    if rest > 0:
        lines.append(f"{rest} more are unstable: see the table.")
    lines = lines or [f"Stable: nothing that counts passes the limit within {found.steps:,} steps."]
    zeros = [finding.recurrence.name for finding in found.findings if finding.row()["norm"] == 0]
    if zeros:
        lines.append(f"Zero, so that h_t is x_t alone: {', '.join(zeros)}. Were these weights cast to integers?")
    return lines


def _advice(finding: Finding) -> str:
    gain = finding.row()["gain"]
    if gain is None:
        return "no gain keeps it below that limit"
    return f"multiply {finding.recurrence.array} by {gain:g}" + (
        "" if finding.recurrence.kind in ("matrix", "diagonal") else " (the part of the candidate)"
    )


def _gain(row: dict[str, Any]) -> str:
    if not row["counts"]:
        return "-"
    return "none" if row["gain"] is None else f"{row['gain']:g}"


def _plural(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _percent(below: float, above: float) -> str:
    """Return a probability in per cent, without rounding to 0 or 100."""
    if below < 1e-4:
        return "< 0.01%"
    return "> 99.99%" if above < 1e-4 else f"{100 * below:.2f}%"


def _power(log10: float) -> str:
    return f"{10**log10:.3g}" if log10 < 6 else f"{10 ** (log10 % 1):.1f}e{int(log10 // 1)}"


def _step(step: int | None) -> str:
    return "-" if step is None else f"step {step:,}"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Return lines of aligned columns: words to the left, numbers to the right."""
    columns = []
    for title, *cells in zip(head, *rows, strict=True):
        width = max(len(title), *map(len, cells))
        left = title in ("matrix", "verdict", "read as")
        columns.append([cell.ljust(width) if left else cell.rjust(width) for cell in (title, *cells)])
    return ["  ".join(line).rstrip() for line in zip(*columns, strict=True)]


def _write(found: Audit, out: Path) -> list[Path]:
    """Write table and figure into a directory, each file whole or not at all."""
    from rmt.audit.figure import draw
    from rmt.plotting import save_figure

    figure = draw(found)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".audit-") as folder:
            stem = Path(folder, "audit")
            table = stem.with_suffix(".csv")
            table.write_text(found.frame().to_csv(index=False, lineterminator="\n"), encoding="utf-8", newline="\n")
            written = []
            for path in (table, *save_figure(figure, stem)):
                written.append(out / path.name)
                os.replace(path, written[-1])
    except OSError as error:
        raise checks.InputError(f"--out {str(out)!r} cannot be written: {error.strerror or error}") from error
    return written
