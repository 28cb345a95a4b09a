"""Files of samples: what is found whole, what is not, and what joining may change."""

import hashlib
import os
import threading
import time
from itertools import pairwise

import numpy as np
import pytest

from rmt.campaign import shards
from rmt.campaign.shards import DisagreementError, Held, Shard, Shards
from rmt.checks import InputError

CELL = hashlib.sha256(b"a cell").hexdigest()
LABEL = "0123456789abcdef"
ROWS = np.random.default_rng(0).standard_normal((40, 2))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # which takes long
    return Shards(tmp_path / "shards" / "cell", CELL, 7)


def commit(folder, start, stop, label="", rows=ROWS):
    return folder.commit(start, rows[start:stop], label)


def names(folder):
    return sorted(path.name for path in folder.folder.iterdir())


def test_the_name_is_the_hash_of_what_makes_the_samples_what_they_are(folder):
    shard = commit(folder, 3, 5)
    data = shard.path.read_bytes()
    head = f"rmt samples\n{CELL}\n7\n1\n3 5\n\n"
    assert shard.path.name == f"3-5-{hashlib.sha256(head.encode() + data).hexdigest()}.npy"
    assert np.array_equal(np.load(shard.path), ROWS[3:5])
    assert names(folder) == [shard.path.name]


def test_equal_samples_are_one_file_however_they_lie_in_memory(folder):
    for values in (ROWS, np.asfortranarray(ROWS), np.repeat(ROWS, 2, axis=0)[::2], ROWS[::-1].copy()[::-1]):
        commit(folder, 0, 10, rows=values)
    assert len(names(folder)) == 1
    commit(folder, 0, 10, rows=-ROWS)
    assert len(names(folder)) == 2


def damages(shard):
    """Yield what may become of a file, as functions of its path that return the path of what is damaged then."""
    data = shard.path.read_bytes()

    def holds(altered):
        return lambda path: (path.write_bytes(altered), path)[1]

    for length in range(len(data)):
        yield f"cut to {length} bytes", holds(data[:length])
    for position in range(len(data)):
        flipped = data[:position] + bytes([data[position] ^ 1 << position % 8]) + data[position + 1 :]
        yield f"bit {position % 8} of byte {position}", holds(flipped)
    yield "one byte more", holds(data + b"\0")
    name = shard.path.name
    others = [name.replace("3-6-", "2-5-"), name.replace("3-6-", "3-5-"), name.replace("3-6-", "03-6-")]
    others += [name.replace(".npy", f".mixed-{LABEL}.npy"), "notes.npy", "6-3" + name[3:], name[:-5] + ".npy"]
    for other in others:
        yield f"renamed to {other}", lambda path, other=other: path.rename(path.with_name(other))


def test_no_altered_or_renamed_file_is_taken_for_samples(folder):
    shard = commit(folder, 3, 6)
    data = shard.path.read_bytes()
    kinds = list(damages(shard))
    assert len(kinds) == 2 * len(data) + 8
    for what, damage in kinds:
        path = damage(shard.path)
        held = folder.look()
        assert (held.shards, held.damaged) == ([], [path]), what
        with pytest.raises(InputError, match="lacks 3 of the samples from 3 to 5"):
            folder.load(3, 6)
        path.unlink()
        shard.path.write_bytes(data)
    assert folder.look().shards == [shard]


def test_files_of_another_cell_or_seed_or_stream_are_none(folder, tmp_path, monkeypatch):
    for cell, seed, version in ((CELL[::-1], 7, 1), (CELL, 8, 1), (CELL, 7, 2)):
        monkeypatch.setattr(shards, "STREAM_VERSION", version)
        commit(Shards(folder.folder, cell, seed), 0, 5)
    monkeypatch.undo()
    assert len(folder.look().damaged) == 3
    assert folder.look().shards == []
    (folder.folder / f"0-1-{CELL}.npy").mkdir()
    assert len(folder.look().damaged) == 4


def cuts(rng, end, gaps=True):
    """Return overlapping ranges in random order, which cover 0, ..., end - 1 unless there are to be gaps."""
    found = []
    for _ in range(rng.integers(1, 4)):
        edges = sorted({0, end, *rng.integers(0, end, rng.integers(0, 6)).tolist()})
        found += [ends for ends in pairwise(edges) if not gaps or rng.random() < 0.6]
    rng.shuffle(found)
    return [tuple(map(int, ends)) for ends in found]


@pytest.mark.parametrize("seed", range(30))
def test_what_is_there_and_what_is_missing(seed, tmp_path):
    rng = np.random.default_rng(seed)
    ranges = [(a, b, LABEL if rng.random() < 0.3 else "") for a, b in cuts(rng, 25)]
    held = Held(sorted(Shard(a, b, label, tmp_path / f"{a}-{b}-{label}") for a, b, label in ranges))
    for count in (1, 7, 25, 40):
        present = {i for a, b, _ in ranges for i in range(a, b)} & set(range(count))
        plain = {i for a, b, label in ranges if not label for i in range(a, b)} & set(range(count))
        assert {i for a, b in held.covered(count) for i in range(a, b)} == present
        assert [i for a, b in held.missing(count) for i in range(a, b)] == sorted(set(range(count)) - present)
        assert held.mixed(count) == len(range(count)) - len(plain)
        assert min(held.prefix(), count) == next(i for i in range(count + 1) if i not in present)
    pairs = [(a, b) for a in held.shards for b in held.shards if a is not b and a.label == b.label]
    assert held.redundant == any(b.start <= a.start and a.stop <= b.stop for a, b in pairs)


@pytest.mark.parametrize("seed", range(20))
def test_joining_changes_nothing_but_the_number_of_files(folder, seed, monkeypatch):
    rng = np.random.default_rng(seed)
    monkeypatch.setattr(shards, "BLOCK_BYTES", int(rng.choice([1, 7 * 16, 2**26])))
    ranges = cuts(rng, 40)
    for start, stop in ranges:
        commit(folder, start, stop)
    before = folder.scan()
    joined = folder.join(before)
    assert joined == folder.scan()
    block = max(1, shards.BLOCK_BYTES // 16)
    covered = before.covered(40)
    assert covered == joined.covered(40)
    edges = [(a, *[x for x in range(a + 1, b) if x % block == 0], b) for a, b in covered]
    assert [(s.start, s.stop) for s in joined.shards] == [ends for row in edges for ends in pairwise(row)]
    for start, stop in covered:
        assert np.array_equal(folder.load(start, stop), ROWS[start:stop])
    assert folder.join(joined) == joined
    # Once nothing is missing, the files do not show how it came about.
    for start, stop in cuts(rng, 40, gaps=False):
        commit(folder, start, stop)
    folder.join(folder.scan())
    whole = Shards(folder.folder.parent / "whole", CELL, 7)
    commit(whole, 0, 40)
    whole.join(whole.scan())
    assert names(whole)[0] in names(folder)
    assert len(names(folder)) == -(-40 // block)


def test_a_kill_while_joining_costs_nothing(folder, monkeypatch):
    for start in range(0, 40, 4):
        commit(folder, start, start + 4)
    real, left = os.unlink, [0]

    def unlink(path, *arguments, **options):
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        return real(path, *arguments, **options)

    for count in range(1, 10):
        with monkeypatch.context() as patch:
            patch.setattr(os, "unlink", unlink)
            left[0] = 1
            with pytest.raises(KeyboardInterrupt):
                folder.join(folder.scan())
        assert len(names(folder)) == 11 - count
        assert np.array_equal(folder.load(0, 40), ROWS)
    folder.join(folder.scan())
    assert len(names(folder)) == 1


def test_machines_are_joined_by_themselves_and_the_first_one_decides(folder):
    other = ROWS + 1e-9
    for start in range(0, 40, 4):
        commit(folder, start, start + 4, LABEL, other)
    for start in range(10, 20, 2):
        commit(folder, start, start + 2)
    expected = np.concatenate([other[:10], ROWS[10:20], other[20:]])
    held = folder.scan()
    assert held.mixed(40) == 30
    assert np.array_equal(folder.load(0, 40, held), expected)
    joined = folder.join(held)
    assert [(s.start, s.stop, s.label) for s in joined.shards] == [(0, 40, LABEL), (10, 20, "")]
    assert joined.mixed(40) == 30
    assert np.array_equal(folder.load(0, 40), expected)
    assert len(names(folder)) == 2


@pytest.mark.parametrize("seed", range(40))
def test_any_two_files_that_disagree_are_found(folder, seed):
    rng = np.random.default_rng(seed)
    contents = []
    for start, stop in cuts(rng, 12):
        rows, label = ROWS.copy(), str(rng.choice(["", LABEL], p=[0.8, 0.2]))
        if rng.random() < 0.3:
            rows[rng.integers(start, stop), 1] += 1e-300 if rng.random() < 0.5 else 1.0
        if not np.array_equal(rows, ROWS) or rng.random() < 0.8:
            contents.append((commit(folder, start, stop, label, rows), rows))
    wrong = [
        (a, b)
        for i, (a, x) in enumerate(contents)
        for b, y in contents[:i]
        if a.label == b.label and x[max(a.start, b.start) : min(a.stop, b.stop)].tobytes() != y[
            max(a.start, b.start) : min(a.stop, b.stop)
        ].tobytes()
    ]  # fmt: skip
    held = folder.look()
    assert bool(held.disputes) == bool(wrong)
    for dispute in held.disputes:
        assert (dispute.first, dispute.second) in wrong or (dispute.second, dispute.first) in wrong
    if wrong:
        with pytest.raises(DisagreementError, match="two files that disagree about samples"):
            folder.scan()


def test_shapes_that_differ_are_a_disagreement(folder):
    folder.commit(0, np.zeros((4, 2)))
    folder.commit(2, np.zeros((2, 1, 2)))
    with pytest.raises(DisagreementError, match="samples 2 to 3"):
        folder.scan()


def test_samples_larger_than_a_file_should_be_have_one_each(folder, monkeypatch):
    monkeypatch.setattr(shards, "BLOCK_BYTES", 10)
    commit(folder, 0, 3)
    commit(folder, 3, 4)
    assert [s.stop - s.start for s in folder.join(folder.scan()).shards] == [1, 1, 1, 1]


# others at work


def test_a_listing_that_misses_a_file_that_is_being_joined(folder, monkeypatch):
    """A folder that is listed just while files are joined may show neither the old ones nor the new one."""
    for start in range(0, 40, 4):
        commit(folder, start, start + 4)
    real, calls = os.listdir, []

    def listdir(path):
        calls.append(path)
        if len(calls) == 1:
            old = set(real(path))
            with monkeypatch.context() as patch:
                patch.setattr(os, "listdir", real)
                folder.join(folder.scan())
            return sorted(old & set(real(path)))
        return real(path)

    monkeypatch.setattr(os, "listdir", listdir)
    assert folder.scan().prefix() == 40


def test_reading_while_others_commit_and_join(folder, monkeypatch):
    """What a reader has seen once it sees ever after, and what it loads is right."""
    monkeypatch.setattr(shards, "BLOCK_BYTES", 16 * 16)
    ending, errors, loads = threading.Event(), [], []

    def read():
        seen = 0
        try:
            while not ending.is_set() or not loads:
                end = folder.scan().prefix()
                assert end >= seen
                seen = end
                if end:
                    assert np.array_equal(folder.load(0, end), ROWS[:end])
                    loads.append(end)
        except BaseException as error:
            errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for trial in range(6):
        for start in range(0, 40, 1 + trial % 3):
            commit(folder, start, min(start + 1 + trial % 3, 40))
            if start % 4 == 0:
                folder.join(folder.scan())
    ending.set()
    for reader in readers:
        reader.join()
    assert errors == []
    assert len(loads) > 5
    assert np.array_equal(folder.load(0, 40), ROWS)


def test_a_file_taken_for_a_leftover_is_written_again(folder, monkeypatch):
    """Another runner that is done removes what it takes for the leftovers of killed ones."""
    real, calls = os.replace, []

    def replace(source, target):
        calls.append(source)
        if len(calls) < 4:
            os.unlink(source)
        return real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    shard = commit(folder, 0, 4)
    assert names(folder) == [shard.path.name]
    assert len(calls) == 4
    monkeypatch.setattr(os, "replace", lambda source, target: os.unlink(source) or real(source, target))
    with pytest.raises(FileNotFoundError):
        commit(folder, 4, 8)


def test_a_file_system_without_links_or_flushes_of_folders(folder, tmp_path, monkeypatch):
    real = os.fsync

    def fsync(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(22, "Invalid argument")
        real(descriptor)

    def link(source, target):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "link", link)
    commit(folder, 0, 4)
    for text in (b"first", b"second"):
        shards.commit(tmp_path / "manifest.json", text, exclusive=True)
    assert (tmp_path / "manifest.json").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir() if ".partial" in path.name] == []


def test_reading_while_files_are_taken_away_one_by_one(folder, monkeypatch):
    for start in range(40):
        commit(folder, start, start + 1)
    real, held = os.unlink, folder.scan()

    def unlink(path, *arguments, **options):
        time.sleep(0.01)
        real(path, *arguments, **options)

    monkeypatch.setattr(os, "unlink", unlink)
    joining = threading.Thread(target=folder.join, args=(held,))
    joining.start()
    looks = 0
    while joining.is_alive():
        assert folder.scan().prefix() == 40
        assert np.array_equal(folder.load(0, 40, held), ROWS)
        looks += 1
    assert looks > 3
