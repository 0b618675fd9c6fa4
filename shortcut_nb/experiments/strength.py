"""Cells of the attacks in their short form, for questions that are not ported yet."""

from __future__ import annotations

from ..attacks import ATTACKS
from .choice import chosen
from .questions.strength import NOISE, VARIANTS
from .stages import Cell

HARMS = {"ims_missing": -1, "quality": -1, "texture": 1}  # score: the direction of harm


def cells(eps: str, names: list[str] | None = None, ensemble: bool = True) -> dict[str, Cell]:
    """One cell per attack (all, or those named) and one for clean pictures.

    Args:
        ensemble: False leaves out the attacks on several base models, for a profile with one.

    Raises:
        typer.BadParameter: for an attack that there is not.
    """
    wanted = chosen(names, [*ATTACKS, *VARIANTS], "attack")
    wanted = [name for name in wanted if ensemble or not name.startswith("e-")]
    wanted = [name for name in wanted if names or not name.startswith("adaptive-")]
    found = {"clean": Cell(eps=eps)}
    for name in wanted:
        attack, settings = VARIANTS.get(name, (name, {}))
        found[name] = Cell(attack, eps=eps, settings=tuple(settings.items()))
    return found


__all__ = ["HARMS", "NOISE", "VARIANTS", "cells"]
