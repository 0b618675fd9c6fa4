"""A ×4 upscaler of random weights, small enough for tests."""

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    StableDiffusionUpscalePipeline,
    UNet2DConditionModel,
)


def tiny_upscaler(text_encoder, tokenizer, side, widths=(8, 16)):
    """Latents of ``side`` × ``side``; it reads the states of the text encoder that it is given."""
    torch.manual_seed(2)
    unet = UNet2DConditionModel(
        sample_size=side,
        in_channels=7,
        out_channels=4,
        block_out_channels=widths,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=text_encoder.config.hidden_size,
        attention_head_dim=2,
        norm_num_groups=widths[0] // 2,
        num_class_embeds=1000,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 16),
        latent_channels=4,
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        norm_num_groups=4,
        sample_size=4 * side,
        scaling_factor=0.08333,
    )
    return StableDiffusionUpscalePipeline(
        vae=vae.eval(),
        unet=unet.eval(),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        scheduler=DDIMScheduler(),
        low_res_scheduler=DDPMScheduler(),
    )
