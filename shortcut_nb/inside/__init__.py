"""Looks inside a fine-tuned model or its training; a sheet asks for one by name."""

from . import traces  # noqa: F401 (enters itself)
from .registry import INSIDE, Look

__all__ = ["INSIDE", "Look"]
