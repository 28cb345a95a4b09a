"""What a release promises: one version, a citation, types for users, bounds that are tested, whole archives."""

import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import rmt

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
lowest = runpy.run_path(str(ROOT / "tools" / "lowest.py"))
dist = runpy.run_path(str(ROOT / "tools" / "dist.py"))


def test_the_version_stands_in_one_place():
    assert "version" not in PROJECT["project"]
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["hatch"]["version"] == {"path": "rmt/__init__.py"}
    assert re.fullmatch(r"\d+\.\d+\.\d+", rmt.__version__)


CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
# The schema 1.2.0 of the Citation File Format, as far as this file uses it.
ENTITY = {"name"}
PERSON = {"family-names", "given-names"}
OF_FILE = {
    "cff-version", "message", "type", "title", "abstract", "authors", "version", "license", "keywords", "references",
}  # fmt: skip
OF_REFERENCE = {"type", "title", "authors", "collection-title", "conference", "year", "identifiers", "url"}


def test_the_citation_is_valid():
    assert CITATION["cff-version"] == "1.2.0"
    assert set(CITATION) - {"date-released"} == OF_FILE
    assert CITATION["type"] == "software"
    assert CITATION["version"] == rmt.__version__
    assert CITATION["license"] == PROJECT["project"]["license"]
    assert len(set(CITATION["keywords"])) == len(CITATION["keywords"])
    (reference,) = CITATION["references"]
    assert set(reference) == OF_REFERENCE
    assert reference["type"] == "conference-paper"
    assert set(reference["conference"]) == ENTITY
    assert reference["year"] == 2025
    assert reference["url"].endswith("2505.19827")
    for identifier in reference["identifiers"]:
        assert set(identifier) == {"type", "value", "description"}
        assert identifier["type"] in {"doi", "url", "swh", "other"}
    for author in [*CITATION["authors"], *reference["authors"]]:
        assert set(author) in (ENTITY, PERSON)
        assert all(isinstance(value, str) and value for value in author.values())
    assert [author["name"] for author in CITATION["authors"]] == [
        author["name"] for author in PROJECT["project"]["authors"]
    ]


def test_every_dependency_has_a_lower_bound_that_can_be_tested():
    found = lowest["constraints"](PROJECT["project"], PROJECT["project"]["optional-dependencies"])
    names = {line.split("==")[0] for line in found}
    assert len(names) == len(set(found)), "two lower bounds of one library"
    assert names >= {"numpy", "scipy", "numba", "pandas", "pyarrow", "distributed"}
    assert lowest["constraint"]("numpy >= 2.0, < 3") == "numpy==2.0"
    for requirement in ("numpy", "numpy<3", "numpy~=2.0", "numpy>=2.0; python_version > '3'"):
        with pytest.raises(ValueError, match="no lower bound"):
            lowest["constraint"](requirement)


def test_the_lowest_python_is_the_one_that_is_tested():
    assert PROJECT["project"]["requires-python"] == ">=3.11"
    assert PROJECT["tool"]["mypy"]["python_version"] == "3.11"
    assert PROJECT["tool"]["ruff"]["target-version"] == "py311"
    assert "PYTHON:-python3.11" in (ROOT / "Makefile").read_text()
    assert "sys.version_info < (3, 11)" in (ROOT / "tools" / "venv.sh").read_text()


def test_without_that_python_it_is_told_what_to_install(tmp_path):
    wanted = {"PATH": os.environ["PATH"], "PYTHON": "/nowhere/python3.11"}
    command = ["sh", ROOT / "tools" / "venv.sh", tmp_path / "venv", "lowest"]
    done = subprocess.run(command, capture_output=True, text=True, env=wanted)
    assert done.returncode == 1
    assert done.stderr.startswith("/nowhere/python3.11 is not there: install it")
    assert "apt install python3.11 python3.11-venv" in done.stderr
    assert not any(tmp_path.iterdir())


USER = """
import numpy as np

import rmt


def gain(n: int) -> float:
    return rmt.rescaled_gain(n, "complex", alpha=0.01)


law: rmt.SpectralRadiusLaw = rmt.SpectralRadiusLaw(64)
W: np.ndarray = rmt.rescaled_glorot(64).draw(rng=0)
radii: np.ndarray = rmt.sample_spectral_radius(rmt.glorot(64), 8, rng=np.random.default_rng(0))
norms: np.ndarray = rmt.hidden_norms(W, np.ones((4, 64)))
found: float = gain(64) * law.mean()
"""
WRONG = {
    "rmt.rescaled_gain(64, field=3)": 'Argument "field" to "rescaled_gain"',
    "rmt.rescaled_gain('64')": 'Argument 1 to "rescaled_gain"',
    "rmt.SpectralRadiusLaw(64, scale='large')": 'Argument "scale" to "SpectralRadiusLaw"',
    "rmt.rescaled_gain(64).upper()": '"float" has no attribute "upper"',
    "rmt.sample_spectral_radius(rmt.glorot(8))": 'Missing positional argument "size"',
    "rmt.no_such_name": 'no attribute "no_such_name"',
}


def test_a_users_types_are_checked_against_the_package(tmp_path):
    first = len(USER.splitlines()) + 1
    (tmp_path / "right.py").write_text(USER)
    (tmp_path / "wrong.py").write_text(USER + "".join(f"{line}\n" for line in WRONG))
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "right.py", "wrong.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    lines = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert done.stderr == ""
    assert len(lines) == len(WRONG), done.stdout
    for number, (line, (_, message)) in enumerate(zip(lines, WRONG.items(), strict=True), start=first):
        assert line.startswith(f"wrong.py:{number}: error:")
        assert message in line


def test_what_is_wrong_with_an_archive_is_found():
    whole = list(dist["WANTED"])
    assert dist["sdist_faults"](whole) == []
    assert dist["sdist_faults"](whole[1:]) == [f"{whole[0]} is missing"]
    for name in ("results/fig1/manifest.json", ".ci/run", "tests/__pycache__/x.pyc", ".venv-ci/pyvenv.cfg"):
        assert dist["sdist_faults"]([*whole, name]) == [f"{name} does not belong there"]
    assert not [name for name in whole if name != "PKG-INFO" and not (ROOT / name).is_file()]
    package = [str(path.relative_to(ROOT)) for path in (ROOT / "rmt").rglob("*") if path.is_file()]
    wheel = [name for name in package if "__pycache__" not in name] + ["rmt-1.dist-info/licenses/LICENSE"]
    assert dist["wheel_faults"](wheel) == []
    wheel.remove("rmt/py.typed")
    assert dist["wheel_faults"](wheel) == ["rmt/py.typed is missing"]
    assert dist["wheel_faults"]([*wheel, "rmt/py.typed", "tests/oracles.py"]) == ["tests does not belong there"]
    assert dist["wheel_faults"]([*wheel[:-1], "rmt/py.typed"]) == ["the licence is missing"]


def test_the_contributors_guide_names_what_is_there():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"(?:^|`)make ([a-z][\w-]+)", text, flags=re.MULTILINE))
    assert {"test", "test-all", "test-frameworks", "test-lowest", "dist"} <= targets
    assert not [target for target in targets if f"\n{target}:" not in makefile]
    places = set(re.findall(r"`((?:rmt|tests|docs|experiments|benchmarks|tools)/[\w./-]*)`", text))
    assert len(places) > 8
    assert not [place for place in places if not (ROOT / place).exists()]
    for name in re.findall(r"oracles\.(?!py)(\w+)", text):
        assert f"def {name}(" in (ROOT / "tests" / "oracles.py").read_text()
