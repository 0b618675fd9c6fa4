"""Borrow models and give them back as they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.nn import Module


@contextmanager
def frozen(*models: Module) -> Iterator[None]:
    """Set evaluation mode and turn weight gradients off for the block.

    Afterwards every submodule's mode and every parameter's ``requires_grad`` and gradient are as
    before, also after an exception.
    """
    modes = [(m, m.training) for model in models for m in model.modules()]
    wants = [(p, p.requires_grad) for model in models for p in model.parameters()]
    try:
        for model in models:
            model.eval()
        for parameter, _ in wants:
            parameter.requires_grad_(False)
        yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, wanted in wants:
            parameter.requires_grad_(wanted)


@contextmanager
def checkpointed(*models: Module) -> Iterator[None]:
    """Turn gradient checkpointing on for the block, for those models that know it."""
    able: list[Any] = [m for m in models if hasattr(m, "enable_gradient_checkpointing")]
    turned = [m for m in able if not m.is_gradient_checkpointing]
    try:
        for model in turned:
            model.enable_gradient_checkpointing()
        yield
    finally:
        for model in turned:
            model.disable_gradient_checkpointing()
