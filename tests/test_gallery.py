"""The gallery shows every experiment, with the command that makes its figure."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rmt.cli import main
from rmt.cli.report import NO_EXPERIMENTS, VARIANTS
from tools import gallery

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
ENTRIES = {part.split("\n")[0]: part for part in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]}
TEXTS = {path.stem: path.read_text("utf-8") for path in (ROOT / "experiments").glob("*.py")}
# Those that train need an extra; docs/training.md shows them.
NAMES = [name for name, text in TEXTS.items() if "\nexperiment = " in text and "rmt.training" not in text]
NAMES = sorted({*NAMES, *VARIANTS} - set(NO_EXPERIMENTS))


def test_every_experiment_is_in_the_gallery():
    assert len(NAMES) > 10
    assert sorted(ENTRIES) == NAMES
    assert sorted(path.name for path in (ROOT / "docs" / "gallery").iterdir()) == [f"{name}.png" for name in NAMES]


def test_trainings_are_shown_with_their_commands():
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    names = [name for name, text in TEXTS.items() if "rmt.training" in text]
    assert sorted(names) == ["forecasting", "table1"]
    assert sorted(path.stem for path in (ROOT / "docs" / "training").iterdir()) == sorted(names)
    for name in names:
        assert f"](training/{name}.png)" in text
        assert f"rmt run experiments/{name}.py --out results/training/{name} --workers 2" in text
        with Image.open(ROOT / "docs" / "training" / f"{name}.png") as figure:
            assert figure.width <= 1100
        # The findings of the experiment's own text are those of the table.
        found = re.findall(r"\b0\.\d\d\b", TEXTS[name].split("Found")[1].split('"""')[0])
        table = [float(number) for number in re.findall(r"\b\d\.\d+\b", text.split("## What came out")[1])]
        assert len(found) > 7
        assert all(any(abs(float(number) - value) <= 0.00501 for value in table) for number in found)


@pytest.mark.parametrize("name", NAMES)
def test_entry_has_figure_caption_and_command(name, capsys, monkeypatch):
    entry = ENTRIES[name]
    ((alt, image),) = re.findall(r"!\[(.*?)\]\((.*?)\)", entry)
    assert alt
    path = ROOT / "docs" / image
    assert path == ROOT / "docs" / "gallery" / f"{name}.png"
    assert path.stat().st_size < 300_000
    with Image.open(path) as figure:
        assert figure.format == "PNG"
        assert figure.width <= 1100
        figure.load()
    (block,) = re.findall(r"```sh\n(.*?)```", entry, flags=re.DOTALL)
    commands = [shlex.split(line, comments=True) for line in block.splitlines()]
    experiment, options = VARIANTS.get(name, (name, {}))
    assert all(command[:3] == ["rmt", "run", f"experiments/{experiment}.py"] for command in commands)
    flags = [word for option, value in options.items() for word in (f"--{option}", value)]
    assert " ".join(flags) in " ".join(commands[0])
    monkeypatch.chdir(ROOT)
    for command in commands:
        assert main([*command[1:], "--help"]) == 0
        allowed = re.findall(r"^ +(--[a-z-]+)", capsys.readouterr().out, flags=re.MULTILINE)
        assert {word for word in command if word.startswith("--")} <= set(allowed)
    caption = re.sub(r"```.*?```|!\[.*?\]\(.*?\)", "", entry, flags=re.DOTALL).strip().split("\n", 1)[1]
    assert 100 < len(caption.strip()) < 700


def test_the_rows_of_the_reviewers_have_a_figure_and_their_finding():
    assert VARIANTS["fig1_rows"] == ("fig1", {"rows": "all"})
    entry = ENTRIES["fig1_rows"]
    for word in ("log t", "Uniform", "harmonic number", "Glorot/2", "bounded", "4/3"):
        assert word in entry


def test_make_gallery_shrinks_the_figures_of_a_run(tmp_path):
    results, out = tmp_path / "results", tmp_path / "gallery"
    for name in ("one", "fig1_rows"):
        (results / name).mkdir(parents=True)
    (results / "index.html").write_text("")
    out.mkdir()
    pixels = np.full((600, 900, 4), 255, np.uint8)
    pixels[:, :450, 1:3] = 0  # red on the left, white on the right
    Image.fromarray(pixels).save(results / "one" / "one.png", dpi=(300, 300))
    Image.fromarray(pixels).save(results / "fig1_rows" / "fig1.png", dpi=(300, 300))
    gallery.main(results, out)
    assert sorted(path.name for path in out.iterdir()) == ["fig1_rows.png", "one.png"]
    with Image.open(out / "one.png") as figure:
        assert figure.size == (450, 300)
        half_a_dot_per_metre = 0.0254 / 2  # PNG holds whole ones
        assert figure.info["dpi"] == pytest.approx((150, 150), abs=half_a_dot_per_metre)
        shrunk = np.asarray(figure.convert("RGB"))
    assert (shrunk[:, :215] == [255, 0, 0]).all()
    assert (shrunk[:, 235:] == 255).all()
