"""Networks that purifiers run, opened from their folders."""

from .face_network import FaceNetwork
from .pixel_diffusion import PixelDiffusion

__all__ = ["FaceNetwork", "PixelDiffusion"]
