"""What `shortcut-nb bench` does with each result when it is there: write, keep and show it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UserError
from ..files import write_text
from .exits import as_option
from .lines import say
from .saved_results import Asked, save_result

if TYPE_CHECKING:
    import pandas as pd

    from ..experiments.experiment import Experiment
    from ..experiments.measured import Measurement
    from ..experiments.run import Result
    from ..pipeline import Pipeline
    from ..store import Store


@dataclass
class Results:
    """What is done with each result when it is there: written, saved and shown.

    Attributes:
        asked: by the experiment's name.
        target: the CSV file of --out.
        memory: runs for each peak memory; 0 is none.
        exit_code: 3 when something is unfinished, 2 when a result could not be saved, 1 when an
            output could not be made, else 0.
    """

    asked: dict[str, Asked]
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
            say(f"{experiment.name}: not kept for `report`; the same with --save keeps it")

    @contextmanager
    def _reported(self, name: str) -> Iterator[None]:
        """A user's error is printed, and the exit code says so."""
        try:
            yield
        except UserError as error:
            say(f"{name}: {as_option(error)}", fg="red", err=True)
            self._leave(2)

    def _leave(self, code: int) -> None:
        self.exit_code = max(self.exit_code, code)

    def _keep(self, asked: Asked, result: Result) -> Measurement | None:
        if self.memory:
            _add_memory(asked, result, self.profile, self.memory, self.pipeline.store)
        if self.target is not None:
            write_text(self.target, result.frame.to_csv(index=False))
            say(f"wrote {len(result.frame)} rows to {self.target}")
        if asked.keep.save:
            return save_result(asked, self.pipeline, result)
        return None


def _add_memory(asked: Asked, result: Result, profile: str, runs: int, store: Store) -> None:
    """A column of the peak memory of each cell's purifier or attack, in MiB."""
    from ..experiments.peaks import peaks
    from ..experiments.process_memory import MEMORY
    from ..progress import progress

    taken = peaks(asked.cells, profile, runs, store, progress("memory"))
    result.frame[MEMORY] = result.frame["condition"].map(taken)


def _show(asked: Asked, result: Result, kept: Measurement | None) -> None:
    """Print the verdicts on what is kept, or else on this run, and what is missing; the means
    where nothing is predicted."""
    frame = result.frame if kept is None else kept.frame
    name = asked.experiment.name
    if len(frame) and not result.unfinished:
        predicts = bool(asked.experiment.contrasts)
        say(verdicts(asked.experiment, frame) if predicts else means(frame))
    for failure in result.failures:
        say(f"{failure.about}: {failure.error}", fg="red", err=True)
    if result.unfinished:
        text = (
            f"{name}: the time is over with {result.skipped} outputs to make; what is done is "
            "kept, and the same command goes on"
        )
        say(text, fg="yellow", err=True)
    elif result.failures or result.skipped:
        text = (
            f"{name}: {len(result.failures)} outputs failed, and {result.skipped} were not tried "
            "that need one that failed"
        )
        say(text, fg="red", err=True)
    if result.frame.empty and asked.keep.save:
        say(f"{name}: nothing was measured, so nothing is saved", fg="red", err=True)


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
