"""Plot what pretraining logged: one panel per model."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from ...plots.style import theme

TITLES = {
    "vae": "autoencoder",
    "text": "text encoder",
    "diffusion": "text to image",
    "ensemble": "second text to image",
    "fine": "upscaler's autoencoder",
    "pixel": "pixel model",
    "identity": "identity encoder",
    "identity-hardened": "identity, through noise",
    "attributes": "trait reader",
    "detector": "face detector",
    "damage": "measure of damage",
    "clip": "CLIP",
    "clip-plain": "CLIP without noise words",
}
"""What a panel is called; other models by their own name."""


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
    """Loss against step: each logged value as a dot, a running median of 25 as a line."""
    names = list(dict.fromkeys(losses["model"]))
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    with theme():
        fig = Figure(figsize=(3 * columns, 2.2 * rows), layout="constrained")
        for i, name in enumerate(names):
            part = losses[losses["model"] == name]
            axes = fig.add_subplot(rows, columns, i + 1)
            axes.plot(part["step"], part["loss"], ".", markersize=2, alpha=0.3)
            smooth = part["loss"].rolling(25, min_periods=1, center=True).median()
            axes.plot(part["step"], smooth)
            axes.set(title=TITLES.get(name, name), xlabel="step", yscale="log")
        fig.supylabel("loss (dots; the line is their running median)")
    return fig
