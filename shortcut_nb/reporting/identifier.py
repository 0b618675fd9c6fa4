"""Does the harm follow V* under every attack? Tables of what ``shortcut-nb bench identifier`` kept.

``shortcut`` asks it of one attack with many interventions; this asks it of all attacks. For each:
the harm to V* samples, the harm to class samples, and how much of the former the latter do not
share; whether attacks that shift CLIP further leave more of it; and, for some attacks, whether it
takes prior preservation. Every harm is a contrast against clean pictures, turned to be positive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pandas as pd

from ..analysis.correlation import rank_correlation
from ..experiments.contrasts import Contrast, judge, per_subject
from ..experiments.measured import Measurement, means_of
from ..experiments.predictions import BASE
from ..experiments.questions.identifier import NO_PRIOR

HARMS = {"ims_missing": -1, "quality": -1, "texture": 1}  # score: the direction of harm
AXES = {
    "ims_missing": "fall of identity match",
    "quality": "fall of quality",
    "texture": "rise of texture (grey levels)",
}
GAP = "V* − class"  # the harm to V* less the harm to the class
WHOSE: dict[str, dict[str, int]] = {
    "V*": {"instance": 1},
    "class": {"class": 1},
    GAP: {"instance": 1, "class": -1},
}
"""Whose harm it is, as weights of the sheets."""
# What of the mismatch should go with the gap, if it is what leads to the shortcut. Stated before
# the first numbers were seen; "misled" is the mismatch as the diffusion model has it.
SHIFTS = ("clip_towards", "misled")
# If it is prior preservation that spares the class, then without it the class is harmed more and
# V* is set apart less. Stated before these numbers were seen.
PREDICTED = {"class": "+", GAP: "-"}
SPARED = "without prior preservation V* is set apart less"
ENDS = ["mean", "low", "high"]


def harm(attack: str, score: str, whose: str, end: str = "") -> Contrast:
    """How far training on an attack's pictures harms a score; positive is harm.

    Args:
        whose: of :data:`WHOSE`.
        end: of the names of the conditions, such as :data:`NO_PRIOR`.
    """
    weights = {
        f"condition={condition}{end} & sheet={sheet}": HARMS[score] * turn * part
        for condition, turn in ((attack, 1), ("clean", -1))
        for sheet, part in WHOSE[whose].items()
    }
    return Contrast(f"{attack}{end}: {score} of {whose}", score, weights, sheet=None)


def spared(attack: str, score: str, whose: str) -> Contrast:
    """How much more harm there is without prior preservation than with it."""
    without, preserved = (harm(attack, score, whose, end).weights for end in (NO_PRIOR, ""))
    weights = dict(without) | {cell: -weight for cell, weight in preserved.items()}
    expect = PREDICTED.get(whose, "+")
    return Contrast(f"{attack}: {score} of {whose}, spared", score, weights, None, expect)


def table(
    frame: pd.DataFrame, attacks: Sequence[str], kind: Callable[..., Contrast] = harm
) -> pd.DataFrame:
    """One row per attack, score and whose harm it is: ``attack, score, whose``, and the verdict.

    Args:
        frame: rows of samples or their means.
        kind: which contrast of them, :func:`harm` or :func:`spared`.

    Returns:
        ``attack, score, whose``, then ``mean, low, high, n, agreeing, weakest, verdict``; that of
        ``V* − class`` is the hypothesis's: confirmed where V* is harmed beyond the class.
    """
    keys = [(attack, score, whose) for attack in attacks for score in HARMS for whose in WHOSE]
    judged = judge(frame, [kind(*key) for key in keys])
    named = pd.DataFrame(keys, columns=["attack", "score", "whose"])
    return named.join(judged[[*ENDS, "n", "agreeing", "weakest", "verdict"]])


def compare_priors(frame: pd.DataFrame, attacks: Sequence[str]) -> pd.DataFrame:
    """What changes when the training has no prior preservation.

    Returns:
        One row per attack, score and whose harm it is: ``without``, the harm without it, and
        ``difference``, that less the harm with it; each with its interval over people; and the
        verdict on :data:`PREDICTED` of the latter ("" for V*, of which nothing was).
    """
    rows = table(frame, attacks, spared).rename(columns={"mean": "difference"})
    alone = table(frame, attacks, partial(harm, end=NO_PRIOR))[ENDS]
    rows[["without", "without_low", "without_high"]] = alone
    rows["verdict"] = rows["verdict"].where(rows["whose"].isin(list(PREDICTED)), "")
    return rows


def goes_with(
    frame: pd.DataFrame, attacks: Sequence[str], resamples: int = 4000
) -> list[dict[str, Any]]:
    """Rank correlation, over attacks and people, of a shift with the harm that V* has alone.

    Args:
        frame: also with :data:`SHIFTS` and ``psnr``.

    Returns:
        A row for each of :data:`SHIFTS` and each score, plain and given the PSNR; predicted
        positive.
    """
    moved = frame.groupby(["condition", "subject"], sort=False)[[*SHIFTS, "psnr"]].mean()
    rows = []
    for score in HARMS:
        each = {attack: per_subject(frame, harm(attack, score, GAP)) for attack in attacks}
        gaps = pd.concat(each, names=["condition"]).rename("gap")
        both = moved.join(gaps, how="inner").reset_index()
        people = both["subject"].tolist()
        for shift in SHIFTS:
            for given in (None, "psnr"):
                fixed = None if given is None else both[given]
                one = rank_correlation(both[shift], both["gap"], people, fixed, resamples)
                verdict = "confirmed" if one.low > 0 else "refuted" if one.high < 0 else "undecided"
                about = {"shift": shift, "score": score, "given": given}
                rows.append(about | one._asdict() | {"verdict": verdict})
    return rows


def levels(frame: pd.DataFrame, conditions: Sequence[str]) -> pd.DataFrame:
    """The scores themselves, with and without prior preservation.

    Returns:
        ``prior`` ("with", "without"), ``attack, whose, score, mean, low, high, n``.
    """
    sheets = {"instance": "V*", "class": "class"}
    parts = []
    for prior, end in (("with", ""), ("without", NO_PRIOR)):
        names = {f"{condition}{end}": condition for condition in conditions}
        own = frame[frame["condition"].isin(names) & frame["sheet"].isin(sheets)]
        own = own.assign(
            prior=prior, attack=own["condition"].map(names), whose=own["sheet"].map(sheets)
        )
        parts.append(means_of(own, list(HARMS), ["prior", "attack", "whose"]))
    return pd.concat(parts, ignore_index=True).rename(columns={"metric": "score"})


def content(measured: Measurement) -> dict[str, Any]:
    """The tables and correlations of what ``shortcut-nb bench identifier --save`` kept."""
    frame = measured.frame
    names = list(frame["condition"].unique())
    attacks = [name for name in names if name != "clean" and not name.endswith(NO_PRIOR)]
    bare = [name.removesuffix(NO_PRIOR) for name in names if name.endswith(NO_PRIOR)]
    eps = frame["eps"].iloc[0]
    unpreserved = [name for name in bare if name != "clean"]
    return {
        "eps": eps,
        "claim": BASE,
        "rows": table(frame, attacks).assign(eps=eps).to_dict("records"),
        "goes_with": goes_with(frame, attacks),
        "without_prior": compare_priors(frame, unpreserved).assign(eps=eps).to_dict("records"),
        "levels": levels(frame, bare).to_dict("records"),
    }
