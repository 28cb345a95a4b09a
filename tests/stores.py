"""Stores made piece by piece, and ways to damage them: for tests of what reads a run."""

import json

import numpy as np
from demos import experiment, normals

import rmt
from rmt import campaign
from rmt.campaign.plan import make_plan
from rmt.campaign.store import Store

RADII = campaign.Cell("spectral_radius", rmt.Ginibre(4))
SPECTRA = campaign.Cell("eigenvalues", rmt.Ginibre(3, "complex"))
OWN = campaign.Cell(normals, None)


def store(out, cells=(RADII, SPECTRA, OWN), count=12):
    """Return an empty store, as a run leaves it that was killed at once."""
    return Store.create(out, make_plan(experiment(list(cells), count)))


def expected(cell, start, stop, seed=0):
    return np.stack([campaign.sample(cell, seed, index) for index in range(start, stop)])


def entry(store, cell):
    return next(entry for entry in store.entries if entry.sha256 == cell.sha256.hex())


def put(store, cell, start, stop, label="", alter=None):
    """Commit samples start, ..., stop - 1 with a correct hash, altered by `alter` if that is given."""
    values = expected(cell, start, stop)
    if alter is not None:
        alter(values)
    return store.shards(entry(store, cell)).commit(start, values, label).path


def log(store, name, *lines):
    """Write a log of a call."""
    (store.directory / "runs").mkdir(exist_ok=True)
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    (store.directory / "runs" / f"{name}.jsonl").write_text(text)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def empty(path):
    path.write_bytes(b"")


def flip(path):
    data = bytearray(path.read_bytes())
    data[-3] ^= 4
    path.write_bytes(bytes(data))


def rename(path):
    path.rename(path.with_name("thesis.npy"))


def shift(path):
    """Claim that the samples are others."""
    start, stop, rest = path.name.split("-", 2)
    path.rename(path.with_name(f"{int(start) + 100}-{int(stop) + 100}-{rest}"))


def snapshot(out):
    """Return bytes and time of every file: what no reader may change."""
    files = [path for path in sorted(out.rglob("*")) if path.is_file()]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}
