"""shortcut_nb: why a small change to a few photos ruins a personalised model, and its undoing.

``Lab`` is the way in; see the README and ``notebooks/00_quickstart.ipynb``. It is imported when
first asked for, so that light uses (``shortcut-nb --help``) do not load torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .budget import Budget
    from .lab import Lab
    from .subjects import Subject

__version__ = "0.1.0"
__all__ = ["Budget", "Lab", "Subject", "__version__"]


def __getattr__(name: str) -> Any:
    import warnings
    from importlib import import_module

    # tqdm's, in a notebook without ipywidgets: its bars are text then, which is what is wanted.
    warnings.filterwarnings("ignore", message="IProgress not found")
    homes = {"Budget": ".budget", "Lab": ".lab", "Subject": ".subjects"}
    if name not in homes:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(homes[name], __name__), name)
