"""The figures of the calculator: what stands where on their axes, read off the SVG, against the library."""

import itertools
import math
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

import rmt

ROOT = Path(__file__).parents[1]
tool = runpy.run_path(str(ROOT / "tools" / "calculator.py"))
NAMES = {"glorot": "1 (Glorot)", "mean": "mean + sd", "risk": "risk α", "paper": "paper"}
POWERS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return tool["write"](tmp_path_factory.mktemp("calculator") / "calculator.html").as_uri()


READ = """
const read = (id) => {
  const all = (selector) => [...document.querySelectorAll(`#${id} svg ${selector}`)];
  const box = (e) => { const b = e.getBBox(); return [b.x, b.y, b.x + b.width, b.y + b.height]; };
  return {
    size: document.querySelector(`#${id} svg`).viewBox.baseVal.width,
    texts: all("text").map((e) => ({
      text: e.textContent, tick: e.classList.contains("tick"), anchor: e.getAttribute("text-anchor"),
      x: Number(e.getAttribute("x")), y: Number(e.getAttribute("y")), box: box(e) })),
    lines: all("line").map(
      (e) => [e.getAttribute("class"), ...["x1", "y1", "x2", "y2"].map((k) => Number(e.getAttribute(k)))]),
    paths: Object.fromEntries(all("path").map((e) => [e.getAttribute("class"), e.getAttribute("d")])),
  };
};
return [read("growth"), read("density")];
"""


def points(path):
    """The points of the path of an SVG, an array (count, 2)."""
    return np.array(re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path), float)


def scale(ticks, along):
    """The function from a coordinate of the figure to the value that its ticks say is there."""
    (low, first), (high, last) = ((value, tick[along]) for value, tick in (ticks[0], ticks[-1]))
    for value, tick in ticks:
        assert tick[along] == pytest.approx(first + (last - first) * (value - low) / (high - low), abs=0.5)
    return lambda place: low + (high - low) * (place - first) / (last - first)


def apart(texts):
    """Whether no text lies on another."""
    return not [
        (one["text"], other["text"])
        for one, other in itertools.combinations(texts, 2)
        if min(one["box"][2], other["box"][2]) - max(one["box"][0], other["box"][0]) > 0.5
        and min(one["box"][3], other["box"][3]) - max(one["box"][1], other["box"][1]) > 2.5
    ]


def ticks_of(figure, beside, value):
    """The ticks of the axis at the left side (`beside`), or of the one below, with the value that each shows."""
    return [(value(text["text"]), text) for text in figure["texts"]
            if text["tick"] and (text["x"] < 50) is beside and text["text"][0].isdigit()]  # fmt: skip


def power(text):
    """log10 of a number such as 100 or 10⁴."""
    return math.log10(int(text)) if text.isdecimal() else int(text.removeprefix("10").translate(POWERS))


def test_the_growth_is_drawn_where_its_axes_say(page, window):
    window.open(page + "#n=256&T=60&layers=1&alpha=0.01&field=complex")
    figure, _ = window.run(READ)
    abscissa = scale(ticks_of(figure, False, power), "x")
    ordinate = scale([(value, tick | {"y": tick["y"] - 4}) for value, tick in ticks_of(figure, True, power)], "y")
    gains = {"glorot": 1, "mean": rmt.rescaled_gain(256, "complex"), "paper": rmt.rescaled_gain(256, rule="paper"),
             "risk": rmt.rescaled_gain(256, "complex", alpha=0.01)}  # fmt: skip
    for rule, gain in gains.items():
        place = points(figure["paths"][f"curve {rule}"])
        t = np.rint(10 ** abscissa(place[:, 0])).astype(int)
        assert abscissa(place[:, 0]) == pytest.approx(np.log10(t), abs=2e-3)
        expected = rmt.log_mean_hidden_norm(t, 256, "complex", gain) / math.log(10)
        inside = expected < 6
        assert inside.sum() > 80
        assert ordinate(place[inside, 1]) == pytest.approx(expected[inside], abs=0.02)
    for rule in ("glorot", "mean"):
        place = points(figure["paths"][f"curve median {rule}"])
        t = [round(10**x) for x in abscissa(place[:, 0])]
        assert 120 < max(t) <= 128  # where the medians end
        medians = window.evaluate(f"{t}.map((t) => logMedian(256, 'complex', '{rule}', t) / Math.LN10)")
        assert ordinate(place[:, 1]) == pytest.approx(medians, abs=0.02)
    lines = {kind: ends for kind, *ends in figure["lines"]}
    assert 10 ** abscissa(lines["mark"][0]) == pytest.approx(60, rel=0.01)
    straight = [
        float(value) for i in (0, 2) for value in (abscissa(lines["linear"][i]), ordinate(lines["linear"][i + 1]))
    ]
    assert straight[0] == pytest.approx(straight[1], abs=0.01)
    assert straight[2] == pytest.approx(straight[3], abs=0.01)
    assert "T = 60" in [text["text"] for text in figure["texts"]]


@pytest.mark.parametrize(("n", "field"), [(64, "real"), (300, "complex")])
def test_the_density_is_drawn_where_its_axis_says(page, window, n, field):
    window.open(page + f"#n={n}&T=60&layers=2&alpha=0.2&field={field}")
    _, figure = window.run(READ)
    radius = scale(ticks_of(figure, False, float), "x")
    law = rmt.SpectralRadiusLaw(n, field)
    place = points(figure["paths"]["outline"])
    heights = max(place[:, 1]) - place[:, 1]
    expected = law.pdf(radius(place[:, 0]))
    assert heights / max(heights) == pytest.approx(expected / max(expected), abs=0.02)
    area = points(figure["paths"]["area"])
    pixel = radius(1) - radius(0)
    assert radius(min(area[:, 0])) == pytest.approx(max(1, radius(min(place[:, 0]))), abs=12 * pixel)
    assert radius(min(area[:, 0])) >= 1 - pixel
    assert max(area[:, 0]) == max(place[:, 0])
    gains = {"glorot": 1, "mean": rmt.rescaled_gain(n, field), "risk": rmt.rescaled_gain(n, field, alpha=0.2, layers=2)}
    if n >= 164:
        gains["paper"] = rmt.rescaled_gain(n, rule="paper")
    lines = {kind.split()[1]: ends for kind, *ends in figure["lines"] if kind.startswith("curve")}
    assert set(lines) == set(gains)
    for rule, gain in gains.items():
        assert radius(lines[rule][0]) == pytest.approx(1 / gain, abs=pixel)
        assert [text["x"] for text in figure["texts"] if text["text"] == NAMES[rule]] == pytest.approx(
            [lines[rule][0] + 6]
        )


ADDRESSES = ["", "#n=64", "#n=4096&alpha=1e-6", "#n=164&T=2&layers=64&alpha=1e-9", "#n=4&alpha=0.999&field=complex"]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("phone", [None, (360, 780)])
def test_no_label_lies_on_another_or_on_a_line(page, window, address, phone):
    window.open(page + address, width=1100, phone=phone)
    for figure in window.run(READ):
        assert apart(figure["texts"])
        for text in figure["texts"]:
            left, top, right, bottom = text["box"]
            assert 0 <= left < right <= figure["size"], text["text"]
            assert top >= 0
            for kind, x1, y1, x2, y2 in figure["lines"]:
                crosses = left + 1 < x1 == x2 < right - 1 and min(y1, y2) < bottom - 2 and max(y1, y2) > top + 2
                assert kind == "grid" or not crosses, (text["text"], kind)
