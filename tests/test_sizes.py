"""The repository stays small enough to clone and to read."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK, TREE = 1.5e6, 60 * 2**20


def too_large(paths, limit):
    return {path.name: path.stat().st_size for path in paths if path.stat().st_size >= limit}


def test_executed_notebooks_are_under_a_megabyte_and_a_half():
    notebooks = list((ROOT / "notebooks").glob("*.ipynb"))
    assert notebooks and not too_large(notebooks, NOTEBOOK)


def test_the_check_itself_can_fail(tmp_path):
    large = tmp_path / "large.ipynb"
    large.write_bytes(b" " * int(NOTEBOOK))
    assert too_large([large], NOTEBOOK) == {"large.ipynb": int(NOTEBOOK)}


def test_the_tracked_tree_is_under_sixty_mebibytes():
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    files = [ROOT / name.decode() for name in done.stdout.split(b"\0") if name]
    size = sum(path.stat().st_size for path in files if path.is_file())
    assert 10 * 2**20 < size < TREE, f"{size / 2**20:.1f} MiB"
