"""What the engine costs: two Ray workers against serial, and store and harness against the work.

Real outputs throughout. The first needs two cores that nothing else uses. Run with ``make bench``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from shortcut_nb import Lab
from shortcut_nb.experiments.executor_choice import executor_of
from shortcut_nb.experiments.executors import Executor
from shortcut_nb.experiments.experiment import Experiment
from shortcut_nb.experiments.graph import Choice
from shortcut_nb.experiments.run import run
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.store import Entry, Payload, Recipe, Store
from tests.small_runs import same
from tests.tiny_profile import SHORT, tiny_profile

FASTER = 1.7  # at least, with two workers of one thread each
SHARE = 0.02  # of a cell's time, at most, for store and harness
WARM = Choice(seeds=(100,))  # so that both workers have their models open
MATRIX = Experiment(
    name="matrix",
    axes={"attack": ["none", "noise"], "purifier": ["none", "jpeg"]},
    base={"eps": "8/255"},
    sheets={"instance": {}},
    subjects=2,
    seeds=(0, 1),
    n=4,
)
CELL = Experiment(name="cell", cells={"noise": {"attack": "noise"}}, subjects=1, seeds=(0,), n=8)


@pytest.fixture(scope="module")
def tiny_lab(tmp_path_factory):
    """Tiny models, trained and sampled for about a second a cell."""
    longer = SHORT | {"dreambooth": SHORT["dreambooth"] | {"steps": 60}}
    sampling = {"steps": 20, "guidance_scale": 4.0}
    profile = tiny_profile(tmp_path_factory.mktemp("tiny"), defaults=longer, sampling=sampling)
    return Lab(profile, "cpu", torch.float32)


def timed(pipeline: Pipeline, executor: Executor) -> tuple[float, Any]:
    """Seconds of the matrix, with the models open already, and its frame."""
    run(MATRIX, pipeline, executor, WARM)
    started = time.monotonic()
    result = run(MATRIX, pipeline, executor)
    assert not result.failures and not result.skipped
    return time.monotonic() - started, result.frame


def test_two_ray_workers(tiny_lab, tmp_path, record_property):
    ray = pytest.importorskip("ray")
    serially = Pipeline(tiny_lab, Store(tmp_path / "serial"))
    serial, frame = timed(serially, executor_of("serial", serially, threads=1))
    pipeline = Pipeline(tiny_lab, Store(tmp_path / "ray"))
    executor = executor_of("ray", pipeline, workers=2, threads=1)
    try:
        together, other = timed(pipeline, executor)
    finally:
        executor.close()
    assert not ray.is_initialized()
    same(frame, other)
    ratio = serial / together
    record_property("two Ray workers", ratio)
    print(
        f"\nserial {serial:.1f} s, two Ray workers {together:.1f} s: {ratio:.2f} x (bar {FASTER})"
    )
    assert ratio >= FASTER


class Saving(Payload):
    """A payload that tells a store what saving takes."""

    def __init__(self, folder: Path, store: TimedStore) -> None:
        super().__init__(folder)
        object.__setattr__(self, "store", store)

    def save_json(self, name: str, value: Any) -> None:
        with self.store.clock():
            super().save_json(name, value)

    def save_images(self, name: str, images: Any) -> None:
        with self.store.clock():
            super().save_images(name, images)

    def save_tensors(self, name: str, tensors: Any) -> None:
        with self.store.clock():
            super().save_tensors(name, tensors)


class TimedStore(Store):
    """A store that tells the work that it keeps from its own: what ``work`` adds up, in seconds."""

    spent = work = 0.0

    @contextmanager
    def clock(self) -> Iterator[None]:
        """Adds a block to what the store spends, without the work inside."""
        started, before = time.monotonic(), self.spent + self.work
        yield
        self.spent += time.monotonic() - started - (self.spent + self.work - before)

    def make(self, recipe: Recipe, write: Callable[[Payload], None]) -> Entry:
        def timed(out: Payload) -> None:
            started, before = time.monotonic(), self.spent + self.work
            write(Saving(out.folder, self))
            self.work += time.monotonic() - started - (self.spent + self.work - before)

        with self.clock():
            return super().make(recipe, timed)


def test_store_and_harness_take_little_of_a_cell(tmp_path, record_property):
    """A cell of the miniature: whatever is not inside an output's own work counts."""
    torch.set_num_threads(1)
    store = TimedStore(tmp_path / "store")
    pipeline = Pipeline(Lab("mini", device="cpu"), store)
    executor = executor_of("serial", pipeline)
    short = CELL.cells["noise"].model_copy(update={"training": {"steps": 1}})
    opening = CELL.model_copy(update={"cells": {"noise": short}})  # models, class pictures
    assert not run(opening, pipeline, executor, Choice(seeds=(1,), n=1)).failures
    store.work, started = 0.0, time.monotonic()
    result = run(CELL, pipeline, executor)
    seconds = time.monotonic() - started
    assert not result.failures and len(result.frame) == 16
    share = 1 - store.work / seconds
    record_property("store and harness", share)
    print(
        f"\na cell takes {seconds:.1f} s, of which store and harness {share:.2%} (bar {SHARE:.0%})"
    )
    assert 0 < share <= SHARE
