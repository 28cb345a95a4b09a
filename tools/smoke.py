"""Does an installed rmt work? Run by the interpreter of a fresh environment, from outside of the repository.

python -I tools/smoke.py TEMPLATE    TEMPLATE is experiments/template.py
"""

import importlib.metadata
import json
import subprocess
import sys
import tempfile
from pathlib import Path


def command(*arguments, cwd=None):
    """Run the installed `rmt` and return what it printed."""
    program = Path(sys.executable).with_name("rmt")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, f"rmt {' '.join(map(str, arguments))}: status {done.returncode}\n{done.stderr}"
    return done.stdout


def library():
    """Import rmt, and ask for a few values that are known."""
    import rmt

    installed = Path(rmt.__file__)
    assert installed.is_relative_to(sys.prefix), f"{installed} is not of this environment"
    assert rmt.__version__ == importlib.metadata.version("rmt")
    for name in ("py.typed", "paper.mplstyle", "report/page.html.jinja"):
        assert (installed.parent / name).is_file(), f"{name} was not installed"
    assert abs(rmt.SpectralRadiusLaw(64).sf(1.0) - 0.883069054351) < 1e-11
    assert abs(rmt.rescaled_gain(256, rule="paper") - 0.88799803) < 1e-8
    W = rmt.rescaled_glorot(64).draw(rng=0)
    (sample,) = rmt.sample_spectral_radius(rmt.glorot(64), 1, rng=0)
    assert 0.5 < rmt.spectral_radius(W) < 1.5
    assert 0.5 < sample < 1.5
    assert rmt.sample_hidden_norms(rmt.glorot(64), 8, 2, rng=0).shape == (2, 8)


def commands(template):
    """Ask the command for a version and a gain, and run, verify and report an experiment."""
    assert command("--version") == f"rmt {importlib.metadata.version('rmt')}\n"
    assert (
        abs(json.loads(command("gain", "--n", "64", "--json"))["gain"] - 1 / (1.056801573768 + 0.051818740091)) < 1e-9
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "template.py").write_bytes(template.read_bytes())
        command("run", "template.py", "--out", "run", "--quick", "--workers", "2", cwd=folder)
        for name in ("template.csv", "manifest.json"):
            assert Path(folder, "run", name).is_file(), f"the run wrote no {name}"
        command("verify", "run", cwd=folder)
        command("report", "run", cwd=folder)
        assert Path(folder, "run", "report.html").stat().st_size > 1000


if __name__ == "__main__":
    template = Path(sys.argv[1]).resolve(strict=True)
    library()
    commands(template)
    print(f"rmt {importlib.metadata.version('rmt')} works on Python {sys.version.split()[0]}")
