"""Does CDL hold when its words are held? What ``shortcut-nb bench words`` measured says.

The base model understands "with" and "without" a noise token; fine-tuning its text encoder at the
miniature's learning rate wears that down, before sampling asks for it. Here the text encoder is
frozen: DreamBooth as the control, CDL's words for sampling, for training too, and prior
preservation for the noise token on top.

The idea and the weight of the noise prior were chosen on four validation people at one seed, from
thirteen ways of training.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from ..personalize import PROMPTS
from ..personalize.prompts import Prompts
from ..subjects import Subject
from . import decoupling
from .decoupling import compared
from .measured import Measurement
from .report import records
from .sheets import Drawn, Sheet, draw
from .shipped import whom
from .stages import Cell, Stages

FROZEN: dict[str, Any] = {"text_lr": 0.0}
NOISE_PRIOR = 0.3
# A way of training: the trainer and its settings.
TRAININGS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": decoupling.TRAININGS["plain"],
    "cdl": decoupling.TRAININGS["cdl"],
    "plain, frozen": ("dreambooth", {"prompts": "plain"} | FROZEN),
    "cdl, frozen": ("dreambooth", {"prompts": "cdl"} | FROZEN),
    "noise prior, frozen": ("cdl-dreambooth", {"noise_prior_weight": NOISE_PRIOR} | FROZEN),
}
Piece = tuple[str, str, str]  # name, training, sheet
PLAIN: Piece = ("DreamBooth", "plain", "plain")
CDL: Piece = ("CDL", "cdl", "without")
HELD: Piece = ("DreamBooth, frozen text encoder", "plain, frozen", "plain")
SAID: Piece = ("+ CDL's words when sampling", "plain, frozen", "without")
TRAINED: Piece = ("+ CDL's words when training", "cdl, frozen", "without")
PRIOR: Piece = ("+ noise prior", "noise prior, frozen", "without")
# Where is the noise? A training, and what it is called here.
NAMED = {"cdl": "CDL", "cdl, frozen": "frozen", "noise prior, frozen": "noise prior"}


def sheets(own: str, cdl: Prompts) -> dict[str, Sheet]:
    """The subject's prompt as it is, as CDL samples it, and with V_N* named."""
    return {
        "plain": Sheet(own, ""), "without": Sheet(cdl.sample, cdl.negative),
        "named": Sheet(cdl.instance, ""),
    }  # fmt: skip


def drawn(
    stages: Stages, subject: Subject, cell: Cell, training: str, *, n: int = 4, seed: int = 0,
    **settings: Any,
) -> Drawn:  # fmt: skip
    """Fine-tune in one way on one kind of pictures, and sample it in three."""
    name, own = TRAININGS[training]
    made = stages.lab.personalize(name, seed=seed, **(own | settings))
    said = PROMPTS["cdl"](subject, made.phrase(), stages.lab.profile.prompts.negative)
    return draw(
        stages, subject, stages.prepare(subject, cell, seed), made,
        sheets(subject.instance_prompt, said), n=n, seed=seed, label=f"{subject.name} {training}",
    )  # fmt: skip


def pieces(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per pictures, piece and score: means with intervals, and three differences.

    ``difference`` is from the piece before (CDL and the frozen DreamBooth: from DreamBooth),
    ``restored`` from DreamBooth with the same text encoder, trained or frozen, ``ahead`` from CDL
    as it is. Each with its own interval and whether it helps.
    """
    these = [PLAIN, CDL, HELD, SAID, TRAINED, PRIOR]
    table = compared(frame, these, [None, PLAIN, PLAIN, HELD, SAID, TRAINED])
    further = {"restored": [None, PLAIN, None, HELD, HELD, HELD],
               "ahead": [None, None, CDL, CDL, CDL, CDL]}  # fmt: skip
    for label, others in further.items():
        found = compared(frame, these, others)
        names = {column: column.replace("difference", label) for column in found
                 if column.startswith("difference")}  # fmt: skip
        table = table.join(found[list(names)].rename(columns=names))
    return table


def named(frame: pd.DataFrame) -> pd.DataFrame:
    """V* alone, and V_N* named beside it, without a negative prompt: who holds the noise?

    ``difference`` is what naming V_N* adds, judged by whether it brings noise (texture up, quality
    down): what CDL promises.
    """
    alone: list[Piece] = [(f"V* alone, {name}", how, "plain") for how, name in NAMED.items()]
    both: list[Piece] = [(f"V_N* named, {name}", how, "named") for how, name in NAMED.items()]
    return compared(frame, [*alone, *both], [None] * len(alone) + alone, sign=-1)


def content(measured: Measurement) -> dict[str, Any]:
    """The tables of what ``shortcut-nb bench words --save`` kept."""
    frame = measured.frame
    parts = frame["condition"].str.split(" | ", expand=True, regex=False)
    frame = frame.assign(
        training=parts[0], pictures=parts[1], condition=parts[0] + " | " + frame["sheet"]
    )
    budgets = frame.loc[frame["attack"] != "none", "eps"].unique()
    tables = {"pieces": records(pieces(frame)), "named": records(named(frame))}
    return whom(measured) | {"eps": ", ".join(budgets)} | tables
