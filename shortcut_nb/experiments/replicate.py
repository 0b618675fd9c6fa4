"""A small live run beside a larger measurement: does one more person show the same?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from ..budget import Budget
from ..errors import UserError
from ..metrics import describe
from ..pipeline import Pipeline
from ..profile import Profile
from . import first_results
from .contrasts import judge
from .executors import Serial
from .experiment import Experiment
from .measured import FORMAT, Measurement
from .run import Choice, make_jobs
from .run import run as run_experiment
from .shipped import shipped
from .tables import Table, digits_for, number

ENOUGH = 6  # people of the larger run
CLEAR = 0.25  # of the mean: the least that every one of them showed
NOTE = (
    "Bold: asserted here, since the larger run confirmed it and each of its people showed at least "
    "a quarter of the mean."
)


def measure(
    experiment: Experiment, pipeline: Pipeline, subject: str, seed: int, n: int
) -> pd.DataFrame:
    """The experiment on one subject, here and now; see :class:`.run.Result` for the frame.

    Args:
        subject: a name or a folder.
        n: samples a sheet.

    Raises:
        UserError: the first output that could not be made.
    """
    executor = Serial(lambda *given: make_jobs(pipeline, given[-1]), torch.get_num_threads())
    choice = Choice(subjects=(subject,), seeds=(seed,), n=n)
    result = run_experiment(experiment, pipeline, executor, choice)
    if result.failures:
        first = result.failures[0]
        raise UserError(f"{first.about}: {first.error}")
    return result.frame


@dataclass(frozen=True, eq=False)
class Larger:
    """A larger measurement's verdicts, beside which a run sets its own.

    Attributes:
        judged: see :func:`.contrasts.judge`.
        same: whether the run is of the profile, budget and kind of subjects that were measured.
        heading: of whom it is, "measured on mini: 6 subjects, 2 seeds".
    """

    judged: pd.DataFrame
    same: bool = True
    heading: str = ""


def verdicts(
    name: str,
    profile: str | Profile = "mini",
    folder: str | Path | None = None,
    *,
    eps: str | None = None,
    subject: str | None = None,
) -> Larger:
    """What the shipped measurement says of each contrast; arguments as of :func:`.shipped.shipped`.

    Raises:
        MissingFile, CannotRead: see :func:`shortcut_nb.results.read_result`.
    """
    content = shipped(name, profile, folder, eps=eps, subject=subject)
    budgets = _budgets(content)
    same = content.same and (not eps or not budgets or str(Budget.parse(eps)) in budgets)
    if content.get("format") == FORMAT:
        judged = Measurement.read(name, content.profile, folder).verdicts()
    else:
        judged = getattr(first_results, name)(content)
    return Larger(judged, same, content.heading)


def _budgets(content: Mapping[str, Any]) -> set[str]:
    rows = content.get("claims", ())
    return set(content.get("frame", {}).get("eps", ())) | {row["eps"] for row in rows}


def replicated(frame: pd.DataFrame, experiment: Experiment, larger: Larger) -> pd.DataFrame:
    """Set a run's own contrasts beside the larger run's; one row per contrast that both measured.

    A contrast is asserted where the larger run confirmed it on at least :data:`ENOUGH` people, each
    of whom showed at least :data:`CLEAR` of the mean. The others are shown. A run of another
    profile, budget or kind of subjects (``larger.same`` is False) is shown whole and held to
    nothing.

    Args:
        frame: of a run, one row per sample.

    Returns:
        ``contrast, metric, sheet, here, mean, low, high, n, verdict, asserted, agrees``.

    Raises:
        AssertionError: an asserted contrast has the other sign here, or nothing is in both.
    """
    mine = judge(frame, experiment.contrasts, strict=False)
    mine = mine.loc[mine["n"] > 0, ["contrast", "metric", "sheet", "expect", "mean"]]
    mine = mine.rename(columns={"mean": "here"})
    theirs = larger.judged.drop(columns=["sheet", "expect"])
    both = mine.merge(theirs, on=["contrast", "metric"], how="inner" if larger.same else "left")
    if both.empty:
        raise AssertionError("nothing to check: no contrast was measured both here and there")
    clear = both["weakest"].astype(float) >= CLEAR * both["mean"].astype(float).abs()
    sure = (both["verdict"] == "confirmed") & clear & (both["n"] >= ENOUGH)
    both["asserted"] = sure & (both["expect"] != "0") & larger.same
    both["agrees"] = both["here"] * both["mean"] > 0
    wrong = both[both["asserted"] & ~both["agrees"]]
    if len(wrong):
        raise AssertionError(f"not as the larger run found:\n{wrong.to_string()}")
    columns = ["contrast", "metric", "sheet", "here", "mean", "low", "high", "n", "verdict"]
    return both[[*columns, "asserted", "agrees"]]


def table(rows: pd.DataFrame, larger: Larger) -> Table:
    """What :func:`replicated` returned, for reading."""
    shown = []
    for row in rows.to_dict("records"):
        digits = digits_for([row["low"]], [row["high"]], [row["mean"]])
        shown.append(
            (
                row["contrast"],
                describe(row["metric"]).label,
                f"{row['here']:+.{digits}f}",
                number(row["mean"], row["low"], row["high"], digits, sign=True),
                "" if pd.isna(row["n"]) else f"{row['n']:.0f}",
                "" if pd.isna(row["verdict"]) else row["verdict"],
            )
        )
    header = ("prediction", "measure", "here", "larger run [95 %]", "people", "verdict")
    marked = frozenset(number for number, sure in enumerate(rows["asserted"]) if sure)
    title = f"Here, and {larger.heading}"
    return Table("replicated", title, header, tuple(shown), rows, NOTE if marked else "", marked)
