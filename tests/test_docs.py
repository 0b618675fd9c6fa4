"""README and site: links lead somewhere, examples run, the site builds and needs no network."""

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest

from shortcut_nb.attacks import ATTACKS
from shortcut_nb.metrics import METRICS
from shortcut_nb.personalize import TRAINERS
from shortcut_nb.purify import PURIFIERS

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
# Marks of Markdown that a reader of the site should never see: a formula, code, a link.
MARKS = re.compile(r"\$[^$\n]+\$|`[^`\n]+`|\]\(")
LITERAL = {"code", "pre", "script", "style", "math"}
LOADS = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


def anchors(page):
    """Anchors of headings as code hosts and MkDocs make them."""
    text = FENCE.sub("", page.read_text("utf-8"))
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    named = set(re.findall(r'<a id="([^"]+)"', text))
    return named | {
        re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_of_a_page_lead_to_files_and_headings(page):
    for link in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        assert path.is_file(), f"{page.name} links to {link}"
        if anchor and path.suffix == ".md":
            assert anchor in anchors(path), f"{page.name} links to {link}"


def test_the_map_names_every_package_and_module():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    (chart,) = re.findall(r"^## Where things are\n(.*?)^## ", text, re.DOTALL | re.MULTILINE)
    named = {name.rstrip("/") for name in re.findall(r"`([\w./]+)`", chart)} - {"shortcut_nb"}
    package = ROOT / "shortcut_nb"
    folders = {path.parent.name for path in package.glob("*/*") if path.suffix in (".py", ".yaml")}
    modules = {path.name for path in package.glob("*.py") if not path.name.startswith("_")}
    assert named == folders | modules


def examples():
    code = FENCE.findall((ROOT / "README.md").read_text("utf-8"))
    return [text for language, text in code if language == "python"]


@pytest.mark.slow
def test_the_ten_lines_of_the_readme_run(tmp_path, monkeypatch):
    """As they stand, but for shorter work: fewer rounds, steps and samples."""
    (example,) = examples()
    assert len(example.strip().splitlines()) <= 10
    short = example.replace('eps="16/255")', 'eps="16/255", rounds=1, class_images=4)')
    short = short.replace('prompts="cdl")', 'prompts="cdl", steps=2, class_images=4)')
    short = short.replace("n=16", "n=2")
    assert len(set(short.splitlines()) - set(example.splitlines())) == 3
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(short, "README.md", "exec"), names)
    assert len(names["report"]) == 2 and names["x_pure"].shape == names["x_adv"].shape
    assert any((tmp_path / "learned").rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("page", "registry"),
    [("attacks", ATTACKS), ("purify", PURIFIERS), ("measures", METRICS), ("personalize", TRAINERS)],
)
def test_the_reference_has_every_registered_thing(page, registry):
    text = (ROOT / "docs" / "api" / f"{page}.md").read_text("utf-8")
    documented = set(re.findall(r"^::: (\S+)$", text, re.MULTILINE))
    assert {thing.__module__ for thing in registry.values()} <= documented


def test_commands_of_the_pages_exist():
    from typer.main import get_command

    from shortcut_nb.cli import app

    known = set(get_command(app).commands)
    for page in PAGES:
        for language, text in FENCE.findall(page.read_text("utf-8")):
            if language == "bash":
                used = set(re.findall(r"^shortcut-nb ([\w-]+)", text, re.MULTILINE))
                assert used <= known, (page.name, used - known)
    makefile = (ROOT / "Makefile").read_text("utf-8")
    goals = re.findall(r"^make ([\w-]+)", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert goals and all(re.search(rf"^{goal}:", makefile, re.MULTILINE) for goal in goals)


class Page(HTMLParser):
    """What a page of the site links to, loads, and names."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.names, self.pictures = [], [], set(), []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.names |= {given[key] for key in ("id", "name") if given.get(key)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag == "img":
            self.pictures.append(given.get("alt") or "")
        if tag in LOADS and given.get(LOADS[tag]) and given.get("rel") != "canonical":
            self.loads.append(given[LOADS[tag]])


class Prose(HTMLParser):
    """What a page of the site says outside of code, scripts and formulas."""

    def __init__(self, path):
        super().__init__()
        self.inside, self.text = 0, ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        self.inside += tag in LITERAL

    def handle_endtag(self, tag):
        self.inside -= tag in LITERAL

    def handle_data(self, data):
        if not self.inside:
            self.text += data


def test_a_page_of_a_notebook_leaves_out_the_cell_for_colab_alone():
    nbconvert = pytest.importorskip("nbconvert", reason="pip install 'shortcut-nb[docs]'")
    exporter = nbconvert.MarkdownExporter(
        template_file=str(ROOT / "docs" / "notebook.md.j2"),
        extra_template_basedirs=[str(ROOT / "docs")],
        filters={"without_blank_lines": lambda text: text},
    )
    notebook = nbformat.read(ROOT / "notebooks" / "00_quickstart.ipynb", as_version=4)
    page, _ = exporter.from_notebook_node(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            there = f"```python\n{cell.source}\n```" in page
            assert there != ("bootstrap" in cell.metadata.get("tags", [])), cell.source[:60]
    assert "google.colab" not in page


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built in strict mode: a warning is an error."""
    pytest.importorskip("mkdocs", reason="pip install 'shortcut-nb[docs]'")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    surroundings = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=surroundings)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@pytest.mark.slow
def test_the_site_has_every_page(site):
    for name in ("index", "argument", "how_to", "results", "regime", "consent", "api/index"):
        assert (site / f"{name}.html").is_file(), name
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(notebook.read_text("utf-8"))["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", ())]
        pictures = sum("image/png" in output.get("data", ()) for output in outputs)
        page = Page(site / "notebooks" / f"{notebook.stem}.html")
        assert len(page.pictures) == pictures, notebook.stem
        assert all(len(alt) > 10 for alt in page.pictures), notebook.stem
    assert 'id="shortcut_nb.lab.Lab.attack"' in (site / "api" / "index.html").read_text("utf-8")
    assert "<math" in (site / "argument.html").read_text("utf-8")


@pytest.mark.slow
def test_no_markdown_is_left_raw_on_the_site(site):
    """Folded parts too: Python-Markdown would leave what is in an HTML element as it is."""
    pages = {path: Prose(path) for path in site.rglob("*.html")}
    raw = {path.name: MARKS.findall(page.text) for path, page in pages.items()}
    assert not any(raw.values()), {name: marks for name, marks in raw.items() if marks}
    assert all(page.inside == 0 and len(page.text) > 200 for page in pages.values())
    solution = (site / "notebooks" / "07_contrastive_decoupling.html").read_text("utf-8")
    verdicts, answer = re.findall(r"<details>.*?</details>", solution, re.DOTALL)
    assert "<math" in answer and "<code>" in answer
    assert "<table>" in verdicts and "<th>prediction</th>" in verdicts


@pytest.mark.slow
def test_results_are_to_be_found_from_their_first_page(site):
    """It links to a page for each question, and each page has its sections beside the text."""
    first = site / "results.html"
    pages = sorted((site / "results").glob("*.html"))
    assert len(pages) > 8
    linked = {(site / link.partition("#")[0]).resolve() for link in Page(first).links}
    assert set(map(Path.resolve, pages)) <= linked
    for page in [first, *pages]:
        beside, text = (
            page.read_text("utf-8").partition("md-sidebar--secondary")[2].split("<article", 1)
        )
        sections = re.findall(r'<h[23] id="([^"]+)"', text)
        assert re.findall(r'href="#([^"]+)"', beside) == sections


@pytest.mark.slow
def test_every_internal_link_of_the_site_resolves(site):
    pages = {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}
    assert len(pages) > 20
    for path, page in pages.items():
        for link in page.links + page.loads:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https", "mailto", "data", "javascript"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.exists(), f"{path.name}: {link}"
            if parts.fragment and target in pages and not parts.fragment.startswith("__"):
                names = pages[target].names
                assert unquote(parts.fragment) in names, f"{path.name}: {link}"


@pytest.mark.slow
def test_the_site_loads_nothing_from_elsewhere(site):
    for path in site.rglob("*.html"):
        outside = [load for load in Page(path).loads if urlsplit(load).scheme in ("http", "https")]
        assert not outside, f"{path.name} loads {outside}"
    for path in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?https?:", path.read_text("utf-8")), path.name
