"""Random weights for what purifiers want beside the text-to-image model, at full width or small.

Shaped as stable-diffusion-x4-upscaler, ddpm-celebahq-256 and open_clip's ViT-B/32. The upscaler
reads prompts with the text-to-image model's text encoder. Face restorers are not among them: their
networks are those of a package that is an extra.
"""

from __future__ import annotations

import open_clip
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    StableDiffusionUpscalePipeline,
    UNet2DConditionModel,
    UNet2DModel,
)

from shortcut_nb.diffusion import Diffusion
from shortcut_nb.lab import Lab
from shortcut_nb.models.clip import Clip
from shortcut_nb.networks import PixelDiffusion
from shortcut_nb.weights import ModelRef


def add_models(lab: Lab, small: bool) -> None:
    """Give a lab an upscaler, a pixel diffusion model and a CLIP, where its networks are."""
    device = lab.diffusion.device
    refs = {"upscaler": "upscaler", "pixel": "ddpm"}
    purifiers = {name: ModelRef(id=f"memory:{name}", loader=way) for name, way in refs.items()}
    clip = ModelRef(id="memory:clip", loader="open_clip")
    lab.profile = lab.profile.model_copy(update={"purifiers": purifiers, "clip": clip})
    vars(lab)["upscaler"] = upscaler(lab.diffusion, small).to(device)
    unet = pixel_unet(small).to(device).eval().requires_grad_(False)
    vars(lab)["pixel_diffusion"] = PixelDiffusion(unet, DDPMScheduler(), unet.config.sample_size)
    vars(lab)["clip"] = clip_of(small, str(device))


def upscaler(model: Diffusion, small: bool) -> StableDiffusionUpscalePipeline:
    """A ×4 upscaler, around the text encoder of a text-to-image model."""
    widths = (8, 8, 16, 16) if small else (256, 512, 512, 1024)
    unet = UNet2DConditionModel(
        sample_size=16 if small else 128,
        in_channels=7,
        out_channels=4,
        block_out_channels=widths,
        down_block_types=("DownBlock2D", *("CrossAttnDownBlock2D",) * 3),
        up_block_types=(*("CrossAttnUpBlock2D",) * 3, "UpBlock2D"),
        layers_per_block=1 if small else 2,
        cross_attention_dim=model.pipe.text_encoder.config.hidden_size,
        attention_head_dim=2 if small else 8,
        norm_num_groups=4 if small else 32,
        num_class_embeds=1000,
        only_cross_attention=(True, True, True, False),
        use_linear_projection=True,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 16) if small else (128, 256, 512),
        latent_channels=4,
        layers_per_block=1 if small else 2,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        norm_num_groups=4 if small else 32,
        sample_size=64 if small else 512,
        scaling_factor=0.08333,
    )
    pipe = StableDiffusionUpscalePipeline(
        vae=vae.eval().requires_grad_(False),
        unet=unet.eval().requires_grad_(False),
        text_encoder=model.pipe.text_encoder,
        tokenizer=model.pipe.tokenizer,
        scheduler=DDIMScheduler(),
        low_res_scheduler=DDPMScheduler(),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def pixel_unet(small: bool) -> UNet2DModel:
    """The network of an unconditional model of pixels."""
    down = ["DownBlock2D"] * 4 + ["AttnDownBlock2D", "DownBlock2D"]
    up = ["UpBlock2D", "AttnUpBlock2D"] + ["UpBlock2D"] * 4
    return UNet2DModel(
        sample_size=64 if small else 256,
        block_out_channels=(8, 8, 8, 8, 16, 16) if small else (128, 128, 256, 256, 512, 512),
        down_block_types=down,
        up_block_types=up,
        layers_per_block=1 if small else 2,
        norm_num_groups=4 if small else 32,
        attention_head_dim=None,
    )


def clip_of(small: bool, device: str) -> Clip:
    """A contrastive image-text model of random weights, with open_clip's own tokenizer."""
    tower = {"image_size": 64 if small else 224, "patch_size": 32}
    tower |= {"width": 32, "layers": 2, "head_width": 16} if small else {"width": 768, "layers": 12}
    text = {"context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 12}
    text |= {"width": 16, "heads": 2, "layers": 1} if small else {}
    model = open_clip.model.CLIP(64 if small else 512, tower, text).to(device)
    return Clip(model, open_clip.get_tokenizer("ViT-B-32"), (tower["image_size"],) * 2)
