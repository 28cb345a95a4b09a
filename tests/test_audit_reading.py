"""Files of weights: each format as it should be, and broken or hostile: only InputError, and nothing executed."""

import io
import json
import os
import pickle
import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from rmt.audit import reading
from rmt.audit.reading import read
from rmt.checks import InputError

W = np.arange(9.0).reshape(3, 3)


def arrays(path):
    """All arrays of a file, read."""
    return {name: weight.array() for name, weight in read(path).items()}


def npy(array, **options):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **options)
    return file.getvalue()


def npz(**members):
    file = io.BytesIO()
    np.savez(file, **members)
    return file.getvalue()


def safetensors(entries, data, **changes):
    """A file as the format describes it, written down here once more."""
    header = json.dumps(entries).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", changes.get("length", len(header))) + header + data


def entry(dtype="F64", shape=(3, 3), offsets=(0, 72)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


GOOD = {
    "W.npy": npy(W),
    "W.npz": npz(W=W, b=np.zeros(2)),
    "W.safetensors": safetensors(
        {"W": entry(), "b": entry("F32", (2,), (72, 80)), "__metadata__": {"format": "pt"}}, W.tobytes() + bytes(8)
    ),
}


class Hostile:
    """What leaves a file behind where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("name", GOOD)
def test_every_format(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(GOOD[name])
    found = arrays(path)
    np.testing.assert_array_equal(found["W"], W)
    assert found["W"].dtype == np.float64
    path.rename(tmp_path / "weights.bin")  # the content tells what it is
    assert len(read(tmp_path / "weights.bin")) == len(found)


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8", "<c8", ">c16", "i1", "<u4", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_types_and_orders_of_npy(tmp_path, dtype, order, version):
    array = np.array(np.arange(6).reshape(2, 3), dtype=dtype, order=order)
    path = tmp_path / "a.npy"
    path.write_bytes(npy(array, version=version))
    weight = read(path)["a"]
    np.testing.assert_array_equal(weight.load(), array)
    assert (weight.shape, weight.numeric) == ((2, 3), dtype != "?")


def test_compressed_npz_and_sparse_matrices(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", W=W)
    np.testing.assert_array_equal(arrays(tmp_path / "a.npz")["W"], W)
    for kind in ("csr", "csc"):
        matrix = sparse.random(20, 20, 0.2, format=kind, rng=0)
        sparse.save_npz(tmp_path / "s.npz", matrix)
        np.testing.assert_array_equal(arrays(tmp_path / "s.npz")["W"], matrix.toarray())


def test_types_of_safetensors(tmp_path):
    values = np.array([[1.0, -2.5], [0.15625, 3e38]], "<f4")
    upper = struct.pack("<4H", *(struct.unpack("<I", struct.pack("<f", v))[0] >> 16 for v in values.ravel()))
    data = upper + values[0].astype("<f2").tobytes() + np.array([1 + 2j], "<c8").tobytes() + b"\1"
    entries = {
        "bf16": entry("BF16", (2, 2), (0, 8)),
        "f16": entry("F16", (2,), (8, 12)),
        "c64": entry("C64", (1,), (12, 20)),
        "f8": entry("F8_E4M3", (1,), (20, 21)),
        "none": entry("F32", (0, 5), (21, 21)),
    }
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors(entries, data))
    weights = read(path)
    np.testing.assert_allclose(weights["bf16"].array(), values, rtol=2**-8)
    np.testing.assert_array_equal(weights["bf16"].array()[0], [1.0, -2.5])
    np.testing.assert_array_equal(weights["f16"].array(), [1.0, -2.5])
    np.testing.assert_array_equal(weights["c64"].array(), [1 + 2j])
    assert [weight.numeric for weight in weights.values()] == [True] * 5
    with pytest.raises(InputError, match="F8_E4M3 are not read"):
        weights["f8"].array()


@pytest.mark.parametrize("name", GOOD)
def test_truncated_anywhere(tmp_path, name):
    path = tmp_path / name
    for length in range(len(GOOD[name])):
        path.write_bytes(GOOD[name][:length])
        with pytest.raises(InputError, match=r"cannot be read") as caught:
            arrays(path)
        assert "\n" not in str(caught.value)
        assert path.read_bytes() == GOOD[name][:length]


@pytest.mark.parametrize("name", ["W.npy", "W.safetensors"])
def test_bytes_behind_the_end(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(GOOD[name] + bytes(64))
    with pytest.raises(InputError, match="cannot be read"):
        arrays(path)


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("change", [0x01, 0x80, 0xFF])
def test_any_byte_changed(tmp_path, name, change):
    path, refused = tmp_path / name, 0
    for place in range(len(GOOD[name])):
        data = bytearray(GOOD[name])
        data[place] ^= change
        path.write_bytes(data)
        try:
            arrays(path)
        except InputError:
            refused += 1
        assert path.read_bytes() == data
    assert refused > 20


@pytest.mark.parametrize("seed", range(3))
def test_noise(tmp_path, seed):
    rng = np.random.default_rng(seed)
    beginnings = [b"", b"\x93NUMPY\x01\x00", b"PK\x03\x04", b"\x80\x02", struct.pack("<Q", 40) + b"{"]
    for beginning in beginnings:
        for _ in range(30):
            path = tmp_path / "noise"
            path.write_bytes(beginning + rng.bytes(rng.integers(0, 200)))
            with pytest.raises(InputError):
                arrays(path)


def test_no_pickle_is_executed(tmp_path):
    trace = tmp_path / "executed"
    objects = np.array([Hostile(trace)], dtype=object)
    files = {
        "a.npy": npy(objects, allow_pickle=True),
        "b.npy": pickle.dumps(Hostile(trace), protocol=2),
        "c.npz": npz(W=W, config=objects),
        "d.npz": pickle.dumps(Hostile(trace)),
        "e.safetensors": pickle.dumps(Hostile(trace)),
        "f.bin": pickle.dumps({"W": Hostile(trace)}, protocol=2),
        "g": pickle.dumps({"W": Hostile(trace)}, protocol=0),
    }
    with pytest.raises(FileExistsError):  # it does work
        pickle.loads(pickle.dumps(Hostile(tmp_path)))
    for name, data in files.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(InputError, match="cannot be read"):
            arrays(path)
        assert not trace.exists()


def member(data, name="W.npy", **changes):
    """An archive with one member, whose entry is changed behind the scenes."""
    file = io.BytesIO()
    archive = zipfile.ZipFile(file, "w", changes.pop("compression", zipfile.ZIP_STORED))
    with warnings.catch_warnings(action="ignore"), archive:
        archive.writestr(name, data)
        for other in changes.pop("others", ()):
            archive.writestr(other, data)
        for key, value in changes.items():
            setattr(archive.filelist[0], key, value)
    return file.getvalue()


def header(shape, descr="<f8"):
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (117 - len(text)) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (npy(W)[:-1], "does not take"),
        (header((2**30, 2**30)) + bytes(72), "does not take"),
        (header((-1, -9)) + bytes(72), "does not take"),
        (header((3, 3), "|O") + bytes(72), "pickled and never loaded"),
        (header((3, 3), [("a", "|O")]) + bytes(72), "pickled and never loaded"),
        (header((3, "x")) + bytes(72), "cannot be read"),
        (b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535, "cannot be read"),
        (b"\x93NUMPY\x09\x00" + npy(W)[8:], "version 9.0"),
        (member(b"no array"), "member 'W'"),
        (member(npy(W), others=["notes.txt"]), "'notes.txt' is no array"),
        (member(b"text", "model.weights.h5"), "rmt.audit_weights takes models"),
        (member(npy(W), others=["W.npy"]), "two members"),
        (member(npy(W), compression=zipfile.ZIP_LZMA), "compression"),
        (member(npy(W), compression=zipfile.ZIP_BZIP2), "compression"),
        (member(header((2**14, 2**14)), compression=zipfile.ZIP_DEFLATED), "does not take"),
        (member(header((2**14, 2**14)), file_size=128 + 2**31), "cannot be read"),
        (member(npy(W), flag_bits=1), "cannot be read"),
        (member(npy(W), CRC=7), "Bad CRC"),
        (member(npy(W), name="a\x1b[2J\n.npy", others=["a\\x1b[2J\\n.npy"]), "differ by control characters"),
        (zipfile.ZIP_STORED.to_bytes(1, "big"), "is not a"),
        (b"", "is not a"),
        (b"PK\x05\x06" + bytes(18), "holds no array"),
        (npz(data=[1.0], indices=[5], indptr=[0, 1, 1], shape=[2, 2], format="csr"), "cannot be read"),
        (npz(data=[1.0], indices=[0], indptr=[0, 9, 1], shape=[2, 2], format="csr"), "cannot be read"),
        (npz(data=[1.0], indices=[0], indptr=[0, 1, 1], shape=[2, 2], format="dia"), "csr and csc"),
        (npz(data=[1.0], indices=[0], indptr=[0, 1, 1], shape=[2, 2, 2], format="csr"), "are not"),
    ],
)
def test_hostile_numpy_files(tmp_path, data, words):
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(InputError, match=words):
        arrays(path)


def test_bomb_is_never_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "MAX_BYTES", 1000)
    np.savez_compressed(tmp_path / "a.npz", bomb=np.zeros((64, 64)), W=W)
    weights = read(tmp_path / "a.npz")
    np.testing.assert_array_equal(weights["W"].array(), W)
    with pytest.raises(InputError, match="32,768 bytes"):
        weights["bomb"].array()


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"W": entry(offsets=(0, 64))}, "does not take the bytes"),
        ({"W": entry(shape=(3, 2))}, "does not take the bytes"),
        ({"W": entry(shape=(3, 2), offsets=(0, 48))}, "its data take 48 bytes, and 72"),
        ({"W": entry(offsets=(8, 80))}, "do not begin where"),
        ({"W": entry(shape=(8,), offsets=(0, 64)), "V": entry(shape=(2,), offsets=(56, 72))}, "do not begin where"),
        ({"W": entry(shape=(3,), offsets=(0, 24)), "V": entry(shape=(3,), offsets=(48, 72))}, "do not begin where"),
        ({"W": entry(), "V": entry()}, "do not begin where"),
        ({"W": entry(shape=(-3, -3))}, "no list of integers"),
        ({"W": entry(shape=(9.0,))}, "no list of integers"),
        ({"W": entry(shape=(True, 9))}, "no list of integers"),
        ({"W": entry(shape=(2**70, 0), offsets=(0, 0))}, "no list of integers"),
        ({"W": entry(shape=(2**40, 2**40))}, "does not take the bytes"),
        ({"W": entry(offsets=(0, 24, 72))}, "not two integers"),
        ({"W": entry(offsets=(72, 0))}, "does not take the bytes"),
        ({"W": entry(dtype="F99")}, "unknown type"),
        ({"W": entry(dtype=["F64"])}, "unknown type"),
        ({"W": entry() | {"more": 1}}, "other keys"),
        ({"W": 5}, "no JSON object"),
        ({"W": entry(), "__metadata__": {"a": 1}}, "metadata"),
        ({"W": entry(), "__metadata__": []}, "metadata"),
        ({"a\n": entry(shape=(0,), offsets=(0, 0)), "a\\n": entry()}, "control characters"),
        ({}, "its data take 0 bytes"),
    ],
)
def test_hostile_safetensors(tmp_path, entries, words):
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors(entries, W.tobytes()))
    with pytest.raises(InputError, match=words):
        arrays(path)


def test_safetensors_with_a_name_twice(tmp_path):
    path = tmp_path / "x.safetensors"
    once = json.dumps({"W": entry()})
    text = f"{once[:-1]}, {once[1:]}".encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + W.tobytes())
    with pytest.raises(InputError, match="gives a name twice"):
        arrays(path)


@pytest.mark.parametrize("length", [0, 7, 10**6, 2**63, 2**64 - 1])
def test_safetensors_with_a_false_length(tmp_path, length):
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors({"W": entry()}, W.tobytes(), length=length))
    with pytest.raises(InputError, match="cannot be read"):
        arrays(path)


@pytest.mark.parametrize(
    "text",
    [
        b'{"W": 1, "W": 2}',
        b"{" + b'"a":{' * 50_000,
        b'{"a":' + b"[" * 50_000,
        b'{"a": 1' + b"0" * 5000 + b"}",
        b'{"\xff": 1}',
    ],
)
def test_hostile_json(tmp_path, text):
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    with pytest.raises(InputError, match="cannot be read"):
        arrays(path)


def test_names_cannot_command_a_terminal(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors({"\x1b[2J\nW\ud800": entry()}, W.tobytes()))
    (name,) = read(path)
    assert name == r"\x1b[2J\nW\ud800"


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, words in ((tmp_path, "directory"), (tmp_path / "x", "not there"), (tmp_path / "pipe", "no file")):
        with pytest.raises(InputError, match=words):
            read(path)
    with pytest.raises(InputError, match="cannot be read"):
        read(Path("a\0b"))


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".pt", ".pth"])
def test_name_and_content_must_agree(tmp_path, suffix):
    for name, data in GOOD.items():
        if not name.endswith(suffix):
            path = tmp_path / f"x{suffix}"
            path.write_bytes(data)
            with pytest.raises(InputError, match="is not"):
                read(path)


def test_what_is_not_asked_for_is_not_read(tmp_path):
    path = tmp_path / "x.npz"
    path.write_bytes(GOOD["W.npz"])
    weights = read(path)
    path.write_bytes(b"gone")
    assert weights["W"].shape == (3, 3)
    with pytest.raises(InputError, match="W cannot be read"):
        weights["W"].array()
