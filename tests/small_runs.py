"""Small measurements and trainings with tiny models, for tests."""

import pandas as pd
import torch

from shortcut_nb.experiments.executor_choice import executor_of
from shortcut_nb.experiments.graph import WHOLE, graph_of
from shortcut_nb.experiments.planning import planned
from shortcut_nb.experiments.run import run
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.store import Store

CONSTANT = {"lr_scheduler": "constant", "warmup": 0}
"""A rate that does not move: the first steps of a longer training are then a shorter one."""

SURROGATE = {"eps": "8/255", "alpha": "4/255", "class_images": 4, "batch_size": 2,
             "surrogate_lr": 1e-4}  # fmt: skip
"""Settings of an attack whose surrogates are trained in a moment."""


def measured_serially(experiment, lab, folder):
    """An experiment with nothing kept before: the pipeline whose store has it all, the frame."""
    pipeline = Pipeline(lab, Store(folder))
    result = run(experiment, pipeline, executor_of("serial", pipeline))
    assert not result.failures and not result.skipped
    return pipeline, result.frame


def plan(experiment, pipeline, choice=WHOLE, workers=1):
    """What a run of an experiment would do, by stage."""
    return planned(graph_of(experiment, pipeline, choice), pipeline.store, workers)


def without_costs(frame):
    return frame[[name for name in frame if not name.endswith("seconds")]]


def same(one, other):
    """Both frames have the same numbers; seconds are each run's own."""
    pd.testing.assert_frame_equal(without_costs(one), without_costs(other))


def trained_alike(one, other):
    """Whether two trainings had the same losses and end with the same weights, to the bit."""
    ours, theirs = (fitted.method.state(fitted.model) for fitted in (one, other))
    same_weights = all(torch.equal(ours[name], theirs[name]) for name in theirs)
    return one.losses == other.losses and ours.keys() == theirs.keys() and same_weights


def manifests(store):
    """Every entry with the file that its manifest is: another one, were it made again."""
    return {
        entry.key: ((entry.folder / "manifest.json").stat().st_ino, entry.manifest["made"])
        for entry in store.ls()
    }
