"""The README is true: its Python runs, its commands exist and end well, its names are there."""

import re
import shlex
from pathlib import Path

import pytest

import rmt
from rmt import campaign
from rmt.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language):
    found = re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)
    assert found
    return found


def commands(program):
    lines = [line.split("#")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if shlex.split(line)[:1] == [program]]


def test_python_block_runs(capsys):
    (block,) = blocks("python")
    names = {}
    exec(compile(block, "README.md", "exec"), names)
    p, radius = map(float, capsys.readouterr().out.split())
    assert f"P(rho > 1) = {p:.4f}" in block
    assert f"with probability {p:.2f}" in README.replace("\n", " ")
    gains = rmt.rescaled_gain(256), rmt.rescaled_gain(256, alpha=0.01)
    stable = [100 * rmt.SpectralRadiusLaw(256, scale=gain).cdf(1.0) for gain in gains]
    scaled = " by {:.3f}, {:.0f} of 100 such matrices are stable, by {:.3f} {:.0f} of 100."
    assert scaled.format(gains[0], stable[0], gains[1], stable[1]) in README.replace("\n", " ")
    assert 0.8 < radius < 1.1
    assert names["norms"].shape == (8, 64)
    assert len(block.strip().splitlines()) == 7  # import, blank, five lines


def test_table_of_gains_is_exact():
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in README.splitlines() if line.startswith("| ")]
    (head,) = [i for i, row in enumerate(rows) if row[0] == "n"]
    table = rows[head + 2 : head + 9]
    assert [int(row[0]) for row in table] == [64, 128, 256, 512, 1024, 2048, 4096]
    for cells in table:
        n = int(cells[0])
        law = rmt.SpectralRadiusLaw(n)
        paper = f"{rmt.rescaled_gain(n, rule='paper'):.5f}" if n >= 164 else "none"
        gains = [f"{rmt.rescaled_gain(n):.5f}", f"{rmt.rescaled_gain(n, alpha=0.01):.5f}", paper]
        doubled = next(t for t in range(1, 8 * n) if rmt.mean_hidden_norm(t, n) > 2 * t)
        assert cells[1:] == [f"{law.sf(1.0):.6f}", f"{law.mean():.5f}", *gains, str(doubled)]
    text = README.replace("\n", " ")
    assert f"from step {table[2][6]} on the mean energy of its hidden state is more than twice what" in text
    assert f"the limit is still {rmt.gumbel_distance(4096):.2f} off" in text


@pytest.mark.parametrize("line", [line for line in commands("rmt") if " run " not in line])
def test_printing_commands_end_well(capsys, line):
    assert main(shlex.split(line)[1:]) == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize("line", [line for line in commands("rmt") if " run " in line])
def test_run_commands_are_understood(capsys, monkeypatch, line):
    monkeypatch.chdir(ROOT)
    assert main([*shlex.split(line)[1:], "--help"]) == 0
    experiment = campaign.load(ROOT / "experiments" / "fig1.py")
    assert f"options of {experiment.name}" in capsys.readouterr().out


def test_speeds_are_those_of_the_benchmarks():
    lines = (ROOT / "benchmarks" / "results.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")]

    def times_faster(work, peer):
        (median,) = [row[2] for row in rows if row[0] == work and row[1] == peer]
        return median.split("x")[0]

    def seconds(n, method):
        (head,) = [i for i, row in enumerate(rows) if row[0] == "n" and "numpy eigvals" in row]
        (row,) = [row for row in rows[head:] if row[0] == n]
        return f"{float(row[rows[head].index(method)]):.1f} s at n = {n.replace(',', '')}"

    eigvals = "numpy.linalg.eigvals"
    given = [f"user's W, n = 1,024, spectral_radius, completeness {how}" for how in ("proven", "tested")]
    lazy = times_faster("hidden norms, lazy, n = 4,096, T = 128", "NumPy loop, drawing W included")
    for claim in (
        seconds("1,024", "numpy eigvals"),
        f"law: {times_faster('real radius, krylov, certified, n = 1,024', eigvals)} times faster at n = 1024",
        "{} times faster than `eigvals` with a proof, {} times".format(
            *(times_faster(work, eigvals) for work in given)
        ),
        seconds("4,096", "NumPy loop, drawing $W$"),
        f"without W: {lazy} times faster",
    ):
        assert claim in README, claim


def test_make_commands_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = {line.split()[1] for line in commands("make")} | set(re.findall(r"`make ([\w-]+)`", README))
    assert {"fig1", "test"} <= targets
    assert not [target for target in targets if f"\n{target}:" not in makefile]


def test_paths_in_the_text_are_there():
    for path in re.findall(r"`((?:experiments|docs|rmt)/[\w./]+)`|\]\(([\w./]+)\)", README):
        assert (ROOT / "".join(path)).exists()
