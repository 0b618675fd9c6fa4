"""Looks inside a fine-tuned model or its training; a sheet asks for one by name."""

from . import traces  # noqa: F401 (registers itself)
from .registry import MODEL_PROBES, ModelProbe

__all__ = ["MODEL_PROBES", "ModelProbe"]
