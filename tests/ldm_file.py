"""Write a diffusers Stable Diffusion pipeline as one file in the original layout, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from safetensors.torch import save_file
from torch import Tensor

RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0", "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
UNET_ENDS = {
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
    "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
}  # fmt: skip
VAE_ATTENTION = {
    "group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out",
}  # fmt: skip


def unet_places(unet) -> Iterator[tuple[str, str]]:
    """Every block: (diffusers' name, the original's)."""
    number = 1
    for i, block in enumerate(unet.down_blocks):
        for j in range(len(block.resnets)):
            yield f"down_blocks.{i}.resnets.{j}", f"input_blocks.{number}.0"
            yield f"down_blocks.{i}.attentions.{j}", f"input_blocks.{number}.1"
            number += 1
        yield f"down_blocks.{i}.downsamplers.0.conv", f"input_blocks.{number}.0.op"
        number += block.downsamplers is not None
    yield "mid_block.resnets.0", "middle_block.0"
    yield "mid_block.attentions.0", "middle_block.1"
    yield "mid_block.resnets.1", "middle_block.2"
    number = 0
    for i, block in enumerate(unet.up_blocks):
        for j in range(len(block.resnets)):
            yield f"up_blocks.{i}.resnets.{j}", f"output_blocks.{number}.0"
            yield f"up_blocks.{i}.attentions.{j}", f"output_blocks.{number}.1"
            number += 1
        at = 2 if hasattr(block, "attentions") else 1
        yield f"up_blocks.{i}.upsamplers.0.conv", f"output_blocks.{number - 1}.{at}.conv"


def original_unet(unet) -> dict[str, Tensor]:
    places = [*UNET_ENDS.items(), *unet_places(unet)]
    tensors = {}
    for name, tensor in unet.state_dict().items():
        ((start, new),) = [pair for pair in places if name.startswith(f"{pair[0]}.")]
        rest = name.removeprefix(f"{start}.")
        part, _, end = rest.rpartition(".")
        if ".resnets." in start:
            rest = f"{RESNET[part]}.{end}"
        tensors[f"model.diffusion_model.{new}.{rest}"] = tensor.contiguous()
    return tensors


def original_vae(vae) -> dict[str, Tensor]:
    count = len(vae.decoder.up_blocks)
    tensors = {}
    for name, tensor in vae.state_dict().items():
        new = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
        for i in range(count):
            new = new.replace(
                f"encoder.down_blocks.{i}.downsamplers.0", f"encoder.down.{i}.downsample"
            )
            new = new.replace(f"encoder.down_blocks.{i}.resnets", f"encoder.down.{i}.block")
            back = count - 1 - i
            new = new.replace(f"decoder.up_blocks.{i}.upsamplers.0", f"decoder.up.{back}.upsample")
            new = new.replace(f"decoder.up_blocks.{i}.resnets", f"decoder.up.{back}.block")
        new = new.replace("mid_block.resnets.0", "mid.block_1")
        new = new.replace("mid_block.resnets.1", "mid.block_2")
        if "mid_block.attentions.0" in new:
            head, rest = new.split("mid_block.attentions.0.")
            part, _, end = rest.rpartition(".")
            new = f"{head}mid.attn_1.{VAE_ATTENTION[part]}.{end}"
            if end == "weight" and part != "group_norm":
                tensor = tensor[..., None, None]
        tensors[f"first_stage_model.{new}"] = tensor.contiguous()
    return tensors


OPEN_CLIP_LAYERS = {
    "self_attn.out_proj": "attn.out_proj", "layer_norm1": "ln_1", "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
}  # fmt: skip


def named_text(text, start: str) -> dict[str, Tensor]:
    """A CLIP text encoder's tensors under one prefix, whatever transformers calls them."""
    tensors = text.state_dict()
    return {f"{start}{name.removeprefix('text_model.')}": tensors[name] for name in tensors}


def original_open_clip(text) -> dict[str, Tensor]:
    """SDXL's second text encoder, as open_clip names its tensors."""
    own = named_text(text, "")
    tensors = {
        "positional_embedding": own["embeddings.position_embedding.weight"],
        "token_embedding.weight": own["embeddings.token_embedding.weight"],
        "text_projection": own["text_projection.weight"].T,
    }
    for end in ("weight", "bias"):
        tensors[f"ln_final.{end}"] = own[f"final_layer_norm.{end}"]
        for i in range(text.config.num_hidden_layers):
            layer, new = f"encoder.layers.{i}", f"transformer.resblocks.{i}"
            parts = [own[f"{layer}.self_attn.{each}_proj.{end}"] for each in "qkv"]
            tensors[f"{new}.attn.in_proj_{end}"] = torch.cat(parts)
            for name, original in OPEN_CLIP_LAYERS.items():
                tensors[f"{new}.{original}.{end}"] = own[f"{layer}.{name}.{end}"]
    return {
        f"conditioner.embedders.1.model.{name}": tensor.clone().contiguous()
        for name, tensor in tensors.items()
    }


def save_single_sdxl(pipe: StableDiffusionXLPipeline, path: Path) -> Path:
    """SDXL's layout: the first text encoder as transformers', the second as open_clip's."""
    first = named_text(pipe.text_encoder, "conditioner.embedders.0.transformer.text_model.")
    parts = [original_unet(pipe.unet), original_vae(pipe.vae), first]
    tensors = original_open_clip(pipe.text_encoder_2)
    for part in parts:
        tensors |= part
    save_file(tensors, str(path))
    return path


def save_single_file(pipe: StableDiffusionPipeline, path: Path) -> Path:
    text = named_text(pipe.text_encoder, "cond_stage_model.transformer.text_model.")
    save_file(original_unet(pipe.unet) | original_vae(pipe.vae) | text, str(path))
    return path
