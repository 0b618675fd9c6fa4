"""Colab: the cell that installs the package where only a notebook's file is, and badges.

Where Colab installs from is named in one place, ``[project.urls]`` of pyproject.toml, under
"Install". ``make badges REPO=owner/name`` writes it there, into every notebook, and badges into the
README: ``python -m shortcut_nb.runner.colab owner/name``.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import nbformat

from ..errors import UserError
from ..files import write_text
from .contents import BOOTSTRAP, cell_metadata, source_digest, write_notebook

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_MARKS = ("<!-- badges -->", "<!-- /badges -->")

CELL = """# Colab has this file alone: install the package, keep its torch. Elsewhere do nothing.
import importlib.metadata
import importlib.util
import os
import subprocess
import sys

PLACE = {place}  # a wheel, a name in an index, or "git+https://...": see `make badges`
if "google.colab" in sys.modules and not importlib.util.find_spec("shortcut_nb"):
    place = os.environ.get("SHORTCUT_NB_INSTALL") or PLACE
    if not place:
        raise RuntimeError(
            "This notebook does not know where to install shortcut_nb from. Put a wheel, a name in "
            'an index or "git+https://github.com/OWNER/NAME" into PLACE above, and run this again.'
        )
    here = {{d.name.lower(): d.version for d in importlib.metadata.distributions() if d.name}}
    kept = [f"{{name}}=={{here[name]}}" for name in ("torch", "torchvision") if name in here]
    with open("keep.txt", "w") as file:
        file.write("\\n".join(kept))
    command = [sys.executable, "-m", "pip", "install", "-q", "-c", "keep.txt", place]
    if subprocess.run(command).returncode:
        raise RuntimeError(f"pip could not install {{place}}; its own words are above.")
    importlib.invalidate_caches()"""


def cell(place: str = "") -> str:
    """The source of the bootstrap cell.

    Args:
        place: what pip installs; "" for none, which the cell says when it is needed.
    """
    return CELL.format(place=json.dumps(place))


def place_of(project: Path) -> str:
    """Where Colab installs from: "Install" in ``[project.urls]`` of a pyproject.toml, or ""."""
    content = tomllib.loads(project.read_text(encoding="utf-8"))
    return str(content["project"].get("urls", {}).get("Install", ""))


def write_cells(folder: Path, place: str) -> None:
    """Put the bootstrap cell into every notebook of a folder; their outputs stay valid."""
    for path in sorted(folder.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        valid = notebook.metadata.get("shortcut_nb", {}).get("source_sha256")
        valid = valid == source_digest(notebook)
        for one in notebook.cells:
            tags = one.metadata.get("tags", [])
            if BOOTSTRAP in tags:
                one.source, one.metadata = cell(place), cell_metadata(tags)
        if valid:  # the cell computes nothing outside of Colab
            notebook.metadata["shortcut_nb"]["source_sha256"] = source_digest(notebook)
        write_notebook(notebook, path)


def badge(repo: str, notebook: str) -> str:
    """Markdown of a badge that opens a notebook of a GitHub repository in Colab."""
    link = f"https://colab.research.google.com/github/{repo}/blob/main/notebooks/{notebook}.ipynb"
    picture = "https://colab.research.google.com/assets/colab-badge.svg"
    return f"[![Open {notebook} in Colab]({picture})]({link})"


def write_badges(root: Path, repo: str) -> None:
    """Write badges, and where Colab installs from, for a repository "owner/name".

    Raises:
        UserError: no such form of a name.
    """
    if not _REPO.fullmatch(repo):
        raise UserError(f"REPO must read owner/name, as on GitHub; got {repo!r}")
    url = f"https://github.com/{repo}"
    names = [path.stem for path in sorted((root / "notebooks").glob("*.ipynb"))]
    links = "\n".join(f"{name} {badge(repo, name)}  " for name in names)
    _edit(root / "pyproject.toml", lambda text: _with_urls(text, url))
    _edit(root / "README.md", lambda text: _with_badges(text, links))
    write_cells(root / "notebooks", place_of(root / "pyproject.toml"))


def _edit(path: Path, change: Callable[[str], str]) -> None:
    write_text(path, change(path.read_text(encoding="utf-8")))


def _with_urls(text: str, url: str) -> str:
    """A pyproject.toml with its ``[project.urls]`` replaced or added."""
    section = f'[project.urls]\nRepository = "{url}"\nInstall = "git+{url}"\n\n'
    rest = re.sub(r"\[project\.urls\]\n(?:[^\[\n].*\n)*\n?", "", text)
    return rest.replace("[project.scripts]", section + "[project.scripts]", 1)


def _with_badges(text: str, links: str) -> str:
    """A README with the lines between its two marks replaced."""
    first, last = _MARKS
    if first not in text or last not in text:
        raise UserError(f"README.md must have the lines {first} and {last}: badges go between them")
    before, _, rest = text.partition(first)
    return f"{before}{first}\n{links}\n{last}{rest.partition(last)[2]}"


def main(words: list[str]) -> None:
    """``python -m shortcut_nb.runner.colab owner/name``, in a clone of the repository."""
    if len(words) != 1:
        raise SystemExit("say which repository: make badges REPO=owner/name")
    try:
        write_badges(Path.cwd(), words[0])
    except UserError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main(sys.argv[1:])
