"""`rmt audit`: exit statuses, what it prints and writes, and torch files without torch."""

import contextlib
import json
import os
import pickle
import re
import struct
import sys
import threading
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import rmt
from rmt.audit.arrays import named
from rmt.audit.figure import MOST, draw, shown
from rmt.audit.weights import COLUMNS, audit
from rmt.cli import main
from rmt.cli.audit import waiting

DOCS = (Path(__file__).parents[1] / "docs" / "audit.md").read_text()
UNSTABLE = 1.3 * rmt.glorot(12).draw(rng=0)
STABLE = 0.5 * rmt.glorot(12).draw(rng=0)


@pytest.fixture(autouse=True)
def _no_lines_on_slow_machines(monkeypatch):
    monkeypatch.setattr("rmt.cli.audit.LINE_SECONDS", 1e6)


def run(capsys, *arguments):
    status = main(["audit", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def bad(tmp_path):
    """A file with an unstable recurrence, a stable one, and arrays beside them."""
    path = tmp_path / "bad.npz"
    np.savez(path, **{"a.weight_hh_l0": UNSTABLE, "b.weight_hh_l0": STABLE, "bias": np.zeros(3), "fc": np.eye(4)})
    return path


def test_stable_is_status_0(capsys, tmp_path):
    np.save(tmp_path / "W.npy", STABLE)
    status, out, err = run(capsys, tmp_path / "W.npy", "--steps", "1e6")
    assert (status, err) == (0, "")
    assert "Stable: nothing that counts passes the limit within 1,000,000 steps." in out
    assert "tanh" not in out


def test_unstable_is_status_1_and_says_what_to_do(capsys, bad, tmp_path):
    status, out, err = run(capsys, bad, "--steps", 2000)
    assert (status, err) == (1, "")
    table = rmt.audit_weights({"a.weight_hh_l0": UNSTABLE}, steps=2000)
    last = out.splitlines()[-1]
    assert last.startswith("a.weight_hh_l0 explodes: rms(h_t) passes 447.2 at step ")
    assert f"at step {table.step_limit[0]:,} and overflows float32 at step {table.step_overflow[0]:,};" in last
    assert last.endswith(f"multiply a.weight_hh_l0 by {table.gain[0]:g}.")
    assert "2 recurrent matrices; 2 arrays skipped" in out
    assert "A tanh keeps the state itself within 1" in out  # so that nobody waits for his tanh network to overflow
    assert "1 of them square and of an unknown name (--all audits them)" in out
    gain = float(re.search(r"by ([\d.]+)\.$", last)[1])
    np.savez(bad, W_hh=gain * UNSTABLE)
    assert run(capsys, bad, "--steps", 2000)[0] == 0


@pytest.mark.parametrize("terminal", [False, True])
def test_an_audit_that_takes_long_says_where_it_stands(monkeypatch, terminal):
    said, heard = [], threading.Event()
    monkeypatch.setattr("rmt.cli.audit.complain", lambda line, status: said.append(line) or heard.set())
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    monkeypatch.setattr("rmt.cli.audit.FIRST_SECONDS", 0.01 if terminal else 1e6)
    monkeypatch.setattr("rmt.cli.audit.LINE_SECONDS", 1e6 if terminal else 0.01)
    with waiting() as progress:
        audit(named({"a": STABLE, "b": STABLE}), progress=progress)
        assert heard.wait(60)
    assert re.fullmatch(r"rmt audit: (reading|[01] of 2 done, at [ab], n = 12); \d+ s", said[0])


def test_progress_is_told_of_each_recurrence(monkeypatch):
    monkeypatch.setenv("RMT_NUM_THREADS", "1")
    told = []
    audit(named({"a": STABLE, "b": STABLE}), progress=lambda *args: told.append((*args[:2], args[2].name)))
    assert told == [(0, 2, "a"), (1, 2, "b")]


def test_json_has_the_documented_keys(capsys, bad, tmp_path):
    status, out, err = run(capsys, bad, "--json", "--out", tmp_path / "out")
    assert (status, err) == (1, "")
    result = json.loads(out)
    first = "".join(re.findall(r"\| key \| meaning \|.*?\n\n", DOCS, flags=re.DOTALL))
    assert set(result) == set(re.findall(r"`(\w+)`", first)) - {"name", "shape", "reason"}
    rows = "".join(re.findall(r"\| key of a matrix \|.*?\n\n", DOCS, flags=re.DOTALL))
    keys = [key for line in rows.split("\n| ") for key in re.findall(r"`(\w+)`", line.split("|")[0])]
    assert [*result["matrices"][0]] == list(COLUMNS)
    assert set(keys) == set(COLUMNS)
    assert (result["file"], result["steps"], result["gates"], result["unstable"]) == (str(bad), 1000, "open", True)
    assert result["matrices"][1]["step_limit"] is None
    assert {"name": "bias", "shape": [3], "reason": "a vector"} in result["skipped"]
    assert sorted(Path(path).name for path in result["written"]) == ["audit.csv", "audit.pdf", "audit.png", "audit.svg"]


def test_options(capsys, bad):
    def rows(*options):
        return [row["name"] for row in json.loads(run(capsys, bad, "--json", *options)[1])["matrices"]]

    assert rows("--all") == ["a.weight_hh_l0", "b.weight_hh_l0", "fc"]
    assert rows("--only", "b*") == ["b.weight_hh_l0"]
    assert rows("--only", "bias") == ["bias"]
    assert rows("--only", "b*", "--only", "fc") == ["b.weight_hh_l0", "fc"]
    assert run(capsys, bad, "--only", "b*")[0] == 0
    assert run(capsys, bad, "--steps", "1")[0] == 0
    assert run(capsys, bad, "--limit", "1e30", "--steps", "10")[0] == 0
    np.savez(bad, weight_hh=np.concatenate([3 * STABLE] * 4))
    assert (run(capsys, bad)[0], run(capsys, bad, "--gates", "rest")[0]) == (1, 0)
    assert "explodes (does not count)" in run(capsys, bad)[1]
    assert "(the part of the candidate)" in run(capsys, bad)[1]
    np.savez(bad, W_hh=0.7 * np.eye(12) + 3 * np.eye(12, k=1))
    assert "W_hh, of radius 0.7: rms(h_t) passes 316.2 at step" in run(capsys, bad)[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.npz"], "nothing.npz cannot be read: it is not there"),
        ([], "FILE"),
        (["BAD", "--steps", "0"], "steps must be"),
        (["BAD", "--steps", "1.5"], "steps must be"),
        (["BAD", "--steps", "many"], "'many' is not a number"),
        (["BAD", "--limit", "0.5"], "limit must be"),
        (["BAD", "--limit", "nan"], "limit must be"),
        (["BAD", "--only", "zzz"], "only must match"),
        (["BAD", "--only", "bias*", "--steps", "0"], "steps must be"),
        (["BAD", "--gates", "shut"], "'open', 'rest'"),
        (["BAD", "--out", "BAD"], "is a file"),
        (["BAD", "--out", "BAD/below"], "cannot be written"),
        (["BAD", "--bogus"], "--bogus"),
    ],
)
def test_bad_input_is_one_line_and_status_2(capsys, bad, arguments, words):
    status, out, err = run(capsys, *(argument.replace("BAD", str(bad)) for argument in arguments))
    assert (status, out) == (2, "")
    assert err.startswith("rmt: ")
    assert err.count("\n") == 1
    assert words in err


@pytest.mark.parametrize(
    "array", [np.zeros(3), np.full((2, 2), np.nan), np.full((2, 2), 1e200), np.zeros((5000, 5000), "i1")]
)
def test_bad_content_is_one_line_that_names_the_file(capsys, tmp_path, array):
    np.savez_compressed(tmp_path / "x.npz", W=array)
    status, out, err = run(capsys, tmp_path / "x.npz")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert str(tmp_path / "x.npz") in err


def test_broken_file_leaves_earlier_results(capsys, bad, tmp_path):
    out = tmp_path / "deep" / "out"
    assert run(capsys, bad, "--out", out)[0] == 1
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert sorted(before) == ["audit.csv", "audit.pdf", "audit.png", "audit.svg"]
    bad.write_bytes(bad.read_bytes()[:-30])
    assert run(capsys, bad, "--out", out)[0] == 2
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert run(capsys, bad, "--out", tmp_path / "other")[0] == 2
    assert not (tmp_path / "other").exists()


def test_files_are_named_and_the_same_every_time(capsys, bad, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("kept")
    first = {}
    for _ in range(2):
        text = run(capsys, bad, "--out", tmp_path / "out")[1]
        found = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
        assert all(f"  {tmp_path / 'out' / name}" in text for name in found if name != "mine.txt")
        assert not first or found == first
        first = found
    frame = pd.read_csv(tmp_path / "out" / "audit.csv")
    assert tuple(frame.columns) == COLUMNS
    assert frame.radius[0] == rmt.audit_weights(UNSTABLE).radius[0]


def test_figure_shows_what_explodes_first(tmp_path):
    from rmt.audit.arrays import named

    weights = {f"$_{i}": (0.2 + 0.2 * i) * np.eye(3) for i in range(8)} | {"λ": np.diag([2.0, -2.0])}
    found = audit(named(weights))
    names = [finding.recurrence.name for finding in shown(found)]
    assert names == ["λ", "$_7", "$_6", "$_5", "$_4", "$_3"]
    assert len(names) == MOST
    figure = draw(found)
    plane, growth = figure.axes
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[0] == "?: explodes, limit at step 10"  # sqrt((4^t - 1)/3) > 316
    assert labels[-3:] == [r"orthogonal $W$: $\sqrt{t}$", "limit 316.2", "largest float32"]
    assert figure.legends[0].get_title().get_text() == "3 more in the table"
    (circle,) = [line for line in plane.lines if len(line.get_xdata()) == 361]
    np.testing.assert_allclose(np.hypot(*circle.get_data()), 1)
    points = np.concatenate([line.get_xdata() for line in plane.lines if line is not circle])
    assert {2.0, -2.0, 1.6, 0.8} <= set(points.round(12))
    assert plane.get_xlim()[1] > 2
    curve = growth.lines[0]
    np.testing.assert_allclose(curve.get_ydata()[-1], found.unstable[0].diagnosis.log10_rms)
    assert growth.get_ylim()[1] < 50
    figure.savefig(tmp_path / "x.png")


def torch_archive(path, tree, **changes):
    with zipfile.ZipFile(path, "w", changes.get("compression", zipfile.ZIP_STORED)) as archive:
        archive.writestr("archive/data.pkl", tree if isinstance(tree, bytes) else pickle.dumps(tree, protocol=2))
        archive.writestr("archive/version", "3\n")


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.fixture
def torch(monkeypatch):
    """Stand in for torch, which need not be there: of a version that is set, and it counts what it is asked to load."""
    fake = types.ModuleType("torch")
    fake.__version__ = "2.13.0+cpu"
    fake.Tensor = type("Tensor", (), {})
    fake.calls = []
    fake.sparse = types.SimpleNamespace(check_sparse_tensor_invariants=contextlib.nullcontext)

    def load(path, **options):
        fake.calls.append(options)
        return {"weight_hh": STABLE}

    fake.load = load
    monkeypatch.setitem(sys.modules, "torch", fake)
    return fake


def test_torch_file_without_torch_is_status_4(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    torch_archive(tmp_path / "a.pt", OrderedDict())
    status, out, err = run(capsys, tmp_path / "a.pt")
    assert (status, out, err.count("\n")) == (4, "", 1)
    assert "pip install 'rmt[torch]'" in err


def test_torch_that_is_too_old_is_status_4(capsys, tmp_path, torch):
    torch.__version__ = "2.5.1"
    torch_archive(tmp_path / "a.pt", OrderedDict())
    status, _, err = run(capsys, tmp_path / "a.pt")
    assert (status, torch.calls) == (4, [])
    assert "torch >= 2.6" in err


def test_torch_reads_weights_only(capsys, tmp_path, torch):
    torch_archive(tmp_path / "a.pt", OrderedDict())
    assert run(capsys, tmp_path / "a.pt")[0] == 0
    (tmp_path / "b.pth").write_bytes(b"".join(pickle.dumps(part, protocol=2) for part in (1, 2, {}, {}, [])))
    assert run(capsys, tmp_path / "b.pth")[0] == 0
    assert [options["weights_only"] for options in torch.calls] == [True, True]
    assert [options["mmap"] for options in torch.calls] == [True, None]
    assert [options["map_location"] for options in torch.calls] == ["cpu", "cpu"]


def test_hostile_torch_files_are_refused_before_torch_sees_them(capsys, tmp_path, torch):
    trace = tmp_path / "executed"
    hostile = {"weight_hh": Hostile(trace)}
    for protocol in (2, 3, 4, 5):
        (tmp_path / f"raw{protocol}.pt").write_bytes(pickle.dumps(hostile, protocol=protocol))
        torch_archive(tmp_path / f"zip{protocol}.pt", pickle.dumps(hostile, protocol=protocol))
    torch_archive(tmp_path / "instance.pt", b"(S'x'\nios\nmkdir\n.")
    torch_archive(tmp_path / "compressed.pt", {}, compression=zipfile.ZIP_DEFLATED)
    torch_archive(tmp_path / "broken.pt", b"\x80\x02}q\x00X\xff\xff\xff\x7f")
    torch_archive(tmp_path / "cut.pt", {})
    (tmp_path / "cut.pt").write_bytes((tmp_path / "cut.pt").read_bytes()[:-40])
    (tmp_path / "short.pt").write_bytes(pickle.dumps({}, protocol=2))
    (tmp_path / "length.pt").write_bytes(b"\x80\x02\x8a\xff" + struct.pack("<q", -1))
    paths = sorted(tmp_path.glob("*.pt"))
    assert len(paths) == 14
    for path in paths:
        status, out, err = run(capsys, path)
        assert (status, out, err.count("\n")) == (2, "", 1), path
        assert "weights_only" not in err
    assert torch.calls == []
    assert not trace.exists()
    assert "posix.mkdir" in run(capsys, tmp_path / "zip2.pt")[2]


def test_what_torch_refuses_is_one_line(capsys, tmp_path, torch):
    def load(path, **options):
        raise pickle.UnpicklingError("Weights only load failed.\nRe-running with weights_only=False will succeed")

    torch.load = load
    torch_archive(tmp_path / "a.pt", {})
    status, out, err = run(capsys, tmp_path / "a.pt")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "weights_only" not in err
    torch.load = lambda path, **options: {"epoch": 3}
    status, _, err = run(capsys, tmp_path / "a.pt")
    assert status == 2
    assert "a.pt" in err


def test_help_explains_and_the_page_has_its_options(capsys):
    status, out, err = run(capsys, "--help")
    assert (status, err) == (0, "")
    assert "examples:" in out
    assert "exit status" in out
    assert max(map(len, out.splitlines())) <= 110
    options = set(re.findall(r"^  (--[a-z]+)", out, flags=re.MULTILINE))
    assert options == {"--steps", "--limit", "--gates", "--only", "--all", "--json", "--out"}
    assert options <= set(re.findall(r"--[a-z]+", DOCS))


def test_smallest_audit_of_all(capsys, tmp_path):
    np.save(tmp_path / "W.npy", np.zeros((1, 1)))
    arguments = (tmp_path / "W.npy", "--steps", 1, "--out", tmp_path / "out")
    status, out, _ = run(capsys, *arguments, "--only", "W")
    assert status == 0
    assert "1 recurrent matrix\n" in out
    assert (tmp_path / "out" / "audit.png").stat().st_size > 1000


def test_a_matrix_of_zeros_is_pointed_out(tmp_path, capsys):
    np.save(tmp_path / "W.npy", np.full((4, 4), 0.3).astype(int))
    assert main(["audit", str(tmp_path / "W.npy")]) == 0
    assert "Zero, so that h_t is x_t alone: W. Were these weights cast to integers?" in capsys.readouterr().out
    np.save(tmp_path / "W.npy", np.full((4, 4), 0.1))
    assert main(["audit", str(tmp_path / "W.npy")]) == 0
    assert "Zero" not in capsys.readouterr().out
