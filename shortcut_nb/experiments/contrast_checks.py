"""Whether contrasts compare what an experiment measures: a slip would read "not measured"."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..inside import MODEL_PROBES
from ..metrics import METRICS, SAMPLE_PROBES, SampleProbe
from ..metrics.frame import EXTRA_COLUMNS, check_columns, probe_columns
from ..probes import IMAGE_PROBES, ImageProbe
from ..registry import nearest
from .contrasts import CONDITION, Contrast

if TYPE_CHECKING:
    from ..cells import Cell
    from .experiment import Experiment

SHEET = "sheet"  # a frame's column


def measured_columns() -> set[str]:
    """Columns of what can be measured, by metrics and probes that are registered by now."""
    columns = {*EXTRA_COLUMNS, *probe_columns()}
    return columns | {column for metric in METRICS.values() for column in metric.columns}


def check_contrasts(experiment: Experiment) -> None:
    """Make sure that an experiment measures what its contrasts compare.

    Raises:
        ValueError: a contrast of a metric that is not measured or not asked for, or of a cell that
            no row will have; or several primary contrasts.
    """
    check_columns(METRICS)
    cells = experiment.all_cells()
    asked = _Asked.by(experiment, [cell for cell, _ in cells.values()])
    measured = measured_columns()
    for contrast in experiment.contrasts:
        _check_metric(contrast, asked, measured)
    values = _values_of_rows({name: labels for name, (_, labels) in cells.items()}, asked)
    for contrast in experiment.contrasts:
        _check_cells(contrast, values)
    primary = [contrast.name for contrast in experiment.contrasts if contrast.primary]
    if len(primary) > 1:
        raise ValueError(f"expected one primary contrast at most, got {', '.join(primary)}")


@dataclass(frozen=True)
class _Asked:
    """The names of what an experiment and its cells ask for.

    Attributes:
        model_probes: those that its sheets look inside a model with.
    """

    sheets: Set[str]
    image_probes: Set[str]
    sample_probes: Set[str]
    model_probes: Set[str]

    @classmethod
    def by(cls, experiment: Experiment, cells: Iterable[Cell]) -> _Asked:
        sheets = list(experiment.sheets.items())
        image_probes = set(experiment.image_probes)
        for cell in cells:
            sheets += cell.sheets.items()
            image_probes.update(cell.image_probes)
        return cls(
            {name for name, _ in sheets},
            image_probes,
            set(experiment.sample_probes),
            {sheet.inside for _, sheet in sheets if sheet.inside is not None},
        )


def _check_metric(contrast: Contrast, asked: _Asked, measured: Set[str]) -> None:
    """Make sure that a contrast is of a metric that is measured here.

    Args:
        measured: columns of what can be measured.

    Raises:
        ValueError: no frame has it, or it is of a probe that is not asked for.
    """
    metric = contrast.metric
    where = f"contrast {contrast.name!r} is of the metric {metric!r}"
    images, samples = _givers(metric, IMAGE_PROBES), _givers(metric, SAMPLE_PROBES)
    for name in sorted(images - asked.image_probes):
        raise ValueError(f"{where}: it needs image_probes: [{name}]")
    for name in sorted(samples - asked.sample_probes):
        raise ValueError(f"{where}: it needs sample_probes: [{name}]")
    looks = {name for name, probe in MODEL_PROBES.items() if metric in probe.columns}
    for name in sorted(looks - asked.model_probes):
        raise ValueError(f"{where}: it needs a sheet with inside: {name}")
    if metric not in measured:
        raise ValueError(
            f"{where}, which is not measured; the nearest are {nearest(metric, measured)}"
        )


def _givers(metric: str, probes: Mapping[str, ImageProbe] | Mapping[str, SampleProbe]) -> set[str]:
    """The names of the probes that give a column."""
    return {name for name, probe in probes.items() if probe.gives(metric)}


def _values_of_rows(
    cells: Mapping[str, Mapping[str, str]], asked: _Asked
) -> dict[str, Collection[str] | None]:
    """What rows of the frame can be called: the values of each column; None stands for any value.

    Args:
        cells: by name, the columns of each cell and its values.
    """
    values: dict[str, set[str]] = {CONDITION: set(cells)}
    for labels in cells.values():
        for column, value in labels.items():
            values.setdefault(column, set()).add(str(value))
    sheets = None if asked.model_probes else asked.sheets  # a model probe names rows itself
    return {SHEET: sheets, **values}


def _check_cells(contrast: Contrast, values: Mapping[str, Collection[str] | None]) -> None:
    """Make sure that each cell of a contrast is one of the frame.

    Args:
        values: of each column; see :func:`_values_of_rows`.

    Raises:
        ValueError: it names a column or a value that no row will have.
    """
    for cell in contrast.cells():
        for column, value in cell.items():
            _check_column(contrast.name, column, value, values)


def _check_column(
    contrast: str, column: str, value: str, values: Mapping[str, Collection[str] | None]
) -> None:
    if column not in values:
        raise ValueError(
            f"contrast {contrast!r} selects by {column!r}, which no row has; the nearest are "
            f"{nearest(column, values)}"
        )
    there = values[column]
    if there is not None and value not in there:
        what = "cell" if column == CONDITION else column
        raise ValueError(
            f"contrast {contrast!r} has no {what} {value!r} to compare; the nearest are "
            f"{nearest(value, there)}"
        )
