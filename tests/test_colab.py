"""Colab: only a notebook's file is there, and the first cell brings the rest."""

import json
import os
import subprocess
import sys
import sysconfig
import textwrap
import tomllib
import venv
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
import torch

from shortcut_nb.errors import UserError
from shortcut_nb.runner.colab import cell, place_of, write_badges
from shortcut_nb.runner.contents import source_digest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def code_cells(path):
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_every_notebook_starts_with_the_same_cell(path):
    first = code_cells(path)[0]
    assert first.metadata == {"tags": ["bootstrap"], "jupyter": {"source_hidden": True}}
    assert first.source == cell(place_of(ROOT / "pyproject.toml"))


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """A Python in which everything is installed but this package, and a stub of Colab's own."""
    home = tmp_path_factory.mktemp("colab")
    venv.create(home / "env", symlinks=True)
    python = home / "env" / "bin" / "python"
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout
    installed = home / "installed"
    installed.mkdir()
    for package in Path(sysconfig.get_path("purelib")).iterdir():
        # An editable install leaves the notebooks in a folder of this package's name.
        if "shortcut_nb" not in package.name:
            (installed / package.name).symlink_to(package)
    Path(site.strip(), "installed.pth").write_text(str(installed))
    stub = Path(site.strip(), "google", "colab")
    stub.mkdir(parents=True)
    (stub / "__init__.py").write_text("")
    (stub / "files.py").write_text("def upload():\n    return {}\n")
    (home / "work").mkdir()
    return home


def run_cells(home, sources, **environment):
    """Run cells one after the other, as Colab would, in an empty folder."""
    joined = "\n".join(["import google.colab", *sources])
    surroundings = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    surroundings |= {"MPLBACKEND": "agg", "SHORTCUT_NB_CACHE": str(home / "store"), **environment}
    return subprocess.run(
        [home / "env" / "bin" / "python", "-c", joined], cwd=home / "work", env=surroundings,
        capture_output=True, text=True,
    )  # fmt: skip


def test_without_a_place_the_cell_says_what_to_do(clean):
    done = run_cells(clean, [cell("")])
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("RuntimeError: This notebook does not know where to install")
    assert "git+https://github.com/OWNER/NAME" in last and "PLACE" in last


def test_a_place_that_cannot_be_installed_is_named(clean):
    done = run_cells(clean, [cell("./no-such-file.whl")])
    assert (
        done.stderr.strip().splitlines()[-1].startswith("RuntimeError: pip could not install ./no")
    )


def test_outside_of_colab_it_does_nothing():
    done = subprocess.run([sys.executable, "-c", cell("")], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = out.glob("*.whl")
    return built


REPORT = textwrap.dedent(
    """
    import json
    import shortcut_nb, torch
    print(json.dumps([shortcut_nb.__file__, torch.__version__, open("keep.txt").read()]))
    """
)


@pytest.mark.slow
def test_the_first_cells_run_where_only_the_notebook_is(clean, wheel):
    cells = [c.source for c in code_cells(ROOT / "notebooks" / "00_quickstart.ipynb")[:3]]
    done = run_cells(clean, [*cells, REPORT], SHORTCUT_NB_INSTALL=str(wheel))
    assert done.returncode == 0, done.stderr
    place, version, kept = json.loads(done.stdout.strip().splitlines()[-1])
    assert place.startswith(str(clean / "env"))
    assert version == torch.__version__
    assert f"torch=={metadata.version('torch')}" in kept.splitlines()
    assert not list((clean / "env").rglob("site-packages/torch"))  # Colab's own is still used


@pytest.mark.slow
def test_the_whole_quickstart_runs_where_only_the_notebook_is(clean, wheel, notebooks_store):
    cells = code_cells(ROOT / "notebooks" / "00_quickstart.ipynb")
    # What it trains is what it trains elsewhere, so that the quickstart's own test finds it.
    surroundings = {"SHORTCUT_NB_INSTALL": str(wheel), "SHORTCUT_NB_CACHE": notebooks_store}
    done = run_cells(clean, [c.source for c in cells], **surroundings)
    assert done.returncode == 0, done.stderr
    assert "quickstart_teaser.png" in {path.name for path in (clean / "work").rglob("*.png")}


def test_badges_are_written_in_every_place_and_outputs_stay_valid(tmp_path):
    (tmp_path / "notebooks").mkdir()
    for path in [ROOT / "pyproject.toml", ROOT / "README.md", *NOTEBOOKS]:
        (tmp_path / path.relative_to(ROOT)).write_bytes(path.read_bytes())
    for repo in ("first/one", "some-one/a.repo"):  # a second time replaces the first
        write_badges(tmp_path, repo)
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())
    before = tomllib.loads((ROOT / "pyproject.toml").read_text())
    urls = project["project"].pop("urls")
    before["project"].pop("urls", None)
    assert project == before
    assert urls["Install"] == "git+https://github.com/some-one/a.repo"
    readme = (tmp_path / "README.md").read_text()
    assert readme.count("colab-badge.svg") == len(NOTEBOOKS)
    link = (
        "colab.research.google.com/github/some-one/a.repo/blob/main/notebooks/00_quickstart.ipynb"
    )
    assert link in readme and "first/one" not in readme
    for path in NOTEBOOKS:
        copy, own = (
            nbformat.read(p, as_version=4) for p in (tmp_path / "notebooks" / path.name, path)
        )
        assert 'PLACE = "git+https://github.com/some-one/a.repo"' in copy.cells[1].source
        digests = [n.metadata.shortcut_nb.get("source_sha256") for n in (copy, own)]
        assert (digests[0] == source_digest(copy)) == (digests[1] == source_digest(own))
    with pytest.raises(UserError, match="owner/name"):
        write_badges(tmp_path, "nonsense")


def test_the_cell_is_formatted_as_the_repository_is(tmp_path):
    for place in ("", "git+https://github.com/a/b"):
        (tmp_path / "cell.py").write_text(cell(place) + "\n")
        command = [sys.executable, "-m", "ruff", "format", "--check", "--line-length", "100"]
        assert subprocess.run([*command, str(tmp_path / "cell.py")]).returncode == 0
