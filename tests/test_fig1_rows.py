"""The further rows of Fig. 1, ``fig1.py --rows all``: against exact laws, means and densities."""

import numpy as np
import pandas as pd
import pytest
from experiment_files import largest, load, quick
from oracles import MAX_Z, MIN_P, check_law, check_mean, check_proportion
from scipy import integrate

import rmt


@pytest.fixture
def small_fig1(monkeypatch):
    module = load("fig1")
    monkeypatch.setattr(module, "SIZES", (16,))
    monkeypatch.setattr(module, "STEPS", 60)
    return module


ALL = {"field": "real", "rule": "exact", "rows": "all"}


def draws(fig1, matrices, paths):
    """Return samples of every cell by the functions of rmt, as many as asked for."""
    counts = {"spectral_radius": matrices, "eigenvalue_moduli": matrices, "power_norms": paths, "hidden_norms": paths}
    data = {}
    for i, cell in enumerate(fig1.experiment.cells(ALL)):
        sample = getattr(rmt, f"sample_{cell.statistic}")
        data[cell] = sample(cell.ensemble, size=counts[cell.statistic], rng=i, **cell.params)
    return data


def test_further_rows_add_cells_and_change_none(small_fig1):
    paper, every = small_fig1.experiment.cells(ALL | {"rows": "paper"}), small_fig1.experiment.cells(ALL)
    assert every[: len(paper)] == paper
    assert len(set(every)) == len(every) == len(paper) + 4 * 3


def test_counts_of_all_rows():
    fig1 = load("fig1")
    cells = fig1.experiment.cells(ALL)
    assert len(cells) == 24 + 4 * 3 * 3
    for cell in cells:
        assert fig1.experiment.samples(cell, True) < fig1.experiment.samples(cell, False)


def test_rows_table_and_figure(small_fig1, tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(rmt.plotting, "save_figure", lambda fig, stem: figures.append(fig))
    data = draws(small_fig1, 150, 150)
    shown = small_fig1.experiment.present(data, tmp_path, ALL)
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{stem}.{suffix}" for stem in ("radius", "rows") for suffix in ("csv", "md", "tex")
    }
    table = pd.read_csv(tmp_path / "rows.csv", na_values="undefined")
    rows = small_fig1.fig1_rows
    panels = figures[0].axes
    labels = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert any("Truncated: density of Gaussian entries of the same variance" in label for label in labels)
    assert len(panels) == 18
    assert [ax.get_ylabel().splitlines()[0] for ax in panels[::3]] == [
        f"$\\mathbf{{{name}}}$".replace(" ", "\\ ") for name in (*small_fig1.NAMES, *rows.NAMES)
    ]
    assert list(dict.fromkeys(table.ensemble)) == [*small_fig1.NAMES, *rows.NAMES]
    assert len(shown) == len(table) == 6
    exact = table[table.ensemble != rows.TRUNCATED]
    assert largest(exact.mean_z) < MAX_Z
    assert exact.mean_z.notna().all()
    assert table.mean_z[table.ensemble == rows.TRUNCATED].isna().all()
    assert exact.ks_pvalue.min() > MIN_P
    for line in table.itertuples():
        check_proportion(round(line.p_mc * line.matrices), line.matrices, min(1, line.p_law)) if line.p_law else None
    never = table[table.ensemble.isin([rows.UNIFORM, rows.RING])]
    assert (never.p_law == 0).all()
    assert (never.p_mc == 0).all()
    half = table[table.ensemble == rows.HALF]
    assert np.abs(half.growth_expected).max() < 1e-12
    assert np.abs(half.growth).max() < 0.1


def test_hidden_states_of_the_uniform_disc_are_harmonic_numbers():
    rows = load("fig1").fig1_rows
    uniform = rows.ensembles("real", (10,))[rows.UNIFORM, 10]
    harmonic = np.cumsum(1 / np.arange(1, 31))
    np.testing.assert_allclose(rows.limit_hidden_norms(uniform, 30), harmonic, rtol=1e-13)
    check_mean(rmt.sample_hidden_norms(uniform, 30, 2000, rng=0), harmonic)
    ring = rows.ensembles("real", (10,))[rows.RING, 10]
    check_mean(rmt.sample_hidden_norms(ring, 30, 2000, rng=1), rows.limit_hidden_norms(ring, 30))
    check_mean(rmt.sample_power_norms(ring, 29, 2000, rng=2)[:, 1:], rows.mean_power_norms(ring, 30)[1:])


def test_hidden_states_of_halved_matrices_stop_at_four_thirds():
    rows = load("fig1").fig1_rows
    half = rows.ensembles("real", (256,))[rows.HALF, 256]
    assert rows.limit_hidden_norms(half, 50)[-1] == pytest.approx(4 / 3, rel=1e-12)
    assert rmt.mean_hidden_norm(100, 256, "real", 0.5) == pytest.approx(4 / 3, rel=1e-4)
    # And the mean of small matrices explodes in the end: rare ones carry it.
    assert rmt.log_mean_hidden_norm(500, 64, "real", 0.5) > 290
    assert rmt.SpectralRadiusLaw(64, scale=0.5).sf(1.0) < 1e-24


@pytest.mark.parametrize("row", ["UNIFORM", "RING"])
def test_radius_and_density_of_diagonal_rows(row):
    rows = load("fig1").fig1_rows
    ensemble = rows.ensembles("real", (7,))[getattr(rows, row), 7]
    law, density = rows.radius_law(ensemble), rows.density(ensemble)
    moduli = rmt.sample_eigenvalue_moduli(ensemble, 3000, rng=0)
    check_law(moduli.max(axis=1), law.cdf)
    check_mean(moduli.max(axis=1), law.mean())
    assert law.sf(1.0) == 0
    # The density is a straight line between its ends, so that the trapezoid rule is exact there.
    r = np.linspace(ensemble.r_min, ensemble.r_max, 2001)
    cdf = integrate.cumulative_trapezoid(density(r), r, initial=0)
    assert cdf[-1] == pytest.approx(1, rel=1e-12)
    check_law(moduli, lambda x: np.interp(x, r, cdf))


@pytest.mark.heavy
def test_fig1_with_all_rows_runs(tmp_path):
    tables = quick("fig1", tmp_path, "--rows", "all")
    assert set(tables) == {"radius", "rows"}
    assert len(tables["rows"]) == 18
    assert largest(tables["rows"].mean_z[tables["rows"].n == 64]) < MAX_Z
