"""Tables: readable text, full precision in CSV, and the same bytes every time."""

import math

import numpy as np
import pandas as pd
import pytest

from rmt import checks, tables


@pytest.fixture
def frame():
    return pd.DataFrame(
        {"n": [64, 256], "P(ρ > 1)": [0.88306905435112345, np.nan], "100% of_it": ["a & b | c", "0.1 ± 0.2"]}
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.000"),
        (1.0, "1.000"),
        (0.12345678, "0.1235"),
        (-0.12345678, "-0.1235"),
        (9999.4, "9999"),
        (123456.0, "1.235e+05"),
        (2.260e-7, "2.260e-07"),
        (math.nan, ""),
        (np.float64(0.5), "0.5000"),
        (7, "7"),
        (np.int64(7), "7"),
        ("undefined", "undefined"),
    ],
)
def test_format_number(value, text):
    assert tables.format_number(value) == text


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.881235, 0.007213, "0.8812 ± 0.0072"),
        (0.5, 0.0999, "0.50 ± 0.10"),
        (12345.6, 789.0, "12346 ± 789"),
        (1.0, 0.0, "1.000"),
        (1.0, math.nan, "1.000"),
        (math.nan, 1.0, ""),
    ],
)
def test_format_with_error(value, error, text):
    assert tables.format_with_error(value, error) == text


def test_three_files_with_the_same_bytes_each_time(frame, tmp_path):
    paths = tables.write_tables(frame, tmp_path / "radius.v1")
    assert [path.name for path in paths] == ["radius.v1.csv", "radius.v1.md", "radius.v1.tex"]
    first = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in tables.write_tables(frame, str(tmp_path / "radius.v1"))] == first


def test_csv_keeps_every_digit_and_says_what_is_undefined(frame, tmp_path):
    csv = tables.write_tables(frame, tmp_path / "t")[0]
    back = pd.read_csv(csv, na_values="undefined")
    pd.testing.assert_frame_equal(back, frame, check_exact=True)
    assert "undefined" in csv.read_text(encoding="utf-8")


def test_markdown(frame, tmp_path):
    lines = tables.write_tables(frame, tmp_path / "t")[1].read_text(encoding="utf-8").splitlines()
    assert lines[0] == "| n   | P(ρ > 1)  | 100% of_it |"
    assert set(lines[1]) == set("| -")
    assert lines[2] == r"| 64  | 0.8831    | a & b \| c |"
    assert lines[3] == "| 256 | undefined | 0.1 ± 0.2  |"


def test_latex_is_escaped_and_has_rules(frame, tmp_path):
    text = tables.write_tables(frame, tmp_path / "t")[2].read_text(encoding="utf-8")
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert rule in text
    assert r"n & P($\rho$ $>$ 1) & 100\% of\_it \\" in text
    assert r"64 & 0.8831 & a \& b | c \\" in text
    assert r"256 & undefined & 0.1 $\pm$ 0.2 \\" in text
    assert text.isascii()


def test_readers_see_another_frame_with_its_index(frame, tmp_path):
    shown = pd.DataFrame({"Glorot": ["0.88 ± 0.01"]}, index=pd.Index(["P"], name="quantity"))
    csv, markdown, latex = tables.write_tables(frame, tmp_path / "t", shown=shown)
    assert "0.8830690543511" in csv.read_text(encoding="utf-8")
    assert "| quantity | Glorot      |" in markdown.read_text(encoding="utf-8")
    assert r"P & 0.88 $\pm$ 0.01 \\" in latex.read_text(encoding="utf-8")


def test_the_directory_must_exist(frame, tmp_path):
    with pytest.raises(checks.InputError, match="stem"):
        tables.write_tables(frame, tmp_path / "absent" / "t")
