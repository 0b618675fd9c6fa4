"""Personalisation: trainers by name, and the prompts they use."""

from .dreambooth import DreamBooth, Personalized
from .prompts import PROMPTS, Prompts

TRAINERS = {"dreambooth": DreamBooth}
__all__ = ["PROMPTS", "TRAINERS", "DreamBooth", "Personalized", "Prompts"]
