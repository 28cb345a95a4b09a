"""The documentation site. `make docs` builds it."""

import re
import sys
from pathlib import Path

import rmt

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

# Sphinx reads what lies under docs/ only: the notebooks are copied there, and their links to docs/ follow.
(HERE / "notebooks").mkdir(exist_ok=True)
for notebook in (HERE.parent / "notebooks").glob("*.ipynb"):
    target = HERE / "notebooks" / notebook.name
    text = notebook.read_text(encoding="utf-8").replace("](../docs/", "](../")
    if not target.exists() or target.read_text(encoding="utf-8") != text:
        target.write_text(text, encoding="utf-8")

project = "rmt"
author = "The rmt authors"
project_copyright = author
version = release = rmt.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "sphinx_copybutton", "mathml"]
exclude_patterns = ["_build", "calculator"]

myst_enable_extensions = ["dollarmath", "attrs_inline"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # the outputs are kept in the notebooks; tests execute them

autosummary_generate = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_mock_imports = ["torch", "jax", "keras", "reservoirpy", "optax"]
numpydoc_show_class_members = False
numpydoc_validation_checks = {
    *("GL01", "GL02", "GL03", "GL05", "GL06", "GL07", "GL08", "GL10"),
    *("PR01", "PR02", "PR05", "PR07", "RT01", "SS02", "SS03", "SS04", "EX01"),
}
# Methods may say all in a line; results list attributes in place of parameters; what trains, or reads files, has its
# examples on the page of the training.
numpydoc_validation_exclude = {
    r"\.[A-Z]\w*\.\w+$",
    r"\.(Outcome|GumbelFit|RadiusResult|LRUParameters|Experiment|Ensemble|\w*Error)$",
    r"\.(FitResult|Evaluation|Progress|Probe)$",
}

nitpick_ignore = [("py:func", "content_hash")]  # of a module that has no entry here

html_theme = "furo"
html_title = f"rmt {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sphinx = False
html_last_updated_fmt = None
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

linkcheck_anchors = False
linkcheck_timeout = 20


def escape_bars(app, what, name, obj, options, lines):
    """Let |lambda| in a docstring be a modulus, not a substitution of reStructuredText."""
    example = False
    for i, line in enumerate(lines):
        example = bool(line.strip()) and (example or line.lstrip().startswith(">>>"))
        if not example:
            lines[i] = re.sub(r"(``.*?``)|\|", lambda match: match[1] or r"\|", line)


def write_calculator(app, error):
    """Put the calculator, a page of its own, beside the others."""
    from tools import calculator

    if error is None and app.builder.name == "html":
        calculator.write(app.outdir / "calculator.html", back="index.html")


def setup(app):
    """Connect the hooks."""
    app.connect("autodoc-process-docstring", escape_bars, priority=900)
    app.connect("build-finished", write_calculator)
