"""`export`: the same numbers in other formats, to the bit, and a summary of each cell."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from demos import experiment, run
from pyarrow import parquet
from stores import OWN, RADII, SPECTRA, expected, flip, put, snapshot, store

import rmt
from rmt import campaign
from rmt.checks import InputError

ODD = [0.1, 1 / 3, -0.0, 5e-324, 1.7976931348623157e308, np.nan, np.inf, -np.inf, 1e22, 1e-7, 123456789.0, np.pi]


def phases(ensemble, params, rng):
    return np.exp(1j * rng.uniform(size=(2, 3)))


PHASES = campaign.Cell(phases, rmt.StateSpace(rmt.Ginibre(5), 0.1), {"depth": 2})


@pytest.fixture
def whole(tmp_path):
    """A complete run."""
    run(experiment([RADII, SPECTRA, OWN, PHASES], 20), tmp_path / "run")
    return tmp_path / "run"


def rows(path):
    with open(path, newline="") as file:
        return list(csv.reader(file))


def numbers(path):
    return np.array([[float(text) for text in row[1:]] for row in rows(path)[1:]])


def test_csv_reads_back_as_the_same_bits(whole):
    before = snapshot(whole)
    result = campaign.export(whole, "csv")
    assert result.notes == []
    assert result.written[:-1] == [whole / "export" / f"{cell.name}.csv" for cell in (RADII, SPECTRA, OWN, PHASES)]
    radii, spectra, own, phased, _ = result.written
    assert numbers(radii)[:, 0].tobytes() == expected(RADII, 0, 20).tobytes()
    assert numbers(own).tobytes() == expected(OWN, 0, 20).tobytes()
    assert numbers(spectra).view(complex).tobytes() == expected(SPECTRA, 0, 20).tobytes()
    assert numbers(phased).view(complex).reshape(20, 2, 3).tobytes() == expected(PHASES, 0, 20).tobytes()
    assert rows(radii)[0] == ["sample", "value"]
    assert rows(own)[0] == ["sample", "value_0", "value_1"]
    assert rows(spectra)[0] == ["sample", "real_0", "imag_0", "real_1", "imag_1", "real_2", "imag_2"]
    assert rows(phased)[0][-2:] == ["real_1_2", "imag_1_2"]
    assert [row[0] for row in rows(radii)[1:]] == [str(i) for i in range(20)]
    assert {path: known for path, known in snapshot(whole).items() if "export" not in path.parts} == before


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_odd_numbers_survive(tmp_path, format):
    made = store(tmp_path, [RADII], len(ODD))
    put(made, RADII, 0, len(ODD), alter=lambda values: values.__setitem__(slice(None), ODD))
    path = campaign.export(tmp_path, format).written[0]
    values = numbers(path)[:, 0] if format == "csv" else parquet.read_table(path)["value"].to_numpy()
    finite = ~np.isnan(ODD)
    assert values[finite].tobytes() == np.array(ODD)[finite].tobytes()
    assert np.isnan(values[~finite]).all()


def test_parquet_reads_back_as_the_same_bits(whole):
    radii, spectra, own, phased, _ = campaign.export(whole, "parquet").written
    table = parquet.read_table(radii)
    assert table.column_names == ["sample", "value"]
    assert table["value"].to_numpy().tobytes() == expected(RADII, 0, 20).tobytes()
    assert table["sample"].to_pylist() == list(range(20))
    assert np.stack(parquet.read_table(own)["value"].to_numpy()).tobytes() == expected(OWN, 0, 20).tobytes()
    for path, cell in ((spectra, SPECTRA), (phased, PHASES)):
        table = parquet.read_table(path)
        described = json.loads(table.schema.metadata[b"rmt"])
        parts = [np.stack(table[name].to_numpy()).reshape(-1, *described["shape"]) for name in ("real", "imag")]
        np.testing.assert_array_equal(parts[0] + 1j * parts[1], expected(cell, 0, 20))
        assert (described["cell"], described["sha256"], described["seed"]) == (cell.label, cell.sha256.hex(), 0)
        assert described["description"] == json.loads(cell.key)
    assert pd.read_parquet(phased)["real"][3].shape == (6,)


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_blocks_change_nothing(whole, tmp_path, monkeypatch, format):
    def read(path):
        return path.read_bytes() if format == "csv" else parquet.read_table(path)

    at_once = [read(path) for path in campaign.export(whole, format, tmp_path / "one").written]
    monkeypatch.setattr("rmt.campaign.reading.BLOCK_BYTES", 100)
    in_blocks = [read(path) for path in campaign.export(whole, format, tmp_path / "two").written]
    assert at_once == in_blocks


def test_the_same_run_gives_the_same_bytes(whole, tmp_path):
    for format in ("parquet", "csv", "latex", "markdown"):
        first = [path.read_bytes() for path in campaign.export(whole, format).written]
        assert [path.read_bytes() for path in campaign.export(whole, format, tmp_path / "two").written] == first


def test_summary(whole):
    path = campaign.export(whole, "csv").written[-1]
    table = pd.read_csv(path)
    assert list(table["cell"]) == [cell.label for cell in (RADII, SPECTRA, OWN, PHASES)]
    assert list(table["statistic"]) == ["spectral_radius", "eigenvalues", "normals", "phases"]
    assert list(table["n"][[0, 1, 3]]) == [4, 3, 5]  # that of the base of a state space
    assert np.isnan(table["n"][2])
    assert table["parameters"][3] == "depth=2"
    assert list(table["sample"]) == ["real number", "complex (3,)", "real (2,)", "complex (2, 3)"]
    assert list(table["count"]) == [20] * 4
    assert list(table["file"]) == [path.name for path in campaign.export(whole, "csv").written[:-1]]
    values = expected(RADII, 0, 20)
    first = table.loc[0]
    assert first["mean"] == pytest.approx(values.mean(), rel=1e-15)
    assert first["sd"] == pytest.approx(values.std(ddof=1), rel=1e-15)
    assert first["standard error"] == pytest.approx(values.std(ddof=1) / np.sqrt(20), rel=1e-14)
    assert first["50%"] == pytest.approx(np.median(values), rel=1e-15)
    np.testing.assert_allclose(
        first[["5%", "25%", "75%", "95%"]].astype(float), np.quantile(values, [0.05, 0.25, 0.75, 0.95])
    )
    assert table.loc[1:, "mean":"95%"].isna().all(axis=None)
    whole_table = pd.read_parquet(campaign.export(whole, "parquet").written[-1])
    assert list(whole_table.columns) == list(table.columns)
    assert whole_table["mean"][0] == values.mean()


@pytest.mark.parametrize(("format", "suffix"), [("markdown", "md"), ("latex", "tex")])
def test_readers_get_the_summary_alone(whole, tmp_path, format, suffix):
    result = campaign.export(whole, format, tmp_path / "papers" / "one")
    assert result.written == [tmp_path / "papers" / "one" / f"summary.{suffix}"]
    text = result.written[0].read_text()
    assert f"{expected(RADII, 0, 20).mean():.4g}" in text
    assert "complex (2, 3)" in text
    assert not [word for word in ("nan", "NaN", "<NA>", "None,") if word in text]
    if format == "latex":
        assert text.startswith(r"\begin{tabular}")
        assert r"standard error & 5\% & 25\%" in text
        assert r"spectral\_radius" in text
    else:
        assert len({line.count("|") for line in text.splitlines()}) == 1


def test_of_an_incomplete_run_the_part_without_a_gap(tmp_path):
    made = store(tmp_path)
    put(made, RADII, 0, 4)
    put(made, RADII, 3, 6)
    put(made, RADII, 7, 12)
    put(made, SPECTRA, 1, 12)
    flip(put(made, SPECTRA, 0, 1))
    put(made, OWN, 0, 12)
    result = campaign.export(tmp_path, "csv")
    assert [path.name for path in result.written] == [f"{RADII.name}.csv", f"{OWN.name}.csv", "summary.csv"]
    assert numbers(result.written[0])[:, 0].tobytes() == expected(RADII, 0, 6).tobytes()
    assert result.notes == [
        f"{RADII.label} is incomplete: 6 of 12 samples are exported, up to the first gap",
        f"{SPECTRA.label} is incomplete: sample 0 is not there yet, and nothing of it is exported",
        f"{SPECTRA.label} has damaged files, which are left out: 1",
    ]
    table = pd.read_csv(result.written[-1], keep_default_na=False)
    assert list(table["count"]) == [6, 0, 12]
    assert list(table["sample"]) == ["real number", "", "real (2,)"]
    assert list(table["file"]) == [f"{RADII.name}.csv", "", f"{OWN.name}.csv"]


def test_one_sample_has_no_error(tmp_path):
    put(store(tmp_path, [RADII], 1), RADII, 0, 1)
    table = pd.read_csv(campaign.export(tmp_path, "csv").written[-1])
    assert table["mean"][0] == expected(RADII, 0, 1)[0]
    assert table[["sd", "standard error"]].isna().all(axis=None)


@pytest.mark.parametrize("format", ["csv", "parquet"])
@pytest.mark.parametrize("block", [2**26, 24])
def test_samples_of_other_machines_are_labelled(tmp_path, monkeypatch, format, block):
    monkeypatch.setattr("rmt.campaign.reading.BLOCK_BYTES", block)
    made = store(tmp_path, [RADII, OWN])
    labels = ["a" * 16, "b" * 16]
    put(made, RADII, 0, 4)
    put(made, RADII, 2, 9, label=labels[0], alter=lambda values: values.__setitem__(slice(None), 2.0))
    put(made, RADII, 7, 12, label=labels[1], alter=lambda values: values.__setitem__(slice(None), 3.0))
    put(made, OWN, 0, 12)
    radii, own, _ = campaign.export(tmp_path, format).written
    read = pd.read_parquet if format == "parquet" else lambda path: pd.read_csv(path, keep_default_na=False)
    tables = [read(radii), read(own)]
    assert list(tables[0]["numerics"]) == [""] * 4 + [labels[0]] * 3 + [labels[1]] * 5
    assert list(tables[0]["value"][4:]) == [2.0] * 3 + [3.0] * 5
    assert list(tables[0]["value"]) == list(campaign.open_run(tmp_path)["radius"])
    assert "numerics" not in tables[1]


def test_files_that_disagree_are_not_exported(tmp_path):
    made = store(tmp_path, [RADII])
    put(made, RADII, 0, 8)
    put(made, RADII, 6, 12, alter=lambda values: values.__setitem__(0, 7.0))
    with pytest.raises(InputError, match="disagree about samples 6 to 7"):
        campaign.export(tmp_path, "csv")
    assert not (tmp_path / "export").exists()


@pytest.mark.parametrize("place", [".", "../run", "shards", "shards/x", "runs", "failures", "damaged/x", "link"])
def test_the_run_is_not_written_over(whole, place):
    (whole / "summary.csv").write_text("of the experiment itself")
    (whole / "link").symlink_to(whole)
    before = snapshot(whole)
    with pytest.raises(InputError, match=r"^out must be a folder of its own, such as .*export, got [^\n]*$"):
        campaign.export(whole, "csv", whole / place)
    assert snapshot(whole) == before


def test_a_folder_that_cannot_be_written(whole, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="file cannot be written"):
        campaign.export(whole, "csv", tmp_path / "file")
    with pytest.raises(InputError, match="cannot be written"):
        campaign.export(whole, "csv", tmp_path / "file" / "below")
    with pytest.raises(InputError, match="format must be one of 'parquet', 'csv', 'latex', 'markdown', got 'hdf5'"):
        campaign.export(whole, "hdf5")


@pytest.mark.parametrize("format", ["csv", "parquet", "markdown"])
def test_files_are_replaced_and_not_written_over(tmp_path, format):
    made = store(tmp_path, [RADII])
    put(made, RADII, 0, 4)
    earlier = {path: path.read_bytes() for path in campaign.export(tmp_path, format).written}
    for path in earlier:
        os.link(path, f"{path}.kept")  # as whoever has it open sees it
    put(made, RADII, 4, 12)
    campaign.export(tmp_path, format)
    for path, data in earlier.items():
        assert path.read_bytes() != data
        assert Path(f"{path}.kept").read_bytes() == data


@pytest.mark.parametrize("format", ["csv", "parquet", "markdown"])
def test_a_write_that_fails_leaves_the_old_files(whole, tmp_path, monkeypatch, format):
    out = tmp_path / "out"
    campaign.export(whole, format, out)
    before = snapshot(out)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rmt.campaign.exporting.os.fsync", full)
    with pytest.raises(InputError, match="cannot be written or read: No space left on device"):
        campaign.export(whole, format, out)
    assert snapshot(out) == before
