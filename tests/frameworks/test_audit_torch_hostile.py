"""Files of PyTorch that are well-formed and yet point outside of what they hold."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest

from rmt.audit import torch_files
from rmt.audit.reading import read
from rmt.checks import InputError
from rmt.cli import main

torch = pytest.importorskip(
    "torch",
    reason="there was no CPU build of PyTorch to install; to run these tests, install one into this environment",
)

# Reads each file in the list, and prints what came of it: the process may die of it.
READER = """
import json, sys
from rmt.audit.reading import read
from rmt.checks import InputError
for path in sys.argv[1:]:
    try:
        (weight,) = read(path).values()
        print(json.dumps(weight.array().tolist()), flush=True)
    except InputError as error:
        print(json.dumps(str(error)), flush=True)
"""


def sparse(indices, values, coalesced):
    tensor = torch.sparse_coo_tensor(indices, values, (4, 4), check_invariants=False)
    return tensor._coalesced_(coalesced)


def outcomes(paths):
    command = [sys.executable, "-c", READER, *map(str, paths)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr[-2000:]
    return list(map(json.loads, process.stdout.splitlines()))


def test_sparse_indices_out_of_range_are_refused_and_others_read(tmp_path):
    bad = [
        ([[k, 1][:count], [0, 0][:count]], coalesced)
        for k in (4, 1000, 10**6, 10**9, -1)
        for count, coalesced in ((1, True), (1, False), (2, False))
    ]
    paths = []
    for old in (False, True):
        for i, (indices, coalesced) in enumerate(bad):
            paths.append(tmp_path / f"{i}-{old}.pt")
            tensor = sparse(indices, [1.0] * len(indices[0]), coalesced)
            torch.save({"weight_hh_l0": tensor}, paths[-1], _use_new_zipfile_serialization=not old)
    found = outcomes(paths)
    assert len(found) == len(paths)
    assert all(isinstance(text, str) and "cannot be read: torch finds it broken" in text for text in found)
    for coalesced in (True, False):
        torch.save({"weight_hh_l0": sparse([[1, 3], [0, 2]], [1.0, 2.0], coalesced)}, tmp_path / "good.pt")
        expected = np.zeros((4, 4))
        expected[[1, 3], [0, 2]] = 1.0, 2.0
        assert outcomes([tmp_path / "good.pt"]) == [expected.tolist()]


def test_sparse_checks_are_as_they_were(tmp_path):
    torch.save({"weight_hh_l0": sparse([[1], [2]], [1.0], True)}, tmp_path / "a.pt")
    read(tmp_path / "a.pt")
    assert not torch.sparse.check_sparse_tensor_invariants.is_enabled()


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta:UserWarning")
def test_compressed_indices_out_of_range_are_refused(tmp_path):
    for column in (4, 10**9):
        rows, columns = torch.tensor([0, 1, 1, 1, 1]), torch.tensor([column])
        tensor = torch.sparse_csr_tensor(rows, columns, torch.ones(1), (4, 4), check_invariants=False)
        torch.save({"weight_hh_l0": tensor}, tmp_path / f"{column}.pt")
    found = outcomes(sorted(tmp_path.glob("*.pt")))
    assert all(isinstance(text, str) for text in found)


@pytest.mark.parametrize("old", [False, True])
def test_instructions_of_the_pickles_are_counted(tmp_path, monkeypatch, capsys, old):
    path = tmp_path / "a.pt"
    content = {"weight_hh_l0": torch.eye(3), "names": {str(i): "" for i in range(300)}}
    torch.save(content, path, _use_new_zipfile_serialization=not old)
    assert list(read(path)) == ["weight_hh_l0"]
    monkeypatch.setattr(torch_files, "MAX_INSTRUCTIONS", 300)
    assert main(["audit", str(path)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "its pickle has more than 300 instructions" in err


def test_the_five_pickles_of_an_old_file_are_counted_together(tmp_path, monkeypatch):
    path = tmp_path / "a.pt"
    path.write_bytes(5 * pickle.dumps([0] * 50, protocol=2))
    monkeypatch.setattr(torch_files, "MAX_INSTRUCTIONS", 200)
    with pytest.raises(InputError, match="more than 200 instructions"):
        torch_files._look_through(path, archived=False)
