"""Personalisation: trainers by name, and the prompts they use."""

from . import (  # noqa: F401  (each registers)
    custom_diffusion,
    decoupling,
    dreambooth,
    lora,
    textual_inversion,
)
from .dreambooth import DreamBooth
from .personalized import Personalized
from .prompts import PROMPTS, Prompts
from .trainer import TRAINERS, BoundTrainer, Trainer

__all__ = [
    "PROMPTS",
    "TRAINERS",
    "BoundTrainer",
    "DreamBooth",
    "Personalized",
    "Prompts",
    "Trainer",
]
