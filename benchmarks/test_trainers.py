"""One step of each trainer against the network arithmetic that it cannot avoid; ``make bench``."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from test_floors import lab, ratio, report  # noqa: F401  (lab is a fixture)

from shortcut_nb.latents import latents_of
from shortcut_nb.personalize import TRAINERS, BoundTrainer
from shortcut_nb.personalize.prepared import Prepared

# What a step may cost, as a share of its floor. The new word's step also puts a table back.
BARS = {
    "dreambooth": 1.15, "dreambooth-lora": 1.15, "textual-inversion": 1.15,
    "custom-diffusion": 1.15, "cdl-dreambooth": 1.15,
}  # fmt: skip
# Rows of the further terms of the decoupling trainer's loss, for a batch of 4.
FURTHER = {"cdl-dreambooth": (4, {"pair_weight": 1.0})}


def test_every_trainer_has_a_bar():
    assert set(BARS) == set(TRAINERS)


@pytest.mark.parametrize("name", BARS)
def test_training_step(lab, name, record_property):  # noqa: F811
    """The floor: text encoder and UNet forward and backward on as many rows, and AdamW."""
    rows, settings = FURTHER.get(name, (0, {}))
    held = {"batch_size": 4, "class_images": 8, "prior_weight": 1.0, "prior_dropout": 0.0}
    trainer: BoundTrainer = lab.personalize(name, **(held | settings))
    subject, model = lab.subject("mini:validation/0"), lab.diffusion.clone()
    method = trainer.method(subject)
    method.prepare(model, 0)
    words = trainer.words(subject)
    said = {n: method.rename(getattr(words, n), subject.identifier) for n in ("instance", "class_")}
    prior = lab.prior_latents(subject.class_prompt, 8)
    prepared = Prepared(subject, lab, model, method, replace(words, **said), prior)
    trainee = trainer.trainee(prepared)
    data, draw = latents_of(model, subject.images), torch.Generator().manual_seed(0)
    count = 8 + rows
    t, z = torch.randint(0, 1000, (count,)), torch.randn(count, *data.mean.shape[1:])
    prompts = [*said.values(), *said.values()][: 2 + bool(rows) * 2]

    def floor():
        context = model.embed(prompts).repeat_interleave(count // len(prompts), 0)
        with model.arithmetic():
            loss = model.pipe.unet(z, t, context).sample.square().mean()
        trainee.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        trainee.optimiser.step()

    value = ratio(lambda: trainee.step(data, draw), floor)
    report(record_property, f"{name} step", value, BARS[name])
