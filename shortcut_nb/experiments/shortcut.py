"""Is it a shortcut, and what drives it? What ``shortcut-nb bench shortcut`` measured says.

For every subject and seed: one DreamBooth on clean and one on protected pictures, sampled on the
way with and without the identifier; and one for each intervention on pictures or words. The
predictions were written first (``shortcut.yaml``).
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from .measured import Measurement
from .predictions import BASE, by_share, judged
from .report import WITH_NOISE, means, records
from .shipped import Shipped, whom

SCORES = WITH_NOISE
SHEETS = {
    "own": "V* class",
    "bare": "V* alone",
    "swapped": "another rare word",
    "class": "class",
}
PRIMARY = (BASE, "texture")


def curves(frame: pd.DataFrame) -> pd.DataFrame:
    """Means with intervals of every score over the training, of the watched conditions.

    Args:
        frame: rows with ``condition``, ``subject``, ``sheet`` and scores; a sheet that was drawn on
            the way is called "own at 0.33".

    Returns:
        Columns ``condition``, ``sheet`` (as in figures), ``share`` (of the training), ``score``,
        ``mean``, ``low``, ``high``, ``n``.
    """
    frame = by_share(frame)
    watched = [name for name, part in frame.groupby("condition") if part["share"].nunique() > 1]
    part = frame[frame["condition"].isin(watched) & frame["sheet"].isin(list(SHEETS))]
    part = part.assign(sheet=part["sheet"].map(SHEETS)).sort_values("share", kind="stable")
    return means(part, ["condition", "sheet", "share"], list(SCORES))


def shares(steps: pd.DataFrame) -> pd.DataFrame:
    """Curves with ``share`` for the training steps that the first results have."""
    if "share" in steps:
        return steps
    return steps.assign(share=steps["step"] / steps["step"].max())


def content(measured: Measurement) -> dict[str, Any]:
    """Verdicts, curves and levels of what ``shortcut-nb bench shortcut --save`` kept."""
    frame = by_share(measured.frame)
    last = frame[frame["share"] == 1]
    protected = last[last["condition"] == "protected"].iloc[0]
    return whom(measured) | {
        "eps": protected["eps"],
        "attack": protected["attack"],
        "purifier": protected["purifier"],
        "predictions": records(pd.DataFrame(judged(measured.frame))),
        "steps": records(curves(measured.frame)),
        "means": records(means(last, ["condition", "sheet"], [*SCORES, "l2"])),
    }


def check(frame: pd.DataFrame, larger: Shipped) -> pd.DataFrame:
    """Set a run's own difference beside the larger run's, for the prediction that decides.

    Here one person is trained on, whom the larger run has not seen. Asserted is that the gap is
    above zero; where that run was of another profile or budget, or has seen the person, the numbers
    are shown and nothing is asserted.

    Args:
        frame: a row per sample of the conditions "clean" and "protected".

    Returns:
        One row: ``claim, score, here, difference, low, high, subjects``.

    Raises:
        AssertionError: there is no such gap.
    """
    here = _primary(judged(frame))["difference"]
    there = _primary(larger["predictions"])
    seen = set(frame["subject"]) & set(larger["subjects"])
    if larger.same and not seen and not here > 0:
        raise AssertionError(
            f"{PRIMARY[0]}: expected a gap in {PRIMARY[1]} above 0, as the larger run's "
            f"{there['difference']:+.2f}; got {here:+.2f}"
        )
    columns = ("claim", "score", "difference", "low", "high", "subjects")
    table = pd.DataFrame([{name: there[name] for name in columns} | {"here": here}])
    return table.rename_axis(columns=larger.heading)


def _primary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The row of the prediction that decides the question.

    Raises:
        AssertionError: it was not measured.
    """
    for row in rows:
        if (row["claim"], row["score"]) == PRIMARY:
            return row
    raise AssertionError(f"nothing to check: {PRIMARY[0]!r} was not measured in {PRIMARY[1]}")
