"""What `import rmt` costs, and where compiled kernels are kept: never in the way, whatever is writable."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rmt

PEERS = "import numpy, scipy.stats, numba"
# Small modules of the standard library, and the one package of a single file that rmt needs beside the peers.
ALLOWED = {"_queue", "concurrent.futures.thread", "fractions", "queue", "threadpoolctl"}
ALLOWED |= {"concurrent", "concurrent.futures", "concurrent.futures._base", "ctypes.util"}  # which older peers leave

# A package of two kernels in two files, one of which calls the other, with rmt's own decorator.
INNER = "from pkg.compile import kernel\n\n\n@kernel\ndef inner(x):\n    return x + {}\n"
OUTER = """
from pkg.compile import kernel
from pkg.inner import inner


@kernel
def outer(x):
    return 10 * inner(x)
"""
REPORT = "; s = outer.outer.stats; print(sum(s.cache_hits.values()), sum(s.cache_misses.values()))"


def loaded_modules(code):
    code += "; import sys; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_import_rmt_loads_little_beyond_its_peers():
    extra = loaded_modules("import rmt") - loaded_modules(PEERS)
    assert "rmt" in extra
    assert {name for name in extra if name.split(".")[0] != "rmt"} <= ALLOWED


@pytest.fixture
def package(tmp_path):
    """A directory with the package `pkg`, and a file where a user's cache directory would be."""
    folder = tmp_path / "pkg"
    folder.mkdir()
    (folder / "__init__.py").touch()
    shutil.copy(Path(rmt.__file__).parent / "kernels" / "compile.py", folder)
    (folder / "inner.py").write_text(INNER.format(1))
    (folder / "outer.py").write_text(OUTER)
    (tmp_path / "file").touch()
    return folder


def environment(package, numba_cache=None):
    """No directory of the user is usable: where they would be is a file, which binds root too."""
    nowhere = str(package.parent / "file" / "nowhere")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "XDG_"))}
    kept |= {"HOME": nowhere, "XDG_CACHE_HOME": nowhere, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": ""}
    return kept | ({} if numba_cache is None else {"NUMBA_CACHE_DIR": str(numba_cache)})


def start(package, code, **options):
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", "from pkg import outer; " + code],
        cwd=package.parent,
        env=environment(package, **options),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert err == ""
    return out.split()


def run(package, code="print(outer.outer(1))" + REPORT, **options):
    return finish(start(package, code, **options))


def make_read_only(package):
    """Let a file stand where compiled code would go, which binds root too."""
    (package / "__pycache__").touch()


def test_second_process_loads_what_the_first_compiled(package):
    assert run(package) == ["20", "0", "1"]
    assert run(package) == ["20", "1", "0"]
    assert list(package.glob("__pycache__/*.nbc"))


def test_where_nothing_is_writable_kernels_compile(package):
    make_read_only(package)
    assert run(package) == ["20", "0", "1"]
    assert run(package, numba_cache=package.parent / "file" / "cache") == ["20", "0", "1"]


def test_user_directory_serves_where_the_package_is_read_only(package):
    make_read_only(package)
    cache = package.parent / "cache"
    assert run(package, numba_cache=cache) == ["20", "0", "1"]
    assert run(package, numba_cache=cache) == ["20", "1", "0"]


def test_directory_that_vanishes_after_the_import(package):
    vanish = "import shutil, pathlib; shutil.rmtree('pkg/__pycache__'); pathlib.Path('pkg/__pycache__').touch(); "
    assert run(package, vanish + "print(outer.outer(1), outer.outer(1.5))") == ["20", "25.0"]


def test_change_of_a_called_kernel_in_another_file(package):
    assert run(package)[0] == "20"
    (package / "inner.py").write_text(INNER.format(2))
    assert run(package) == ["30", "0", "1"]


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", [b"", b"not a pickle"])
def test_damaged_files_cost_a_compilation(package, suffix, damage):
    run(package)
    for path in package.glob(f"__pycache__/*.{suffix}"):
        path.write_bytes(damage)
    assert run(package) == ["20", "0", "1"]


def test_file_with_the_code_of_another_signature(package):
    # As two processes leave it behind that store different signatures at the same moment.
    run(package, "outer.outer(1); outer.outer(1.5)")
    integer, real = (package / "__pycache__" / f"outer.outer-{suffix}" for suffix in names(package))
    shutil.copy(integer, real)
    assert run(package, "print(outer.outer(1.5))" + REPORT) == ["25.0", "0", "1"]


def names(package):
    files = sorted(path.name for path in package.glob("__pycache__/outer.outer-*.nbc"))
    assert len(files) == 2
    return [name.removeprefix("outer.outer-") for name in files]


def test_processes_that_compile_at_once(package):
    code = "print(outer.outer(1), outer.outer(1.5))"
    processes = [start(package, code) for _ in range(3)]
    assert [finish(process) for process in processes] == [["20", "25.0"]] * 3
    assert run(package) == ["20", "1", "0"]


def test_rmt_itself_runs_read_only(tmp_path):
    folder = tmp_path / "rmt"
    shutil.copytree(Path(rmt.__file__).parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "file").touch()
    for path in [folder, *folder.iterdir()]:
        if path.is_dir():
            make_read_only(path)
    code = "import rmt; print(rmt.__file__, *rmt.hidden_norms([[2.0]], [[1.0], [1.0]]))"
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.split() == [str(folder / "__init__.py"), "1.0", "9.0"]
