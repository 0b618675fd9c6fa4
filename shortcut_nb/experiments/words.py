"""Does CDL hold when its words are held? ``python -m shortcut_nb.experiments.words``.

The base model understands "with" and "without" a noise token; fine-tuning its text encoder at the
miniature's learning rate wears that down, before sampling asks for it. Here the text encoder is
frozen: DreamBooth as the control, CDL's words for sampling, for training too, and prior
preservation for the noise token on top. Resumable through the store.

The idea and the weight of the noise prior were chosen on four validation people at one seed, from
thirteen ways of training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from ..personalize import PROMPTS
from ..personalize.prompts import Prompts
from ..profile import load_profile
from ..results import OUT, write_result
from ..subjects import Subject
from . import decoupling
from .decoupling import SCORES, compared, pictures, table_of
from .figures import score_figures
from .matrix import first_subjects
from .pool import in_processes, lab_of
from .report import about, records
from .sheets import Drawn, Sheet, draw
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


def one(
    profile: str, subject: str, seed: int, kind: str, cell: Cell, training: str, n: int,
    settings: dict[str, Any] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Scores of one fine-tuning: a row per sample, with ``pictures``, ``training``, ``sheet``.

    Args:
        settings: of the trainer, over those of the training.
    """
    stages = Stages(lab_of(profile))
    who = stages.lab.subject(subject)
    made = drawn(stages, who, cell, training, n=n, seed=seed, **(settings or {}))
    return table_of(stages, who, kind, training, seed, made)


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


def main(
    profile: str = "mini",
    subjects: Annotated[int, typer.Option(help="how many of the profile's subjects")] = 6,
    seeds: int = 2,
    eps: Annotated[str, typer.Option(help="budget of the protection")] = "16/255",
    n: Annotated[int, typer.Option(help="samples per prompt")] = 4,
    workers: int = 2,
    out: Annotated[Path | None, typer.Option(help=OUT)] = None,
) -> None:
    people = first_subjects(load_profile(profile), subjects)
    kinds = pictures([eps], None)
    # Neighbours in the queue are different subjects, so that no two wait for the same attack.
    tasks = [
        (profile, subject, seed, kind, cell, training, n)
        for seed in range(seeds)
        for kind, cell in kinds.items()
        for training in TRAININGS
        for subject in people
    ]
    frames = in_processes(one, tasks, workers=workers, label="words")
    report(pd.concat(frames, ignore_index=True), eps, out, profile)


def report(frame: pd.DataFrame, eps: str, out: Path | None, profile: str = "mini") -> None:
    """Write ``words.json`` and its figures."""
    found, held = pieces(frame), named(frame)
    content = about(frame, eps) | {"pieces": records(found), "named": records(held)}
    write_result("words", content, profile, out)
    shown = pd.concat([found, held], ignore_index=True)
    score_figures(
        shown[shown["score"].isin(SCORES)], "words", "for each way of training and sampling",
        by="pictures", group="piece", out=out,
    )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
