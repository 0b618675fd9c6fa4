"""What an experiment measured, small enough to ship: one row per cell, person, seed and sheet.

Pictures of a row are averaged, which is all that contrasts, tables and plots ask for. It is kept as
``results/PROFILE/NAME.json``; verdicts are not, they are computed from it whenever it is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import CannotRead, UserError
from ..metrics import METRICS
from ..results import read_result, write_result
from .contrasts import CONDITION, Contrast, judge, load_contrasts
from .means import means_over_people
from .packing import packed, unpacked

FORMAT = 4
READABLE = (3, FORMAT)  # 3 wrote out values that come several times in a row
UNITS = ("subject", "seed", "sheet")
DIGITS = 6


@dataclass(frozen=True, eq=False)
class Measurement:
    """A frame of means with what was asked of it.

    Attributes:
        name: of the experiment.
        frame: one row per cell, subject, seed and sheet: the axes' columns, ``subject``, ``seed``,
            ``sheet``, then a column per metric or cost (means over the row's pictures).
        axes: columns that tell cells apart; the first is ``condition``.
        contrasts: the question's predictions.
        question: what was asked, in a sentence.
        profile: whose models were measured.
        samples: pictures behind a row.
        failures: what could not be measured, a line each.
        made_with: digests of what it was measured with: models by role, settings, and the defaults
            of what its cells name; see :func:`.joining.made_with`.
    """

    name: str
    frame: pd.DataFrame
    axes: tuple[str, ...]
    contrasts: tuple[Contrast, ...] = ()
    question: str = ""
    profile: str = "mini"
    samples: int = 0
    failures: tuple[str, ...] = field(default=(), repr=False)
    made_with: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, name: str, pictures: pd.DataFrame, **about: Any) -> Measurement:
        """From a frame with one row per sampled picture; ``about`` are further attributes.

        Raises:
            UserError: the frame has no rows, or lacks ``condition``, ``subject`` or a metric.
        """
        for column in (CONDITION, "subject"):
            if column not in pictures:
                there = ", ".join(map(str, pictures.columns))
                raise UserError(f"{name}: expected a column {column!r} in the frame; got {there}")
        if pictures.empty:
            raise UserError(f"{name}: nothing was measured, the frame has no rows")
        _check_values(name, pictures)
        axes = tuple(about.pop("axes", None) or axes_of(pictures))
        filled = pictures.assign(
            **{axis: _text(pictures[axis]) for axis in axes},
            subject=_text(pictures["subject"]),
            seed=_seeds(name, pictures),
            sheet=_text(pictures["sheet"]) if "sheet" in pictures else "instance",
        )
        metrics = [
            column
            for column in pictures.select_dtypes(["number", "bool"])
            if column not in (*axes, *UNITS, "image")
        ]
        if not metrics:
            raise UserError(f"{name}: the frame has no column of numbers to report")
        groups = filled.groupby([*axes, *UNITS], sort=False, dropna=False)
        samples = about.pop("samples", None) or int(groups.size().max())
        frame = groups[metrics].mean().reset_index()
        return cls(name, frame, axes, samples=samples, **about)

    @property
    def metrics(self) -> list[str]:
        """Columns of numbers: registered metrics first, in the registry's order."""
        own = [c for c in self.frame.columns if c not in (*self.axes, *UNITS)]
        known = [column for metric in METRICS.values() for column in metric.columns]
        return sorted(own, key=lambda c: known.index(c) if c in known else len(known))

    @property
    def varying(self) -> list[str]:
        """Axes that tell the cells apart, the last ones left out where those before do so;
        ``condition`` where no axes do."""
        rest = [a for a in self.axes if a != CONDITION and self.frame[a].nunique() > 1]
        whole = self.frame[CONDITION].nunique()
        for axis in reversed(rest):
            fewer = [other for other in rest if other != axis]
            if self._told_apart(fewer) == whole:
                rest = fewer
        return rest if rest and self._told_apart(rest) == whole else [CONDITION]

    def _told_apart(self, axes: list[str]) -> int:
        """How many cells some axes tell apart."""
        return len(self.frame[axes].drop_duplicates()) if axes else 1

    @property
    def default_sheet(self) -> str:
        """The sheet by which a cell is read: "instance", else the first that was sampled."""
        sheets = list(self.frame["sheet"].unique())
        return "instance" if "instance" in sheets else sheets[0]

    @property
    def coverage(self) -> dict[str, Any]:
        """Who was measured, with which seeds, by how many samples a sheet.

        Returns:
            ``subjects`` and ``seeds``, sorted, and ``samples``.
        """
        return {
            "subjects": sorted(self.frame["subject"].unique()),
            "seeds": sorted({int(seed) for seed in self.frame["seed"]}),
            "samples": self.samples,
        }

    def shared(self, conditions: Sequence[str]) -> Measurement:
        """These cells of it, of the people and seeds in whom all of them were measured.

        Means of cells may stand beside each other only so, where some cells were measured on more
        people, or with more seeds, than others.
        """
        own = self.frame[self.frame[CONDITION].isin(conditions)]
        units = [own["subject"], own["seed"]]
        cells = own.groupby(units)[CONDITION].transform("nunique")
        return replace(self, frame=own[cells == len(set(conditions))].reset_index(drop=True))

    def verdicts(self) -> pd.DataFrame:
        """Every contrast, judged; see :func:`.contrasts.judge`."""
        return judge(self.frame, self.contrasts, strict=False)

    def means(
        self, metrics: Sequence[str], by: Sequence[str] | None = None, sheet: str | None = None
    ) -> pd.DataFrame:
        """Means over people with Student's t interval, one row per group and metric.

        Args:
            by: columns of the groups; None are the varying axes.
            sheet: whose samples; None is every sheet.

        Returns:
            ``by``, ``metric, mean, low, high, n``; a metric without any value is left out.
        """
        frame = self.frame if sheet is None else self.frame[self.frame["sheet"] == sheet]
        return means_over_people(frame, metrics, by or self.varying)

    def rise_over(self, metric: str, base: dict[str, str], within: Sequence[str]) -> pd.DataFrame:
        """How far each group lies above its base, person by person, with t intervals.

        Args:
            base: the values of axes that make a group the base, such as ``{"purifier": "none"}``.
            within: axes whose values a group and its base share.

        Returns:
            The varying axes, ``mean, low, high, n``; groups without a base are left out.
        """
        own = self.frame[self.frame["sheet"] == self.default_sheet]
        keys = [*self.varying, "subject", "seed"]
        each = own.groupby(keys, sort=False)[metric].mean().reset_index()
        chosen = (each[list(base)] == pd.Series(base)).all(axis=1)
        floor = each[chosen].set_index([*within, "subject", "seed"])[metric]
        pairs = pd.MultiIndex.from_frame(each[[*within, "subject", "seed"]])
        each["rise"] = each[metric].to_numpy() - floor.reindex(pairs).to_numpy()
        return means_over_people(each, ["rise"], self.varying).drop(columns="metric")

    def write(self, folder: str | Path | None = None) -> Path:
        """Keep it, as the profile's result of its name (or in a folder)."""
        columns = {
            column: packed([_short(value) for value in values])
            for column, values in self.frame.to_dict("list").items()
        }
        content = {
            "format": FORMAT,
            "question": self.question,
            "profile": self.profile,
            **self.coverage,
            "axes": list(self.axes),
            "contrasts": [contrast.to_dict() for contrast in self.contrasts],
            "failures": list(self.failures),
            "made_with": dict(self.made_with),
            "frame": columns,
        }
        return write_result(self.name, content, self.profile, folder)

    @classmethod
    def read(
        cls, name: str, profile: str = "mini", folder: str | Path | None = None
    ) -> Measurement:
        """What was kept.

        Raises:
            MissingFile: there is no such result.
            CannotRead: it was written by another program, or in another format.
        """
        content = read_result(name, profile, folder)
        if content.get("format") not in READABLE:
            raise CannotRead(
                f"the result {name!r} of profile {profile} has no frame of measurements in the "
                f"present format ({content.get('format')}, expected {FORMAT}): measure it with "
                f"`shortcut-nb bench {name} --profile {profile} --save`"
            )
        try:
            return cls._restored(name, content)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise CannotRead(
                f"the result {name!r} of profile {profile} is damaged "
                f"({type(error).__name__}: {error}): measure it again, or restore its file"
            ) from None

    @classmethod
    def _restored(cls, name: str, content: Mapping[str, Any]) -> Measurement:
        """From what :meth:`write` wrote.

        Raises:
            KeyError, IndexError, TypeError, ValueError, AttributeError: something of it is not
                there.
        """
        columns = {name: unpacked(column) for name, column in content["frame"].items()}
        frame, axes = _numeric(pd.DataFrame(columns)), tuple(content["axes"])
        for column in (CONDITION, *axes, *UNITS):
            if column not in frame:
                raise KeyError(column)
        if frame.empty:
            raise ValueError("its frame has no rows")
        return cls(
            name,
            frame,
            axes,
            tuple(load_contrasts(content["contrasts"])),
            content["question"],
            content["profile"],
            content["samples"],
            tuple(content["failures"]),
            content.get("made_with", {}),
        )


def _numeric(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns of numbers in which some or all are missing, as numbers again."""
    mixed = [column for column in frame if frame[column].dtype == object]
    numbers = {
        column: frame[column].astype(float)
        for column in mixed
        if all(each is None or isinstance(each, int | float) for each in frame[column])
    }
    return frame.assign(**numbers)


def axes_of(pictures: pd.DataFrame) -> list[str]:
    """The columns of a frame that tell its cells apart: ``condition`` and those of text."""
    text = pictures.select_dtypes(exclude=["number", "bool"]).columns
    return [CONDITION, *(c for c in text if c not in (CONDITION, *UNITS))]


def _check_values(name: str, pictures: pd.DataFrame) -> None:
    """Raise a UserError for rows of nobody, or with a number that has no mean."""
    if nobody := int(pictures["subject"].isna().sum()):
        raise UserError(f"{name}: expected a subject in every row, and {nobody} rows have none")
    for column in pictures.select_dtypes("number"):
        if np.isinf(pictures[column].to_numpy(float)).any():
            raise UserError(f"{name}: expected finite numbers, and {column!r} has an infinite one")


def _seeds(name: str, pictures: pd.DataFrame) -> pd.Series | int:
    """Each row's seed; 0 where the frame has none.

    Raises:
        UserError: one that is no whole number.
    """
    if "seed" not in pictures:
        return 0
    seeds = pd.to_numeric(pictures["seed"], errors="coerce")
    wrong = pictures["seed"][~(seeds % 1 == 0)]
    if len(wrong):
        raise UserError(
            f"{name}: expected whole numbers in the column 'seed', got {wrong.iloc[0]!r}"
        )
    return seeds.astype(int)


def _text(column: pd.Series) -> pd.Series:
    """An axis as text; what is missing reads "none"."""
    return column.astype(object).where(column.notna(), "none").map(str)


def _short(value: Any) -> Any:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
