"""The notebooks run, print what they were kept with, and their prose names no number that was not printed above it."""

import json
import re
from pathlib import Path

import pytest

from tools import notebooks

FOLDER = Path(__file__).parents[1] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def kept(path):
    return json.loads(path.read_text(encoding="utf-8"))


def joined(text):
    return text if isinstance(text, str) else "".join(text)


def outputs(notebook):
    """Return, for each cell of code, what it printed, and how many figures it drew."""
    found = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            printed = "".join(joined(output["text"]) for output in cell["outputs"] if output["output_type"] == "stream")
            shown = [output["data"] for output in cell["outputs"] if output["output_type"] == "display_data"]
            found.append((printed, sum("image/png" in data for data in shown)))
    return found


def last_digit(number):
    """Return the value of one unit in the last digit of a number as it is written."""
    mantissa, _, power = number.partition("e")
    return 10.0 ** (int(power or 0) - len(mantissa.partition(".")[2]))


def same(one, other):
    """Whether two texts agree, their numbers to one unit of the last digit: other machines round in other places."""
    if NUMBER.sub("#", " ".join(one.split())) != NUMBER.sub("#", " ".join(other.split())):
        return False
    pairs = zip(NUMBER.findall(one), NUMBER.findall(other), strict=True)
    return all(
        x == y or (("." in x or "e" in x) and abs(float(x) - float(y)) <= 1.01 * max(last_digit(x), last_digit(y)))
        for x, y in pairs
    )


def test_agreement_itself():
    assert same("p = 0.98281, n = 64", "p = 0.98282,  n = 64")
    assert same("1.2e-07 and -3.5", "1.3e-07 and -3.4")
    assert not same("p = 0.9828", "p = 0.9830")
    assert not same("n = 64", "n = 65")
    assert not same("proven: True", "proven: False")
    assert not same("1 2", "1 2 3")
    assert not same("1.2e-07", "1.2e-06")


def test_there_are_notebooks():
    assert {path.stem for path in PATHS} >= {"quickstart", "verify_gumbel", "stable_recurrences"}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_execution_gives_the_kept_outputs(path):
    before, after = outputs(kept(path)), outputs(notebooks.execute(path))
    assert len(before) == len(after)
    for number, ((old, old_figures), (new, new_figures)) in enumerate(zip(before, after, strict=True)):
        assert same(old, new), f"cell of code {number} printed\n{new}\nand not\n{old}"
        assert old_figures == new_figures


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_kept_as_make_notebooks_writes_them(path):
    notebook = kept(path)
    assert notebook["metadata"] == notebooks.METADATA
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert all(cell["metadata"] == {} for cell in notebook["cells"])
    found = [output for cell in code for output in cell["outputs"]]
    assert {output["output_type"] for output in found} <= {"stream", "display_data"}
    assert not [output for output in found if output.get("name") == "stderr"]  # no warning
    assert sum(figures for _, figures in outputs(notebook)) >= 2
    text = path.read_text(encoding="utf-8")
    assert len(text) < 1_000_000
    assert not re.search(r"/(?:home|root|tmp|work|Users)/", text)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_numbers_in_prose_were_printed_above(path):
    """Printed, or set in the code. Decimal fractions alone: round numbers may be sizes, or a manner of speaking."""
    cells = kept(path)["cells"]
    printed = [x for cell in cells if cell["cell_type"] == "code" for x in NUMBER.findall(joined(cell["source"]))]
    claimed = 0
    for cell in cells:
        if cell["cell_type"] == "code":
            printed += [x for output in cell["outputs"] for x in NUMBER.findall(joined(output.get("text", "")))]
            continue
        prose = re.sub(r"(?s)```.*?```|`[^`]*`|\[[^]]*\]\([^)]*\)|(?m:^    [^\n]*$)", "", joined(cell["source"]))
        for number in re.findall(r"\d+\.\d+", prose):
            claimed += 1
            half = 0.501 * last_digit(number)
            assert any(abs(abs(float(x)) - float(number)) <= half for x in printed), f"{number} was not printed above"
    assert claimed >= 3


def test_make_notebooks_executes_all_of_them():
    makefile = (FOLDER.parent / "Makefile").read_text()
    (recipe,) = re.findall(r"^notebooks: dev\n\t(.*)$", makefile, flags=re.MULTILINE)
    assert recipe.endswith("-m tools.notebooks notebooks/*.ipynb")


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_links_lead_somewhere(path):
    for cell in kept(path)["cells"]:
        if cell["cell_type"] == "markdown":
            for target in re.findall(r"\]\(([^)#]+)\)", joined(cell["source"])):
                assert target.startswith("https://") or (FOLDER / target).exists(), target
