"""The figures of the pages, drawn from the shipped results: nothing is measured here.

``python -m shortcut_nb.reporting.figures`` (or ``make figures``) draws all of them into
``figures/``, each with its numbers and words for those who cannot see it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from matplotlib.figure import Figure

from ..metrics import describe
from ..plots import curve_plot, save_figure
from ..plots.layout import PAGE_WIDTH, write_people
from ..plots.named import named_scatter
from ..plots.palette import FAMILIES, PURIFIER_FAMILIES, WORDS, Look, looks
from ..plots.ranked import ranked_plot
from ..weights import PACKAGE
from . import (
    argument,
    benchmark,
    course,
    display,
    intervention,
    lasting,
    numbers,
    rates,
    withstanding,
)
from .charts import Chart
from .shipped import shipped
from .summary import Summary

FOLDER = PACKAGE.parent / "figures"
QUALITY = "quality of samples (0 to 1)"
FALL = "fall of quality (0 to 1)"


def style(names: Mapping[str, str]) -> dict[str, Look]:
    """The look of each group of a figure: that of a condition of the collection."""
    return {group: looks([condition])[condition] for group, condition in names.items()}


GROUPS = {
    name: FAMILIES[name] for name in sorted(FAMILIES, key=lambda name: name == "random noise")
}
SPOKEN = dict(zip(argument.SHEETS.values(), WORDS.values(), strict=True))
PURIFIERS = {name: PURIFIER_FAMILIES[name] for name in reversed(PURIFIER_FAMILIES)}
PHOTOS = style({"clean photos": "clean", "protected photos": "protected"})
levels = partial(ranked_plot, xlabel=QUALITY, reference=None)
captioned = partial(levels, style=PHOTOS, ylabel="what the caption says")
left_plot = partial(
    ranked_plot,
    style=PURIFIERS,
    by="family",
    panel="panel",
    xlabel="V* samples against training on clean photos (0: nothing missing)",
)
argued = partial(
    ranked_plot,
    style=style({kind: kind for kind in argument.TREATMENT_KINDS.values()}),
    panel="panel",
    legend=False,
    xlabel="samples of the person's name, V*: mean over people (1 is best)",
    reference=None,
)


@dataclass(frozen=True)
class PageFigure:
    """What a figure shows.

    Attributes:
        result: whose numbers. The figure says of how many people they are; where the table has
            several numbers in a column ``n``, its panels do.
        alt: what it shows, for those who cannot see it; not what it says, which may change.
        table: the numbers; see :mod:`.numbers`.
        draw: draws them.
    """

    result: str
    title: str
    alt: str
    table: Callable[[], pd.DataFrame]
    draw: Callable[[pd.DataFrame], Figure]


def against_harm(table: pd.DataFrame, x: str, xlabel: str) -> Figure:
    """What an attack does to quality against something else, a point with its name for each.

    Args:
        table: ``name`` as figures say it, ``family``, ``fall`` and the column ``x``.
    """
    return named_scatter(table, x, "fall", GROUPS, by="family", xlabel=xlabel, ylabel=FALL)


def by_word(score: str) -> pd.DataFrame:
    """What each attack does to the identifier and to its class."""
    table = numbers.harms_by_word(score)
    return table[table["group"].isin(list(WORDS))]


def left_after(kept: Summary | None = None) -> pd.DataFrame:
    """What is missing after each purifier, a panel for each attack and score."""
    table = numbers.purifiers(kept)
    return table.assign(panel=table["score"] + ", " + table["attack"].replace(display.ATTACKS))


def by_budget() -> pd.DataFrame:
    """What each treatment leaves, a panel for each budget.

    Each says of how many people it is, if they are not as many at every budget.
    """
    table = numbers.treatments()
    people = " (" + table["n"].astype(str) + " people)" if table["n"].nunique() > 1 else ""
    return table.assign(panel=table["eps"] + people)


def budget_curves(table: pd.DataFrame) -> Figure:
    """Scores at each budget, a panel for each score and attacker, two a row, under one legend.

    The axes of a row begin at 0, or where its lowest interval ends if that is below.
    """
    figure = curve_plot(
        table,
        "pixels",
        "defence",
        "panel",
        xlabel="budget (grey levels of 255)",
        ylabel="score of V* samples (1 is best)",
        sharey="row",
        shaded=False,
        columns=2,
    )
    figure.set_size_inches(PAGE_WIDTH, 5.6)
    lows = table.groupby("panel", sort=False)["low"].min().to_list()
    for place in range(0, len(lows), 2):
        figure.axes[place].set_ylim(bottom=min(0.0, *lows[place : place + 2]))
    return figure


FIGURES: dict[str, PageFigure] = {
    "argument_protection": PageFigure(
        "argument",
        "What protection takes",
        "Quality, intactness and identity match of V* samples after training on clean "
        "photos, on photos with random noise, and on photos protected by ASPL, MetaCloak and "
        "PhotoGuard, with intervals over people.",
        partial(argument.panels, argument.PROTECTED),
        argued,
    ),
    "intervention": PageFigure(
        "intervention",
        "Shift against harm",
        "For random noise, ASPL, two attacks on the shift in meaning alone, and the second turned "
        "round: how far the photos "
        "move towards noise in CLIP's space, how far what the model sees of them moves, and the "
        "fall of quality of V* samples, with intervals over people.",
        intervention.table,
        partial(
            ranked_plot,
            style=GROUPS,
            panel="panel",
            legend=False,
            xlabel="mean over people",
        ),
    ),
    "argument_shortcut": PageFigure(
        "argument",
        "The identifier and its class",
        "Texture of samples of the identifier V* and of its class, drawn by the same model, after "
        "training on clean, noisy and protected photos, with intervals over people; a line joins "
        "the two.",
        partial(argument.by_word, "texture"),
        partial(
            ranked_plot,
            style=SPOKEN,
            xlabel="texture of samples (grey levels)",
            reference=None,
            start=0,
        ),
    ),
    "argument_purification": PageFigure(
        "argument",
        "What purifiers give back",
        "Quality, intactness and identity match of V* samples after training on clean "
        "photos, on photos protected by ASPL, and on the same cleaned by the restorer and by "
        "CodeSR, with intervals over people.",
        partial(argument.panels, argument.PURIFIED),
        argued,
    ),
    "argument_decoupling": PageFigure(
        "argument",
        "What naming the noise gives back",
        "Quality, intactness and identity match of V* samples after training on clean "
        "photos, on photos protected by ASPL, on the same with contrastive decoupling, and on "
        "restored ones with it, with intervals over people.",
        partial(argument.panels, argument.DECOUPLED),
        argued,
    ),
    "results_story": PageFigure(
        "story",
        "The argument in one figure",
        "Quality of samples after training on clean, noisy, protected and purified pictures, with "
        "and without contrastive decoupling, at each budget, with intervals over people.",
        by_budget,
        partial(
            levels,
            style=style({name: name for name in numbers.TREATMENTS}),
            panel="panel",
            legend=False,
        ),
    ),
    "results_protection": PageFigure(
        "strength",
        "What each attack takes",
        "Fall of the quality of samples after training on pictures of each attack, the most "
        "harmful on top, with intervals over people; two kinds of random noise beside them.",
        lambda: numbers.attacks().assign(mean=lambda table: table["fall"]),
        partial(ranked_plot, style=GROUPS, by="family", xlabel=f"{FALL} of what a model learns"),
    ),
    "results_visibility": PageFigure(
        "strength",
        "Strength against visibility",
        "Fall of quality against PSNR for every attack and both noises: each point is named, and "
        "those on the left changed the pictures most.",
        numbers.attacks,
        partial(against_harm, x="psnr", xlabel="PSNR to the clean photo (dB); left: more visible"),
    ),
    "results_mismatch": PageFigure(
        "strength",
        "Shift against harm",
        "Fall of quality against the shift in CLIP space for every attack and both noises: each "
        "point is named, and those on the right moved CLIP furthest.",
        numbers.attacks,
        partial(
            against_harm,
            x="shift",
            xlabel=describe("clip_towards").label,
        ),
    ),
    "results_mismatch_seen": PageFigure(
        "mismatch",
        "Shift behind the autoencoder against harm",
        "Fall of quality against the shift in CLIP space behind the autoencoder for every attack "
        "and both noises: more shift goes with more loss, but for decoded-shift, furthest right.",
        numbers.behind,
        partial(
            against_harm,
            x="seen",
            xlabel=describe("decoded_towards").label,
        ),
    ),
    "results_shortcut": PageFigure(
        "identifier",
        "The identifier and its class",
        "Rise of texture in samples of the identifier V* and of its class after each attack, the "
        "largest on top, with intervals over people; a line joins the two of an attack.",
        partial(by_word, "texture"),
        partial(ranked_plot, style=WORDS, xlabel="rise of texture in samples (grey levels)"),
    ),
    "results_shortcut_quality": PageFigure(
        "identifier",
        "Quality of the identifier and its class",
        "Fall of quality of samples of the identifier V* and of its class after each attack, the "
        "largest on top, with intervals over people; a line joins the two of an attack.",
        partial(by_word, "quality"),
        partial(ranked_plot, style=WORDS, xlabel=FALL),
    ),
    "results_purification": PageFigure(
        "purification",
        "What purifiers give back",
        "Quality and identity match that are missing after each purifier, the best on top, in the "
        "colour of its kind, with intervals over people; zero is as good as after clean pictures.",
        left_after,
        left_plot,
    ),
    "results_benchmark": PageFigure(
        "benchmark",
        "Protections against defences",
        "Quality, intactness and identity match of V* samples for every defence, one a row, and "
        "every protection, one a column: a number in each field, and lighter colours for better.",
        lambda: benchmark.drawn(benchmark.matrix()),
        benchmark.picture,
    ),
    "results_decoupling": PageFigure(
        "words",
        "CDL piece by piece",
        "Quality of samples after training on clean and on protected pictures, for DreamBooth and "
        "CDL with the text encoder trained, and for each piece of CDL with it frozen.",
        numbers.pieces,
        partial(levels, style=PHOTOS),
    ),
    "results_captions": PageFigure(
        "decoupling",
        "Must the name mean noise?",
        "Quality of V* samples after training on clean and on protected photos whose caption says "
        "nothing more, adds a name without meaning, names the background or the clothes, or names "
        "the noise.",
        numbers.captions,
        captioned,
    ),
    "results_variants": PageFigure(
        "decoupling",
        "Additions to CDL",
        "Identity match of V* samples after training on protected pictures with CDL, and with "
        "each addition to it, with intervals over people.",
        numbers.variants,
        partial(
            levels,
            style=style({"cdl": "cdl"}),
            legend=False,
            xlabel="identity match of V* samples: mean over people",
        ),
    ),
    "results_course": PageFigure(
        "course",
        "On the way of a clean training",
        "Identity match and quality of V* samples, and quality and intactness of class samples, "
        "against the training step, one line for each regime, with intervals over people.",
        course.curves,
        course.picture,
    ),
    "results_lasting": PageFigure(
        "lasting",
        "On the way, and after twice the steps",
        "Quality, texture and identity match of V* samples against the training step, in a usual "
        "training and in one of twice the steps, for no attack, random noise, no defence, "
        "purifier, CDL and both, with intervals over people.",
        lasting.curves,
        lasting.picture,
    ),
    "results_budgets": PageFigure(
        "adaptive",
        "Budgets at which defences break",
        "Quality and identity match of V* samples against the budget, for no defence, the "
        "purifier, and the purifier with CDL, under an attacker who knows nothing and under one "
        "who knows the defence, with intervals over people.",
        withstanding.budgets,
        budget_curves,
    ),
}
"""Every figure, by the name of its files."""


def chart_of(name: str) -> Chart:
    """A figure of :data:`FIGURES`, drawn from its shipped result.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in FIGURES:
        raise ValueError(f"no figure {name!r}; there are {', '.join(FIGURES)}")
    own = FIGURES[name]
    table = own.table()
    figure = own.draw(table)
    people = set(table["n"]) if "n" in table else {len(shipped(own.result)["subjects"])}
    if len(people) == 1:  # else its panels say of how many people they are
        write_people(figure, people.pop())
    return Chart(name, own.title, figure, table, own.alt)


def draw(folder: str | Path = FOLDER) -> list[Path]:
    """Draw the figures into a folder, and those of a measured regime."""
    charts = [chart_of(name) for name in FIGURES]
    charts += [chart for one in rates.regime_results() for chart in rates.charts(one)]
    saved = [save_figure(each.figure, each.name, each.alt, each.data, folder) for each in charts]
    return [each.png for each in saved]


def main(folder: Annotated[Path, typer.Option(help="where to")] = FOLDER) -> None:
    for path in draw(folder):
        print(path)


if __name__ == "__main__":
    from ..cli.exits import run_alone

    run_alone(main)
