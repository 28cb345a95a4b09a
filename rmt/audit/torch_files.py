"""Files that ``torch.save`` wrote: read by torch, tensors only. No pickle is executed, here or there."""

from __future__ import annotations

import pickletools
import re
import warnings
import zipfile
from pathlib import Path
from typing import IO, Any

from rmt import checks
from rmt.audit.arrays import Weight, first_line, named

MAX_PICKLE = 100_000_000  # bytes of what describes the tensors, without their data
MAX_INSTRUCTIONS = 5_000_000  # of all pickles of a file; a tensor takes some forty

# Up to 2.5, a file could execute code under weights_only=True (CVE-2025-32434).
OLDEST = (2, 6)

# Top-level names that a file of tensors may ask for; torch itself decides on each of them.
HARMLESS = {"torch", "collections", "_codecs", "numpy"}


def read(path: Path) -> dict[str, Weight]:
    """Return the tensors of a file by name.

    The pickle in it is first looked through without executing it: where it asks for anything that no file of tensors
    needs, the file is refused, with torch or without. Then ``torch.load(weights_only=True)`` reads it.

    Parameters
    ----------
    path : Path
        The file, in the present format of torch, an archive, or in the old one.

    Returns
    -------
    dict of str to Weight

    Raises
    ------
    InputError
        If the file is broken or holds anything but tensors, numbers and strings.
    MissingExtraError
        If torch >= 2.6 is not installed.
    """
    with path.open("rb") as file:
        archived = file.read(4) == b"PK\x03\x04"  # as torch decides it
    _look_through(path, archived)
    torch = checks.optional("torch", "torch")
    version = tuple(int(part) for part in re.findall(r"\d+", torch.__version__)[:2])
    if version < OLDEST:
        raise checks.MissingExtraError(
            f"torch >= 2.6 is needed, which reads weights without executing anything, and {torch.__version__} is "
            "installed: pip install 'torch>=2.6'",
            name="torch",
        )
    try:
        # Sparse indices are checked: those out of range would be written to.
        with warnings.catch_warnings(), torch.sparse.check_sparse_tensor_invariants(True):
            warnings.simplefilter("ignore")
            tree = torch.load(path, map_location="cpu", weights_only=True, mmap=archived or None)
    except Exception as error:
        # torch's own words advise to execute the pickle, and are not passed on.
        raise checks.InputError(
            f"{path} cannot be read: torch finds it broken, or something else in it than tensors; "
            "save model.state_dict(), not the model"
        ) from error
    try:
        return named(tree)
    except checks.InputError as error:
        raise checks.InputError(f"{path} cannot be read: {error}") from error


def _look_through(path: Path, archived: bool) -> None:
    """Refuse a file whose pickles are broken, or ask for what no file of tensors needs."""
    try:
        if archived:
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
                # torch compresses nothing; what is compressed would be unpacked to any size.
                if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                    raise checks.InputError("its archive is compressed, which torch's never are")
                (member,) = (member for member in members if member.filename.endswith("/data.pkl"))
                if member.file_size > MAX_PICKLE:
                    raise checks.InputError(f"its pickle takes {member.file_size:,} bytes")
                with archive.open(member) as file:
                    _look_at_pickle(file, MAX_INSTRUCTIONS)
        else:
            with path.open("rb") as file:
                # A magic number, the version, the system, the tree of tensors, the keys of their data.
                left = MAX_INSTRUCTIONS
                for _ in range(5):
                    left = _look_at_pickle(file, left)
    except checks.InputError as error:
        raise checks.InputError(f"{path} cannot be read: {error}") from error
    except Exception as error:
        raise checks.InputError(f"{path} cannot be read: its pickle is broken ({first_line(error)})") from error


def _look_at_pickle(file: IO[bytes], left: int) -> int:
    """Look through a pickle of at most `left` instructions; return how many then are left."""
    strings: list[Any] = ["?", "?"]
    for opcode, argument, _ in pickletools.genops(file):
        left -= 1
        if left < 0:
            raise checks.InputError(f"its pickle has more than {MAX_INSTRUCTIONS:,} instructions")
        if opcode.name in ("GLOBAL", "INST"):
            _allow(str(argument).split(" ")[0], str(argument).replace(" ", "."))
        elif opcode.name == "STACK_GLOBAL":
            _allow(str(strings[0]), f"{strings[0]}.{strings[1]}")
        elif isinstance(argument, str):
            strings = [strings[1], argument]
    return left


def _allow(module: str, name: str) -> None:
    if module.split(".")[0] not in HARMLESS:
        raise checks.InputError(
            f"it asks for {name[:80]!r}, and only tensors are read, nothing is executed; save model.state_dict()"
        )
