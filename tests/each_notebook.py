"""The notebooks as parameters of a test; each may run in a worker of its own."""

import pytest

from shortcut_nb.runner import all_notebooks


def each_notebook(name: str) -> list:
    """One parameter a notebook.

    Args:
        name: of the test, so that a notebook's other tests need not run in the same worker.
    """
    return [
        pytest.param(path, id=path.stem, marks=pytest.mark.xdist_group(f"{name} {path.stem}"))
        for path in all_notebooks()
    ]
