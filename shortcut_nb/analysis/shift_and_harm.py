"""Shifts and harms over attacks and people: their rank correlation, and mediation analysis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from .correlation import rank_correlation
from .mediation import Mediation, mediation


def correlation(
    rows: pd.DataFrame, measure: str, harm: str, given: str | None = "psnr", resamples: int = 4000
) -> dict[str, Any]:
    """Rank correlation of a shift with a harm over conditions and people, and how firm it is.

    Args:
        rows: one for each condition and person, with ``condition, subject, kind`` ("purified" ones
            are left out), the shifts and the harms.
        given: what is held equal; None is nothing.

    Returns:
        What :func:`.rank_correlation` gives, ``conditions``, and ``lowest``, ``highest``: the
        range of the value when each attack in turn is left out, NaN where too few rows are left.
    """
    own = rows[rows["kind"] != "purified"].dropna(subset=[measure, harm])

    def once(part: pd.DataFrame, draws: int = 0) -> Any:
        fixed = None if given is None else part[given]
        people = part["subject"].tolist()
        return rank_correlation(part[measure], part[harm], people, fixed, draws)

    def without(name: str) -> float:
        try:
            return once(own[own["condition"] != name]).value
        except ValueError:  # too few rows, or all alike
            return float("nan")

    names = own["condition"].unique()
    values = [without(name) for name in names]
    ends = {"lowest": np.min(values), "highest": np.max(values), "conditions": len(names)}
    return once(own, resamples)._asdict() | ends


def mediate(
    rows: pd.DataFrame, harm: str, through: Mapping[str, str], resamples: int = 2000
) -> Mediation:
    """How much of what attacks do beyond random noise goes through each shift.

    Args:
        rows: as for :func:`correlation`, of one budget; a ``kind`` is "random noise".
        harm: a column of harms.
        through: a name of each mediator to its column.
    """
    own = rows[rows["kind"] != "purified"]
    attacked = (own["kind"] != "random noise").astype(float)
    columns = {name: own[column] for name, column in through.items()}
    return mediation(attacked, columns, own[harm], own["subject"].tolist(), resamples)
