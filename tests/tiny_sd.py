"""Stable-Diffusion-shaped pipelines with random weights, written to disk in the real format."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from shortcut_nb.mini.pretrain import tokenizer

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def save_pipeline(folder: Path, kind: str, side: int = 64, seed: int = 0) -> Path:
    """``kind`` "sd15": epsilon, PNDM, convolutional projections; "sd21": v-prediction, DDIM,
    linear projections, a GELU text encoder that stops before its last layer's norm, as OpenCLIP's.

    Args:
        side: of the pictures it says it was trained on, in pixels.
        seed: of the weights.
    """
    torch.manual_seed(seed)
    second = kind == "sd21"
    words = tokenizer.build(merges=64)
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(words), hidden_size=32, intermediate_size=64, projection_dim=32,
            num_hidden_layers=3 if second else 2, num_attention_heads=2,
            hidden_act="gelu" if second else "quick_gelu",
            max_position_embeddings=words.model_max_length,
            bos_token_id=words.bos_token_id, eos_token_id=words.eos_token_id,
        )
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 16, 16), latent_channels=4, layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=4, sample_size=side,
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=side // 8, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), cross_attention_dim=32,
        attention_head_dim=(2, 4) if second else 2, use_linear_projection=second,
    )  # fmt: skip
    scheduler = (
        DDIMScheduler(**BETAS, prediction_type="v_prediction", clip_sample=False, steps_offset=1)
        if second
        else PNDMScheduler(**BETAS, skip_prk_steps=True, steps_offset=1)
    )
    StableDiffusionPipeline(
        vae=vae, text_encoder=text, tokenizer=words, unet=unet, scheduler=scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def save_sdxl(folder: Path) -> Path:
    """A StableDiffusionXLPipeline: two text encoders of different widths, size conditions."""
    torch.manual_seed(0)
    words = tokenizer.build(merges=64)
    shared = {
        "vocab_size": len(words), "num_hidden_layers": 3, "num_attention_heads": 2,
        "max_position_embeddings": words.model_max_length, "bos_token_id": words.bos_token_id,
        "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id,
    }  # fmt: skip
    first = CLIPTextModel(
        CLIPTextConfig(hidden_size=16, intermediate_size=32, projection_dim=16, **shared)
    )
    second = CLIPTextModelWithProjection(
        CLIPTextConfig(
            hidden_size=32, intermediate_size=64, projection_dim=24, hidden_act="gelu", **shared
        )
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 16, 16), latent_channels=4, layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=4, sample_size=64, scaling_factor=0.13025, force_upcast=True,
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), cross_attention_dim=48,
        attention_head_dim=(2, 4), use_linear_projection=True, transformer_layers_per_block=(1, 2),
        addition_embed_type="text_time", addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 24,
    )  # fmt: skip
    StableDiffusionXLPipeline(
        vae=vae, text_encoder=first, text_encoder_2=second, tokenizer=words, tokenizer_2=words,
        unet=unet, scheduler=EulerDiscreteScheduler(**BETAS, steps_offset=1),
    ).save_pretrained(folder)  # fmt: skip
    return folder
