"""What a run has on disk: an immutable manifest, and one file of samples for each complete cell.

Every file is written beside its place, flushed to the disk and renamed, so that a kill at any instant leaves
whole files only. The name of a samples file ends in the hash of its bytes: one that agrees with its name is
complete, and nothing else has to be believed.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import secrets
from pathlib import Path
from typing import Any

import numpy as np

from rmt import checks
from rmt.campaign.identity import canonical
from rmt.campaign.plan import Cell, Plan

SCHEMA = 1
MANIFEST = "manifest.json"
SAMPLES = "samples"
PARTIAL = ".partial-"
DIFFERENCES = 4  # named in an error, which is one line


class Store:
    """The directory of one run; one that is no run of `plan` is refused before anything is touched."""

    def __init__(self, directory: str | os.PathLike, plan: Plan) -> None:
        self.directory = Path(directory)
        self.plan = plan
        self.samples = self.directory / SAMPLES
        self.set_aside: list[Path] = []
        manifest = self.directory / MANIFEST
        try:
            if manifest.exists():
                self._compare(manifest)
            else:
                self._refuse_strangers()
            self.samples.mkdir(parents=True, exist_ok=True)
            _probe(self.samples)
            if not manifest.exists():
                _commit(manifest, _manifest_text(plan).encode())
        except OSError as error:
            raise checks.InputError(f"{self.directory} cannot be written: {error.strerror or error}") from error

    def _refuse_strangers(self) -> None:
        if not self.directory.exists():
            return
        if not self.directory.is_dir():
            raise checks.InputError(f"{self.directory} is not a directory")
        # A kill before the manifest was in place leaves an empty samples/ and a partial manifest, both ours.
        strangers = [
            path.name
            for path in sorted(self.directory.iterdir())
            if PARTIAL not in path.name and not (path == self.samples and path.is_dir() and _empty(path))
        ]
        if strangers:
            raise checks.InputError(f"{self.directory} holds {strangers[0]!r} but no {MANIFEST}: choose another --out")

    def _compare(self, path: Path) -> None:
        stored = read_manifest(path)
        if stored["schema_version"] != SCHEMA:
            raise checks.InputError(
                f"{path} is of schema {stored['schema_version']}, this is {SCHEMA}: choose another --out"
            )
        found = difference(stored["configuration"], self.plan.configuration())
        if found:
            rest = len(found) - DIFFERENCES
            shown = found if rest <= 0 else [*found[:DIFFERENCES], f"and {rest} more"]
            raise checks.InputError(f"{self.directory} holds another run ({'; '.join(shown)}); choose another --out")

    def versions(self) -> dict[str, str]:
        """Return the versions that the manifest records."""
        return read_manifest(self.directory / MANIFEST)["versions"]

    def read(self, cell: Cell) -> np.ndarray | None:
        """Return the samples of `cell`, or None where no whole file of them is there.

        A file that is torn, altered or of another run is set aside under the suffix ``.damaged`` and
        named in `set_aside`.
        """
        found: dict[bytes, np.ndarray] = {}
        for path in sorted(self.samples.glob(f"{cell.name}-*.parquet")):
            data = path.read_bytes()
            values = self._verified(cell, path, data)
            if values is None:
                self.set_aside.append(path.replace(path.with_name(path.name + ".damaged")))
            else:
                found[values.tobytes()] = values
        if len(found) > 1:
            raise checks.InputError(f"{self.samples} holds two files of {cell.label} that disagree: remove one of them")
        return next(iter(found.values()), None)

    def _verified(self, cell: Cell, path: Path, data: bytes) -> np.ndarray | None:
        if path.name != _file_name(cell, data):
            return None
        values, metadata = _decode(data)
        expected = _metadata(cell, self.plan.seed, (self.plan.counts[cell], *values.shape[1:]))
        return values if metadata == expected else None

    def write(self, cell: Cell, values: np.ndarray) -> Path:
        """Commit the samples of `cell`, an array of shape (count, ...); equal arrays give equal bytes."""
        data = _encode(cell, self.plan.seed, values)
        path = self.samples / _file_name(cell, data)
        try:
            _commit(path, data)
        except OSError as error:
            raise checks.InputError(f"{path} cannot be written: {error.strerror or error}") from error
        return path

    def tidy(self) -> None:
        """Remove what killed runs left half written; for a run that is complete."""
        for folder in (self.directory, self.samples):
            for path in folder.glob(f".*{PARTIAL}*"):
                path.unlink(missing_ok=True)


def read_manifest(path: Path) -> dict[str, Any]:
    """Return the manifest at `path`, once it has been found whole."""
    try:
        manifest = json.loads(path.read_bytes())
        whole = manifest["sha256"] == _digest({key: value for key, value in manifest.items() if key != "sha256"})
    except (ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise checks.InputError(f"{path} is damaged: put it back from a copy, or choose another --out")
    return manifest


def difference(stored: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    """Return one line for each thing in which two configurations differ."""
    lines = []
    for name in ("experiment", "seed", "quick", "stream_version"):
        if stored[name] != asked[name]:
            lines.append(f"{name}: {stored[name]} there, {asked[name]} asked")
    for name in sorted(stored["options"].keys() | asked["options"].keys()):
        there, here = (side["options"].get(name, "no such option") for side in (stored, asked))
        if there != here:
            lines.append(f"option {name}: {there} there, {here} asked")
    old, new = ({cell["sha256"]: cell for cell in side["cells"]} for side in (stored, asked))
    lines += [f"cell only there: {old[key]['label']}" for key in old if key not in new]
    lines += [f"cell only asked: {new[key]['label']}" for key in new if key not in old]
    for key in new:
        if key in old and old[key]["samples"] != new[key]["samples"]:
            lines.append(f"{new[key]['label']}: {old[key]['samples']} samples there, {new[key]['samples']} asked")
    return lines


def versions() -> dict[str, str]:
    """Return the versions of all that decides the bits of a sample."""
    import numba
    import scipy
    from threadpoolctl import threadpool_info

    from rmt import __version__

    blas = {
        f"{info['internal_api']} {info.get('version')} {info.get('architecture', '')}".strip()
        for info in threadpool_info()
        if info["user_api"] == "blas"
    }
    return {
        "rmt": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "numba": numba.__version__,
        "blas": ", ".join(sorted(blas)) or "unknown",
    }


def _manifest_text(plan: Plan) -> str:
    manifest: dict[str, Any] = {
        "schema_version": SCHEMA,
        "configuration": plan.configuration(),
        "versions": versions(),
    }
    return json.dumps({**manifest, "sha256": _digest(manifest)}, indent=2) + "\n"


def _digest(value: Any) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def _file_name(cell: Cell, data: bytes) -> str:
    return f"{cell.name}-{hashlib.sha256(data).hexdigest()[:16]}.parquet"


def _metadata(cell: Cell, seed: int, shape: tuple[int, ...]) -> dict[str, str]:
    return {"rmt.cell": cell.key, "rmt.seed": str(seed), "rmt.shape": json.dumps(shape)}


def _encode(cell: Cell, seed: int, values: np.ndarray) -> bytes:
    """Return Parquet with a row for each sample: column "value", or "real" and "imag"."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    flat = np.ascontiguousarray(values).reshape(-1)
    parts = {"real": flat.real, "imag": flat.imag} if flat.dtype.kind == "c" else {"value": flat}
    columns = {}
    for name, part in parts.items():
        column = pa.array(np.ascontiguousarray(part))
        width = flat.size // len(values)
        columns[name] = column if values.ndim == 1 else pa.FixedSizeListArray.from_arrays(column, width)
    table = pa.table(columns).replace_schema_metadata(_metadata(cell, seed, values.shape))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="none", use_dictionary=False, write_statistics=False)
    return sink.getvalue().to_pybytes()


def _decode(data: bytes) -> tuple[np.ndarray, dict[str, str]]:
    """Return the array that `_encode` was given, and the metadata beside it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(pa.BufferReader(data))
    metadata = {key.decode(): text.decode() for key, text in table.schema.metadata.items()}
    shape = json.loads(metadata["rmt.shape"])

    def column(name: str) -> np.ndarray:
        values = table[name].combine_chunks()
        return (values if len(shape) == 1 else values.flatten()).to_numpy().reshape(shape)

    if "value" in table.column_names:
        return column("value"), metadata
    result = np.empty(shape, complex)
    result.real, result.imag = column("real"), column("imag")
    return result, metadata


def _commit(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}{PARTIAL}{secrets.token_hex(4)}")
    try:
        with open(partial, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except FileNotFoundError:
        if not path.exists():  # else another runner of this directory was done first, and tidied up
            raise
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _probe(folder: Path) -> None:
    """Raise OSError where `folder` cannot be written."""
    probe = folder / f".probe{PARTIAL}{secrets.token_hex(4)}"
    probe.touch(exist_ok=False)
    probe.unlink()


def _empty(folder: Path) -> bool:
    return all(PARTIAL in path.name for path in folder.iterdir())
