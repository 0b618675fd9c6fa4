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

import pandas as pd

from ..pipeline import Node, Pipeline
from ..progress import OnStep, StepInfo
from ..store import Store
from .executors import Executor, Outcome
from .experiment import Experiment
from .graph import WHOLE, Choice, Graph, frame_of, graph_of, merged
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
        executor: of the same pipeline; see :func:`.workers.executor_of`.
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
            executor.submit(unit, (jobs,))
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
