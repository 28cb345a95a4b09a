"""Measure speed against peers, and write results.md and scaling.{png,svg}.

python -m benchmarks.run [--quick] [--out DIR]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from benchmarks import cases, figure, misses, report
from benchmarks.targets import with_target
from benchmarks.timing import one_core


def run(effort: cases.Effort, out: Path, command: str) -> None:
    """Measure everything, and write the files into `out`; `command` is named as what wrote them."""
    start = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    with one_core():
        rows = report.shown(map(with_target, cases.every_row(effort)))
        wrong = misses.miss_table(effort.trials)
        times = figure.measure_curves(effort.sizes, effort.limit)
    minutes = (time.perf_counter() - start) / 60
    text = report.markdown(rows, wrong, times, command=command, minutes=minutes, **figure.NUMBERS)
    (out / "results.md").write_text(text)
    figure.draw(times, out / "scaling")
    print(f"wrote {out / 'results.md'}, {out / 'scaling.png'} and {out / 'scaling.svg'} after {minutes:.1f} minutes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a first look, in a few minutes")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="where the files go")
    options = parser.parse_args()
    if options.quick:
        run(cases.QUICK, options.out, "make bench-quick")
    else:
        run(cases.FULL, options.out, "make bench")


if __name__ == "__main__":
    main()
