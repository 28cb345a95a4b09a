"""A cell from its description alone, where that names things of rmt only: nothing is imported or run by name."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from rmt.campaign.cells import STATISTICS, Cell
from rmt.campaign.identity import canonical
from rmt.ensembles.diagonal import Diagonal
from rmt.ensembles.gaussian import Ginibre
from rmt.ensembles.haar import Haar
from rmt.ensembles.iid import IID
from rmt.ensembles.product import IndependentProduct
from rmt.ensembles.state_space import StateSpace

ENSEMBLES = {f"rmt.{kind.__name__}": kind for kind in (Diagonal, Ginibre, Haar, IID, IndependentProduct, StateSpace)}


def rebuild(description: dict[str, Any]) -> Cell | None:
    """Return the cell whose description this is, or None where more than rmt is needed to make it.

    Functions, arrays and classes of a user stand in a description by name or hash only; they are in the experiment
    file. What is returned has this very description, and so the same seeds.

    Examples
    --------
    >>> import json, rmt
    >>> from rmt.campaign.rebuilding import rebuild
    >>> cell = rmt.campaign.Cell("power_norms", rmt.Ginibre(8), {"steps": 3})
    >>> rebuild(json.loads(cell.key)) == cell
    True
    """
    names = {f"rmt.sample_{name}": name for name in STATISTICS}
    try:
        statistic = names[description["statistic"]]
        cell = Cell(statistic, _value(description["ensemble"]), _value(description["params"]), description["version"])
    except (KeyError, TypeError, ValueError):  # InputError is a ValueError
        return None
    return cell if cell.key == canonical(description) else None


def _value(described: Any) -> Any:
    if isinstance(described, list):
        return [_value(item) for item in described]
    if not isinstance(described, dict):
        return described
    if described.keys() == {"class", "fields"}:
        kind = ENSEMBLES[described["class"]]
        given = [field.name for field in fields(kind) if field.init]  # the others follow from these
        return kind(**{name: _value(described["fields"][name]) for name in given})
    if described.keys() == {"complex"}:
        return complex(*described["complex"])
    if "function" in described or "array" in described:
        raise TypeError("known by hash only")
    return {name: _value(item) for name, item in described.items()}
