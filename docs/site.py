"""What MkDocs shows from outside of docs/: the README, the notebooks, figures, and linked files.

The same pages are read on a code host, where links lead to files of the repository. Here each such
link is sent to the page or the copy that the site has of it.
"""

from __future__ import annotations

import functools
import html
import posixpath
import re
from collections.abc import Callable
from pathlib import Path

import latex2mathml.converter
import nbconvert
import nbformat
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"(\]\()([^)\s]+)(\))|(<img[^>]*\ssrc=\")([^\"]+)(\")")
MATH = re.compile(r'<(span|div) class="arithmatex">(.*?)</\1>', re.DOTALL)
ROLE = re.compile(r":(?:class|func|meth|data|attr|mod|exc):\s*<code>[~.]*")
CODE = re.compile(r"(^```.*?^```[^\n]*$)", re.DOTALL | re.MULTILINE)
FOLD = re.compile(r"^<details>", re.MULTILINE)
SECTION = "Argument"
WIDE = "---\nhide: [navigation]\n---\n\n"  # a column of links with one entry is left out
# A page of the site to the file of the repository that it is made of.
PAGES = {"index.md": "README.md", "contributing.md": "CONTRIBUTING.md"}


def on_config(config):  # noqa: ANN001, ANN201
    """Put pages of docs/ that the navigation does not name at the end of its first section."""
    named = set(pages_of(config.nav))
    docs = ROOT / "docs"
    pages = [path.relative_to(docs).as_posix() for path in sorted(docs.rglob("*.md"))]
    others = [page for page in pages if page not in named]
    section = next(entry for entry in config.nav if SECTION in entry)
    section[SECTION] += others
    return config


def pages_of(nav) -> list[str]:  # noqa: ANN001
    """Every page that a navigation names."""
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [page for part in parts for page in pages_of(part)]


def on_files(files, config):  # noqa: ANN001, ANN201
    """Add pages and pictures; those that a page links to are added when it is read."""
    for page, source in PAGES.items():
        text = moved((ROOT / source).read_text("utf-8"), source, page, files, config)
        text = WIDE + text if page == "index.md" else text
        files.append(File.generated(config, page, content=text))
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        add_notebook(path, files, config)
    for file in list(files.documentation_pages()):
        source = f"docs/{file.src_uri}"
        if (ROOT / source).is_file():
            text = moved((ROOT / source).read_text("utf-8"), source, file.src_uri, files, config)
            files.remove(file)
            files.append(File.generated(config, file.src_uri, content=text))
    return files


def add_notebook(path: Path, files, config) -> None:  # noqa: ANN001
    """A notebook as a page in Markdown, and its pictures beside it."""
    exporter = nbconvert.MarkdownExporter(
        template_file=str(ROOT / "docs" / "notebook.md.j2"),
        extra_template_basedirs=[str(ROOT / "docs")],
        filters={"without_blank_lines": without_blank_lines},
    )
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
    notebook = nbformat.read(path, as_version=4)
    folder = f"{path.stem}_files"
    about = {"unique_key": path.stem, "output_files_dir": folder}
    text, resources = exporter.from_notebook_node(notebook, about)
    page = f"notebooks/{path.stem}.md"
    text = moved(text, f"notebooks/{path.name}", page, files, config, skip=folder)
    files.append(File.generated(config, page, content=text))
    for name, content in resources["outputs"].items():
        files.append(File.generated(config, f"notebooks/{name}", content=content))


def moved(text: str, source: str, page: str, files, config, skip: str = "\0") -> str:  # noqa: ANN001
    """A page's text with links to files of the repository sent to where the site has them.

    Args:
        source: where the text lies in the repository; its links are relative to that.
        page: where it will lie in the site.
        skip: links that begin so are left alone.

    Raises:
        PluginError: a link to a file that there is not.
    """

    def one(match: re.Match) -> str:
        before, link, after = (part for part in match.groups() if part is not None)
        target, sharp, anchor = link.partition("#")
        if not target or "://" in target or target.startswith(("mailto:", "data:", skip)):
            return match[0]
        wanted = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        place = placed(wanted, source, files, config)
        start = posixpath.dirname(page) or "."
        return f"{before}{posixpath.relpath(place, start)}{sharp}{anchor}{after}"

    return outside_code(text, functools.partial(LINK.sub, one))


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """A text with a change made everywhere but in its fenced code, which shows what it shows."""
    parts = CODE.split(text)
    return "".join(part if i % 2 else change(part) for i, part in enumerate(parts))


def placed(wanted: str, source: str, files, config) -> str:  # noqa: ANN001
    """Where the site has a file of the repository; it is copied when it is no page."""
    for page, origin in PAGES.items():
        if wanted == origin:
            return page
    path = ROOT / wanted
    if wanted.startswith("docs/") and path.suffix in (".md", ".css"):
        return wanted.removeprefix("docs/")
    if wanted.startswith("notebooks/") and path.suffix == ".ipynb":
        return str(Path(wanted).with_suffix(".md"))
    if not path.is_file():
        raise PluginError(f"{source} links to {wanted}, which is not there")
    # A page in Markdown from elsewhere, or a program, is shown as it is.
    place = wanted if path.suffix in (".png", ".json", ".csv") else f"{wanted}.txt"
    if files.get_file_from_path(place) is None:
        files.append(File.generated(config, place, abs_src_path=str(path)))
    return place


def without_blank_lines(text: str) -> str:
    """HTML that Markdown takes as one block."""
    return re.sub(r"\n\s*\n", "\n", text)


def on_page_markdown(markdown, page, config, files):  # noqa: ANN001, ANN201
    """Folded parts are read as Markdown.

    Code hosts and Jupyter do so by themselves. Python-Markdown leaves what is in an HTML element as
    it is, with raw formulas and links that lead nowhere, unless the element asks for it.
    """
    return outside_code(markdown, functools.partial(FOLD.sub, '<details markdown="1">'))


def on_page_content(text, page, config, files):  # noqa: ANN001, ANN201
    """Formulas as MathML, which browsers draw by themselves; names in docstrings without roles."""
    text = ROLE.sub("<code>", text)
    return MATH.sub(lambda match: mathml(match[2], match[1] == "div"), text)


@functools.cache
def mathml(source: str, block: bool) -> str:
    """A formula in MathML, from arithmatex's ``\\(…\\)`` or ``\\[…\\]``."""
    formula = html.unescape(source).strip().removeprefix("\\(").removeprefix("\\[")
    formula = formula.removesuffix("\\)").removesuffix("\\]").strip()
    display = "block" if block else "inline"
    return latex2mathml.converter.convert(formula, display=display)
