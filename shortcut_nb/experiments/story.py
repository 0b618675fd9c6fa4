"""The whole argument: what ``shortcut-nb bench story`` measured says of each claim.

Models were fine-tuned on clean, random-noise, protected and purified pictures, with plain and
contrastive prompts. Each difference has its 95 % t interval over subjects.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from ..budget import Budget
from ..profile import Profile
from .measured import Measurement
from .report import WITH_NOISE, judge, means, paired
from .shipped import compare_judged, shipped, whom

SCORES = tuple(WITH_NOISE)
# (name, condition, minus condition, score, direction the argument predicts)
CLAIMS = (
    ("protection lowers identity", "protected", "clean", "ims_missing", -1),
    ("protection lowers quality", "protected", "clean", "quality", -1),
    ("protection harms identity more than noise", "protected", "random noise", "ims_missing", -1),
    ("protection harms quality more than noise", "protected", "random noise", "quality", -1),
    ("protection covers samples with texture", "protected", "clean", "texture", 1),
    ("protection leaves more texture than noise", "protected", "random noise", "texture", 1),
    ("purification restores identity", "purified", "protected", "ims_missing", 1),
    ("purification restores quality", "purified", "protected", "quality", 1),
    ("purification removes the texture", "purified", "protected", "texture", -1),
    ("CDL restores identity", "cdl", "protected", "ims_missing", 1),
    ("CDL restores quality", "cdl", "protected", "quality", 1),
    ("CDL beats its negative prompt alone", "cdl", "protected + negative prompt", "quality", 1),
    ("CDL removes texture", "cdl", "protected", "texture", -1),
    (
        "CDL removes more than its negative prompt",
        "cdl",
        "protected + negative prompt",
        "texture",
        -1,
    ),
    ("both restore identity", "purified + cdl", "protected", "ims_missing", 1),
    ("both restore quality", "purified + cdl", "protected", "quality", 1),
    ("both remove the texture", "purified + cdl", "protected", "texture", -1),
)


def claims(frame: pd.DataFrame) -> list[dict]:
    """Every claim at every budget: difference of means, 95 % interval, whether it holds.

    ``holds`` is True when the interval lies on the predicted side of zero, False when it lies on
    the other, None when it contains zero. The unit of resampling is the subject; seeds and
    samples are averaged first.
    """
    rows = []
    frame = _with_control(frame)
    for eps, part in frame.groupby("eps", sort=False):
        for name, high, low, score, direction in CLAIMS:
            each = paired(part[part["prompt"] == "instance"], score, high, low)
            if len(each):
                rows.append({"claim": name, "eps": eps, "score": score,
                             "seeds": part["seed"].nunique()} | judge(each, direction))  # fmt: skip
    return rows + shortcut(frame)


def _with_control(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn samples of plain models with the negative prompt into conditions of their own."""
    control = frame["prompt"] == "negative"
    named = frame["condition"].where(~control, frame["condition"] + " + negative prompt")
    return frame.assign(condition=named, prompt=frame["prompt"].where(~control, "instance"))


def shortcut(frame: pd.DataFrame) -> list[dict]:
    """Does the noise follow V*? Rise of noise and of texture, identifier minus class prompt."""
    return [row for score in ("noise", "texture") for row in _follows(frame, score)]


def _follows(frame: pd.DataFrame, score: str) -> list[dict]:
    rows = []
    for eps, part in frame.groupby("eps", sort=False):
        table = part.pivot_table(
            index="subject", columns=["condition", "prompt"], values=score, aggfunc="mean"
        )
        needed = {(c, p) for c in ("protected", "clean") for p in ("instance", "class")}
        if not needed <= set(table.columns):
            continue
        rise = table["protected"] - table["clean"]
        each = (rise["instance"] - rise["class"]).to_numpy()
        name = f"{score} follows V*, not the class"
        rows.append({"claim": name, "eps": eps, "score": score,
                     "seeds": part["seed"].nunique()} | judge(each, 1))  # fmt: skip
    return rows


def check_claims(
    frame: pd.DataFrame, eps: str, profile: Profile | None = None, subject: str | None = None
) -> pd.DataFrame:
    """Set a run's own differences beside the larger run's decided ones; one row per claim.

    ``here`` is this run's difference, ``difference`` the larger run's with interval and verdict.
    See :func:`.shipped.compare` for what is asserted; nothing is at a budget that the larger run
    does not cover, nor in a run of another profile or on photos.

    Args:
        profile: of the run; None is the one that was measured.
        subject: of the run, by its name.

    Raises:
        AssertionError: when an asserted claim has the wrong sign here, or nothing can be compared.
    """
    eps = str(Budget.parse(eps))
    mine = [row for row in claims(frame) if str(Budget.parse(row["eps"])) == eps]
    larger = shipped("story", profile or "mini", subject=subject)
    theirs = [row for row in larger["claims"] if row["eps"] == eps and row["holds"] is not None]
    table = compare_judged(mine, theirs, ["claim", "score"], larger.same and bool(theirs))
    return table.rename_axis(columns=larger.heading)


def content(measured: Measurement) -> dict[str, Any]:
    """Claims and means of what ``shortcut-nb bench story --save`` kept."""
    frame = measured.frame.rename(columns={"sheet": "prompt"})
    frame = frame.assign(condition=frame["treatment"])
    table = means(_with_control(frame), ["eps", "condition", "prompt"], SCORES)
    return whom(measured) | {"claims": claims(frame), "means": table.to_dict("records")}
