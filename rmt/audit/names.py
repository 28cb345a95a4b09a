"""Names under which libraries keep recurrent weights, and those of arrays beside them."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import NamedTuple

# Gates in the order in which a library stacks them, by their number; * marks the candidate, which alone passes a tanh
# and enters the state.
Gates = dict[int, tuple[str, ...]]
TORCH: Gates = {1: ("",), 3: ("r", "z", "n*"), 4: ("i", "f", "g*", "o")}
KERAS: Gates = {1: ("",), 3: ("z", "r", "h*"), 4: ("i", "f", "c*", "o")}
CELLS = {1: "RNN", 3: "GRU", 4: "LSTM"}

# The gates of flax, each an array of its own.
FLAX = {"hi": "i", "hf": "f", "hg": "g*", "ho": "o", "hr": "r", "hz": "z", "hn": "n*", "h": ""}

# What many codes call the one matrix of a recurrence, with .weight, .kernel or .w behind it or not.
PLAIN = re.compile(r"[Ww]?_?(hh|rec|recurrent)(_?(weights?|kernel))?|[Ww]_?(h|res)|reservoir|h2h|hidden_to_hidden")
LEAVES = ("weight", "kernel", "w")

# Copies and fragments of weights, whatever they are called behind that.
SHADOWS = (
    (re.compile(r"(.*[./])?(optim\w*|opt_state|exp_avg(_sq)?|momentum_buffer)([./].*)?"), "state of an optimizer"),
    (re.compile(r"(.*[./])?parametrizations[./].*"), "a parametrization: audit the weight that it makes"),
)

# Norm and direction as torch.nn.utils.weight_norm keeps them, side by side.
WEIGHT_NORM = re.compile(r"(.*)_([gv])")
NORMED = "half of a weight norm: audit the weight that both make (torch.nn.utils.remove_weight_norm)"

# What stands beside a recurrence.
OTHERS = (
    (re.compile(r"(.*[./])?weight_ih(_l\d+)?(_reverse)?"), "input weights"),
    (re.compile(r"(.*[./])?(i[ifgorzn]|if_|i|dense_i|i2h|ih|input)[./](kernel|weight)"), "input weights"),
    (re.compile(r"(.*[./])?(Win|[Ww]_?(in|ih|xh|fb)|Wfb)"), "input weights"),
    (re.compile(r"(.*[./])?(Wout|[Ww]_(out|ho|hy)|h2o[./]weight)"), "output weights"),
    (re.compile(r"(.*[./])?weight_hr_l\d+(_reverse)?"), "projection, taken together with weight_hh"),
    (re.compile(r"(.*[./])?\w*embed(ding)?s?([./].*)?"), "an embedding"),
)


class Layout(NamedTuple):
    """How an array of a known name holds its recurrences.

    Attributes
    ----------
    origin : str
        The library, or "its name".
    gates : dict or None
        Names of the gates that are stacked along `axis`, by their number; None if nothing is stacked.
    axis : int
        0 or 1.
    gate : str
        The gate that the array is, if nothing is stacked; empty for a plain matrix.
    """

    origin: str
    gates: Gates | None = None
    axis: int = 0
    gate: str = ""


def layout(name: str, names: Container[str]) -> Layout | None:
    """Return how the array `name`, among others called `names`, holds recurrences; None if its name does not say it."""
    if is_shadow(name, names):
        return None
    parts = _split(name)
    leaf, parent = parts[-1], parts[-2] if len(parts) > 1 else ""
    if re.fullmatch(r"weight_hh(_l\d+)?(_reverse)?", leaf):
        return Layout("torch", TORCH, 0)
    if leaf == "recurrent_kernel":
        return Layout("keras", KERAS, 1)
    if leaf == "kernel" and parent == "dense_h":
        return Layout("flax", TORCH, 1)
    if leaf == "kernel" and parent in FLAX:
        return Layout("flax", gate=FLAX[parent])
    if PLAIN.fullmatch(parent if leaf in LEAVES else leaf):
        return Layout("its name")
    if leaf == "W" and (name == "W" or name[:-1] + "Win" in names):
        return Layout("its name")
    return None


def is_shadow(name: str, names: Container[str]) -> bool:
    """Whether the array, among others called `names`, is a copy or a fragment of a weight."""
    return _is_normed(name, names) or any(pattern.fullmatch(name) for pattern, _ in SHADOWS)


def otherwise(name: str, names: Container[str]) -> str | None:
    """Return what the name says that the array is, if not recurrent; None if it says nothing."""
    if _is_normed(name, names):
        return NORMED
    for pattern, reason in SHADOWS + OTHERS:
        if pattern.fullmatch(name):
            return reason
    recurrent = re.sub(r"(^|[./])kernel(:0)?$", r"\1recurrent_kernel\2", name)
    return "input weights" if recurrent != name and recurrent in names else None


def _is_normed(name: str, names: Container[str]) -> bool:
    half = WEIGHT_NORM.fullmatch(name)
    return half is not None and f"{half[1]}_{'g' if half[2] == 'v' else 'v'}" in names and "weight" in half[1]


def _split(name: str) -> list[str]:
    """Return the parts of a path, without the ends that some frameworks add."""
    return re.split(r"[./]", re.sub(r"(:0|[./](raw_)?value)$", "", name))
