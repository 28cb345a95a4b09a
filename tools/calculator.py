"""Make the calculator, one page that works offline: gains and growth of a recurrence, from tables of the exact laws.

python tools/calculator.py --out calculator.html
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import rmt

SOURCES = Path(__file__).parents[1] / "docs" / "calculator"
# What the page claims, and the tests hold it to: largest errors against the library, absolute.
GAIN_ERROR, RISK_ERROR = 1e-7, 1e-6
MEDIAN_ERROR = 0.2  # of the logarithm, where it is largest


def page(*, back: str = "") -> str:
    """Return the page, which holds all it needs; `back` is the address of a page above it, if there is one."""
    from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined

    loader = ChoiceLoader([FileSystemLoader(SOURCES), PackageLoader("rmt.report", ".")])
    environment = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    tables = {name: json.loads((SOURCES / f"{name}.json").read_text()) for name in ("tables", "medians")}
    return environment.get_template("page.html.jinja").render(
        {name: json.dumps(table, separators=(",", ":")) for name, table in tables.items()},
        gain_error=f"{GAIN_ERROR:.0e}",
        risk_error=f"{RISK_ERROR:.0e}",
        median_error=f"{MEDIAN_ERROR:.0%}",
        version=rmt.__version__,
        back=back,
    )


def write(path: str | Path, *, back: str = "") -> Path:
    """Write the page to `path`, and return that."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(back=back), encoding="utf-8")
    return path


def main() -> None:
    """Write the page that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="where to write the page")
    parser.add_argument("--back", default="", help="address of a page above it")
    arguments = parser.parse_args()
    print(f"wrote {write(arguments.out, back=arguments.back)}")


if __name__ == "__main__":
    main()
