"""The shape of the house: imports run downwards, files are short, `import rmt` is light, docs name what stands."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "rmt"
FLOORS = {
    "checks": 0,
    "streams": 0,
    "parallel": 0,
    "kernels": 1,
    "laws": 2,
    "ensembles": 3,
    "fitting": 3,
    "plotting": 3,
    "tables": 3,
    "spectra": 4,
    "recurrence": 4,
    "audit": 5,
    "campaign": 5,
    "initializers": 5,
    "report": 6,
    "training": 6,
    "cli": 7,
    "__main__": 8,
}
GROUND_ORDER = ("checks", "streams", "parallel")  # floor 0 rests on `checks` alone
MAX_LINES = 400
HEAVY = ("matplotlib", "pandas", "pyarrow", "dask", "torch", "jax", "jinja2", "rich")


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_module(name):
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def imported_modules(source, name, *, is_package=False):
    """Return every module of rmt that `source` imports, wherever the import stands."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = name.split(".") if is_package else name.split(".")[:-1]
                above = package[: len(package) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                deeper = f"{base}.{alias.name}"
                found.add(deeper if is_module(deeper) else base)
    return {module for module in found if module.split(".")[0] == "rmt"}


def forbidden(importer, imported):
    """Say why module `importer` may not import module `imported`, or return None."""
    if imported == "rmt":
        return None if importer == "rmt" else "imports the whole package"
    above, below = importer.split(".")[1], imported.split(".")[1]
    if above == below:
        return None
    if FLOORS[above] == FLOORS[below] == 0:
        return None if GROUND_ORDER.index(below) == 0 else "sideways on the ground floor"
    if FLOORS[below] >= FLOORS[above]:
        return f"floor {FLOORS[above]} imports floor {FLOORS[below]}"
    return None


def python_files(*folders):
    files = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert files
    return files


def ids(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [p for p in python_files("rmt") if p != PACKAGE / "__init__.py"], ids=ids)
def test_imports_run_downwards(path):
    name = module_name(path)
    source = path.read_text()
    modules = imported_modules(source, name, is_package=path.name == "__init__.py")
    if "from rmt import __version__" in source:
        modules -= {"rmt"}  # a string, not a floor
    complaints = {module: forbidden(name, module) for module in modules}
    assert not {module: why for module, why in complaints.items() if why}


def test_every_place_has_a_floor():
    places = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert places - {"__init__"} <= set(FLOORS)


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("rmt.laws.radius", "import rmt.ensembles.gaussian", "floor 2 imports floor 3"),
        ("rmt.laws.radius", "def f():\n    from rmt.spectra import x", "floor 2 imports floor 4"),
        ("rmt.laws.radius", "if TYPE_CHECKING:\n    from rmt import campaign", "floor 2 imports floor 5"),
        ("rmt.spectra.given", "from rmt.recurrence.given import power_norms", "floor 4 imports floor 4"),
        ("rmt.spectra.given", "from ..recurrence import given", "floor 4 imports floor 4"),
        ("rmt.spectra.given", "import rmt", "imports the whole package"),
        ("rmt.streams", "from rmt import parallel", "sideways on the ground floor"),
        ("rmt.streams", "from rmt import checks", None),
        ("rmt.spectra.given", "from . import sampled", None),
        ("rmt.spectra.given", "from rmt.laws.radius import SpectralRadiusLaw", None),
    ],
)
def test_the_import_rule_itself(name, source, expected):
    modules = imported_modules(source, name)
    assert len(modules) == 1
    assert forbidden(name, modules.pop()) == expected


@pytest.mark.parametrize("path", python_files("rmt", "tests", "experiments", "benchmarks", "tools"), ids=ids)
def test_files_are_short(path):
    assert len(path.read_text().splitlines()) < MAX_LINES


def test_import_is_light():
    code = f"import rmt, sys; print([name for name in {HEAVY} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_command_answers_without_heavy_imports():
    code = (
        "import sys; from rmt.cli import main; main(['--help']);"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


def test_architecture_names_every_place():
    text = (ROOT / "docs" / "architecture.md").read_text()
    for place in FLOORS:
        path = PACKAGE / place
        if path.is_dir():
            assert f"`rmt/{place}/`" in text
            files = [file for file in path.glob("*.py") if file.name != "__init__.py"]
            assert not [file.name for file in files if f"`{file.name}`" not in text]
        else:
            assert f"`rmt/{place}.py`" in text
