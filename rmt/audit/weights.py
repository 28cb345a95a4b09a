"""The audit of a user's weights: find the recurrences, diagnose each, and lay the results out as a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rmt import checks, parallel
from rmt.audit.arrays import Weight, named
from rmt.audit.diagnosis import EXPLODES, PASSES, Diagnosis, diagnose
from rmt.audit.finding import Recurrence, Skipped, find

if TYPE_CHECKING:
    from pandas import DataFrame

MAX_STEPS = 10**12
MAX_ENTRIES = 2**29  # of the powers that are held at once: 4 GiB of doubles
GATES = ("open", "rest")

# Keys of a row, and columns of the table, in this order.
FROM_RECURRENCE = ("name", "array", "kind", "reason")
FROM_DIAGNOSIS = (
    "n", "field", "radius", "residual", "method", "proven", "scale", "glorot_cdf", "glorot_sf", "own_scale_cdf", "norm",
    "numerical_abscissa", "numerical_radius_low", "numerical_radius_high", "non_normality", "log10_rms", "step_limit",
    "step_overflow", "verdict",
)  # fmt: skip
COLUMNS = (*FROM_RECURRENCE, *FROM_DIAGNOSIS, "counts", "unstable", "gain")


@dataclass(frozen=True)
class Finding:
    """One recurrence with its diagnosis, and whether it decides."""

    recurrence: Recurrence
    diagnosis: Diagnosis
    counts: bool

    @property
    def unstable(self) -> bool:
        """Whether it counts and passes the limit."""
        return self.counts and self.diagnosis.verdict in (EXPLODES, PASSES)

    def row(self) -> dict[str, Any]:
        """Return all values by the names in `COLUMNS`, plain Python values, None for what does not exist."""
        row = {key: getattr(self.recurrence, key) for key in FROM_RECURRENCE}
        row |= {key: getattr(self.diagnosis, key) for key in FROM_DIAGNOSIS}
        row |= {"counts": self.counts, "unstable": self.unstable, "gain": self.diagnosis.gain if self.counts else None}
        return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}


@dataclass(frozen=True)
class Audit:
    """All findings, what was skipped, and for how many steps and which limit they hold."""

    findings: list[Finding]
    skipped: list[Skipped]
    steps: int
    limit: float
    gates: str

    @property
    def unstable(self) -> list[Finding]:
        """What is unstable, the first to pass the limit first."""
        found = [finding for finding in self.findings if finding.unstable]
        return sorted(found, key=lambda finding: (finding.diagnosis.step_limit or 0, finding.recurrence.name))

    def frame(self) -> DataFrame:
        """Return the rows as a DataFrame; its ``attrs`` hold steps, limit, gates and what was skipped."""
        import pandas as pd

        frame = pd.DataFrame([finding.row() for finding in self.findings], columns=list(COLUMNS))
        frame = frame.astype({"step_limit": "Int64", "step_overflow": "Int64", "gain": float, "own_scale_cdf": float})
        frame.attrs = {"steps": self.steps, "limit": self.limit, "gates": self.gates}
        frame.attrs["skipped"] = [(skipped.name, skipped.shape, skipped.reason) for skipped in self.skipped]
        return frame


def audit(
    weights: dict[str, Weight],
    *,
    steps: int = 1000,
    limit: float | None = None,
    gates: str = "open",
    only: str | Sequence[str] = (),
    every: bool = False,
    progress: Callable[[int, int, Recurrence], None] | None = None,
) -> Audit:
    """Audit named arrays; the arguments are those of :func:`audit_weights`.

    `progress` is told, as each recurrence is begun, how many are done, how many there are, and which it is.
    """
    steps = checks.integer("steps", steps, maximum=MAX_STEPS)
    limit = 10 * math.sqrt(steps) if limit is None else checks.real("limit", limit, above=1)
    gates = checks.choice("gates", gates, GATES)
    patterns: tuple = tuple(only) if isinstance(only, Iterable) and not isinstance(only, str) else (only,)
    if not all(isinstance(pattern, str) for pattern in patterns):
        raise checks.InputError(f"only must be a pattern of names, or several of them, got {checks.shown(only)}")
    found, skipped = find(weights, only=patterns, every=every)
    for recurrence in found:
        _check_memory(recurrence, steps)
    counted = ("matrix", "diagonal", "at rest", *(("candidate",) if gates == "open" else ()))

    done: list[Recurrence] = []

    def one(recurrence: Recurrence) -> Finding:
        if progress is not None:
            progress(len(done), len(found), recurrence)
        try:
            shift, factor = recurrence.shift, recurrence.factor
            diagnosis = diagnose(recurrence.load(), steps, limit, shift=shift, factor=factor)
        except checks.InputError as error:
            text = str(error)
            raise checks.InputError(text if recurrence.array in text else f"{recurrence.name}: {text}") from error
        done.append(recurrence)
        return Finding(recurrence, diagnosis, recurrence.kind in counted)

    return Audit(parallel.thread_map(one, found, len(found)), skipped, steps, limit, gates)


def _check_memory(recurrence: Recurrence, steps: int) -> None:
    """Refuse so many steps that the doublings of a dense recurrence would not fit into memory."""
    levels = MAX_ENTRIES // (2 * recurrence.n**2)
    if recurrence.kind != "diagonal" and steps.bit_length() > levels:
        raise checks.InputError(
            f"steps must be below {2**levels:,} for {recurrence.name}, which has n = {recurrence.n:,}, got {steps:,}"
        )


def audit_weights(
    weights: Any,
    *,
    steps: int = 1000,
    limit: float | None = None,
    gates: str = "open",
    only: str | Sequence[str] = (),
    every: bool = False,
) -> DataFrame:
    """Diagnose the recurrent matrices of a model: whether the state explodes, when, and which gain prevents it.

    Each recurrent matrix W is taken for the linear recurrence h_t = W h_{t-1} + x_t with h_0 = 0 and inputs of mean 0
    and covariance I, independent from step to step. Its mean square is exact, ``E||h_t||^2 / n = (1/n) sum_{k<t}
    ||W^k||_F^2``, and its root is compared with the limit, and with the largest float32.

    Parameters
    ----------
    weights : object
        A torch module, a keras model, a flax parameter tree or nnx module, or any mapping or sequence of arrays, nested
        at will (a state dict); or one matrix.
    steps : int
        T, the number of steps over which the recurrence must hold, up to 10**12; for n = 4096 up to 65,535.
    limit : float, optional
        Of the root mean square of the state, > 1; by default 10 sqrt(T), ten times what an orthogonal W reaches in T
        steps.
    gates : {"open", "rest"}
        Which rows of an LSTM or GRU decide whether it is unstable: the candidate as the linear recurrence that the cell
        is while its gates are open, and the cell at rest; or the cell at rest alone. See the notes.
    only : str or sequence of str
        Patterns with ``*`` and ``?``: arrays with such names are audited and no others, also if the names are not known
        to be recurrent. A vector that is named in full is taken for the eigenvalues of a diagonal W.
    every : bool
        Whether to audit also square arrays of unknown names where others have known ones. Where none has, up to 16 are
        assumed to be recurrent anyway.

    Returns
    -------
    DataFrame
        One row for each matrix, with the columns ``name``, ``array``, ``kind`` and ``reason`` (what was found, and why
        it counts as recurrent), those of ``rmt.audit.diagnosis.Diagnosis``, and

        * ``counts``: whether the row can be unstable; the sigmoid gates of a cell do not count.
        * ``unstable``: whether it counts and passes the limit within T steps.
        * ``gain``: by which factor to multiply the array, or the part of it that ``name`` says; 1 where it does not
          pass the limit. It brings the radius to E[rho] / (E[rho] + std[rho]) of a Glorot matrix of that size, which
          is the mean radius of a rescaled Glorot matrix, or lower where W would pass the limit even then.

        ``attrs`` has ``steps``, ``limit``, ``gates``, and ``skipped``: name, shape and reason for each other array.

    Raises
    ------
    rmt.checks.InputError
        If there is no recurrent matrix, one is not finite or larger than 4096, or an argument is not as above.

    Notes
    -----
    The linear recurrence is what a network does that is linear, or near h = 0. A tanh bounds the state: the growth is
    then that of small perturbations, and of gradients, whose norms over k steps are those of the same powers W^k. A
    ReLU lets about half of the mean square pass at each step, so that the linear reading is cautious.

    In an LSTM or GRU, each gate has a matrix of its own. A gate passes a sigmoid and only weighs what enters the
    state: its matrix is reported, and does not count. That of the candidate (g, n, c or h) does enter: while the gates
    are open (input and output 1, forget 0; update 0 and reset 1) it is the linear recurrence of the cell. At rest
    (state, inputs and biases zero) all gates are 1/2, and the cell linearised there is I/2 + W/4, with the W of the
    candidate, for LSTM, GRU and MGU alike: the row "at rest". A trained cell may well have a candidate of a radius
    above 1 and be of use; ``gates="rest"`` is for it.

    Examples
    --------
    >>> import rmt
    >>> W = rmt.glorot(64).draw(rng=1)
    >>> table = rmt.audit_weights({"rnn.weight_hh_l0": W, "rnn.weight_ih_l0": W}, steps=2000)
    >>> table[["name", "radius", "step_limit", "step_overflow", "gain"]].round(4)
                   name  radius  step_limit  step_overflow    gain
    0  rnn.weight_hh_l0  1.0653          99           1405  0.8948
    >>> W *= table.gain[0]
    >>> bool(rmt.audit_weights(W, steps=2000).unstable.any())
    False
    """
    return audit(named(weights), steps=steps, limit=limit, gates=gates, only=only, every=every).frame()
