"""What a kept measurement says, for notebooks and pages: verdicts, and means with intervals.

A result that `bench` kept has its frame, and both are computed from it. The first measurements of
the miniature kept no frame: their files hold the verdicts and means themselves, of the same
contrasts and cells under the same names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import CannotRead
from ..profile import Profile
from .contrasts import Contrast, judge
from .measured import FORMAT, Measurement
from .shipped import CLEAR, ENOUGH_SUBJECTS, shipped


@dataclass(frozen=True, eq=False)
class Summary:
    """A measurement's verdicts and means.

    Attributes:
        verdicts: one row per contrast; see :func:`.contrasts.judge`.
        means: one row per ``condition, sheet, metric``: ``mean, low, high, n`` (over people).
        subjects, seeds, samples: of whom, and how many samples a sheet.
        profile: whose models were measured.
        same: whether the run beside which it is shown can be held to it; see :mod:`.shipped`.
    """

    name: str
    verdicts: pd.DataFrame
    means: pd.DataFrame
    subjects: tuple[str, ...]
    seeds: tuple[int, ...]
    samples: int
    profile: str = "mini"
    same: bool = True

    def __str__(self) -> str:
        people, seeds = len(self.subjects), len(self.seeds)
        seeds_text = f"{seeds} seed{'s' * (seeds != 1)}"
        return (
            f"{self.name}, measured on {self.profile}: {people} people, {seeds_text}, "
            f"{self.samples} samples of each"
        )

    def verdict(self, contrast: str) -> dict[str, Any]:
        """The row of one contrast.

        Raises:
            KeyError: there is none of that name.
        """
        found = self.verdicts[self.verdicts["contrast"] == contrast]
        if found.empty:
            raise KeyError(f"{self.name} has no contrast {contrast!r}")
        return found.iloc[0].to_dict()

    def primary(self) -> dict[str, Any]:
        """The row of the contrast that decides the question."""
        return self.verdicts[self.verdicts["role"] == "primary"].iloc[0].to_dict()

    def wide(self, metrics: Sequence[str], sheet: str | None = None) -> pd.DataFrame:
        """Means with a row per condition and sheet, columns "x", "x_low", "x_high" for each metric.

        Args:
            sheet: this sheet's alone; None is every sheet.
        """
        shown = self.means if sheet is None else self.means[self.means["sheet"] == sheet]
        keys = ["condition", "sheet"]
        table = shown[keys].drop_duplicates().set_index(keys)
        for metric in metrics:
            own = shown[shown["metric"] == metric].set_index(keys)[["mean", "low", "high"]]
            names = {"mean": metric, "low": f"{metric}_low", "high": f"{metric}_high"}
            table = table.join(own.rename(columns=names))
        return table.reset_index()


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
    if content.get("format") == FORMAT:
        found = of_measurement(Measurement.read(name, content.profile, folder))
        return replace(found, profile=content.profile, same=content.same)
    if not {"verdicts", "means"} <= set(content):
        raise CannotRead(
            f"the result {name!r} of profile {content.profile} has neither a frame nor verdicts: "
            f"measure it with `shortcut-nb bench {name} --profile {content.profile} --save`"
        )
    return Summary(
        name,
        pd.DataFrame(content["verdicts"]),
        pd.DataFrame(content["means"]),
        tuple(content["subjects"]),
        tuple(content["seeds"]),
        content["samples"],
        content.profile,
        content.same,
    )


def of_measurement(measured: Measurement) -> Summary:
    """The verdicts and means of a measurement."""
    frame = measured.frame
    return Summary(
        measured.name,
        measured.verdicts(),
        measured.means(measured.metrics, by=["condition", "sheet"]),
        tuple(sorted(frame["subject"].unique())),
        tuple(sorted(int(seed) for seed in frame["seed"].unique())),
        measured.samples,
        measured.profile,
    )


def checked(
    mine: pd.DataFrame, contrasts: Sequence[Contrast], larger: Summary, people: Sequence[str] = ()
) -> pd.DataFrame:
    """Set a run's own contrasts beside those of the larger measurement.

    A difference is asserted to have the same sign here where the larger one confirmed it on at
    least :data:`.shipped.ENOUGH_SUBJECTS` people, every one of them with at least
    :data:`.shipped.CLEAR` of the mean; nothing is where the run is of another profile, budget or
    kind of people (``larger.same``).

    Args:
        mine: the run's frame, as a pipeline's runner reads it.
        people: of the run; with one whom the larger measurement saw nothing is asserted, since it
            would be tested on what it was made from.

    Returns:
        ``contrast, metric, here, there, there_low, there_high, verdict, asserted``, one row for
        each contrast that both measured.

    Raises:
        AssertionError: an asserted difference with another sign, or nothing that both measured.
    """
    own = judge(mine, [each for each in contrasts if each.metric in mine], strict=False)
    own = own[own["n"] > 0][["contrast", "metric", "mean"]].rename(columns={"mean": "here"})
    theirs = larger.verdicts.rename(
        columns={"mean": "there", "low": "there_low", "high": "there_high"}
    )
    both = own.merge(theirs.drop(columns="metric"), on="contrast")
    if both.empty:
        raise AssertionError(f"nothing to check: no contrast was measured here and in {larger}")
    sure = (both["verdict"] == "confirmed") & (both["n"] >= ENOUGH_SUBJECTS)
    clear = (both["weakest"] >= CLEAR * both["there"].abs()) & (both["expect"] != "0")
    both["asserted"] = sure & clear & larger.same & set(people).isdisjoint(larger.subjects)
    wrong = both[both["asserted"] & (both["here"] * both["there"] <= 0)]
    if len(wrong):
        lines = [
            f"{row.contrast}: {row.here:+.3f}, there {row.there:+.3f}" for row in wrong.itertuples()
        ]
        raise AssertionError("not as the larger measurement found:\n" + "\n".join(lines))
    columns = ["contrast", "metric", "here", "there", "there_low", "there_high"]
    return both[[*columns, "verdict", "asserted"]]
