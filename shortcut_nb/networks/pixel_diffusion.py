"""Noising and denoising pictures with a pixel-space diffusion model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import DDPMPipeline, DDPMScheduler
from torch import Generator, Tensor
from torch.nn import Module

from ..diffusion import draw_normal, open_folder
from ..weights import check_weights


@dataclass(frozen=True, eq=False)
class PixelDiffusion:
    """An unconditional DDPM on pictures in [−1, 1]: a network, its schedule and its window."""

    unet: Module
    schedule: DDPMScheduler
    window: int

    @classmethod
    def open(cls, folder: str | Path, device: str | torch.device = "cpu") -> PixelDiffusion:
        """Open a folder in diffusers' DDPMPipeline format; weights are read as float32."""
        check_weights(folder, "ddpm")
        pipe = open_folder(DDPMPipeline, Path(folder))
        schedule = DDPMScheduler.from_config(pipe.scheduler.config)
        unet = pipe.unet.to(device).eval().requires_grad_(False)
        return cls(unet, schedule, unet.config.sample_size)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.unet.parameters()).device

    def timestep_for(self, sigma: float) -> int:
        """The timestep whose noise-to-signal ratio is nearest that of noise of std ``sigma``.

        ``sigma`` is in units of [0, 1] pictures, 2σ on [−1, 1]: (1 − ᾱ_t) / ᾱ_t = (2σ)²
        (Carlini et al. 2023, eq. 3).
        """
        kept = self.schedule.alphas_cumprod
        return int(((1 - kept).sqrt() / kept.sqrt() - 2 * sigma).abs().argmin())

    def add_noise(self, x: Tensor, t: int, source: Sequence[Generator]) -> Tensor:
        """Pictures in [−1, 1] noised to timestep t; row i from generator i."""
        noise = draw_normal(x.shape[1:], source).to(x)
        return self.schedule.add_noise(x, noise, torch.full((len(x),), t, device=x.device))

    @torch.no_grad()
    def guess(self, noisy: Tensor, t: int) -> Tensor:
        """The clean picture expected behind a noisy one, in one step; in [−1, 1]."""
        out = self._predict(noisy, t)
        kept = self.schedule.alphas_cumprod[t].to(noisy)
        if self.schedule.config.prediction_type == "v_prediction":
            clean = kept.sqrt() * noisy - (1 - kept).sqrt() * out
        else:
            clean = (noisy - (1 - kept).sqrt() * out) / kept.sqrt()
        return clean.clamp(-1, 1)

    @torch.no_grad()
    def denoise(self, noisy: Tensor, t: int, steps: int, source: Sequence[Generator]) -> Tensor:
        """Ancestral denoising from timestep t to the end, in at most ``steps`` steps.

        Every step is the exact Gaussian transition between the two timesteps (Ho et al. 2020,
        eq. 7, with skipped timesteps as in Nichol & Dhariwal 2021); the last adds no noise.
        """
        times = torch.linspace(t, 0, min(steps, t + 1)).round().long().tolist()
        kept_all = self.schedule.alphas_cumprod
        x = noisy
        for i, now in enumerate(times):
            clean = self.guess(x, now)
            if i + 1 == len(times):
                return clean
            kept = kept_all[now].to(x)
            before = kept_all[times[i + 1]].to(x)
            ratio = kept / before
            mean = (before.sqrt() * (1 - ratio) * clean + ratio.sqrt() * (1 - before) * x) / (
                1 - kept
            )
            variance = (1 - before) / (1 - kept) * (1 - ratio)
            x = mean + variance.sqrt() * draw_normal(x.shape[1:], source).to(x)
        return x

    def _predict(self, noisy: Tensor, t: int) -> Tensor:
        out = self.unet(noisy, torch.full((len(noisy),), t, device=noisy.device)).sample
        return out[:, :3]  # models with a learned variance have six channels
