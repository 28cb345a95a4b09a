"""`rmt report` and `rmt reproduce`: a run as a page, and all experiments as one set of pages."""

from __future__ import annotations

import argparse
from pathlib import Path

from rmt import checks
from rmt.cli.common import DONE, INCOMPLETE, INTERRUPTED, NO_EXTRA, STATUSES, Parser, complain, number, say

NO_EXPERIMENTS = ("template",)
# What `rmt reproduce` runs besides each experiment at its defaults: name -> experiment, and options.
VARIANTS: dict[str, tuple[str, dict[str, str]]] = {"fig1_rows": ("fig1", {"rows": "all"})}
ROOT = Path(__file__).parents[2]  # of a clone


def report(arguments: list[str], resume: str) -> int:
    """Write the page of a run."""
    from rmt.report import write_report

    parser = Parser(
        prog="rmt report",
        description=(
            "Write one HTML page that shows a run: figures, tables, what was run, how sure, how to run\n"
            "it again. The page holds everything it shows, and asks no server for anything."
        ),
        epilog="example: rmt report results/fig1\n\n" + STATUSES,
    )
    parser.add_argument("directory", metavar="DIR", help="a directory that `rmt run --out DIR` made")
    parser.add_argument("--out", metavar="FILE", help="the page; default DIR/report.html")
    given = parser.parse_args(arguments)
    say(f"wrote {write_report(given.directory, given.out)}")
    return DONE


def reproduce(arguments: list[str], resume: str) -> int:
    """Run every experiment of the clone, and write their pages under one index."""
    from rmt import campaign
    from rmt.campaign.progress import display
    from rmt.report import write_index
    from rmt.report.page import PAGE

    given = _reproduce_parser().parse_args(arguments)
    files = {path.stem: path for path in sorted((ROOT / "experiments").glob("*.py")) if _is_experiment(path)}
    if not files:
        raise checks.InputError("reproduce runs the experiments of a clone of rmt, and this rmt is installed without")
    variants = {name: (file, options) for name, (file, options) in VARIANTS.items() if file in files}
    known = sorted([*files, *variants])
    unknown = [name for name in given.only or [] if name not in known]
    if unknown:
        raise checks.InputError(f"--only must name experiments ({', '.join(known)}), got {unknown[0]!r}")
    names = given.only or known
    out, done, failed = Path(given.out), [], []
    for i, name in enumerate(names, 1):
        complain(f"[{i}/{len(names)}] {name}", DONE)
        file, options = variants.get(name, (name, {}))
        experiment = campaign.load(_shown(files[file]))
        # Where a quick run has other cells, it cannot become a full one.
        folder = f"{name}-quick" if given.quick and experiment.quick_options else name
        try:
            outcome = campaign.run(
                experiment,
                out / folder,
                options=options,
                quick=given.quick,
                seed=given.seed,
                workers=given.workers,
                progress=display(),
            )
        except checks.MissingExtraError as error:
            complain(f"{name} is left out: {error}", DONE)
            continue
        done.append(folder)
        if outcome.interrupted:
            return complain(f"rmt: {outcome.interrupted}; go on with: {resume}", INTERRUPTED)
        if outcome.failures:
            failed.append(name)
    if not done:
        return complain("rmt: every one of these experiments needs an extra that is not installed", NO_EXTRA)
    folders = [folder for name in known for folder in (name, f"{name}-quick")]
    # Those of earlier calls too.
    there = [folder for folder in folders if folder in done or (out / folder / PAGE).is_file()]
    say(f"results are in {out}; open {write_index(out, there)}")
    if failed:
        return complain(f"rmt: samples failed in {', '.join(failed)}; the same command tries them again", INCOMPLETE)
    return DONE


def _is_experiment(path: Path) -> bool:
    return path.stem not in NO_EXPERIMENTS and "\nexperiment = " in path.read_text(encoding="utf-8")


def _shown(path: Path) -> Path:
    """Return the path as a user in the clone would write it, so that the pages name it so."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _reproduce_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="rmt reproduce",
        description=(
            "Run every experiment of this clone and write one page for each, and index.html above them.\n"
            "The same command again goes on where it was interrupted."
        ),
        epilog="example: rmt reproduce --quick\n\n" + STATUSES,
    )
    add = parser.add_argument
    add("--out", metavar="DIR", default="results/all", help="directory of all results; default results/all")
    add("--quick", action="store_true", help="few samples: for a first look")
    add("--only", nargs="+", metavar="NAME", help="these experiments alone, such as fig1 rescaling")
    add("--seed", type=number, default=0, metavar="S", help="root seed, an integer; default 0")
    add("--workers", type=number, metavar="N", help="how many; default RMT_NUM_THREADS, or the number of cores")
    return parser
