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


class OnSeveral:
    """What attacks on several base models have in common: the profile's first ``models``."""

    models: Count | None

    def sources(self, models: Models) -> tuple[str, ...]:
        names = ("diffusion", *(f"ensemble:{i}" for i in range(len(models.profile.ensemble))))
        return names[: self.models]

    def bases(self, models: Models) -> dict[str, Diffusion]:
        """The pretrained models, by name.

        Raises:
            UserError: the profile has not so many, or only one and ``models`` is None.
        """
        count = 1 + len(models.profile.ensemble)
        needed = 2 if self.models is None else self.models
        if needed > count:
            raise UserError(
                f"profile {models.profile.name} names {count} text-to-image model(s): add some "
                "under ensemble:, or ask for models=1"
            )
        return {name: models.ensemble[name] for name in self.sources(models)}

    def roles(self, models: Models) -> tuple[str, ...]:
        return ("diffusion", "ensemble:")


@register("e-aspl")
@dataclass(frozen=True)
class EnsembleASPL(OnSeveral, ASPL):
    """ASPL on several base models, averaged after each round.

    Args:
        models: how many of the profile's models; None is all.
    """

    models: Count | None = None


@register("e-fsmg")
@dataclass(frozen=True)
class EnsembleFSMG(OnSeveral, FSMG):
    """FSMG on several base models, averaged after every ``inner_steps``.

    Args:
        models: how many of the profile's models; None is all.
    """

    steps: Count = 60
    inner_steps: Count = 12
    models: Count | None = None
