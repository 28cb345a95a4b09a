"""Files of samples that the disk does not give back: named, set aside and computed again, and no end of a look."""

import errno
import os
from pathlib import Path

import pytest
from campaigns import Listener, data, experiment, oracle, serial
from demos import contents, shards

from rmt import campaign
from rmt.checks import InputError


@pytest.fixture
def bad(tmp_path, monkeypatch):
    """A run, and one of its files that raises what `fail` says whenever it is read."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    oracle(tmp_path / "out")
    (path,), real = shards(tmp_path / "out", "vector"), Path.read_bytes

    def fail(code):
        def read(other):
            if other == path:
                raise OSError(code, os.strerror(code))  # without a name, as of read(2)
            return real(other)

        monkeypatch.setattr("rmt.campaign.shards.Path.read_bytes", read)

    return path, fail


def test_a_file_of_a_bad_sector_is_set_aside_and_computed_again(tmp_path, bad):
    _, fail = bad
    fail(errno.EIO)
    listener = Listener()
    # With another count: a file of the old name would be bad here too, and not on another sector.
    outcome = serial(tmp_path / "out", experiment(count=12), progress=listener)
    assert outcome.samples == 36
    (aside,) = (tmp_path / "out" / "damaged").iterdir()
    assert listener.lines == [f"a damaged file is now {aside}; its samples are computed again"]
    assert data(contents(tmp_path / "out")) == data(oracle(tmp_path / "whole", experiment(count=12)))


def test_whoever_looks_names_it_and_goes_on(tmp_path, bad):
    path, fail = bad
    fail(errno.EIO)
    out = tmp_path / "out"
    found = campaign.status(out)
    assert [cell.damaged for cell in found.cells] == [[], [path.name], []]
    assert found.done == 18
    found = campaign.verify(out)
    (line,) = found.findings
    assert line == f"shards/{path.parent.name}/{path.name}: damaged, it cannot be read: Input/output error"
    assert (found.cells, found.files) == (3, 3)
    assert any("damaged files, which are left out: 1" in note for note in campaign.export(out, "csv").notes)


def test_a_machine_at_its_end_is_no_fault_of_the_file(tmp_path, bad):
    path, fail = bad
    fail(errno.EMFILE)
    for function in (campaign.status, campaign.verify, lambda out: serial(out, experiment(count=12))):
        with pytest.raises(InputError, match=f"^{path} cannot be (written or )?read: Too many open files") as error:
            function(tmp_path / "out")
        assert "\n" not in str(error.value)
    assert path.exists()
