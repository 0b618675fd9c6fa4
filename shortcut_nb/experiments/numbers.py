"""The shipped numbers behind the figures and findings of the pages, a table a question."""

from __future__ import annotations

import pandas as pd

from ..plots.palette import FAMILY_OF
from .shipped import shipped
from .strength import NOISE, VARIANTS

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
ATTACKERS = {"nothing": "attacker knows nothing", "everything": "attacker knows everything"}


def attacks() -> pd.DataFrame:
    """One row per attack and noise, the most harmful first.

    Returns:
        ``name``, ``group`` (attack or random noise), ``family``; ``quality`` and ``clean``: mean
        quality of V* samples after it and after clean training; ``fall`` of quality with ``low``
        and ``high``; ``psnr`` (dB), ``shift`` (CLIP, towards noise), ``beats_noise``;
        ``alike_high``, the upper end of the change of the identity match.
    """
    frame = pd.DataFrame(shipped("strength")["attacks"])
    clean = frame.loc[frame["attack"] == "clean", "quality"].iloc[0]
    frame = frame[frame["attack"] != "clean"]
    group = frame["attack"].isin(NOISE).map({True: CONTROL, False: ATTACK})
    found = pd.DataFrame(
        {
            "name": frame["attack"],
            "group": group,
            "family": [FAMILY_OF[VARIANTS.get(name, (name,))[0]] for name in frame["attack"]],
            "quality": frame["quality"],
            "clean": clean,
            "fall": -frame["quality_harm"],
            "low": -frame["quality_high"],
            "high": -frame["quality_low"],
            "psnr": frame["psnr"],
            "shift": frame["shift_projection"],
            "beats_noise": frame["beats_noise"],
            "alike_high": frame["ims_missing_high"],
        }
    )
    return found.sort_values("fall", ascending=False, ignore_index=True)


def treatments() -> pd.DataFrame:
    """Quality of V* samples after each treatment: ``name, eps, mean, low, high``."""
    frame = pd.DataFrame(shipped("story")["means"])
    own = frame[(frame["prompt"] == "instance") & (frame["score"] == "quality")]
    own = own[own["condition"].isin(TREATMENTS)]
    order = own["condition"].map(list(TREATMENTS).index)
    named = own.assign(name=own["condition"].map(TREATMENTS), order=order)
    columns = ["name", "condition", "eps", "mean", "low", "high"]
    return named.sort_values("order", kind="stable", ignore_index=True)[columns]


def harms_by_word() -> pd.DataFrame:
    """Rise of texture in V* and in class samples (grey levels), the largest of V* first.

    Returns:
        ``name, group`` ("V*", "class" or "V* − class"), ``mean, low, high, verdict``.
    """
    frame = pd.DataFrame(shipped("identifier")["rows"])
    own = frame[frame["score"] == "texture"].rename(columns={"attack": "name", "whose": "group"})
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
    frame = pd.DataFrame(shipped("purification")["rows"])
    frame = frame[frame["attack"] != "none"]
    order = frame["purifier"].map(frame.groupby("purifier")["quality_left"].mean())
    frame = frame.assign(order=order).sort_values("order", ascending=False, kind="stable")
    found = frame[["purifier", "attack", "quality_left", "quality_left_low", "quality_left_high"]]
    found = found.set_axis(["name", "attack", "mean", "low", "high"], axis=1)
    found = found.assign(restored=frame["quality_restored"], likeness=frame["likeness"])
    return found.reset_index(drop=True)


def pieces() -> pd.DataFrame:
    """Quality with CDL's pieces, text encoder trained and frozen, from the weakest to the best.

    Returns:
        ``name``, ``group`` ("clean photos" or "protected photos"), ``mean, low, high``,
        ``restored`` (rise over DreamBooth with the same text encoder) and ``holds``.
    """
    frame = pd.DataFrame(shipped("words")["pieces"])
    own = frame[frame["score"] == "quality"]
    kind = own["pictures"].str.startswith("clean").map({True: "clean", False: "protected"})
    own = own.assign(group=kind + " photos", name=own["piece"], holds=own["restored_holds"])
    order = own["name"].map(own[kind == "protected"].set_index("name")["mean"])
    own = own.assign(order=order).sort_values("order", kind="stable", ignore_index=True)
    return own[["name", "group", "mean", "low", "high", "restored", "holds"]]


def budgets(score: str = "quality") -> pd.DataFrame:
    """A score against the budget, by attacker and defence.

    Returns:
        ``attacker, defence, pixels, mean, low, high``, ``harm`` (against clean pictures under the
        same defence) and ``holds``; at 0 grey levels the clean pictures, for every attacker.
    """
    frame = pd.DataFrame(shipped("adaptive")["rows"])
    own = frame[(frame["score"] == score) & frame["defence"].isin(DEFENCES)]
    clean = own[own["knowledge"] == "clean"]
    tried = own[own["knowledge"].isin(ATTACKERS)]
    parts = [tried, *(clean.assign(knowledge=attacker) for attacker in ATTACKERS)]
    rows = pd.concat(parts, ignore_index=True)
    rows = rows.assign(
        attacker=rows["knowledge"].map(ATTACKERS),
        defence=rows["defence"].map(DEFENCES),
        holds=rows["harm_holds"],
    )
    columns = ["attacker", "defence", "pixels", "mean", "low", "high", "harm", "holds"]
    order = rows["attacker"].map(list(ATTACKERS.values()).index)
    rows = rows.assign(order=order)
    return rows.sort_values(["order", "pixels"], kind="stable", ignore_index=True)[columns]
