"""A changed experiment: classes and functions of a user's own, copies of a file, and code that comes out otherwise."""

import json
import math
import sys
import types

import numpy as np
import pytest
from campaigns import Listener
from demos import contents, experiment, normals
from demos import run as run_here
from stores import log

import rmt
from rmt import campaign
from rmt.campaign.identity import canonical, digest
from rmt.campaign.store import Store
from rmt.campaign.work import Chunk, Job, compute, make_job
from rmt.checks import InputError
from rmt.cli import main

FILE = '''
from dataclasses import dataclass
import pandas as pd
import rmt
from sparse_base import Base

@dataclass(frozen=True)
class Sparse(Base):
    n: int
    p: float
    field: str = "real"

    def matrix(self, rng):
        """Entries that are mostly zero."""
        kept = rng.random((self.n, self.n)) < self.p
        return kept * rng.standard_normal((self.n, self.n))

def radius(ensemble, params, rng):
    return rmt.spectral_radius(ensemble.matrix(rng))

def cells(options):
    W = Sparse(6, 0.5)
    return [rmt.campaign.Cell(radius, W), rmt.campaign.Cell("spectral_radius", W, {"method": "dense"})]

def present(data, out, options):
    return pd.DataFrame({"n": [len(values) for values in data.values()], "mean": [v.mean() for v in data.values()]})

experiment = rmt.campaign.Experiment("sparse", cells, lambda cell, quick: 20, {}, present)
'''
BASE = "import rmt\n\nclass Base(rmt.Ensemble):\n    weight = 1.0\n"


@pytest.fixture
def file(tmp_path, monkeypatch):
    """The path of an experiment file with an ensemble of its own, whose base class is in a file beside it."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # which is known by its second alone
    (tmp_path / "sparse_base.py").write_text(BASE)
    path = tmp_path / "sparse.py"
    path.write_text(FILE)
    yield path
    sys.modules.pop("sparse_base", None)


def run(path, out, **options):
    for name in ("sparse_base", "experiment_sparse"):  # as in a new process
        sys.modules.pop(name, None)
    return run_here(path, out, **options)


def refusal(path, out, **options):
    before = contents(out)
    with pytest.raises(InputError) as error:
        run(path, out, **options)
    assert contents(out) == before
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_changed_class_is_refused_with_its_line(file, tmp_path):
    out = tmp_path / "out"
    run(file, out)
    assert run(file, out).samples == 40
    file.write_text(FILE.replace("return kept *", "return 2 * kept *"))
    words = refusal(file, out)
    assert "source of experiment_sparse.Sparse, line 10: `return kept * rng" in words
    assert "there, `return 2 * kept *" in words
    assert words.endswith("asked); choose another --out")


def test_a_changed_base_class_is_refused(file, tmp_path):
    run(file, tmp_path / "out")
    (tmp_path / "sparse_base.py").write_text(BASE.replace("1.0", "2.0"))
    assert "source of sparse_base.Base, line 2: `weight = 1.0` there" in refusal(file, tmp_path / "out")


def test_sources_of_rmt_and_of_python_are_not_compared(file):
    cell = campaign.load(file).cells({})[0]
    assert sorted(cell.sources) == ["experiment_sparse.Sparse", "experiment_sparse.radius", "sparse_base.Base"]
    assert campaign.Cell("spectral_radius", rmt.Ginibre(4)).sources == {}


def test_classes_are_no_part_of_a_seed(file):
    """Their source is compared, but a description holds class and fields alone, as ever."""
    cell = campaign.load(file).cells({})[0]
    described = json.loads(cell.key)["ensemble"]
    assert described == {"class": "experiment_sparse.Sparse", "fields": {"n": 6, "p": 0.5, "field": "real"}}
    cell = campaign.Cell("eigenvalues", rmt.Ginibre(8))
    assert cell.sha256.hex() == "5f0ad6668ebc0a3d8a44ad672125d4f2268affb0c895d49eb9b1717fb3b6cfe2"


def test_a_run_of_before_goes_on_with_a_line_about_what_is_not_known(file, tmp_path):
    out = tmp_path / "out"
    run(file, out)
    path = out / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["sha256"]
    del manifest["configuration"]["sources"]["experiment_sparse.Sparse"]
    path.write_text(json.dumps({**manifest, "sha256": digest(manifest)}))
    listener = Listener()
    assert run(file, out, progress=listener).samples == 40
    assert listener.lines == [
        "the source of experiment_sparse.Sparse is not in the manifest: whether it has changed since is not known"
    ]


def test_verify_does_not_take_a_changed_class_for_forged_samples(file, tmp_path):
    run(file, tmp_path / "out")
    assert campaign.verify(tmp_path / "out").recomputed == 6
    file.write_text(FILE.replace("return kept *", "return 2 * kept *"))
    found = campaign.verify(tmp_path / "out")
    assert (found.findings, found.recomputed) == ([], 0)
    assert any("defines it otherwise by now" in note for note in found.notes)


def test_a_worker_with_another_class_says_so(file):
    made = campaign.load(file)
    job = make_job(made.cells({})[0], 0, made.program)
    assert len(compute(Chunk(job, 0, 2)).pieces) == 1
    other = Job(job.cell, job.key, digest({"experiment_sparse.Sparse": "other"}), 1, job.program)
    with pytest.raises(InputError, match="has another source of what defines radius Sparse"):
        rmt.campaign.work._load(other)


@pytest.mark.parametrize(
    "change", [None, ("return rmt.spectral", "return 3 * rmt.spectral"), ("kept * rng", "3 * rng")]
)
def test_a_copy_of_the_file_is_told_apart(file, tmp_path, change):
    run(file, tmp_path / "out")
    copy = tmp_path / "copy.py"
    copy.write_text(FILE.replace(*change) if change else FILE)
    words = refusal(copy, tmp_path / "out")
    assert "cell only there" not in words
    names = {name: f"{name} of sparse.py there, {name} of copy.py asked" for name in ("Sparse", "radius")}
    same = "of the same source, but the name of its file is a part of a cell"
    if change is None:
        assert f"{names['Sparse']}: {same}; {names['radius']}: {same}" in words
        return
    changed, other = ("radius", "Sparse") if "spectral" in change[0] else ("Sparse", "radius")
    assert f"({names[changed]}: their sources differ, line " in words
    assert f"; {names[other]}: {same})" in words


def test_cells_of_one_label_are_told_apart(tmp_path):
    def signal(value):
        return campaign.Cell(normals, None, {"x": np.where(np.arange(2000) == 1000, value, 0.0)})

    run_here(experiment([signal(1.0)]), tmp_path / "array")
    words = refusal(experiment([signal(2.0)]), tmp_path / "array")
    assert "params.x.array.sha256: " in words
    assert "cell only" not in words
    run_here(experiment([campaign.Cell(normals, None)]), tmp_path / "version")
    words = refusal(experiment([campaign.Cell(normals, None, version=2)]), tmp_path / "version")
    assert "(normals None, version: 1 there, 2 asked)" in words
    run_here(experiment([campaign.Cell(normals, None, {"k": 1})]), tmp_path / "label")
    words = refusal(experiment([campaign.Cell(normals, None, {"k": 2})]), tmp_path / "label")
    assert "(cell only there: normals None k=1; cell only asked: normals None k=2)" in words


class Plain:
    n = 3

    def matrix(self, rng):
        return rng.standard_normal((3, 3))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Plain(), "got Plain: make Plain a frozen dataclass"),
        (Plain, "got the class Plain: give an instance of it, once Plain is a frozen dataclass"),
        (rmt.Ginibre, "got the class Ginibre$"),
        (object(), "got object$"),
        ({1, 2}, "got set$"),
    ],
)
def test_what_describes_no_cell_is_told_what_would(value, words):
    for arguments in (("eigenvalues", value), (normals, None, {"x": value})):
        with pytest.raises(InputError, match=words):
            campaign.Cell(*arguments)


HELPER = "def scale(kind):\n    return {'One': 1.0, 'Two': 1.0}[kind]\n"
KINDS = """
from dataclasses import dataclass
import pandas as pd
import rmt
import scale_helper

@dataclass(frozen=True)
class One:
    n: int = 3

@dataclass(frozen=True)
class Two:
    n: int = 3

def draw(ensemble, params, rng):
    return scale_helper.scale(type(ensemble).__name__) * rng.random()

def cells(options):
    return [rmt.campaign.Cell(draw, ensemble) for ensemble in (One(), One(4), Two())]

experiment = rmt.campaign.Experiment("x", cells, lambda c, q: 5, {}, lambda data, out, options: pd.DataFrame())
"""


@pytest.mark.parametrize("changed", ["One", "Two"])
def test_a_helper_that_changes_one_kind_of_ensemble_alone(tmp_path, monkeypatch, changed):
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    sys.modules.pop("scale_helper", None)
    (tmp_path / "scale_helper.py").write_text(HELPER)
    (tmp_path / "kinds.py").write_text(KINDS)
    run_here(tmp_path / "kinds.py", tmp_path / "out")
    monkeypatch.setattr(sys.modules["scale_helper"], "scale", lambda kind: 2.0 if kind == changed else 1.0)
    words = refusal(tmp_path / "kinds.py", tmp_path / "out", samples=6)
    assert f"sample 0 of draw {changed}(n=3) comes out otherwise" in words
    assert "code that it calls has changed" in words
    assert "--allow-mixed-numerics" not in words
    sys.modules.pop("scale_helper")


# functions without a source, as of a script on standard input


@pytest.fixture
def typed(monkeypatch):
    """Define a statistic whose source is nowhere, and return its cell."""

    def typed(body, defaults=""):
        module = types.ModuleType("typed_in")
        monkeypatch.setitem(sys.modules, "typed_in", module)
        text = f"def value(ensemble, params, rng{defaults}):\n    {body}\n"
        exec(compile(text, "<typed>", "exec"), module.__dict__)
        module.value.__module__ = "typed_in"
        return campaign.Cell(module.value, None)

    return typed


BODY = "return (lambda x: 2 * x if x not in {'a', 'b'} else 0)(rng.random())"


def test_a_changed_function_without_a_source_is_refused(typed, tmp_path):
    run_here(experiment([typed(BODY)]), tmp_path / "out")
    assert run_here(experiment([typed("\n    " + BODY)], 30), tmp_path / "out").samples == 30
    for changed in ((BODY.replace("2", "3"),), (BODY.replace("rng.random", "rng.normal"),), (BODY, ", k=3")):
        words = refusal(experiment([typed(*changed)], 30), tmp_path / "out")
        assert f"source of typed_in.value as compiled by {sys.implementation.cache_tag}, line 1: `sha256 " in words


def test_a_function_without_a_source_has_the_cell_that_it_had(typed):
    described = json.loads(typed(BODY).key)
    assert described["statistic"] == {"function": "typed_in.value", "source_sha256": None}
    assert list(typed(BODY).sources) == [f"typed_in.value as compiled by {sys.implementation.cache_tag}"]
    assert campaign.Cell(normals, None, {"f": math.sin}).sources.keys() == {f"{normals.__module__}.normals"}


def test_a_run_of_before_says_that_such_a_function_is_not_compared(typed, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("rmt.campaign.identity._compiled", lambda function: None)
        run_here(experiment([typed(BODY)]), tmp_path / "out")
    listener = Listener()
    run_here(experiment([typed(BODY)]), tmp_path / "out", progress=listener)
    name = f"typed_in.value as compiled by {sys.implementation.cache_tag}"
    line = f"the source of {name} is not in the manifest: whether it has changed since is not known"
    assert listener.lines == [line]


class Scaled:
    def __init__(self, scale):
        self.scale = scale

    def value(self, ensemble, params, rng):
        return self.scale * rng.random()

    @staticmethod
    def plain(ensemble, params, rng):
        return rng.random()


def test_a_method_of_an_instance_is_refused():
    words = r"^a function of a cell must not be a method of an instance, .* got (Scaled\.value|Generator\.normal): make"
    for method in (Scaled(2.0).value, np.random.default_rng(0).normal):
        for arguments in ((method, None), (normals, None, {"f": [method]})):
            with pytest.raises(InputError, match=words):
                campaign.Cell(*arguments)
    assert campaign.Cell(Scaled.plain, None) != campaign.Cell(normals, None, {"f": math.sin})


def test_an_array_of_objects_is_refused():
    for dtype in (object, [("x", object)]):
        with pytest.raises(InputError, match=r"^an array of a cell must hold numbers or text, got dtype .*[oO]"):
            campaign.Cell(normals, None, {"x": np.zeros(2, dtype)})


# more samples than are asked for


@pytest.mark.parametrize("fewer", [["--samples", "4"], ["--quick"], ["--target-se", "9"]])
def test_fewer_samples_than_are_there(demo_file, tmp_path, capsys, fewer):
    """Tables, status, report and export are of all samples, and one line says so."""
    out, command = tmp_path / "out", ["run", str(demo_file), "--engine", "serial", "--out", str(tmp_path / "out")]
    assert main([*command, "--samples", "80"]) == 0
    before, whole = contents(out), capsys.readouterr().out
    assert main([*command, *fewer]) == 0
    said = capsys.readouterr()
    assert contents(out) == before
    assert said.out.splitlines()[:5] == whole.splitlines()[:5]
    assert "(320 samples in shards/)" in said.out
    # A cell of arrays has no target: it goes to its count, 12.
    assert said.err == "80 samples of each cell are there already: all are used\n"
    found = campaign.status(out)
    assert (found.done, found.asked, found.complete) == (320, 320, True)
    assert [len(values) for values in campaign.open_run(out).values()] == [80] * 4
    assert campaign.export(out, "markdown").notes == []


def test_more_samples_of_some_cells(tmp_path):
    """Cells with more than is asked for keep all; the log of a call with work to do says so too."""
    one, two = campaign.Cell(normals, None, {"k": 1}), campaign.Cell(normals, None, {"k": 2})
    counts = {one: 30, two: 10}
    made = experiment([one, two], samples=lambda cell, quick: counts[cell])
    run_here(made, tmp_path)
    listener = Listener()
    outcome = run_here(made, tmp_path, samples=20, progress=listener)
    assert outcome.table["n"].tolist() == [30, 20]
    assert outcome.samples == 50
    assert listener.lines == ["more samples than asked for are there already of 1 of 2 cells: all are used"]
    found = campaign.status(tmp_path)
    assert [(cell.done, cell.asked) for cell in found.cells] == [(30, 30), (20, 20)]
    assert sorted(Store(tmp_path).completed().values()) == [20, 30]
    assert canonical(run_here(made, tmp_path).table["n"].tolist()) == "[30,20]"


def test_a_call_for_fewer_that_was_killed_hides_nothing(tmp_path):
    cell = campaign.Cell(normals, None)
    run_here(experiment([cell], 30), tmp_path)
    log(Store(tmp_path), "0002-killed", {"stopping": {"samples": {cell.sha256.hex(): 7}}})
    found = campaign.status(tmp_path)
    assert (found.asked, found.done) == (30, 30)
