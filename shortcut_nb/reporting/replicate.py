"""A small live run beside a larger measurement: does one more person show the same?"""

from __future__ import annotations

import pandas as pd
import torch

from ..errors import UserError
from ..experiments.executor_choice import executor_of
from ..experiments.experiment import Experiment
from ..experiments.graph import Choice
from ..experiments.run import run as run_experiment
from ..pipeline import Pipeline
from .summary import Summary
from .tables import Table, digits_for, number, short_label, spoken

NOTE = (
    "The rows above the fold are asserted for this person: the larger run confirmed them, and each "
    "of its people showed at least a quarter of the mean. The verdict is the larger run's. Where "
    "it draws more samples, harm looks smaller there: the first starting noises come out worst."
)
EXPECTED = {"+": "+", "-": "−", "0": "≈ 0"}


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
    executor = executor_of("serial", pipeline, threads=torch.get_num_threads())
    choice = Choice(subjects=(subject,), seeds=(seed,), n=n)
    result = run_experiment(experiment, pipeline, executor, choice)
    if result.failures:
        first = result.failures[0]
        raise UserError(f"{first.about}: {first.error}")
    return result.frame


def table(rows: pd.DataFrame, larger: Summary) -> Table:
    """What :func:`.summary.checked` returned, for reading; the rest is folded below it."""
    lines = []
    for row in rows.to_dict("records"):
        there, low, high = row["there"], row["there_low"], row["there_high"]
        digits = digits_for([low], [high], [there])
        lines.append(
            (
                spoken(row["contrast"], row["metric"]),
                short_label(row["metric"]),
                EXPECTED.get(row["expect"], ""),
                f"{row['here']:+.{digits}f}",
                number(there, low, high, digits, sign=True),
                "" if pd.isna(row["n"]) else f"{row['n']:.0f}",
                "" if pd.isna(row["verdict"]) else row["verdict"],
            )
        )
    header = (
        "prediction",
        "measure",
        "predicted",
        "here",
        "larger run [95 %]",
        "people",
        "verdict",
    )
    marked = frozenset(i for i, sure in enumerate(rows["asserted"]) if sure)
    title = f"Here, and {larger.heading}"
    note = NOTE if marked else ""
    return Table("replicated", title, header, tuple(lines), rows, note, marked, folded=True)
