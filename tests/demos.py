"""A small experiment file, statistics that misbehave, and what tests of campaigns do with them."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd

from rmt import campaign

FILE = """
import time
import numpy as np
import pandas as pd
import rmt

def normals(ensemble, params, rng):
    time.sleep(params.get("wait", 0.0))
    return rng.standard_normal(params["k"])

def phases(ensemble, params, rng):
    return np.exp(1j * rng.uniform(size=(2, 3)))

def cells(options):
    W = rmt.Ginibre(4, options["field"])
    wait = {"wait": options["wait"]} if options["wait"] else {}
    made = [rmt.campaign.Cell(normals, W, {"k": k, **wait}) for k in range(1, 1 + options["size"])]
    return made + [rmt.campaign.Cell(phases, W), rmt.campaign.Cell("eigenvalues", W)]

def samples(cell, quick):
    return 3 if quick else 12

def present(data, out, options):
    (out / "table.csv").write_text("\\n".join(f"{cell.label},{values.sum():.17g}" for cell, values in data.items()))
    return pd.DataFrame({"cell": [cell.label for cell in data], "mean": [abs(v).mean() for v in data.values()]})

options = {"field": ("real", "complex"), "size": 2, "wait": 0.0, "loud": False}
experiment = rmt.campaign.Experiment("demo", cells, samples, options, present)
"""


def command(*arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "rmt", "run", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def run(what, out, **options):
    """Run an experiment, or the file of one, in this process."""
    made = what if isinstance(what, campaign.Experiment) else campaign.load(what)
    return campaign.run(made, out, **{"engine": "serial", **options})


def contents(out):
    """Return the bytes of every file but the logs, which name host and time."""
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and "runs" not in path.relative_to(out).parts]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def shards(out, name=""):
    """Return the files of samples of the cells whose name begins with `name`."""
    return sorted((out / "shards").glob(f"{name}*/*.npy"))


def stamps(out):
    return {path: path.stat().st_mtime_ns for path in [out / "manifest.json", *shards(out)]}


def normals(ensemble, params, rng):
    return rng.standard_normal(2)


def fails_at_second(ensemble, params, rng):
    if rng.integers(2):
        raise ArithmeticError("no luck\nin two lines")
    return 1.0


def changes_shape(ensemble, params, rng):
    return np.zeros(rng.integers(1, 50))


def leaves(ensemble, params, rng):
    sys.exit(1)


def experiment(cells, /, count=4, **replaced):
    parts = {
        "name": "test",
        "cells": lambda options: cells,
        "samples": lambda cell, quick: count,
        "options": {},
        "present": lambda data, out, options: pd.DataFrame({"n": [len(values) for values in data.values()]}),
    }
    return campaign.Experiment(**{**parts, **replaced})
