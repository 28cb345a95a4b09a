"""The page of a run: what it shows, that it holds everything, and that it works in a real browser."""

import re

import numpy as np
import pandas as pd
import pytest
from browser import look
from demos import run
from matplotlib.figure import Figure

from rmt import plotting
from rmt.campaign import status
from rmt.checks import InputError
from rmt.cli import main
from rmt.report import write_index, write_report
from rmt.report.content import grid

FILE = '''
"""Do normals have mean <0> & spread 1?

    rmt run demo.py --out DIR
"""
import numpy as np
import pandas as pd
import rmt
from matplotlib.figure import Figure
from rmt import plotting

def normals(ensemble, params, rng):
    if params["k"] == FAILING:
        raise OSError("no luck")
    return rng.standard_normal()

def cells(options):
    return [rmt.campaign.Cell(normals, None, {"k": k}) for k in range(3)]

def present(data, out, options):
    fig = Figure()
    fig.subplots().plot([1, 2])
    plotting.save_figure(fig, out / "line")
    table = pd.DataFrame({"name": ["b", "<a>", "c"], "x": [10.0, float("nan"), 2.5e-7], "n": [3, 1000, 20]})
    table.to_csv(out / "numbers.csv", index=False)
    return table

experiment = rmt.campaign.Experiment("demo", cells, lambda cell, quick: 50, {"loud": False}, present)
'''


@pytest.fixture
def directory(tmp_path):
    path = tmp_path / "demo.py"
    path.write_text(FILE.replace("FAILING", "-1"))
    run(path, tmp_path / "out", seed=3)
    return tmp_path / "out"


def words(page):
    return " ".join(re.sub(r"<[^>]*>", " ", page.read_text()).split())


def test_page_says_what_was_run_and_how_sure(directory):
    page = write_report(directory)
    assert page == directory / "report.html"
    text = words(page)
    for part in (
        "Do normals have mean &lt;0&gt; &amp; spread 1?",
        "150 samples of 3 cells, from the root seed 3.",
        "Every sample that was asked for is there.",
        "Each of the 3 files of samples agrees",
        "normals None k=1",
        "loud = False",
        f"demo.py --out {directory} --seed 3 Hash every file",
        f"rmt verify {directory}",
    ):
        assert part in text
    mean = np.load(next((directory / "shards").glob("*k0*/*.npy"))).mean()
    assert f'data-value="{float(mean)!r}"' in page.read_text()


def test_numbers_are_those_of_the_terminal(directory, capsys):
    text = words(write_report(directory))
    assert main(["status", str(directory)]) == 0
    shown = re.findall(r"50 +50 +(\S+) ± (\S+)", capsys.readouterr().out)
    assert len(shown) == 3
    for mean, error in shown:
        assert f" 50 50 {mean} {error} " in text
    frame = pd.DataFrame({"p": [0.03, 0.0037612], "n": [16384.0, float("nan")]})
    assert [[cell.text for cell in row] for row in grid("", frame).rows] == [["0.03", "16384"], ["0.003761", ""]]


def test_page_holds_everything_and_changes_no_data(directory):
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    first = write_report(directory).read_bytes()
    assert write_report(directory).read_bytes() == first
    assert {path: path.read_bytes() for path in before} == before
    markup = re.sub(r"<script>.*?</script>", "", first.decode(), flags=re.DOTALL)
    addresses = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')>\s]+)""", markup)
    assert addresses
    assert all(address.startswith("data:") for address in addresses)
    assert b"http://" not in re.sub(rb"data:[^\"]*", b"", first)


def test_what_is_wrong_stands_on_the_page(directory, tmp_path):
    path = next((directory / "shards").glob("*k0*/*.npy"))
    path.write_bytes(path.read_bytes()[:-1])
    text = words(write_report(directory))
    assert "Incomplete: 50 of 150 samples are missing, 0 failed." in text
    assert "1 files do not agree" in text
    broken = tmp_path / "broken.py"
    broken.write_text(FILE.replace("FAILING", "1"))
    run(broken, tmp_path / "broken")
    assert "Incomplete: 50 of 150 samples are missing, 50 failed." in words(write_report(tmp_path / "broken"))


def test_large_figures_are_shown_as_png_and_long_tables_are_cut(directory):
    fig = Figure()
    fig.subplots().plot(np.random.default_rng(0).standard_normal(400_000), ",")
    plotting.save_figure(fig, directory / "points")
    with open(directory / "points.svg", "a") as file:
        file.write("<!--" + "x" * 2**22 + "-->")
    pd.DataFrame({"i": range(1500)}).to_csv(directory / "long.csv", index=False)
    (directory / "empty.csv").write_text("")
    page = write_report(directory)
    text = page.read_text()
    assert text.count("data:image/png") == 1
    assert text.count("data:image/svg") == 1
    assert "The first 1,000 of 1,500 rows." in text
    assert page.stat().st_size < 2**22


SORT = """
const table = document.querySelectorAll("table")[0];
const column = (i) => [...table.tBodies[0].rows].map((row) => row.cells[i].textContent);
const seen = [];
for (const i of [1, 1, 0, 2]) {
  table.tHead.rows[0].cells[i].querySelector("button").click();
  seen.push([column(i), table.tHead.rows[0].cells[i].getAttribute("aria-sort")]);
}
return seen;
"""

FIGURES = """
const zoom = document.querySelector("button.zoom");
zoom.click();
const dialog = document.querySelector("dialog");
const large = dialog.querySelector("img");
await large.decode();
const before = large.clientWidth;
dialog.querySelector("[data-zoom='1.25']").click();
const after = large.clientWidth;
const open = dialog.open;
dialog.querySelector("[data-close]").click();
return {
  sizes: [...document.querySelectorAll("figure img")].map(
    (i) => [i.complete, i.naturalWidth, i.clientWidth, i.clientHeight]),
  zoom: [before, after, open, dialog.open],
  wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  colour: getComputedStyle(document.body).backgroundColor,
};
"""


def test_tables_sort_in_a_browser(directory, tmp_path):
    seen = look(write_report(directory), SORT, tmp_path)
    assert seen == [
        [["2.5e-07", "10", ""], "ascending"],
        [["10", "2.5e-07", ""], "descending"],
        [["<a>", "b", "c"], "ascending"],
        [["3", "20", "1,000"], "ascending"],
    ]


@pytest.mark.parametrize(("width", "dark"), [(1000, False), (500, True)])
def test_figures_show_and_enlarge_in_a_browser(directory, tmp_path, width, dark):
    found = look(write_report(directory), FIGURES, tmp_path, width=width, dark=dark)
    assert found["sizes"]
    for complete, natural, shown_width, shown_height in found["sizes"]:
        assert complete
        assert min(natural, shown_width, shown_height) > 100
    before, after, was_open, is_open = found["zoom"]
    assert (was_open, is_open) == (True, False)
    assert after == pytest.approx(1.25 * before, abs=2)
    assert found["wide"] <= 0
    assert (found["colour"] == "rgb(255, 255, 255)") is not dark


def test_index_leads_to_every_page(directory, tmp_path):
    index = write_index(tmp_path, ["out"])
    text = index.read_text()
    assert 'href="out/report.html"' in text
    assert "Do normals have mean &lt;0&gt; &amp; spread 1?" in text
    assert 'href="../index.html"' in (directory / "report.html").read_text()
    script = "return [...document.images].map((i) => [i.complete, i.naturalWidth > 0])"
    assert look(index, script, tmp_path) == [[True, True]]


def test_command(directory, tmp_path, capsys):
    assert main(["report", str(directory)]) == 0
    assert f"wrote {directory / 'report.html'}" in capsys.readouterr().out
    assert main(["report", str(directory), "--out", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").read_bytes() == (directory / "report.html").read_bytes()
    capsys.readouterr()
    for arguments in ([str(tmp_path)], [str(directory), "--out", str(tmp_path / "no" / "page.html")], []):
        assert main(["report", *arguments]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1


def test_report_of_no_run(tmp_path):
    with pytest.raises(InputError, match="is no run"):
        write_report(tmp_path)


def test_reproduce_runs_what_it_is_asked_for(tmp_path, capsys, monkeypatch):
    clone = tmp_path / "clone"
    (clone / "experiments").mkdir(parents=True)
    for name, failing in (("good", -1), ("bad", 1)):
        (clone / "experiments" / f"{name}.py").write_text(FILE.replace("FAILING", str(failing)))
    (clone / "experiments" / "helpers.py").write_text("x = 1\n")
    monkeypatch.setattr("rmt.cli.report.ROOT", clone)
    monkeypatch.chdir(clone)
    assert main(["reproduce", "--only", "good", "--workers", "1"]) == 0
    assert "index.html" in capsys.readouterr().out
    assert (clone / "results" / "all" / "good" / "report.html").is_file()
    assert main(["reproduce", "--workers", "1"]) == 3
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1].startswith("rmt: samples failed in bad;")
    index = clone / "results" / "all" / "index.html"
    assert 'href="bad/report.html"' in index.read_text()
    assert main(["reproduce", "--only", "good", "--workers", "1"]) == 0  # leads to the pages of earlier calls too
    assert re.findall(r'href="(\w+)/report.html"', index.read_text()) == ["bad", "good"]
    capsys.readouterr()
    assert main(["reproduce", "--only", "nothing"]) == 2
    assert "bad, good" in capsys.readouterr().err
    monkeypatch.setattr("rmt.cli.report.ROOT", tmp_path)
    assert main(["reproduce"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_reproduce_runs_variants_of_experiments_too(tmp_path, capsys, monkeypatch):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "demo.py").write_text(FILE.replace("FAILING", "-1"))
    monkeypatch.setattr("rmt.cli.report.ROOT", tmp_path)
    monkeypatch.setattr("rmt.cli.report.VARIANTS", {"shout": ("demo", {"loud": True}), "lost": ("gone", {})})
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", "--workers", "1", "--quick"]) == 0
    results = tmp_path / "results" / "all"
    index = (results / "index.html").read_text()
    assert re.findall(r'href="(\w+)/report.html"', index) == re.findall(r"<h2>(\w+)</h2>", index) == ["demo", "shout"]
    options = [status(results / name).options for name in ("demo", "shout")]
    assert options == [{"loud": False}, {"loud": True}]
    capsys.readouterr()
    assert main(["reproduce", "--only", "lost"]) == 2
    assert "demo, shout" in capsys.readouterr().err
