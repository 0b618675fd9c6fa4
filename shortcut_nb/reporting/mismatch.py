"""Shifts beside harms, attack by attack and person by person."""

from __future__ import annotations

import pandas as pd

from ..experiments.experiment import JOIN
from ..experiments.questions.mismatch import INTERVENTIONS, PURIFIED, SCORES
from ..experiments.questions.strength import NOISE
from ..probes.shifts import SHIFTS


def points(frame: pd.DataFrame) -> pd.DataFrame:
    """Shifts beside harms: one row per condition, budget and person, means over seeds.

    Args:
        frame: of a measurement, one row per cell, person, seed and sheet.

    Returns:
        ``condition`` (without its budget), ``eps``, ``subject``, ``kind`` ("attack", "random
        noise", "CLIP shift" or "purified"), the shifts, ``psnr``, and each metric of
        :data:`SCORES` as a harm against clean pictures, above 0 where it is worse.
    """
    own = frame[frame["sheet"] == "instance"]
    numbers = [c for c in ("psnr", "decoded_towards", *SHIFTS, *SCORES) if c in own]
    each = own.groupby(["condition", "eps", "subject"], sort=False)[numbers].mean().reset_index()
    clean = each[each["condition"] == "clean"].set_index("subject")
    rows = each[each["condition"] != "clean"].reset_index(drop=True)
    for metric, (_, sign) in SCORES.items():
        change = rows[metric] - rows["subject"].map(clean[metric])
        rows[metric] = change if sign == "+" else -change
    rows["condition"] = rows["condition"].str.partition(JOIN)[0]
    return rows.assign(kind=rows["condition"].map(kind))


def kind(condition: str) -> str:
    """What sort of pictures a condition trains on."""
    if condition in INTERVENTIONS:
        return "CLIP shift"
    return {PURIFIED: "purified"}.get(condition, "random noise" if condition in NOISE else "attack")
