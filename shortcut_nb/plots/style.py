"""One look for every figure: a colour and a marker per condition, readable without colour."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

import matplotlib
import seaborn as sns


class Look(NamedTuple):
    """How a condition is drawn; never told apart by colour alone."""

    color: str
    marker: str
    dash: object


OKABE_ITO = {
    "black": "#000000",
    "orange": "#E69F00",
    "green": "#009E73",
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "yellow": "#F0E442",
}
"""The palette of Okabe and Ito (2008), made for all kinds of colour vision.

The first four differ by more than 11 in lightness (CIELAB), so that they survive grey printing.
"""

_MARKERS = ("o", "X", "s", "D", "^", "v", "P", "*")
_DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
LOOKS = tuple(
    Look(color, marker, dash)
    for color, marker, dash in zip(OKABE_ITO.values(), _MARKERS, _DASHES, strict=True)
)
CONDITIONS = (
    "clean",
    "protected",
    "purified",
    "cdl",
    "random noise",
    "prior",
    "purified + cdl",
)
"""The conditions of the collection: each has one look in every figure."""

SEQUENTIAL = "viridis"
DIVERGING = "RdBu_r"


def looks(conditions: Sequence[str]) -> dict[str, Look]:
    """A look for each condition, in order of first mention.

    Conditions of the collection always get their own; other names take what is left over.
    Raises ValueError for more than eight: split the figure.
    """
    wanted = list(dict.fromkeys(conditions))
    if len(wanted) > len(LOOKS):
        raise ValueError(
            f"at most {len(LOOKS)} conditions can be told apart, got {len(wanted)}: "
            "split the figure into panels"
        )
    fixed = dict(zip(CONDITIONS, LOOKS, strict=False))
    taken = {fixed[name] for name in wanted if name in fixed}
    free = iter(look for look in LOOKS if look not in taken)
    return {name: fixed[name] if name in fixed else next(free) for name in wanted}


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
