"""The style of every figure, as a context."""

from __future__ import annotations

from contextlib import AbstractContextManager

import matplotlib
import seaborn as sns

from .palette import SEQUENTIAL


def theme() -> AbstractContextManager[None]:
    """The style of all figures, as a context: ``with theme(): ...``. Nothing global changes."""
    settings = sns.plotting_context("notebook") | sns.axes_style("whitegrid")
    settings |= {
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 11,
        "axes.labelsize": 10,
        "legend.frameon": False,
        "image.cmap": SEQUENTIAL,
        "font.family": ["DejaVu Sans"],
        "text.color": "black",
        "axes.labelcolor": "black",
    }
    return matplotlib.rc_context(settings)
