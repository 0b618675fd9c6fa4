"""Custom Diffusion (Kumari et al. 2023): cross-attention keys and values, and a new word."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusers.models.attention_processor import CustomDiffusionAttnProcessor2_0
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import Parameter

from ..diffusion import Diffusion
from ..settings import Count, Rate, Whole
from ..subjects import Subject
from .textual_inversion import NewWord
from .token import row_of, table_of
from .trainer import Trainer, register

WORD = "new_word.safetensors"
PROCESSORS = "pytorch_custom_diffusion_weights.bin"  # diffusers' own name


class KeysAndValues(NewWord):
    """Trains copies of every cross-attention's K and V, and the embedding of a new word.

    diffusers' own attention processors hold the copies; the UNet itself stays as it is.
    """

    def prepare(self, model: Diffusion, seed: int) -> None:
        super().prepare(model, seed)  # freezes the UNet as it is; the copies below stay free
        unet: Any = model.modules[1]
        processors: dict[str, Any] = {}
        for name in unet.attn_processors:
            attention = unet.get_submodule(name.removesuffix(".processor"))
            wide, width = attention.to_k.weight.shape
            crosses = name.endswith("attn2.processor")
            processor = CustomDiffusionAttnProcessor2_0(
                train_kv=crosses, train_q_out=False, hidden_size=wide, cross_attention_dim=width
            )
            if crosses:
                processor.to_k_custom_diffusion.weight.data.copy_(attention.to_k.weight)
                processor.to_v_custom_diffusion.weight.data.copy_(attention.to_v.weight)
            processors[name] = processor.to(attention.to_k.weight)
        unet.set_attn_processor(processors)

    def groups(self, model: Diffusion, lr: float, text_lr: float) -> list[dict[str, Any]]:
        groups = [{"params": list(self._parts(model).values()), "lr": lr}]
        if text_lr > 0:
            groups.append({"params": [table_of(model)], "lr": text_lr})
        return groups

    def state(self, model: Diffusion) -> dict[str, Tensor]:
        return {**self._parts(model), **super().state(model)}

    def save(self, model: Diffusion, folder: Path) -> None:
        """Write what ``unet.load_attn_procs`` and ``load_textual_inversion`` read.

        The former is diffusers' .bin, which its loader opens with ``weights_only``: it has entries
        for layers without weights, which safetensors cannot hold. Open it with
        ``use_safetensors=False, _pipeline=pipe``; without the pipeline diffusers 0.42 reads the
        file and then sets nothing.
        """
        model.pipe.unet.save_attn_procs(folder, safe_serialization=False)
        row = table_of(model)[row_of(model, self.token)].detach().cpu().contiguous()
        save_file({self.token: row}, folder / WORD)

    def loading(self, folder: str) -> list[str]:
        return [
            f"pipe.unet.load_attn_procs({folder!r}, weight_name={PROCESSORS!r}, "
            "use_safetensors=False, _pipeline=pipe)",
            f"pipe.load_textual_inversion({f'{folder}/{WORD}'!r})",
        ]

    def _parts(self, model: Diffusion) -> dict[str, Parameter]:
        _, unet, _ = model.modules
        return {name: p for name, p in unet.named_parameters() if "_custom_diffusion" in name}


@register("custom-diffusion")
@dataclass(frozen=True)
class CustomDiffusion(Trainer):
    """Custom Diffusion; batch 2 and 250 steps are diffusers' example for one subject.

    So is the rate: 1e-5 for each of the four pictures of a step, class pictures among them.
    """

    steps: Whole = 250
    lr: Rate = 4e-5
    batch_size: Count = 2

    def method(self, subject: Subject) -> KeysAndValues:
        return KeysAndValues(subject.identifier, subject.class_name)
