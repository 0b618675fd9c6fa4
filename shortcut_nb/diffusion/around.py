"""An open pipeline at the door: what it must have, and what it must not carry."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import DiffusionPipeline
from torch.nn import Module

from ..weights import BadWeights
from ..weights.folders import UNUSED
from ..weights.pipelines import check_fit, check_supported
from .backbone import assembled, parts_of

NEEDED = (
    "vae",
    "unet",
    "scheduler",
    "text_encoder",
    "text_encoder_2",
    "tokenizer",
    "tokenizer_2",
)
"""Parts that a pipeline whose class has them cannot be without."""


def around(pipe: DiffusionPipeline) -> DiffusionPipeline:
    """A pipeline of its own around an open one's modules, so that the open one stays as it is.

    A VAE in float16 that overflows there, by its configuration's ``force_upcast``, is copied in
    float32.

    Raises:
        BadWeights: in one line, why no backbone can work with it: another class, a part that is
            absent or does not fit, a LoRA, offloaded weights.
    """
    name = type(pipe).__name__
    where = f"the open {name}"
    check_supported(name, "the open pipeline")
    parts = parts_of(pipe)
    # Of a part that was deleted, diffusers hands out its entry in the index, a tuple.
    absent = [part for part in NEEDED if isinstance(parts.get(part, ...), tuple | None)]
    if absent:
        raise BadWeights(f"{where} has no {absent[0]}: open it with one.")
    modules = {part: value for part, value in parts.items() if isinstance(value, Module)}
    _check_no_adapters(modules, where)
    _check_in_place(modules, where)
    check_parts(parts, where)
    parts["scheduler"] = type(pipe.scheduler).from_config(pipe.scheduler.config)
    vae = parts["vae"]
    if vae.dtype == torch.float16 and vae.config.get("force_upcast", False):
        parts["vae"] = type(vae).from_config(vae.config).to(vae.device)
        parts["vae"].load_state_dict(vae.state_dict())
    return assembled(type(pipe), parts)


def check_parts(parts: dict[str, Any], where: str) -> None:
    """Make sure that the parts of a pipeline fit each other, by their configurations.

    Raises:
        BadWeights: in one line, which do not.
    """
    configs = {
        name: dict(part.config) if hasattr(part.config, "items") else part.config.to_dict()
        for name, part in parts.items()
        if hasattr(part, "config") and name not in UNUSED
    }
    configs["scheduler"] |= {"_class_name": type(parts["scheduler"]).__name__}
    check_fit(configs, where)


def _check_no_adapters(modules: dict[str, Module], where: str) -> None:
    """A training would lose a LoRA, or save what nobody can open; digests do not see how strong
    it is."""
    for name, module in modules.items():
        if getattr(module, "peft_config", None):
            raise BadWeights(
                f"{where} carries a LoRA on its {name}, which trainings would lose: make it a part "
                "of the weights first, with pipe.fuse_lora() and then pipe.unload_lora_weights()."
            )


def _check_in_place(modules: dict[str, Module], where: str) -> None:
    """Weights that come and go can be neither copied nor trained."""
    for name, module in modules.items():
        moving = any(map(_moves, module.modules()))
        if moving or any(weight.is_meta for weight in module.parameters()):
            raise BadWeights(
                f"{where} is offloaded (its {name} comes and goes): open it without offload, or "
                "call pipe.remove_all_hooks() first; low_memory=True saves memory here."
            )


def _moves(module: Module) -> bool:
    """Whether accelerate or diffusers moves a module's weights about."""
    diffusers_hooks = getattr(getattr(module, "_diffusers_hook", None), "hooks", {})
    return hasattr(module, "_hf_hook") or "group_offloading" in diffusers_hooks
