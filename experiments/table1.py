"""Table 1 of the paper: which initialisation trains, how well, and which diverges.

    rmt run experiments/table1.py --out results/table1 [--size paper] [--quick]

`rmt train table` is the same, with checkpoints within each run; docs/training.md says what rows and sizes are.

Claim. A dense linear recurrence drawn by Glorot's rule diverges in training on long sequences; rescaled it trains,
and no worse than other remedies (the paper's table 1: Long Range Arena, accuracy over three runs). Its rebuttal,
IMDB: Rescaled Dense 87.55, Glorot Dense with layer norm 86.82, Glorot Dense diverges; diagonal: Rescaled 87.31,
Uniform 85.84 (in the parametrisation of the LRU, which has 87.32 itself).
"""

from rmt.training import table

experiment = table.experiment
