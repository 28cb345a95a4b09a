"""Files of weights to named arrays: NumPy's own here, safetensors and torch in their files. Nothing is ever executed.

What a file says of itself is checked against its size before memory is taken, and an array is read only when it is
audited, so that neither a false header nor a compressed bomb costs more than the array that is asked for.
"""

from __future__ import annotations

import math
import os
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from rmt import checks
from rmt.audit import safetensors, torch_files
from rmt.audit.arrays import Weight, first_line, printable

MAX_HEADER = 10_000  # bytes of a NumPy header, as in numpy.load
MAX_BYTES = 2**31  # of one array
MAX_MEMBERS = 100_000  # of an archive

# A name with one of these endings must have content of that kind; any other name may have any.
SUFFIXES = {".npy": "npy", ".npz": "npz", ".safetensors": "safetensors", ".pt": "torch", ".pth": "torch"}
KINDS = {"npy": "a .npy file", "npz": "an .npz archive", "safetensors": "safetensors", "torch": "a torch file"}


def read(path: str | os.PathLike[str]) -> dict[str, Weight]:
    """Return the arrays of a .npy, .npz, safetensors or torch file by name, read when they are asked for.

    Parameters
    ----------
    path : str or path-like
        The file. What it is follows from its content; the array of a .npy file is named as the file.

    Returns
    -------
    dict of str to Weight

    Raises
    ------
    InputError
        If the file is not there, is none of these, is broken, or holds anything that had to be executed.
    MissingExtraError
        If it is a torch file and torch >= 2.6 is not installed.

    Examples
    --------
    >>> import numpy, pathlib, tempfile
    >>> from rmt.audit.reading import read
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "weights.npz")
    >>> numpy.savez(path, W=numpy.eye(3), b=numpy.zeros(3))
    >>> weights = read(path)
    >>> {name: weight.shape for name, weight in weights.items()}
    {'W': (3, 3), 'b': (3,)}
    >>> folder.cleanup()
    """
    path = Path(path)
    try:
        if not path.is_file():
            reason = "it is a directory" if path.is_dir() else "it is no file" if path.exists() else "it is not there"
            raise checks.InputError(f"{path} cannot be read: {reason}")
        kind = _kind(path)
        expected = SUFFIXES.get(path.suffix.lower(), kind)
        if kind is None or kind != expected:
            wanted = KINDS.get(expected or "", "a .npy, .npz, safetensors or torch file")
            hint = "" if expected else "; rmt.audit_weights takes models of any framework in Python"
            raise checks.InputError(f"{path} cannot be read: it is not {wanted}, or its beginning is broken{hint}")
        weights = {"npy": _npy, "npz": _npz, "safetensors": safetensors.read, "torch": torch_files.read}[kind](path)
    except (checks.InputError, checks.MissingExtraError):
        raise
    except Exception as error:  # parsers fail on a broken file in ways that nobody can list
        raise checks.InputError(f"{path} cannot be read: {first_line(error)}") from error
    if not weights:
        raise checks.InputError(f"{path} holds no array")
    # Names come from the file, and go to a terminal.
    shown = {printable(name): replace(weight, name=printable(name)) for name, weight in weights.items()}
    if len(shown) < len(weights):
        raise checks.InputError(f"{path} cannot be read: names in it differ by control characters alone")
    return shown


def _kind(path: Path) -> str | None:
    """Return what a file is by its content."""
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if any(name.endswith("/data.pkl") for name in names):
            return "torch"
        return "npz" if not names or any(name.endswith(".npy") for name in names) else None
    if head[8:9] == b"{":
        return "safetensors"
    return "torch" if head.startswith(b"\x80") else None


def _header(file: IO[bytes], size: int) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Read the header of a .npy file of `size` bytes; return shape, Fortran order and dtype."""
    version = np.lib.format.read_magic(file)
    parse = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if parse is None:
        raise checks.InputError(f"its format has version {version[0]}.{version[1]}, and 1.0 and 2.0 are read")
    shape, fortran, dtype = parse(file, max_header_size=MAX_HEADER)
    if dtype.hasobject:
        raise checks.InputError("it holds Python objects, which are pickled and never loaded")
    left = size - file.tell()
    if any(length < 0 for length in shape) or math.prod(shape) * dtype.itemsize != left:
        raise checks.InputError(f"an array of shape {shape} and type {dtype} does not take the {left:,} bytes there")
    return shape, fortran, dtype


def _entries(file: IO[bytes], size: int) -> np.ndarray:
    """Return the array of a .npy file of `size` bytes."""
    shape, fortran, dtype = _header(file, size)
    length = math.prod(shape) * dtype.itemsize
    if length > MAX_BYTES:
        raise checks.InputError(f"it takes {length:,} bytes, and an array may take {MAX_BYTES:,}")
    data = file.read(length)
    if len(data) != length:
        raise checks.InputError("it ends too early")
    flat = np.frombuffer(data, dtype)
    return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


def _npy(path: Path) -> dict[str, Weight]:
    size = path.stat().st_size

    def load() -> np.ndarray:
        with path.open("rb") as file:
            return _entries(file, size)

    with path.open("rb") as file:
        try:
            shape, _, dtype = _header(file, size)
        except checks.InputError as error:
            raise checks.InputError(f"{path} cannot be read: {error}") from error
    return {path.stem: Weight(path.stem, shape, dtype.name, load)}


def _npz(path: Path) -> dict[str, Weight]:
    weights: dict[str, Weight] = {}
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) > MAX_MEMBERS:
            raise checks.InputError(f"{path} has {len(members):,} members, and may have {MAX_MEMBERS:,}")
        for member in members:
            name = member.filename.removesuffix(".npy")
            if name == member.filename:
                raise checks.InputError(f"{path} cannot be read: its member {name!r} is no array")
            if name in weights:
                raise checks.InputError(f"{path} cannot be read: it has two members named {member.filename!r}")
            try:
                with _opened(archive, member) as file:
                    shape, _, dtype = _header(file, member.file_size)
            except Exception as error:
                raise checks.InputError(f"{path} cannot be read: member {name!r}: {first_line(error)}") from error
            weights[name] = Weight(name, shape, dtype.name, partial(_member, path, member.filename))
    return _joined(weights)


def _opened(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    # NumPy writes these two alone, and the others take as much memory as their header asks for.
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise checks.InputError("its compression is none that NumPy writes")
    return archive.open(member)


def _member(path: Path, filename: str) -> np.ndarray:
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo(filename)
        with _opened(archive, member) as file:
            return _entries(file, member.file_size)


def _joined(weights: dict[str, Weight]) -> dict[str, Weight]:
    """Return the one matrix of an archive that ``scipy.sparse.save_npz`` wrote, and others as they are."""
    if not {"data", "format", "indices", "indptr", "shape"} <= set(weights):
        return weights
    if weights["shape"].shape != (2,) or weights["format"].shape != ():
        raise checks.InputError("its members are named as those of a sparse matrix, and are not")
    shape = tuple(int(length) for length in weights["shape"].load())
    return {"W": Weight("W", shape, weights["data"].dtype, partial(_sparse, weights, shape))}


def _sparse(weights: dict[str, Weight], shape: tuple[int, ...]) -> Any:
    from scipy.sparse import csc_array, csr_array

    kind = weights["format"].load().item()
    makers = {b"csr": csr_array, b"csc": csc_array, "csr": csr_array, "csc": csc_array}
    if kind not in makers:
        raise checks.InputError(f"sparse matrices are read in the formats csr and csc, not {kind!r}")
    matrix = makers[kind](tuple(weights[name].load() for name in ("data", "indices", "indptr")), shape=shape)
    matrix.check_format(full_check=True)  # indices out of range would be followed
    return matrix.toarray()
