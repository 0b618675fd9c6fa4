"""Text-to-image models behind one interface; :func:`open_pipeline` opens any that is known."""

from .backbone import Diffusion
from .opening import BACKBONES, open_folder, open_pipeline
from .random import draw_normal, generators, sample_generators
from .sdxl import StableDiffusionXL
from .stable_diffusion import StableDiffusion

__all__ = [
    "BACKBONES",
    "Diffusion",
    "StableDiffusion",
    "StableDiffusionXL",
    "draw_normal",
    "generators",
    "open_folder",
    "open_pipeline",
    "sample_generators",
]
