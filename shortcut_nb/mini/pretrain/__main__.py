"""``python -m shortcut_nb.mini.pretrain``: train every model of the miniature from nothing.

Resumable at any step: run it again and it goes on from its last checkpoint. Each model trains for
its full number of steps, or for the ``--seconds MODEL=SECONDS`` it is given. Delete the folder to
start afresh; delete ``latents.npz``, ``text`` and every ``.ckpt`` but the autoencoder's after
retraining that.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import shutil
from pathlib import Path
from typing import Annotated

import torch
import typer
from diffusers import AutoencoderKL
from transformers import CLIPTextModel

from ...plots import save_figure
from . import (
    clip,
    diffusion,
    encoders,
    latents,
    losses,
    pixel,
    restorer,
    text,
    tokenizer,
    upscaler,
    vae,
)
from .pool import render_pool

WEIGHTS = Path(__file__).parents[1] / "weights"
# Steps, and the wall-clock seconds (2 CPU cores) that the shipped weights were given.
STEPS = {"vae": 12_000, "text": 3_000, "diffusion": 16_000, "identity": 3_000, "detector": 1_200,
         "clip": 4_000, "restorer": 6_000, "upscaler": 6_000, "pixel": 12_000,
         "ensemble": 16_000}  # fmt: skip
log = logging.getLogger("pretrain")


def publish(name: str, save) -> None:
    """Write a model's folder beside the old one, then swap; refresh ``sha256.json``."""
    fresh, final = WEIGHTS / f".{name}", WEIGHTS / name
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    save(fresh)
    for path in fresh.rglob("config.json"):  # diffusers notes where a part was read from
        config = json.loads(path.read_text())
        if config.pop("_name_or_path", None) is not None:
            path.write_text(json.dumps(config, indent=2) + "\n")
    digests = {
        str(path.relative_to(fresh)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(fresh.rglob("*.safetensors"))
    }
    (fresh / "sha256.json").write_text(json.dumps(digests, indent=2) + "\n")
    shutil.rmtree(final, ignore_errors=True)
    fresh.rename(final)


def halved(pipe):
    """A copy of a pipeline in float16; its parts may be shared with models still in use."""
    return copy.deepcopy(pipe).to(torch.float16)


def main(
    folder: Annotated[Path, typer.Option(help="checkpoints and caches")] = Path("build/pretrain"),
    only: Annotated[list[str] | None, typer.Option(help="train these models only")] = None,
    seconds: Annotated[list[str] | None, typer.Option(help="MODEL=SECONDS: a time budget")] = None,
    threads: int = 2,
) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(threads)
    budget = {name: float(s) for name, s in (one.split("=") for one in seconds or [])}
    wanted = only or list(STEPS)
    if unknown := (set(wanted) | set(budget)) - set(STEPS):
        raise typer.BadParameter(f"{sorted(unknown)}: the models are {', '.join(STEPS)}")
    pool, words = render_pool(folder / "pool.npy"), tokenizer.build()

    def plan(name: str) -> dict:
        log.info("training %s", name)
        return {"steps": STEPS[name], "seconds": budget.get(name)}

    if "vae" in wanted and not (folder / "vae").exists():
        model = vae.fit(pool, folder, **plan("vae"))
        model.save_pretrained(folder / "vae")
    if {"text", "diffusion", "upscaler", "ensemble"} & set(wanted):
        model = AutoencoderKL.from_pretrained(folder / "vae").eval()
        encoded = latents.encode(pool, model, folder / "latents.npz")
    if "text" in wanted and not (folder / "text").exists():
        encoder = text.fit(pool, encoded, words, folder, **plan("text"))
        encoder.save_pretrained(folder / "text")
    if {"diffusion", "upscaler", "ensemble"} & set(wanted):
        if not (folder / "text").exists():
            raise typer.BadParameter(f"there is no text encoder in {folder}: train 'text' first")
        encoder = CLIPTextModel.from_pretrained(folder / "text")
    if "diffusion" in wanted:
        pipe = diffusion.fit(pool, encoded, model, encoder, words, folder, **plan("diffusion"))
        publish("diffusion", lambda path: halved(pipe).save_pretrained(path))
    if "ensemble" in wanted:  # a second, smaller model with another seed, for E-ASPL and E-FSMG
        second = diffusion.fit(
            pool, encoded, model, encoder, words, folder, seed=8, widths=(32, 64, 64),
            name="ensemble", **plan("ensemble"),
        )  # fmt: skip
        small = halved(second)  # the rest is the text-to-image model's
        small.register_modules(vae=None, tokenizer=None, text_encoder=None)
        publish("ensemble", small.save_pretrained)
    if "upscaler" in wanted:
        upper = upscaler.fit(pool, encoded, model, encoder, words, folder, **plan("upscaler"))
        small = halved(upper)  # it reads prompts with the text-to-image model's encoder
        small.register_modules(tokenizer=None, text_encoder=None)
        publish("upscaler", small.save_pretrained)
    if "pixel" in wanted:
        ddpm = pixel.fit(pool, folder, **plan("pixel"))
        publish("pixel", lambda path: halved(ddpm).save_pretrained(path))
    if "identity" in wanted:
        model = encoders.fit_identity(pool, folder, **plan("identity"))
        publish("identity", model.half().save_pretrained)
    if "detector" in wanted:
        model = encoders.fit_detector(pool, folder, **plan("detector"))
        publish("detector", model.half().save_pretrained)
    if "clip" in wanted:
        model = clip.fit(pool, words, folder, **plan("clip"))
        publish("clip", lambda path: clip.save(model, words, path))
    if "restorer" in wanted:
        model = restorer.fit(pool, folder, **plan("restorer"))
        publish("restorer", model.half().save_pretrained)
    costs = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))
             if path.with_suffix(".ckpt").exists()}  # fmt: skip
    (WEIGHTS / "costs.json").write_text(json.dumps(costs, indent=1) + "\n")
    found = losses.read(folder)
    alt = f"Training loss against step, one panel each: {', '.join(found['model'].unique())}."
    save_figure(losses.plot(found), "pretraining_losses", folder=folder, data=found, alt=alt)


if __name__ == "__main__":
    typer.run(main)
