"""E-FSMG and E-ASPL (Anti-DreamBooth, section 4.5): several base models at once."""

from __future__ import annotations

from dataclasses import dataclass

from ..diffusion import Diffusion
from ..errors import UserError
from ..models import Models
from ..settings import Count
from .aspl import ASPL
from .base import register
from .fsmg import FSMG


def _ensemble(models: Models, count: int | None) -> dict[str, Diffusion]:
    """The first ``count`` of the profile's models; None is all.

    Raises:
        ValueError: when the profile has not so many, or only one and ``count`` is None.
    """
    ensemble = models.ensemble
    if count is None and len(ensemble) == 1 or (count or 0) > len(ensemble):
        raise UserError(
            f"profile {models.profile.name} names {len(ensemble)} text-to-image model(s): add some "
            "under ensemble:, or ask for models=1"
        )
    return dict(list(ensemble.items())[:count])


@register("e-aspl")
@dataclass(frozen=True)
class EnsembleASPL(ASPL):
    """ASPL on several base models, averaged after each round.

    Args:
        models: how many of the profile's models; None is all.
    """

    models: Count | None = None

    def bases(self, models: Models) -> dict[str, Diffusion]:
        return _ensemble(models, self.models)

    def roles(self, models: Models) -> tuple[str, ...]:
        return ("diffusion", "ensemble:")


@register("e-fsmg")
@dataclass(frozen=True)
class EnsembleFSMG(FSMG):
    """FSMG on several base models, averaged after every ``inner_steps``.

    Args:
        models: how many of the profile's models; None is all.
    """

    steps: Count = 60
    inner_steps: Count = 12
    models: Count | None = None

    def bases(self, models: Models) -> dict[str, Diffusion]:
        return _ensemble(models, self.models)

    def roles(self, models: Models) -> tuple[str, ...]:
        return ("diffusion", "ensemble:")
