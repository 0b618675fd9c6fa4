"""What purifiers ask of a lab, with tiny networks of random weights in the real classes."""

from __future__ import annotations

from functools import cached_property

import torch
from diffusers import DDPMScheduler, StableDiffusionUpscalePipeline, UNet2DModel

from shortcut_nb.models import Models
from shortcut_nb.networks import FaceNetwork, PixelDiffusion
from shortcut_nb.profile import load_profile
from tests.tiny_upscaler import tiny_upscaler


class TinyLab(Models):
    """The miniature's own diffusion model and CLIP; everything else small and untrained."""

    def __init__(self) -> None:
        mini = load_profile("mini")
        named = mini.purifiers | {"face-restorer": mini.purifiers["restorer"]}
        profile = mini.model_copy(update={"defaults": {}, "purifiers": named})
        super().__init__(profile, "cpu", torch.float32)
        torch.manual_seed(0)
        self.restorer = UNet2DModel(
            sample_size=16, block_out_channels=(8, 16), down_block_types=("DownBlock2D",) * 2,
            up_block_types=("UpBlock2D",) * 2, layers_per_block=1, norm_num_groups=4,
        ).eval()  # fmt: skip

    def purifier_model(self, name):
        return {"restorer": self.restorer, "face-restorer": self.face}[name]

    @property
    def face(self) -> FaceNetwork:
        """The same network at a fixed size; a fidelity of 1 leaves pictures as they are."""
        return FaceNetwork(
            self.restorer, lambda net, x, fidelity: x - (1 - fidelity) * net(x, 0).sample, 32
        )

    @cached_property
    def pixel_diffusion(self) -> PixelDiffusion:
        torch.manual_seed(1)
        unet = UNet2DModel(
            sample_size=16, block_out_channels=(8, 16), down_block_types=("DownBlock2D",) * 2,
            up_block_types=("UpBlock2D",) * 2, layers_per_block=1, norm_num_groups=4,
        ).eval()  # fmt: skip
        return PixelDiffusion(unet, DDPMScheduler(num_train_timesteps=1000), 16)

    @cached_property
    def upscaler(self) -> StableDiffusionUpscalePipeline:
        pipe = self.diffusion.pipe
        upscaler = tiny_upscaler(pipe.text_encoder, pipe.tokenizer, 8)
        upscaler.set_progress_bar_config(disable=True)
        return upscaler
