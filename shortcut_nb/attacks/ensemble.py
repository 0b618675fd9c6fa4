"""E-FSMG and E-ASPL (Anti-DreamBooth, section 4.5): several base models at once."""

from __future__ import annotations

from dataclasses import dataclass

from ..diffusion import Diffusion
from .aspl import ASPL
from .base import register
from .fsmg import FSMG


def _ensemble(lab, models: int | None) -> dict[str, Diffusion]:
    """The first ``models`` of the profile's models; None is all.

    Raises:
        ValueError: when the profile has not so many, or only one and ``models`` is None.
    """
    found = lab.ensemble
    if models is None and len(found) == 1 or (models or 0) > len(found):
        raise ValueError(
            f"profile {lab.profile.name} names {len(found)} text-to-image model(s): add some under "
            "ensemble:, or ask for models=1"
        )
    return dict(list(found.items())[:models])


@register("e-aspl")
@dataclass(frozen=True)
class EnsembleASPL(ASPL):
    """ASPL on several base models, averaged after each round.

    Args:
        models: how many of the profile's models; None is all.
    """

    models: int | None = None

    def bases(self) -> dict[str, Diffusion]:
        return _ensemble(self.lab, self.models)

    def roles(self) -> tuple[str, ...]:
        return ("diffusion", "ensemble:")


@register("e-fsmg")
@dataclass(frozen=True)
class EnsembleFSMG(FSMG):
    """FSMG on several base models, averaged after every ``inner_steps``.

    Args:
        models: how many of the profile's models; None is all.
    """

    steps: int = 60
    inner_steps: int = 12
    models: int | None = None

    def bases(self) -> dict[str, Diffusion]:
        return _ensemble(self.lab, self.models)

    def roles(self) -> tuple[str, ...]:
        return ("diffusion", "ensemble:")
