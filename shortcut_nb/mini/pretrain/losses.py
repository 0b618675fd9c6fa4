"""Plot what pretraining logged: one panel per model."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import fill

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

from ...plots.layout import PAGE_WIDTH, SMALLEST
from ...plots.style import theme

TITLES = {
    "vae": "autoencoder",
    "text": "text encoder",
    "diffusion": "text to image",
    "ensemble": "second text to image",
    "fine": "upscaler's autoencoder",
    "pixel": "DDSPure's pixel model",
    "identity": "identity encoder",
    "identity-hardened": "encoder that looks through noise",
    "attributes": "trait reader",
    "detector": "face detector",
    "damage": "measure of damage",
    "clip": "CLIP",
    "clip-plain": "CLIP without words for noise",
}
"""What a panel is called, as in the table of the miniature; other models by their own name."""
COLUMNS = 3
DOTS, LINE = "#9CC4E4", "#D55E00"
WIDE = 26  # letters of a title in a line
FEW = 5  # ticks of an axis
ENOUGH = 50  # dots, for a running median to say something


def read(folder: Path) -> pd.DataFrame:
    """All losses logged in a folder: columns ``model``, ``step``, ``loss``, ``seconds``.

    Raises:
        FileNotFoundError: when no model has logged anything there.
    """
    parts = []
    for path in sorted(folder.glob("*.jsonl")):
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
        if rows:
            # A run that was killed logs the steps since its last checkpoint again.
            frame = pd.DataFrame(rows).drop_duplicates("step", keep="last")
            parts.append(frame.assign(model=path.stem))
    if not parts:
        raise FileNotFoundError(f"no losses in {folder}: run `make pretrain` first")
    return pd.concat(parts, ignore_index=True)


def plot(losses: pd.DataFrame) -> Figure:
    """Loss against step at page width: each logged value as a dot, a running median of 25 as a line
    where there are enough of them.
    """
    names = list(dict.fromkeys(losses["model"]))
    rows = -(-len(names) // COLUMNS)
    with theme():
        fig = Figure(figsize=(PAGE_WIDTH, 0.5 + 1.75 * rows), layout="constrained")
        for i, name in enumerate(names):
            axes = fig.add_subplot(rows, COLUMNS, i + 1)
            _panel(axes, losses[losses["model"] == name])
            axes.set_title(fill(TITLES.get(name, name), WIDE), fontsize=SMALLEST)
        fig.supxlabel("training step", fontsize=SMALLEST)
        fig.supylabel("loss (dots; the line is their running median)", fontsize=SMALLEST)
    return fig


def _panel(axes: Axes, part: pd.DataFrame) -> None:
    """The losses of one model."""
    axes.plot(part["step"], part["loss"], ".", color=DOTS, markersize=2.5)
    if len(part) >= ENOUGH:
        smooth = part["loss"].rolling(25, min_periods=1, center=True).median()
        axes.plot(part["step"], smooth, color=LINE)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(FixedLocator(_ticks(part["loss"].min(), part["loss"].max())))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(labelsize=SMALLEST)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between two, a few."""
    for digits in ((1, 1.5, 2, 3, 5), (1, 2, 5), (1,)):
        ticks = [digit * 10**power for power in range(-6, 4) for digit in digits]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) <= FEW:
            break
    return inside
