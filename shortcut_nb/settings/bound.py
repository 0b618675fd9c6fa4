"""Settings together with the models they will be given: what a lab hands out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ..models import Models
from .settings import Settings

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class Bound(Generic[S]):
    """An attack, a purifier or a trainer with its models; everything else is the settings' own."""

    settings: S
    models: Models

    @property
    def name(self) -> str:
        """The name under which the settings are registered."""
        return self.settings.name

    def plain(self) -> S:
        """What stands for it in a recipe: the settings; models go in by their digests."""
        return self.settings

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "settings":
            raise AttributeError(name)
        return getattr(self.settings, name)

    def __repr__(self) -> str:
        return repr(self.settings)
