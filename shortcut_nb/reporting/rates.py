"""The rule for learning rates in numbers: the paper's, the profile's, and what was measured."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
import torch

from ..experiments.experiment import JOIN
from ..experiments.means import by_whose, widened
from ..experiments.measured import UNITS, Measurement
from ..experiments.questions import names
from ..experiments.questions.regime import (
    CHOSEN,
    REGIMES,
    TEXT_PRETRAINING_RATE,
    TEXT_RATIO,
    UNET_PRETRAINING_RATE,
    UNET_RATIO,
)
from ..metrics import describe
from ..plots.layout import write_people
from ..plots.palette import looks
from ..plots.ranked import ranked_plot
from ..profile import load_profile
from ..results import available
from ..tuning.regime import schedule_at
from .charts import Chart
from .report_page import facts
from .tables import SHEET_LABELS, all_tables, table_of

PAPER = {"steps": 1000, "lr": 5e-7, "text_lr": 5e-7}
PAPERS_PRETRAINING = (1e-4, 5e-4)  # rates of the UNet and of the text encoder
MINIATURE = (UNET_PRETRAINING_RATE, TEXT_PRETRAINING_RATE)
NAME = "regime"
OTHERS = "rates"  # the question of the other methods
OTHERS_SAY = {
    "method": "method",
    "rate": "rate",
    "ims_missing": "V*: identity",
    "quality": "V*: quality",
    "ims_missing, class": "class: identity",
    "quality, class": "class: quality",
    "n": "people",
}
ASKED = ("ims", "quality", "intact", "texture", "attributes")  # what the page's tables show
PLAIN_WORDS = {"intact": "intactness", "ims": "the identity match"}
SHIPPED = f"{CHOSEN} (shipped)"
"""What the regime of the profile is called among the candidates."""
COSTS = "pictures_and_costs"  # of pictures that are the same everywhere
NEAR = 0.05  # a share of the rule's ratios
NOT_YET = (
    "Not measured yet on this miniature: there is no result `regime`. "
    "`shortcut-nb bench regime --save` measures it."
)
FAR = (
    "**The rates in `profiles/mini.yaml` are not the rule's.** They go {unet:.2g} times as "
    "far as the rule for the UNet and {text:.2g} times as far for the text encoder. Results "
    "measured with them have to be read with that in mind."
)
COLUMNS = {
    "name": "",
    "steps": "steps",
    "unet_rate": "UNet: highest rate",
    "unet": "UNet: ratio",
    "text_rate": "text encoder: highest rate",
    "text": "text encoder: ratio",
}
DIGITS: dict[str, int | str] = {
    "steps": ",",
    "unet_rate": ".2g",
    "unet": ".3g",
    "text_rate": ".2g",
    "text": ".3g",
}


def mean_share(settings: Mapping[str, Any]) -> float:
    """The mean learning rate of a trainer's steps, as a share of its highest."""
    name, steps = settings.get("lr_scheduler", "constant"), settings["steps"]
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = schedule_at(optimiser, name, settings.get("warmup", 0), steps, 0)
    if schedule is None:
        return 1.0
    shares = []
    for _ in range(steps):
        shares.append(schedule.get_last_lr()[0])
        optimiser.step()
        schedule.step()
    return sum(shares) / steps


def ratio(rate: float, steps: int, pretraining: float) -> float:
    """How far fine-tuning goes against pretraining: mean rate × steps ÷ pretraining rate."""
    return rate * steps / pretraining


def row(
    name: str, settings: dict[str, Any], pretraining: tuple[float, float] = MINIATURE
) -> dict[str, Any]:
    """Settings of a trainer with their ratios, as :data:`COLUMNS`."""
    steps, unet, text = settings["steps"], settings["lr"], settings.get("text_lr")
    text = unet if text is None else text
    mean = mean_share(settings)
    return {
        "name": name,
        "steps": steps,
        "unet_rate": unet,
        "unet": ratio(mean * unet, steps, pretraining[0]),
        "text_rate": text,
        "text": ratio(mean * text, steps, pretraining[1]),
    }


def rates() -> pd.DataFrame:
    """The paper's rates, the profile's of today, and the candidates, as :data:`COLUMNS`."""
    candidates = {f"candidate: {name}": how for name, how in REGIMES.items() if "lr" in how}
    return pd.DataFrame(
        [
            row("the paper", PAPER, PAPERS_PRETRAINING),
            row("profile `mini` today", load_profile("mini").defaults["dreambooth"]),
            *(row(name.replace(CHOSEN, SHIPPED), how) for name, how in candidates.items()),
        ]
    )


def rates_table() -> str:
    """:func:`rates` in Markdown."""
    return table_of(rates(), COLUMNS, digits=DIGITS).markdown()


def present_rates() -> str:
    """Where the profile of today stands against the rule, in words."""
    own = row("", load_profile("mini").defaults["dreambooth"])
    unet, text = own["unet"] / UNET_RATIO, own["text"] / TEXT_RATIO
    if max(abs(unet - 1), abs(text - 1)) < NEAR:
        return "The rates in `profiles/mini.yaml` follow the rule."
    return FAR.format(unet=unet, text=text)


def regime_results() -> list[Measurement]:
    """Every shipped result whose name begins with ``regime``; most often one or none."""
    shipped = sorted({*names()} & {*available("mini")})
    return [Measurement.read(name) for name in shipped if name.startswith(NAME)]


def regime_tables() -> str:
    """What was measured of the candidates, in Markdown; a sentence where nothing was."""
    parts = []
    for one in regime_results():
        about = facts(one)
        people, seeds = about.people, about.seeds
        parts.append(f"`{one.name}`: {one.question} {people}, {seeds}, {about.samples}.")
        tables = [table for table in all_tables(_short(one)) if table.name != COSTS]
        for table in tables:
            title = table.title.replace("V*", "V\\*")  # else the bold ends there
            parts.append(f"**{title}**\n\n{table.markdown().replace(CHOSEN, SHIPPED)}")
        for chart in charts(one):
            parts.append(f"![{chart.alt}](../figures/{chart.name}.png)")
            parts.append(f"*{people}, {seeds}, clean photos: {chart.title}.*")
    return "\n\n".join(parts) or NOT_YET


def _short(one: Measurement) -> Measurement:
    """The measurement with the scores that its predictions ask for, and in the page's words."""
    asked = [name for name in ASKED if name in one.metrics]
    frame = one.frame[[*one.axes, *UNITS, *asked]]
    renamed = []
    for contrast in one.contrasts:
        name = contrast.name
        for word, plain in PLAIN_WORDS.items():
            name = re.sub(rf"\b{word}\b", plain, name)
        renamed.append(replace(contrast, name=name))
    return replace(one, frame=frame, contrasts=tuple(renamed))


def others_table() -> str:
    """What was measured of the other methods' rates, in Markdown; the profile's own are bold."""
    kept = Measurement.read(OTHERS)
    means = kept.means(["ims_missing", "quality"], by=["condition", "sheet"])
    means["score"] = by_whose(means)
    counts = means.groupby("condition", sort=False)["n"].max().rename("n")
    scores = [name for name in OTHERS_SAY if name in set(means["score"])]
    table = widened(means, ["condition"], scores, "score").join(counts, on="condition")
    split = table["condition"].str.split(JOIN, regex=False, expand=True)
    table = table.assign(method=split[0], rate=split[1].astype(float))
    profile = load_profile("mini").defaults
    own = [
        rate == float(f"{profile.get(method, {}).get('lr', 0):.2g}")
        for method, rate in zip(table["method"], table["rate"], strict=True)
    ]
    return table_of(table, OTHERS_SAY, marked=own, digits={"rate": ".2g"}).markdown()


def charts(one: Measurement) -> list[Chart]:
    """The class and V* after each candidate: a figure for each score that was measured."""
    style = looks([SHEET_LABELS["instance"], SHEET_LABELS["class"]])
    drawn = []
    for metric in [name for name in ("quality", "ims", "intact") if name in one.metrics]:
        table = one.means([metric], by=["condition", "sheet"])
        table = table[table["sheet"].isin(SHEET_LABELS)]
        names = table["condition"].replace(CHOSEN, SHIPPED)
        table = table.assign(name=names, group=table["sheet"].map(SHEET_LABELS))
        figure = ranked_plot(table, style, xlabel=describe(metric).label, reference=None)
        write_people(figure, len(one.coverage["subjects"]))
        alt = (
            f"Mean of {describe(metric).label}: samples of V* and of the class after clean "
            "training in each candidate regime, with intervals over validation people."
        )
        name = f"results_{one.name}_{metric}"
        drawn.append(Chart(name, describe(metric).label, figure, table, alt))
    return drawn
