"""Means and differences of experiment frames, with intervals over subjects.

Samples and seeds of a subject are averaged first: the subject is the unit of resampling.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..metrics import t_mean

TITLES = {
    "ims_missing": "identity match (−1 without a face)",
    "quality": "quality (CLIP-IQA style)",
    "texture": "texture (grey levels)",
}
WITH_NOISE = {**TITLES, "noise": "probability of noise (CLIP)"}


def between(value: float, low: float, high: float, spec: str = "+.2f") -> str:
    """A number and its interval for reading, "+0.37 [+0.19, +0.53]"; without one the number alone.

    A value that is NaN gives nothing.
    """
    if pd.isna(value):
        return ""
    return f"{value:{spec}}" + ("" if pd.isna(low) else f" [{low:{spec}}, {high:{spec}}]")


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table's rows as plain JSON values."""
    return json.loads(table.to_json(orient="records"))


def means(frame: pd.DataFrame, by: Sequence[str], scores: Sequence[str]) -> pd.DataFrame:
    """Mean and 95 % t interval of each score for each group; columns as plots want them."""
    rows = []
    for key, part in frame.groupby(list(by), sort=False):
        for score in scores:
            each = part.groupby("subject")[score].mean().dropna().to_numpy()
            if len(each):
                interval = t_mean(each)
                rows.append(dict(zip(by, key, strict=True)) | {"score": score} | interval._asdict())
    return pd.DataFrame(rows)


def judge(each: np.ndarray, direction: int) -> dict:
    """Mean difference, its interval over subjects, and what follows for the claim.

    ``agreeing`` is the share of subjects whose own difference has the claimed sign, ``weakest`` the
    smallest difference in the claimed direction (negative: one went the other way).
    """
    interval = t_mean(each)
    sure = bool(interval.low > 0 or interval.high < 0)
    return {
        "difference": float(interval.mean),
        "low": float(interval.low),
        "high": float(interval.high),
        "subjects": int(interval.n),
        "direction": direction,
        "agreeing": float((each * direction > 0).mean()),
        "weakest": float((each * direction).min()),
        "holds": bool(interval.mean * direction > 0) if sure else None,
    }
