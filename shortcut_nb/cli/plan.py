"""What `shortcut-nb bench --plan` says: what is there, what is missing, and how long it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from ..templates import counted

if TYPE_CHECKING:
    import pandas as pd

    from ..experiments.experiment import Experiment
    from ..experiments.graph import Choice
    from ..pipeline import Pipeline

LISTED = 40  # lines of them


def show_plan(
    experiments: Sequence[Experiment], pipeline: Pipeline, choice: Choice, workers: int
) -> None:
    """Print the outputs of some experiments by stage; what they share is counted once."""
    from ..experiments.graph import graph_of, merged
    from ..experiments.planning import missing_of, planned

    graph = merged([graph_of(each, pipeline, choice) for each in experiments])
    table = planned(graph, pipeline.store, workers)
    for each in experiments:
        cells = counted(len(choice.of(each)), "cell")
        typer.echo(f"{each.name}, {cells}: {each.question}")
    typer.echo(f"outputs by stage (estimates with {workers} at a time):")
    for row in table.to_dict("records"):
        took = _estimate(row) if row["missing"] else ""
        typer.echo(f"  {row['stage']:<8} {row['kept']:>7} kept {row['missing']:>7} to make  {took}")
    typer.echo(f"  together {_estimate(table[['missing', 'seconds', 'unknown']].sum())}")
    _list_missing(missing_of(graph, pipeline.store))


def _estimate(row: Mapping[str, Any] | pd.Series) -> str:
    """How long so many outputs take; of those whose like was never made it is said so."""
    unknown = int(row["unknown"])
    if not unknown:
        return _duration(row["seconds"])
    if unknown == row["missing"]:
        return "unknown: none of the kind was made yet"
    return f"at least {_duration(row['seconds'])}; none like {unknown} of them was made yet"


def _list_missing(missing: pd.DataFrame) -> None:
    """The dear outputs that are missing, and what failed before; the rest follows from them."""
    from ..experiments.planning import COSTLY_STAGES

    failed = missing["error"] != ""
    dear = missing[missing["stage"].isin(COSTLY_STAGES) | failed].sort_values(
        "stage", kind="stable"
    )
    if len(dear):
        typer.echo("attacks, purifiers and trainings to make, with how many of each:")
    for row in dear[:LISTED].to_dict("records"):
        typer.echo(f"  {row['stage']:<8} {row['outputs']:>4} × {row['what']}")
        if row["error"]:
            typer.secho(f"    failed the last time: {row['error']}", fg="red")
    if len(dear) > LISTED:
        typer.echo(f"  … and {len(dear) - LISTED} more kinds; --cells shows a part")


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
