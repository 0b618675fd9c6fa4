"""What each method teaches, by steps and pictures, and what a training of it costs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ..experiments.experiment import JOIN
from ..experiments.means import by_whose
from ..experiments.measured import Measurement
from ..experiments.questions.methods import METHODS, OWN, SHARES, at

TITLES = {
    "ims_missing": "identity match",
    "quality": "quality",
    "copies": "SSIM to the nearest training picture",
    "diversity": "diversity (CLIP distance)",
    "ims_missing, class": "class prompt: identity match",
    "quality, class": "class prompt: quality",
}


def doses(means: pd.DataFrame) -> pd.DataFrame:
    """Means by method, share of the usual steps and number of pictures, a row per score.

    Args:
        means: ``condition, sheet, metric, mean, low, high, n``.

    Returns:
        ``method, share, pictures`` (NaN: all of set B), ``score`` (of :data:`TITLES`), ``mean, low,
        high, n``.
    """
    table = means.assign(score=by_whose(means))
    table = table[table["score"].isin(list(TITLES))].reset_index(drop=True)
    split = table["condition"].str.split(JOIN, regex=False, expand=True).reindex(columns=range(3))
    dose = {"share": split[1].astype(float), "pictures": pd.to_numeric(split[2])}
    return table.assign(method=split[0], **dose).drop(columns=["condition", "sheet", "metric"])


def shipped_doses(profile: str = "mini", folder: str | Path | None = None) -> pd.DataFrame:
    """:func:`doses` of the shipped measurement.

    Raises:
        MissingFile, CannotRead: see :func:`shortcut_nb.results.read_result`.
    """
    measured = Measurement.read("methods", profile, folder)
    return doses(measured.means(measured.metrics, ["condition", "sheet"]))


def costs(profile: str = "mini", folder: str | Path | None = None) -> pd.DataFrame:
    """One row per method: ``time`` of a training, as a share of DreamBooth's.

    It is that of the longest trainings: usual ones may have been kept from another run, beside
    other work. Seeds may be of different runs, on different machines: shares are taken in each.

    Raises:
        MissingFile, CannotRead: see :func:`shortcut_nb.results.read_result`.
    """
    frame = Measurement.read("methods", profile, folder).frame
    longest = {at(method, f"{max(SHARES):g}"): method for method in METHODS}
    own = frame[frame["condition"].isin(longest)]
    method = own["condition"].map(longest).rename("method")
    seconds = own.groupby(["seed", method], sort=False)["train_seconds"].median().unstack("method")
    return seconds.div(seconds[OWN], axis=0).mean().rename("time").to_frame()
