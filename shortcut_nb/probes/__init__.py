"""Further measures of the pictures that a model is trained on: one file and one line each."""

from . import controls, shifts  # noqa: F401  (each registers itself)
from .base import IMAGE_PROBES, ImageProbe

__all__ = ["IMAGE_PROBES", "ImageProbe"]
