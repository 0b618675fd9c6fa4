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
from .shipped import verdict

HARMS = {"texture": 1, "quality": -1, "ims_missing": -1}  # score: the direction of harm
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
            claim,
            score,
            {
                f"condition={name} & sheet={sheet}": weight
                for name, part in row["sum"].items()
                for sheet, weight in part.items()
            },
            sheet=None,
            expect="+" if harm * (1 if row["more"] else -1) > 0 else "-",
            primary=(claim, score) == (BASE, "texture"),
        )
        for claim, row in predicted().items()
        for score, harm in HARMS.items()
    ]


def judged(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Every prediction on every score that the frame can decide, at the end of training.

    ``predicted`` is the sign the prediction gives the score's difference; ``verdict`` and interval
    are those of :func:`.contrasts.judge`.

    Args:
        frame: rows of samples with ``condition``, ``subject``, ``seed``, ``step``, ``sheet`` and
            scores.
    """
    last = frame[frame["step"] == frame["step"].max()]
    table = judge(last, contrasts(), strict=False)
    rows = [_row(row) for row in table[table["n"] > 0].to_dict("records")]
    if len(each := lead(frame)):
        found = judge_values(each, 1)
        about = {"claim": FIRST, "why": FIRST_WHY, "score": "share of the rise", "predicted": "+"}
        rows.append(about | {"verdict": verdict(found["holds"])} | found)
    return rows


def _row(row: dict[str, Any]) -> dict[str, Any]:
    above = row["expect"] == "+"
    return {
        "claim": row["contrast"],
        "why": predicted()[row["contrast"]]["why"],
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
    steps = sorted(frame["step"].unique())
    last = steps[-1]
    early = min(steps, key=lambda step: abs(step - last / 3))
    own = frame[frame["sheet"] == "own"]
    table = own.pivot_table(
        index="subject", columns=["condition", "step"], values=["texture", "ims_missing"],
        aggfunc="mean",
    )  # fmt: skip
    needed = {("texture", "protected", early), ("texture", "clean", early)}
    needed |= {("ims_missing", "protected", 0), ("ims_missing", "protected", early)}
    if early in (0, last) or not needed <= set(table.columns):
        return np.empty(0)
    texture = table["texture", "protected"] - table["texture", "clean"]
    match = table["ims_missing", "protected"]
    person = match.sub(match[0], axis=0)
    rose = (texture[last] > 0) & (person[last] > 0)
    shares = [(part[early] / part[last])[rose] for part in (texture, person)]
    return (shares[0] - shares[1]).dropna().to_numpy()
