"""Table 1 of the paper: which initialisation trains, how well, and which diverges.

    rmt run experiments/table1.py --out results/table1 [--size paper] [--quick]

`rmt train table` is the same, with checkpoints within each run; docs/training.md says what rows and sizes are.

Claim. A dense linear recurrence drawn by Glorot's rule diverges in training on long sequences; rescaled it trains,
and no worse than other remedies (the paper's table 1: Long Range Arena, accuracy over three runs). Its rebuttal,
IMDB: Rescaled Dense 87.55, Glorot Dense with layer norm 86.82, Glorot Dense diverges; diagonal: Rescaled 87.31,
Uniform 85.84 (in the parametrisation of the LRU, which has 87.32 itself).

Found (default size, three runs a row; accuracy). Glorot diverges at the first step in 2 of 3 dense and 3 of 3 diagonal
runs on pybytes, T = 1024; on digits, T = 256, it stays finite and learns next to nothing (0.11 dense, 0.24 diagonal).
Rescaled, all trains: on pybytes 0.59 dense and 0.60 diagonal, no better and no worse than Glorot with layer norm in
the state (0.60), alpha = 0.05 (0.60) or Glorot/2 (0.56). On digits one standard deviation is too little for two
layers: 0.50, as Glorot/2, against 0.74 with alpha = 0.05. There Rescaled does not win: uniform eigenvalues reach 0.87,
the LRU 0.88. Baselines without a recurrence are as good or better: 0.70 on pybytes, 0.87 on digits.
"""

from rmt.training import table

experiment = table.experiment
