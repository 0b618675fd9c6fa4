"""What a kept measurement says, for notebooks and pages: verdicts, and means with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from ..errors import UserError
from ..experiments.contrasts import Contrast, judge
from ..experiments.means import ends_of, widened
from ..experiments.measured import Measurement
from ..profile import Profile
from ..registry import nearest
from ..results import path_of
from ..templates import counted
from .shipped import shipped

ENOUGH = 6  # people of the larger measurement
CLEAR = 0.25  # of the mean: the least that every one of them showed


@dataclass(frozen=True, eq=False)
class Summary:
    """A measurement's verdicts and means.

    Attributes:
        verdicts: one row per contrast; see :func:`.contrasts.judge`.
        means: one row per ``condition, sheet, metric``: ``mean, low, high, n`` (over people).
        subjects, seeds, samples: of whom, and how many samples a sheet.
        profile: whose models were measured.
        same: whether the run beside which it is shown can be held to it; see :mod:`.shipped`.
        heading: of whom it is, "measured on mini: 6 subjects, 2 seeds".
    """

    name: str
    verdicts: pd.DataFrame
    means: pd.DataFrame
    subjects: tuple[str, ...]
    seeds: tuple[int, ...]
    samples: int
    profile: str = "mini"
    same: bool = True
    heading: str = ""

    def __str__(self) -> str:
        people = counted(len(self.subjects), "person", "people")
        seeds, samples = counted(len(self.seeds), "seed"), counted(self.samples, "sample")
        return f"{self.name}, measured on {self.profile}: {people}, {seeds}, {samples} of each"

    def verdict(self, contrast: str) -> dict[str, Any]:
        """The row of one contrast.

        Raises:
            UserError: there is none of that name; the nearest are listed.
        """
        rows = self.verdicts[self.verdicts["contrast"] == contrast]
        if rows.empty:
            near = nearest(contrast, self.verdicts["contrast"])
            raise UserError(f"{self.name} has no contrast {contrast!r}; the nearest are {near}")
        return rows.iloc[0].to_dict()

    def primary(self) -> dict[str, Any]:
        """The row of the contrast that decides the question."""
        return self.verdicts[self.verdicts["role"] == "primary"].iloc[0].to_dict()

    def beside(self, table: pd.DataFrame, column: str, contrasts: Sequence[str]) -> pd.DataFrame:
        """A table with a contrast beside each row: "x", "x_low", "x_high"; NaN without one."""
        judged = self.verdicts.set_index("contrast").reindex(contrasts)
        ends = ends_of(column)
        return table.assign(**{name: judged[end].to_numpy() for end, name in ends.items()})

    def wide(self, metrics: Sequence[str], sheet: str | None = None) -> pd.DataFrame:
        """Means with a row per condition and sheet, columns "x", "x_low", "x_high" for each metric.

        Args:
            sheet: this sheet's alone; None is every sheet.
        """
        rows = self.means if sheet is None else self.means[self.means["sheet"] == sheet]
        return widened(rows, ["condition", "sheet"], metrics)


def summary(
    name: str,
    profile: str | Profile = "mini",
    folder: str | Path | None = None,
    *,
    eps: str | None = None,
    subject: str | None = None,
) -> Summary:
    """What a kept measurement says; arguments as for :func:`.shipped.shipped`.

    Raises:
        MissingFile: there is no such result.
        CannotRead: a file of another kind.
    """
    content = shipped(name, profile, folder, eps=eps, subject=subject)
    path = path_of(name, content.profile, folder)
    kept = _judged(name, content.profile, path.parent, path.stat().st_mtime_ns)
    return replace(kept, profile=content.profile, same=content.same, heading=content.heading)


@lru_cache(maxsize=64)
def _judged(name: str, profile: str, folder: Path, changed: int) -> Summary:
    """What a file of a frame says; hundreds of contrasts are judged once for each version of it.

    Args:
        changed: when it was; part of the key alone.
    """
    return summary_of(Measurement.read(name, profile, folder))


def summary_of(measured: Measurement) -> Summary:
    """The verdicts and means of a measurement."""
    whom = measured.coverage
    return Summary(
        measured.name,
        measured.verdicts(),
        measured.means(measured.metrics, by=["condition", "sheet"]),
        tuple(whom["subjects"]),
        tuple(whom["seeds"]),
        measured.samples,
        measured.profile,
    )


def checked(
    frame: pd.DataFrame, contrasts: Sequence[Contrast], larger: Summary, people: Sequence[str] = ()
) -> pd.DataFrame:
    """Set a run's own contrasts beside those of the larger measurement.

    A difference is asserted to have the same sign here where the larger one confirmed it on at
    least :data:`ENOUGH` people, every one of them with at least :data:`CLEAR` of the mean. The
    others are shown. A run of another profile, budget or kind of people (``larger.same`` is False)
    is shown whole and held to nothing.

    Args:
        frame: the run's frame, as a pipeline's runner reads it.
        people: of the run; with one whom the larger measurement saw nothing is asserted, since it
            would be tested on what it was made from.

    Returns:
        ``contrast, metric, sheet, expect, here, there, there_low, there_high, n, verdict,
        asserted, agrees``, one row for each contrast that both measured (that was measured here,
        where ``larger.same`` is False).

    Raises:
        AssertionError: an asserted difference with another sign, or nothing that both measured.
    """
    own = judge(frame, [each for each in contrasts if each.metric in frame], strict=False)
    own = own.loc[own["n"] > 0, ["contrast", "metric", "sheet", "expect", "mean"]]
    own = own.rename(columns={"mean": "here"})
    theirs = larger.verdicts.rename(columns=ends_of("there")).drop(columns=["sheet", "expect"])
    how: Literal["inner", "left"] = "inner" if larger.same else "left"
    both = own.merge(theirs, on=["contrast", "metric"], how=how)
    if both.empty:
        raise AssertionError(f"nothing to check: no contrast was measured here and in {larger}")
    clear = both["weakest"].astype(float) >= CLEAR * both["there"].astype(float).abs()
    sure = (both["verdict"] == "confirmed") & (both["n"] >= ENOUGH) & (both["expect"] != "0")
    strict = larger.same and set(people).isdisjoint(larger.subjects)
    both["asserted"] = sure & clear & strict
    both["agrees"] = both["here"] * both["there"].astype(float) > 0
    wrong = both[both["asserted"] & ~both["agrees"]]
    if len(wrong):
        lines = [
            f"{row.contrast}: {row.here:+.3f}, there {row.there:+.3f}" for row in wrong.itertuples()
        ]
        raise AssertionError("not as the larger measurement found:\n" + "\n".join(lines))
    columns = [
        "contrast",
        "metric",
        "sheet",
        "expect",
        "here",
        "there",
        "there_low",
        "there_high",
        "n",
    ]
    return both[[*columns, "verdict", "asserted", "agrees"]]
