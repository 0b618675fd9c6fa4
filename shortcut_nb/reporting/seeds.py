"""Two trainings of the same people: do they say the same?

A seed's starting noises and order of pictures are the same for everybody, so the spread between
people does not hold what one seed has against another. Where a question was measured with two, the
difference between them is tested over people.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import ttest_rel

from ..experiments.contrasts import all_per_subject
from ..experiments.measured import Measurement
from ..results import available

LEAST = 6  # people; the test has no say with fewer
LEVEL = 0.05


def between_seeds() -> pd.DataFrame:
    """A row for each contrast that was measured with two seeds on at least six people.

    Columns: ``question, contrast, metric, primary``, ``first`` and ``second`` (means over people at
    each seed, in the metric's unit) and ``p`` (of a paired t test between the two).
    """
    rows = []
    for name in available():
        measured = Measurement.read(name)
        seeds = sorted(measured.frame["seed"].unique())
        if len(seeds) == 2:
            rows += _of_question(measured, seeds)
    return pd.DataFrame(rows)


def _of_question(measured: Measurement, seeds: list[int]) -> list[dict[str, Any]]:
    frame = measured.frame
    contrasts = measured.contrasts
    first, second = (all_per_subject(frame[frame["seed"] == seed], contrasts) for seed in seeds)
    rows = []
    for contrast, *values in zip(contrasts, first, second, strict=True):
        both = pd.concat(values, axis=1, keys=["first", "second"], join="inner")
        if len(both) >= LEAST and np.ptp(both["second"] - both["first"]) > 0:
            row = {"question": measured.name, "contrast": contrast.name, "metric": contrast.metric}
            row |= {"primary": bool(contrast.primary)} | both.mean().to_dict()
            rows.append(row | {"p": float(ttest_rel(both["second"], both["first"]).pvalue)})
    return rows


def sentence() -> str:
    """What the two trainings say of each other, in words."""
    table = between_seeds()
    primary = table[table["primary"]]
    agree = int((np.sign(primary["first"]) == np.sign(primary["second"])).sum())
    same = f"{agree} of the {len(primary)}"
    if agree == len(primary):
        same = f"all {len(primary)}"
    differing = (table["p"] < LEVEL).mean()
    return (
        f"Of {len(table)} predictions that were measured with two, {differing:.0%} differ between "
        f"the two by more than people's spread allows; by chance {LEVEL:.0%} would. Of those named "
        f"beforehand {same} have the same sign in both."
    )
