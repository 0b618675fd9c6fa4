"""Each purifier against what its definition cannot avoid, as a ratio measured in one run.

For a purifier with networks that is their calls on the same batch; for the others, the call of
the library that does the work. Step counts are smaller than the defaults, for time.
Purifiers whose models the profile lacks are skipped.
"""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import median_filter
from skimage.restoration import denoise_tv_chambolle
from test_floors import ratio, report
from torch.nn.functional import interpolate
from torchvision.transforms.v2.functional import gaussian_blur

from shortcut_nb import Lab
from shortcut_nb.experiments.questions.purification import available
from shortcut_nb.purify import PURIFIERS
from shortcut_nb.tuning.modes import frozen

# Parts of a floor, one letter a call: "P" pixel model, "R" restorer, "F" face restorer, "E" and
# "D" autoencoder, "U" text-to-image model and "W" with guidance, "I" one step of IMPRESS, "S" the
# upscaler with guidance and "V" its decoder. The last number is the bar.
FLOORS = {
    "restorer": ({}, "R", 1.10), "vae": ({}, "ED", 1.10), "ddspure": ({}, "P", 1.10),
    "diffpure": ({"steps": 8}, "P" * 8, 1.10),
    "gridpure": ({"iterations": 2, "steps": 4}, "P" * 8, 1.10),
    "eldiffpure": ({"steps": 8}, "E" + "U" * 8 + "D", 1.10),
    "ldiffpure": ({"steps": 8}, "E" + "W" * 8 + "D", 1.10),
    "impress": ({"steps": 6}, "I" * 6, 1.10), "sr": ({"steps": 20}, "S" * 20 + "V", 1.10),
    "codesr": ({"steps": 20}, "R" + "S" * 20 + "V", 1.10),
    "pdmpure": ({"steps": 8, "upscale": False}, "P" * 8, 1.10), "face-restorer": ({}, "F", 1.10),
}  # fmt: skip
NONE = {"gaussian": 1.5, "median": 1.3, "jpeg": 1.5, "resize": 1.5, "quantise": 3, "tvm": 1.15}


@pytest.fixture(scope="module")
def lab():
    torch.set_num_threads(2)
    return Lab("mini", device="cpu")


@pytest.fixture(scope="module")
def pictures(lab):
    return lab.subject("mini:held-out/0").images


def need(lab, name):
    if name not in available(lab.profile):
        pytest.skip(f"the profile has no models for {name}")


def test_every_purifier_has_a_floor():
    assert {*FLOORS, *NONE, "none"} - {"codesr"} == set(PURIFIERS)


def calls(lab, x):
    """What each letter stands for, on the batch x; made only when called."""
    model, n, t = lab.diffusion, len(x), torch.tensor([300])
    z = model.posterior(x)[0]
    words = model.embed(["a photo of a person"]).expand(2 * n, -1, -1).contiguous()
    given = lab.perceptual.activations(x)

    def impress():
        start = (x * 2 - 1).requires_grad_(True)
        drawn = model.pipe.vae.decode(model.pipe.vae.encode(start).latent_dist.mean).sample
        apart = lab.perceptual.between(lab.perceptual.activations(start / 2 + 0.5), given)
        torch.autograd.grad(drawn.sum() + apart.sum(), start)

    def upscale():
        # The unet sees latents as large as the small picture, beside it.
        unet, small = lab.upscaler.unet, interpolate(x, scale_factor=0.25)
        own = unet.config.out_channels
        shown = torch.cat([torch.randn(n, own, *small.shape[-2:]), small], 1).repeat(2, 1, 1, 1)
        unet(shown, t, words, class_labels=torch.full((2 * n,), 20))

    def upscaled():
        vae = lab.upscaler.vae
        side = x.shape[-1] // 4
        vae.decode(torch.randn(n, vae.config.latent_channels, side, side))

    return {
        "P": lambda: lab.pixel_diffusion.unet(x, t), "E": lambda: model.pipe.vae.encode(x),
        "D": lambda: model.pipe.vae.decode(z), "U": lambda: model.pipe.unet(z, t, words[:n]),
        "W": lambda: model.pipe.unet(torch.cat([z, z]), t, words), "I": impress,
        "R": lambda: lab.purifier_model("restorer")(x, 0), "S": upscale, "V": upscaled,
        "F": lambda: lab.purifier_model("face-restorer")(interpolate(x, (512, 512))),
    }  # fmt: skip


@pytest.mark.parametrize("name", FLOORS)
def test_networks(lab, pictures, name, record_property):
    need(lab, name)
    settings, parts, bar = FLOORS[name]
    purify, letters = lab.purifier(name, **settings), calls(lab, pictures)

    def floor():
        # Gradients are needed by IMPRESS alone.
        with torch.set_grad_enabled("I" in parts), frozen(lab.diffusion.pipe.vae):
            for letter in parts:
                letters[letter]()

    rounds = 9 if len(parts) > 2 else 25
    report(record_property, name, ratio(lambda: purify(pictures), floor, rounds), bar)


def library_call(name, x):
    """The one call that does the work, with the purifier's own settings."""
    arrays = x.numpy()
    bytes_ = (arrays.transpose(0, 2, 3, 1) * 255).round().astype(np.uint8)

    def jpeg():
        for picture in bytes_:
            held = io.BytesIO()
            Image.fromarray(picture).save(held, "JPEG", quality=75)
            np.asarray(Image.open(held))

    def tvm():
        for channel in arrays.reshape(-1, *arrays.shape[-2:]):
            denoise_tv_chambolle(channel, weight=0.03, eps=1e-7, max_num_iter=2000)

    def resize():
        less = interpolate(x, scale_factor=0.5, mode="bicubic", antialias=True)
        interpolate(less, x.shape[-2:], mode="bicubic", antialias=True)

    return {
        "gaussian": lambda: gaussian_blur(x, [9, 9], [1.0, 1.0]), "jpeg": jpeg, "tvm": tvm,
        "median": lambda: median_filter(arrays, size=(1, 1, 3, 3)), "resize": resize,
        "quantise": lambda: (x * 15).round() / 15,
    }[name]  # fmt: skip


@pytest.mark.parametrize("name", NONE)
def test_filters(lab, pictures, name, record_property):
    x = pictures.repeat(16, 1, 1, 1)[: 8 if name == "tvm" else 64]
    purify = lab.purifier(name, **({"keep": 1.0} if name == "tvm" else {}))
    value = ratio(lambda: purify(x), library_call(name, x))
    report(record_property, name, value, NONE[name])


@pytest.mark.parametrize("name", [name for name in FLOORS if name != "face-restorer"])
def test_a_batch_costs_no_more_a_picture_than_one_picture(lab, pictures, name, record_property):
    need(lab, name)
    purify, eight = lab.purifier(name, **FLOORS[name][0]), pictures.repeat(2, 1, 1, 1)
    value = ratio(lambda: purify(eight), lambda: purify(eight[:1]), 5) / len(eight)
    started = time.perf_counter()
    purify(eight)
    print(f"\n{name}: {(time.perf_counter() - started) / 8:.3f} s a picture in eights")
    report(record_property, f"{name}, a picture of eight against one", value, 1.10)
