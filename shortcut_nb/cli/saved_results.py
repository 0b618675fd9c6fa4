"""Results that are kept for `shortcut-nb report`, and added to earlier ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .lines import say

if TYPE_CHECKING:
    from ..cells import Cell
    from ..experiments.experiment import Experiment
    from ..experiments.graph import Choice
    from ..experiments.measured import Measurement
    from ..experiments.run import Result
    from ..pipeline import Pipeline


@dataclass(frozen=True)
class Keep:
    """Whether a result is kept, and what then becomes of an earlier one.

    Attributes:
        save: it is kept.
        add: beside the earlier result.
        force: in its place.
    """

    save: bool
    add: bool
    force: bool


@dataclass(frozen=True)
class Asked:
    """An experiment and what is done with its result.

    Attributes:
        cells: that are measured, by name.
        n: samples a sheet, where they are not the experiment's own.
    """

    experiment: Experiment
    cells: dict[str, Cell]
    n: int | None
    keep: Keep


def asked_of(experiment: Experiment, pipeline: Pipeline, choice: Choice, keep: Keep) -> Asked:
    """What is asked of an experiment; refused now if its result could not be kept."""
    cells = {name: cell for name, (cell, _) in choice.of(experiment).items()}
    asked = Asked(experiment, cells, choice.n, keep)
    if keep.add:
        earlier_of(asked, pipeline)
    return asked


def check_save(name: str, profile: str, force: bool) -> None:
    """Whether a result of the name is there already; ``force`` replaces it, whatever its form."""
    from ..files.outputs import check_file
    from ..results import folder_of

    check_file(folder_of(name, profile) / f"{name}.json", force, "the result")


def earlier_of(asked: Asked, pipeline: Pipeline) -> Measurement | None:
    """The result that is to be added to, if there is one; an error if it cannot be."""
    from ..experiments.joining import check_joins, made_with
    from ..experiments.measured import Measurement
    from ..results import available

    lab, experiment = pipeline.lab, asked.experiment
    if experiment.name not in available(lab.profile.name):
        return None
    earlier = Measurement.read(experiment.name, lab.profile.name)
    lab.digest(*earlier.made_with)  # looks at the models that it was measured with
    check_joins(earlier, asked.n or experiment.n, made_with(lab, asked.cells, experiment.sheets))
    return earlier


def save_result(asked: Asked, pipeline: Pipeline, result: Result) -> Measurement:
    """Keep the means and the predictions as the profile's result of the experiment's name.

    Returns:
        What is kept now; with --add the earlier result within it, read anew, since another sitting
        may have added to it meanwhile.
    """
    from ..experiments.joining import joined, made_with
    from ..experiments.measured import Measurement
    from ..results import changing

    experiment = asked.experiment
    measured = Measurement.of(
        experiment.name,
        result.frame,
        contrasts=tuple(experiment.contrasts),
        question=experiment.question,
        profile=pipeline.lab.profile.name,
        failures=tuple(f"{failure.about}: {failure.error}" for failure in result.failures),
        made_with=made_with(pipeline.lab, asked.cells, experiment.sheets),
    )
    with changing(experiment.name, pipeline.lab.profile.name):
        if not asked.keep.add:  # another run may have kept one meanwhile
            check_save(experiment.name, pipeline.lab.profile.name, asked.keep.force)
        earlier = earlier_of(asked, pipeline) if asked.keep.add else None
        kept = joined(earlier, measured) if earlier else measured
        path = kept.write()
    more = f": {len(earlier.frame)} rows were there, now {len(kept.frame)}" if earlier else ""
    say(f"wrote {path}{more}")
    return kept
