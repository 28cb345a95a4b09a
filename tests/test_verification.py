"""`verify`: damage, forgeries, files that disagree, lost samples; and what it takes to compute a sample again."""

import dataclasses
import json
import sys

import numpy as np
import oracles
import pytest
from demos import FILE, experiment, fails_at_second, normals, run
from stores import OWN, RADII, SPECTRA, empty, expected, flip, log, put, rename, shift, snapshot, store, truncate

import rmt
from rmt import campaign
from rmt.campaign.rebuilding import ENSEMBLES, rebuild
from rmt.checks import InputError

ALL = 10**6


def ulp(values):
    """Change the last bit of one number."""
    values[-1] = np.nextafter(values[-1], np.inf)


def test_a_sound_run(demo_file, tmp_path):
    out = tmp_path / "out"
    run(demo_file, out, seed=3)
    before = snapshot(out)
    found = campaign.verify(out, seed=1)
    assert (found.sound, found.findings, found.notes) == (True, [], [f"{demo_file} was run for its cells"])
    assert (found.cells, found.files, found.chosen, found.recomputed, found.of_cells) == (4, 4, 12, 12, 4)
    assert found.bytes == sum(path.stat().st_size for path in (out / "shards").rglob("*.npy"))
    assert snapshot(out) == before
    assert campaign.verify(out, samples=ALL).recomputed == 48
    assert campaign.verify(out, samples=0).recomputed == 0


@pytest.mark.parametrize("damage", [truncate, empty, flip, rename, shift])
def test_damage_is_a_finding_that_names_the_file(tmp_path, damage):
    made = store(tmp_path)
    put(made, RADII, 0, 4)
    damage(put(made, RADII, 4, 12))
    (damaged,) = campaign.status(tmp_path).cells[0].damaged
    before = snapshot(tmp_path)
    found = campaign.verify(tmp_path)
    assert found.findings == [f"shards/{RADII.name}/{damaged}: damaged, its content does not agree with its name"]
    assert found.recomputed == 3
    assert snapshot(tmp_path) == before


def test_forged_samples_with_a_correct_hash_are_found(tmp_path):
    made = store(tmp_path)
    path = put(made, RADII, 0, 4, alter=ulp)
    put(made, RADII, 4, 12)
    other = put(made, SPECTRA, 0, 12, alter=lambda values: values.__setitem__((2, 1), 3.0 + 1j))
    before = snapshot(tmp_path)
    assert campaign.status(tmp_path).damaged == 0
    found = campaign.verify(tmp_path, samples=ALL)
    first, second = sorted(found.findings, key=lambda line: "eigenvalues" in line)
    fresh = expected(RADII, 3, 4)[0]
    stored = np.nextafter(fresh, np.inf)
    assert first == (
        f"shards/{RADII.name}/{path.name}: sample 3 of {RADII.label} is not what is computed here: "
        f"{stored} stored, {fresh} computed"
    )
    assert second.startswith(f"shards/{SPECTRA.name}/{other.name}: sample 2 of ")
    distance = abs(expected(SPECTRA, 2, 3)[0, 1] - (3 + 1j))
    assert second.endswith(f"1 of 3 numbers differ, by at most {distance:.3g}")
    assert snapshot(tmp_path) == before


def test_a_forged_shape_or_type_is_found(tmp_path):
    made = store(tmp_path)
    made.shards(made.entries[0]).commit(0, np.zeros((3, 2)))
    made.shards(made.entries[1]).commit(0, np.zeros((3, 3)))
    findings = campaign.verify(tmp_path, samples=ALL).findings
    assert sum("shape (2,) stored, () computed" in line for line in findings) == 3
    assert sum("eigenvalues" in line for line in findings) == 3


def test_a_few_forged_samples_are_found_as_often_as_they_are_chosen(tmp_path):
    """3 of 12 are chosen: one forged sample is among them with probability 1/4."""
    made = store(tmp_path, [RADII])
    put(made, RADII, 0, 5)
    put(made, RADII, 5, 12, alter=lambda values: values.__setitem__(2, 0.0))
    caught = sum(not campaign.verify(tmp_path, seed=seed).sound for seed in range(200))
    oracles.check_proportion(caught, 200, 1 / 4)
    assert campaign.verify(tmp_path, seed=9).findings == campaign.verify(tmp_path, seed=9).findings
    assert len({campaign.verify(tmp_path).seed for _ in range(3)}) == 3


def test_samples_in_the_gaps_are_not_chosen(tmp_path, monkeypatch):
    indices = []
    monkeypatch.setattr(
        "rmt.campaign.verification.sample",
        lambda cell, seed, index: indices.append(index) or campaign.sample(cell, seed, index),
    )
    made = store(tmp_path, [RADII])
    put(made, RADII, 3, 5)
    put(made, RADII, 4, 6)
    put(made, RADII, 9, 10)
    found = campaign.verify(tmp_path, samples=ALL)
    assert (found.chosen, found.recomputed, found.sound, sorted(indices)) == (4, 4, True, [3, 4, 5, 9])
    assert found.notes == [f"{RADII.label} is incomplete: 8 of 12 samples are missing"]


@pytest.mark.parametrize("wrong", ["first", "second", "both"])
def test_of_files_that_disagree_the_right_one_is_named(tmp_path, wrong):
    def forge(index):
        return lambda values: values.__setitem__(index, 7.0)

    made = store(tmp_path)
    first = put(made, RADII, 0, 8, alter=forge(7) if wrong in ("first", "both") else None)
    second = put(made, RADII, 6, 12, alter=forge(0) if wrong in ("second", "both") else None)
    log(made, "20260101T000000Z-h-1-aa", {"shard": f"{RADII.name}/{first.name}"})
    before = snapshot(tmp_path)
    found = campaign.verify(tmp_path, samples=1, max_seconds=1e-9)  # the samples in dispute know no bound
    (line,) = [line for line in found.findings if "disagree" in line]
    assert f"{first.name} and {second.name} disagree about samples 6 to 7" in line
    assert "(written by 20260101T000000Z-h-1-aa, unknown)" in line
    verdict = {"first": f"{second.name} is right", "second": f"{first.name} is right"}
    assert line.endswith(f"about sample {7 if wrong == 'first' else 6} {verdict.get(wrong, f'{first.name} is right')}")
    assert snapshot(tmp_path) == before


def test_files_that_disagree_where_nothing_can_be_computed(tmp_path):
    made = store(tmp_path, [OWN])
    put(made, OWN, 0, 8)
    put(made, OWN, 6, 12, alter=lambda values: values.__setitem__(0, 7.0))
    (line,) = campaign.verify(tmp_path).findings
    assert line.endswith("which is right cannot be computed here")


def test_samples_that_are_gone_are_told_from_samples_to_come(tmp_path):
    run(experiment([RADII, SPECTRA]), tmp_path, samples=9)
    for path in (tmp_path / "shards" / RADII.name).iterdir():
        path.unlink()
    found = campaign.verify(tmp_path)
    assert found.findings == [
        f"shards/{RADII.name}: samples 0 to 8 were there when the newest call ended, and are not now"
    ]
    # Once a call has begun to compute them again, they are missing, and nothing else.
    run(experiment([RADII, SPECTRA]), tmp_path, samples=9, max_seconds=1e-9)
    found = campaign.verify(tmp_path)
    assert (found.sound, found.notes) == (True, [f"{RADII.label} is incomplete: 9 of 9 samples are missing"])
    assert not campaign.status(tmp_path).complete


def test_what_was_set_aside_is_mentioned(tmp_path):
    made = store(tmp_path, [RADII])
    put(made, RADII, 0, 12)
    path = put(made, RADII, 0, 3)
    flip(path)
    made.set_aside(path)
    found = campaign.verify(tmp_path)
    assert (found.sound, found.notes) == (
        True,
        [f"{tmp_path / 'damaged'} holds files that earlier calls of `rmt run` found damaged"],
    )
    assert campaign.status(tmp_path).set_aside == 1


def test_a_sample_that_fails_here_is_a_finding(tmp_path, demo_file):
    demo_file.write_text(
        FILE.replace("    return np.exp", "    helper()\n    return np.exp") + "\ndef helper(): pass\n"
    )
    run(demo_file, tmp_path / "out")
    demo_file.write_text(demo_file.read_text().replace("def helper(): pass", "def helper(): raise SystemExit(3)"))
    found = campaign.verify(tmp_path / "out", samples=1)
    (line,) = found.findings
    assert line.startswith("sample ")
    assert line.endswith("of phases Ginibre(n=4, field='real', scale=1.0) fails here: SystemExit: 3")


def test_a_changed_helper_is_found(tmp_path, demo_file):
    demo_file.write_text(
        FILE.replace("    return np.exp", "    return helper() * np.exp") + "\ndef helper(): return 1\n"
    )
    run(demo_file, tmp_path / "out")
    demo_file.write_text(demo_file.read_text().replace("def helper(): return 1", "def helper(): return 2"))
    findings = campaign.verify(tmp_path / "out", samples=2).findings
    assert len(findings) == 2
    assert all("sample" in line and "phases" in line and "6 of 6 numbers differ" in line for line in findings)


def test_where_the_file_is_gone_the_rest_is_verified(tmp_path, demo_file):
    run(demo_file, tmp_path / "out")
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    demo_file.rename(moved / "demo.py")
    found = campaign.verify(tmp_path / "out")
    assert (found.sound, found.recomputed, found.of_cells) == (True, 3, 1)  # the eigenvalues, which are rmt's own
    (note,) = found.notes
    assert note.startswith("not computed again: normals Ginibre")
    assert "its experiment file does not serve" in note
    assert "cannot be read" in note
    found = campaign.verify(tmp_path / "out", experiment=moved / "demo.py")
    assert (found.recomputed, found.notes) == (12, [f"{moved / 'demo.py'} was run for its cells"])


def test_where_the_file_has_other_cells_by_now(tmp_path, demo_file):
    run(demo_file, tmp_path / "out")
    demo_file.write_text(FILE.replace('standard_normal(params["k"])', 'uniform(size=params["k"])'))
    found = campaign.verify(tmp_path / "out")
    assert (found.sound, found.of_cells) == (True, 2)
    assert found.notes[1].startswith("not computed again: normals Ginibre")
    assert found.notes[1].endswith("defines it otherwise by now")
    demo_file.write_text(FILE.replace('"size": 2', '"length": 2'))
    assert "has no option 'size'" in campaign.verify(tmp_path / "out").notes[0]


def test_a_run_made_in_python(tmp_path):
    run(experiment([OWN, RADII]), tmp_path)
    found = campaign.verify(tmp_path)
    assert found.of_cells == 1
    assert found.notes == [
        f"not computed again: {OWN.label}: the run was made in Python, and no experiment file is known; "
        "--experiment FILE names one"
    ]


def test_the_time_is_bounded_and_every_cell_has_its_turn(tmp_path, monkeypatch):
    cells = [campaign.Cell("spectral_radius", rmt.Ginibre(n)) for n in (3, 4, 5)]
    run(experiment(cells, 50), tmp_path)
    now = iter(range(1000))
    monkeypatch.setattr("rmt.campaign.verification.time.perf_counter", lambda: float(next(now)))
    order = []
    monkeypatch.setattr(
        "rmt.campaign.verification.sample",
        lambda cell, seed, index: order.append((cells.index(cell), index)) or campaign.sample(cell, seed, index),
    )
    found = campaign.verify(tmp_path, samples=30, max_seconds=10)
    assert (found.chosen, found.recomputed, found.of_cells) == (90, 9, 3)
    assert found.notes == [
        "81 of the 90 samples that were chosen were not computed again: 10 s were over; --max-seconds allows more"
    ]
    assert [cell for cell, _ in order] == [0, 1, 2, 0, 0, 0, 0, 1, 1]
    assert order[3:7] == sorted(order[3:7])


def test_samples_of_another_machine_are_not_compared(tmp_path, monkeypatch):
    made = store(tmp_path, [RADII])
    put(made, RADII, 0, 4)
    put(made, RADII, 4, 9, label="0123456789abcdef", alter=ulp)
    found = campaign.verify(tmp_path, samples=ALL)
    assert (found.sound, found.recomputed, found.notes[1]) == (
        True,
        4,
        "not computed again: samples in 1 of the files, of another kind of machine (they are labelled)",
    )
    # On that machine it is the other way round.
    there = {**made.manifest["canary"], "BLAS": "0"}
    monkeypatch.setattr("rmt.campaign.verification.canary", lambda: there)
    monkeypatch.setattr("rmt.campaign.verification.canary_label", lambda hashes: "0123456789abcdef")
    found = campaign.verify(tmp_path, samples=ALL)
    assert (len(found.findings), found.recomputed) == (1, 5)
    assert "samples in 1 of the files, of another kind of machine (the canary of this one differs" in found.notes[1]


def test_a_file_that_is_joined_with_others_meanwhile(tmp_path, monkeypatch):
    made = store(tmp_path, [RADII])
    put(made, RADII, 0, 4)
    put(made, RADII, 4, 12)
    chosen = []

    def join_first(cell, seed, index):
        shards = made.shards(made.entries[0])
        if not chosen:
            shards.join(shards.scan())
        chosen.append(index)
        return campaign.sample(cell, seed, index)

    monkeypatch.setattr("rmt.campaign.verification.sample", join_first)
    found = campaign.verify(tmp_path, samples=ALL)
    assert (found.sound, found.files, sorted(chosen)) == (True, 2, list(range(12)))


@pytest.mark.parametrize(
    ("options", "words"),
    [({"samples": -1}, "samples must be"), ({"seed": -1}, "seed must be"), ({"max_seconds": 0}, "max_seconds must be")],
)
def test_bad_arguments(tmp_path, options, words):
    store(tmp_path)
    with pytest.raises(InputError, match=words):
        campaign.verify(tmp_path, **options)


# cells from their descriptions

DESCRIBED = [
    campaign.Cell("spectral_radius", rmt.glorot(5)),
    campaign.Cell("spectral_radius", rmt.truncated_glorot(5), {"method": "dense"}, version=3),
    campaign.Cell("eigenvalues", rmt.IID(4, "student_t", df=3.5, scale=1e-300)),
    campaign.Cell("eigenvalue_moduli", rmt.Diagonal(4, "ring", r_min=0.1, max_phase=0.3)),
    campaign.Cell("eigenvalues", rmt.Haar(3, "complex")),
    campaign.Cell("power_norms", rmt.IndependentProduct(3), {"steps": 4, "log": True}),
    campaign.Cell("eigenvalues", rmt.StateSpace(rmt.Ginibre(3, "complex"), 0.1, shift=-1.0, method="zoh")),
    campaign.Cell("hidden_norms", rmt.rescaled_glorot(16), {"steps": 4, "signal": None, "inputs": "gaussian"}),
]


@pytest.mark.parametrize("cell", DESCRIBED, ids=lambda cell: cell.name)
def test_cells_of_rmt_are_made_from_their_description(cell):
    again = rebuild(json.loads(cell.key))
    assert again == cell
    assert np.array_equal(campaign.sample(again, 1, 2), campaign.sample(cell, 1, 2))


def test_every_ensemble_can_be_made():
    classes = {thing for thing in vars(rmt).values() if isinstance(thing, type) and issubclass(thing, rmt.Ensemble)}
    assert set(ENSEMBLES.values()) == classes - {rmt.Ensemble}
    assert {type(cell.ensemble) for cell in DESCRIBED} == set(ENSEMBLES.values())


def noise(steps, n, rng):
    return rng.standard_normal((steps, n))


@dataclasses.dataclass(frozen=True)
class Mine(rmt.Haar):
    pass


@pytest.mark.parametrize(
    "cell",
    [
        campaign.Cell(normals, rmt.Ginibre(3)),
        campaign.Cell(fails_at_second, None),
        campaign.Cell("eigenvalues", Mine(3)),
        campaign.Cell("hidden_norms", rmt.Ginibre(3), {"steps": 4, "inputs": noise}),
        campaign.Cell("hidden_norms", rmt.Ginibre(3), {"steps": 4, "signal": np.ones((4, 3))}),
    ],
    ids=lambda cell: cell.name,
)
def test_what_is_a_users_own_is_not_made(cell):
    assert rebuild(json.loads(cell.key)) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"statistic": "rmt.sample_nothing"},
        {"ensemble": {"class": "os.system", "fields": {"command": "true"}}},
        {"ensemble": {"class": "rmt.Ginibre", "fields": {"n": -1}}},
        {"ensemble": {"class": "rmt.Ginibre", "fields": {"m": 4}}},
        {"ensemble": {"class": "rmt.Ginibre", "fields": {"n": 4}}},  # another text, and so another hash
        {"ensemble": {"class": "rmt.Ginibre", "fields": [4]}},
        {"params": {"depth": 3}},
        {"params": [1]},
        {"version": "1"},
        {"more": 1},
    ],
)
def test_a_description_of_something_else_makes_nothing(changed):
    description = json.loads(RADII.key)
    assert rebuild(description) == RADII
    before = set(sys.modules)
    assert rebuild({**description, **changed}) is None
    assert set(sys.modules) == before
