"""Making outputs, in this process or in another one that opens the same pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from ..lab import Lab
from ..pipeline import Pipeline
from ..profile import Profile
from ..progress import quiet_libraries
from ..store import Store
from .graph import Job


@dataclass(frozen=True)
class PipelineSpec:
    """What another process needs to know to open the same pipeline; a value that can be sent.

    Attributes:
        profile_json: the profile, as JSON.
        device: such as "cpu" or "cuda:1".
        autocast: the arithmetic.
        store: the store's folder.
        keep_trained: megabytes up to which trained weights are kept; see :class:`.Pipeline`.
    """

    profile_json: str
    device: str
    autocast: torch.dtype
    store: Path
    keep_trained: float

    @classmethod
    def of(cls, pipeline: Pipeline) -> PipelineSpec:
        """What stands for a pipeline."""
        lab = pipeline.lab
        return cls(
            lab.profile.model_dump_json(),
            str(lab.device),
            lab.autocast,
            pipeline.store.root,
            pipeline.keep_trained,
        )

    def open(self) -> Pipeline:
        """This process's own pipeline, opened once."""
        return _opened(self)


@cache
def _opened(spec: PipelineSpec) -> Pipeline:
    quiet_libraries()
    profile = Profile.model_validate_json(spec.profile_json)
    lab = Lab(profile, spec.device, spec.autocast)
    return Pipeline(lab, Store(spec.store), keep_trained=spec.keep_trained)


def make_elsewhere(spec: PipelineSpec, jobs: Sequence[Job]) -> None:
    """Make some outputs, one after the other, in the pipeline of this process."""
    make_jobs(spec.open(), jobs)


def make_jobs(pipeline: Pipeline, jobs: Sequence[Job]) -> None:
    """Make some outputs, one after the other.

    Raises:
        RuntimeError: the profile's models, the pictures or the arithmetic are not here what they
            are where the run was planned, so that the output would be another one.
    """
    for job in jobs:
        node = job.node(pipeline, pipeline.subject(job.subject))
        if node.recipe.key != job.key:
            raise RuntimeError(
                f"{node.about}: models, pictures or arithmetic differ from those of the machine "
                "that planned the run; make them the same on all machines"
            )
        pipeline.make(node)
