"""DreamBooth-LoRA (Hu et al. 2022; Ruiz et al. 2023): low-rank adapters on the attention layers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from annotated_types import Ge, Le
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from torch import Tensor
from torch.nn import Parameter

from ..diffusion import Diffusion
from ..settings import Rate
from ..subjects import Subject
from .methods import named
from .trainer import Trainer, register

UNET_LAYERS = ["to_k", "to_q", "to_v", "to_out.0"]
TEXT_LAYERS = ["q_proj", "k_proj", "v_proj", "out_proj"]

FILE = "pytorch_lora_weights.safetensors"  # diffusers' name for it


@dataclass(frozen=True)
class LowRank:
    """Adapters of a rank on the UNet's attention and, with ``text``, on the text encoder's."""

    rank: int
    text: bool

    def shared(self, model: Diffusion) -> list[Parameter]:
        return list(named(model).values())

    def prepare(self, model: Diffusion, seed: int) -> None:
        unet = model.pipe.unet
        unet.requires_grad_(False)
        model.text.requires_grad_(False)
        options: dict[str, Any] = {
            "r": self.rank,
            "lora_alpha": self.rank,
            "init_lora_weights": "gaussian",
        }
        with torch.random.fork_rng(devices=[]):  # peft draws from the global generator
            torch.manual_seed(seed)
            unet.add_adapter(LoraConfig(target_modules=UNET_LAYERS, **options))
            for encoder in self._encoders(model).values():
                encoder.add_adapter(LoraConfig(target_modules=TEXT_LAYERS, **options))
        # peft gives adapters the type of the layer they are on, which may be held in 16 bits
        # precision; small updates would round away.
        for parameter in named(model, "lora_").values():
            parameter.data = parameter.data.float()

    def rename(self, prompt: str, identifier: str) -> str:
        return prompt

    def groups(self, model: Diffusion, lr: float, text_lr: float) -> list[dict[str, Any]]:
        parts = named(model, "lora_")
        for parameter in parts.values():  # a copy of a trained model has them at rest
            parameter.requires_grad_(True)
        groups = [{"params": [p for k, p in parts.items() if k.startswith("unet.")], "lr": lr}]
        text = [p for k, p in parts.items() if k.startswith("text.")]
        return groups + ([{"params": text, "lr": text_lr}] if text and text_lr > 0 else [])

    def constrain(self, model: Diffusion) -> None:
        pass

    def state(self, model: Diffusion) -> dict[str, Tensor]:
        return dict(named(model, "lora_"))

    def save(self, model: Diffusion, folder: Path) -> None:
        """Write :data:`FILE`, which ``load_lora_weights`` reads."""
        _, unet, _ = model.modules
        layers = {
            f"{name}_lora_layers": convert_state_dict_to_diffusers(get_peft_model_state_dict(part))
            for name, part in {"unet": unet, **self._encoders(model)}.items()
        }
        model.pipe.save_lora_weights(folder, **layers)

    def loading(self, folder: str) -> list[str]:
        # diffusers up to 0.36 wants the name of the file when it is offline.
        return [f'pipe.load_lora_weights({folder!r}, weight_name="{FILE}")']

    def _encoders(self, model: Diffusion) -> dict[str, Any]:
        return model.encoders if self.text else {}


@register("dreambooth-lora")
@dataclass(frozen=True)
class DreamBoothLora(Trainer):
    """DreamBooth with low-rank adapters in place of all weights; 1e-4 is diffusers' example.

    Args:
        rank: of the adapters; their alpha is the same, so the adapter counts fully.
    """

    lr: Rate = 1e-4
    rank: Annotated[int, Ge(1), Le(4096)] = 4

    def method(self, subject: Subject) -> LowRank:
        return LowRank(self.rank, text=self.text_lr != 0)
