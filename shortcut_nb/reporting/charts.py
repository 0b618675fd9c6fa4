"""Figures of a measurement: predictions, bars by attack, and what each defence gives and costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from ..analysis.pareto import pareto
from ..experiments.means import ends_of
from ..experiments.measured import Measurement
from ..metrics import describe
from ..plots import interval_plot
from ..plots.bars import interval_panels
from ..plots.layout import SMALLEST, people_text
from ..plots.matrix import matrix_plot
from ..plots.palette import LOOKS
from ..plots.pareto import pareto_plot
from .display import UNIT_SCORES
from .tables import SHEET_LABELS, metric_columns

PITCH = 0.2
FAITHFUL = ("perceptual", "psnr", "ssim")  # the first that was measured
FIELDS = 21  # side by side in a figure
LINES = 60  # rows of one figure; the table has them all


@dataclass(frozen=True, eq=False)
class Chart:
    """A figure, the numbers in it, and words for those who cannot see it."""

    name: str
    title: str
    figure: Figure
    data: pd.DataFrame
    alt: str


def all_charts(measured: Measurement) -> list[Chart]:
    """Predictions by metric, then the matrix and the defences, then every score."""
    return [*predictions(measured), *matrix(measured), *defences(measured), *bars(measured)]


def predictions(measured: Measurement) -> Iterator[Chart]:
    """The contrasts of each metric with their intervals, coloured by verdict."""
    if not measured.contrasts:
        return
    judged = measured.verdicts()
    judged = judged[judged["n"] > 0]
    for metric, part in judged.groupby("metric", sort=False):
        column = describe(str(metric))
        xlabel = f"difference in {column}; {people_of(measured)}"
        figure = interval_plot(part, by="verdict", group="contrast", xlabel=xlabel, reference=0.0)
        alt = f"Differences in {column.label} with 95 % t intervals, coloured by verdict."
        yield Chart(f"predictions_{metric}", f"Predictions: {column.label}", figure, part, alt)


def bars(measured: Measurement) -> Iterator[Chart]:
    """Each score of each cell: a row per attack (or cell), a colour for what else varies.

    Where that would be too many colours or rows, a panel per attack and a row for what else varies.
    """
    scores, _ = metric_columns(measured)
    group, by = _places(measured)
    data = measured.means(scores, by=[*measured.varying, "sheet"])
    data = data[data["sheet"] == measured.default_sheet] if by != "sheet" else data
    data = data.assign(sheet=[SHEET_LABELS.get(name, name) for name in data["sheet"]])
    data["cell"] = _joined(data, [axis for axis in measured.varying if axis != group])
    every = list(dict.fromkeys(data[by]))
    among = every if len(every) <= len(LOOKS) else None
    for metric, part in data.groupby("metric", sort=False):
        column = describe(str(metric))
        xlabel = f"{column}; {people_of(measured)}"
        if len(part) <= LINES and part[by].nunique() <= len(LOOKS):
            figure = interval_plot(part, by, group, xlabel, pitch=PITCH, among=among)
        elif by == "cell" and part["cell"].nunique() <= LINES:
            figure = interval_panels(part, by, group, xlabel)
        else:
            continue
        alt = f"Mean {column.label} of each {group}, with 95 % t intervals over people."
        title = column.label[:1].upper() + column.label[1:]
        yield Chart(f"bars_{metric}", title, figure, part, alt)


def matrix(measured: Measurement) -> Iterator[Chart]:
    """Attacks as columns, what met them as rows, a panel for each score from 0 to 1.

    No chart where attacks, or what met them, do not vary.
    """
    within, others = _met(measured)
    if "attack" not in within or not others:
        return
    table = measured.means(measured.metrics, [*within, *others], measured.default_sheet)
    table = table.assign(
        attack=_joined(table, within),
        defence=_joined(table, others),
        score=[describe(name).label.partition(",")[0] for name in table["metric"]],
    )
    order = list(dict.fromkeys(table["attack"]))
    there = [name for name in UNIT_SCORES if name in measured.metrics]
    table = table[table["metric"].isin(there[: FIELDS // len(order)])]
    if table.empty or len(set(table["defence"])) > LINES:
        return
    figure = matrix_plot(table, "defence", "attack", "score", order=order)
    alt = "Means over people of each score: attacks as columns, what met them as rows."
    yield Chart("matrix", f"Every attack against {', '.join(others)}", figure, table, alt)


def _met(measured: Measurement) -> tuple[list[str], list[str]]:
    """The varying axes that say what was attacked, and how; and the others."""
    within = [axis for axis in measured.varying if axis in ("attack", "eps")]
    return within, [axis for axis in measured.varying if axis not in within]


def defences(measured: Measurement) -> Iterator[Chart]:
    """What each defence gives back, how faithful it is, and its seconds: a panel per attack.

    Attacks that met no defence are left out. No chart where no purifier was compared with none, or
    nothing says how faithful pictures are.
    """
    metric = recovered_metric(measured)
    faithful = next((name for name in FAITHFUL if name in measured.frame), None)
    if metric is None or faithful is None or "purifier" not in measured.varying:
        return
    if "none" not in set(measured.frame["purifier"]):
        return
    within, others = _met(measured)
    first = {axis: str(measured.frame[axis].iloc[0]) for axis in others}
    rise = measured.rise_over(metric, first | {"purifier": "none"}, within)
    table = rise.rename(columns=ends_of("rise"))
    seconds = [column for column in ("purify_seconds",) if column in measured.frame]
    kept = measured.frame.groupby(measured.varying)[[faithful, *seconds]].mean().reset_index()
    table = table.merge(kept, on=measured.varying)
    table["label"] = _joined(table, others)
    table["panel"] = _joined(table, within) if within else ""
    if "attack" in within:
        table = table[table["attack"] != "none"]
    compared = table.groupby("panel")["panel"].transform("size") > 1
    table = table[compared]
    if not table.empty:
        chart = _defence_chart(table, metric, faithful, seconds)
        chart.figure.suptitle(
            people_of(measured), x=0.99, ha="right", fontsize=SMALLEST, color="0.4"
        )
        yield chart


def _defence_chart(table: pd.DataFrame, metric: str, faithful: str, seconds: list[str]) -> Chart:
    near = describe(faithful).better == "lower"
    more, less = ["rise", *[faithful] * (not near)], [*[faithful] * near, *seconds]
    fronts = [pareto(part, more, less) for _, part in table.groupby("panel", sort=False)]
    table = table.assign(front=pd.concat(fronts))
    recovered, kept = describe(metric), describe(faithful)
    figure = pareto_plot(
        table,
        faithful,
        "rise",
        "panel",
        xlabel=str(kept),
        seconds=seconds[0] if seconds else None,
        ylabel=f"recovered: rise of {recovered.label}",
    )
    alt = (
        f"For each attack, the {recovered.label} that each defence gives back against its "
        f"{kept.label}; larger points take longer. Ringed: no other is better in all three."
    )
    return Chart("defences", "What each defence gives back, keeps and costs", figure, table, alt)


def recovered_metric(measured: Measurement) -> str | None:
    """The score by which recovery is read: the primary contrast's, else quality, else any."""
    scores, _ = metric_columns(measured)
    rising = [name for name in scores if describe(name).better == "higher"]
    primary = [contrast.metric for contrast in measured.contrasts if contrast.primary]
    return next((name for name in [*primary, "quality", *rising] if name in rising), None)


def people_of(measured: Measurement) -> str:
    """Of how many people a figure is, as it says so: "n = 6 people"."""
    return people_text(len(measured.coverage["subjects"]))


def _places(measured: Measurement) -> tuple[str, str]:
    """The column of a figure's rows, and that of its colours."""
    varying = measured.varying
    if len(varying) == 1:
        return varying[0], "sheet"
    return ("attack" if "attack" in varying else varying[0]), "cell"


def _joined(table: pd.DataFrame, columns: list[str]) -> list[str]:
    return [" | ".join(map(str, row)) for row in table[columns].to_numpy()]
