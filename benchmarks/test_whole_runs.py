"""Whole runs against the network arithmetic that they cannot avoid, as ratios; ``make bench``.

What a run pays beside its steps: copies of models, fresh optimisers, encoded pictures, checks.
After each round (or step) of a run its floor does the same amount of work, so that a busy machine
slows both alike; its time is taken off the run's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import pytest
import torch
from test_floors import lab, report  # noqa: F401  (lab is a fixture)

from shortcut_nb import Lab
from shortcut_nb.diffusion import Diffusion
from shortcut_nb.progress import StepInfo

ROUNDS = 4
PGD_STEPS, TRAINING_STEPS = 6, 6  # of a round of ASPL; three of the latter train the copy
STEPS = 20
CLASS_PICTURES = 8
RUNS = 3


def whole(run: Callable[..., object], floor: Callable[[], object]) -> float:
    """Median over runs of a run's own time, as a share of its floor's.

    Args:
        run: takes ``on_step``, and calls it after each round.
        floor: what a round cannot avoid.
    """
    floor()
    ratios = []
    for _ in range(RUNS):
        beside = 0.0

        def on_step(_: StepInfo) -> None:
            nonlocal beside
            started = time.perf_counter()
            floor()
            beside += time.perf_counter() - started

        started = time.perf_counter()
        run(on_step=on_step)
        ratios.append((time.perf_counter() - started - beside) / beside)
    print([round(one, 3) for one in ratios], f"{beside:.1f} s")
    return median(ratios)


def training(model: Diffusion, batch: int, prompts: list[str]) -> Callable[[], None]:
    """A DreamBooth step: text encoder and UNet on instance and class pictures, clipping, AdamW."""
    trained = [*model.pipe.unet.parameters(), *model.pipe.text_encoder.parameters()]
    for parameter in trained:
        parameter.requires_grad_(True)
    optimiser = torch.optim.AdamW(trained, lr=1e-6, fused=True)
    z, t = torch.randn(2 * batch, 8, 16, 16), torch.randint(0, 1000, (2 * batch,))

    def step() -> None:
        context = model.embed(prompts).repeat_interleave(batch, 0)
        with model.arithmetic():
            loss = model.pipe.unet(z, t, context).sample.square().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()

    return step


def climbing(model: Diffusion, images: torch.Tensor, prompt: str) -> Callable[[], None]:
    """A PGD step: VAE encoder and UNet, forward and backward to the pixels; no weight learns."""
    for module in model.modules:
        module.requires_grad_(False)
    context = model.embed([prompt]).expand(len(images), -1, -1).contiguous()
    t = torch.randint(0, 1000, (len(images),))

    def step() -> None:
        x = images.clone().requires_grad_(True)
        with model.arithmetic():
            z = model.pipe.vae.encode(x * 2 - 1).latent_dist.mean
            torch.autograd.grad(model.pipe.unet(z, t, context).sample.sum(), x)

    return step


@pytest.mark.parametrize("batch, bar", [(1, 1.05), (4, 1.05)])
def test_aspl(lab: Lab, batch, bar, record_property):  # noqa: F811
    """ASPL as a whole, at 1 + 1 and at 4 + 4 pictures a surrogate's step."""
    model, subject = lab.diffusion, lab.subject("mini:held-out/0")
    lab.prior_latents(subject.class_prompt, CLASS_PICTURES)
    settings = {"rounds": ROUNDS, "batch_size": batch, "class_images": CLASS_PICTURES}
    attack = lab.attack("aspl", eps="16/255", prior_dropout=0.0, fused=True, **settings)
    train = training(model.clone(), batch, [subject.instance_prompt, subject.class_prompt])
    climb = climbing(model.clone(), subject.images, subject.instance_prompt)

    def floor() -> None:
        for _ in range(TRAINING_STEPS):
            train()
        for _ in range(PGD_STEPS):
            climb()
        with torch.no_grad(), model.arithmetic():
            model.pipe.vae.encode(subject.images * 2 - 1)  # what the surrogate then trains on

    value = whole(lambda on_step: attack(subject, on_step=on_step), floor)
    report(record_property, f"aspl, {batch} + {batch}", value, bar)


def test_dreambooth(lab: Lab, record_property):  # noqa: F811
    """DreamBooth as a whole, from pictures to a model that samples."""
    subject = lab.subject("mini:held-out/0")
    lab.prior_latents(subject.class_prompt, CLASS_PICTURES)
    settings = {"steps": STEPS, "batch_size": 4, "class_images": CLASS_PICTURES}
    trainer = lab.personalize("dreambooth", prior_dropout=0.0, fused=True, **settings)
    prompts = [subject.instance_prompt, subject.class_prompt]
    floor = training(lab.diffusion.clone(), 4, prompts)
    value = whole(lambda on_step: trainer.fit(subject, on_step=on_step), floor)
    report(record_property, "dreambooth, 4 + 4", value, 1.05)
