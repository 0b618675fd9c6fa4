"""Does the harm follow V* under every attack? What ``shortcut-nb bench identifier`` measured says.

``shortcut`` asks it of one attack with many interventions; this asks it of all attacks. For each:
the harm to V* samples, the harm to class samples, and how much of the former the latter do not
share; whether attacks that shift CLIP further leave more of it; and, for some attacks, whether it
is prior preservation that spares the class.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ..analysis.correlation import rank_correlation
from ..metrics import t_mean
from .measured import Measurement
from .predictions import BASE
from .report import judge, means, records
from .shipped import verdict, whom

KEYS = ["condition", "eps", "subject"]
HARMS = {"ims_missing": -1, "quality": -1, "texture": 1}  # score: the direction of harm
AXES = {"ims_missing": "fall of identity match", "quality": "fall of quality",
        "texture": "rise of texture (grey levels)"}  # fmt: skip
WHOSE = {"instance": "V*", "class": "class"}
GAP = "V* − class"  # the gap: the harm to V* less the harm to the class
# What of the mismatch should go with the gap, if it is what leads to the shortcut. Stated before
# the first numbers were seen; "misled" is the mismatch as the diffusion model has it.
SHIFTS = ("clip_towards", "misled")
NO_PRIOR = ", no prior"  # ends the names of conditions that were trained without it
# If it is prior preservation that spares the class, then without it the class is harmed more and
# V* is set apart less. Stated before these numbers were seen.
PREDICTED = {"class": 1, GAP: -1}
SPARED = "without prior preservation V* is set apart less"


def harms(frame: pd.DataFrame) -> pd.DataFrame:
    """What training on protected pictures did to V* and to the class, against clean ones.

    Args:
        frame: rows of samples or their means, with a condition "clean" and sheets as in
            :data:`WHOSE`.

    Returns:
        One row per condition, budget, subject and score, means over samples and seeds: ``V*``,
        ``class`` and their difference ``V* − class``; positive is harm.
    """
    each = frame[frame["sheet"].isin(WHOSE)].groupby([*KEYS, "sheet"], sort=False)[[*HARMS]]
    # The unit is a change against clean pictures, turned so that harm is positive.
    mean = each.mean().mul(pd.Series(HARMS)).rename_axis(columns="score").stack().unstack("sheet")
    clean = mean.xs("clean", level="condition")
    rest = mean.drop(index="clean", level="condition")
    rises = rest - clean.reindex(rest.index.droplevel("condition")).to_numpy()
    rises = rises.rename(columns=WHOSE).reset_index()
    return rises.assign(**{GAP: rises["V*"] - rises["class"]})


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per attack, score and whose harm it is: mean, interval over subjects, verdict.

    The verdict is on more harm than after clean training; for ``V* − class`` it is that of the
    hypothesis: confirmed where V* is harmed beyond the class.

    Args:
        rows: see :func:`harms`.
    """
    outcomes = []
    for (condition, eps, score), part in rows.groupby(["condition", "eps", "score"], sort=False):
        for whose in (*WHOSE.values(), GAP):
            row = judge(part[whose].to_numpy(), 1)
            outcomes.append({"attack": condition, "eps": eps, "score": score, "whose": whose,
                          "mean": row.pop("difference"), "n": row.pop("subjects"),
                          "verdict": verdict(row["holds"])} | row)  # fmt: skip
    return pd.DataFrame(outcomes)


def goes_with(rows: pd.DataFrame, shifted: pd.DataFrame, resamples: int = 4000) -> list[dict]:
    """Rank correlation, over attacks and subjects, of a shift with the harm that V* has alone.

    Args:
        rows: see :func:`harms`.
        shifted: columns :data:`KEYS`, :data:`SHIFTS` and ``psnr``.

    Returns:
        A row for each of :data:`SHIFTS` and each score, plain and given the PSNR; predicted
        positive.
    """
    moved = shifted.groupby(KEYS, as_index=False, sort=False)[[*SHIFTS, "psnr"]].mean()
    both, outcomes = rows.merge(moved, on=KEYS), []
    for score, part in both.groupby("score", sort=False):
        for shift in SHIFTS:
            for given in (None, "psnr"):
                fixed = None if given is None else part[given]
                one = rank_correlation(
                    part[shift], part[GAP], part["subject"].tolist(), fixed, resamples
                )
                holds = True if one.low > 0 else False if one.high < 0 else None
                outcomes.append({"shift": shift, "score": score, "given": given}
                             | one._asdict() | {"verdict": verdict(holds)})  # fmt: skip
    return outcomes


def compare_priors(preserved: pd.DataFrame, without: pd.DataFrame) -> pd.DataFrame:
    """What changes when the training has no prior preservation.

    Args:
        preserved, without: see :func:`harms`; each against its own training on clean pictures.

    Returns:
        One row per attack, score and whose harm it is: ``without``, the harm without it, and
        ``difference``, that less the harm with it; each with its interval over subjects; and the
        verdict on :data:`PREDICTED` of the latter ("" for V*, of which nothing was).
    """
    by, outcomes = [*KEYS, "score"], []
    both = without.merge(preserved, on=by, suffixes=("", " preserved"))
    for (attack, eps, score), part in both.groupby(["condition", "eps", "score"], sort=False):
        for whose in (*WHOSE.values(), GAP):
            each = (part[whose] - part[f"{whose} preserved"]).to_numpy()
            row = judge(each, PREDICTED.get(whose, 1))
            if whose not in PREDICTED:
                row["holds"] = None
            says = verdict(row["holds"]) if whose in PREDICTED else ""
            bare = t_mean(part[whose].to_numpy())
            outcomes.append({"attack": attack, "eps": eps, "score": score, "whose": whose,
                          "without": bare.mean, "without_low": bare.low, "without_high": bare.high,
                          "n": row.pop("subjects"), "verdict": says} | row)  # fmt: skip
    return pd.DataFrame(outcomes)


def claims(content: Mapping[str, Any], attack: str = "aspl") -> list[dict[str, Any]]:
    """:data:`SPARED` of one attack, a row a score, as rows of claims are elsewhere.

    Args:
        content: of ``identifier.json``.
    """
    return [
        row | {"claim": SPARED}
        for row in content["without_prior"]
        if (row["attack"], row["whose"]) == (attack, GAP)
    ]


def levels(frame: pd.DataFrame, without: pd.DataFrame) -> pd.DataFrame:
    """The scores themselves, with and without prior preservation; see :func:`.report.means`.

    Columns ``prior`` ("with", "without"), ``attack``, ``whose``, ``score``, ``mean``, ``low``,
    ``high``, ``n``; the conditions of ``without``.
    """
    parts = []
    for prior, rows in (("with", frame), ("without", without)):
        own = rows[rows["condition"].isin(without["condition"]) & rows["sheet"].isin(WHOSE)]
        own = own.assign(attack=own["condition"], whose=own["sheet"].map(WHOSE))
        parts.append(means(own, ["attack", "whose"], list(HARMS)).assign(prior=prior))
    return pd.concat(parts, ignore_index=True)


def content(measured: Measurement) -> dict[str, Any]:
    """The tables and correlations of what ``shortcut-nb bench identifier --save`` kept."""
    frame = measured.frame
    bare = frame["condition"].str.endswith(NO_PRIOR)
    names = frame["condition"].str.removesuffix(NO_PRIOR)
    preserved, without = frame[~bare], frame.assign(condition=names)[bare]
    rows = harms(preserved)
    return whom(measured) | {
        "eps": frame["eps"].iloc[0],
        "claim": BASE,
        "rows": records(table(rows)),
        "goes_with": goes_with(rows, preserved),
        "without_prior": records(compare_priors(rows, harms(without))),
        "levels": records(levels(preserved, without)),
    }
