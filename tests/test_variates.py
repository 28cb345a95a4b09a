"""Normal and chi variables from random words: their laws, by layers and in the tail, and the order of the words."""

from __future__ import annotations

import math

import numpy as np
import oracles
import pytest
from numpy.random import PCG64DXSM
from scipy import stats

from rmt.kernels import variates as module
from rmt.kernels.variates import variates

NONE = np.empty(0, np.int64), np.empty(0)


def normals(seed, count):
    return variates(PCG64DXSM(seed), count, *NONE)


def test_layers_have_one_area():
    """256 layers of the area of the lowest, whose top is the top of the density: then EDGE is right."""
    x = module.WIDTHS * module.STEPS
    area = module.EDGE * module.HEIGHTS[-1] + math.sqrt(math.pi / 2) * math.erfc(module.EDGE / math.sqrt(2))
    np.testing.assert_allclose(x[0] * module.HEIGHTS[-1], area, rtol=1e-14)
    np.testing.assert_allclose(x[1:] * -np.diff(module.HEIGHTS), area, rtol=1e-11)
    assert x[-1] == module.EDGE
    assert module.HEIGHTS[0] == 1
    np.testing.assert_allclose(module.HEIGHTS[1:], np.exp(-0.5 * x[1:] ** 2), rtol=1e-15)


def test_normal_law():
    x = normals(0, 4_000_000)
    few = x[:500_000]
    oracles.check_law(few, stats.norm.cdf)
    oracles.check_mean(np.vander(few, 9, increasing=True)[:, 1:], [0, 1, 0, 3, 0, 15, 0, 105])
    oracles.check_mean(few[1:] * few[:-1], 0)
    oracles.check_mean((few[1:] * few[:-1]) ** 2, 1)
    # By layers, both signs, and halves of layers: where a layer meets the density, and how much is beyond EDGE.
    edges = module.WIDTHS[1:] * module.STEPS
    edges = np.sort(np.concatenate([edges, (edges[1:] + edges[:-1]) / 2]))
    edges = np.concatenate([[-np.inf], -edges[::-1], [0], edges, [np.inf]])
    counts = np.bincount(np.searchsorted(edges, x) - 1, minlength=len(edges) - 1)
    assert stats.chisquare(counts, len(x) * np.diff(stats.norm.cdf(edges))).pvalue > oracles.MIN_P


def unsafe(layer, count):
    """Normals that begin in a given layer, where it is not below the density for sure, and how many words each took."""
    rng = np.random.default_rng(layer)
    words = rng.integers(-(2**63), 2**63 - 1, (count, 30), endpoint=True)
    step = rng.integers(module.SAFE[layer], module.STEPS, count) * rng.choice([-1, 1], count)
    words[:, 0] = step << 11 | layer
    drawn = np.array([module._normal(row, 0) for row in words])
    assert (drawn[:, 1] <= 30).all()
    return drawn.T


@pytest.mark.parametrize("layer", [1, 2, 5, 128, 255])
def test_normal_where_a_layer_meets_the_density(layer):
    x, used = unsafe(layer, 100_000)
    right = module.WIDTHS[layer] * module.STEPS
    left = 0 if layer == 1 else module.WIDTHS[layer - 1] * module.STEPS
    low, high = module.HEIGHTS[layer], module.HEIGHTS[layer - 1]

    def below(r):
        """Area between the density and the bottom of the layer, from its left end to r."""
        return math.sqrt(2 * math.pi) * (stats.norm.cdf(r) - stats.norm.cdf(left)) - low * (r - left)

    kept = np.abs(x[used == 2])
    oracles.check_proportion(len(kept), len(x), below(right) / ((right - left) * (high - low)))
    oracles.check_law(kept, lambda r: below(r) / below(right))
    oracles.check_law(x[used > 2], stats.norm.cdf)


def test_normal_tail():
    tail, _ = unsafe(0, 200_000)
    oracles.check_proportion((tail > 0).sum(), len(tail), 0.5)
    oracles.check_law(stats.norm.sf(np.abs(tail)) / stats.norm.sf(module.EDGE), stats.uniform.cdf)
    oracles.check_mean(np.abs(tail), stats.norm.pdf(module.EDGE) / stats.norm.sf(module.EDGE))


@pytest.mark.parametrize("degrees", [1, 2, 3, 7, 200, 10**6, 10**12])
def test_chi_law(degrees):
    count = 200_000
    x = variates(PCG64DXSM(degrees), count, np.arange(count), np.full(count, float(degrees)))
    if degrees < 10**9:
        oracles.check_law(x, stats.chi(degrees).cdf)
        oracles.check_mean(x**2, degrees)
    else:
        oracles.check_law(math.sqrt(2) * (x - math.sqrt(degrees)), stats.norm.cdf)


PLACES = np.sort(np.random.default_rng(2).choice(3000, 700, replace=False))
DEGREES = 1.0 + PLACES % 11


def test_chis_have_their_places_and_degrees():
    draws = np.array([variates(PCG64DXSM(seed), 3000, PLACES, DEGREES) for seed in range(300)])
    for degrees in range(1, 12):
        oracles.check_law(draws[:, PLACES[degrees == DEGREES]], stats.chi(degrees).cdf)
    oracles.check_law(np.delete(draws, PLACES, axis=1)[:100], stats.norm.cdf)


def test_values_do_not_depend_on_how_many_words_come_at_once(monkeypatch):
    """Every variable that ran out of words is drawn again with the same ones, or the tails would be too thin."""
    whole = variates(PCG64DXSM(3), 3000, PLACES, DEGREES)
    tail = normals(4, 30_000)
    assert (np.abs(tail) > module.EDGE).any()
    for chunk in (1, 2, 5, 100):
        monkeypatch.setattr(module, "CHUNK", chunk)
        np.testing.assert_array_equal(variates(PCG64DXSM(3), 3000, PLACES, DEGREES), whole)
        if chunk > 1:
            np.testing.assert_array_equal(normals(4, 30_000), tail)


def test_a_longer_row_begins_with_the_shorter_one():
    whole = variates(PCG64DXSM(5), 3000, PLACES, DEGREES)
    for count in (0, 1, 10, 1000, 2999):
        few = count > PLACES
        found = variates(PCG64DXSM(5), count, PLACES[few], DEGREES[few])
        np.testing.assert_array_equal(found, whole[:count])
