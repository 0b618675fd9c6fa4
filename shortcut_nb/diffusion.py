"""One thin wrapper over a diffusers text-to-image pipeline; it alone knows [-1, 1] and latents."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DiffusionPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionPipeline,
)
from torch import Generator, Tensor
from torch.nn import Module

from .images import check_images


def generators(seeds: Sequence[int]) -> list[Generator]:
    """One CPU generator per sample, so that a result does not depend on its batch."""
    return [Generator().manual_seed(int(seed)) for seed in seeds]


def draw_normal(shape: Sequence[int], source: Sequence[Generator]) -> Tensor:
    """(n, *shape) standard normal, row i from generator i."""
    return torch.stack([torch.randn(tuple(shape), generator=g) for g in source])


def _full(x: Tensor) -> Tensor:
    """Half precision to float32; float32 and float64 as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


@dataclass(frozen=True, eq=False)
class Diffusion:
    """A latent diffusion model: VAE, UNet, text encoder and what goes with them.

    ``autocast`` is the dtype of UNet and VAE arithmetic; weights stay float32.
    """

    pipe: StableDiffusionPipeline
    noise_schedule: DDPMScheduler
    autocast: torch.dtype = torch.float32

    @classmethod
    def open(
        cls, folder: str | Path, device: str | torch.device = "cpu",
        autocast: torch.dtype = torch.float32, revision: str | None = None,
        lender: Diffusion | None = None,
    ) -> Diffusion:  # fmt: skip
        """Open a folder in diffusers' Stable Diffusion format; weights are read as float32.

        Args:
            lender: whose VAE and text encoder are used where the folder has none; see
                :meth:`lend`.

        Raises:
            OSError: the folder is not a pipeline, or a weight file is missing.
        """
        lent = {} if lender is None else lender.lend(StableDiffusionPipeline, folder)
        pipe = StableDiffusionPipeline.from_pretrained(
            folder, dtype=torch.float32, safety_checker=None, local_files_only=True,
            requires_safety_checker=False, feature_extractor=None, revision=revision, **lent,
        ).to(device)  # fmt: skip
        pipe.set_progress_bar_config(disable=True)
        schedule = DDPMScheduler.from_config(pipe.scheduler.config)
        model = cls(pipe, schedule, autocast)
        for module in model.modules:
            module.eval().requires_grad_(False)
        return model

    def lend(self, kind: type[DiffusionPipeline], folder: str | Path) -> dict[str, Any]:
        """This model's VAE, text encoder and tokenizer, those that a pipeline's folder is without.

        The miniature keeps its megabytes down so. What is lent is shared, not copied.
        """
        named = kind.load_config(folder, local_files_only=True)
        return {
            name: getattr(self.pipe, name)
            for name in ("vae", "tokenizer", "text_encoder")
            if named[name][0] is None
        }

    @property
    def modules(self) -> tuple[Module, Module, Module]:
        """(VAE, UNet, text encoder)."""
        return self.pipe.vae, self.pipe.unet, self.pipe.text_encoder

    @property
    def device(self) -> torch.device:
        """Where the UNet is."""
        return self.pipe.unet.device

    @property
    def resolution(self) -> int:
        """Side of the square pictures this model draws, in pixels."""
        return self.pipe.unet.config.sample_size * self.pipe.vae_scale_factor

    def clone(self) -> Diffusion:
        """A copy with its own UNet and text encoder; the VAE, never trained here, is shared."""
        parts = dict(self.pipe.components)
        parts |= {k: copy.deepcopy(parts[k]) for k in ("unet", "text_encoder", "scheduler")}
        pipe = StableDiffusionPipeline(**parts, requires_safety_checker=False)
        pipe.set_progress_bar_config(disable=True)
        return replace(self, pipe=pipe)

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the scaled latents of pictures in [0, 1].

        Differentiable in ``images`` (n, 3, H, W); returns two tensors (n, c, h, w).
        """
        check_images(images)
        with self.arithmetic():
            out = self.pipe.vae.encode(images.to(self.device) * 2 - 1).latent_dist
        scale = self.pipe.vae.config.scaling_factor
        return _full(out.mean) * scale, _full(out.std) * scale

    def encode(self, images: Tensor, source: Sequence[Generator]) -> Tensor:
        """A sample of the scaled posterior, (n, c, h, w); row i's noise comes from generator i."""
        mean, std = self.posterior(images)
        return mean + std * draw_normal(mean.shape[1:], source).to(mean.device)

    def decode(self, latents: Tensor, batch: int = 16) -> Tensor:
        """Pictures in [0, 1], (n, 3, H, W) on the CPU, from scaled latents."""
        parts = []
        with torch.inference_mode():
            for part in latents.split(batch):
                parts.append(self.draw(part).clamp(0, 1).cpu())
        return torch.cat(parts).clone()

    def draw(self, latents: Tensor) -> Tensor:
        """Decode scaled latents differentiably; not clamped, on the model's device."""
        with self.arithmetic():
            drawn = self.pipe.vae.decode(latents / self.pipe.vae.config.scaling_factor).sample
        return _full(drawn) / 2 + 0.5

    def embed(self, prompts: Sequence[str]) -> Tensor:
        """Text-encoder states (k, length, width); gradients flow if its weights want them."""
        tokenizer = self.pipe.tokenizer
        ids = tokenizer(
            list(prompts), padding="max_length", truncation=True,
            max_length=tokenizer.model_max_length, return_tensors="pt",
        ).input_ids  # fmt: skip
        return self.pipe.text_encoder(ids.to(self.device))[0]

    def denoising_loss(self, latents: Tensor, t: Tensor, noise: Tensor, context: Tensor) -> Tensor:
        """L_ldm of each row, (n,): mean squared error of the UNet's prediction; see predict."""
        guess, target, _ = self.predict(latents, t, noise, context)
        return (guess - target).square().flatten(1).mean(1)

    def predict(
        self, latents: Tensor, t: Tensor, noise: Tensor, context: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What the UNet predicts, what it should have, and the noisy latents it was shown.

        The target is the noise or the velocity, as the model's own scheduler says (Ho et al. 2020;
        Salimans & Ho 2022). Arguments: scaled latents and noise (n, c, h, w), integer timesteps
        (n,), text states (n, length, width). Returns three tensors (n, c, h, w).
        """
        t = t.to(latents.device)
        noise = noise.to(latents.device)
        noisy = self.noise_schedule.add_noise(latents, noise, t)
        with self.arithmetic():
            guess = _full(self.pipe.unet(noisy, t, context).sample)
        kind = self.noise_schedule.config.prediction_type
        if kind == "epsilon":
            target = noise
        elif kind == "v_prediction":
            target = self.noise_schedule.get_velocity(latents, noise, t)
        else:
            raise ValueError(
                f"expected an epsilon or v_prediction model; its scheduler says {kind}"
            )
        return guess, target, noisy

    @torch.inference_mode()
    def sample_latents(
        self, prompt: str, n: int, *, seed: int, steps: int, guidance_scale: float,
        negative: str = "", batch: int = 16,
    ) -> Tensor:  # fmt: skip
        """Scaled latents (n, c, h, w) of n samples; sample i depends on (seed, i) alone."""
        source = generators([seed * 100_003 + i for i in range(n)])
        context, parts = self.embed([prompt, negative]), []
        for start in range(0, n, batch):
            part = source[start : start + batch]
            with self.arithmetic():
                out = self.pipe(
                    prompt_embeds=context[:1].expand(len(part), -1, -1),
                    negative_prompt_embeds=context[1:].expand(len(part), -1, -1),
                    num_inference_steps=steps, guidance_scale=guidance_scale,
                    height=self.resolution, width=self.resolution,
                    generator=part, output_type="latent",
                )  # fmt: skip
            parts.append(out.images.float())
        return torch.cat(parts)

    def sample(self, prompt: str, n: int, **how) -> Tensor:
        """n pictures in [0, 1] for a prompt; arguments as for :meth:`sample_latents`."""
        return self.decode(self.sample_latents(prompt, n, **how))

    @torch.inference_mode()
    def edit(
        self, images: Tensor, prompt: str, *, strength: float, source: Sequence[Generator],
        steps: int, guidance_scale: float, eta: float = 0.0,
    ) -> Tensor:  # fmt: skip
        """Image-to-image (SDEdit, Meng et al. 2022): noise part of the way, denoise under a prompt.

        Args:
            images: (n, 3, H, W) in [0, 1], sides a multiple of what the UNet can halve.
            strength: how far to go, in (0, 1] of the noise schedule.
            steps: denoising steps taken, at most as many as there are timesteps on the way.
            eta: 0 is DDIM, 1 adds fresh noise at every step (DDPM).

        Returns:
            Pictures in [0, 1] on the CPU, the same shape; row i depends on generator i alone.
        """
        if not 0 < strength <= 1:
            raise ValueError(f"strength must lie in (0, 1], got {strength}")
        parts = dict(self.pipe.components)
        parts["scheduler"] = DDIMScheduler.from_config(self.noise_schedule.config)
        pipe = StableDiffusionImg2ImgPipeline(**parts, requires_safety_checker=False)
        pipe.set_progress_bar_config(disable=True)
        context = self.embed([prompt, ""]).repeat_interleave(len(images), 0)
        said, empty = context.chunk(2)
        total = self.noise_schedule.config.num_train_timesteps
        count = max(1, min(math.ceil(steps / strength - 1e-9), total - 1))
        # With an empty prompt guidance compares a thing with itself.
        scale = guidance_scale if prompt else 1.0
        with self.arithmetic():
            out = pipe(
                prompt_embeds=said, negative_prompt_embeds=empty, image=images.clamp(0, 1), eta=eta,
                strength=strength, num_inference_steps=count,
                guidance_scale=scale, generator=list(source), output_type="latent",
            )  # fmt: skip
        return self.decode(out.images.float())

    def arithmetic(self) -> torch.autocast:
        """The context in which UNet and VAE run."""
        on = self.autocast != torch.float32
        return torch.autocast(self.device.type, self.autocast if on else None, enabled=on)
