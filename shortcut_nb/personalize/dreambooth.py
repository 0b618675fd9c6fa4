"""DreamBooth (Ruiz et al. 2023): full fine-tuning of UNet and text encoder on a few pictures."""

from __future__ import annotations

from dataclasses import dataclass

from ..subjects import Subject
from .methods import FullFineTuning
from .trainer import Trainer, register


@register("dreambooth")
@dataclass(frozen=True)
class DreamBooth(Trainer):
    """All weights, with prior preservation on class pictures sampled from the model itself."""

    def method(self, subject: Subject) -> FullFineTuning:
        return FullFineTuning()
