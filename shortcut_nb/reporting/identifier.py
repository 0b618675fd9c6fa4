"""Does the harm follow V* under every attack? Tables of what ``shortcut-nb bench identifier`` kept.

``shortcut`` asks it of one attack with many interventions; this asks it of all attacks. For each:
the harm to V* samples, the harm to class samples, and how much of the former the latter do not
share; and whether attacks that shift CLIP further leave more of it. Every harm is a contrast
against clean pictures, turned to be positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ..analysis.correlation import rank_correlation
from ..experiments.contrasts import Contrast, judge, per_subject, verdict_from
from ..experiments.measured import Measurement
from ..experiments.questions.identifier import SIGNS
from ..experiments.questions.shortcut import BASE

WORSE = {"ims_missing": -1} | SIGNS  # score: the direction of harm
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
ENDS = ["mean", "low", "high"]


def contrast_of(attack: str, score: str, whose: str) -> Contrast:
    """How far training on an attack's pictures harms a score; positive is harm.

    Args:
        whose: of :data:`WHOSE`.
    """
    weights = {
        f"condition={condition} & sheet={sheet}": WORSE[score] * turn * part
        for condition, turn in ((attack, 1), ("clean", -1))
        for sheet, part in WHOSE[whose].items()
    }
    return Contrast(f"{attack}: {score} of {whose}", score, weights, sheet=None)


def table(frame: pd.DataFrame, attacks: Sequence[str]) -> pd.DataFrame:
    """One row per attack, score and whose harm it is: ``attack, score, whose``, and the verdict.

    Args:
        frame: rows of samples or their means.

    Returns:
        ``attack, score, whose``, then ``mean, low, high, n, agreeing, weakest, verdict``; that of
        ``V* − class`` is the hypothesis's: confirmed where V* is harmed beyond the class.
    """
    keys = [(attack, score, whose) for attack in attacks for score in WORSE for whose in WHOSE]
    judged = judge(frame, [contrast_of(*key) for key in keys])
    named = pd.DataFrame(keys, columns=["attack", "score", "whose"])
    return named.join(judged[[*ENDS, "n", "agreeing", "weakest", "verdict"]])


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
    for score in WORSE:
        each = {attack: per_subject(frame, contrast_of(attack, score, GAP)) for attack in attacks}
        gaps = pd.concat(each, names=["condition"]).rename("gap")
        both = moved.join(gaps, how="inner").reset_index()
        people = both["subject"].tolist()
        for shift in SHIFTS:
            for given in (None, "psnr"):
                fixed = None if given is None else both[given]
                one = rank_correlation(both[shift], both["gap"], people, fixed, resamples)
                verdict = verdict_from(one.low, one.high)
                about = {"shift": shift, "score": score, "given": given}
                rows.append(about | one._asdict() | {"verdict": verdict})
    return rows


def content(measured: Measurement) -> dict[str, Any]:
    """The tables and correlations of what ``shortcut-nb bench identifier --save`` kept."""
    frame = measured.frame
    eps = frame["eps"].iloc[0]
    attacks = [name for name in frame["condition"].unique() if name != "clean"]
    return {
        "eps": eps,
        "claim": BASE,
        "rows": table(frame, attacks).assign(eps=eps).to_dict("records"),
        "goes_with": goes_with(frame, attacks),
    }
