"""The shipped numbers behind the figures, findings and tables of the pages, a frame a question."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from ..experiments.experiment import JOIN
from ..experiments.means import ends_of
from ..experiments.measured import Measurement
from ..experiments.questions import decoupling, strength, words
from ..plots.palette import FAMILY_OF
from . import display, mismatch, purification
from .shipped import shipped
from .strength import by_attack, read
from .summary import Summary, summary

ENDS = ["mean", "low", "high"]
ATTACK, CONTROL = "attack", "random noise"
TREATMENTS = {
    "clean": display.CLEAN,
    "random noise": display.NOISE,
    "protected": display.after("aspl"),
    "cdl": display.after("aspl", display.CDL),
    "purified": display.after("aspl", display.PURIFIERS["restorer"]),
    "purified + cdl": display.after("aspl", display.PURIFIERS["restorer"], display.CDL),
}
"""What each treatment of the question ``story`` is called."""


def attacks() -> pd.DataFrame:
    """One row per attack and noise, the most harmful first.

    Returns:
        ``attack`` (as the registry or a question has it), ``name`` (of :data:`.display.ATTACKS`),
        ``group`` (attack or random noise), ``family``; ``quality`` and ``clean``: mean quality of
        V* samples after it and after clean training; ``fall`` of quality with ``low`` and ``high``;
        ``psnr`` (dB), ``shift`` (CLIP, towards noise), ``beats_noise``.
    """
    frame = by_attack(read())
    clean = frame.loc[frame["attack"] == "clean", "quality"].iloc[0]
    frame = frame[frame["attack"] != "clean"]
    variants = {name: attack for name, (attack, _) in strength.VARIANTS.items()}
    table = pd.DataFrame(
        {
            "attack": frame["attack"],
            "name": frame["attack"].replace(display.ATTACKS),
            "group": frame["attack"].isin(strength.NOISE).map({True: CONTROL, False: ATTACK}),
            "family": frame["attack"].replace(variants).map(FAMILY_OF),
            "quality": frame["quality"],
            "clean": clean,
            "fall": -frame["quality_change"],
            "low": -frame["quality_change_high"],
            "high": -frame["quality_change_low"],
            "psnr": frame["psnr"],
            "shift": frame["shift_projection"],
            "beats_noise": frame["beats_noise"],
        }
    )
    return table.sort_values("fall", ascending=False, ignore_index=True)


def shifts_and_harms() -> pd.DataFrame:
    """Every attack's shifts beside its harms, person by person, at the common budget; see
    :func:`.mismatch.points`."""
    rows = mismatch.points(Measurement.read("mismatch").frame)
    return rows[rows["eps"] == strength.EPS]


def behind() -> pd.DataFrame:
    """:func:`attacks` with a column ``seen``: the shift towards noise in what the model sees."""
    seen = shifts_and_harms().groupby("condition")["decoded_towards"].mean()
    return attacks().assign(seen=lambda table: table["attack"].map(seen))


def treatments() -> pd.DataFrame:
    """Quality of V* samples after each treatment: ``name, condition, eps, mean, low, high, n``."""
    kept = summary("story")
    counts = kept.means.groupby("condition")["n"].max().rename("n")
    table = mean_low_high(kept.wide(["quality"], "instance"), "quality").join(
        counts, on="condition"
    )
    table[["condition", "eps"]] = table["condition"].str.split(JOIN, expand=True, regex=False)
    table = table[table["condition"].isin(TREATMENTS)]
    table = table.assign(name=table["condition"].map(TREATMENTS), group=table["condition"])
    table = in_order(table, list(TREATMENTS.values()).index)
    return table[["name", "condition", "eps", *ENDS, "n", "group"]]


def harms_by_word(score: str = "texture") -> pd.DataFrame:
    """Rise of texture (or fall of another score) of V* and of class samples, the largest first.

    Returns:
        ``name, group`` ("V*", "class" or "V* − class"), ``mean, low, high, verdict``.
    """
    frame = pd.DataFrame(shipped("identifier")["rows"])
    own = frame[frame["score"] == score].rename(columns={"whose": "group"})
    own["name"] = own["attack"].replace(display.ATTACKS)
    first = own[own["group"] == "V*"].set_index("name")["mean"]
    return in_order(own, first, falling=True)[["name", "group", *ENDS, "verdict"]]


def purifiers(kept: Summary | None = None) -> pd.DataFrame:
    """What is still missing of quality and identity after each purifier, the best first.

    Args:
        kept: None is the shipped measurement of the miniature.

    Returns:
        ``name, family`` (of :func:`.purification.family`), ``attack, score`` ("quality" or
        "identity match"), ``mean, low, high`` (against training on clean pictures; 0 is nothing
        missing), ``likeness`` (cosine of the purified pictures to the clean).
    """
    frame = purification.table(kept or summary("purification")).rename(columns={"purifier": "name"})
    scores = {"quality_left": "quality", "ims_missing_left": "identity match"}
    parts = [mean_low_high(frame, column).assign(score=score) for column, score in scores.items()]
    table = pd.concat(parts)
    quality = table[table["score"] == "quality"].groupby("name")["mean"].mean()
    table = in_order(table, quality, falling=True)
    table["family"] = table["name"].map(purification.family)
    table["name"] = table["name"].replace(display.PURIFIERS)
    return table[["name", "family", "attack", "score", *ENDS, "likeness"]]


def pieces(score: str = "quality") -> pd.DataFrame:
    """A score with CDL's pieces, text encoder trained and frozen, from the weakest to the best.

    Returns:
        ``name``, ``group`` ("clean photos" or "protected photos"), ``mean, low, high``.
    """
    wide = mean_low_high(summary("words").wide([score]), score).set_index(["condition", "sheet"])
    rows = []
    for name, (training, sheet) in words.ROWS.items():
        for kind in words.PICTURES:
            own = wide.loc[(f"{training}{JOIN}{kind}", sheet), ENDS]
            rows.append({"name": name, "group": f"{kind.partition(' ')[0]} photos"} | own.to_dict())
    table = pd.DataFrame(rows)
    return in_order(table, table[table["group"] != "clean photos"].set_index("name")["mean"])


def by_text_rate() -> pd.DataFrame:
    """DreamBooth and CDL on protected and on clean photos by the text encoder's rate.

    Returns:
        ``rate`` (a share of the usual one), and a column "SCORE, METHOD, PHOTOS" with intervals for
        quality and identity match, e.g. "quality, CDL, protected".
    """
    scores = {"quality": "quality", "ims_missing": "identity"}
    wide = summary("words").wide(list(scores)).set_index(["condition", "sheet"])
    methods = {"DreamBooth": "plain", "CDL": "without"}
    rows = []
    for rate, trainings in words.BY_RATE.items():
        row: dict[str, Any] = {"rate": rate}
        for kind in words.PICTURES:
            for training, (method, sheet) in zip(trainings, methods.items(), strict=True):
                own = wide.loc[(f"{training}{JOIN}{kind}", sheet)]
                for score, title in scores.items():
                    row |= _with_ends(own, score, f"{title}, {method}, {kind.partition(' ')[0]}")
        rows.append(row)
    return pd.DataFrame(rows)


def captions(score: str = "quality", kept: Summary | None = None) -> pd.DataFrame:
    """A score of V* samples by what the photos were said to show in training.

    Args:
        kept: None is the shipped measurement of the miniature.

    Returns:
        ``name``, ``group`` ("clean photos" or "protected photos"), ``mean, low, high``; what was
        not measured is left out.
    """
    wide = _of_sheet(score, "plain", kept)
    rows = [
        {"name": name, "group": f"{kind.partition(' ')[0]} photos"}
        | wide.loc[f"{kind}{JOIN}{training}", ENDS].to_dict()
        for name, training in decoupling.SAYS.items()
        for kind in ("clean", decoupling.HARD)
        if f"{kind}{JOIN}{training}" in wide.index
    ]
    return pd.DataFrame(rows)


def variants() -> pd.DataFrame:
    """Identity match on protected photos after CDL, and after each addition to it, of the people in
    whom all were measured. Quality is not here: it is as good as 1 after each.

    Returns:
        ``name, group, mean, low, high, n``; the one that keeps the person best comes first.
    """
    titles = {"cdl": display.CDL, **{name: name for name in decoupling.VARIANTS}}
    cells = {f"{decoupling.HARD}{JOIN}{name}": title for name, title in titles.items()}
    measured = Measurement.read("decoupling").shared(list(cells))
    table = measured.means(["ims_missing"], ["condition"], "suffix-negative")
    table = table.assign(name=table["condition"].map(cells), group="cdl")
    alike = table.set_index("name")["mean"]
    return in_order(table, alike, falling=True)[["name", "group", *ENDS, "n"]]


def _of_sheet(score: str, sheet: str, kept: Summary | None = None) -> pd.DataFrame:
    """A score of a sheet of the question ``decoupling``, by condition."""
    wide = (kept or summary("decoupling")).wide([score], sheet)
    return mean_low_high(wide, score).set_index("condition")


def guidance(means: pd.DataFrame) -> pd.DataFrame:
    """Means by guidance scale after DreamBooth and CDL on protected pictures, for a curve.

    Args:
        means: of :meth:`.measured.Measurement.means`, by condition and sheet.
    """
    scales = {decoupling.sheet_of(scale): scale for scale in decoupling.GUIDANCE}
    table = means[means["metric"].isin(list(decoupling.SIGNS))]
    named = {f"{decoupling.HARD}{JOIN}plain": "DreamBooth", f"{decoupling.HARD}{JOIN}cdl": "CDL"}
    table = table[table["sheet"].isin(scales) & table["condition"].isin(named)]
    return table.assign(guidance=table["sheet"].map(scales), training=table["condition"].map(named))


def rungs() -> pd.DataFrame:
    """CDL's pieces, one on top of the other, on clean and on protected photos.

    Returns:
        ``name``, and ``quality``, ``texture`` and ``ims_missing`` (each ", clean" and
        ", protected") with intervals.
    """
    scores = list(decoupling.SIGNS)
    wide = summary("decoupling").wide(scores).set_index(["condition", "sheet"])
    rows = []
    for name, training, sheet in decoupling.RUNGS:
        row: dict[str, Any] = {"name": name}
        for kind in ("clean", decoupling.HARD):
            own = wide.loc[(f"{kind}{JOIN}{training}", sheet)]
            for score in scores:
                row |= _with_ends(own, score, f"{score}, {kind.partition(' ')[0]}")
        rows.append(row)
    return pd.DataFrame(rows)


def _with_ends(own: pd.Series, column: str, name: str) -> dict[str, Any]:
    """A mean and the ends of its interval, renamed from ``column`` to ``name``."""
    new, old = ends_of(name), ends_of(column)
    return {new[end]: own[old[end]] for end in ENDS}


def mean_low_high(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """The table with its columns "x", "x_low", "x_high" renamed to ``mean, low, high``."""
    return table.rename(columns={name: end for end, name in ends_of(column).items()})


def in_order(
    table: pd.DataFrame,
    place: Mapping[str, float] | pd.Series | Callable[[str], int],
    falling: bool = False,
) -> pd.DataFrame:
    """Rows sorted by a number for each name; rows of one name keep their order.

    Args:
        place: the number of each name.
        falling: the largest number first.
    """
    return table.sort_values(
        "name",
        key=lambda column: column.map(place),
        ascending=not falling,
        kind="stable",
        ignore_index=True,
    )
