"""`shortcut-nb bench`: measure an experiment, or say what measuring it would take."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UserError
from ..experiments.seeds import first_seeds
from ..files import write_text
from .cache import parse_size
from .exits import as_option, user_errors
from .plan import show_plan

if TYPE_CHECKING:
    import pandas as pd

    from ..cells import Cell
    from ..experiments.executors import Executor
    from ..experiments.experiment import Experiment
    from ..experiments.graph import Choice
    from ..experiments.measured import Measurement
    from ..experiments.run import Result
    from ..pipeline import Pipeline
    from ..progress import StepInfo
    from ..store import Store

EVERY = 50  # outputs between two looks at the room that trained weights take


def parse_seeds(text: str | None) -> tuple[int, ...] | None:
    """Seeds from "3" (0, 1, 2), "0,4,7" or "7," (that one alone).

    Raises:
        ValueError: for any other text.
    """
    if text is None:
        return None
    try:
        numbers = tuple(int(part) for part in text.removesuffix(",").split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 0 or numbers == (0,) and "," not in text:
        raise UserError(
            f"seeds read like 2 (how many), 0,4,7 (which) or 7, (that one); got {text!r}."
        )
    if "," in text:
        return tuple(dict.fromkeys(numbers))
    return first_seeds(numbers[0])


def people(given: list[str] | None) -> tuple[str, ...] | None:
    """Subjects by name or folder; a text file's lines stand for it, folders from where it lies.

    Raises:
        UserError: a text file that is not there, cannot be read, or names nobody.
    """
    names: list[str] = []
    for name in given or ():
        path = Path(name).expanduser()
        names += _listed(path) if path.suffix == ".txt" else [name]
    return tuple(dict.fromkeys(names)) or None


def _listed(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} is not a text file that can be read ({error}): write one folder of photos "
            "or one name a line."
        ) from None
    names = [line for line in lines if line and not line.startswith("#")]
    if not names:
        raise UserError(f"{path} names no subject: write one folder of photos or name a line.")
    beside = [path.parent / Path(name).expanduser() for name in names]
    return [str(place) if place.is_dir() else name for name, place in zip(names, beside)]


_PROFILE = typer.Option(help="A profile, sd21 or sd21:smoke, or a YAML file.")
_SUBJECT = typer.Option(help="A name, a folder of photos, or a text file of them; repeatable.")
_CELLS = typer.Option(help="Only cells of these names: 'clean*'; repeatable.")
_MINUTES = typer.Option(min=0, help="Begin nothing new after so many.")
_KEEP_TRAINED = typer.Option(help="Trained weights in the store: the oldest go beyond this size.")
_SAVE = typer.Option("--save", help="Keep it as the profile's result, for `report`.")
_ADD = typer.Option("--add", help="Save what the earlier result lacks beside it.")
_FORCE = typer.Option("--force", help="Replace the file of --out, and an earlier result.")


def bench(
    names: Annotated[list[str], typer.Argument(help="Questions, or YAML files of experiments.")],
    plan: Annotated[bool, typer.Option("--plan", help="Only say what is missing.")] = False,
    executor: Annotated[str, typer.Option(help="serial, processes or ray.")] = "serial",
    workers: Annotated[int | None, typer.Option(min=1, help="How many at a time.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each worker.")] = 1,
    gpus: Annotated[float, typer.Option(min=0, help="Ray: GPUs of each, e.g. 0.25.")] = 0.0,
    address: Annotated[str | None, typer.Option(help="Ray: a running cluster, e.g. auto.")] = None,
    profile: Annotated[str, _PROFILE] = "mini",
    subject: Annotated[list[str] | None, _SUBJECT] = None,
    subjects: Annotated[int | None, typer.Option(min=1, help="The first so many.")] = None,
    seeds: Annotated[str | None, typer.Option(help="How many (2), or which (0,4 or 4,).")] = None,
    n: Annotated[int | None, typer.Option(min=1, help="Samples a sheet.")] = None,
    cells: Annotated[list[str] | None, _CELLS] = None,
    out: Annotated[Path | None, typer.Option(help="Write every sample's row to this CSV.")] = None,
    memory: Annotated[int, typer.Option(min=0, help="Runs for each peak memory; 0: none.")] = 0,
    minutes: Annotated[float | None, _MINUTES] = None,
    keep_trained: Annotated[str, _KEEP_TRAINED] = "20GB",
    save: Annotated[bool, _SAVE] = False,
    add: Annotated[bool, _ADD] = False,
    force: Annotated[bool, _FORCE] = False,
) -> None:
    """Measure experiments: what is kept is not made again, and a killed run goes on.

    Several at once share what they have in common. Exits with 1 when an output could not be made;
    what does not need it is made all the same. Exits with 3 when --minutes were over before the
    end; the same command goes on. Example: shortcut-nb bench benchmark --plan
    """
    with user_errors() as on_interrupt:
        chosen = people(subject), subjects, parse_seeds(seeds), n, tuple(cells or ()) or None
        from ..experiments.workers import check_executor, default_workers, executor_of

        check_executor(executor, None if plan else workers, gpus, address)
        room = parse_size(keep_trained)
        experiments, pipeline, choice = _open(names, profile, *chosen)
        for each in experiments:
            _say_unmeasurable(each, pipeline)
        if plan:
            show_plan(experiments, pipeline, choice, workers or default_workers(executor) or 1)
            return
        target = _check(experiments, pipeline, out, save and not add, force)
        keep = _Keep(save or add, add, force)
        asked = {each.name: _asked(each, pipeline, choice, keep) for each in experiments}
        on_interrupt.message = "what is done is kept, and the same command goes on"
        results = _Results(asked, pipeline, target, profile, memory)
        runs = executor_of(executor, pipeline, workers, threads, gpus, address)
        _measure(experiments, pipeline, choice, room, runs, minutes, results)
        if code := results.exit_code:
            raise typer.Exit(code)


def _say_unmeasurable(experiment: Experiment, pipeline: Pipeline) -> None:
    """Say before the work which predictions are of scores that the profile cannot give."""
    from ..metrics import METRICS
    from ..metrics.frame import unavailable_columns

    absent = unavailable_columns(METRICS, pipeline.lab)
    lost = [each.metric for each in experiment.contrasts if each.metric in absent]
    if lost:
        text = (
            f"{experiment.name}: {len(lost)} of {len(experiment.contrasts)} predictions will not "
            f"be measured, since profile {pipeline.lab.profile.name} has no models for "
            f"{', '.join(sorted(set(lost)))}"
        )
        _say(text, fg="yellow", err=True)


@dataclass(frozen=True)
class _Keep:
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
class _Asked:
    """An experiment and what is done with its result.

    Attributes:
        cells: that are measured, by name.
        n: samples a sheet, where they are not the experiment's own.
    """

    experiment: Experiment
    cells: dict[str, Cell]
    n: int | None
    keep: _Keep


def _open(
    names: Sequence[str], profile: str, *chosen: Any
) -> tuple[list[Experiment], Pipeline, Choice]:
    from .. import Lab
    from ..experiments.graph import Choice
    from ..experiments.questions import open_experiment
    from ..pipeline import Pipeline
    from ..progress import quiet_libraries

    quiet_libraries()
    lab = Lab(profile)
    each = dict.fromkeys(str(Path(name)) for name in names)  # "./one.yaml" is "one.yaml"
    experiments = [open_experiment(name, lab.profile) for name in each]
    called = [each.name for each in experiments]
    if twice := sorted({name for name in called if called.count(name) > 1}):
        raise UserError(
            f"two experiments are called {twice[0]!r}: give each a name of its own, in its file"
        )
    return experiments, Pipeline(lab), Choice(*chosen)


def _check(
    experiments: Sequence[Experiment],
    pipeline: Pipeline,
    out: Path | None,
    save: bool,
    force: bool,
) -> Path | None:
    """Whether the results can be written, before any work; the path of --out, checked."""
    from ..files.outputs import check_file

    target = None if out is None else check_file(out, force, "--out")
    if target is not None and target.suffix.lower() != ".csv":
        raise UserError(f"--out must end in .csv; got {str(out)!r}.")
    if target is not None and len(experiments) > 1:
        raise UserError(
            f"--out is one file, of one question; got {len(experiments)} questions: measure them "
            "together, then write each by itself."
        )
    for each in experiments if save else ():
        _check_save(each.name, pipeline.lab.profile.name, force)
    return target


def _check_save(name: str, profile: str, force: bool) -> None:
    """Whether a result of the name is there already; ``force`` replaces it, whatever its form."""
    from ..files.outputs import check_file
    from ..results import folder_of

    check_file(folder_of(name, profile) / f"{name}.json", force, "the result")


def _asked(experiment: Experiment, pipeline: Pipeline, choice: Choice, keep: _Keep) -> _Asked:
    """What is asked of an experiment; refused now if its result could not be kept."""
    cells = {name: cell for name, (cell, _) in choice.of(experiment).items()}
    asked = _Asked(experiment, cells, choice.n, keep)
    if keep.add:
        _earlier(asked, pipeline)
    return asked


def _earlier(asked: _Asked, pipeline: Pipeline) -> Measurement | None:
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


def _measure(
    experiments: Sequence[Experiment],
    pipeline: Pipeline,
    choice: Choice,
    room: int,
    executor: Executor,
    minutes: float | None,
    results: _Results,
) -> None:
    """Run, with a bar; now and then and at the end trained weights make room."""
    from ..experiments.run import run_all
    from ..progress import close_bars, progress

    alone = len(experiments) == 1
    bar = progress(experiments[0].name if alone else f"{len(experiments)} questions")
    seconds = math.inf if minutes is None else 60 * minutes

    def on_step(info: StepInfo) -> None:
        bar(info)
        if info.step % EVERY == 0:
            pipeline.store.prune(keep=room, stage="train")

    try:
        run_all(experiments, pipeline, executor, choice, on_step, seconds, results)
    finally:
        close_bars()
        executor.close()
        pipeline.store.prune(keep=room, stage="train")


@dataclass
class _Results:
    """What is done with each result when it is there: written, saved and shown.

    Attributes:
        asked: by the experiment's name.
        target: the CSV file of --out.
        memory: runs for each peak memory; 0 is none.
        exit_code: 3 when something is unfinished, 2 when a result could not be saved, 1 when an
            output could not be made, else 0.
    """

    asked: dict[str, _Asked]
    pipeline: Pipeline
    target: Path | None
    profile: str
    memory: int
    exit_code: int = 0

    def __call__(self, experiment: Experiment, result: Result) -> None:
        """An error here is of this result alone: the others go on."""
        asked = self.asked[experiment.name]
        if result.unfinished:
            self._leave(3)
        elif result.failures or result.skipped or result.frame.empty:
            self._leave(1)
        kept = None
        with self._reported(experiment.name):
            if not result.unfinished and len(result.frame):
                kept = self._keep(asked, result)
        with self._reported(experiment.name):
            _show(asked, result, kept)
        kept_nowhere = self.target is None and not asked.keep.save
        if kept_nowhere and len(result.frame) and not result.unfinished:
            _say(f"{experiment.name}: not kept for `report`; the same with --save keeps it")

    @contextmanager
    def _reported(self, name: str) -> Iterator[None]:
        """A user's error is printed, and the exit code says so."""
        try:
            yield
        except UserError as error:
            _say(f"{name}: {as_option(error)}", fg="red", err=True)
            self._leave(2)

    def _leave(self, code: int) -> None:
        self.exit_code = max(self.exit_code, code)

    def _keep(self, asked: _Asked, result: Result) -> Measurement | None:
        if self.memory:
            _add_memory(asked, result, self.profile, self.memory, self.pipeline.store)
        if self.target is not None:
            write_text(self.target, result.frame.to_csv(index=False))
            _say(f"wrote {len(result.frame)} rows to {self.target}")
        if asked.keep.save:
            return _save(asked, self.pipeline, result)
        return None


def _say(text: str, **style: Any) -> None:
    """Print a line of its own, also while a bar stands."""
    from ..progress import between_bars

    with between_bars():
        typer.secho(text, **style)


def _add_memory(asked: _Asked, result: Result, profile: str, runs: int, store: Store) -> None:
    """A column of the peak memory of each cell's purifier or attack, in MiB."""
    from ..experiments.peaks import peaks
    from ..experiments.process_memory import MEMORY
    from ..progress import progress

    taken = peaks(asked.cells, profile, runs, store, progress("memory"))
    result.frame[MEMORY] = result.frame["condition"].map(taken)


def _save(asked: _Asked, pipeline: Pipeline, result: Result) -> Measurement:
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
            _check_save(experiment.name, pipeline.lab.profile.name, asked.keep.force)
        earlier = _earlier(asked, pipeline) if asked.keep.add else None
        kept = joined(earlier, measured) if earlier else measured
        path = kept.write()
    more = f": {len(earlier.frame)} rows were there, now {len(kept.frame)}" if earlier else ""
    _say(f"wrote {path}{more}")
    return kept


def _show(asked: _Asked, result: Result, kept: Measurement | None) -> None:
    """Print the verdicts on what is kept, or else on this run, and what is missing; the means
    where nothing is predicted."""
    frame = result.frame if kept is None else kept.frame
    name = asked.experiment.name
    if len(frame) and not result.unfinished:
        predicts = bool(asked.experiment.contrasts)
        _say(verdicts(asked.experiment, frame) if predicts else means(frame))
    for failure in result.failures:
        _say(f"{failure.about}: {failure.error}", fg="red", err=True)
    if result.unfinished:
        text = (
            f"{name}: the time is over with {result.skipped} outputs to make; what is done is "
            "kept, and the same command goes on"
        )
        _say(text, fg="yellow", err=True)
    elif result.failures or result.skipped:
        text = (
            f"{name}: {len(result.failures)} outputs failed, and {result.skipped} were not tried "
            "that need one that failed"
        )
        _say(text, fg="red", err=True)
    if result.frame.empty and asked.keep.save:
        _say(f"{name}: nothing was measured, so nothing is saved", fg="red", err=True)


def verdicts(experiment: Experiment, frame: pd.DataFrame) -> str:
    """What the frame says of the experiment's predictions, for reading; the open ones counted."""
    from ..experiments.contrasts import judge

    table = judge(frame, experiment.contrasts, strict=False)
    measured = table[table["verdict"] != "not measured"]
    columns = ["contrast", "metric", "mean", "low", "high", "n", "verdict"]
    lines = [measured[columns].round(3).to_string(index=False)] if len(measured) else []
    if len(measured) < len(table):
        lines.append(f"{len(table) - len(measured)} of {len(table)} predictions are not measured")
    return "\n".join(lines)


def means(frame: pd.DataFrame) -> str:
    """The mean of each score by cell and sheet, for reading."""
    from ..experiments.contrast_checks import measured_columns

    there = set(frame.select_dtypes(["number", "bool"]))
    scores = [column for column in frame if column in there & measured_columns()]
    table = frame.groupby(["condition", "sheet"], sort=False)[scores].mean()
    return table.dropna(axis="columns", how="all").round(3).T.to_string()
