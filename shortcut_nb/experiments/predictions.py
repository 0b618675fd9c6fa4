"""What the shortcut hypothesis predicts (``shortcut.yaml``), and what became of it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from ..analysis.lead import by_share, lead
from ..metrics import t_mean
from .contrasts import Contrast, judge
from .scores import TURNED, harms

HARMS = harms("texture", "quality", "ims_missing")
BASE = "the harm follows V*, not the class"
FIRST = "the texture comes before the person"
FIRST_WHY = "a shortcut is what is easier to learn than the thing itself"


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
        rows.append(_first(each))
    return rows


def _first(each: np.ndarray) -> dict[str, Any]:
    """What becomes of :data:`FIRST`, from each subject's lead of the texture."""
    mean, low, high, people = t_mean(each)
    verdict = "confirmed" if low > 0 else "refuted" if high < 0 else "undecided"
    return {
        "claim": FIRST,
        "why": FIRST_WHY,
        "score": "share of the rise",
        "predicted": "+",
        "verdict": verdict,
        "difference": mean,
        "low": low,
        "high": high,
        "subjects": people,
        "agreeing": float((each > 0).mean()),
        "weakest": float(each.min()),
    }


def _row(row: dict[str, Any]) -> dict[str, Any]:
    claim = row["contrast"].removesuffix(f" ({row['metric']})")
    return {
        "claim": claim,
        "why": predicted()[claim]["why"],
        "score": row["metric"],
        "predicted": "+" if row["expect"] == "+" else "−",
        "verdict": row["verdict"],
        "difference": row["mean"],
        "low": row["low"],
        "high": row["high"],
        "subjects": row["n"],
        "agreeing": row["agreeing"],
        "weakest": row["weakest"],
        "p": row["p"],
        "role": row["role"],
    }
