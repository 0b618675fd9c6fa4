"""Contrastive decoupling piece by piece, with the text encoder trained and frozen."""

from __future__ import annotations

from typing import Any

from ...profile import Profile
from .. import words
from ..contrasts import Contrast
from ..experiment import JOIN, Cell, Experiment, Sheet

EPS = "16/255"
PICTURES: dict[str, dict[str, Any]] = {
    "clean": {},
    f"protected {EPS}": {"attack": "aspl", "eps": EPS},
}
SHEETS = {
    "plain": Sheet(prompt="{instance}", negative=""),
    "without": Sheet(prompt="{instance}, without {noise_token}", negative="{negative}"),
    "named": Sheet(prompt="{instance}, with {noise_token}", negative=""),
}
# A piece and the piece before it: name, then training and sheet of each.
PIECES = (
    ("CDL restores quality", ("cdl", "without"), ("plain", "plain")),
    ("freezing the text encoder restores quality", ("plain, frozen", "plain"), ("plain", "plain")),
    ("CDL's words when sampling restore quality", ("plain, frozen", "without"),
     ("plain, frozen", "plain")),
    ("CDL's words when training restore more", ("cdl, frozen", "without"),
     ("plain, frozen", "without")),
    ("a noise prior restores more", ("noise prior, frozen", "without"),
     ("cdl, frozen", "without")),
    ("held CDL restores quality", ("cdl, frozen", "without"), ("plain, frozen", "plain")),
)  # fmt: skip


def contrasts() -> list[Contrast]:
    """What each piece adds on protected pictures, and on clean ones."""
    found = []
    for kind in PICTURES:
        for name, high, low in PIECES:
            weights = {_selected(kind, *high): 1.0, _selected(kind, *low): -1.0}
            primary = name.startswith("held CDL") and kind != "clean"
            found.append(Contrast(f"{name}, {kind}", "quality", weights, None, primary=primary))
    return found


def _selected(kind: str, training: str, sheet: str) -> str:
    return f"condition={training}{JOIN}{kind} & sheet={sheet}"


def experiment(profile: Profile) -> Experiment:
    """Five ways to train, on clean and on protected pictures, each sampled in three ways."""
    cells = {}
    for name, (trainer, settings) in words.TRAININGS.items():
        own = dict(settings)
        prompts = own.pop("prompts", "cdl")
        for kind, fields in PICTURES.items():
            cell = Cell(trainer=trainer, prompts=prompts, training=own, **fields)
            cells[f"{name}{JOIN}{kind}"] = cell
    return Experiment(
        name="words",
        question="Which piece of contrastive decoupling restores quality, and must words be held?",
        cells=cells,
        sheets=SHEETS,
        contrasts=tuple(contrasts()),
        subjects=6,
        seeds=(0, 1),
        n=4,
    )
