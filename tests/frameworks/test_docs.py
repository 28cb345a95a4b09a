"""The examples of docs/initializers.md, and those of the README, run."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "initializers.md").read_text()
EXAMPLES = re.findall(r"## ([^\n]*)\n\n```py\n(.*?)```", PAGE, flags=re.DOTALL)


def test_every_framework_has_an_example():
    assert [title for title, _ in EXAMPLES] == ["PyTorch", "JAX and Flax", "Keras", "ReservoirPy", "NumPy"]


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")  # Keras' own
@pytest.mark.parametrize(("title", "code"), EXAMPLES)
def test_example(title, code, tmp_path, monkeypatch):
    if title == "PyTorch" and importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, title, "exec"), {})


@pytest.mark.parametrize(("framework", "index"), [("torch", 0), ("jax", 1)])
def test_examples_of_the_readme(framework, index):
    pytest.importorskip(framework)
    blocks = re.findall(r"```py\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert len(blocks) == 2
    assert f"rmt.initializers.{framework} " in blocks[index]
    exec(compile(blocks[index], "README.md", "exec"), {})


def test_the_table_names_what_there_is():
    import rmt

    rows = [
        re.findall(r"`(\w+)`", row) for row in PAGE.splitlines() if row.startswith("| ") and "initializers" not in row
    ]
    modules = ["", "torch", "jax", "keras", "reservoirpy"]
    for i, name in enumerate(modules):
        if importlib.util.find_spec(name or "rmt") is None:
            continue
        module = getattr(rmt.initializers, name) if name else rmt.initializers
        listed = {row[i] for row in rows if len(row) == 5}
        assert len(listed) == 5
        assert listed <= set(module.__all__) <= listed | {"lru_parameters", "LRUParameters", "scale_to_radius"}
