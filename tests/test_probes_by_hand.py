"""Shifts of pictures as every model sees them, put together a second time from the models."""

import numpy as np
import pytest
import torch

from shortcut_nb.analysis.clip_shift import clip_shift
from shortcut_nb.analysis.concepts import CONCEPTS, prompts
from shortcut_nb.analysis.encoder_shift import noise_pictures
from shortcut_nb.analysis.timesteps import timestep_losses
from shortcut_nb.cells import Cell
from shortcut_nb.probes.controls import beyond, controls
from shortcut_nb.probes.shifts import DRAWS, NOISE_PICTURES, TIMESTEPS, shifts

CELL = Cell(attack="noise", eps="16/255")


@pytest.fixture(scope="module")
def seen(quick_lab):
    """A subject, spoilt pictures of it, and what the probe says of them."""
    subject = quick_lab.subject("mini:held-out/1")
    noise = torch.randn(subject.b.shape, generator=torch.Generator().manual_seed(0))
    images = (subject.b + 0.06 * noise).clamp(0, 1)
    return subject, images, shifts(quick_lab, subject, CELL, images)


def test_the_shift_that_training_sees_is_between_decoded_pictures(quick_lab, seen):
    subject, images, values = seen
    model, clip = quick_lab.diffusion, quick_lab.clip
    with torch.no_grad():
        person, pattern = clip.text(["a photo of a person", "a noisy pattern"])
        axis = (pattern - person) / (pattern - person).norm()
        both = (subject.b, images)
        decoded = [clip.image(model.decode(model.posterior(x)[0])) for x in both]
        plain = [clip.image(x) for x in both]
    assert values["decoded_towards"] == pytest.approx(
        float(((decoded[1] - decoded[0]) @ axis).mean()), abs=1e-5
    )
    moved = plain[1] - plain[0]
    assert values["clip_towards"] == pytest.approx(float((moved @ axis).mean()), abs=1e-5)
    assert values["clip_shift"] == pytest.approx(float(moved.norm(dim=1).mean()), rel=1e-4)
    assert abs(values["decoded_towards"] - values["clip_towards"]) > 2e-5


def test_the_class_that_is_lost_is_a_fall_of_its_probability(quick_lab, seen):
    subject, images, values = seen
    clip, texts = quick_lab.clip, prompts(subject.class_name)
    with torch.no_grad():
        words = torch.stack([clip.text(list(each)).mean(0) for each in texts.values()])
        words = words / words.norm(dim=1, keepdim=True)
        chances = [(clip.scale * clip.image(x) @ words.T).softmax(1) for x in (subject.b, images)]
    of_class = [number for number, name in enumerate(texts) if CONCEPTS[name][0] == "class"]
    before, after = (float(chance[:, of_class].sum(1).mean()) for chance in chances)
    assert values["class_lost"] == pytest.approx(before - after, abs=1e-5)
    assert values["pattern_margin"] == pytest.approx((1 - after) - after, abs=1e-5)
    assert abs(before - after) > 2e-5


def test_an_encoders_axis_begins_at_pictures_that_were_not_spoilt(quick_lab, seen):
    """Sets A and C: B is what is measured."""
    subject, images, values = seen
    encode = quick_lab.identity
    start = encode(torch.cat([subject.a, subject.c])).mean(0)
    axis = encode(noise_pictures(NOISE_PICTURES, images.shape[-1])).mean(0) - start
    moved = encode(images) - encode(subject.b)
    along = moved @ (axis / axis.norm())
    assert values["identity_towards"] == pytest.approx(float(along.mean()), abs=1e-5)
    across = (moved.square().sum(1) - along.square()).clamp_min(0).sqrt()
    assert values["identity_across"] == pytest.approx(float(across.mean()), abs=1e-4)


def test_a_prompt_that_no_longer_fits_is_the_classs(quick_lab, seen):
    """V* means nothing yet to a model that was not trained."""
    subject, images, values = seen
    before, after = (
        timestep_losses(
            quick_lab.diffusion, x, subject.class_prompt, timesteps=TIMESTEPS, draws=DRAWS
        )
        for x in (subject.b, images)
    )
    for column, of in (("loss", "conditional"), ("misled", "mismatch")):
        rise = float((after[of] - before[of]).mean())
        assert values[column] == pytest.approx(rise, abs=1e-5)


def test_what_is_beyond_a_control_is_the_attacks_shift_less_the_controls(quick_lab, seen):
    subject, images, _ = seen
    clip = quick_lab.clip

    def towards(x):
        words = quick_lab.profile.concepts[:2]
        return clip_shift(clip, x, *words, reference=subject.b)["shift_projection"].mean()

    got = beyond(quick_lab, subject, CELL, images)
    spoilt = controls(subject.b, images, eps=CELL.eps)
    assert set(got) == {f"beyond_{name}" for name in spoilt}
    for name, x in spoilt.items():
        assert got[f"beyond_{name}"] == pytest.approx(towards(images) - towards(x), abs=1e-6)
    assert np.ptp(list(got.values())) > 1e-4
