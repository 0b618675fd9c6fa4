"""One runner for every experiment: makes what is missing, and reads the frame.

What is kept is not made again, whatever the executor and however often a run was killed; an output
that cannot be made stops only what needs it.
"""

from __future__ import annotations

import logging
import math
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pandas as pd

from ..errors import UserError
from ..lab import Lab
from ..pipeline import Node, Pipeline
from ..profile import Profile
from ..progress import OnStep, StepInfo, quiet_libraries
from ..store import Store
from ..weights import IN_MEMORY
from .executors import Executor, Outcome, Processes, Ray, Serial
from .experiment import Experiment
from .graph import WHOLE, Choice, Graph, Job, frame_of, graph_of, merged
from .schedule import Schedule

log = logging.getLogger("shortcut_nb")


@dataclass(frozen=True)
class Failure:
    """An output that could not be made, and why."""

    about: str
    stage: str
    key: str
    error: str
    trace: str = field(default="", repr=False)


@dataclass(frozen=True, eq=False)
class Result:
    """What was measured.

    Attributes:
        frame: one row per sample: ``condition``, the axes, ``attack``, ``eps``, ``purifier``,
            ``trainer``, ``prompts``, ``subject``, ``seed``, ``sheet``, ``image``, a column per
            metric, how far the pictures trained on had moved, and what it took.
        failures: what could not be made.
        skipped: how many outputs were not tried, since something they need failed or the time
            was over.
        unfinished: whether outputs are left that nothing but time kept from being made.
    """

    frame: pd.DataFrame
    failures: list[Failure]
    skipped: int = 0
    unfinished: bool = False


def run(
    experiment: Experiment,
    pipeline: Pipeline,
    executor: Executor,
    choice: Choice = WHOLE,
    on_step: OnStep | None = None,
    seconds: float = math.inf,
) -> Result:
    """Make what is missing, and read the frame.

    Args:
        executor: its work is :func:`run_jobs`, on the same profile and store as the pipeline.
        on_step: is told after each output.
        seconds: nothing new is begun after so long; the frame is then of what is there.
    """
    return run_all([experiment], pipeline, executor, choice, on_step, seconds)[0]


def run_all(
    experiments: Sequence[Experiment],
    pipeline: Pipeline,
    executor: Executor,
    choice: Choice = WHOLE,
    on_step: OnStep | None = None,
    seconds: float = math.inf,
    on_result: Callable[[Experiment, Result], None] | None = None,
) -> list[Result]:
    """The same of several experiments at once: what they share is made once, and no worker waits
    for the last outputs of one before the next begins.

    Args:
        on_result: is told of each experiment and its result, as soon as all its outputs are there;
            of those where some could not be made, at the end.
    """
    graphs = [graph_of(experiment, pipeline, choice) for experiment in experiments]
    left = [set(graph.missing) for graph in graphs]
    results: dict[int, Result] = {}

    def settle(number: int, ended: Ended) -> None:
        results[number] = _result(graphs[number], pipeline, ended)
        if on_result:
            on_result(experiments[number], results[number])

    def on_unit(keys: Sequence[str]) -> None:
        for number, rest in enumerate(left):
            rest.difference_update(keys)
            if not rest and number not in results:
                settle(number, Ended())

    on_unit([])
    ended = execute(merged(graphs), pipeline, executor, on_step, seconds, on_unit)
    for number in range(len(graphs)):
        if number not in results:
            settle(number, ended)
    return [results[number] for number in range(len(graphs))]


def _result(graph: Graph, pipeline: Pipeline, ended: Ended) -> Result:
    """What was measured of one experiment, after its outputs were made."""
    own = [failure for failure in ended.failures if failure.key in graph.nodes]
    barred, late = ended.barred & graph.missing.keys(), ended.late & graph.missing.keys()

    def note(node: Node, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        own.append(_noted(pipeline.store, node, Outcome(text, traceback.format_exc())))

    return Result(frame_of(graph, pipeline, note), own, len(barred) + len(late), bool(late))


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        failures: what could not be made.
        barred: keys of what was not tried, since it needs something that could not be made.
        late: keys of what was not tried, since the time was over.
    """

    failures: list[Failure] = field(default_factory=list)
    barred: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)


def execute(
    graph: Graph,
    pipeline: Pipeline,
    executor: Executor,
    on_step: OnStep | None = None,
    seconds: float = math.inf,
    on_unit: Callable[[Sequence[str]], None] | None = None,
) -> Ended:
    """Make what is missing; what needs an output that failed is left out, and so is the rest
    when the seconds are over.

    Args:
        on_unit: is told the keys of what was made, each time some were.
    """
    stop = time.monotonic() + seconds
    schedule = Schedule(graph)
    failures: list[Failure] = []
    done = 0
    while True:
        while schedule.ready() and schedule.running < executor.slots and time.monotonic() < stop:
            unit = schedule.start()
            jobs = [graph.jobs[key] for key in schedule.units[unit]]
            executor.submit(unit, (*place_of(pipeline, executor), jobs))
        if not schedule.running:
            barred, late = schedule.untried()
            return Ended(failures, barred, late)
        unit, outcome = executor.next()
        keys = schedule.units[unit]
        failures += _failures(graph, pipeline.store, keys, outcome)
        schedule.end(unit, failed=bool(outcome.error))
        if on_unit and not outcome.error:
            on_unit(keys)
        done += len(keys)
        if on_step:
            about = graph.nodes[keys[-1]].about
            on_step(StepInfo(done, len(graph.missing), about=about))


def _failures(graph: Graph, store: Store, keys: Sequence[str], outcome: Outcome) -> list[Failure]:
    """Write failures down, and forget those of a former run that have come right."""
    failures = []
    for key in keys:
        node = graph.nodes[key]
        if not outcome.error:
            store.note_failure(node.recipe, None)
        elif not store.has(node.recipe):
            failures.append(_noted(store, node, outcome))
    return failures


def _noted(store: Store, node: Node, outcome: Outcome) -> Failure:
    """Write a failure down, beside the store's outputs and into the log."""
    recipe = node.recipe
    failure = Failure(node.about, recipe.stage, recipe.key, outcome.error, outcome.trace)
    store.note_failure(recipe, vars(failure))
    log.warning("%s failed: %s", node.about, outcome.error)
    return failure


def place_of(pipeline: Pipeline, executor: Executor) -> tuple[str, ...]:
    """What :func:`run_jobs` needs to open the same pipeline elsewhere.

    Ray shows a worker its own cards alone, which are numbered from 0 there.
    """
    lab = pipeline.lab
    profile = lab.profile.model_dump_json()
    return (
        profile,
        lab.device.type if isinstance(executor, Ray) else str(lab.device),
        str(lab.autocast).removeprefix("torch."),
        *(str(each) for each in (pipeline.store.root, pipeline.keep_trained)),
    )


def run_jobs(
    profile: str, device: str, autocast: str, root: str, keep_trained: str, jobs: Sequence[Job]
) -> None:
    """Make some outputs, one after the other, in the pipeline of this process."""
    make_jobs(_pipeline(profile, device, autocast, root, keep_trained), jobs)


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


def executor_of(
    name: str,
    pipeline: Pipeline,
    workers: int | None = None,
    threads: int = 1,
    gpus: float = 0.0,
    address: str | None = None,
) -> Executor:
    """An executor that works for a pipeline.

    Args:
        name: "serial" (in this process), "processes" or "ray".
        threads: of torch, in each process. Numbers are the same with any executor as long as it is.
        gpus, address: see :class:`.executors.Ray`.

    Raises:
        UserError: an unknown name, or Ray is not there.
    """
    check_executor(name)
    diffusion = pipeline.lab.profile.diffusion
    if name != "serial" and diffusion.id.startswith(IN_MEMORY):
        raise UserError(
            f"a model in memory cannot be opened in another process: use the executor serial, not "
            f"{name}, or save the pipeline and name its folder in a profile"
        )
    if name == "serial":
        return Serial(lambda *arguments: make_jobs(pipeline, arguments[-1]), threads)
    if name == "processes":
        return Processes(run_jobs, workers or 2, threads)
    return Ray(run_jobs, workers, gpus, address=address, threads=threads)


def check_executor(name: str) -> None:
    """Raise a UserError for a name of no executor."""
    if name not in ("serial", "processes", "ray"):
        raise UserError(f"an executor is serial, processes or ray; got {name!r}")


@cache
def _pipeline(profile: str, device: str, autocast: str, root: str, keep_trained: str) -> Pipeline:
    """A process's own pipeline, opened once."""
    import torch

    quiet_libraries()
    lab = Lab(Profile.model_validate_json(profile), device, getattr(torch, autocast))
    return Pipeline(lab, Store(Path(root)), keep_trained=float(keep_trained))
