"""`shortcut-nb bench`: measure an experiment, or say what measuring it would take."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .cli_cache import parse_size
from .cli_doors import doors
from .errors import UserError
from .files import write_text

if TYPE_CHECKING:
    import pandas as pd

    from .cells import Cell
    from .experiments.executors import Executor
    from .experiments.experiment import Experiment
    from .experiments.graph import Choice
    from .experiments.measured import Measurement
    from .experiments.run import Result
    from .pipeline import Pipeline
    from .progress import StepInfo
    from .store import Store

EVERY = 50  # outputs between two looks at the room that trained weights take
DEAR = ("protect", "purify", "train")  # stages that a plan lists one by one
LISTED = 40  # lines of them


def parse_seeds(text: str | None) -> tuple[int, ...] | None:
    """Seeds from "3" (0, 1, 2) or "0,4,7".

    Raises:
        ValueError: for any other text.
    """
    if text is None:
        return None
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 0 or numbers == (0,) and "," not in text:
        raise UserError(f"seeds read like 2 (how many) or 0,4,7 (which); got {text!r}.")
    return tuple(range(numbers[0])) if "," not in text else tuple(n for n in numbers)


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
    name: Annotated[str, typer.Argument(help="A question, or a YAML file of an experiment.")],
    plan: Annotated[bool, typer.Option("--plan", help="Only say what is missing.")] = False,
    executor: Annotated[str, typer.Option(help="serial, processes or ray.")] = "serial",
    workers: Annotated[int | None, typer.Option(min=1, help="How many at a time.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each worker.")] = 1,
    gpus: Annotated[float, typer.Option(min=0, help="Ray: GPUs of each, e.g. 0.25.")] = 0.0,
    address: Annotated[str | None, typer.Option(help="Ray: a running cluster, e.g. auto.")] = None,
    profile: Annotated[str, _PROFILE] = "mini",
    subject: Annotated[list[str] | None, _SUBJECT] = None,
    subjects: Annotated[int | None, typer.Option(min=1, help="The first so many.")] = None,
    seeds: Annotated[str | None, typer.Option(help="How many (2), or which (0,4).")] = None,
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
    """Measure an experiment: what is kept is not made again, and a killed run goes on.

    Exits with 1 when an output could not be made; what does not need it is made all the same.
    Exits with 3 when --minutes were over before the end; the same command goes on.
    Example: shortcut-nb bench benchmark --plan
    """
    with doors() as work:
        experiment, pipeline, choice = _open(name, profile, subject, subjects, seeds, n, cells)
        if plan:
            _show_plan(experiment, pipeline, choice, workers or 1)
            return
        room = parse_size(keep_trained)
        target = _check(experiment, pipeline, out, save and not add, force)
        chosen = choice.of(experiment)
        used = [cell for cell, _ in chosen.values()]
        earlier = _earlier(experiment, pipeline, n, used) if add else None
        work.kept = "what is done is kept, and the same command goes on"
        runs = _executor(executor, pipeline, workers, threads, gpus, address)
        result = _measure(experiment, pipeline, choice, room, runs, minutes)
        if memory:
            _add_memory(chosen, result, profile, memory, pipeline.store)
        _write(result, target)
        kept = _save(experiment, pipeline, result, used, earlier) if save or add else None
        _show(experiment, result, kept)


def _executor(name: str, pipeline: Pipeline, *how: Any) -> Executor:
    from .experiments.run import executor_of

    return executor_of(name, pipeline, *how)


def _say_unfinished(result: Result) -> None:
    """Time is over: nothing is saved that would pass for the whole."""
    _say_failures(result)
    typer.secho(
        f"the time is over with {result.skipped} outputs to make; what is done is kept, and the "
        "same command goes on",
        fg="yellow",
        err=True,
    )
    raise typer.Exit(3)


def _measure(
    experiment: Experiment,
    pipeline: Pipeline,
    choice: Choice,
    room: int,
    executor: Executor,
    minutes: float | None,
) -> Result:
    """Run, with a bar; now and then and at the end trained weights make room."""
    from .experiments.run import run
    from .progress import progress

    bar = progress(experiment.name)
    seconds = math.inf if minutes is None else 60 * minutes

    def on_step(info: StepInfo) -> None:
        bar(info)
        if info.step % EVERY == 0:
            pipeline.store.prune(keep=room, stage="train")

    try:
        result = run(experiment, pipeline, executor, choice, on_step, seconds)
    finally:
        executor.close()
        pipeline.store.prune(keep=room, stage="train")
    if result.unfinished:
        _say_unfinished(result)
    return result


def _open(
    name: str,
    profile: str,
    subject: list[str] | None,
    count: int | None,
    seeds: str | None,
    n: int | None,
    cells: list[str] | None,
) -> tuple[Experiment, Pipeline, Choice]:
    from . import Lab
    from .experiments.graph import Choice
    from .experiments.questions import open_experiment
    from .pipeline import Pipeline

    chosen = Choice(people(subject), count, parse_seeds(seeds), n, tuple(cells or ()) or None)
    lab = Lab(profile)
    return open_experiment(name, lab.profile), Pipeline(lab), chosen


def _show_plan(experiment: Experiment, pipeline: Pipeline, choice: Choice, workers: int) -> None:
    from .experiments.graph import graph_of
    from .experiments.run import missing_of, planned

    graph = graph_of(experiment, pipeline, choice)
    table = planned(graph, pipeline.store, workers)
    cells = len(choice.of(experiment))
    typer.echo(f"{experiment.name}: {experiment.question}")
    typer.echo(f"{cells} cells; outputs by stage (estimates with {workers} at a time):")
    for row in table.to_dict("records"):
        took = _duration(row["seconds"]) if row["missing"] else ""
        typer.echo(f"  {row['stage']:<8} {row['kept']:>7} kept {row['missing']:>7} to make  {took}")
    typer.echo(f"  together {_duration(float(table['seconds'].sum(skipna=False)))}")
    _list_missing(missing_of(graph, pipeline.store))


def _list_missing(missing: pd.DataFrame) -> None:
    """The dear outputs that are missing, and what failed before; the rest follows from them."""
    failed = missing["error"] != ""
    dear = missing[missing["stage"].isin(DEAR) | failed].sort_values("stage", kind="stable")
    if len(dear):
        typer.echo("attacks, purifiers and trainings to make, with how many of each:")
    for row in dear[:LISTED].to_dict("records"):
        typer.echo(f"  {row['stage']:<8} {row['outputs']:>4} × {row['what']}")
        if row["error"]:
            typer.secho(f"    failed the last time: {row['error']}", fg="red")
    if len(dear) > LISTED:
        typer.echo(f"  … and {len(dear) - LISTED} more kinds; --cells shows a part")


def _duration(seconds: float) -> str:
    if math.isnan(seconds):
        return "unknown: nothing of the kind was made yet"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _check(
    experiment: Experiment, pipeline: Pipeline, out: Path | None, save: bool, force: bool
) -> Path | None:
    """Whether the results can be written, before any work; the path of --out, checked."""
    from .outputs import check_file

    target = None if out is None else check_file(out, force, "--out")
    if target is not None and target.suffix.lower() != ".csv":
        raise UserError(f"--out must end in .csv; got {str(out)!r}.")
    if save:
        _check_save(experiment.name, pipeline.lab.profile.name, force)
    return target


def _check_save(name: str, profile: str, force: bool) -> None:
    """Whether a result of the name is there already; ``force`` replaces it, whatever its form."""
    from .outputs import check_file
    from .results import folder_of

    check_file(folder_of(profile) / f"{name}.json", force, "the result")


def _add_memory(
    chosen: dict[str, Any], result: Result, profile: str, runs: int, store: Store
) -> None:
    """A column of the peak memory of each cell's purifier or attack, in MiB."""
    from .experiments.memory import MEMORY
    from .experiments.peaks import peaks
    from .progress import progress

    cells = {name: cell for name, (cell, _) in chosen.items()}
    taken = peaks(cells, profile, runs, store, progress("memory"))
    result.frame[MEMORY] = result.frame["condition"].map(taken)


def _earlier(
    experiment: Experiment, pipeline: Pipeline, n: int | None, cells: list[Cell]
) -> Measurement | None:
    """The result that is to be added to, if there is one; refused now if it cannot be."""
    from .experiments.joining import check_joins, made_with
    from .experiments.measured import Measurement
    from .results import available

    lab = pipeline.lab
    if experiment.name not in available(lab.profile.name):
        return None
    earlier = Measurement.read(experiment.name, lab.profile.name)
    lab.digest(*earlier.made_with)  # looks at the models that it was measured with
    check_joins(earlier, n or experiment.n, made_with(lab, cells))
    return earlier


def _save(
    experiment: Experiment,
    pipeline: Pipeline,
    result: Result,
    cells: list[Cell],
    earlier: Measurement | None,
) -> Measurement:
    """Keep the means and the predictions as the profile's result of the experiment's name.

    Args:
        cells: that were measured.
        earlier: the result beside which they are kept.

    Returns:
        What is kept now, the earlier result within it.
    """
    from .experiments.joining import joined, made_with
    from .experiments.measured import Measurement

    measured = Measurement.of(
        experiment.name,
        result.frame,
        contrasts=tuple(experiment.contrasts),
        question=experiment.question,
        profile=pipeline.lab.profile.name,
        failures=tuple(f"{failure.about}: {failure.error}" for failure in result.failures),
        made_with=made_with(pipeline.lab, cells),
    )
    kept = joined(earlier, measured) if earlier else measured
    typer.echo(f"wrote {kept.write()}")
    return kept


def _write(result: Result, out: Path | None) -> None:
    """Write every sample's row to a CSV file."""
    if out is not None:
        write_text(out, result.frame.to_csv(index=False))
        typer.echo(f"wrote {len(result.frame)} rows to {out}")


def _show(experiment: Experiment, result: Result, kept: Measurement | None) -> None:
    """Print the verdicts on what is kept, or else on this run; exit with 1 if something failed."""
    frame = result.frame if kept is None else kept.frame
    if experiment.contrasts and len(frame):
        typer.echo(verdicts(experiment, frame))
    _say_failures(result)
    if result.failures:
        typer.secho(
            f"{len(result.failures)} outputs failed, and {result.skipped} that need them were "
            "not tried",
            fg="red",
            err=True,
        )
        raise typer.Exit(1)


def _say_failures(result: Result) -> None:
    for failure in result.failures:
        typer.secho(f"{failure.about}: {failure.error}", fg="red", err=True)


def verdicts(experiment: Experiment, frame: pd.DataFrame) -> str:
    """What the frame says of the experiment's predictions, for reading; the open ones counted."""
    from .experiments.contrasts import judge

    table = judge(frame, experiment.contrasts, strict=False)
    measured = table[table["verdict"] != "not measured"]
    columns = ["contrast", "metric", "mean", "low", "high", "n", "verdict"]
    lines = [measured[columns].round(3).to_string(index=False)] if len(measured) else []
    if len(measured) < len(table):
        lines.append(f"{len(table) - len(measured)} of {len(table)} predictions are not measured")
    return "\n".join(lines)
