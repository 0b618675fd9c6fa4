"""Power spectra as small multiples, each against the same reference."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from ..errors import UserError
from .palette import Look, looks
from .style import theme


def spectrum_plot(
    frame: pd.DataFrame,
    by: str = "condition",
    reference: str | None = None,
    columns: int = 5,
    style: Mapping[str, Look] | None = None,
) -> Figure:
    """One panel per condition: power against frequency, logarithmic, with the reference behind.

    Args:
        frame: what :func:`shortcut_nb.analysis.spectrum.spectrum` gives, with a column ``by``.
        reference: the condition drawn into every panel, dashed; it has no panel of its own.
        style: looks of conditions that are to be drawn in other than their own.

    Raises:
        UserError: when there is nothing to draw, or no such reference.
    """
    frame = frame[frame["power"] > 0]  # the lowest bin may hold the mean alone: no power
    names = [name for name in dict.fromkeys(frame[by]) if name != reference]
    if not names or (reference is not None and reference not in set(frame[by])):
        raise UserError(f"expected conditions and the reference {reference!r} in column {by!r}")
    columns = min(columns, len(names))
    rows = -(-len(names) // columns)
    with theme():
        fig = Figure((2.0 * columns, 1.7 * rows + 0.4), layout="constrained")
        axes = fig.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for ax, name in zip(axes.flat, names, strict=False):
            own = (style or {}).get(name) or looks([name])[name]
            if reference is not None:
                behind = looks([reference])[reference]
                part = frame[frame[by] == reference]
                ax.plot(
                    part["frequency"],
                    part["power"],
                    color=behind.color,
                    linestyle="--",
                    linewidth=1.2,
                    label=reference,
                )
            part = frame[frame[by] == name]
            ax.plot(part["frequency"], part["power"], color=own.color, linewidth=1.5)
            ax.set(yscale="log")
            ax.set_title(name, fontsize=9)
        for ax in axes.flat[len(names) :]:
            ax.set_visible(False)
        if reference is not None:
            axes.flat[0].legend(fontsize=8)
        fig.supxlabel("cycles per pixel", fontsize=10)
        fig.supylabel("power", fontsize=10)
    return fig
