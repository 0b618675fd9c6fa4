"""Every training of the miniature by name: what it needs, how long it takes, what it publishes."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from transformers import CLIPTextModel, CLIPTokenizer

from ...files import write_text
from . import (
    clip,
    damage,
    diffusion,
    encoders,
    latents,
    pixel,
    restorer,
    start,
    text,
    tokenizer,
    upscaler,
    vae,
)
from .loop import TrainingPlan
from .machine import Machine
from .pool import Pool, PoolSize, render_pool
from .publish import halved, publish

log = logging.getLogger(__name__)
ENSEMBLE_WIDTHS = (32, 64, 64)


@dataclass
class TrainingContext:
    """What trainings share: the pool, the tokenizer, finished parts, and where things go.

    Args:
        folder: checkpoints, caches and logs.
        into: where finished models are written, one folder each.
        batch: a factor on every batch size; a GPU wants larger ones.
        start: a finished miniature whose text encoder and UNet the training begins with.
    """

    folder: Path
    into: Path
    machine: Machine = field(default_factory=Machine)
    batch: int = 1
    size: PoolSize = field(default_factory=PoolSize)
    held_out_size: PoolSize = field(default_factory=PoolSize.held_out)
    many_people_size: PoolSize = field(default_factory=PoolSize.many_people)
    renderers: int | None = None
    start: Path | None = None

    @cached_property
    def pool(self) -> Pool:
        """The training pictures."""
        return render_pool(self.folder / "pool.npy", self.size, self.renderers)

    @cached_property
    def held_out(self) -> Pool:
        """Pictures for the measure of quality alone."""
        return render_pool(self.folder / "apart.npy", self.held_out_size, self.renderers)

    @cached_property
    def many_people(self) -> Pool:
        """Pictures of many people, for the reader of attributes."""
        return render_pool(self.folder / "strangers.npy", self.many_people_size, self.renderers)

    @cached_property
    def words(self) -> CLIPTokenizer:
        """The tokenizer, learned anew from the captions: the same each time."""
        return tokenizer.build()

    def autoencoder(self, name: str) -> AutoencoderKL:
        """A finished autoencoder, in evaluation mode."""
        return AutoencoderKL.from_pretrained(self._part(name)).eval()

    def text_encoder(self) -> CLIPTextModel:
        """The finished text encoder."""
        return CLIPTextModel.from_pretrained(self._part("text"), dtype=torch.float32)

    @cached_property
    def encoded(self) -> latents.Latents:
        """Latents of the pool, encoded once."""
        path = self.folder / "latents.npz"
        return latents.encode(self.pool, self.autoencoder("vae"), path, device=self.machine.device)

    def _part(self, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            raise FileNotFoundError(f"there is no {name!r} in {self.folder}: train {name!r} first")
        return path


def pool_sizes(pictures: int | None = None) -> dict[str, Any]:
    """The pools of the shipped models, or small ones of about so many pictures."""
    return {
        "size": PoolSize.of(pictures),
        "held_out_size": PoolSize.held_out(pictures),
        "many_people_size": PoolSize.many_people(pictures),
    }


@dataclass(frozen=True)
class Job:
    """One training.

    Args:
        run: trains by a plan, and saves or publishes.
        needs: jobs that must have ended.
        steps: a full training on a CPU.
        share: of the minutes that a GPU has (see ``gpu.py``).
        workers: processes that draw batches ahead on a GPU.
    """

    run: Callable[..., None]
    steps: int
    needs: tuple[str, ...] = ()
    share: float = 0.2
    workers: int = 1


def _autoencoder(
    context: TrainingContext, name: str, build: Callable[[], AutoencoderKL], plan: TrainingPlan
) -> None:
    model = vae.fit(build, context.pool, plan, name=name, batch_size=8 * context.batch)
    model.save_pretrained(context.folder / name)


def _vae(context: TrainingContext, plan: TrainingPlan) -> None:
    _autoencoder(context, "vae", vae.build, plan)


def _fine(context: TrainingContext, plan: TrainingPlan) -> None:
    _autoencoder(context, "fine", vae.build_fine, plan)


def _text(context: TrainingContext, plan: TrainingPlan) -> None:
    first = context.start and start.text_encoder(context.start, context.words)
    model = text.fit(context.pool, context.encoded, context.words, plan, start=first)
    model.save_pretrained(context.folder / "text")


def _text_to_image(context: TrainingContext, plan: TrainingPlan, **options: Any) -> Any:
    return diffusion.fit(
        context.pool,
        context.encoded,
        context.autoencoder("vae"),
        context.text_encoder(),
        context.words,
        plan,
        batch_size=32 * context.batch,
        **options,
    )


def _diffusion(context: TrainingContext, plan: TrainingPlan) -> None:
    first = context.start and start.unet(context.start)
    pipe = _text_to_image(context, plan, start=first)
    publish(context.into, "diffusion", halved(pipe).save_pretrained)


def _ensemble(context: TrainingContext, plan: TrainingPlan) -> None:
    """A second, smaller model with another seed; it borrows what it shares with the first."""
    name = "ensemble"
    first = context.start and start.unet(context.start, name)
    pipe = _text_to_image(context, plan, seed=8, widths=ENSEMBLE_WIDTHS, name=name, start=first)
    pipe = halved(pipe)
    pipe.register_modules(vae=None, tokenizer=None, text_encoder=None)
    publish(context.into, "ensemble", pipe.save_pretrained)


def _upscaler(context: TrainingContext, plan: TrainingPlan) -> None:
    """It reads prompts with the text-to-image model's encoder."""
    parts = (context.autoencoder("fine"), context.text_encoder(), context.words)
    pipe = upscaler.fit(context.pool, *parts, plan, batch_size=16 * context.batch)
    pipe = halved(pipe)
    pipe.register_modules(tokenizer=None, text_encoder=None)
    publish(context.into, "upscaler", pipe.save_pretrained)


def _pixel(context: TrainingContext, plan: TrainingPlan) -> None:
    pipe = pixel.fit(context.pool, plan, batch_size=16 * context.batch)
    publish(context.into, "pixel", halved(pipe).save_pretrained)


def _restorer(context: TrainingContext, plan: TrainingPlan) -> None:
    model = restorer.fit(context.pool, plan, batch_size=8 * context.batch)
    publish(context.into, "restorer", model.half().save_pretrained)


def _identity(context: TrainingContext, plan: TrainingPlan) -> None:
    model = encoders.fit_identity(context.pool, plan)
    publish(context.into, "identity", model.half().save_pretrained)


def _identity_hardened(context: TrainingContext, plan: TrainingPlan) -> None:
    model = encoders.fit_identity(context.pool, plan, hardened=True)
    publish(context.into, "identity-hardened", model.half().save_pretrained)


def _attributes(context: TrainingContext, plan: TrainingPlan) -> None:
    model = encoders.fit_attributes((context.pool, context.many_people), plan)
    publish(context.into, "attributes", model.half().save_pretrained)


def _detector(context: TrainingContext, plan: TrainingPlan) -> None:
    model = encoders.fit_detector(context.pool, plan)
    publish(context.into, "detector", model.half().save_pretrained)


def _damage(context: TrainingContext, plan: TrainingPlan) -> None:
    model = damage.fit(context.held_out, plan)
    publish(context.into, "damage", model.half().save_pretrained)


def _clip(context: TrainingContext, plan: TrainingPlan) -> None:
    model = clip.fit(context.pool, context.words, plan)
    publish(context.into, "clip", lambda path: clip.save(model, context.words, path))


def _clip_plain(context: TrainingContext, plan: TrainingPlan) -> None:
    model = clip.fit(context.pool, context.words, plan, name_noise=False)
    publish(context.into, "clip-plain", lambda path: clip.save(model, context.words, path))


JOBS: dict[str, Job] = {
    "vae": Job(_vae, 40_000, share=0.28, workers=2),
    "text": Job(_text, 6_000, ("vae",), share=0.11, workers=2),
    "diffusion": Job(_diffusion, 40_000, ("text",), share=0.46, workers=4),
    "ensemble": Job(_ensemble, 16_000, ("text",), share=0.40, workers=2),
    "fine": Job(_fine, 10_000, share=0.25),
    "upscaler": Job(_upscaler, 16_000, ("text", "fine"), share=0.42, workers=2),
    "pixel": Job(_pixel, 20_000, share=0.75),
    "restorer": Job(_restorer, 20_000, share=0.55, workers=2),
    "identity": Job(_identity, 6_000, share=0.35),
    "identity-hardened": Job(_identity_hardened, 6_000, share=0.35, workers=2),
    "attributes": Job(_attributes, 8_000, share=0.35),
    "detector": Job(_detector, 2_000, share=0.15),
    "damage": Job(_damage, 6_000, share=0.45, workers=3),
    "clip": Job(_clip, 8_000, share=0.55, workers=2),
    "clip-plain": Job(_clip_plain, 8_000, share=0.55),
}
"""In an order in which one process can train them all."""


def run(
    context: TrainingContext, name: str, seconds: float | None = None, steps: int | None = None
) -> None:
    """Train one model (or finish its training) and publish it.

    Raises:
        FileNotFoundError: when a part that it needs has not been trained.
    """
    log.info("training %s", name)
    job = JOBS[name]
    job.run(context, TrainingPlan(context.folder, steps or job.steps, seconds, context.machine))


def costs(folder: Path) -> dict[str, dict[str, Any]]:
    """What each training in a folder has cost so far, by model."""
    paths = [path for path in sorted(folder.glob("*.json")) if path.with_suffix(".ckpt").exists()]
    return {path.stem: json.loads(path.read_text()) for path in paths}


def write_costs(folder: Path, into: Path) -> None:
    """Write :func:`costs` beside the models, as ``costs.json``."""
    write_text(into / "costs.json", json.dumps(costs(folder), indent=1) + "\n")
