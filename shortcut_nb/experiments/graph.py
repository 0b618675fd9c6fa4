"""An experiment as a graph of outputs: what is there, what is missing, and the frame of it."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pandas as pd

from ..cells import Cell, Sheet
from ..errors import UserError
from ..models.class_pictures import ClassPictures
from ..pipeline import Node, Pipeline
from ..registry import nearest
from ..settings import Count, Seed, read
from ..store import Entry, Store
from ..subjects import Subject
from .experiment import Experiment


@dataclass(frozen=True)
class Choice:
    """On whom, with which seeds, how many samples and which cells; None is the experiment's own.

    Args:
        count: the first so many of the profile's subjects.
        n: samples a sheet.
        cells: patterns of their names, such as "clean*"; a star stands for any text.

    Raises:
        UserError: a number that is none or too small, or anything but a list where one is expected.
    """

    subjects: tuple[str, ...] | None = None
    count: int | None = None
    seeds: tuple[int, ...] | None = None
    n: int | None = None
    cells: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("count", "n"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, read(getattr(self, name), Count, name))
        for name, kind in (("subjects", str), ("seeds", Seed), ("cells", str)):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _read_list(getattr(self, name), kind, name))

    def of(self, experiment: Experiment) -> dict[str, tuple[Cell, dict[str, str]]]:
        """The cells of an experiment that are chosen, as :meth:`Experiment.all_cells` has them.

        Raises:
            UserError: a pattern that fits none; the nearest are listed.
        """
        every = experiment.all_cells()
        for pattern in self.cells or ():
            if not any(fits(name, pattern) for name in every):
                raise UserError(
                    f"no cell of {experiment.name} fits {pattern!r}; the nearest are "
                    f"{nearest(pattern, list(every))}"
                )
        patterns = self.cells or ("*",)
        return {
            name: cell
            for name, cell in every.items()
            if any(fits(name, pattern) for pattern in patterns)
        }


def _read_list(given: Any, kind: Any, name: str) -> tuple[Any, ...]:
    """Each of a list as an annotation wants it; paths are text.

    Raises:
        UserError: no list, an empty one, or one with something else in it.
    """
    listed = isinstance(given, Iterable) and not isinstance(given, (str, bytes))
    every = list(given) if listed else []
    if not every:
        raise UserError(f"{name} must be a list of at least one, or None; got {given!r}")
    plain = [str(each) if isinstance(each, Path) else each for each in every]
    return tuple(read(each, kind, f"each of {name}") for each in plain)


def fits(name: str, pattern: str) -> bool:
    """Whether a cell's name fits a pattern, in which a star alone stands for any text."""
    return fnmatchcase(name, pattern.replace("[", "[[]").replace("?", "[?]"))


WHOLE = Choice()
"""The experiment's own subjects, seeds, number of samples and cells."""


Parts = tuple[dict[str, list[Any]], dict[str, Any]]
"""An output's columns, one value for each sample, and its values, the same for all of them."""


@dataclass(frozen=True)
class Job:
    """What another process needs to know to make an output.

    Attributes:
        stage: how it is made: a stage of the store ("probe" are the scores of samples), "compare",
            "image probe" or "sample probe".
        subject: whose, by name.
        cell, seed, sheet, n: what is made, as a pipeline's methods take them.
        key: names the output.
        probe: the name of an image probe or a sample probe; "" for any other stage.
        drawn: which class pictures, where it is they; the rest does not count then.
    """

    stage: str
    subject: str
    cell: Cell
    seed: int
    sheet: Sheet
    n: int
    key: str = ""
    probe: str = ""
    drawn: ClassPictures | None = None

    def node(self, pipeline: Pipeline, subject: Subject) -> Node:
        """The output, in a process's own pipeline."""
        if self.drawn is not None:
            return pipeline.prior(self.drawn)
        node = self._node(pipeline, subject)
        assert node is not None  # clean pictures are no output
        return node

    def _node(self, pipeline: Pipeline, subject: Subject) -> Node | None:
        place = subject, self.cell, self.seed
        match self.stage:
            case "protect":
                return pipeline.protect(*place)
            case "purify":
                return pipeline.purify(*place)
            case "train":
                return pipeline.train(*place)
            case "compare":
                return pipeline.compare(*place)
            case "sample":
                return pipeline.sample(*place, self.sheet, self.n)
            case "probe":
                return pipeline.score_samples(*place, self.sheet, self.n)
            case "image probe":
                return pipeline.probe_images(*place, self.probe)
            case "sample probe":
                return pipeline.probe_samples(*place, self.sheet, self.n, self.probe)
        raise ValueError(f"no stage is called {self.stage!r}")


@dataclass(frozen=True)
class Row:
    """The outputs from which one sheet's rows of the frame are read, a row for each sample.

    Attributes:
        columns: what all of its rows say alike: condition, axes, subject, seed, sheet.
        nodes: the scores, and then other measures; where one is missing there are no rows.
        optional_nodes: further measures; where one is missing its columns stay empty.
    """

    columns: dict[str, Any]
    nodes: tuple[Node, ...]
    optional_nodes: tuple[Node, ...]


@dataclass
class Graph:
    """An experiment's outputs.

    Attributes:
        rows: the outputs of each row group of the frame, in its order.
        nodes: every output, by key.
        jobs: how each is made elsewhere.
        kept: keys of what is there.
        missing: keys of what must be made, in the order of their stages.
    """

    rows: list[Row] = field(default_factory=list)
    nodes: dict[str, Node] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    missing: dict[str, None] = field(default_factory=dict)


def graph_of(experiment: Experiment, pipeline: Pipeline, choice: Choice = WHOLE) -> Graph:
    """Every output of an experiment, in the order in which they are best made."""
    with _garbage_collection(False):
        return _graph_of(experiment, pipeline, choice)


def _graph_of(experiment: Experiment, pipeline: Pipeline, choice: Choice) -> Graph:
    people = choice.subjects or experiment.people(pipeline.lab.profile, choice.count)
    graph, n = Graph(), experiment.n if choice.n is None else choice.n
    cells = choice.of(experiment)
    for seed in choice.seeds or experiment.seeds:
        for name in people:
            subject = pipeline.subject(name)
            for condition, (cell, labels) in cells.items():
                place = {"condition": condition} | labels | {"subject": name, "seed": seed}
                for sheet, how in in_order(experiment.sheets | cell.sheets):
                    job = Job("probe", name, cell, seed, how, n)
                    jobs, optional = _jobs(experiment, job)
                    row = Row(
                        place | {"sheet": sheet},
                        tuple(_wanted(graph, pipeline, each, subject) for each in jobs),
                        tuple(_wanted(graph, pipeline, each, subject) for each in optional),
                    )
                    graph.rows.append(row)
    return graph


def _jobs(experiment: Experiment, scores: Job) -> tuple[list[Job], list[Job]]:
    """The outputs of one row: those that it must have, and the optional ones.

    Args:
        scores: the row's scores.
    """
    sample_probes = () if scores.sheet.inside else experiment.sample_probes
    needed = [scores, replace(scores, stage="compare")]
    needed += [replace(scores, stage="sample probe", probe=name) for name in sample_probes]
    image_probes = (*experiment.image_probes, *scores.cell.image_probes)
    return needed, [replace(scores, stage="image probe", probe=name) for name in image_probes]


def merged(graphs: Sequence[Graph]) -> Graph:
    """The outputs of several experiments, each once, those of the first in front."""
    whole = Graph()
    for graph in graphs:
        whole.rows += graph.rows
        whole.nodes |= graph.nodes
        whole.jobs |= graph.jobs
        whole.kept |= graph.kept
        whole.missing |= graph.missing
    return whole


@contextmanager
def _garbage_collection(on: bool) -> Iterator[None]:
    """Turn garbage collection on or off: among thousands of small objects that all stay it takes
    half of the time."""
    before = gc.isenabled()
    _switch_garbage_collection(on)
    try:
        yield
    finally:
        _switch_garbage_collection(before)


def _switch_garbage_collection(on: bool) -> None:
    if on:
        gc.enable()
    else:
        gc.disable()


def in_order(sheets: Mapping[str, Sheet]) -> list[tuple[str, Sheet]]:
    """Sheets that are sampled during the training first, by its share: one training serves all."""
    return sorted(sheets.items(), key=lambda pair: math.inf if pair[1].at is None else pair[1].at)


def _wanted(graph: Graph, pipeline: Pipeline, job: Job, subject: Subject) -> Node:
    """A job's output, entered into the graph with what it needs."""
    node = job.node(pipeline, subject)
    _note(graph, pipeline.store, node, job)
    return node


def _note(graph: Graph, store: Store, node: Node, job: Job) -> None:
    """Enter an output, how it is made and, where it is missing, what it needs."""
    key = node.recipe.key
    if key in graph.nodes:
        return
    graph.nodes[key] = node
    if store.has(node.recipe):
        graph.kept.add(key)
        return
    job = replace(job, **node.of)
    for need in node.needs:
        _note(graph, store, need, replace(job, stage=need.recipe.stage))
    graph.jobs[key] = replace(job, key=key)
    graph.missing[key] = None


def frame_of(
    graph: Graph, pipeline: Pipeline, failed: Callable[[Node, Exception], None] | None = None
) -> pd.DataFrame:
    """The frame of what is there; see :class:`.run.Result`. A damaged part is made again here.

    Args:
        failed: is told what could not be made again, and why; its rows are left out. None raises.
    """
    with _garbage_collection(False):
        return pd.DataFrame(_samples(graph, pipeline.store, _reader(pipeline, failed)))


def _samples(
    graph: Graph, store: Store, read: Callable[[Node], Parts | None]
) -> list[dict[str, Any]]:
    """A row for each sample whose scores are all there."""
    samples: list[dict[str, Any]] = []
    for row in graph.rows:
        if not all(store.has(node.recipe) for node in row.nodes):
            continue
        optional = (node for node in row.optional_nodes if store.has(node.recipe))
        parts = [read(node) for node in (*row.nodes, *optional)]
        if None in parts[: len(row.nodes)]:
            continue
        columns: dict[str, list[Any]] = {}
        same = dict(row.columns)
        for part in filter(None, parts):
            columns |= part[0]
            same |= part[1]
        samples += [
            same | dict(zip(columns, each, strict=True))
            for each in zip(*columns.values(), strict=True)
        ]
    return samples


def _reader(
    pipeline: Pipeline, failed: Callable[[Node, Exception], None] | None
) -> Callable[[Node], Parts | None]:
    """A function that reads an output, each once; it gives None where one is damaged and cannot be
    made again."""
    known: dict[str, Parts | None] = {}

    def remake(node: Node) -> Entry:
        with _garbage_collection(True):
            return pipeline.make(node)

    def read(node: Node) -> Parts | None:
        key = node.recipe.key
        if key not in known:
            try:
                known[key] = _parts(pipeline.store.get(node.recipe) or remake(node))
            except Exception as error:
                if failed is None:
                    raise
                failed(node, error)
                known[key] = None
        return known[key]

    return read


def _parts(entry: Entry) -> Parts:
    """An output's columns and values; most have one of the two."""
    files = entry.manifest["files"]
    columns, values = (
        entry.json(name) if f"{name}.json" in files else {} for name in ("columns", "values")
    )
    return columns, values
