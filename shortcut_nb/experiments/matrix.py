"""Cells by short form, on the one runner: every condition × subject × seed, resumable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from ..cells import CLEAN, OWN
from ..profile import Profile
from .experiment import Experiment
from .pool import lab_of
from .run import executor_of
from .run import run as run_experiment
from .stages import CLASS, Cell, Pipeline


def run(
    cells: Mapping[str, Cell],
    subjects: Sequence[str],
    seeds: Sequence[int],
    *,
    profile: str = "mini",
    n: int = 8,
    workers: int = 2,
    looks: Sequence[str] = (),
) -> pd.DataFrame:
    """Run every cell for every subject and seed; score all samples.

    Args:
        cells: condition name to cell.
        n: samples for each prompt.
        workers: processes, one thread each; 0 runs here.
        looks: further measures of the pictures trained on.

    Returns:
        A tidy frame, one row per sample; see :class:`.run.Result`. A sheet is called ``prompt``.

    Raises:
        RuntimeError: naming the first output that could not be made; the others are kept.
    """
    experiment = Experiment(
        name="matrix",
        cells={name: cell.full for name, cell in cells.items()},
        sheets={"instance": OWN, "class": CLASS},
        looks=tuple(looks),
        subjects=tuple(subjects),
        seeds=tuple(seeds),
        n=n,
    )
    pipeline = Pipeline(lab_of(profile))
    executor = executor_of("processes" if workers else "serial", pipeline, workers)
    try:
        result = run_experiment(experiment, pipeline, executor)
    finally:
        executor.close()
    if result.failures:
        first = result.failures[0]
        raise RuntimeError(f"{first.about}: {first.error}")
    return result.frame.rename(columns={"sheet": "prompt", "train_seconds": "training_seconds"})


def first_subjects(profile: Profile, count: int) -> list[str]:
    """The first subjects that a profile names.

    Raises:
        UserError: when it names fewer.
    """
    return Experiment(name="people", cells={"clean": CLEAN}).people(profile, count)
