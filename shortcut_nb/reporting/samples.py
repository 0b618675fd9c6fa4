"""The pictures behind a measurement, where the store still has them: nothing is made here."""

from __future__ import annotations

from torch import Tensor

from ..errors import UserError
from ..experiments.experiment import Experiment
from ..experiments.graph import Choice, graph_of
from ..experiments.measured import Measurement
from ..pipeline import Pipeline


def kept_samples(
    experiment: Experiment, pipeline: Pipeline, measured: Measurement
) -> dict[str, Tensor]:
    """Samples of the first person and seed by cell, (n, 3, H, W) in [0, 1].

    Cells whose samples are not in the store are left out.
    """
    person, seed = str(measured.frame["subject"].iloc[0]), int(measured.frame["seed"].iloc[0])
    choice = Choice(subjects=(person,), seeds=(seed,), n=measured.samples)
    samples = {}
    for row in graph_of(experiment, pipeline, choice).rows:
        if row.columns["sheet"] != measured.default_sheet:
            continue
        needs = row.nodes[0].needs
        drawn = next(node for node in needs if node.recipe.stage == "sample")
        if entry := pipeline.store.get(drawn.recipe):
            samples[row.columns["condition"]] = entry.images("images")
    return samples


def samples_of(
    measured: Measurement, own: Experiment | None = None, spec: str | None = None
) -> dict[str, Tensor]:
    """:func:`kept_samples` of an experiment; empty where its models are not here.

    Args:
        own: the experiment; None is the package's question of that name, if there is one.
        spec: the profile's name or file; None is the name that was measured under.
    """
    from ..experiments.questions import names, open_experiment
    from ..lab import Lab

    if own is None and measured.name not in names():
        return {}
    try:
        lab = Lab(spec or measured.profile)
        experiment = own or open_experiment(measured.name, lab.profile)
        return kept_samples(experiment, Pipeline(lab), measured)
    except UserError:  # a profile, a person or weights that are not on this machine
        return {}
