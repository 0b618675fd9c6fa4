"""Where the shortcut lives: what ``shortcut-nb bench traces`` measured says of each prediction."""

from __future__ import annotations

from typing import Any

from .measured import Measurement
from .questions.traces import PREDICTIONS
from .report import records
from .shipped import whom


def content(measured: Measurement) -> dict[str, Any]:
    """Verdicts, and the mean of every measure with its interval.

    Rows of ``predictions`` have ``claim, why, verdict, difference, low, high, subjects``; of
    ``means`` ``sheet`` (what was looked at), ``metric, mean, low, high, n``.
    """
    rows = measured.verdicts().rename(
        columns={"contrast": "claim", "mean": "difference", "n": "subjects"}
    )
    rows["why"] = [PREDICTIONS[claim][2] for claim in rows["claim"]]
    first = measured.frame.iloc[0]
    return whom(measured) | {
        "eps": first["eps"],
        "attack": first["attack"],
        "predictions": records(rows),
        "means": records(measured.means(measured.metrics, by=["sheet"])),
    }
