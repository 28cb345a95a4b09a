"""The safetensors format, read strictly: a length, a header in JSON, and data that it describes to the last byte."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rmt import checks
from rmt.audit.arrays import Weight

MAX_HEADER = 100_000_000  # bytes, as in the reference implementation
METADATA = "__metadata__"

# Name in the header -> bits of an entry, and how NumPy calls it; None where it is not read.
TYPES: dict[str, tuple[int, str | None]] = {
    "F64": (64, "<f8"), "F32": (32, "<f4"), "F16": (16, "<f2"), "BF16": (16, "<u2"), "C64": (64, "<c8"),
    "I64": (64, "<i8"), "I32": (32, "<i4"), "I16": (16, "<i2"), "I8": (8, "i1"), "BOOL": (8, "?"),
    "U64": (64, "<u8"), "U32": (32, "<u4"), "U16": (16, "<u2"), "U8": (8, "u1"),
    "F8_E5M2": (8, None), "F8_E4M3": (8, None), "F8_E8M0": (8, None), "F8_E4M3FNUZ": (8, None),
    "F8_E5M2FNUZ": (8, None), "F6_E2M3": (6, None), "F6_E3M2": (6, None), "F4": (4, None),
}  # fmt: skip


def read(path: Path) -> dict[str, Weight]:
    """Return the arrays of a safetensors file by name, to be read when they are asked for.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict of str to Weight

    Raises
    ------
    InputError
        If the file departs from the format in anything: lengths, names given twice, types, shapes, data that
        overlap, leave a hole or do not end where the file does.

    References
    ----------
    https://github.com/huggingface/safetensors, section "Format".
    """
    try:
        header, start, size = _header(path)
        spans = {name: _span(name, entry) for name, entry in header.items() if name != METADATA}
        end = 0
        for name, (_, _, first, last) in sorted(spans.items(), key=lambda item: item[1][2:]):
            _require(first == end, f"the data of {name!r} do not begin where the last end")
            end = last
        _require(start + end == size, f"its data take {end:,} bytes, and {size - start:,} are there")
    except checks.InputError as error:
        raise checks.InputError(f"{path} cannot be read: {error}") from error
    return {
        name: Weight(name, shape, _name(dtype), partial(_data, path, start + first, last - first, dtype, shape))
        for name, (dtype, shape, first, last) in spans.items()
    }


def _require(fact: bool, otherwise: str) -> None:
    if not fact:
        raise checks.InputError(otherwise)


def _header(path: Path) -> tuple[dict[str, Any], int, int]:
    """Return the header of a file, where the data begin, and the size of the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        _require(size >= 8 and length <= min(size - 8, MAX_HEADER), f"its header takes {length:,} bytes")
        text = file.read(length)
    header = json.loads(text.decode("utf-8"), object_pairs_hook=_object)
    _require(isinstance(header, dict), "its header is no JSON object")
    metadata = header.get(METADATA, {})
    _require(
        isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values()),
        "its metadata are no strings",
    )
    return header, 8 + length, size


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    _require(len(result) == len(pairs), "its header gives a name twice")
    return result


def _span(name: str, entry: Any) -> tuple[str, tuple[int, ...], int, int]:
    """Return dtype, shape and the two offsets of an array."""
    _require(isinstance(entry, dict), f"{name!r} is described by no JSON object")
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    _require(set(entry) == {"dtype", "shape", "data_offsets"}, f"{name!r} has other keys than the three of the format")
    _require(isinstance(dtype, str) and dtype in TYPES, f"{name!r} has the unknown type {dtype!r}")
    _require(_is_integers(shape), f"the shape of {name!r} is no list of integers")
    _require(_is_integers(offsets) and len(offsets) == 2, f"the offsets of {name!r} are not two integers")
    bits = math.prod(shape) * TYPES[dtype][0]
    _require(8 * (offsets[1] - offsets[0]) == bits, f"{name!r} does not take the bytes that its shape and type do")
    return dtype, tuple(shape), offsets[0], offsets[1]


def _is_integers(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**63 for item in value)


def _name(dtype: str) -> str:
    """Return the name of a type as NumPy has it; that of one which is not read, in small letters."""
    code = TYPES[dtype][1]
    if dtype == "BF16":
        return "bfloat16"
    return np.dtype(code).name if code else dtype.lower().replace("f", "float", 1)


def _data(path: Path, start: int, length: int, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    code = TYPES[dtype][1]
    if code is None:
        raise checks.InputError(f"entries of type {dtype} are not read: convert them to F32 or BF16")
    with path.open("rb") as file:
        file.seek(start)
        data = file.read(length)
    array = np.frombuffer(data, code).reshape(shape)
    # bfloat16 is the upper half of a float32.
    return (array.astype("<u4") << 16).view("<f4") if dtype == "BF16" else array
