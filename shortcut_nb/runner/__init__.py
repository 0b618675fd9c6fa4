"""Notebooks through papermill: parameters in; an executed copy and its figures out."""

from .parameters import check_parameters
from .places import all_notebooks, find_notebook
from .run import NotebookFailed, NotebookRun, run_notebook

__all__ = [
    "NotebookFailed",
    "NotebookRun",
    "all_notebooks",
    "check_parameters",
    "find_notebook",
    "run_notebook",
]
