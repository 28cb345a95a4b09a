"""Build the wheel and the sdist, look at what they hold, install each into a clean environment, and see it work.

python tools/dist.py --out dist
"""

import argparse
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
# What an sdist is for: to test, to document, to reproduce. And what is nobody's business or comes from a run.
WANTED = (
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "PKG-INFO",
    "README.md",
    "benchmarks/run.py",
    "conftest.py",
    "docs/architecture.md",
    "docs/calculator/tables.json",
    "experiments/fig1.py",
    "pyproject.toml",
    "rmt/py.typed",
    "tests/oracles.py",
    "tools/smoke.py",
)
UNWANTED = (".ci", ".git", ".github", ".venv", "results", "dist", "build", "__pycache__", ".hypothesis", "_build")


def sdist_faults(names):
    """Say what is wrong with an sdist whose files are `names`, without the folder that holds all."""
    missing = [f"{name} is missing" for name in WANTED if name not in names]
    return missing + [f"{name} does not belong there" for name in names if unwanted(name)]


def wheel_faults(names):
    """Say what is wrong with a wheel whose files are `names`: the package, its data and its metadata, and no more."""
    parts = {name.split("/")[0] for name in names}
    foreign = [f"{part} does not belong there" for part in parts if part != "rmt" and not part.endswith(".dist-info")]
    sources = [str(path.relative_to(ROOT)) for path in (ROOT / "rmt").rglob("*") if path.is_file()]
    missing = [f"{name} is missing" for name in sources if name not in names and not unwanted(name)]
    licence = [] if any(name.endswith("/licenses/LICENSE") for name in names) else ["the licence is missing"]
    return foreign + missing + licence


def unwanted(name):
    """Whether a file is one that no distribution has."""
    return name.endswith((".pyc", ".so")) or any(
        part in UNWANTED or part.startswith(".venv") for part in name.split("/")
    )


def check(faults, archive):
    """End with what is wrong, if anything is."""
    if faults:
        sys.exit(f"{archive.name}: " + "; ".join(faults))
    print(f"{archive.name}: its files are right", flush=True)


def build(out):
    """Build both, and return their paths."""
    for old in (*out.glob("rmt-*.whl"), *out.glob("rmt-*.tar.gz")):
        old.unlink()
    subprocess.run([sys.executable, "-m", "build", "--outdir", out, ROOT], check=True, stdout=subprocess.DEVNULL)
    (wheel,), (sdist,) = out.glob("rmt-*.whl"), out.glob("rmt-*.tar.gz")
    check(wheel_faults(zipfile.ZipFile(wheel).namelist()), wheel)
    with tarfile.open(sdist) as archive:
        names = [member.name.partition("/")[2] for member in archive if member.isfile()]
    check(sdist_faults(names), sdist)
    return wheel, sdist


def try_out(archive):
    """Install an archive into a clean environment of its own, and see it work there."""
    smoke = [ROOT / "tools" / "smoke.py", ROOT / "experiments" / "template.py"]
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "bin", "python")
        pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        for command in ([*pip, "install", archive], [*pip, "check"], [python, "-I", "-W", "error", *smoke]):
            if subprocess.run(command, cwd=folder).returncode:
                sys.exit(f"{archive.name} does not work: the reason is above")
    print(f"{archive.name}: installs and works", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="where to put them")
    arguments = parser.parse_args()
    with ThreadPoolExecutor() as pool:  # each waits for processes; together they take half the time
        list(pool.map(try_out, build(arguments.out.resolve())))
