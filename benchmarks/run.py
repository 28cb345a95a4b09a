"""Run all benchmarks and write results.md and scaling.{png,svg}.

python -m benchmarks.run [--quick] [--out DIR]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from pathlib import Path

from benchmarks import campaigns, cases, figure, misses, report
from benchmarks.targets import with_target
from benchmarks.timing import Row, one_core


def run(effort: cases.Effort, campaign_effort: campaigns.Effort, out: Path, command: str) -> None:
    """Measure everything, and write the files into `out`; `command` is named as what wrote them."""
    start = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    with one_core():
        rows = _shown(map(with_target, cases.every_row(effort)))
        wrong = misses.miss_table(effort.trials)
        times = figure.measure_curves(effort.sizes, effort.limit)
    runs = _shown(campaigns.every_row(campaign_effort))  # which needs a second core
    minutes = (time.perf_counter() - start) / 60
    text = report.markdown(
        rows, runs, wrong, times, command=command, minutes=minutes, chunk_seconds=campaign_effort.chunk_seconds
    )
    (out / "results.md").write_text(text)
    figure.draw(times, out / "scaling")
    print(f"wrote {out / 'results.md'}, {out / 'scaling.png'} and {out / 'scaling.svg'} after {minutes:.1f} minutes")


def _shown(rows: Iterable[Row]) -> list[Row]:
    """Print each row when it has been measured."""
    found = []
    for row in rows:
        print(*filter(None, report.row_cells(row)), sep=" | ", flush=True)
        found.append(row)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a first look, in a few minutes")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="where the files go")
    options = parser.parse_args()
    if options.quick:
        run(cases.QUICK, campaigns.QUICK, options.out, "make bench-quick")
    else:
        run(cases.FULL, campaigns.FULL, options.out, "make bench")


if __name__ == "__main__":
    main()
