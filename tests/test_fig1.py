"""Fig. 1: what it asks to be drawn, and what it writes from stored arrays."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import rmt

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
FILES = {"fig1.pdf", "fig1.png", "fig1.svg", "radius.csv", "radius.md", "radius.tex"}


def load(name):
    experiment = rmt.campaign.load(EXPERIMENTS / f"{name}.py")
    return sys.modules[experiment.present.__module__]


@pytest.fixture
def fig1(monkeypatch):
    """The experiment with small matrices and short sequences; the rules are what they are at 64 and 256."""
    module = load("fig1")
    monkeypatch.setattr(module, "SIZES", (64, 256))
    monkeypatch.setattr(module, "STEPS", 40)
    return module


def draws(fig1, options, matrices=20, paths=12):
    rng = np.random.default_rng(0)
    data = {}
    for ensemble in fig1.ensembles(options).values():
        data[fig1.moduli(ensemble)] = rmt.sample_eigenvalue_moduli(ensemble, matrices, rng=rng)
        data[fig1.radii(ensemble)] = rmt.sample_spectral_radius(ensemble, matrices, method="krylov", rng=rng)
        data[fig1.power_norms(ensemble)] = rmt.sample_power_norms(ensemble, fig1.STEPS, paths, log=True, rng=rng)
        data[fig1.hidden_norms(ensemble)] = rmt.sample_hidden_norms(ensemble, fig1.STEPS, paths, log=True, rng=rng)
    return data


def test_cells_and_counts_are_those_of_the_paper():
    fig1 = load("fig1")
    options = fig1.experiment.defaults()
    assert options == {"field": "real", "rule": "exact", "rows": "paper"}
    cells = fig1.experiment.cells(options)
    assert len(set(cells)) == len(cells) == 24
    for cell in cells:
        n, count = cell.ensemble.n, fig1.experiment.samples(cell, False)
        matrices = cell.statistic in ("eigenvalue_moduli", "spectral_radius")
        smallest = {64: 2000, 256: 1000, 1024: 100} if matrices else {64: 200, 256: 200, 1024: 48}
        assert count >= smallest[n]
        assert 2 <= fig1.experiment.samples(cell, True) < count
        if not matrices:
            assert cell.params == {"steps": 1000, "log": True}


def test_the_rows_differ_in_scale_only(fig1):
    for field in ("real", "complex"):
        shown = fig1.ensembles({"field": field, "rule": "exact", "rows": "paper"})
        for n in fig1.SIZES:
            assert shown["Glorot", n] == rmt.Ginibre(n, field)
            assert shown["Rescaled Glorot", n] == rmt.Ginibre(n, field, rmt.rescaled_gain(n, field))


@pytest.mark.parametrize("rule", ["gumbel", "paper"])
def test_rules_without_a_limit_leave_the_small_matrices_out(fig1, rule):
    shown = fig1.ensembles({"field": "real", "rule": rule, "rows": "paper"})
    assert set(shown) == {("Glorot", 64), ("Glorot", 256), ("Rescaled Glorot", 256)}
    assert shown["Rescaled Glorot", 256].scale == rmt.rescaled_gain(256, rule=rule)


def test_table(fig1, tmp_path):
    options = {"field": "real", "rule": "exact", "rows": "paper"}
    data = draws(fig1, options)
    shown = fig1.experiment.present(data, tmp_path, options)
    assert {path.name for path in tmp_path.iterdir()} == FILES
    table = pd.read_csv(tmp_path / "radius.csv", na_values="undefined")
    assert list(table.ensemble) == ["Glorot"] * 2 + ["Rescaled Glorot"] * 2
    assert list(table.n) == [64, 256] * 2
    assert set(table.method) == {"krylov"}
    assert list(table.samples) == [20] * 4
    for line, ensemble in zip(table.itertuples(), fig1.ensembles(options).values(), strict=True):
        radii = data[fig1.radii(ensemble)]
        law = rmt.SpectralRadiusLaw(ensemble.n, "real", ensemble.scale)
        fit = rmt.fit_gumbel(radii, rng=0)
        assert line.gain == ensemble.scale
        assert line.p_exact == pytest.approx(law.sf(1.0), rel=1e-12)
        assert line.p_mc == np.mean(radii > 1)
        assert 0 < line.p_mc_se < 0.1
        assert line.mean_exact == pytest.approx(law.mean(), rel=1e-12)
        assert line.mean_mc == pytest.approx(radii.mean(), rel=1e-12)
        assert line.mean_mc_se == pytest.approx(stats.sem(radii), rel=1e-12)
        assert line.sd_exact == pytest.approx(law.std(), rel=1e-12)
        assert line.sd_mc == pytest.approx(radii.std(ddof=1), rel=1e-12)
        assert (line.fit_loc, line.fit_scale) == pytest.approx((fit.loc, fit.scale), rel=1e-12)
        assert line.ks_exact == pytest.approx(stats.kstest(radii, law.cdf).statistic, rel=1e-12)
        assert line.ks_fit_pvalue == fit.ks_pvalue
        if ensemble.n == 64:
            assert np.isnan(line.p_gumbel)
            assert np.isnan(line.ks_limit)
        else:
            assert line.p_gumbel == pytest.approx(rmt.GumbelLimit(256, "real", ensemble.scale).sf(1.0), rel=1e-12)
    text = (tmp_path / "radius.csv").read_text(encoding="utf-8")
    assert text.count("undefined") == 4
    assert ", krylov" in (tmp_path / "radius.md").read_text(encoding="utf-8")
    assert len(shown) == 4
    assert max(map(len, shown.to_string().splitlines())) <= 120


def test_standard_error_of_the_standard_deviation(fig1):
    # Against its spread over many samples of one law.
    ensemble = rmt.glorot(64)
    radii = rmt.SpectralRadiusLaw(64).rvs((400, 200), rng=0)
    rows = [fig1.radius_row("Glorot", ensemble, {fig1.radii(ensemble): x}, {"rule": "exact"}) for x in radii[:15]]
    spread = radii.std(axis=1, ddof=1).std(ddof=1)
    assert np.mean([row["sd_mc_se"] for row in rows]) == pytest.approx(spread, rel=0.2)


def test_all_matrices_unstable_still_leaves_an_error(fig1):
    ensemble = rmt.glorot(64)
    radii = 1.01 + 0.1 * np.random.default_rng(0).random(50)
    row = fig1.radius_row("Glorot", ensemble, {fig1.radii(ensemble): radii}, {"rule": "exact"})
    assert row["p_mc"] == 1.0
    assert 0.01 < row["p_mc_se"] < 0.03


def test_files_are_the_same_each_time(fig1, tmp_path):
    options = {"field": "complex", "rule": "exact", "rows": "paper"}
    data = draws(fig1, options, matrices=6, paths=4)
    contents = []
    for name in "ab":
        out = tmp_path / name
        out.mkdir()
        fig1.experiment.present(data, out, options)
        contents.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert contents[0] == contents[1]
    assert set(contents[0]) == FILES


def test_figure_says_what_it_shows(fig1):
    options = {"field": "real", "rule": "paper", "rows": "paper"}
    data = draws(fig1, options, matrices=6, paths=4)
    with rmt.plotting.paper_style():
        fig = fig1.draw(data, options)
    legend = fig.legends[0]
    assert "undefined at $n=64$" in legend.get_title().get_text()
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels[:2] == [
        "$n=64$: 6 matrices in (a), 4 in (b), (c)",
        "$n=256$: 6 matrices in (a), 4 in (b), (c)",
    ]
    assert "exact rule" in fig1.note({"rule": "exact"})
    assert "paper's rule is undefined at $n=64$" in fig1.note({"rule": "exact"})
    written = fig.axes[0].texts[0].get_text()
    assert written.startswith("$P(\\rho>1)$\n$n=64$: 0.883")
    # One colour for each n in every panel; the small matrices are left out of the lower row.
    assert [len(ax.lines) for ax in fig.axes] == [3, 2, 2, 2, 1, 1]
    for ax in fig.axes[:3]:
        assert [line.get_color() for line in ax.lines[:2]] == ["#E69F00", "#0072B2"]
    for ax in fig.axes[3:]:
        assert ax.lines[0].get_color() == "#0072B2"


@pytest.mark.heavy
@pytest.mark.parametrize("field", ["real", "complex"])
@pytest.mark.parametrize("n", [64, 256])
def test_means_are_compared_where_their_standard_errors_hold(n, field):
    fig1 = load("fig1")
    ensemble, options = rmt.glorot(n, field), {"log": True, "rng": 3}
    for kind, sample, log_mean in (
        (fig1.power_norms, rmt.sample_power_norms, rmt.log_mean_power_norm),
        (fig1.hidden_norms, rmt.sample_hidden_norms, rmt.log_mean_hidden_norm),
    ):
        t = fig1.compared_times(ensemble, kind)
        logs = sample(ensemble, int(t[-1]), 40_000, **options)[:, -t[-1] :][:, t - 1]
        ratio = np.exp(logs - log_mean(t, n, field)).reshape(200, 200, -1)
        z = (ratio.mean(axis=1) - 1) * np.sqrt(200) / ratio.std(axis=1, ddof=1)
        assert np.mean(np.abs(z) < 2, axis=0).min() > 0.9


def test_template_is_short_and_runs(tmp_path):
    assert len((EXPERIMENTS / "template.py").read_text(encoding="utf-8").splitlines()) < 40
    experiment = load("template").experiment
    options = experiment.defaults()
    cells = experiment.cells(options)
    rng = np.random.default_rng(1)
    data = {cell: rmt.sample_spectral_radius(cell.ensemble, 20, rng=rng) for cell in cells}
    table = experiment.present(data, tmp_path, options)
    assert list(table.n) == [16, 64, 128]
    assert table["p-value"].between(0, 1).all()
    assert {path.name for path in tmp_path.iterdir()} == {"template.csv", "template.md", "template.tex"}
