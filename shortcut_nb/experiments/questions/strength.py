"""How strong is each attack? Every registered one at one budget, and two kinds of random noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...attacks import ATTACKS
from ...errors import UserError
from ...profile import Profile
from ...registry import nearest
from ..contrasts import Contrast
from ..experiment import Cell, Experiment
from ..scores import contrasts_between, worse

EPS = "16/255"
NOISE = ("noise", "noise-uniform")
SCORES = worse("quality", "ims_missing", "texture")
# Variants that the registry does not name: a condition, its attack and its settings.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "advdm−": ("advdm", {"direction": -1}),
    "sds+": ("sds", {"direction": 1}),
    "sdst": ("sds", {"targeted": True}),
}


def cells(profile: Profile, eps: str = EPS, names: Sequence[str] = ()) -> dict[str, Cell]:
    """Clean pictures, and one cell for each attack that the profile has models for.

    Args:
        names: these attacks alone; attackers who know the defence (``adaptive-``) only if named.

    Raises:
        UserError: an attack that there is not; the nearest are listed.
    """
    known = [*ATTACKS, *VARIANTS]
    for name in names:
        if name not in known:
            near = nearest(name, known)
            raise UserError(
                f"no attack {name!r}; the nearest are {near}. There are {', '.join(known)}"
            )
    wanted = names or [name for name in known if not name.startswith("adaptive-")]
    named = {"clean": Cell(eps=eps)}
    for name in wanted:
        attack, settings = VARIANTS.get(name, (name, {}))
        if profile.ensemble or not attack.startswith("e-"):
            named[name] = Cell(attack=attack, eps=eps, settings=settings)
    return named


def words(name: str, metric: str, base: str) -> str:
    """A contrast's name: what an attack changes, and compared with what."""
    return f"{name} changes {metric} more than {'clean pictures' if base == 'clean' else base}"


def contrasts(names: Sequence[str]) -> list[Contrast]:
    """Each attack against clean pictures and against both kinds of noise, where they are named."""
    return [
        contrast
        for name in names
        for base in ("clean", *NOISE)
        if base in names and name not in ("clean", base)
        for contrast in contrasts_between(
            words(name, "{metric}", base),
            name,
            base,
            SCORES,
            primary="quality" if (name, base) == ("aspl", "noise") else None,
        )
    ]


def experiment(profile: Profile, eps: str = EPS, names: Sequence[str] = ()) -> Experiment:
    """Every attack, or those named, at one budget."""
    every = cells(profile, eps, names)
    return Experiment(
        name="strength",
        question="How strong is each attack, and is it stronger than random noise?",
        cells=every,
        contrasts=tuple(contrasts(list(every))),
    )
