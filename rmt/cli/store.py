"""`rmt status`, `rmt verify` and `rmt export`: what is in the directory of a run, and whether it is sound."""

from __future__ import annotations

import dataclasses
import shlex
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rmt.cli.common import DONE, FINDING, STATUSES, Parser, number, print_json, program, say

if TYPE_CHECKING:
    from rmt.campaign.inspection import CellStatus, Status


def status(arguments: list[str], resume: str) -> int:
    """Print how a run stands."""
    from rmt import campaign

    parser = Parser(
        prog="rmt status",
        description=(
            "How the run in DIR stands: samples done of those asked for, mean and standard error of the cells\n"
            "whose samples are real numbers, failed samples, damaged files, when something last happened, and\n"
            "the command that goes on. Reads DIR alone, changes nothing, also while a run is at work."
        ),
        epilog=(
            "--json prints one object, whose names are those of rmt.campaign.inspection.Status and CellStatus:\n"
            "  directory experiment options seed complete asked done failed mixed damaged files bytes set_aside\n"
            "  call host last_activity ended active command\n"
            "  cells: [label folder complete asked done stored prefix failed mixed damaged disputes shape field\n"
            "          mean standard_error]\n"
            "An incomplete run is no error: the exit status is 0, and `complete` says how it is.\n\n"
            "example: rmt status results/fig1\n\n" + STATUSES
        ),
    )
    parser.add_argument("directory", metavar="DIR", help="directory of a run")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(arguments)
    found = campaign.status(given.directory)
    if given.json:
        print_json(dataclasses.asdict(found))
    else:
        say("\n".join(_describe(found)))
    return DONE


def _describe(found: Status) -> list[str]:
    complete = sum(cell.complete for cell in found.cells)
    lines = [
        f"{found.experiment} in {found.directory}: {complete} of {len(found.cells)} cells are complete, "
        f"{found.done:,} of {found.asked:,} samples are there",
        f"root seed {found.seed}; files of samples: {found.files:,}, {found.bytes:,} bytes",
        "",
        *_aligned([("cell", "done", "asked", "mean ± std. error", ""), *map(_row, found.cells)]),
        "",
    ]
    lines += [f"{cell.label}: {dispute}" for cell in found.cells for dispute in cell.disputes]
    if any(cell.disputes for cell in found.cells):
        lines.append(f"`rmt verify {found.directory}` says which of them is right")
    if found.failed:
        lines.append(f"failed samples: {found.failed:,}; failures/ has the reasons, and the next call tries them again")
    if found.damaged:
        lines.append(
            f"damaged files: {found.damaged:,}; the next call sets them aside, and computes their samples again"
        )
    if found.set_aside:
        lines.append(f"damaged files that were set aside in damaged/: {found.set_aside:,}")
    if found.mixed:
        lines.append(f"samples of machines with other numerics, which are labelled: {found.mixed:,}")
    lines.append(_activity(found))
    if found.complete and not found.damaged:
        return lines
    if found.command is None:
        return [*lines, "the run was made in Python: the same rmt.campaign.run(...) goes on"]
    return [*lines, f"go on with: {shlex.join(program())}{found.command.removeprefix('rmt')}"]


def _row(cell: CellStatus) -> tuple[str, ...]:
    from rmt.tables import format_with_error

    remarks = {"failed": len(cell.failed), "mixed": cell.mixed, "damaged": len(cell.damaged)}
    remarks["in dispute"] = len(cell.disputes)
    mean = "" if cell.mean is None else format_with_error(cell.mean, cell.standard_error or 0.0)
    words = ", ".join(f"{count:,} {remark}" for remark, count in remarks.items() if count)
    return cell.label, f"{cell.done:,}", f"{cell.asked:,}", mean, words


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1], strict=True)),
                row[-1],
            ]
        ).rstrip()
        for row in rows
    ]


def _activity(found: Status) -> str:
    if found.last_activity is None:
        return "last activity: none; no call had work to do yet"
    when = datetime.fromisoformat(found.last_activity)
    ago = (datetime.now(UTC) - when).total_seconds()
    text = f"last activity: {when:%Y-%m-%d %H:%M:%S} UTC, {max(ago, 0):,.0f} s ago, on {found.host}; "
    if found.ended is not None:
        return f"{text}the newest call ended: {found.ended}"
    return text + ("a run seems at work" if found.active else "no end was logged: it was killed, or takes long")


def verify(arguments: list[str], resume: str) -> int:
    """Hash and compute again; a finding is status 1."""
    from rmt import campaign
    from rmt.campaign.verification import MAX_SECONDS, SAMPLES

    parser = Parser(
        prog="rmt verify",
        description=(
            "Hash every file of the run in DIR again, compare files that overlap, and compute a random choice of\n"
            "its samples again, bit by bit. Changes nothing in DIR, also while a run is at work.\n\n"
            "Cells of rmt's own statistics and ensembles are made from the manifest. For others the experiment\n"
            "file is run, where the newest call had it, or FILE: verify runs of people whose code you would run.\n"
            "What could not be computed again is named, with the reason, and is no finding."
        ),
        epilog="example: rmt verify results/fig1 --samples 20 --max-seconds 600\n\n" + STATUSES,
    )
    add = parser.add_argument
    add("directory", metavar="DIR", help="directory of a run")
    add(
        "--samples",
        type=number,
        default=SAMPLES,
        metavar="K",
        help=f"samples of each cell to compute again, 0 for none; default {SAMPLES}",
    )
    add("--experiment", metavar="FILE", help="the experiment file, if it is not where it was")
    add("--seed", type=number, metavar="S", help="of the choice of samples; by default another at each call")
    add(
        "--max-seconds",
        type=number,
        default=MAX_SECONDS,
        metavar="T",
        help=f"begin no sample after T seconds of computing; default {MAX_SECONDS:g}",
    )
    given = parser.parse_args(arguments)
    found = campaign.verify(
        given.directory,
        samples=given.samples,
        experiment=given.experiment,
        seed=given.seed,
        max_seconds=given.max_seconds,
    )
    lines = [
        f"hashed again: {found.files:,} files of {found.cells} cells in {given.directory}, {found.bytes:,} bytes",
        f"computed again: {found.recomputed:,} samples of {found.of_cells} cells, in {found.seconds:.1f} s "
        f"(--seed {found.seed} chooses the same)",
        *found.notes,
        *(f"FOUND {line}" for line in found.findings),
        "all that was checked agrees, bit by bit" if found.sound else f"findings: {len(found.findings)}",
    ]
    say("\n".join(lines))
    return DONE if found.sound else FINDING


def export(arguments: list[str], resume: str) -> int:
    """Write the samples and a summary for other programs."""
    from rmt import campaign
    from rmt.campaign.exporting import FORMATS

    parser = Parser(
        prog="rmt export",
        description=(
            "Write the samples of the run in DIR, and a summary, for other programs:\n"
            "  parquet, csv      a file for each cell, a row for each sample; and the summary\n"
            "  latex, markdown   the summary alone: a row for each cell, with mean, standard error, quantiles\n"
            "                    where a sample is a real number, and shape and count elsewhere\n"
            "Of each cell the samples 0, 1, ... up to the first that is missing are taken. Floats read back as\n"
            "the same bits. `rmt.campaign.open_run(DIR)` gives the same samples in Python without an export."
        ),
        epilog="example: rmt export results/fig1 --format csv\n\n" + STATUSES,
    )
    parser.add_argument("directory", metavar="DIR", help="directory of a run")
    parser.add_argument("--format", choices=FORMATS, required=True, help="what to write")
    parser.add_argument("--out", metavar="FOLDER", help="where to; default DIR/export; made if absent")
    given = parser.parse_args(arguments)
    result = campaign.export(given.directory, given.format, given.out)
    say("\n".join([*result.notes, "written:", *(f"  {path}" for path in result.written)]))
    return DONE
