"""The figures of the pages, drawn from the shipped results: nothing is measured here.

``python -m shortcut_nb.experiments.figures`` (or ``make figures``) draws all of them into
``figures/``, each with its numbers and words for those who cannot see it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from matplotlib.figure import Figure

from ..plots import curve_plot, save_figure
from ..plots.named import named_scatter
from ..plots.palette import FAMILIES, looks
from ..plots.ranked import ranked_plot
from ..weights import PACKAGE
from . import numbers, rates
from .charts import Chart
from .numbers import CONTROL, QUALITY

FOLDER = PACKAGE.parent / "figures"
FALL = "fall of quality (0 to 1)"
GROUPS = {name: FAMILIES[name] for name in sorted(FAMILIES, key=lambda name: name == CONTROL)}

ALT = {
    "results_protection": (
        "Fall of the quality of samples after training on pictures of each attack, the most "
        "harmful on top, with intervals over people; two kinds of random noise beside them."
    ),
    "results_visibility": (
        "Fall of quality against PSNR for every attack and both noises: each point is named, and "
        "those on the left changed the pictures most."
    ),
    "results_mismatch": (
        "Fall of quality against the shift in CLIP space for every attack and both noises: each "
        "point is named, and those on the right moved CLIP furthest."
    ),
    "results_shortcut": (
        "Rise of texture in samples of the identifier V* and of its class after each attack, the "
        "largest on top, with intervals over people; a line joins the two of an attack."
    ),
    "results_shortcut_quality": (
        "Fall of quality of samples of the identifier V* and of its class after each attack, the "
        "largest on top, with intervals over people; a line joins the two of an attack."
    ),
    "results_purification": (
        "Quality that is missing after each purifier under four attacks, the best purifier on top, "
        "with intervals over people; zero is as good as after training on clean pictures."
    ),
    "results_decoupling": (
        "Quality of samples after training on clean and on protected pictures, for DreamBooth and "
        "CDL with the text encoder trained, and for each piece of CDL with it frozen."
    ),
    "results_variants": (
        "Quality of V* samples after training on protected pictures with CDL, and with each "
        "addition to it, the best on top, with intervals over people."
    ),
    "results_budgets": (
        "Quality of samples against the budget, for no defence, the purifier, and the purifier "
        "with CDL and its words held; attackers who know nothing and everything side by side."
    ),
    "results_story": (
        "Quality of samples after training on clean, noisy, protected and purified pictures, with "
        "and without contrastive decoupling, at each budget, with intervals over people."
    ),
}
"""What each figure shows, for those who cannot see it; not what it says, which may change."""


def chart(name: str, title: str, figure: Figure, table: pd.DataFrame) -> Chart:
    """A figure with its numbers and its words for those who cannot see it."""
    return Chart(name, title, figure, table, ALT[name])


def protection() -> Chart:
    """How much each attack harms, beside random noise."""
    table = numbers.attacks()
    table = table.assign(mean=table["fall"])
    figure = ranked_plot(table, GROUPS, by="family", xlabel=f"{FALL} of what a model learns")
    return chart("results_protection", "What each attack takes", figure, table)


def harm_against(column: str, xlabel: str) -> tuple[Figure, pd.DataFrame]:
    """Every attack's harm against another of its numbers, each point named."""
    table = numbers.attacks()
    figure = named_scatter(table, column, "fall", GROUPS, by="family", xlabel=xlabel, ylabel=FALL)
    return figure, table


def visibility() -> Chart:
    """Harm against how far the pictures were changed."""
    drawn = harm_against("psnr", "PSNR to the clean photo (dB): left is plainer to see")
    return chart("results_visibility", "Strength against visibility", *drawn)


def mismatch() -> Chart:
    """Harm against the shift in CLIP space."""
    drawn = harm_against("shift", "how far CLIP's reading moves from the person towards noise")
    return chart("results_mismatch", "Shift against harm", *drawn)


def by_word(table: pd.DataFrame, xlabel: str) -> tuple[Figure, pd.DataFrame]:
    """What each attack does to the identifier and to its class."""
    table = table[table["group"].isin(["V*", "class"])]
    style = {"V*": looks(["protected"])["protected"], "class": looks(["prior"])["prior"]}
    return ranked_plot(table, style, xlabel=xlabel), table


def shortcut() -> Chart:
    """Where the texture goes: to the identifier, or to the whole class."""
    drawn = by_word(numbers.harms_by_word(), "rise of texture in samples (grey levels)")
    return chart("results_shortcut", "The identifier and its class", *drawn)


def shortcut_quality() -> Chart:
    """What the identifier and its class lose in quality."""
    drawn = by_word(numbers.harms_by_word("quality"), FALL)
    return chart("results_shortcut_quality", "Quality of the identifier and its class", *drawn)


def purification() -> Chart:
    """What is still missing after each purifier, under each attack."""
    table = numbers.purifiers().assign(group="purifier")
    style = {"purifier": looks(["purified"])["purified"]}
    xlabel = "quality against training on clean photos (0: nothing missing)"
    figure = ranked_plot(table, style, panel="attack", xlabel=xlabel)
    return chart("results_purification", "What purifiers give back", figure, table)


def decoupling() -> Chart:
    """Contrastive decoupling, its words worn down and held."""
    table = numbers.pieces()
    names = {"clean photos": "clean", "protected photos": "protected"}
    style = {group: looks([name])[name] for group, name in names.items()}
    figure = ranked_plot(table, style, xlabel=QUALITY, reference=None)
    return chart("results_decoupling", "CDL piece by piece", figure, table)


def variants() -> Chart:
    """Additions to contrastive decoupling."""
    table = numbers.variants()
    style = {"protected photos": looks(["protected"])["protected"]}
    figure = ranked_plot(table, style, xlabel=QUALITY, reference=None)
    return chart("results_variants", "Additions to CDL", figure, table)


def budgets() -> Chart:
    """Quality against the budget for each defence, and attackers who know nothing or all."""
    table = numbers.budgets()
    figure = curve_plot(
        table,
        "pixels",
        "defence",
        panel="attacker",
        xlabel="budget (grey levels of 255)",
        ylabel=QUALITY,
        sharey=True,
    )
    (legend,) = [ax.get_legend() for ax in figure.axes if ax.get_legend()]
    handles = [handle for handle in legend.legend_handles if handle is not None]
    texts = [str(text.get_text()) for text in legend.get_texts()]
    legend.remove()
    figure.legend(handles, texts, loc="outside upper center", ncols=3, fontsize=10)
    return chart("results_budgets", "Budgets at which defences break", figure, table)


def story() -> Chart:
    """The whole argument in one figure."""
    table = numbers.treatments()
    table = table.assign(group="samples", panel=table["eps"])
    style = {"samples": looks(["clean"])["clean"]}
    figure = ranked_plot(table, style, panel="panel", xlabel=QUALITY, reference=None)
    return chart("results_story", "The argument in one figure", figure, table)


FIGURES: dict[str, Callable[[], Chart]] = {
    f"results_{each.__name__}": each
    for each in (
        story,
        protection,
        visibility,
        mismatch,
        shortcut,
        shortcut_quality,
        purification,
        decoupling,
        variants,
        budgets,
    )
}
"""What draws each figure, by the name of its files."""


def draw(folder: str | Path = FOLDER, names: list[str] | None = None) -> list[Path]:
    """Draw the figures, or those named, into a folder; without names also a measured regime's.

    Raises:
        ValueError: a figure that there is not.
    """
    if unknown := [name for name in names or () if name not in FIGURES]:
        raise ValueError(f"no figure {unknown[0]!r}; there are {', '.join(FIGURES)}")
    drawn = []
    charts = [FIGURES[name]() for name in names or FIGURES]
    if not names:
        charts += [chart for one in rates.measured() for chart in rates.charts(one)]
    for chart in charts:
        saved = save_figure(chart.figure, chart.name, chart.alt, chart.data, folder)
        drawn.append(saved.png)
    return drawn


def main(folder: Annotated[Path, typer.Option(help="where to")] = FOLDER) -> None:
    for path in draw(folder):
        print(path)


if __name__ == "__main__":
    typer.run(main)
