"""What is each piece of CDL worth? What ``shortcut-nb bench decoupling`` measured says.

One fine-tuning for each way of training, sampled in every way: so the share of the noise token, of
the negated class prompt, of the words of sampling and of the negative prompt can be told apart.
On clean and protected pictures, with and without the profile's purifier. Then the variants that
may make decoupling enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from ..lab import Lab
from ..personalize import PROMPTS, BoundTrainer
from ..subjects import Subject
from .measured import Measurement
from .report import TITLES, means, paired, records
from .sheets import Drawn, Sheet, draw, score
from .shipped import gap, whom
from .stages import Cell, Stages

# A way of training: the trainer and its settings.
TRAININGS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("dreambooth", {"prompts": "plain"}),
    "noise token": ("dreambooth", {"prompts": "noise-token"}),
    "cdl": ("dreambooth", {"prompts": "cdl"}),
}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "four noise tokens": ("cdl-dreambooth", {"tokens": 4}),
    "a token per picture": ("cdl-dreambooth", {"tokens": 4, "per_picture": True}),
    "negative pairs": ("cdl-dreambooth", {"pair_weight": 1.0}),
    "contrastive loss": ("cdl-dreambooth", {"contrast": 0.1}),
    "pairs + contrastive loss": ("cdl-dreambooth", {"pair_weight": 1.0, "contrast": 0.1}),
}
# From DreamBooth to CDL, one piece after the other: name, training, sheet.
RUNGS = (
    ("plain", "plain", "plain"),
    ("+ noise token", "noise token", "plain"),
    ("+ negated class prompt", "cdl", "plain"),
    ("+ “without” when sampling", "cdl", "suffix"),
    ("+ negative prompt (CDL)", "cdl", "suffix-negative"),
)
GUIDANCE = (1.0, 2.5, 4.0, 9.0)
SCORES = (*TITLES, "noise")
GOOD = {"ims_missing": 1, "quality": 1, "texture": -1, "noise": -1}


def pictures(budgets: Sequence[str], purifier: str | None) -> dict[str, Cell]:
    """The pictures that are trained on: clean and protected, as they are and purified.

    ``purifier`` None leaves the purified ones out.
    """
    bare = {"clean": Cell()} | {f"protected {eps}": Cell("aspl", eps=eps) for eps in budgets}
    if purifier is None:
        return bare
    return bare | {f"{k}, purified": replace(c, purifier=purifier) for k, c in bare.items()}


def trainer(lab: Lab, training: str, seed: int, **settings: Any) -> BoundTrainer:
    """The trainer of a way of training."""
    name, own = (TRAININGS | VARIANTS)[training]
    return lab.personalize(name, seed=seed, **(own | settings))


def sheets(subject: Subject, made: BoundTrainer, training: str) -> dict[str, Sheet]:
    """Every way to sample one fine-tuning.

    ``suffix`` says "without V_N*", ``negative`` has the negative prompt, ``named`` says "with
    V_N*"; ``guidance-…`` are the training's own words at several guidance scales. A training
    between plain and CDL is drawn in few ways, CDL in all but the negative prompt alone: no table
    asks for the others.
    """
    own = subject.instance_prompt
    words = PROMPTS["cdl"](subject, made.phrase(), made.models.profile.prompts.negative)
    found = {
        "plain": Sheet(own, ""), "suffix": Sheet(words.sample, ""),
        "negative": Sheet(own, words.negative),
        "suffix-negative": Sheet(words.sample, words.negative),
        "named": Sheet(words.instance, ""),
    }  # fmt: skip
    if training in VARIANTS:
        return {name: found[name] for name in ("plain", "suffix-negative", "named")}
    ends = {"plain": found["plain"], "cdl": found["suffix-negative"]}
    if training not in ends:
        return {name: found[name] for name in ("plain", "named")}
    if training == "cdl":
        del found["negative"]
    usual = made.models.profile.sampling.guidance_scale
    # At the usual scale it is the same sheet under another name, and drawn once.
    return found | {
        sheet_of(scale): replace(ends[training], guidance_scale=None if scale == usual else scale)
        for scale in GUIDANCE
    }


def sheet_of(scale: float) -> str:
    """The sheet of a guidance scale: "guidance-2_5"."""
    return f"guidance-{scale:g}".replace(".", "_")


def drawn(
    stages: Stages, subject: Subject, cell: Cell, training: str, *, n: int = 8, seed: int = 0,
    **settings: Any,
) -> Drawn:  # fmt: skip
    """Fine-tune in one way on one kind of pictures, and sample it in every way."""
    made = trainer(stages.lab, training, seed, **settings)
    return draw(
        stages, subject, stages.prepare(subject, cell, seed), made,
        sheets(subject, made, training), n=n, seed=seed, label=f"{subject.name} {training}",
    )  # fmt: skip


def table_of(
    stages: Stages, subject: Subject, kind: str, training: str, seed: int, made: Drawn
) -> pd.DataFrame:  # fmt: skip
    """Score what :func:`drawn` made, as the tables below want it."""
    frame = score(stages, subject, made)
    return frame.assign(
        pictures=kind, training=training, condition=training + " | " + frame["sheet"],
        subject=subject.name, seed=seed,
    )  # fmt: skip


def rungs(frame: pd.DataFrame) -> pd.DataFrame:
    """What each piece adds to those before it: one row per pictures, piece and score.

    ``mean`` of the rung with its interval; ``difference`` from the rung before, in pairs, with its
    own interval and whether it helps (``difference_holds``: True better, False worse, None
    undecided).
    """
    return compared(frame, RUNGS, [None, *RUNGS[:-1]])


def controls(frame: pd.DataFrame) -> pd.DataFrame:
    """Sampling words without the training, and the noise named: against the sheet named last.

    "V_N* named" is judged by the opposite: that it brings noise back is what CDL promises.
    """
    plain = ("plain", "plain", "plain")
    found = compared(
        frame,
        [("negative prompt alone", "plain", "negative"),
         ("“without” alone", "plain", "suffix"),
         ("both, without the training", "plain", "suffix-negative")],
        [plain] * 3,
    )  # fmt: skip
    named = ("V_N* named", "cdl", "named")
    rows = compared(frame, [named], [("", "cdl", "plain")], sign=-1)
    return pd.concat([found, rows], ignore_index=True)


def variants(frame: pd.DataFrame) -> pd.DataFrame:
    """Each variant, sampled as CDL is: against CDL, and (``restored``) against plain DreamBooth."""
    plain, cdl = RUNGS[0], RUNGS[-1]
    these = [("cdl", *cdl[1:]), *((name, name, "suffix-negative") for name in VARIANTS)]
    table = compared(frame, these, [None, *[cdl] * len(VARIANTS)])
    other = compared(frame, these, [plain] * len(these))
    gaps = [column for column in other if column.startswith("difference")]
    return table.join(other[gaps].rename(columns=lambda c: c.replace("difference", "restored")))


def guidance(frame: pd.DataFrame) -> pd.DataFrame:
    """Means by guidance scale, for plain DreamBooth and for CDL."""
    scales = {sheet_of(scale): scale for scale in GUIDANCE}
    part = frame[frame["sheet"].isin(scales)]
    part = part.assign(guidance=part["sheet"].map(scales))
    return means(part, ["pictures", "training", "guidance"], SCORES)


def compared(
    frame: pd.DataFrame, these: Sequence[tuple[str, str, str]],
    others: Sequence[tuple[str, str, str] | None], sign: int = 1,
) -> pd.DataFrame:  # fmt: skip
    """Means of each of ``these`` (name, training, sheet), and its ``difference`` from its other.

    One row per pictures, piece and score; the difference is paired within subjects, and
    ``difference_holds`` says whether it helps (with ``sign`` −1: whether it does not).
    """
    rows = []
    for kind, part in frame.groupby("pictures", sort=False):
        for (name, training, sheet), other in zip(these, others, strict=True):
            condition = f"{training} | {sheet}"
            own = part[part["condition"] == condition]
            if own.empty:
                continue
            for row in records(means(own, ["pictures", "condition"], SCORES)):
                row |= {"pictures": kind, "piece": name}
                if other:
                    each = paired(part, row["score"], condition, f"{other[1]} | {other[2]}")
                    row |= gap("difference", each, sign * GOOD[row["score"]])
                rows.append(row)
    return pd.DataFrame(rows)


def content(measured: Measurement) -> dict[str, Any]:
    """The tables of what ``shortcut-nb bench decoupling --save`` kept."""
    frame = measured.frame
    parts = frame["condition"].str.split(" | ", expand=True, regex=False)
    frame = frame.assign(
        pictures=parts[0], training=parts[1], condition=parts[1] + " | " + frame["sheet"]
    )
    budgets = frame.loc[frame["attack"] != "none", "eps"].unique()
    tables = {"pieces": rungs(frame), "controls": controls(frame), "guidance": guidance(frame),
              "variants": variants(frame)}  # fmt: skip
    about = whom(measured) | {"eps": ", ".join(budgets)}
    return about | {name: records(table) for name, table in tables.items()}
