"""Personalisation: trainers by name, and the prompts they use."""

from . import custom_diffusion, dreambooth, lora, textual_inversion  # noqa: F401  (each registers)
from .dreambooth import DreamBooth
from .prompts import PROMPTS, Prompts
from .trainer import TRAINERS, Personalized, Trainer

__all__ = ["PROMPTS", "TRAINERS", "DreamBooth", "Personalized", "Prompts", "Trainer"]
