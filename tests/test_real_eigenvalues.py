"""The experiment on real eigenvalues: its exact laws against dense matrices, and its tables against the laws."""

import math

import numpy as np
import pytest
from oracles import MAX_Z, MIN_P, check_proportion
from presenting import presented

import rmt


def test_real_eigenvalues(load, tmp_path):
    counts = {2: 0, 3: 0, 4: 0, 16: 0}
    module = load("real_eigenvalues", COUNTS=counts, LEADING_SIZES=(16, 4, 2), SHOWN=(4, 16))
    exact = module.leading_real
    tables = presented(module, tmp_path, lambda cell: 1 if cell.statistic is exact else 500)
    table = tables["real_eigenvalues"].set_index("n")
    for n, line in table.iterrows():
        assert line.mean_exact == pytest.approx(rmt.expected_real_eigenvalues(n), rel=1e-12)
        assert abs(line.mean_mc - line.mean_exact) < MAX_Z * line.mean_mc_se
        check_proportion(round(500 * line.p_all_mc), 500, 2.0 ** (-n * (n - 1) / 4))
        if n % 2 == 0:
            assert line.number_pvalue > MIN_P
            check_proportion(round(500 * line.p_leading_mc), 500, line.p_leading_exact)
            assert line.p_leading_low < line.p_leading_mc < line.p_leading_high
    # Both are real, or neither is, and then they are of one modulus.
    assert table.p_leading_exact[2] == pytest.approx(math.sqrt(0.5), rel=1e-9)
    assert table.p_leading_mc[2] == table.p_all_mc[2]
    assert list(tables["leading_real"].n) == [2, 4, 16]


@pytest.mark.parametrize("n", [4, 32])
def test_the_leading_one_is_real_as_often_as_in_dense_matrices(load, n):
    module = load("real_eigenvalues")
    size = 3000 if n == 4 else 800
    values = np.linalg.eigvals(np.random.default_rng(n).standard_normal((size, n, n)))
    leading = values[np.arange(size), np.argmax(np.abs(values), axis=1)]
    check_proportion(np.sum(leading.imag == 0), size, module.leading_real(rmt.glorot(n), {}, None))


def test_law_of_the_number(load):
    law = load("real_eigenvalues").law_of_number
    # Edelman (1997), the table of p(k real of n).
    root = math.sqrt(2)
    assert law(2) == pytest.approx([1 - 1 / root, 1 / root], rel=1e-12)
    assert law(4) == pytest.approx([9 / 8 - 11 * root / 16, -1 / 4 + 11 * root / 16, 1 / 8], rel=1e-12)
    for n in (6, 20, 256):
        found = law(n)
        assert len(found) == n // 2 + 1
        assert found.sum() == pytest.approx(1, rel=1e-12)
        assert found @ np.arange(0, n + 1, 2) == pytest.approx(rmt.expected_real_eigenvalues(n), rel=1e-9)
    assert law(6)[-1] == pytest.approx(2.0**-7.5, rel=1e-9)


def test_one_matrix_is_counted_right(load):
    module = load("real_eigenvalues")
    for seed in range(20):
        number, everything, leading, radius = module.reals(rmt.glorot(6), {}, np.random.default_rng(seed))
        values = rmt.sample_eigenvalues(rmt.glorot(6), 1, rng=np.random.default_rng(seed))[0]
        assert number == sum(abs(v.imag) < 1e-12 for v in values)
        assert everything == (number == 6)
        assert radius == max(abs(values))
        assert leading == any(v.imag == 0 and abs(v) == radius for v in values)


def test_chi_square_knows_another_law(load):
    module = load("real_eigenvalues")
    rng = np.random.default_rng(4)
    exact = module.law_of_number(16)
    right, wrong = rng.choice(2 * np.arange(9), (2, 4000), p=exact), rng.choice([2, 4, 6], 4000)
    assert all(module.chi_square(number, 16) > MIN_P for number in right)
    assert module.chi_square(wrong, 16) < 1e-9
