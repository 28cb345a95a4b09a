"""Experiments drawn small: cells sampled as a campaign does, tables read back, figures looked over."""

from pathlib import Path

import numpy as np
import pandas as pd

import rmt

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
STEMS = {
    "gumbel_convergence": {"gumbel_law", "gumbel_distance"},
    "universality": {"universality"},
    "rescaling": {"rescaling", "rescaling_layers"},
    "threshold": {"threshold", "threshold_rescaled"},
    "growth_bound": {"growth_bound"},
    "real_eigenvalues": {"real_eigenvalues", "leading_real"},
}


def check_figure(fig):
    """Every panel says what its axes are, no two have one title, and the layout can be solved without a warning."""
    with rmt.plotting.paper_style():
        fig.draw_without_rendering()
    assert fig.axes
    for ax in fig.axes:
        assert ax.get_xlabel()
        assert ax.get_ylabel()
        assert ax.lines or ax.collections or ax.patches
    titles = [ax.get_title() for ax in fig.axes if ax.get_title()]
    assert len(titles) == len(set(titles)) > 1


def presented(module, out, counts, options=None):
    """Draw `counts(cell)` samples of each cell as a campaign does; return the tables and the summary."""
    experiment = module.experiment
    options = {**experiment.defaults(), **(options or {})}
    data = {}
    for cell in experiment.cells(options):
        with rmt.parallel.one_blas_thread():
            data[cell] = np.stack([rmt.campaign.sample(cell, 0, i) for i in range(counts(cell))])
        if experiment.target is not None:
            wanted = experiment.target(cell, data[cell])
            assert wanted is None or np.shape(wanted) == (len(data[cell]),)
    summary = experiment.present(data, out, options)
    assert len(summary) > 0
    assert len(summary.columns) > 2
    stems = {path.stem for path in out.iterdir()}
    assert stems == STEMS[experiment.name]
    assert len(list(out.iterdir())) == 3 * len(stems)
    return {stem: pd.read_csv(out / f"{stem}.csv", na_values="undefined") for stem in stems}
