"""Print the lowest versions that pyproject.toml allows, as constraints for pip.

python tools/lowest.py [EXTRA ...] > constraints.txt

A requirement without a lower bound is refused: what is not bounded from below cannot be tested there.
"""

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def constraint(requirement):
    """Return the constraint that holds a requirement such as numpy>=2.0 at its lower bound."""
    found = re.fullmatch(r"([\w.-]+)>=([\w.]+)(,.*)?", requirement.replace(" ", ""))
    if found is None:
        raise ValueError(f"{requirement} has no lower bound of the form name>=version")
    return f"{found[1]}=={found[2]}"


def constraints(project, extras=()):
    """Return those of all dependencies of a project, and of some of its extras."""
    lists = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras)]
    return [constraint(requirement) for requirements in lists for requirement in requirements]


if __name__ == "__main__":
    print(*constraints(tomllib.loads(PROJECT.read_text())["project"], sys.argv[1:]), sep="\n")
