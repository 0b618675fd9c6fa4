"""Each long step against its own floor, as a ratio measured in one run.

The floor is the network arithmetic that the step's definition cannot avoid, on the same batch,
in the same dtype. Run with ``make bench``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from statistics import median

import pytest
import torch

from shortcut_nb import Lab
from shortcut_nb.attacks import ATTACKS
from shortcut_nb.attacks.metacloak import Transformed
from shortcut_nb.attacks.pgd import pgd
from shortcut_nb.attacks.run import Run
from shortcut_nb.latents import latents_of
from shortcut_nb.settings import parse_alpha
from shortcut_nb.tuning.modes import frozen


@pytest.fixture(scope="module")
def lab():
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(2)
    return Lab("mini", device="cpu")


def ratio(ours, floor, rounds: int = 15) -> float:
    """Median of pairwise ratios, the two timed in turn so that a busy machine slows both."""
    ours(), floor()
    found = []
    for _ in range(rounds):
        a = time.perf_counter()
        ours()
        b = time.perf_counter()
        floor()
        found.append((b - a) / (time.perf_counter() - b))
    return median(found)


def report(record_property, name: str, value: float, bar: float) -> None:
    record_property(name, value)
    print(f"\n{name}: {value:.3f} of its floor (bar {bar})")
    assert value <= bar


# What one step's definition cannot avoid: VAE encoder ("E"), UNet ("U"), VAE decoder ("D"), CLIP's
# image tower ("C"), each forward and backward to the pixels; "e" and "u" forward only.
FLOORS = {
    "advdm": ("EU", 1.15), "mist": ("EU", 1.15), "sds": ("Eu", 1.2), "photoguard": ("E", 1.15),
    "pid": ("E", 1.15), "clip-shift": ("C", 1.15), "photoguard-diffusion": ("EUUUUD", 1.15),
    "glaze": ("EC", 1.15), "decoded-shift": ("EDC", 1.3),
}  # fmt: skip
# A PGD step against a surrogate; its training step is DreamBooth's (see test_trainers.py).
AGAINST_SURROGATES = {
    "fsmg": ("EU", 1.15), "t-fsmg": ("EU", 1.15), "aspl": ("EU", 1.15), "t-aspl": ("EU", 1.15),
    "adaptive-aspl": ("EU", 1.15), "simac": ("EUu", 1.15), "metacloak": ("EU", 1.15),
}  # fmt: skip
# Noise has no step; an ensemble takes the step above once for each of its models.
NO_STEP_OF_THEIR_OWN = {"noise", "noise-uniform", "e-fsmg", "e-aspl"}
T = torch.tensor([100, 300, 500, 900])


def floor_of(lab: Lab, images: torch.Tensor, parts: str, prompt: str) -> Callable[[], object]:
    """The networks of ``parts`` and nothing else, on four pictures."""
    model = lab.diffusion
    context = model.embed([prompt]).expand(4, -1, -1).contiguous()

    def floor() -> object:
        x = images.clone().requires_grad_(True)
        ends = []
        with model.arithmetic():
            if "e" in parts:
                with torch.no_grad():
                    model.pipe.vae.encode(images * 2 - 1)
            z = model.pipe.vae.encode(x * 2 - 1).latent_dist.mean if "E" in parts else None
            if "u" in parts:
                with torch.no_grad():
                    model.pipe.unet(z, T, context)
            for _ in range(parts.count("U")):
                z = model.pipe.unet(z, T, context).sample
            z = model.pipe.vae.decode(z).sample if "D" in parts else z
        if z is not None:
            ends.append(z.sum())
        if "C" in parts:
            ends.append(lab.clip.model.visual(lab.clip.prepare(x)).sum())
        return torch.autograd.grad(sum(ends), x)

    return floor


def test_every_attack_has_a_floor():
    assert {*FLOORS, *AGAINST_SURROGATES, *NO_STEP_OF_THEIR_OWN} == set(ATTACKS)


@pytest.mark.parametrize("name", FLOORS)
def test_attack_step(lab, name, record_property):
    """One round of an attack, as the attack itself takes it."""
    model, subject = lab.diffusion, lab.subject("mini:held-out/0")
    parts, bar = FLOORS[name]
    attack, run = lab.attack(name, eps="16/255"), Run.start(subject, lab, [0, 1, 2, 3])
    with frozen(*model.modules):
        floor = floor_of(lab, subject.images, parts, subject.instance_prompt)
        attack.prepare(run)
        attack.rebuild(run)
        report(record_property, f"{name} step", ratio(lambda: attack.round(run, 0), floor), bar)


@pytest.mark.parametrize("name", AGAINST_SURROGATES)
def test_step_against_a_surrogate(lab, name, record_property):
    """One PGD step on the attack's objective, the profile's own model in the surrogate's place."""
    model, subject = lab.diffusion, lab.subject("mini:held-out/0")
    parts, bar = AGAINST_SURROGATES[name]
    attack, run = lab.attack(name, eps="16/255"), Run.start(subject, lab, [0, 1, 2, 3])
    run.state["timesteps"] = [torch.arange(100)] * 4  # what SimAC has chosen, and encoded
    run.rebuilt["still"] = latents_of(model, subject.images).mean
    with frozen(*model.modules):
        objective = attack.objective(model, run)
        if name == "metacloak":
            objective = Transformed(objective, (0.1, attack.blur), flip=attack.flip)

        def ours():
            pgd(
                objective,
                run.x,
                run.clean,
                attack.budget,
                alpha=parse_alpha(attack.alpha),
                steps=1,
                source=run.generators,
                repeats=attack.repeats,
                chunk=attack.chunk,
            )

        floor = floor_of(lab, subject.images, parts, subject.instance_prompt)
        report(record_property, f"{name} PGD step", ratio(ours, floor), bar)


def test_sampling(lab, record_property):
    model = lab.diffusion
    context = model.embed(["a photo of a person", ""]).repeat_interleave(8, 0)
    z, steps = torch.randn(16, 8, 16, 16), 10

    def ours():
        model.sample_latents("a photo of a person", 8, seed=0, steps=steps, guidance_scale=4.0)

    @torch.inference_mode()
    def floor():
        with model.arithmetic():
            for t in range(steps):
                model.pipe.unet(z, torch.tensor(t * 90), context)

    report(record_property, "sampling", ratio(ours, floor, 7), 1.10)
