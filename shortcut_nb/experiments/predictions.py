"""What the shortcut hypothesis predicts (``shortcut.yaml``), and what became of it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from .contrasts import Contrast, judge
from .report import judge as judge_values
from .scores import TURNED, harms
from .shipped import verdict

HARMS = harms("texture", "quality", "ims_missing")
BASE = "the harm follows V*, not the class"
FIRST = "the texture comes before the person"
FIRST_WHY = "a shortcut is what is easier to learn than the thing itself"
ON_THE_WAY = " at "
HOLDS = {"confirmed": True, "refuted": False, "undecided": None}


@cache
def predicted() -> dict[str, dict[str, Any]]:
    """The predictions of ``shortcut.yaml`` by claim: ``why``, ``more``, and the ``sum``."""
    content = yaml.safe_load(Path(__file__).with_name("shortcut.yaml").read_text("utf-8"))
    return {row["claim"]: row for row in content}


def contrasts() -> list[Contrast]:
    """Each prediction on each score; the first, on texture, decides the question."""
    return [
        Contrast(
            f"{claim} ({score})",
            score,
            {
                f"condition={name} & sheet={sheet}": weight
                for name, part in row["sum"].items()
                for sheet, weight in part.items()
            },
            sheet=None,
            expect=sign if row["more"] else TURNED[sign],
            primary=(claim, score) == (BASE, "texture"),
        )
        for claim, row in predicted().items()
        for score, (_, sign) in HARMS.items()
    ]


def by_share(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with ``share``, of the training, apart from ``sheet``: "own at 0.33", "own"."""
    if "share" in frame:
        return frame
    parts = frame["sheet"].str.partition(ON_THE_WAY)
    share = pd.to_numeric(parts[2].where(parts[1] != "", "1"))
    return frame.assign(sheet=parts[0], share=share)


def judged(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Every prediction on every score that the frame can decide, at the end of training.

    ``predicted`` is the sign the prediction gives the score's difference; ``verdict`` and interval
    are those of :func:`.contrasts.judge`.

    Args:
        frame: rows of samples with ``condition``, ``subject``, ``seed``, ``sheet`` and scores.
    """
    frame = by_share(frame)
    table = judge(frame[frame["share"] == 1], contrasts(), strict=False)
    rows = [_row(row) for row in table[table["n"] > 0].to_dict("records")]
    if len(each := lead(frame)):
        outcome = judge_values(each, 1)
        about = {"claim": FIRST, "why": FIRST_WHY, "score": "share of the rise", "predicted": "+"}
        rows.append(about | {"verdict": verdict(outcome["holds"])} | outcome)
    return rows


def _row(row: dict[str, Any]) -> dict[str, Any]:
    above = row["expect"] == "+"
    claim = row["contrast"].removesuffix(f" ({row['metric']})")
    return {
        "claim": claim,
        "why": predicted()[claim]["why"],
        "score": row["metric"],
        "predicted": "+" if above else "−",
        "verdict": row["verdict"],
        "difference": row["mean"],
        "low": row["low"],
        "high": row["high"],
        "subjects": row["n"],
        "direction": 1 if above else -1,
        "agreeing": row["agreeing"],
        "weakest": row["weakest"],
        "holds": HOLDS[row["verdict"]],
        "p": row["p"],
        "role": row["role"],
    }


def lead(frame: pd.DataFrame) -> np.ndarray:
    """Each subject's lead of the texture over the person, a third of the way through training.

    The share reached of its final rise: of the V* samples' texture, protected minus clean; less
    that of their identity match, after the same training on protected pictures, over the untrained
    model. A share above 1 has overshot its end. Subjects without a final rise of either are left
    out. The first form of this measure cut shares to [0, 1] and took the person from the training
    on clean pictures; it could hardly be refuted and was replaced after its first result.
    """
    frame = by_share(frame)
    shares = sorted(frame["share"].unique())
    early = min(shares, key=lambda share: abs(share - 1 / 3))
    own = frame[frame["sheet"] == "own"]
    table = own.pivot_table(
        index="subject",
        columns=["condition", "share"],
        values=["texture", "ims_missing"],
        aggfunc="mean",
    )
    needed = {("texture", name, early) for name in ("protected", "clean")}
    needed |= {("ims_missing", "protected", share) for share in (0, early)}
    if early in (0, 1) or not needed <= set(table.columns):
        return np.empty(0)
    texture = table["texture", "protected"] - table["texture", "clean"]
    match = table["ims_missing", "protected"]
    person = match.sub(match[0], axis=0)
    rose = (texture[1] > 0) & (person[1] > 0)
    reached = [(part[early] / part[1])[rose] for part in (texture, person)]
    return (reached[0] - reached[1]).dropna().to_numpy()
