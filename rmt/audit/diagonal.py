"""Diagonal recurrences: the eigenvalues lambda from the parameters that LRU, S4D, S5 and Mamba keep instead of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from rmt import checks
from rmt.audit.arrays import Weight

MAX_N = 2**20

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Rule:
    """How a library writes a diagonal recurrence.

    Attributes
    ----------
    leaves : tuple of str
        Last parts of the names of the arrays that must be there, side by side; the first has the shape of lambda.
    steps : tuple of str
        Last parts of names, of which one may be there: the step of the discretisation.
    title : str
        Whose it is, and the formula.
    eigenvalues : callable
        Returns the eigenvalues, of continuous time if there are `steps`, from the arrays.
    unstepped : str
        What is assumed where there is no step.
    """

    leaves: tuple[str, ...]
    steps: tuple[str, ...]
    title: str
    eigenvalues: Callable[[Arrays], np.ndarray]
    unstepped: str = ""

    def reason(self, members: dict[str, Weight]) -> str:
        """Say how the eigenvalues are read from these arrays."""
        step = next((leaf for leaf in self.steps if leaf in members), None)
        if step is None:
            return f"{self.title}{self.unstepped}"
        how = f"exp({step})" if step.startswith("log") else f"softplus({step}), as for zero input"
        return f"{self.title}; lambda = exp(step A), step = {how}"

    def read(self, members: dict[str, Weight]) -> np.ndarray:
        """Return the eigenvalues of one step, of shape (n,)."""
        arrays = {leaf: weight.array() for leaf, weight in members.items()}
        step = next((leaf for leaf in self.steps if leaf in arrays), None)
        with np.errstate(over="ignore", under="ignore"):
            values = self.eigenvalues(arrays)
            if step is not None:
                log = step.startswith("log")
                values = np.exp(
                    _spread(np.exp(arrays[step]) if log else np.logaddexp(0, arrays[step]), values) * values
                )
            elif self.steps and self.unstepped == ONE:
                values = np.exp(values)
        if not np.isfinite(values).all():
            raise checks.InputError(f"{members[self.leaves[0]].name} must give finite eigenvalues ({self.title})")
        return values.ravel()


def _spread(step: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the steps in a shape that broadcasts against the eigenvalues: one, one a row, or one each."""
    if step.size == values.size:
        return step.reshape(values.shape)
    if step.size == 1:
        return step.reshape(())
    if values.ndim > 1 and step.size == values.shape[0]:
        return step.reshape(-1, *[1] * (values.ndim - 1))
    raise checks.InputError(f"steps of shape {step.shape} do not fit to eigenvalues of shape {values.shape}")


def _lru(arrays: Arrays) -> np.ndarray:
    return np.exp(-np.exp(arrays["nu_log"]) + 1j * np.exp(arrays["theta_log"]))


ONE = "; no step is there: lambda = exp(A)"
DISCRETE = "; no step is there: taken as eigenvalues of one step"
STEPS = ("log_step", "log_dt", "log_delta")

RULES = (
    Rule(("nu_log", "theta_log"), (), "LRU: lambda = exp(-exp(nu_log) + i exp(theta_log))", _lru),
    Rule(
        ("Lambda_re", "Lambda_im"),
        STEPS,
        "S5: A = Lambda_re + i Lambda_im",
        lambda a: a["Lambda_re"] + 1j * a["Lambda_im"],
        DISCRETE,
    ),
    Rule(
        ("log_A_real", "A_imag"),
        STEPS,
        "S4D: A = -exp(log_A_real) + i A_imag",
        lambda a: -np.exp(a["log_A_real"]) + 1j * a["A_imag"],
        ONE,
    ),
    Rule(("A_log",), (*STEPS, "dt_bias", "dt_proj.bias"), "Mamba: A = -exp(A_log)", lambda a: -np.exp(a["A_log"]), ONE),
    Rule(("Lambda",), STEPS, "A = Lambda", lambda a: a["Lambda"], DISCRETE),
)


def groups(weights: dict[str, Weight]) -> Iterator[tuple[Rule, dict[str, Weight]]]:
    """Yield the rule and the arrays, by the last parts of their names, of each diagonal recurrence."""
    for rule in RULES:
        for name in weights:
            match = re.fullmatch(rf"((?:.*[./])?){rule.leaves[0]}", name)
            if match is None:
                continue
            leaves = [leaf for leaf in (*rule.leaves, *rule.steps) if match[1] + leaf in weights]
            members = {leaf: weights[match[1] + leaf] for leaf in leaves}
            if not set(rule.leaves) <= set(leaves) or not all(weight.numeric for weight in members.values()):
                continue
            if len({members[leaf].shape for leaf in rule.leaves}) == 1 and members[rule.leaves[0]].shape:
                yield rule, members


def check_size(name: str, n: int) -> None:
    """Refuse a recurrence without entries, or with too many."""
    if not 1 <= n <= MAX_N:
        raise checks.InputError(f"{name} must have 1 to {MAX_N:,} eigenvalues, got {n:,}")
