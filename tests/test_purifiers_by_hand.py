"""Purifiers against their definitions, written out a second time."""

import math
from dataclasses import replace

import pytest
import torch
from diffusers import DDPMScheduler

from shortcut_nb.diffusion import draw_normal, sample_generators
from shortcut_nb.networks.pixel_diffusion import PixelDiffusion
from shortcut_nb.purify import bound, build
from shortcut_nb.purify.pdmpure import PDMPure

from .tiny_lab import TinyLab

LAB = TinyLab()


SCHEDULE = DDPMScheduler(num_train_timesteps=1000)


class Counting(PixelDiffusion):
    """A model that leaves windows as they are, and notes to which timestep each is noised."""

    def add_noise(self, x, t, source):
        self.noised.append((t, x.shape))
        return x

    def denoise(self, noisy, t, steps, source):
        return noisy


def counting(unet):
    model = Counting(unet, SCHEDULE, 16)
    object.__setattr__(model, "noised", [])
    other = TinyLab()
    other.pixel_diffusion = model
    return other, model.noised


@pytest.mark.parametrize("size,windows", [((16, 16), 1), ((24, 24), 5), ((16, 24), 2)])
def test_gridpure_cleans_the_corners_once_more_where_there_are_windows(size, windows):
    x = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    for variant, count in (("corrected", windows), ("released", windows - (windows == 5))):
        other, noised = counting(LAB.pixel_diffusion.unet)
        build("gridpure", iterations=2, variant=variant)(x, other)
        assert len(noised) == count * (2 if variant == "corrected" else 1)


def test_gridpure_keeps_gamma_of_the_picture_before():
    class White(Counting):
        def denoise(self, noisy, t, steps, source):
            return torch.ones_like(noisy)

    other, _ = counting(LAB.pixel_diffusion.unet)
    other.pixel_diffusion = White(other.pixel_diffusion.unet, SCHEDULE, 16)
    object.__setattr__(other.pixel_diffusion, "noised", [])
    black = torch.zeros(1, 3, 16, 16)
    out = build("gridpure", iterations=1, gamma=0.2)(black, other)
    assert out.unique().tolist() == pytest.approx([0.8])


def test_released_pdmpure_noises_to_four_ninths_of_its_timestep():
    for strength in (0.05, 0.1, 0.4):
        other, noised = counting(LAB.pixel_diffusion.unet)
        x = torch.full((1, 3, 16, 16), 0.5)
        PDMPure(strength=strength, variant="released", upscale=False)(x, other)
        assert noised[0][0] == (round(strength * 1000) - 1) * 4 // 9


def test_the_upscalers_noise_level_is_the_one_asked_for():
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    low, high = (bound("sr", LAB, steps=2, noise_level=level)(x) for level in (0, 350))
    assert not torch.equal(low, high)


def test_impress_pays_for_what_lies_beyond_its_perceptual_budget_alone():
    lab, draw = LAB, torch.Generator().manual_seed(6)
    x, start = torch.rand(2, 3, 64, 64, generator=draw), torch.rand(2, 3, 64, 64, generator=draw)
    with torch.no_grad():
        given, apart = lab.perceptual.activations(start), lab.perceptual(x, start)
        free = bound("impress", lab, weight=0.0).objective(lab, x * 2 - 1, given)
        for budget in (0.0, apart.mean().item(), 1.0):
            paid = bound("impress", lab, weight=2.0, perceptual=budget).objective(
                lab, x * 2 - 1, given
            )
            torch.testing.assert_close(paid - free, 2 * (apart - budget).clamp_min(0),
                                       rtol=1e-3, atol=1e-4)  # fmt: skip


def test_impress_is_adam_with_a_cosine():
    """lr_t = 1e-5 + (lr − 1e-5) (1 + cos πt/T) / 2, written out."""
    lab, steps = LAB, 6
    images = LAB.subject("mini:held-out/0").b[:1]
    purify = bound("impress", lab, steps=steps, lr=0.02)
    noise = draw_normal(images.shape[1:], sample_generators(0, 1))
    x = (images * 2 - 1 + 0.1 * noise).clamp(-1, 1)
    with torch.no_grad():
        given = lab.perceptual.activations(images)
    first, second = torch.zeros_like(x), torch.zeros_like(x)
    for t in range(steps):
        x = x.detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(purify.objective(lab, x, given).sum(), x)
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope.square()
        rate = 1e-5 + (0.02 - 1e-5) * (1 + math.cos(math.pi * t / steps)) / 2
        size = (second / (1 - 0.999 ** (t + 1))).sqrt() + 1e-5
        x = (x - rate * first / (1 - 0.9 ** (t + 1)) / size).clamp(-1, 1)
    want = x.detach() / 2 + 0.5
    assert (purify(images) - want).abs().mean() < 1e-3


def test_a_batch_of_one_draws_for_each_picture_what_a_whole_batch_does():
    x = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for name in ("ldiffpure", "sr"):
        one, whole = (replace(build(name, steps=2), batch=size)(x, LAB) for size in (1, 8))
        torch.testing.assert_close(one, whole, atol=2e-3, rtol=0)
