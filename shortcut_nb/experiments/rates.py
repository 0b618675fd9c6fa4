"""The rule for learning rates in numbers: the paper's, the profile's, and what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from ..profile import load_profile
from ..results import available
from .charts import Chart
from .measured import Measurement
from .questions.regime import (
    REGIMES,
    TEXT_PRETRAINING_RATE,
    TEXT_RATIO,
    UNET_PRETRAINING_RATE,
    UNET_RATIO,
)
from .tables import all_tables

PAPER = {"steps": 1000, "lr": 5e-7, "unet": 1e-4, "text": 5e-4}
NAME = "regime"
NOT_YET = (
    "Not measured yet on this miniature: there is no result `regime`. "
    "`shortcut-nb bench regime --save` measures it."
)

NEAR = 0.05  # a share of the rule's ratios
FAR = (
    "**The rates in `profiles/mini.yaml` today are not the rule's.** They go {unet:.2g} times as "
    "far as the rule for the UNet and {text:.2g} times as far for the text encoder. Results "
    "measured with them have to be read with that in mind."
)


def ratio(rate: float, steps: int, pretraining: float) -> float:
    """How far fine-tuning goes against pretraining: rate × steps ÷ pretraining rate."""
    return rate * steps / pretraining


def row(name: str, steps: int, rates: Sequence[float], pretraining: Sequence[float]) -> list[str]:
    """A line of the table: steps, then rate and ratio of the UNet and of the text encoder."""
    cells = [name, f"{steps:,}"]
    for rate, base in zip(rates, pretraining, strict=True):
        cells += [f"{rate:.2g}", f"{ratio(rate, steps, base):.3g}"]
    return cells


def rates() -> tuple[list[str], list[list[str]]]:
    """The paper's rates, the profile's of today, and the candidates: header and rows."""
    own = load_profile("mini").defaults["dreambooth"]
    bases = (UNET_PRETRAINING_RATE, TEXT_PRETRAINING_RATE)
    paper = (PAPER["unet"], PAPER["text"])
    rows = [row("the paper", int(PAPER["steps"]), [PAPER["lr"]] * 2, paper)]
    present = [own["lr"], own.get("text_lr", own["lr"])]
    rows.append(row("profile `mini` today", own["steps"], present, bases))
    for name, how in REGIMES.items():
        if "lr" in how:
            rows.append(row(f"candidate: {name}", how["steps"], [how["lr"], how["text_lr"]], bases))
    header = ["", "steps", "UNet: rate", "UNet: ratio", "text encoder: rate", "ratio"]
    return header, rows


def against_rule() -> tuple[float, float]:
    """How many times as far as the rule the profile of today goes: UNet, text encoder."""
    own = load_profile("mini").defaults["dreambooth"]
    unet = ratio(own["lr"], own["steps"], UNET_PRETRAINING_RATE) / UNET_RATIO
    text = ratio(own.get("text_lr", own["lr"]), own["steps"], TEXT_PRETRAINING_RATE) / TEXT_RATIO
    return unet, text


def present() -> str:
    """Where the profile of today stands against the rule, in words."""
    unet, text = against_rule()
    if max(abs(unet - 1), abs(text - 1)) < NEAR:
        return "The rates in `profiles/mini.yaml` follow the rule."
    return FAR.format(unet=unet, text=text)


def measured() -> list[Measurement]:
    """Every shipped result whose name begins with ``regime``; most often one or none."""
    return [Measurement.read(name) for name in available("mini") if name.startswith(NAME)]


def regime() -> str:
    """What was measured of the candidates, in Markdown; a sentence where nothing was."""
    parts = []
    for one in measured():
        parts += [f"`{one.name}`: {one.question} {_people(one)}"]
        parts += [f"**{table.title}**\n\n{table.markdown()}" for table in all_tables(one)]
        parts += [f"![{chart.alt}](../figures/{chart.name}.png)" for chart in charts(one)]
    return "\n\n".join(parts) or NOT_YET


def charts(one: Measurement) -> list[Chart]:
    """The class and V* after each candidate: a figure for each score that was measured."""
    from ..plots.palette import looks
    from ..plots.ranked import ranked_plot

    style = {
        "V* samples": looks(["protected"])["protected"],
        "class samples": looks(["prior"])["prior"],
    }
    sheets = {"instance": "V* samples", "class": "class samples"}
    drawn = []
    for metric in [name for name in ("quality", "ims", "intact") if name in one.metrics]:
        table = one.means([metric], by=["condition", "sheet"])
        table = table[table["sheet"].isin(sheets)]
        table = table.assign(name=table["condition"], group=table["sheet"].map(sheets))
        figure = ranked_plot(table, style, xlabel=metric, reference=None)
        alt = (
            f"Mean {metric} of samples of V* and of the class after clean training in each "
            "candidate regime, with intervals over validation people."
        )
        drawn.append(Chart(f"results_{one.name}_{metric}", metric, figure, table, alt))
    return drawn


def _people(one: Measurement) -> str:
    people, seeds = one.frame["subject"].nunique(), one.frame["seed"].nunique()
    return f"{people} people, {seeds} seed{'s' * (seeds > 1)}, {one.samples} samples a prompt."
