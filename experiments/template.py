"""Does the spectral radius care which entries a matrix has? Copy this file to start your own experiment.

rmt run experiments/template.py --out results/template [--entry uniform] [--quick]
"""

import pandas as pd
from scipy import stats

import rmt
from rmt.campaign import Cell, Experiment
from rmt.tables import write_tables

SIZES = (16, 64, 128)


# A cell is one statistic of one ensemble. Each sample has its own seed: adding a cell changes no other one.
def cells(options):
    return [Cell("spectral_radius", rmt.IID(n, options["entry"])) for n in SIZES]


# How many samples of each cell, and how many for a quick look.
def samples(cell, quick):
    return 100 if quick else 1000


# data[cell] has shape (samples, ...). Write tables and figures into `out`; return what the terminal shows.
def present(data, out, options):
    rows = []
    for cell, radii in data.items():
        law = rmt.SpectralRadiusLaw(cell.ensemble.n)  # exact for Gaussian entries of the same variance
        p = stats.ks_1samp(radii, law.cdf).pvalue
        rows.append({"n": cell.ensemble.n, "mean": radii.mean(), "Gaussian mean": law.mean(), "p-value": p})
    table = pd.DataFrame(rows)
    write_tables(table, out / "template")
    return table


options = {"entry": ("rademacher", "uniform", "normal")}  # the first is the default; becomes the flag --entry
experiment = Experiment("template", cells, samples, options, present)
