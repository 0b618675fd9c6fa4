"""A heatmap of a table, with the number in each field."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..analysis.columns import check_columns
from ..errors import UserError
from .layout import PAGE_WIDTH, SMALLEST
from .palette import SEQUENTIAL
from .style import theme

PITCH = 0.34
HEAD = 1.2  # inches above the rows
LOW, HIGH = 0.0, 1.0  # the values of the darkest and of the lightest colour


def matrix_plot(
    table: pd.DataFrame,
    rows: str,
    columns: str,
    panel: str,
    order: Sequence[str] = (),
) -> Figure:
    """Fields of rows and columns at page width, panels side by side that share their rows.

    Args:
        table: one row per field with its ``mean``, in the order in which rows, columns and panels
            are drawn; a field without a row, or without a number, stays empty.
        rows, columns, panel: columns of the table.
        order: of the columns, where it is not the table's; those that it does not name are left
            out.

    Raises:
        UserError: a column that is not there; nothing to draw, or two rows of one field.
    """
    check_columns(table, [rows, columns, panel, "mean"])
    complete = table.dropna(subset=["mean"])
    if complete.empty:
        raise UserError("expected fields to draw, got none")
    if complete.duplicated([rows, columns, panel]).any():
        raise UserError(f"expected one row for each {rows}, {columns} and {panel}, got two")
    names, panels = list(dict.fromkeys(table[rows])), list(dict.fromkeys(complete[panel]))
    with theme():
        fig = Figure((PAGE_WIDTH, HEAD + PITCH * len(names)), layout="constrained")
        axes = fig.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for ax, here in zip(axes, panels, strict=True):
            own = complete[complete[panel] == here]
            fields = own.pivot(index=rows, columns=columns, values="mean")
            across = order or list(dict.fromkeys(table[columns]))
            there = [name for name in across if name in fields]
            _fields(ax, fields.reindex(index=names, columns=there))
            ax.set_title(here, fontsize=SMALLEST + 1)
    return fig


def _fields(ax: Axes, fields: pd.DataFrame) -> None:
    sns.heatmap(
        fields,
        ax=ax,
        vmin=LOW,
        vmax=HIGH,
        cmap=SEQUENTIAL,
        annot=True,
        fmt=".2f",
        annot_kws={"fontsize": SMALLEST},
        linewidths=1.5,
        cbar=False,
    )
    ax.set(xlabel="", ylabel="")
    ax.grid(visible=False)
    ax.tick_params(labelsize=SMALLEST, length=0)
    ax.tick_params(axis="x", rotation=45)
    for name in ax.get_xticklabels():
        name.set(ha="right", rotation_mode="anchor")
    ax.tick_params(axis="y", rotation=0)
