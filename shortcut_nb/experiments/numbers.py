"""The shipped numbers behind the figures and findings of the pages, a table a question."""

from __future__ import annotations

import pandas as pd

from ..budget import Budget
from ..plots.palette import FAMILY_OF
from . import purification
from .experiment import JOIN
from .measured import FORMAT, Measurement
from .questions import adaptive, decoupling, strength, words
from .shipped import shipped
from .summary import summary

QUALITY = "quality of samples (0 to 1)"
ATTACK, CONTROL = "attack", "random noise"
TREATMENTS = {
    "clean": "clean photos",
    "random noise": "random noise",
    "protected": "protected (ASPL)",
    "cdl": "protected, CDL",
    "purified": "protected, purified",
    "purified + cdl": "protected, both",
}
DEFENCES = {
    "none": "no defence",
    "purifier": "purified",
    "both, held": "purified + CDL, words held",
}
# Pieces of CDL whose rise over DreamBooth is a contrast of the question.
TELLING = {"CDL": "CDL", "+ CDL's words when training": "held CDL"}
ATTACKERS = {"nothing": "attacker knows nothing", "everything": "attacker knows everything"}


def attacks() -> pd.DataFrame:
    """One row per attack and noise, the most harmful first.

    Returns:
        ``name``, ``group`` (attack or random noise), ``family``; ``quality`` and ``clean``: mean
        quality of V* samples after it and after clean training; ``fall`` of quality with ``low``
        and ``high``; ``psnr`` (dB), ``shift`` (CLIP, towards noise), ``beats_noise``;
        ``alike_high``, the upper end of the change of the identity match.
    """
    frame = strength.harms(strength.read())
    clean = frame.loc[frame["attack"] == "clean", "quality"].iloc[0]
    frame = frame[frame["attack"] != "clean"]
    group = frame["attack"].isin(strength.NOISE).map({True: CONTROL, False: ATTACK})
    table = pd.DataFrame(
        {
            "name": frame["attack"],
            "group": group,
            "family": [_family(name) for name in frame["attack"]],
            "quality": frame["quality"],
            "clean": clean,
            "fall": -frame["quality_harm"],
            "low": -frame["quality_harm_high"],
            "high": -frame["quality_harm_low"],
            "psnr": frame["psnr"],
            "shift": frame["shift_projection"],
            "beats_noise": frame["beats_noise"],
            "alike_high": frame["ims_missing_harm_high"],
        }
    )
    return table.sort_values("fall", ascending=False, ignore_index=True)


def _family(name: str) -> str:
    attack, _ = strength.VARIANTS.get(name, (name, {}))
    return FAMILY_OF[attack]


def treatments() -> pd.DataFrame:
    """Quality of V* samples after each treatment: ``name, eps, mean, low, high``."""
    content = shipped("story")
    if content.get("format") == FORMAT:
        measured = Measurement.read("story")
        own = measured.means(["quality"], by=["treatment", "eps"], sheet="instance")
        own = own.rename(columns={"treatment": "condition"})
    else:  # the first miniature's file has means
        frame = pd.DataFrame(content["means"])
        own = frame[(frame["prompt"] == "instance") & (frame["score"] == "quality")]
    own = own[own["condition"].isin(TREATMENTS)]
    order = own["condition"].map(list(TREATMENTS).index)
    named = own.assign(name=own["condition"].map(TREATMENTS), order=order)
    columns = ["name", "condition", "eps", "mean", "low", "high"]
    return named.sort_values("order", kind="stable", ignore_index=True)[columns]


def harms_by_word(score: str = "texture") -> pd.DataFrame:
    """Rise of texture (or fall of another score) of V* and of class samples, the largest first.

    Returns:
        ``name, group`` ("V*", "class" or "V* − class"), ``mean, low, high, verdict``.
    """
    frame = pd.DataFrame(shipped("identifier")["rows"])
    own = frame[frame["score"] == score].rename(columns={"attack": "name", "whose": "group"})
    first = own[own["group"] == "V*"].set_index("name")["mean"]
    order = own["name"].map(first)
    own = own.assign(order=order).sort_values("order", ascending=False, kind="stable")
    return own[["name", "group", "mean", "low", "high", "verdict"]].reset_index(drop=True)


def without_prior() -> pd.DataFrame:
    """The same rise when no prior preservation was used: ``name, group, mean, low, high``."""
    frame = pd.DataFrame(shipped("identifier")["without_prior"])
    own = frame[frame["score"] == "texture"].rename(columns={"attack": "name", "whose": "group"})
    own = own[["name", "group", "without", "without_low", "without_high"]]
    return own.set_axis(["name", "group", "mean", "low", "high"], axis=1).reset_index(drop=True)


def purifiers() -> pd.DataFrame:
    """Quality that is still missing after each purifier, the best first.

    Returns:
        ``name, attack``, ``mean, low, high`` (quality against training on clean pictures; 0 is
        nothing missing), ``restored``, ``likeness`` (cosine of the purified pictures to the clean).
    """
    frame = purification.table(summary("purification"))
    order = frame["purifier"].map(frame.groupby("purifier")["quality_left"].mean())
    frame = frame.assign(order=order).sort_values("order", ascending=False, kind="stable")
    table = frame[["purifier", "attack", "quality_left", "quality_left_low", "quality_left_high"]]
    table = table.set_axis(["name", "attack", "mean", "low", "high"], axis=1)
    table = table.assign(restored=frame["quality_restored"], likeness=frame["likeness"])
    return table.reset_index(drop=True)


def pieces() -> pd.DataFrame:
    """Quality with CDL's pieces, text encoder trained and frozen, from the weakest to the best.

    Returns:
        ``name``, ``group`` ("clean photos" or "protected photos"), ``mean, low, high``,
        and, of those in :data:`TELLING`, ``rise`` over DreamBooth with the same text encoder and
        ``verdict``.
    """
    kept = summary("words")
    wide = kept.wide(["quality"]).set_index(["condition", "sheet"])
    rows = []
    for name, (training, sheet) in words.ROWS.items():
        for kind in words.PICTURES:
            own = wide.loc[(f"{training}{JOIN}{kind}", sheet)].set_axis(["mean", "low", "high"])
            row = {"name": name, "group": f"{kind.partition(' ')[0]} photos"} | own.to_dict()
            if name in TELLING:
                judged = kept.verdict(words.contrast_name(TELLING[name], "quality", kind))
                row |= {"rise": judged["mean"], "verdict": judged["verdict"]}
            rows.append(row)
    table = pd.DataFrame(rows)
    order = table["name"].map(table[table["group"] != "clean photos"].set_index("name")["mean"])
    table = table.assign(order=order).sort_values("order", kind="stable", ignore_index=True)
    return table.drop(columns="order")


def variants() -> pd.DataFrame:
    """Quality on protected photos after CDL, and after each addition to it, the best first.

    Returns:
        ``name, group, mean, low, high``.
    """
    wide = summary("decoupling").wide(["quality"]).set_index(["condition", "sheet"])
    trainings = {"CDL": "cdl"} | {name: name for name in decoupling.VARIANTS}
    rows = []
    for name, training in trainings.items():
        own = wide.loc[(f"{decoupling.HARD}{JOIN}{training}", "suffix-negative")]
        own = own.set_axis(["mean", "low", "high"])
        rows.append({"name": name, "group": "protected photos"} | own.to_dict())
    return pd.DataFrame(rows).sort_values("mean", ascending=False, ignore_index=True)


def budgets(score: str = "quality") -> pd.DataFrame:
    """A score against the budget, by attacker and defence.

    Returns:
        ``attacker, defence, pixels, mean, low, high``, ``harm`` (against clean pictures under the
        same defence) and its ``verdict``; at 0 grey levels the clean pictures, for each attacker.
    """
    kept = summary("adaptive")
    wide = kept.wide([score], "instance").set_index("condition")
    judged = kept.verdicts.set_index("contrast")
    rows = []
    for who, attacker in ATTACKERS.items():
        for budget in ("0/255", *adaptive.BUDGETS):
            for key, defence in DEFENCES.items():
                cell = adaptive.name(("clean" if budget == "0/255" else who, key, budget))
                if cell not in wide.index:
                    continue
                own = wide.loc[cell, [score, f"{score}_low", f"{score}_high"]]
                row: dict[str, object] = {"attacker": attacker, "defence": defence}
                row |= {"pixels": Budget.parse(budget).pixels}
                row |= own.set_axis(["mean", "low", "high"]).to_dict()
                harm = adaptive.harm(who, key, adaptive.HARMS[score][0], budget)
                if harm in judged.index:
                    row |= {"harm": judged.at[harm, "mean"], "verdict": judged.at[harm, "verdict"]}
                rows.append(row)
    return pd.DataFrame(rows)
