"""Borrow models and give them back as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch.nn import Module

from ..errors import UserError

P = ParamSpec("P")
R = TypeVar("R")


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


def in_own_arithmetic(work: Callable[P, R]) -> Callable[P, R]:
    """Run a function as if nobody had set an autocast or inference mode around it: arithmetic is
    what the models say, which is what results are kept under."""

    @wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with ExitStack() as stack:
            if torch.is_inference_mode_enabled():
                stack.enter_context(torch.inference_mode(False))
            for device in ("cpu", "cuda"):
                if torch.is_autocast_enabled(device):
                    stack.enter_context(torch.autocast(device, enabled=False))
            return work(*args, **kwargs)

    return run


def with_gradients(work: Callable[P, R]) -> Callable[P, R]:
    """The same for a function that takes gradients, also where they were turned off."""
    return in_own_arithmetic(torch.enable_grad()(work))


def checkpoint(on: bool, *models: Any) -> None:
    """Turn gradient checkpointing on or off, by the names that libraries and their versions have
    for it."""
    word = "enable" if on else "disable"
    names = [
        f"{word}_gradient_checkpointing",  # diffusers
        f"activation_checkpointing_{word}",  # transformers, later versions
        f"gradient_checkpointing_{word}",
    ]
    for model in models:
        known = [name for name in names if hasattr(model, name)]
        if not known:
            raise UserError(f"{type(model).__name__} knows no gradient checkpointing: leave it off")
        getattr(model, known[0])()


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
