"""The documentation site: it builds without a warning, its links lead somewhere, it loads nothing from elsewhere."""

import fcntl
import importlib
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from browser import serving

import rmt
from rmt.training.tasks import TASKS

ROOT = Path(__file__).parents[1]
ADAPTERS = ("torch", "jax", "keras", "reservoirpy")
PAGES = (
    "index.html",
    "api/laws.html",
    "mathematics/radius.html",
    "others.html",
    "gallery.html",
    "notebooks/quickstart.html",
)


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The built site; the processes of one test run build it once, and share it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    out = shared / "site" / "html"
    with open(shared / "site.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (out.parent / "log").exists():
            command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "-n", "--keep-going", "-q"]
            done = subprocess.run(
                [*command, "-d", out.parent / "doctrees", ROOT / "docs", out], capture_output=True, text=True
            )
            out.parent.mkdir(exist_ok=True)
            (out.parent / "log").write_text("" if done.returncode == 0 else done.stderr or "failed")
    log = (out.parent / "log").read_text()
    assert not log, log
    return out


class Page(HTMLParser):
    """What a page links to, what it loads, and which anchors it has."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.anchors, self.styles = [], [], set(), []
        self.in_style = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.in_style = tag == "style"
        self.anchors.update(value for key, value in attrs.items() if key == "id" or (tag == "a" and key == "name"))
        self.styles.append(attrs.get("style") or "")
        if tag == "a" and attrs.get("href"):
            self.links.append(attrs["href"])
        if tag == "link" and not {"index", "search", "next", "prev", "up"} & set((attrs.get("rel") or "").split()):
            self.loads.append(attrs.get("href"))
        self.loads += [attrs[key] for key in ("src", "srcset", "poster", "data") if key in attrs and tag != "a"]

    def handle_data(self, data):
        if self.in_style:
            self.styles.append(data)


@pytest.fixture(scope="session")
def pages(site):
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def test_pages_are_there(site, pages):
    names = {path.relative_to(site).as_posix() for path in pages}
    assert {
        *PAGES,
        "calculator.html",
        "search.html",
        "changelog.html",
        "audit.html",
        "api/campaign.html",
        "api/training.html",
    } <= names


def test_every_internal_link_leads_somewhere(site, pages):
    broken = []
    for path, page in pages.items():
        for link in page.links + page.loads:
            address = urlsplit(link)
            if address.scheme or address.netloc:
                continue
            target = (path.parent / unquote(address.path)).resolve() if address.path else path
            if not target.is_file() or site.resolve() not in target.resolve().parents:
                broken.append((path.name, link))
            elif address.fragment and target.suffix == ".html":
                anchors = pages[site / target.relative_to(site.resolve())].anchors if address.path else page.anchors
                if unquote(address.fragment) not in anchors | {""}:
                    broken.append((path.name, link))
    assert not broken


def test_no_page_loads_anything_from_elsewhere(site, pages):
    for path, page in pages.items():
        for address in page.loads:
            assert urlsplit(address).scheme in ("", "data"), (path.name, address)
            assert not address.startswith("//"), (path.name, address)
    texts = {path.name: " ".join(page.styles) for path, page in pages.items()}
    texts |= {path.name: path.read_text(encoding="utf-8") for path in site.rglob("*.css")}
    assert "site.css" in texts
    for name, text in texts.items():
        assert not re.search(r"@import|url\(\s*[\"']?(?:https?:)?//", text), name


def test_every_formula_is_mathml(site):
    text = (site / "mathematics" / "radius.html").read_text()
    assert text.count("<math") > 20
    assert "\\frac" not in text
    assert (site / "_static" / "STIXTwoMath.woff").stat().st_size < 300_000


# Of the training, beside what two of its modules name; `fit` cannot be imported without JAX.
TRAINING = ("fit.fit", "fit.FitResult", "fit.Evaluation", "fit.Progress", "probe.probe", "probe.Probe")


def public_names():
    modules = [rmt.campaign, rmt.initializers, rmt.audit]
    modules += [importlib.import_module(f"rmt.{name}") for name in ("report", "training", "training.tasks")]
    yield from (f"rmt.training.{name}" for name in TRAINING)
    yield from (f"rmt.training.tasks.{module}.{function}" for module, function in TASKS.values())
    for module in (rmt, *modules):
        names = getattr(module, "__all__", None) or [
            name for name, value in vars(module).items() if not name.startswith("_") and callable(value)
        ]
        for name in names:
            yield f"{module.__name__}.{name}"
    for adapter in ADAPTERS:
        source = (ROOT / "rmt" / "initializers" / f"{adapter}.py").read_text()
        for name in re.findall(r'"(\w+)"', re.search(r"^__all__ = \[(.*?)\]", source, re.DOTALL | re.MULTILINE)[1]):
            yield f"rmt.initializers.{adapter}.{name}"


def test_every_public_name_has_an_entry(site, pages):
    anchors = set().union(*(pages[path].anchors for path in (site / "api").glob("*.html")))
    anchors |= {anchor.removeprefix("module-") for anchor in anchors}
    names = set(public_names()) - {"rmt.audit.weights"}
    assert len(names) > 90
    same = {"rmt.audit.audit_weights": "rmt.audit_weights"}
    assert {same.get(name, name) for name in names} <= anchors


def test_both_benchmarks_are_on_their_page(site):
    text = (site / "benchmarks.html").read_text()
    for name in ("results", "campaigns"):
        headings = re.findall(r"^#+ (.+)$", (ROOT / "benchmarks" / f"{name}.md").read_text(), re.MULTILINE)
        assert len(headings) >= 2
        assert not [heading for heading in headings if f">{heading}<a" not in text]


SEEN = """
const channel = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const ground = (node) => {
  for (; node; node = node.parentElement) {
    const c = parse(getComputedStyle(node).backgroundColor);
    if (c.length === 3 || c[3] > 0.5) return c;
  }
  return [255, 255, 255];
};
const contrast = (node) => {
  const [a, b] = [light(parse(getComputedStyle(node).color)), light(ground(node))].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
};
const shown = [...document.querySelectorAll(
  "article p, article td, article th, article li, article a, article code, article math, article pre span, h1, h2, dt")
].filter((node) => node.textContent.trim() && node.offsetParent !== null);
await document.fonts.ready;
const worst = shown.map((node) => [contrast(node), node.outerHTML.slice(0, 120)]).sort((x, y) => x[0] - y[0])[0];
const phone = document.createElement("iframe");
phone.width = 360;
phone.src = "PAGE";
document.body.append(phone);
await new Promise((done) => { phone.onload = done; });
const inner = phone.contentDocument.documentElement;
const narrow = [inner.clientWidth, inner.scrollWidth];
phone.remove();
return {
  narrow,
  count: shown.length,
  worst,
  ground: light(ground(document.body)),
  wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  images: [...document.images].filter((i) => i.offsetParent !== null).map((i) => [i.complete, i.naturalWidth > 0]),
  font: document.fonts.check("16px 'STIX Two Math'"),
  text: document.body.innerText,
};
"""


@pytest.fixture(scope="module")
def address(site):
    with serving(site) as server:
        yield server


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("width", "dark"), [(1300, False), (500, True)])
def test_pages_in_a_browser(address, window, name, width, dark):
    window.open(f"{address}/{name}", width=width, dark=dark)
    found = window.run(SEEN.replace("PAGE", Path(name).name))
    assert found["count"] > 5
    assert found["worst"][0] >= 4.5, found["worst"]
    assert (found["ground"] < 0.1) is dark
    assert found["wide"] <= 0
    assert 300 < found["narrow"][1] <= found["narrow"][0]  # a telephone
    assert all(complete and natural for complete, natural in found["images"])
    if name.startswith("mathematics"):
        assert found["font"]


SIDES = """
return [...document.querySelectorAll(".math-block mtd[columnalign=right]")].map((cell) => {
  const range = document.createRange();
  range.selectNodeContents(cell);
  return cell.getBoundingClientRect().right - range.getBoundingClientRect().right;
});
"""


def test_equations_are_aligned_at_their_signs(address, window):
    window.open(f"{address}/mathematics/radius.html")
    beside = window.run(SIDES)
    assert len(beside) >= 4
    assert max(map(abs, beside)) < 1.5


SEARCH = """
const wait = () => new Promise((done) => setTimeout(done, 50));
for (let i = 0; i < 100 && !document.querySelector("#search-results li a"); i++) await wait();
return [...document.querySelectorAll("#search-results li a")].map((a) => a.getAttribute("href"));
"""


def test_search_finds_a_function(address, window):
    window.open(f"{address}/search.html?q=spectral_radius")
    assert any(link.endswith("api/statistics.html#rmt.spectral_radius") for link in window.run(SEARCH))
