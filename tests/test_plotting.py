"""Drawing: the axes show what was computed, files are the same each time, nothing global is touched."""

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from rmt import checks, plotting


@pytest.fixture
def ax():
    with plotting.paper_style():
        yield Figure(figsize=(3, 2)).subplots()


def heights(steps):
    return steps.get_data().values


def test_importing_rmt_loads_no_matplotlib_and_plotting_no_pyplot():
    code = (
        "import sys, rmt, rmt.plotting, rmt.tables;"
        "assert not {'matplotlib', 'pandas'} & set(sys.modules), 'heavy import';"
        "rmt.plotting.colours([1]);"
        "from matplotlib.figure import Figure; rmt.plotting.power_axis(Figure().subplots());"
        "assert 'matplotlib.pyplot' not in sys.modules, 'pyplot'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_style_ignores_and_restores_the_users_settings():
    with mpl.rc_context({"font.size": 33, "svg.hashsalt": "mine"}):
        with plotting.paper_style():
            assert mpl.rcParams["font.size"] == 8
            assert mpl.rcParams["svg.hashsalt"] == "rmt"
            assert not mpl.rcParams["text.usetex"]
        assert mpl.rcParams["font.size"] == 33
        assert mpl.rcParams["svg.hashsalt"] == "mine"


def test_colours_are_distinct_and_the_first_three_differ_in_grey():
    palette = plotting.colours(range(7))
    assert len(set(palette.values())) == 7
    luminance = [np.dot(to_rgb(palette[i]), (0.2126, 0.7152, 0.0722)) for i in range(3)]
    assert luminance[0] - luminance[1] > 0.2
    assert luminance[1] - luminance[2] > 0.2
    with pytest.raises(checks.InputError, match="at most 7"):
        plotting.colours(range(8))


def draw():
    with plotting.paper_style():
        fig = Figure(figsize=(3, 2))
        ax = fig.subplots()
        ax.set_title(r"$\rho(W)$")
        t = np.arange(1, 20)
        plotting.trajectories(ax, t, np.random.default_rng(0).normal(size=(30, 19)), color="#0072B2", label="n")
        ax.legend()
    return fig


def test_files_have_the_same_bytes_each_time(tmp_path):
    first = plotting.save_figure(draw(), tmp_path / "fig.a")
    assert [path.name for path in first] == ["fig.a.pdf", "fig.a.png", "fig.a.svg"]
    with mpl.rc_context({"svg.hashsalt": "mine", "savefig.dpi": 40, "font.serif": "DejaVu Serif"}):
        second = plotting.save_figure(draw(), tmp_path / "fig.b")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert b"Date" not in one.read_bytes()


def test_save_needs_its_directory(tmp_path):
    with pytest.raises(checks.InputError, match="stem"):
        plotting.save_figure(draw(), tmp_path / "absent" / "fig")


def test_histogram_counts_what_lies_outside_of_its_bins(ax):
    moduli = np.array([[0.1, 0.3], [0.35, 7.0]])
    assert plotting.modulus_density(ax, moduli, np.square, np.array([0.0, 0.2, 0.4]), color="k") is ax
    np.testing.assert_allclose(heights(ax.patches[0]), [1 / 4 / 0.2, 2 / 4 / 0.2])
    r, curve = ax.lines[0].get_data()
    np.testing.assert_array_equal(curve, r**2)
    assert (r[0], r[-1]) == (0.0, 0.4)


def test_trajectories_are_quantiles_in_powers_of_ten(ax):
    t = np.arange(3)
    logs = np.log(10) * (np.arange(101)[:, None] + 1000 * t)  # up to 10^2100: far beyond doubles
    assert plotting.trajectories(ax, t, logs, color="#0072B2", label="n = 5") is ax
    np.testing.assert_allclose(ax.lines[0].get_ydata(), 50 + 1000 * t)
    assert ax.lines[0].get_label() == "n = 5"
    assert to_hex(ax.lines[0].get_color()) == "#0072b2"
    band = ax.collections[0].get_paths()[0].vertices
    for time in t:
        reached = band[band[:, 0] == time, 1] - 1000 * time
        assert reached.min() == pytest.approx(5)
        assert reached.max() == pytest.approx(95)
    assert ax.yaxis.get_major_formatter()(12.0) == "$10^{12}$"
    assert all(tick == int(tick) for tick in ax.get_yticks())


def test_mean_ratio_has_two_standard_errors(ax):
    logs = np.log(np.array([[2.0, 4.0], [6.0, 4.0]])) + 800  # e^800 would overflow
    assert plotting.mean_ratio(ax, np.array([1, 2]), logs, np.log([4.0, 8.0]) + 800, color="k") is ax
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [1.0, 0.5])
    first, second = (segment[:, 1] for segment in ax.collections[0].get_segments())
    np.testing.assert_allclose(first, [0.0, 2.0], atol=1e-12)  # sd of (0.5, 1.5) is 1/sqrt 2; 2 sd/sqrt 2 = 1
    np.testing.assert_allclose(second, [0.5, 0.5])


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_samples_that_went_wrong_are_never_left_out(ax, wrong):
    logs = np.zeros((3, 2))
    logs[1, 1] = wrong
    with pytest.raises(checks.InputError, match="log_samples must be finite"):
        plotting.trajectories(ax, np.arange(2), logs, color="k")
    with pytest.raises(checks.InputError, match="log_samples must be finite"):
        plotting.mean_ratio(ax, np.arange(2), logs, np.zeros(2), color="k")


def test_unit_line(ax):
    assert plotting.unit_line(ax) is ax
    assert list(ax.lines[0].get_xdata()) == [1.0, 1.0]
