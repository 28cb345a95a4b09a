"""Formulas as MathML, written when the site is built: no script, no font from elsewhere, and text that can be copied.

`latex2mathml` translates; the math font is a subset of STIX Two Math, which `ziamath` brings along.
"""

import logging
import re
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

from docutils import nodes
from latex2mathml.converter import convert

FONT = "STIXTwoMath.woff"

# Latin, Greek, punctuation, letterlike symbols, arrows, operators, brackets, and italic, bold and open letters.
RANGES = (
    (0x20, 0x7F),
    (0xA0, 0x100),
    (0x370, 0x400),
    (0x2010, 0x2064),
    (0x2100, 0x2150),
    (0x2190, 0x21A0),
    (0x2200, 0x2300),
    (0x2308, 0x230C),
    (0x239B, 0x23B8),
    (0x1D400, 0x1D468),
    (0x1D49C, 0x1D4D0),
    (0x1D538, 0x1D56C),
    (0x1D6E2, 0x1D71C),
    (0x1D7CE, 0x1D7D8),
)

# The name of a function, unless it carries limits or a power.
FUNCTION = "".join(f"(?<!<{tag}>)" for tag in ("msub", "msup", "msubsup", "munder", "munderover"))
FUNCTION += "<mi>[A-Za-z]{2,}</mi>"
CHILDREN = {"mfrac": 2, "msub": 2, "msup": 2, "munder": 2, "mover": 2, "msubsup": 3, "munderover": 3, "mroot": 2}
SPACE = '<mspace width="0.167em" />'


@cache
def mathml(latex, display):
    """Return the MathML element of a formula."""
    for bar in ("Vert", "vert"):  # fences: `convert` spaces them as operators unless told which side they are on
        latex = latex.replace(rf"\l{bar}", rf"\left\l{bar}").replace(rf"\r{bar}", rf"\right\r{bar}")
    element = convert(latex, display=display)
    # Names of functions are names, and bars are as tall as letters.
    element = re.sub(r"<mo[^>]*>([A-Za-z]{2,})</mo>", r"<mi>\1</mi>", element)
    element = re.sub(r'<mo stretchy="true"([^>]*)>(\||&#x02016;|&#x0007C;)', r'<mo stretchy="false"\1>\2', element)
    element = element.replace("<mi>&#x00393;</mi>", '<mi mathvariant="normal">&#x00393;</mi>')
    # A semicolon separates, and infinity is a number.
    element = element.replace("<mi>;</mi>", '<mo lspace="0" rspace="0.167em">;</mo>')
    element = re.sub(r"<mo>(&#x0221E;)</mo>", r"<mi>\1</mi>", element)
    # "log n" and "2 log", not "logn" and "2log".
    element = re.sub(rf"({FUNCTION})(?=<m(?!o|space|under))", rf"\1{SPACE}", element)
    element = re.sub(rf"(</(?:mi|mn|msub|msup|mfrac|msqrt)>)(?={FUNCTION})", rf"\1{SPACE}", element)
    if not well_formed(element):
        raise ValueError(f"a formula that latex2mathml does not understand: {latex}")
    return element


def well_formed(element):
    """Whether every element has as many children as it must, and nothing of LaTeX is left."""
    for node in ElementTree.fromstring(element).iter():
        tag = node.tag.rpartition("}")[2]
        if len(node) != CHILDREN.get(tag, len(node)) or (node.text or "").strip()[:1] in ("\\", "&"):
            return False
    return True


def visit_inline(self, node):
    """Write a formula in the text."""
    self.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def visit_block(self, node):
    """Write a formula on lines of its own, which scroll where the screen is narrow."""
    self.body.append(self.starttag(node, "div", CLASS="math-block"))
    self.body.append(mathml(node.astext(), "block") + "</div>\n")
    raise nodes.SkipNode


def narrow_radicals(font):
    """Make tall root signs as wide as the smallest: Chromium leaves room behind every root for the widest there is."""
    variants = font["MATH"].table.MathVariants
    root = font.getBestCmap()[0x221A]
    construction = variants.VertGlyphConstruction[variants.VertGlyphCoverage.glyphs.index(root)]
    names = {record.VariantGlyph for record in construction.MathGlyphVariantRecord}
    names |= {part.glyph for part in construction.GlyphAssembly.PartRecords}
    width = font["hmtx"][root][0]
    for name in names - {root}:
        glyph = font["glyf"][name]
        advance, bearing = font["hmtx"][name]
        glyph.coordinates.scale((width / advance, 1))
        glyph.recalcBounds(font["glyf"])
        font["hmtx"][name] = (width, round(bearing * width / advance))


def write_font(app, error):
    """Put the subset of the font among the static files."""
    target = Path(app.outdir) / "_static" / FONT
    if error or app.builder.format != "html" or target.exists():
        return
    import ziamath
    from fontTools import subset

    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells of every table
    font = subset.load_font(str(Path(ziamath.__file__).parent / "fonts" / "STIXTwoMath-Regular.ttf"), subset.Options())
    narrow_radicals(font)
    options = subset.Options(flavor="woff", notdef_outline=True, hinting=False, layout_features=["ssty"])
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=[point for start, stop in RANGES for point in range(start, stop)])
    subsetter.subset(font)
    subset.save_font(font, str(target), options)


def setup(app):
    """Register the renderer, named "mathml"."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    app.connect("build-finished", write_font)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
