"""How strong each attack is: what it takes of each measure, and whether noise takes less."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ..experiments.measured import Measurement
from ..experiments.questions.strength import NOISE, SCORES, words


def read(profile: str = "mini", folder: str | Path | None = None) -> Measurement:
    """The shipped measurement.

    Raises:
        MissingFile, CannotRead: see :func:`shortcut_nb.results.read_result`.
    """
    return Measurement.read("strength", profile, folder)


def by_attack(measured: Measurement) -> pd.DataFrame:
    """One row per attack, the most harmful first: harm to each measure, and what it cost.

    Returns:
        ``attack``; for each measure of :data:`SCORES` its change against clean training,
        ``x_change``, with ``x_change_low`` and ``x_change_high``; ``beats_noise``: whether in one
        of them it does more harm than *both* noises with an interval that excludes zero (None for
        noise, clean pictures); the other columns' means. That of ``attack_seconds`` is over the
        first seed alone, whose attacks were timed in one run: only such times can be compared.
    """
    judged = measured.verdicts().set_index("contrast")
    rows = []
    own = measured.frame[measured.frame["sheet"] == measured.default_sheet]
    first = own["seed"].min()
    for name, part in own.groupby("condition", sort=False):
        row = {"attack": name, "beats_noise": None} | part[measured.metrics].mean().to_dict()
        if "attack_seconds" in row:
            row["attack_seconds"] = part.loc[part["seed"] == first, "attack_seconds"].mean()
        for metric in SCORES if name != "clean" else ():
            change = judged.loc[words(str(name), metric, "clean")]
            ends = {f"{metric}_change_{end}": change[end] for end in ("low", "high")}
            row |= {f"{metric}_change": change["mean"]} | ends
        if name not in ("clean", *NOISE):
            row["beats_noise"] = any(_beats(judged, str(name), metric) for metric in SCORES)
        rows.append(row)
    return pd.DataFrame(rows).sort_values("quality_change", ignore_index=True)


def _beats(judged: pd.DataFrame, name: str, metric: str) -> bool:
    against = judged.reindex([words(name, metric, noise) for noise in NOISE])["verdict"].dropna()
    measured = against[against != "not measured"]
    return len(measured) > 0 and bool((measured == "confirmed").all())
