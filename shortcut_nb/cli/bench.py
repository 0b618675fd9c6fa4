"""`shortcut-nb bench`: measure an experiment, or say what measuring it would take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UserError
from .bench_results import Results
from .cache import parse_size
from .choices import parse_seeds, people
from .exits import user_errors
from .lines import say
from .plan import show_plan
from .saved_results import Keep, asked_of, check_save

if TYPE_CHECKING:
    from ..experiments.executors import Executor
    from ..experiments.experiment import Experiment
    from ..experiments.graph import Choice
    from ..pipeline import Pipeline
    from ..progress import StepInfo

EVERY = 50  # outputs between two looks at the room that trained weights take

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
        from ..experiments.executor_choice import check_executor, default_workers, executor_of
        from ..experiments.graph import Choice

        choice = Choice(
            subjects=people(subject),
            count=subjects,
            seeds=parse_seeds(seeds),
            n=n,
            cells=tuple(cells or ()) or None,
        )
        check_executor(executor, None if plan else workers, gpus, address)
        room = parse_size(keep_trained)
        experiments, pipeline = _open(names, profile)
        for each in experiments:
            _say_unmeasurable(each, pipeline)
        if plan:
            show_plan(experiments, pipeline, choice, workers or default_workers(executor) or 1)
            return
        target = _check(experiments, pipeline, out, save and not add, force)
        keep = Keep(save or add, add, force)
        asked = {each.name: asked_of(each, pipeline, choice, keep) for each in experiments}
        on_interrupt.message = "what is done is kept, and the same command goes on"
        results = Results(asked, pipeline, target, profile, memory)
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
        say(text, fg="yellow", err=True)


def _open(names: Sequence[str], profile: str) -> tuple[list[Experiment], Pipeline]:
    from .. import Lab
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
    return experiments, Pipeline(lab)


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
        check_save(each.name, pipeline.lab.profile.name, force)
    return target


def _measure(
    experiments: Sequence[Experiment],
    pipeline: Pipeline,
    choice: Choice,
    room: int,
    executor: Executor,
    minutes: float | None,
    results: Results,
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
