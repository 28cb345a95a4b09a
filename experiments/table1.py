"""Table 1 of the paper: which initialisation trains, how well, and which diverges."""

from rmt.training import table

experiment = table.experiment
