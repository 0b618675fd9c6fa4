"""Four ways to teach a model a person: what is learned, what becomes of the class, how many steps
and pictures it takes. On clean pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from ...profile import Profile
from ..contrasts import Contrast
from ..experiment import JOIN, Cell, Experiment
from ..measured import Measurement, by_whose

# A method's name here: the trainer and its settings.
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "dreambooth": ("dreambooth", {}),
    "dreambooth, no prior": ("dreambooth", {"prior_weight": 0.0}),
    "dreambooth-lora": ("dreambooth-lora", {}),
    "textual-inversion": ("textual-inversion", {}),
    "custom-diffusion": ("custom-diffusion", {}),
}
OWN, BARE = "dreambooth", "dreambooth, no prior"
SHARES = (0.0, 0.25, 0.5, 1.0, 2.0)  # of the usual steps
COUNTS = (1, 2, 4, 8)  # pictures
SPOILT = 0.05  # a loss of the class's quality that would matter
TITLES = {
    "ims_missing": "identity match",
    "quality": "quality",
    "copies": "likeness to the nearest training picture (SSIM)",
    "diversity": "diversity (CLIP distance)",
    "ims_missing, class": "class prompt: identity match",
    "quality, class": "class prompt: quality",
}


def cell_of(method: str, profile: Profile, share: float = 1.0, pictures: int | None = None) -> Cell:
    """A method at a share of its usual steps, on so many pictures (None: all of set B)."""
    trainer, own = METHODS[method]
    usual = profile.defaults.get(trainer, {}).get("steps", 1000)
    training = own if share == 1 else own | {"steps": round(share * usual)}
    return Cell(trainer=trainer, training=training, pictures=pictures)


def cells(profile: Profile) -> dict[str, Cell]:
    """Every method after more and more steps; DreamBooth on fewer and more pictures."""
    curves = {
        f"{method}{JOIN}{share:g}": cell_of(method, profile, share)
        for method in METHODS
        for share in SHARES
    }
    counts = {f"{OWN}{JOIN}1{JOIN}{n}": cell_of(OWN, profile, pictures=n) for n in COUNTS}
    return curves | counts


def _at(method: str, share: str = "1") -> str:
    return f"{method}{JOIN}{share}"


def contrasts() -> list[Contrast]:
    """What a method teaches, what prior preservation keeps, and whether the steps are enough."""
    predictions = []
    for method in METHODS:
        after = _at(method)
        learns = {after: 1, _at(method, "0"): -1}
        predictions += [
            Contrast(f"{method} learns the person", "ims_missing", learns, primary=method == OWN),
            Contrast(f"{method} goes on learning", "ims_missing", {_at(method, "2"): 1, after: -1}),
            Contrast(
                f"{method} keeps the class good", "quality", learns, "class", "0", margin=SPOILT
            ),
        ]
        if method != OWN:
            words = f"{method} learns more than DreamBooth"
            predictions.append(Contrast(words, "ims_missing", {after: 1, _at(OWN): -1}))
    prior = {_at(OWN): 1, _at(BARE): -1}
    one = {f"{_at(OWN)}{JOIN}1": 1, _at(OWN): -1}
    return [
        *predictions,
        Contrast("prior preservation keeps the class another", "ims_missing", prior, "class", "-"),
        Contrast("prior preservation keeps the class good", "quality", prior, "class"),
        Contrast("prior preservation costs the person", "ims_missing", prior, expect="-"),
        Contrast("one picture is copied", "copies", one),
        Contrast("one picture teaches less", "ims_missing", one, expect="-"),
    ]


def experiment(profile: Profile) -> Experiment:
    """Clean training by every method."""
    return Experiment(
        name="methods",
        question="What does each method learn of a person, and what does it do to the class?",
        cells=cells(profile),
        contrasts=tuple(contrasts()),
        n=4,
    )


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

    It is that of the longest trainings, which a run makes one after the other: usual ones may have
    been kept from another run, beside other work.

    Raises:
        MissingFile, CannotRead: see :func:`shortcut_nb.results.read_result`.
    """
    frame = Measurement.read("methods", profile, folder).frame
    longest = {_at(method, f"{max(SHARES):g}"): method for method in METHODS}
    own = frame[frame["condition"].isin(longest)]
    seconds = own.groupby(own["condition"].map(longest), sort=False)["train_seconds"].median()
    return (seconds / seconds[OWN]).rename("time").rename_axis("method").to_frame()
