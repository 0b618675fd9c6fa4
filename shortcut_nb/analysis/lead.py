"""What comes first while a model learns from protected pictures: their texture, or the person?"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

ON_THE_WAY = " at "
"""Stands in a sheet's name before the share of the training after which it was drawn."""


def on_the_way(name: str, share: float) -> str:
    """The sheet of a prompt after a share of the training; at its end the prompt's own name."""
    return name if share == 1 else f"{name}{ON_THE_WAY}{share:.2f}"


def by_share(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with ``share``, of the training, apart from ``sheet``: "own at 0.33", "own"."""
    if "share" in frame:
        return frame
    parts = frame["sheet"].str.partition(ON_THE_WAY)
    share = pd.to_numeric(parts[2].where(parts[1] != "", "1"))
    return frame.assign(sheet=parts[0], share=share)


def steps_of(seen: pd.Series, shares: Iterable[float], total: pd.Series | int) -> pd.Series:
    """The training step at which each look was taken.

    Args:
        seen: the share of each look as its sheet's name has it, in two digits.
        shares: those that were asked for, but for the end.
        total: steps of the whole training.
    """
    exact = {float(f"{share:.2f}"): share for share in (*shares, 1.0)}
    return (seen.map(exact) * total).round().astype(int)


def lead(frame: pd.DataFrame) -> np.ndarray:
    """Each subject's lead of the texture over the person, a third of the way through training.

    The share reached of its final rise: of the V* samples' texture, protected minus clean; less
    that of their identity match, after the same training on protected pictures, over the untrained
    model. A share above 1 has overshot its end. Subjects without a final rise of either are left
    out. The first form of this measure cut shares to [0, 1] and took the person from the training
    on clean pictures; it could hardly be refuted and was replaced after its first result.
    """
    frame = by_share(frame)
    shares = sorted(frame["share"].unique())
    early = min(shares, key=lambda share: abs(share - 1 / 3))
    own = frame[frame["sheet"] == "own"]
    table = own.pivot_table(
        index="subject",
        columns=["condition", "share"],
        values=["texture", "ims_missing"],
        aggfunc="mean",
    )
    needed = {("texture", name, early) for name in ("protected", "clean")}
    needed |= {("ims_missing", "protected", share) for share in (0, early)}
    if early in (0, 1) or not needed <= set(table.columns):
        return np.empty(0)
    texture = table["texture", "protected"] - table["texture", "clean"]
    match = table["ims_missing", "protected"]
    person = match.sub(match[0], axis=0)
    rose = (texture[1] > 0) & (person[1] > 0)
    reached = [(part[early] / part[1])[rose] for part in (texture, person)]
    return (reached[0] - reached[1]).dropna().to_numpy()
