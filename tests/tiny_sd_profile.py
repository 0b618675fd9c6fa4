"""A Stable-Diffusion-2.1-shaped profile with random weights, 2-step settings, and a photo folder.

Every model that ``sd21`` names, in its real class and file format, a few thousand weights each; but
for the face restorer, whose architectures are of one size: ``codesr`` has a UNet in its place.
Faces are left out here; ``test_your_photos.py`` looks for them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from diffusers import (
    DDPMPipeline,
    DDPMScheduler,
    StableDiffusionPipeline,
    UNet2DModel,
)
from PIL import Image
from skimage import data
from transformers import Dinov2Config, Dinov2Model, YolosConfig, YolosForObjectDetection

from shortcut_nb.profile import PROFILES
from tests.tiny import save_tiny_clip
from tests.tiny_sd import save_pipeline
from tests.tiny_upscaler import tiny_upscaler

TRAIN = {"steps": 2, "batch_size": 1, "class_images": 2, "prior_steps": 1}
PGD = {"steps": 2, "alpha": "8/255"}  # so that a change can be seen after two
SURROGATE = {"class_images": 2, "prior_steps": 1, "surrogate_lr": 1e-4, "alpha": "8/255"}
ROUNDS = SURROGATE | {"rounds": 1, "clean_steps": 1, "pgd_steps": 1, "perturbed_steps": 1}
FSMG = SURROGATE | {"surrogate_steps": 2, "steps": 2, "inner_steps": 1}
METACLOAK = {"pool_steps": 2, "interval": 1, "advance": 1, "trials": 1, "pgd_steps": 1}
SHORT: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("dreambooth", "cdl-dreambooth", "dreambooth-lora", "custom-diffusion"), TRAIN),
    "textual-inversion": TRAIN,
    **dict.fromkeys(("advdm", "sds", "mist", "pid", "clip-shift", "photoguard"), PGD),
    "photoguard-diffusion": PGD | {"sampling_steps": 2},
    "glaze": {"steps": 2},
    **dict.fromkeys(("aspl", "t-aspl", "e-aspl", "adaptive-aspl"), ROUNDS),
    "simac": ROUNDS | {"keep": 900},
    **dict.fromkeys(("fsmg", "t-fsmg", "e-fsmg"), FSMG),
    "metacloak": SURROGATE | METACLOAK,
    "diffpure": {"steps": 2},
    "gridpure": {"steps": 2, "iterations": 1},
    "impress": {"steps": 2},
    "ldiffpure": {"steps": 2},
    "eldiffpure": {"steps": 2},
    "sr": {"steps": 2},
    "pdmpure": {"steps": 2, "upscale_steps": 2},
    "tvm": {"iterations": 2},
}
"""Two steps of everything that has steps; what else the methods do is the library's own."""


def save_upscaler(folder: Path) -> None:
    """A ×4 upscaler with a text encoder of its own, as ``stable-diffusion-x4-upscaler``."""
    words = save_pipeline(folder.with_name("words"), "sd15")
    lender = StableDiffusionPipeline.from_pretrained(words)
    pipe = tiny_upscaler(lender.text_encoder, lender.tokenizer, 16, (16, 32))
    pipe.save_pretrained(folder)


def pixel_unet() -> UNet2DModel:
    torch.manual_seed(3)
    return UNet2DModel(
        sample_size=32, block_out_channels=(8, 16), down_block_types=("DownBlock2D",) * 2,
        up_block_types=("UpBlock2D",) * 2, layers_per_block=1, norm_num_groups=4,
    )  # fmt: skip


def save_pixel(folder: Path) -> None:
    """An unconditional pixel diffusion model, as ``ddpm-celebahq-256``."""
    DDPMPipeline(pixel_unet(), DDPMScheduler()).save_pretrained(folder)


def save_dinov2(folder: Path) -> None:
    torch.manual_seed(4)
    Dinov2Model(
        Dinov2Config(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
        )
    ).save_pretrained(folder)


def save_yolos(folder: Path) -> None:
    torch.manual_seed(5)
    names = {0: "cat", 1: "person"}
    YolosForObjectDetection(
        YolosConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
            image_size=[64, 64], patch_size=8, num_detection_tokens=5, id2label=names,
            label2id={name: number for number, name in names.items()},
        )
    ).save_pretrained(folder)  # fmt: skip


def save_sd_profile(folder: Path) -> Path:
    """Write the models and the profile; the path of its YAML file."""
    save_pipeline(folder / "pipe", "sd21")
    save_tiny_clip(folder / "clip")
    save_upscaler(folder / "upscaler")
    save_pixel(folder / "pixel")
    pixel_unet().save_pretrained(folder / "restorer")
    save_dinov2(folder / "dinov2")
    save_yolos(folder / "yolos")
    content = yaml.safe_load((PROFILES / "sd21.yaml").read_text("utf-8"))
    content |= {"name": "tiny-sd21", "resolution": 64, "sampling": {"steps": 2}}
    content["defaults"] = {
        name: content["defaults"].get(name, {}) | short for name, short in SHORT.items()
    }
    del content["purifiers"]["face-restorer"]
    content["faces"] = None  # enlarging every picture for dlib takes longer than all else
    places = {"diffusion": "pipe", "clip": "clip", "identity": "dinov2", "detector": "yolos"}
    for role, place in places.items():
        content[role] = _moved(content[role], folder / place)
    content["identity"]["options"]["size"] = 28
    content["detector"]["options"] |= {"size": 64, "threshold": 0.3}  # of three classes
    for name in ("upscaler", "pixel"):
        content["purifiers"][name] = _moved(content["purifiers"][name], folder / name)
    content["purifiers"]["restorer"] = {"id": str(folder / "restorer"), "loader": "unet-restorer"}
    path = folder / "tiny-sd21.yaml"
    path.write_text(yaml.safe_dump(content), "utf-8")
    return path


def _moved(ref: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A model's entry with another place; its loader and its options are the profile's."""
    kept = {name: ref[name] for name in ("loader", "options") if name in ref}
    return {"id": str(folder)} | kept


def save_photos(folder: Path, number: int = 3) -> Path:
    """A folder of one person's photos: other crops of one photograph, of other sizes and shapes."""
    folder.mkdir(parents=True)
    portrait = np.ascontiguousarray(data.astronaut()[:300, 80:360])
    for i in range(number):
        high, wide = 200 + 15 * i, 260 - 12 * i
        photo = Image.fromarray(portrait[5 * i : 5 * i + high, 3 * i : 3 * i + wide])
        photo.save(folder / f"photo-{i}.png")
    return folder
