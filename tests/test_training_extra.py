"""Without JAX or optax, what needs them says on one line which extra to install; what does not is there."""

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
