"""The door for text-to-image models: a folder, a single file, a hub id, or an open pipeline."""

from __future__ import annotations

import importlib
import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    DDPMScheduler,
    DiffusionPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
)
from torch.nn import Module

from ..models import check_dtype, device_of
from ..settings import read
from ..weights import BadWeights, ModelRef, check_weights, inspect_file, resolve
from ..weights.folders import UNUSED, part_of, read_index, weight_files
from ..weights.pipelines import check_supported, no_schedule
from ..weights.safe_opening import open_model, opening
from .around import around, check_parts
from .backbone import Diffusion, assembled, parts_of
from .sdxl import StableDiffusionXL
from .stable_diffusion import StableDiffusion

log = logging.getLogger("shortcut_nb")

BACKBONES: dict[str, type[Diffusion]] = {
    "StableDiffusionPipeline": StableDiffusion,
    "StableDiffusionXLPipeline": StableDiffusionXL,
}

SCHEDULE = (
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "prediction_type",
)
"""What a scheduler's configuration says of the noise that a model was trained on."""


def open_pipeline(
    source: str | Path | DiffusionPipeline,
    device: str | torch.device | None = None,
    *,
    autocast: torch.dtype | None = None,
    resolution: int | None = None,
    revision: str | None = None,
    config: str | Path | None = None,
    lender: Diffusion | None = None,
) -> Diffusion:
    """Open a text-to-image model of any kind that a backbone knows.

    Args:
        source: a folder in diffusers' format (also with "fp16" in its file names), a single
            .safetensors file, a hub id that is in the local cache, or an open pipeline. Weights
            are read as float32; an open pipeline keeps its own dtype and device, and its modules
            are shared, frozen and in evaluation mode.
        device: None is the CPU, or where an open pipeline is.
        autocast: dtype of UNet and VAE arithmetic; None is the dtype of the weights.
        resolution: side of the pictures to draw, in pixels; None is what the model was trained on.
        revision: of a hub id.
        config: for a single file, the folder (or hub id in the cache) of a pipeline of the same
            kind: a single file holds no configuration and no tokenizer.
        lender: whose VAE and text encoder are used where a folder has none; see
            :meth:`Diffusion.lend`.

    Raises:
        MissingWeights: nothing is there.
        BadWeights: in one line, what is there instead: another kind of pipeline, parts that do not
            fit, damaged or pickled weights; or a resolution that the model cannot draw.
        UserError: a device that is not there, or a dtype or resolution that is none.
    """
    device = None if device is None else device_of(device)
    autocast = None if autocast is None else check_dtype(autocast)
    if isinstance(source, DiffusionPipeline):
        pipe, where = around(source), f"the open {type(source).__name__}"
        device = device or source.unet.device
    else:
        ref = ModelRef(id=str(source), loader="stable-diffusion", revision=revision)
        path, where = resolve(ref), str(source)
        pipe = _from_file(path, config) if path.is_file() else _from_folder(path, lender)
    pipe = pipe.to(device or "cpu")
    if autocast is None:
        autocast = pipe.unet.dtype
    model = BACKBONES[type(pipe).__name__](pipe, _schedule(pipe, where), autocast)
    for module in model.modules:
        module.eval().requires_grad_(False)
    return _at(model, resolution, where)


def open_folder(
    kind: type[DiffusionPipeline], folder: Path, lent: dict[str, Any] | None = None
) -> DiffusionPipeline:
    """A pipeline of a class from a folder that has been checked, its modules in float32.

    Args:
        lent: parts that the folder is without.

    Raises:
        BadWeights: weights that do not belong to their configuration.
    """
    parts: dict[str, Any] = dict(lent or {})
    for name, entry in read_index(folder).items():
        if isinstance(entry, bool):
            parts[name] = entry
        if name in UNUSED or name in parts or not isinstance(entry, list) or entry[0] is None:
            continue
        library, kind_of_part = entry
        if library not in ("diffusers", "transformers"):
            raise BadWeights(
                f"{folder} wants {kind_of_part} from {library!r}, and only diffusers' and "
                "transformers' classes are opened: take a pipeline without it."
            )
        part = getattr(importlib.import_module(library), kind_of_part)
        parts[name] = _part(part, part_of(folder, name))
    return assembled(kind, parts)


def _part(kind: Any, folder: Path) -> Any:
    """One part of a pipeline: a module in float32, a tokenizer or a scheduler."""
    if isinstance(kind, type) and issubclass(kind, Module):
        variant, _ = weight_files(folder, kind.__module__.startswith("diffusers"))
        return open_model(kind, folder, variant)
    with opening(folder, f"a {kind.__name__}"):
        return kind.from_pretrained(str(folder), local_files_only=True)


def _from_folder(folder: Path, lender: Diffusion | None) -> DiffusionPipeline:
    check_weights(folder, "stable-diffusion")
    kind = _class(str(read_index(folder)["_class_name"]))
    return open_folder(kind, folder, lender.lend(folder) if lender else None)


def _from_file(path: Path, config: str | Path | None) -> DiffusionPipeline:
    """diffusers' own reader of single files; the class is seen from the second text encoder."""
    check_weights(path, "stable-diffusion")
    config = None if config is None else os.path.expanduser(config)
    second = any(name.startswith("conditioner.embedders.1.") for name in inspect_file(path))
    kind = StableDiffusionXLPipeline if second else StableDiffusionPipeline
    if config is None:
        what = "the configuration of its base model is not in the hub's local cache; name the "
        what += "folder of a pipeline of the same kind as options: {config: FOLDER}"
    else:
        what = f"with the configuration in {config}"
        if Path(config).is_dir():
            check_supported(str(read_index(Path(config)).get("_class_name")), str(config))
    with opening(path, f"a {kind.__name__}; {what}"):
        pipe = kind.from_single_file(
            str(path),
            config=config,
            local_files_only=True,
            safety_checker=None,
        )
    parts = parts_of(pipe)
    check_parts(parts, str(path))
    for name, part in parts.items():
        if isinstance(part, Module):
            parts[name] = part.float()
    return assembled(kind, parts)


def _schedule(pipe: DiffusionPipeline, where: str) -> DDPMScheduler:
    """The noise schedule that a pipeline's scheduler walks along.

    Its values are handed over one by one: from_config leaves out those that are the defaults of
    the scheduler's own class, and takes DDPM's, which may be others.

    Raises:
        BadWeights: a scheduler that has no schedule of betas.
    """
    config = pipe.scheduler.config
    if "beta_schedule" not in config:
        kind = type(pipe.scheduler).__name__
        raise BadWeights(f"{where} has {no_schedule(kind)}")
    own = {name: config[name] for name in SCHEDULE if name in config}
    # A schedule of latents: DDPM's own default would clip them to [-1, 1] as if they were pixels.
    unclipped = {"clip_sample": False, "thresholding": False}
    return DDPMScheduler.from_config(config, **own, **unclipped)


def _class(name: str) -> type[DiffusionPipeline]:
    return getattr(importlib.import_module("diffusers"), name)


def _at(model: Diffusion, resolution: int | None, where: str) -> Diffusion:
    """The model at a resolution that it can draw."""
    trained = model.pipe.unet.config.sample_size
    if resolution is None:
        if not isinstance(trained, int):
            raise BadWeights(f"{where} does not say what size it draws: name a resolution.")
        return model
    resolution = read(resolution, int, "resolution")
    if resolution < 1 or resolution % model.unit:
        raise BadWeights(
            f"resolution must be a multiple of {model.unit} pixels for {where}; got {resolution}."
        )
    if isinstance(trained, int) and trained * model.latent_unit != resolution:
        log.warning(
            "%s was trained at %d pixels and is used at %d",
            where,
            trained * model.latent_unit,
            resolution,
        )
    return replace(model, side=resolution)
