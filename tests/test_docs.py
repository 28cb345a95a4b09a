"""The pages of docs/ are true: their Python runs and prints what they say, their commands exist, their tables agree."""

import contextlib
import importlib
import io
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import rmt
from rmt.cli import main
from rmt.cli.entry import COMMANDS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
OWN = ("start.md", "commands.md", "others.md", "howto/*.md", "mathematics/*.md")
PAGES = sorted(path for pattern in OWN for path in DOCS.glob(pattern))
ALL = sorted({*PAGES, *DOCS.glob("*.md")})
# A `python` block, and the `text` block that shows what it prints. `py` is Python that needs more than there is here.
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n*```text\n(.*?)^```\n)?", flags=re.DOTALL | re.MULTILINE)


def name(path):
    return str(path.relative_to(DOCS))


def test_there_are_pages():
    assert len(PAGES) > 12
    assert sum(bool(BLOCK.search(page.read_text())) for page in PAGES) >= 6


@pytest.mark.parametrize("page", [page for page in ALL if BLOCK.search(page.read_text())], ids=name)
def test_python_prints_what_the_page_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "page"}
    for code, said in BLOCK.findall(page.read_text()):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, name(page), "exec"), names)
        assert printed.getvalue() == said
    assert not any(tmp_path.iterdir())


def test_every_printed_block_follows_code():
    for page in PAGES:
        text = page.read_text()
        assert text.count("```text") == sum(bool(said) for _, said in BLOCK.findall(text)), name(page)


@pytest.fixture(scope="module")
def page_of_signs():
    return (DOCS / "howto" / "write-experiment.md").read_text()


def test_the_experiment_of_the_page_runs(page_of_signs, tmp_path, monkeypatch):
    code = BLOCK.findall(page_of_signs)[0][0]
    (tmp_path / "signs.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    outcome = rmt.campaign.run(rmt.campaign.load("signs.py"), "results/look", quick=True, engine="serial")
    assert outcome.table["P(rho > 1)"].between(0.2, 0.9).all()
    lines = re.findall(r"```py\n(.*?)```", page_of_signs, flags=re.DOTALL)
    exec(lines[0].replace("results/signs", "results/look"), {"rmt": rmt})


def commands(program):
    """Return the lines of sh blocks that call `program`, without what is behind a #."""
    found = set()
    for page in ALL:
        for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE):
            for line in block.splitlines():
                words = shlex.split(line, comments=True)
                if words[:1] == [program]:
                    found.add(tuple(words))
    assert found
    return sorted(found)


def options_of(help_text):
    return set(re.findall(r"--[a-z][a-z-]*", help_text))


@pytest.mark.parametrize("words", commands("rmt"), ids=" ".join)
def test_commands_exist_with_their_options(words, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    command, *rest = words[1:]
    assert command in COMMANDS
    file = [word for word in rest if word.startswith("experiments/")][:1]
    assert not file or (ROOT / file[0]).is_file()
    assert main([command, *(rest[:1] if command == "train" else file), "--help"]) == 0
    assert {word for word in rest if word.startswith("--")} <= options_of(capsys.readouterr().out)


@pytest.mark.parametrize("words", [w for w in commands("rmt") if w[1] in ("radius", "gain")], ids=" ".join)
def test_commands_that_print_end_well(words, capsys):
    assert main(list(words[1:])) == 0
    assert capsys.readouterr().out


def test_every_command_is_on_its_page():
    listed = re.findall(r"^\| `rmt (\w+)", (DOCS / "commands.md").read_text(), flags=re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)


def test_options_on_the_page_are_those_of_the_commands(capsys):
    text = (DOCS / "commands.md").read_text()
    for command in COMMANDS:
        (row,) = re.findall(rf"^\| `rmt {command}.*$", text, flags=re.MULTILINE)
        main([command, "--help"])
        options = re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, flags=re.MULTILINE)
        assert set(re.findall(r"`(--[a-z-]+)", row)) == set(options)


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    found = re.compile(r"(?:`|^)make ([\w-]+)", flags=re.MULTILINE)
    targets = {target for page in ALL for target in found.findall(page.read_text())}
    assert {"fig1", "test", "bench"} <= targets
    assert not [target for target in targets if f"\n{target}:" not in makefile]


def test_paths_and_names_in_the_text_are_there():
    for page in ALL:
        text = page.read_text()
        for path in re.findall(r"`((?:experiments|tests|benchmarks|notebooks)/[\w/]+\.\w+)", text):
            assert (ROOT / path).is_file(), f"{name(page)}: {path}"
        for path in re.findall(r"`rmt\.([a-zA-Z]\w*(?:\.[a-zA-Z_]\w*)*)[`(]", text):
            thing = rmt
            for part in path.split("."):
                if part in ("torch", "jax", "keras", "reservoirpy"):
                    break
                if not hasattr(thing, part):  # a package that nothing has imported yet
                    importlib.import_module(f"{thing.__name__}.{part}")
                thing = getattr(thing, part)


def rows(page, first):
    """Return the numbers of the table whose head begins with `first`: n -> the other columns, NaN where no number."""
    table = re.search(rf"^\| {re.escape(first)}.*\n\| ---.*\n((?:\|.*\n)+)", (DOCS / page).read_text(), re.MULTILINE)

    def number(text):
        try:
            return float(text)
        except ValueError:
            return np.nan

    cells = [[number(cell.strip()) for cell in line.strip().strip("|").split("|")] for line in table[1].splitlines()]
    return {int(n): columns for n, *columns in cells}


def same(shown, exact, digits):
    """Whether numbers are rounded rightly to their digits; NaN stands for what is not there."""
    shown, exact = np.array(shown), np.array(exact, dtype=float)
    assert np.array_equal(np.isnan(shown), np.isnan(exact))
    return bool(np.nanmax(abs(shown - exact)) <= 0.5001 * 10.0**-digits)


def test_table_of_radius_laws():
    table = rows("mathematics/radius.md", "$n$ | real: $\\mathbb{P}")
    assert len(table) == 6
    for n, shown in table.items():
        laws = [rmt.SpectralRadiusLaw(n, field) for field in ("real", "complex")]
        assert same(shown, [value for law in laws for value in (law.sf(1.0), law.mean(), law.std())], 6), n


def test_table_of_distances():
    table = rows("mathematics/gumbel.md", "$n$ | real | complex")
    assert len(table) == 4
    for n, shown in table.items():
        if n <= 1024:
            assert same(shown, [rmt.gumbel_distance(n), rmt.gumbel_distance(n, "complex")], 3), n


def test_tables_of_gains():
    table = rows("mathematics/gumbel.md", "$n$ | paper | exact")
    assert len(table) == 4
    for n, shown in table.items():
        if n <= 1024:
            exact = [rmt.rescaled_gain(n, rule="paper"), rmt.rescaled_gain(n), rmt.rescaled_gain(n, "complex")]
            assert same(shown, exact, 6), n
    for n, shown in rows("howto/choose-initialisation.md", '$n$ | `rule="exact"`').items():
        if n <= 1024:
            paper = rmt.rescaled_gain(n, rule="paper") if n >= 164 else np.nan
            assert same(shown[:3], [rmt.rescaled_gain(n), rmt.rescaled_gain(n, "complex"), paper], 4), n
            assert n < 164 or shown[3] == pytest.approx(rmt.SpectralRadiusLaw(n).sf(1 / paper), rel=0.02)


def test_table_of_risks():
    table = rows("mathematics/layers.md", "$n$ | one layer, real")
    assert len(table) == 5
    for n, shown in table.items():
        if n <= 1024:
            laws = [rmt.SpectralRadiusLaw(n, field) for field in ("real", "complex")]
            risks = [law.sf(law.mean() + law.std()) for law in laws]
            assert same(shown[:2], risks, 4), n
            assert same(shown[2:], [1 - (1 - risk) ** 4 for risk in risks], 3), n


def test_table_of_misses_is_that_of_the_benchmarks():
    ours = re.findall(r"^\| (\d+) \| (\d+) \| (\d+) of (\d+) \| ([^|]*) \|", (DOCS / "others.md").read_text(), re.M)
    theirs = re.findall(
        r"^\| (\d+) \| scipy.sparse.linalg.eigs, k = (\d+) \| (\d+) \| (\d+) \| ([^|]*) \|",
        (ROOT / "benchmarks" / "results.md").read_text(),
        re.M,
    )
    assert len(ours) == 6
    assert ours == [(n, k, low, count, interval) for n, k, count, low, interval in theirs]


def test_moments_of_the_page():
    text = (DOCS / "mathematics" / "moments.md").read_text()
    found = re.findall(r"^\| \$k = (\d+)\$ \| ([\d.]+) \| ([\d.]+) \|", text, re.M)
    assert len(found) == 3
    for k, real, complex_ in found:
        exact = [rmt.mean_power_norm(int(k), 100, field) for field in ("real", "complex")]
        assert same([float(real), float(complex_)], exact, 6)
    for n in (2, 7):
        powers = [n**2, n**3 + 2 * n, n**4 + 10 * n**2 + 4 * n, n**5 + 28 * n**3 + 28 * n**2 + 48 * n]
        for k, R in enumerate(powers, start=1):
            assert rmt.mean_power_norm(k, n) * n ** (k + 1) == pytest.approx(R, rel=1e-13)
