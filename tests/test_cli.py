"""The `rmt` command: what it prints, how it refuses, and its exit statuses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from demos import FILE, contents

import rmt
from rmt.campaign.runner import Outcome
from rmt.cli import main


def run(capsys, *arguments):
    """Return exit status, standard output and standard error of one command."""
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def rmt_process(*arguments, **options):
    return subprocess.run([sys.executable, "-m", "rmt", *map(str, arguments)], text=True, timeout=60, **options)


def test_version(capsys):
    assert run(capsys, "--version") == (0, f"rmt {rmt.__version__}\n", "")
    assert rmt_process("--version", capture_output=True).stdout == f"rmt {rmt.__version__}\n"


def test_the_installed_command_is_the_same():
    command = Path(sys.executable).with_name("rmt")
    if not command.exists():
        pytest.skip("rmt runs from a source tree that is not installed")
    result = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert result.stdout == f"rmt {rmt.__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["--help"], ["run", "--help"], ["radius", "-h"], ["gain", "--help"]])
def test_help_explains_and_gives_an_example(capsys, arguments):
    status, out, err = run(capsys, *arguments)
    assert (status, err) == (0, "")
    assert "example" in out
    assert "exit status" in out
    assert max(map(len, out.splitlines())) <= 110


def test_help_of_an_experiment_shows_its_options(capsys, demo_file):
    status, out, _ = run(capsys, "run", demo_file, "--help")
    assert status == 0
    for words in (
        "options of demo",
        "--field {real,complex}",
        "default real",
        "--size INT",
        "--wait FLOAT",
        "--no-loud",
    ):
        assert words in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("radius --n 2.5", "must be an integer"),
        ("radius --n 0", "must be an integer"),
        ("radius --n -3", "must be an integer"),
        ("radius --n nan", "must be an integer"),
        ("radius --n 1e400", "must be an integer"),
        ("radius --n ten", "'ten' is not a number"),
        ("radius --n 65537", "must be an integer"),
        ("radius", "--n"),
        ("radius --n 4 --field quaternion", "'real', 'complex'"),
        ("radius --n 4 --scale inf", "scale must be"),
        ("radius --n 4 --scale nan", "scale must be"),
        ("radius --n 4 --bogus", "--bogus"),
        ("radius --n 4 --sca 1", "unrecognized arguments: --sca 1; did you mean --scale? (see `rmt radius --help`)"),
        ("radius --n 4 --scal=1", "unrecognized arguments: --scal=1; did you mean --scale?"),
        ("radius --n 4 5", "unrecognized arguments: 5 (see `rmt radius --help`)"),
        ("gain --n 2.5", "must be an integer"),
        ("gain --n 4 --alpha 0", "alpha must be"),
        ("gain --n 4 --alpha 1.5", "alpha must be"),
        ("gain --n 4 --layers 0", "layers must be"),
        ("gain --n 4 --n-std inf", "n_std must be"),
        ("gain --n 4 --rule best", "'exact', 'gumbel', 'paper'"),
        ("gain --n 163 --rule paper", "exact"),
        ("gain --n 163 --rule gumbel", "exact"),
        ("gain --n 256 --rule paper --alpha 0.1", "alpha"),
        ("rn", "'rn' is no command"),
        ("run", "FILE is missing"),
        ("run nothing.py --out x", "nothing.py cannot be read"),
        ("run --entry uniform nothing.py --out x", "uniform cannot be read: it is not there; FILE comes before"),
    ],
)
def test_bad_input_is_one_line_and_status_2(capsys, arguments, words):
    status, out, err = run(capsys, *arguments.split())
    assert (status, out) == (2, "")
    assert err.startswith("rmt: ")
    assert err.count("\n") == 1
    assert words in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--out DIR is missing"),
        (["--out", "OUT", "--field", "quaternion"], "'real', 'complex'"),
        (["--out", "OUT", "--size", "two"], "--size"),
        (["--out", "OUT", "--wait", "nan"], "wait must be"),
        (["--out", "OUT", "--size", "0.5"], "--size"),
        (["--out", "OUT", "--seed", "-1"], "seed must be"),
        (["--out", "OUT", "--seed", "x"], "not a number"),
        (["--out", "OUT", "--samples", "0"], "samples must be"),
        (["--out", "OUT", "--target-se", "-1"], "target_se must be"),
        (["--out", "OUT", "--max-seconds", "nan"], "max_seconds must be"),
        (["--out", "OUT", "--engine", "threads"], "'processes', 'serial', 'dask'"),
        (["--out", "OUT", "--engine", "serial", "--workers", "2"], "workers must be 1"),
        (["--out", "OUT", "--engine", "serial", "--scheduler", "x"], "scheduler 'x' is of use"),
        (["--out", "OUT", "--workers", "0"], "workers must be"),
        (["--out", "OUT", "--bogus"], "--bogus (see `rmt run FILE --help`)"),  # FILE has options of its own
        (["--out", "OUT", "--sise", "3"], "did you mean --size? (see `rmt run FILE --help`)"),
        (["--out", "FILE"], "not a directory"),
    ],
)
def test_bad_input_to_run(capsys, demo_file, tmp_path, arguments, words):
    places = {"OUT": tmp_path / "out", "FILE": demo_file}
    before = contents(tmp_path)
    status, out, err = run(capsys, "run", demo_file, *(places.get(word, word) for word in arguments))
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert words.replace("FILE", str(demo_file)) in err
    assert contents(tmp_path) == before


def test_broken_experiment_files_are_one_line(capsys, tmp_path):
    path = tmp_path / "bad.py"
    for text in ("x = (", "1 / 0", "x = 1", "experiment = 5"):
        path.write_text(text)
        for last in ([], ["--help"]):
            status, out, err = run(capsys, "run", path, "--out", tmp_path / "out", *last)
            assert (status, out, err.count("\n")) == (2, "", 1)
            assert "bad.py" in err
    assert not (tmp_path / "out").exists()


def test_radius_prints_the_law_and_its_limit(capsys):
    status, out, err = run(capsys, "radius", "--n", 64)
    assert (status, err) == (0, "")
    assert "0.88306905435" in out
    assert out.count("undefined") == 10
    status, out, _ = run(capsys, "radius", "--n", "256", "--field", "complex", "--json")
    result = json.loads(out)
    law, limit = rmt.SpectralRadiusLaw(256, "complex"), rmt.GumbelLimit(256, "complex")
    assert (result["n"], result["field"], result["scale"]) == (256, "complex", 1.0)
    for key, one in (("exact", law), ("gumbel_limit", limit)):
        assert result[key]["p_unstable"] == one.sf(1.0)
        assert result[key]["mean"] == one.mean()
        assert result[key]["std"] == one.std()
        assert result[key]["quantiles"]["0.5"] == one.ppf(0.5)
    assert json.loads(run(capsys, "radius", "--n", "10", "--json")[1])["gumbel_limit"] is None


def test_radius_scales(capsys):
    half = json.loads(run(capsys, "radius", "--n", "8", "--scale", "0.5", "--json")[1])["exact"]
    one = json.loads(run(capsys, "radius", "--n", "8", "--json")[1])["exact"]
    assert half["mean"] == pytest.approx(one["mean"] / 2, rel=1e-12)
    assert half["p_unstable"] < 1e-3 < one["p_unstable"]


def test_large_complex_n_may_be_written_with_an_exponent(capsys):
    status, out, _ = run(capsys, "radius", "--n", "1e12", "--field", "complex", "--json")
    assert status == 0
    assert json.loads(out)["n"] == 10**12


def test_gain(capsys):
    status, out, err = run(capsys, "gain", "--n", 256)
    assert (status, err) == (0, "")
    assert out.startswith("gain 0.94292816")
    result = json.loads(run(capsys, "gain", "--n", "256", "--rule", "paper", "--json")[1])
    assert result["gain"] == pytest.approx(0.88799803, abs=5e-9)
    result = json.loads(run(capsys, "gain", "--n", "64", "--alpha", "0.05", "--layers", "4", "--json")[1])
    assert result["gain"] == rmt.rescaled_gain(64, alpha=0.05, layers=4)
    assert 1 - (1 - result["p_unstable"]) ** 4 == pytest.approx(0.05, rel=1e-8)
    out = run(capsys, "gain", "--n", "64", "--alpha", "0.05", "--layers", "4")[1]
    assert "0.05 in any of 4" in out


def test_gain_beyond_the_exact_law(capsys):
    result = json.loads(run(capsys, "gain", "--n", "1e6", "--rule", "gumbel", "--json")[1])
    assert 0.9 < result["gain"] < 1
    assert result["p_unstable"] is None


def test_run_ends_with_table_and_files(capsys, demo_file, tmp_path):
    arguments = ["run", demo_file, "--out", tmp_path / "out", "--quick", "--seed", "1e1", "--no-loud", "--wait", "0"]
    arguments += ["--engine", "processes", "--workers", "2"]
    status, out, err = run(capsys, *arguments)
    assert status == 0
    assert "eigenvalues Ginibre(n=4, field='real', scale=1.0)" in out
    assert f"results are in {tmp_path / 'out'}" in out
    for name in ("manifest.json", "table.csv"):
        assert f"  {tmp_path / 'out' / name}\n" in out
    assert "12 samples in shards/" in out
    assert "[4/4]" in err
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["configuration"]["seed"] == 10
    again = run(capsys, *arguments)
    assert again[0] == 0
    assert again[2] == ""
    assert "manifest.json" not in again[1]
    status, out, err = run(capsys, *arguments, "--field", "complex")
    assert (status, out) == (2, "")
    assert "option field: real there, complex asked" in err
    assert err.count("\n") <= 24


def test_failed_samples_are_status_3(capsys, demo_file, tmp_path):
    demo_file.write_text(FILE.replace("    return np.exp", "    raise OSError('no\\nluck')\n    return np.exp"))
    status, out, err = run(capsys, "run", demo_file, "--out", tmp_path / "out", "--quick", "--engine", "serial")
    assert (status, out) == (3, "")
    assert "sample 0 of phases Ginibre(n=4, field='real', scale=1.0) failed: OSError: no luck\n" in err
    assert err.splitlines()[-1].startswith("rmt: 3 samples failed and 1 of 4 cells are incomplete")


def test_error_in_present_is_status_2(capsys, demo_file, tmp_path):
    demo_file.write_text(FILE.replace("    (out /", "    raise KeyError('n')\n    (out /"))
    status, _, err = run(capsys, "run", demo_file, "--out", tmp_path / "out", "--quick", "--engine", "serial")
    assert status == 2
    assert err.splitlines()[-1].startswith(f"rmt: {demo_file}:")
    assert "Traceback" not in err


def test_interrupt_outside_of_the_samples_is_status_75(capsys, demo_file, tmp_path, monkeypatch):
    demo_file.write_text(FILE.replace("    (out /", "    raise KeyboardInterrupt\n    (out /"))
    arguments = ["run", demo_file, "--out", tmp_path / "out", "--quick", "--engine", "serial"]
    here = Path(sys.executable).with_name("rmt")  # that of /usr/sbin is of GNU tar
    for found, program in (
        (here, "rmt"),
        (None, f"{sys.executable} -m rmt"),
        ("/usr/sbin/rmt", f"{sys.executable} -m rmt"),
    ):
        monkeypatch.setattr("rmt.cli.common.shutil.which", lambda name, found=found: found and str(found))
        status, _, err = run(capsys, *arguments)
        assert status == 75
        kept = f"12 samples are kept in {tmp_path / 'out'}"
        resume = f"{program} {' '.join(map(str, arguments))}"
        assert err.splitlines()[-1] == f"rmt: interrupted; {kept}; go on with: {resume}"
        # `rmt status` names the same command.
        (tmp_path / "out" / "shards").joinpath(next(iter(contents(tmp_path / "out" / "shards")))).unlink()
        assert run(capsys, "status", tmp_path / "out")[1].splitlines()[-1] == f"go on with: {resume}"


@pytest.mark.parametrize(
    ("why", "words"),
    [
        ("the Dask scheduler tcp://host:1 is gone", "; go on with (another --scheduler, or none, serves as well): "),
        ("out of time", "; go on with: "),
    ],
)
def test_a_run_that_lost_its_scheduler_goes_on_without(capsys, demo_file, tmp_path, monkeypatch, why, words):
    outcome = Outcome(table=None, failures=[], interrupted=why, kept=0, total=4, samples=3, mixed=0, written=[])
    monkeypatch.setattr("rmt.campaign.run", lambda *arguments, **options: outcome)
    status, out, err = run(capsys, "run", demo_file, "--out", tmp_path / "out", "--scheduler", "tcp://host:1")
    assert (status, out, err.count("\n")) == (75, "", 1)
    assert err.startswith(f"rmt: {why}; 3 samples are kept in {tmp_path / 'out'}{words}")


def test_closed_pipe_is_quiet():
    read, write = os.pipe()
    os.close(read)
    result = rmt_process("gain", "--n", "4", stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_output_is_one_line():
    with open("/dev/full", "w") as full:
        result = rmt_process("gain", "--n", "4", stdout=full, stderr=subprocess.PIPE)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1


def test_live_progress_on_a_terminal(demo_file, tmp_path):
    pty = pytest.importorskip("pty")
    parent, child = pty.openpty()
    arguments = ["run", demo_file, "--out", tmp_path / "out", "--wait", "0.02"]
    process = subprocess.Popen(
        [sys.executable, "-m", "rmt", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=child,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(child)
    shown = b""
    try:
        while part := os.read(parent, 65536):
            shown += part
    except OSError:  # the terminal closes with the process
        pass
    os.close(parent)
    assert process.wait(timeout=30) == 0
    for words in (b"std. error", b"to go", b"all cells", b"[4/4] 12 x "):
        assert words in shown
