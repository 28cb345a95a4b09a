"""Without JAX or optax, what needs them says on one line which extra to install; what does not is there."""

import platform
import subprocess
import sys

import pytest

HIDDEN = """
import sys
sys.modules["{hidden}"] = None
from rmt.checks import MissingExtraError
import rmt.training
assert rmt.training.preset("imdb").model.d_model == 192
try:
    import rmt.training.{module}
except MissingExtraError as error:
    print(error)
"""


@pytest.mark.parametrize(("module", "hidden"), [("fit", "jax"), ("scans", "jax")])
def test_a_missing_library_is_named_with_its_extra(module, hidden):
    code = HIDDEN.format(module=module, hidden=hidden)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = result.stdout.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("jax is needed and not installed: pip install 'rmt[train]'")


def test_configurations_and_tasks_load_no_framework():
    code = (
        "import sys, rmt.training, rmt.training.tasks;"
        "print([name for name in ('jax', 'optax', 'sklearn') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


FAULTS = """
import resource
import numpy as np
from rmt.training.runs import keep_memory

def faults(times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        np.ones(5_000_000)  # 40 MB, more than glibc keeps by itself
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

first = faults(3)
keep_memory()
faults(1)
print(first, faults(3))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_memory_is_kept():
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    first, later = map(int, done.stdout.split())
    assert later < 10 + first / 10
