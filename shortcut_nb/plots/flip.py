"""A slider that switches between figures; all are drawn before, nothing is computed then."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from ..errors import UserError
from .figures import DPI


def flip_book(pages: Mapping[str, Figure], name: str, start: str | None = None) -> Any:
    """A slider with one stop per figure, and the figure below it.

    Without a kernel it does not move and is not kept: show a still figure of the same beside it.

    Args:
        pages: the slider's stops, in order, to what is shown there.
        name: what the slider sets, in a word or two.
        start: the stop shown first; None is the last.

    Returns:
        An ipywidgets box: a SelectionSlider above an Image.

    Raises:
        UserError: no pages, or a start that is none of them.
    """
    import ipywidgets

    stops = list(pages)
    start = stops[-1] if start is None and stops else start
    if start is None or start not in pages:
        raise UserError(f"expected the stop to begin with among {stops}; got {start!r}")
    drawn = {stop: _png(page) for stop, page in pages.items()}
    slider = ipywidgets.SelectionSlider(
        options=stops, value=start, description=name, style={"description_width": "initial"}
    )
    image = ipywidgets.Image(value=drawn[start], format="png", layout={"max_width": "100%"})

    def turn(change: Mapping[str, Any]) -> None:
        image.value = drawn[change["new"]]

    slider.observe(turn, names="value")
    return ipywidgets.VBox([slider, image])


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=DPI)
    return out.getvalue()
