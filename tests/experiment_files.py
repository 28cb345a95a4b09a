"""What tests of experiment files share: load one, run it as a user does, or present it from few samples."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import rmt
from rmt.cli import main
from rmt.ensembles.base import Ensemble

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


def load(name):
    experiment = rmt.campaign.load(EXPERIMENTS / f"{name}.py")
    return sys.modules[experiment.present.__module__]


def quick(name, out, *options):
    """Run an experiment as a user does; return its tables by name."""
    assert main(["run", str(EXPERIMENTS / f"{name}.py"), "--out", str(out), "--quick", *options]) == 0
    files = {path.name for path in out.iterdir()}
    stems = {path.stem for path in out.glob("*.csv")}
    assert files >= {f"{stem}.{suffix}" for stem in stems for suffix in ("csv", "md", "tex")}
    figure = "fig1" if name == "fig1" else name
    assert files >= {f"{figure}.{suffix}" for suffix in ("pdf", "png", "svg")}
    return {stem: pd.read_csv(out / f"{stem}.csv", na_values="undefined") for stem in stems}


def small(module, monkeypatch, out, samples, **constants):
    """Present an experiment with other constants and few samples; return its tables by name, and its figure."""
    figures = []  # drawn, but not saved, which takes longer than all else
    monkeypatch.setattr(rmt.plotting, "save_figure", lambda fig, stem: figures.append(fig))
    for name, value in constants.items():
        monkeypatch.setattr(module, name, value)
    options = module.experiment.defaults()
    data = {}
    for cell in module.experiment.cells(options):
        data[cell] = np.stack([rmt.campaign.sample(cell, 0, i) for i in range(samples)])
    module.experiment.present(data, out, options)
    return {path.stem: pd.read_csv(path, na_values="undefined") for path in out.glob("*.csv")}, figures[0]


def largest(column):
    """Return the largest |z| of a column, of which some entries are undefined and others are not."""
    values = column.dropna()
    assert len(values) > 0
    return np.abs(values).max()


@dataclass(frozen=True)
class Given(Ensemble):
    """A law of one matrix: what a statistic does with it can be done again in another way."""

    n: int = 6
    field: str = "real"

    def matrix(self, rng):
        return rmt.Ginibre(self.n, self.field).matrix(np.random.default_rng(5))
