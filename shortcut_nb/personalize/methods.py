"""What is trained, by which method: the part in which trainers differ."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor
from torch.nn import Parameter

from ..diffusion import Diffusion


class Method(Protocol):
    """Chooses a model's trainable parameters; made anew for each training.

    The model it is given is a clone: its UNet, text encoder and tokenizer may be changed, but for
    the values of the weights that :meth:`shared` names.
    """

    def shared(self, model: Diffusion) -> list[Parameter]:
        """The weights of the base model that the training leaves alone: they need no copy."""
        ...

    def prepare(self, model: Diffusion, seed: int) -> None:
        """Add adapters or tokens, and set ``requires_grad``; random starts draw from ``seed``."""

    def rename(self, prompt: str, identifier: str) -> str:
        """The prompt in the words this method trains (a new token in the identifier's place)."""
        ...

    def groups(self, model: Diffusion, lr: float, text_lr: float) -> list[dict[str, Any]]:
        """Optimiser groups."""
        ...

    def constrain(self, model: Diffusion) -> None:
        """Undo what a step should not have changed."""

    def state(self, model: Diffusion) -> dict[str, Tensor]:
        """Every trained tensor, for checkpoints."""
        ...

    def save(self, model: Diffusion, folder: Path) -> None:
        """Write the result in diffusers' own format for this method."""

    def loading(self, folder: str) -> list[str]:
        """Lines of Python that put what was saved into ``pipe``, the model that was trained."""
        ...


@dataclass(frozen=True)
class FullFineTuning:
    """UNet and, with ``text_lr`` above 0, text encoder: all of their weights."""

    def shared(self, model: Diffusion) -> list[Parameter]:
        return []

    def prepare(self, model: Diffusion, seed: int) -> None:
        pass

    def rename(self, prompt: str, identifier: str) -> str:
        return prompt

    def groups(self, model: Diffusion, lr: float, text_lr: float) -> list[dict[str, Any]]:
        _, unet, text = model.modules
        unet.requires_grad_(True)
        text.requires_grad_(text_lr > 0)
        groups = [{"params": list(unet.parameters()), "lr": lr}]
        if text_lr > 0:
            groups.append({"params": list(text.parameters()), "lr": text_lr})
        return groups

    def constrain(self, model: Diffusion) -> None:
        pass

    def state(self, model: Diffusion) -> dict[str, Tensor]:
        return dict(named(model))

    def save(self, model: Diffusion, folder: Path) -> None:
        model.pipe.save_pretrained(folder)

    def loading(self, folder: str) -> list[str]:
        return []  # the folder is a pipeline of its own


def named(model: Diffusion, part: str = "") -> dict[str, Parameter]:
    """The parameters of UNet and text encoder whose names contain a part: "unet.…", "text.…"."""
    _, unet, text = model.modules
    every = {"unet": unet, "text": text}
    return {
        f"{where}.{name}": p
        for where, module in every.items()
        for name, p in module.named_parameters()
        if part in name
    }
