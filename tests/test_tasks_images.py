"""CIFAR-10 from a user's files: what is broken or hostile is refused with one line, and no pickle is executed."""

import os
import pickle
import pickletools

import numpy as np
import pytest

from rmt.checks import InputError
from rmt.training.tasks import cifar, load_task, pickles

IMAGES = 12
NESTED = b"]q\0" + b"h\0h\0\x86q\0" * 60  # pairs of pairs of ..., written down 2^60 brackets


class Hostile:
    """What leaves a folder behind where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def python2(data, labels):
    """A batch as Python 2 pickled those of CIFAR-10, instruction by instruction."""
    rows, columns = data.shape
    integers = b"".join(b"K" + bytes([label]) for label in labels)
    size = b"K%c" % rows + b"M" + columns.to_bytes(2, "little")
    raw = data.tobytes()
    return (
        b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x15training batch 1 of 5q\x03U\x06labelsq\x04]q\x05("
        + integers
        + b"eU\x04dataq\x06cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08"
        + b"K\x00\x85U\x01b\x87Rq\x09(K\x01"
        + size
        + b"\x86cnumpy\ndtype\nq\x0aU\x02u1K\x00K\x01\x87Rq\x0b(K\x03U\x01|NNN"
        + b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"
        + len(raw).to_bytes(4, "little")
        + raw
        + b"tbU\x09filenamesq\x0c]q\x0d(U\x07a_s.pngU\x07b_s.pngeu."
    )


def images(seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (IMAGES, 3072), np.uint8), rng.integers(0, 10, IMAGES)


def binary(data, labels):
    return b"".join(bytes([label]) + row.tobytes() for row, label in zip(data, labels, strict=True))


@pytest.fixture
def batches(tmp_path, monkeypatch):
    """Both versions of CIFAR-10, of few images."""
    monkeypatch.setattr(cifar, "IMAGES", IMAGES)
    monkeypatch.setattr(cifar.baselines, "least_squares", lambda train, classes, test: np.zeros(len(test), int))
    (tmp_path / "py").mkdir()
    (tmp_path / "data" / "cifar-10-batches-bin").mkdir(parents=True)
    for seed, name in enumerate(cifar.PYTHON):
        (tmp_path / "py" / name).write_bytes(python2(*images(seed)))
        (tmp_path / "data" / "cifar-10-batches-bin" / f"{name}.bin").write_bytes(binary(*images(seed)))
    return tmp_path


def test_the_pickle_is_as_python_reads_it():
    content = python2(*images(0))
    tree = pickle.loads(content, encoding="bytes")
    np.testing.assert_array_equal(tree[b"data"], images(0)[0])
    assert tree[b"labels"] == images(0)[1].tolist()
    assert pickles.loads(content)["filenames"] == ["a_s.png", "b_s.png"]


@pytest.mark.parametrize("colour", ["grey", "rgb", "flat"])
def test_images_as_sequences(batches, colour):
    tasks = [
        load_task("cifar", data=batches / folder, colour=colour, tokens=tokens)
        for folder in ("py", "data")
        for tokens in ([False] if colour == "rgb" else [False, True])
    ]
    assert tasks[0].record["sha256"] == tasks[len(tasks) // 2].record["sha256"]
    assert "python" in tasks[0].record["source"]
    assert "binary" in tasks[-1].record["source"]
    task = tasks[0]
    assert [len(split) for split in task.splits.values()] == [54, 6, IMAGES]
    # each test image is one of the file, told by its class and its pixels, up to standardisation
    data, labels = images(5)
    planes = data.reshape(IMAGES, 3, 1024).astype(float)
    if colour == "grey":
        steps = np.floor(0.299 * planes[:, 0] + 0.587 * planes[:, 1] + 0.114 * planes[:, 2] + 0.5 + 1e-9)[..., None]
    elif colour == "rgb":
        steps = np.stack([planes[:, 0], planes[:, 1], planes[:, 2]], axis=2)
    else:
        steps = np.array([[plane[pixel] for pixel in range(1024) for plane in image] for image in planes])[..., None]
    assert task.train.inputs.shape[1:] == steps.shape[1:]
    order = np.random.default_rng(0)
    order.permutation(5 * IMAGES)
    rows = order.permutation(IMAGES)
    np.testing.assert_array_equal(task.test.targets, labels[rows])
    for channel in range(steps.shape[2]):
        wanted, found = steps[rows, :, channel].ravel(), task.test.inputs[..., channel].ravel()
        slope, offset = np.polyfit(wanted, found, 1)
        np.testing.assert_allclose(found, slope * wanted + offset, atol=1e-5)
    np.testing.assert_allclose(task.train.inputs.mean(axis=(0, 1)), 0, atol=1e-4)
    np.testing.assert_allclose(task.train.inputs.std(axis=(0, 1)), 1, atol=1e-4)
    if colour != "rgb":
        np.testing.assert_array_equal(tasks[1].test.inputs, steps[rows, :, 0])
        assert (tasks[1].vocabulary, tasks[1].train.inputs.dtype) == (256, np.uint8)


def test_images_follow_the_seed(batches):
    first, again, other = (load_task("cifar", data=batches / "py", tokens=True, seed=seed) for seed in (1, 1, 2))
    assert first.record == again.record
    assert first.record["sha256"] != other.record["sha256"]
    both = np.concatenate([first.train.inputs, first.validation.inputs])
    assert len(np.unique(both, axis=0)) == 60
    assert len(load_task("cifar", data=batches / "py", size=5).test) == 5
    with pytest.raises(InputError, match="tokens must be False for colour='rgb'"):
        load_task("cifar", data=batches / "py", colour="rgb", tokens=True)


def outcome(path):
    """What reading a batch gives, or the line it is refused with."""
    try:
        return cifar._from_pickle(path), None
    except InputError as error:
        return None, str(error)


def test_batches_cut_or_changed_anywhere(batches):
    path, content = batches / "py" / "test_batch", python2(*images(5))
    middle = content.index(images(5)[0].tobytes())
    places = [*range(middle), *range(middle, len(content) - 100, 997), *range(len(content) - 100, len(content))]
    refused = 0
    rng = np.random.default_rng(0)
    for place in places:
        path.write_bytes(content[:place])
        assert outcome(path)[1].startswith(f"{path} cannot be read: ")
        changed = bytearray(content)
        changed[place] = int(rng.integers(256))
        path.write_bytes(changed)
        read, error = outcome(path)
        refused += read is None
        if read is None:
            assert error.isprintable()
            assert error.startswith(f"{path} cannot be read: ")
        else:  # a pixel, a class, a name that does not matter
            assert read[0].shape == (IMAGES, 3072)
            assert read[0].dtype == np.uint8
            assert read[1].shape == (IMAGES,)
            assert 0 <= read[1].min() <= read[1].max() < 10
    assert refused > 150
    path.write_bytes(content + bytes(60_000))
    assert "more than" in outcome(path)[1]
    path = batches / "data" / "cifar-10-batches-bin" / "data_batch_3.bin"
    content = path.read_bytes()
    for other in (b"", content[:-1], content[:-3073], content + content[:3073], content + b"\0"):
        path.write_bytes(other)
        with pytest.raises(InputError, match=r"data_batch_3.bin cannot be read: it holds"):
            load_task("cifar", data=batches / "data")
    path.write_bytes(b"\x0a" + content[1:])
    with pytest.raises(InputError, match="a class in it is not one of 0 to 9"):
        load_task("cifar", data=batches / "data")
    path.unlink()
    with pytest.raises(InputError, match=r"data_batch_1 is not there; data must be the folder cifar-10-batches-py"):
        load_task("cifar", data=batches / "data")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol(protocol):
    arrays = [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
        np.zeros((0, 4)),
    ]
    tree = {"a": arrays, b"b\xff": [1, -5, 2**40, True, None], "c": ("x", 1.5, "é"), "d": {}, "e": ((), (1, 2, 3, 4))}
    found = pickles.loads(pickle.dumps(tree, protocol))
    for wanted, array in zip(tree.pop("a"), found.pop("a"), strict=True):
        np.testing.assert_array_equal(array.value, wanted)
        assert array.value.dtype == wanted.dtype
    assert found == tree


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_hostile_pickle_leaves_nothing_behind(batches, protocol):
    mark = batches / "mark"
    path = batches / "py" / "data_batch_2"
    data, labels = images(1)
    trees = [
        Hostile(mark),
        {"data": data, "labels": labels.tolist(), "more": Hostile(mark)},
        {"data": data, "labels": [Hostile(mark)] * IMAGES},
    ]
    for tree in trees:
        content = pickle.dumps(tree, protocol)
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"data_batch_2 cannot be read: it asks for 'posix.mkdir', and nothing is"):
            load_task("cifar", data=batches / "py")
        assert not mark.exists()
    pickle.loads(content)
    assert mark.exists()  # what it would have done


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "asks for 'os.system'"),
        (b"(S'true'\nios\nsystem\n.", "instruction INST"),
        (b"\x80\x02cnumpy\nndarray\n)\x81.", "instruction NEWOBJ"),
        (b"\x80\x02cnumpy\nfromfile\n.", "asks for 'numpy.fromfile'"),
        (b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.", "asks for 'builtins.eval'"),
        (b"\x80\x02P1\n.", "instruction PERSID"),
        (b"\x80\x02\x82\x01.", "instruction EXT1"),
        (b"\x80\x02cnumpy\nndarray\n(K\x01tR.", "cannot be called"),
        (b"\x80\x02K\x01)R.", "cannot be called"),
        (b"\x80\x02}K\x01b.", "state of what has none"),
        (b"\x80\x02K\x01K\x02a.", "fills what is no container"),
        (b"\x80\x02(K\x01\x85.", "is broken"),
        (b"\x80\x02t.", "is broken"),
        (b"\x80\x02R.", "values are missing"),
        (b"\x80\x02K\x01K\x02.", "is broken"),
        (b"\x80\x02]]s.", "is broken"),
        (b"\x80\x02h\x07.", "is broken"),
        (b"\x80\x02T\xff\xff\xff\x7f.", "is broken"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", "is broken"),
        (b"\x80\x02K\x01", "is broken"),
        (b"\x80\x02})" + b"\x85" * 200_000 + b"K\x01s.", "a key that is neither"),  # its hash would go as deep
        (b"\x80\x02" + NESTED + b"cnumpy\ndtype\nh\0\x85R.", "where a name belongs"),
        (b"\x80\x04" + NESTED + b"h\0h\0\x93.", "where a name belongs"),
        (b"\x80\x02" + b"N" * 1_000_001, "more than 1,000,000 instructions"),
        (b"", "is broken"),
    ],
)
def test_programs_that_are_refused(content, words):
    with pytest.raises(InputError, match=words) as caught:
        pickles.loads(content)
    assert str(caught.value).isprintable()


NEEDED = (
    "MARK STOP PROTO FRAME MEMOIZE PUT BINPUT LONG_BINPUT GET BINGET LONG_BINGET NONE NEWTRUE NEWFALSE INT LONG LONG1 "
    "LONG4 BININT BININT1 BININT2 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE "
    "BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 EMPTY_LIST LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1 "
    "TUPLE2 TUPLE3 EMPTY_DICT DICT SETITEM SETITEMS GLOBAL STACK_GLOBAL REDUCE BUILD"
)


def test_every_other_instruction_is_refused():
    names, needed = {opcode.name for opcode in pickletools.opcodes}, set(NEEDED.split())
    assert names > needed
    for name in names - needed:
        machine = pickles._Machine()
        machine.stack += [1, 2, 3]
        with pytest.raises(InputError, match=f"instruction {name}, which no array"):
            machine.step(name, 1)


def test_arrays_of_anything_but_numbers_are_refused():
    for array in (np.array([print], object), np.array(["a"]), np.zeros(2, "i4,f8"), np.zeros(2, "M8[s]")):
        with pytest.raises(InputError):
            pickles.loads(pickle.dumps(array, 2))


def test_what_is_no_batch(batches):
    data, labels = images(0)
    path = batches / "py" / "test_batch"
    for tree, words in (
        ([1], "it is no dict"),
        ({"labels": labels.tolist()}, "its data are no uint8 array"),
        ({"data": data.astype(np.int8), "labels": labels.tolist()}, "its data are no uint8 array"),
        ({"data": data[1:], "labels": labels.tolist()}, r"uint8 array \(12, 3072\)"),
        ({"data": data, "labels": labels.tolist()[1:]}, "no list of 12 integers"),
        ({"data": data, "labels": [True] * IMAGES}, "no list of 12 integers"),
        ({"data": data, "labels": [10] * IMAGES}, "a class in it"),
        ({"data": data, "labels": [-1] * IMAGES}, "a class in it"),
        ({"data": data, "labels": [2**70] * IMAGES}, "a class in it"),
    ):
        path.write_bytes(pickle.dumps(tree, 2))
        with pytest.raises(InputError, match=f"test_batch cannot be read: .*{words}"):
            cifar._from_pickle(path)
