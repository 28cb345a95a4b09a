"""`rmt radius` and `rmt gain`: the exact law of the spectral radius, and the gain that follows."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from rmt import checks
from rmt.cli.common import DONE, STATUSES, Parser, number, print_json, say

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def radius(arguments: list[str], resume: str) -> int:
    """Print the exact law of the spectral radius beside its limit."""
    from rmt.laws.gumbel import GumbelLimit
    from rmt.laws.radius import SpectralRadiusLaw

    parser = Parser(
        prog="rmt radius",
        description=(
            "The exact law of the spectral radius of an N x N Gaussian matrix whose entries have\n"
            "variance scale^2/N (scale 1: Glorot), beside its Gumbel limit as N grows, which does\n"
            "not exist below N = 164. A radius above 1 makes the recurrence h_t = W h_{t-1} unstable."
        ),
        epilog="example: rmt radius --n 256 --field complex\n\n" + STATUSES,
    )
    _add_matrix_arguments(parser)
    parser.add_argument("--scale", type=number, default=1.0, metavar="S", help="factor of W; default 1")
    given = parser.parse_args(arguments)
    exact = _summary(SpectralRadiusLaw(given.n, given.field, given.scale))
    limit = None
    with suppress(checks.InputError):  # the exact law took the same arguments, so it is n < 164
        limit = _summary(GumbelLimit(given.n, given.field, given.scale))
    n = checks.integer("n", given.n)
    if given.json:
        result = {"n": n, "field": given.field, "scale": float(given.scale)}
        print_json(result | {"exact": exact, "gumbel_limit": limit})
        return DONE
    lines = [f"spectral radius of W, n = {n}, {given.field} entries of variance {float(given.scale):g}^2/n"]
    lines.append(f"{'':14}{'exact':>18}{'Gumbel limit':>18}")
    other = None if limit is None else _rows(limit)
    for name, value in _rows(exact).items():
        beside = "undefined" if other is None else f"{other[name]:.12g}"
        lines.append(f"{name:14}{value:18.12g}{beside:>18}")
    say("\n".join(lines))
    return DONE


def _summary(law: Any) -> dict[str, Any]:
    quantiles = {f"{q:g}": float(law.ppf(q)) for q in QUANTILES}
    return {
        "p_unstable": float(law.sf(1.0)),
        "mean": float(law.mean()),
        "std": float(law.std()),
        "quantiles": quantiles,
    }


def _rows(summary: dict[str, Any]) -> dict[str, float]:
    rows = {"P(rho > 1)": summary["p_unstable"], "mean": summary["mean"], "std": summary["std"]}
    return rows | {f"quantile {q}": value for q, value in summary["quantiles"].items()}


def gain(arguments: list[str], resume: str) -> int:
    """Print the gain that makes a Glorot matrix stable."""
    from rmt.laws.gumbel import rescaled_gain
    from rmt.laws.radius import SpectralRadiusLaw

    parser = Parser(
        prog="rmt gain",
        description=(
            "The factor by which an N x N Glorot matrix must be multiplied to be stable:\n"
            "  rule exact   from the exact law at this N: 1/(mean + K standard deviations of the radius);\n"
            "               with --alpha A: any of the L layers is unstable with probability A\n"
            "  rule gumbel  the same from the limit law (N >= 164)\n"
            "  rule paper   the published formula (N >= 164)"
        ),
        epilog="examples:\n  rmt gain --n 256\n  rmt gain --n 256 --alpha 0.05 --layers 4\n\n" + STATUSES,
    )
    _add_matrix_arguments(parser)
    parser.add_argument("--rule", choices=("exact", "gumbel", "paper"), default="exact", help="default exact")
    parser.add_argument("--alpha", type=number, metavar="A", help="probability of instability, in (0, 1)")
    parser.add_argument("--layers", type=number, default=1, metavar="L", help="independent layers; default 1")
    parser.add_argument("--n-std", type=number, default=1.0, metavar="K", help="standard deviations; default 1")
    given = parser.parse_args(arguments)
    options = {"alpha": given.alpha, "layers": given.layers, "n_std": given.n_std}
    gain = float(rescaled_gain(given.n, given.field, given.rule, **options))
    n, layers = checks.integer("n", given.n), checks.integer("layers", given.layers)
    try:
        unstable = float(SpectralRadiusLaw(n, given.field, gain).sf(1.0))
    except checks.InputError:  # beyond the reach of the exact law
        unstable = None
    if given.json:
        result = {"n": n, "field": given.field, "rule": given.rule, "alpha": given.alpha, "layers": layers}
        result |= {"n_std": float(given.n_std), "gain": gain, "p_unstable": unstable}
        print_json(result)
        return DONE
    lines = [
        f"gain {gain:.12g}",
        f"entries of variance gain^2/n = {gain * gain / n:.6g} (n = {n}, {given.field})",
    ]
    if unstable is not None:
        lines.append(f"P(rho > 1) after rescaling: {unstable:.6g} in one layer" + _of_layers(unstable, layers))
    say("\n".join(lines))
    return DONE


def _of_layers(unstable: float, layers: int) -> str:
    return "" if layers == 1 else f", {1 - (1 - unstable) ** layers:.6g} in any of {layers}"


def _add_matrix_arguments(parser: Parser) -> None:
    parser.add_argument("--n", type=number, required=True, metavar="N", help="size of W, an integer >= 1")
    parser.add_argument("--field", choices=checks.FIELDS, default="real", help="of the entries; default real")
    parser.add_argument("--json", action="store_true", help="print JSON")
