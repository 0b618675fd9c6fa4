"""What the shortcut hypothesis predicts (``shortcut.yaml``), and what became of it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from ..analysis.lead import by_share, lead
from .contrasts import Contrast, judge
from .report import judge as judge_values
from .scores import TURNED, harms
from .shipped import verdict

HARMS = harms("texture", "quality", "ims_missing")
BASE = "the harm follows V*, not the class"
FIRST = "the texture comes before the person"
FIRST_WHY = "a shortcut is what is easier to learn than the thing itself"
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
