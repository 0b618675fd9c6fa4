"""The models of a profile, each opened when it is first used and kept."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..profile import ModelRef, Profile, resolve
from ..weights import IN_MEMORY
from ..weights.sizes import side_of
from . import loaders
from .devices import check_dtype, device_of, fast_dtype
from .hooks import Hooks
from .named import Named

if TYPE_CHECKING:  # heavy libraries are loaded when a model is opened, and what lacks is said first
    import torch
    from diffusers import StableDiffusionUpscalePipeline, UNet2DModel

    from ..diffusion import Diffusion
    from ..metrics import Detector, FaceEncoder, IdentityEncoder
    from ..metrics.perceptual import ClipPerceptualDistance
    from ..networks import FaceNetwork, PixelDiffusion
    from .clip import Clip


class Opened(Named):
    """Models on a device, in a dtype."""

    def __init__(
        self,
        profile: str | Path | Profile = "mini",
        device: str | torch.device | None = None,
        autocast: torch.dtype | None = None,
    ) -> None:
        super().__init__(profile)
        self._device = None if device is None else device_of(device)
        self._autocast = None if autocast is None else check_dtype(autocast)
        self.hooks = Hooks()
        self._networks: dict[str, UNet2DModel | FaceNetwork] = {}
        self._measures: dict[str, Any] = {}

    @cached_property
    def device(self) -> torch.device:
        """Where models go."""
        return self._device or device_of(None)

    @cached_property
    def autocast(self) -> torch.dtype:
        """The dtype of UNet and VAE arithmetic."""
        return self._autocast or fast_dtype(self.device)

    @cached_property
    def diffusion(self) -> Diffusion:
        """The text-to-image model."""
        return self._opened(self.checked_ref("diffusion"))

    @cached_property
    def ensemble(self) -> dict[str, Diffusion]:
        """The text-to-image model and the profile's further ones, by name.

        A folder without a VAE or a text encoder of its own uses the text-to-image model's.
        """
        ensemble = {"diffusion": self.diffusion}
        for role in self.profile.models():
            if role.startswith("ensemble:"):
                ensemble[role] = self._opened(self.checked_ref(role), lender=self.diffusion)
        return ensemble

    def _opened(self, ref: ModelRef, lender: Diffusion | None = None) -> Diffusion:
        size, at_once = self.profile.resolution, self.profile.pictures_at_once
        model = loaders.open_diffusion(ref, self.device, self.autocast, size, lender=lender)
        return model if at_once is None else replace(model, at_once=at_once)

    @cached_property
    def own_side(self) -> int:
        """Side of the pictures that the text-to-image model was trained on, in pixels.

        Read from its files; where they do not say, of the opened model.
        """
        ref = self.profile.diffusion
        side = None if ref.id.startswith(IN_MEMORY) else side_of(resolve(ref))
        if side is None:
            side = self.diffusion.pipe.unet.config.sample_size * self.diffusion.latent_unit
        return side

    @cached_property
    def clip(self) -> Clip:
        """The CLIP model of the analysis and the quality metric."""
        return loaders.open_clip_model(self.checked_ref("clip"), self.device)

    @cached_property
    def perceptual(self) -> ClipPerceptualDistance:
        """A perceptual distance on the lab's CLIP."""
        from ..metrics.perceptual import ClipPerceptualDistance

        return ClipPerceptualDistance(self.clip)

    @cached_property
    def detector(self) -> Detector:
        """The face detector of the metrics."""
        return loaders.open_picture_network(self.checked_ref("detector"), self.device)

    @cached_property
    def identity(self) -> IdentityEncoder:
        """The identity encoder of the metrics."""
        return loaders.open_picture_network(self.checked_ref("identity"), self.device)

    @cached_property
    def faces(self) -> FaceEncoder:
        """The face recogniser of the metrics."""
        return loaders.open_faces(self.checked_ref("faces"))

    def measure(self, name: str) -> Any:
        """A further network of the metrics or the analysis, of the kind that its loader says.

        Raises:
            UserError: when the profile names no such measure.
        """
        if name not in self._measures:
            ref = self.checked_ref(f"measure:{name}")
            self._measures[name] = loaders.open_measure(ref, self.device)
        return self._measures[name]

    def purifier_model(self, name: str) -> UNet2DModel | FaceNetwork:
        """The network of a purifier, in evaluation mode; the profile's loader says of which kind.

        Raises:
            UserError: when the profile names no weights for it.
        """
        if name not in self._networks:
            ref = self.checked_ref(f"purifier:{name}")
            self._networks[name] = loaders.open_network(ref, self.device)
        return self._networks[name]

    @cached_property
    def pixel_diffusion(self) -> PixelDiffusion:
        """The unconditional pixel-space model of DiffPure, DDSPure and GrIDPure."""
        ref = self.checked_ref("purifier:pixel")
        return loaders.open_pixel_diffusion(ref, self.device)

    @cached_property
    def upscaler(self) -> StableDiffusionUpscalePipeline:
        """The ×4 upscaler of the purifier "sr".

        A folder without a text encoder of its own (the miniature's, to save its megabytes) reads
        prompts with the text-to-image model's.
        """
        ref = self.checked_ref("purifier:upscaler")
        return loaders.open_upscaler(ref, self.device, self.diffusion)
