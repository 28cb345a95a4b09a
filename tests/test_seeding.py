"""The streams of many samples are those of NumPy's SeedSequence, to the bit, in all that a statistic may ask."""

import pickle

import numpy as np
import pytest

import rmt
from rmt import campaign
from rmt.campaign import seeding
from rmt.campaign.seeding import Streams

CELLS = [campaign.Cell("spectral_radius", rmt.Ginibre(n)) for n in (3, 4)]
ROOTS = (0, 1, 7, 2**32 - 1, 2**32, 2**64 + 5, 2**96, 2**127 + 12345, 2**128 - 1)


def same(one, two):
    return one.bit_generator.state == two.bit_generator.state


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
@pytest.mark.parametrize("root", ROOTS)
def test_streams_are_those_of_numpy(root, cell):
    for start in (0, 1, 4095, 70_000, 2**31 - 3, 2**32 - 4):
        streams = Streams(root, cell, start, start + 8)
        for index in range(start, start + 8):
            sequence = np.random.SeedSequence(root, spawn_key=(1, *cell.words, index))
            assert same(streams[index], np.random.Generator(np.random.PCG64DXSM(sequence)))


def test_streams_in_any_order_and_across_blocks(monkeypatch):
    monkeypatch.setattr(seeding, "BLOCK", 5)
    streams = Streams(3, CELLS[0], 10, 40)
    for index in (10, 14, 15, 39, 12, 12, 27, 9, 40, 2**40):  # the last three are out of the range
        assert same(streams[index], campaign.stream(3, CELLS[0], index))
    assert same(streams[12], streams[12])
    assert streams[12] is not streams[12]


def test_a_stream_does_all_that_one_of_numpy_does():
    def pair():
        return Streams(5, CELLS[0], 0, 9)[4], campaign.stream(5, CELLS[0], 4)

    ours, theirs = pair()
    for _ in range(2):  # children depend on how many there are already
        assert [child.random() for child in ours.spawn(3)] == [child.random() for child in theirs.spawn(3)]
    ours, theirs = pair()
    sequence, other = ours.bit_generator.seed_seq, theirs.bit_generator.seed_seq
    assert (sequence.entropy, sequence.spawn_key) == (other.entropy, other.spawn_key)
    for words, kind in ((4, np.uint64), (3, np.uint64), (8, np.uint32)):
        np.testing.assert_array_equal(sequence.generate_state(words, kind), other.generate_state(words, kind))
    assert not hasattr(sequence, "bogus")
    ours.random(3)
    again = pickle.loads(pickle.dumps(ours))
    theirs.random(3)
    assert again.random() == theirs.random()
    assert again.spawn(1)[0].random() == theirs.spawn(1)[0].random()


def test_a_run_has_the_samples_of_the_streams(tmp_path):
    from demos import experiment, run

    run(experiment(CELLS, 30), tmp_path, seed=2**100, chunk_seconds=1e-3)
    for cell in CELLS:
        expected = np.stack([campaign.sample(cell, 2**100, index) for index in range(30)])
        assert campaign.open_run(tmp_path)[cell].tobytes() == expected.tobytes()
