"""What a text-to-image model must do for attacks, purifiers and trainers; what all of them share.

A backbone alone knows [-1, 1] and latents, and how its UNet is told of a prompt. Callers treat a
prompt's state as an opaque tensor whose first axis counts prompts.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from diffusers import DDIMScheduler, DDPMScheduler, DiffusionPipeline
from torch import Generator, Tensor
from torch.nn import Module

from ..errors import UserError
from ..images import check_images
from ..progress import OnStep, StepInfo
from ..weights.folders import UNUSED, read_index
from .random import draw_normal, sample_generators
from .tokens import asking, padded_ids

HALVES = (torch.float16, torch.bfloat16)


def full(x: Tensor) -> Tensor:
    """Half precision to float32; float32 and float64 as they are."""
    return x.float() if x.dtype in HALVES else x


@dataclass(frozen=True, eq=False)
class Diffusion:
    """A latent diffusion model: VAE, UNet, text encoders and what goes with them.

    Subclasses say what a prompt's state is (:meth:`embed`) and how UNet and pipelines take it.

    Args:
        autocast: the dtype of UNet and VAE arithmetic.
        side: of the square pictures it draws, in pixels; None is what the UNet was trained on.
        at_once: pictures that the VAE takes at once; None is :attr:`pictures_at_once`'s choice.
    """

    pipe: DiffusionPipeline
    noise_schedule: DDPMScheduler
    autocast: torch.dtype = torch.float32
    side: int | None = None
    at_once: int | None = None

    editor: ClassVar[type[DiffusionPipeline]]

    def token_ids(self, prompts: Sequence[str], encoder: str = "text_encoder") -> Tensor:
        """Prompts as a text encoder reads them, (k, length), cut or filled to its length."""
        tokenizer = self.tokenizers[encoder.replace("text_encoder", "tokenizer")]
        return padded_ids(self.pipe, tokenizer, self.encoders[encoder], prompts).to(self.device)

    def embed(self, prompts: Sequence[str]) -> Tensor:
        """The state of k prompts, (k, …); gradients flow if the text encoders' weights want them.

        Rows 1 to length of the second axis are the tokens' states, in order.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how it reads prompts")

    def conditions(self, context: Tensor, latents: Tensor) -> dict[str, Any]:
        """The UNet's keyword arguments for a prompt's state, a row for each of the latents'."""
        raise NotImplementedError(f"{type(self).__name__} does not say how its UNet reads prompts")

    def prompt_arguments(self, prompt: Tensor, negative: Tensor) -> dict[str, Any]:
        """The pipelines' keyword arguments for the state of a prompt and of the negative one."""
        raise NotImplementedError(f"{type(self).__name__} does not say how pipelines take prompts")

    @property
    def encoders(self) -> dict[str, Any]:
        """The text encoders, by the names that diffusers gives them."""
        names = ("text_encoder", "text_encoder_2")
        return {name: getattr(self.pipe, name) for name in names if hasattr(self.pipe, name)}

    @property
    def tokenizers(self) -> dict[str, Any]:
        """The tokenizers, by the names that diffusers gives them; as many as text encoders."""
        names = [name.replace("text_encoder", "tokenizer") for name in self.encoders]
        return {name: getattr(self.pipe, name) for name in names}

    @property
    def text(self) -> Module:
        """What reads prompts: the text encoder, or all of them as one module."""
        return self.pipe.text_encoder

    @property
    def modules(self) -> tuple[Module, Module, Module]:
        """(VAE, UNet, what reads prompts)."""
        return self.pipe.vae, self.pipe.unet, self.text

    @property
    def device(self) -> torch.device:
        """Where the UNet is."""
        return self.pipe.unet.device

    @property
    def resolution(self) -> int:
        """Side of the square pictures this model draws, in pixels."""
        return self.side or self.pipe.unet.config.sample_size * self.latent_unit

    @property
    def latent_unit(self) -> int:
        """Pixels to a latent, along a side."""
        return self.pipe.vae_scale_factor

    @property
    def unit(self) -> int:
        """What the sides of a picture must be a multiple of, so that the UNet can halve them."""
        return self.latent_unit * 2 ** (len(self.pipe.unet.config.block_out_channels) - 1)

    @property
    def scaling(self) -> float:
        """What the VAE's latents are multiplied by before the UNet sees them."""
        return self.pipe.vae.config.scaling_factor

    @property
    def pictures_at_once(self) -> int:
        """How many pictures the VAE takes at once: at most 16, and at most 2²⁰ pixels."""
        return self.at_once or min(16, max(1, 2**20 // self.resolution**2))

    def clone(self, shared: Iterable[Tensor] = ()) -> Diffusion:
        """A copy with its own UNet and text encoders, in float32; the VAE is shared.

        Args:
            shared: weights that the copy holds in common with this model instead of copying them,
                for whoever never changes them; a module in half precision shares none.
        """
        parts = parts_of(self.pipe)
        common = {id(tensor): tensor for tensor in shared}
        for name in ("unet", *self.encoders):
            half = parts[name].dtype in HALVES
            own = copy.deepcopy(parts[name], {} if half else dict(common))
            # Some layers may be in half precision where the module as a whole is not.
            for tensor in (*own.parameters(), *own.buffers()):
                if tensor.dtype in HALVES and id(tensor) not in common:
                    tensor.data = tensor.data.float()
            parts[name] = own
        parts["scheduler"] = copy.deepcopy(parts["scheduler"])
        return replace(self, pipe=assembled(type(self.pipe), parts))

    def lend(self, folder: str | Path) -> dict[str, Any]:
        """This model's VAE, text encoder and tokenizer, those that a pipeline's folder is without.

        The miniature keeps its megabytes down so. What is lent is shared, not copied, but for the
        tokenizer, which keeps how it was last asked.
        """
        index = read_index(Path(folder))
        lent = {
            name: getattr(self.pipe, name)
            for name in ("vae", "tokenizer", "text_encoder")
            if index.get(name, [None])[0] is None
        }
        if "tokenizer" in lent:
            with asking:
                lent["tokenizer"] = copy.deepcopy(lent["tokenizer"])
        return lent

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the scaled latents of pictures in [0, 1].

        Differentiable in ``images`` (n, 3, H, W); returns two tensors (n, c, h, w).
        """
        check_images(images)
        vae = self.pipe.vae
        with self.arithmetic(vae):
            pictures = (images.to(vae.device) * 2 - 1).to(vae.dtype)
            out = vae.encode(pictures).latent_dist
        return full(out.mean) * self.scaling, full(out.std) * self.scaling

    def encode(self, images: Tensor, source: Sequence[Generator]) -> Tensor:
        """A sample of the scaled posterior, (n, c, h, w); row i's noise comes from generator i."""
        mean, std = self.posterior(images)
        return mean + std * draw_normal(mean.shape[1:], source).to(mean.device)

    def decode(self, latents: Tensor, batch: int | None = None) -> Tensor:
        """Pictures in [0, 1], (n, 3, H, W) on the CPU, from scaled latents.

        Args:
            batch: pictures decoded at once; None is :attr:`pictures_at_once`.
        """
        parts = []
        with torch.inference_mode():
            for part in latents.split(batch or self.pictures_at_once):
                parts.append(self.draw(part).clamp(0, 1).cpu())
        return torch.cat(parts)

    def draw(self, latents: Tensor) -> Tensor:
        """Decode scaled latents differentiably; not clamped, on the model's device."""
        vae = self.pipe.vae
        with self.arithmetic(vae):
            drawn = vae.decode((latents / self.scaling).to(vae.dtype)).sample
        return full(drawn) / 2 + 0.5

    def denoise(self, noisy: Tensor, t: Tensor, context: Tensor) -> Tensor:
        """What the UNet answers, (n, c, h, w), for noisy latents, timesteps and prompt states."""
        unet = self.pipe.unet
        with self.arithmetic():
            arguments = self.conditions(context.to(unet.dtype), noisy)
            return full(unet(noisy.to(unet.dtype), t, **arguments).sample)

    def denoising_loss(self, latents: Tensor, t: Tensor, noise: Tensor, context: Tensor) -> Tensor:
        """L_ldm of each row, (n,): mean squared error of the UNet's prediction; see predict."""
        guess, target, _ = self.predict(latents, t, noise, context)
        return (guess - target).square().flatten(1).mean(1)

    def predict(
        self, latents: Tensor, t: Tensor, noise: Tensor, context: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What the UNet predicts, what it should have (:meth:`target`), and the noisy latents.

        Arguments: scaled latents and noise (n, c, h, w), integer timesteps (n,), prompt states
        (n, …). Returns three tensors (n, c, h, w).
        """
        t = t.to(latents.device)
        noise = noise.to(latents.device)
        noisy = self.noise_schedule.add_noise(latents, noise, t)
        guess = self.denoise(noisy, t, context)
        return guess, self.target(latents, t, noise), noisy

    def target(self, latents: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """What training asks the UNet for, (n, c, h, w): the noise, or the velocity.

        The model's own scheduler says which (Ho et al. 2020; Salimans & Ho 2022). Arguments as for
        :meth:`predict`.

        Raises:
            ValueError: the scheduler names something else.
        """
        if self.predicts_velocity:
            return self.noise_schedule.get_velocity(latents, noise, t.to(latents.device))
        return noise

    @property
    def predicts_velocity(self) -> bool:
        """Whether the UNet answers with the velocity; else with the noise.

        Raises:
            ValueError: the scheduler names something else.
        """
        kind = self.noise_schedule.config.prediction_type
        if kind not in ("epsilon", "v_prediction"):
            raise UserError(f"expected an epsilon or v_prediction model; its scheduler says {kind}")
        return kind == "v_prediction"

    def alpha_bar(self, t: Tensor) -> Tensor:
        """ᾱ, (n, 1, 1, 1): the share of a latent's variance that noising to t (n,) keeps."""
        kept = self.noise_schedule.alphas_cumprod.to(self.device)
        return kept[t.to(self.device)].view(-1, 1, 1, 1)

    def predicted_noise(self, noisy: Tensor, t: Tensor, context: Tensor) -> Tensor:
        """ε_θ, (n, c, h, w): the UNet's answer as noise, also where it answers with the velocity.

        Arguments as for :meth:`denoise`, with timesteps (n,).
        """
        answer = self.denoise(noisy, t, context)
        if not self.predicts_velocity:
            return answer
        alpha_bar = self.alpha_bar(t)
        return alpha_bar.sqrt() * answer + (1 - alpha_bar).sqrt() * noisy

    def draw_noising(self, z: Tensor, source: Sequence[Generator]) -> tuple[Tensor, Tensor]:
        """A training step's draws for latents: noise like z, and uniform timesteps (n,).

        Row i is drawn from generator i, first the noise of all rows, then their timesteps.
        """
        noise = draw_normal(z.shape[1:], source)
        steps = self.noise_schedule.config.num_train_timesteps
        t = torch.cat([torch.randint(0, steps, (1,), generator=g) for g in source])
        return noise.to(z.device), t.to(z.device)

    def starting_noise(self, n: int, seed: int) -> Tensor:
        """The normal noise (n, c, h, w) that :meth:`sample_latents` starts from with this seed.

        A scheduler whose latents begin at another variance scales it.
        """
        side = self.resolution // self.latent_unit
        shape = (self.pipe.unet.config.in_channels, side, side)
        return draw_normal(shape, sample_generators(seed, n)).to(self.device)

    @torch.inference_mode()
    def sample_latents(
        self,
        prompt: str,
        n: int,
        *,
        seed: int,
        steps: int,
        guidance_scale: float,
        negative: str = "",
        batch: int = 16,
        on_step: OnStep | None = None,
    ) -> Tensor:
        """Scaled latents (n, c, h, w) of n samples; sample i depends on (seed, i) alone.

        Calls ``on_step`` after each batch, with the number of samples drawn.
        """
        source = sample_generators(seed, n)
        context, parts = self.embed([prompt, negative]), []
        for start in range(0, n, batch):
            part = source[start : start + batch]
            conditional, empty = (one[None].expand(len(part), *one.shape) for one in context)
            with self.arithmetic():
                out = self.pipe(
                    **self.prompt_arguments(conditional, empty),
                    num_inference_steps=steps,
                    guidance_scale=guidance_scale,
                    height=self.resolution,
                    width=self.resolution,
                    generator=part,
                    output_type="latent",
                )
            parts.append(out.images.float())
            if on_step:
                on_step(StepInfo(start + len(part), n))
        return torch.cat(parts)

    def sample(self, prompt: str, n: int, **options: Any) -> Tensor:
        """n pictures in [0, 1] for a prompt; arguments as for :meth:`sample_latents`."""
        return self.decode(self.sample_latents(prompt, n, **options))

    @torch.inference_mode()
    def edit(
        self,
        images: Tensor,
        prompt: str,
        *,
        strength: float,
        source: Sequence[Generator],
        steps: int,
        guidance_scale: float,
        eta: float = 0.0,
    ) -> Tensor:
        """Image-to-image (SDEdit, Meng et al. 2022): noise part of the way, denoise under a prompt.

        Args:
            images: (n, 3, H, W) in [0, 1], sides a multiple of :attr:`unit`.
            strength: how far to go, in (0, 1] of the noise schedule; on diffusers' grid of
                timesteps, so that fewer steps begin at less noise (at 0.3 of 1,000 timesteps, 20
                steps begin at 267, 5 at 233). Where no timestep is on the way, pictures are encoded
                and decoded, no more.
            steps: denoising steps taken, at most as many as there are timesteps on the way.
            eta: 0 is DDIM, 1 adds fresh noise at every step (DDPM).

        Returns:
            Pictures in [0, 1] on the CPU, the same shape; row i depends on generator i alone.
        """
        if not 0 < strength <= 1:
            raise UserError(f"strength must lie in (0, 1], got {strength}")
        parts = parts_of(self.pipe)
        parts["scheduler"] = DDIMScheduler.from_config(self.noise_schedule.config)
        pipe = assembled(self.editor, parts)
        context = self.embed([prompt, ""]).repeat_interleave(len(images), 0)
        total = self.noise_schedule.config.num_train_timesteps
        count = max(1, min(math.ceil(steps / strength - 1e-9), total - 1))
        while int(count * strength) < steps and count < total - 1:  # as diffusers counts them
            count += 1
        if int(count * strength) < 1:
            return self.decode(self.encode(images.clamp(0, 1), source))
        # With an empty prompt guidance compares a thing with itself.
        scale = guidance_scale if prompt else 1.0
        given = images.clamp(0, 1)
        if self.vae_apart:  # diffusers takes pictures or latents, and would encode them in float16
            given = self.encode(given, source)
        with self.arithmetic():
            out = pipe(
                **self.prompt_arguments(*context.chunk(2)),
                image=given,
                eta=eta,
                strength=strength,
                num_inference_steps=count,
                guidance_scale=scale,
                generator=list(source),
                output_type="latent",
            )
        return self.decode(out.images.float())

    @property
    def vae_apart(self) -> bool:
        """Whether the VAE runs in another arithmetic than the UNet, since it would overflow.

        SDXL's configuration says so of itself (``force_upcast``); of one that says nothing, as
        older ones do, diffusers assumes it.
        """
        apart: bool = self.pipe.vae.config.get("force_upcast", False)
        return apart and self.autocast == torch.float16

    def arithmetic(self, module: Module | None = None) -> torch.autocast:
        """The context in which UNet and VAE run.

        A VAE that overflows in float16 (:attr:`vae_apart`) runs as its weights are.
        """
        on = self.autocast != torch.float32
        if module is self.pipe.vae and self.vae_apart:
            on = False
        at = self.device if module is None else next(module.parameters()).device
        return torch.autocast(at.type, self.autocast if on else None, enabled=on)


def parts_of(pipe: DiffusionPipeline) -> dict[str, Any]:
    """The components of a pipeline, and its switches."""
    switches = {name: value for name, value in pipe.config.items() if isinstance(value, bool)}
    return switches | dict(pipe.components)


def assembled(kind: type[DiffusionPipeline], parts: dict[str, Any]) -> DiffusionPipeline:
    """A pipeline of a class from parts, those that it knows; without bars or a safety checker."""
    known = inspect.signature(kind.__init__).parameters
    given = {name: part for name, part in parts.items() if name in known}
    given |= {name: None for name in UNUSED if name in known}
    if "requires_safety_checker" in known:
        given["requires_safety_checker"] = False
    pipe = kind(**given)
    pipe.set_progress_bar_config(disable=True)
    return pipe
