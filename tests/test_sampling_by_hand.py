"""Guidance and edits against their formulas."""

import pytest
import torch

from shortcut_nb.diffusion import generators


@pytest.fixture(scope="session")
def lab(quick_lab):
    return quick_lab


@pytest.fixture(scope="module")
def subject(pair):
    return pair


def test_guidance_goes_from_the_negative_prompt_to_the_prompt(lab):
    """Near 1 it is the prompt's own, whatever the negative; beyond, away from the negative."""
    model, (a, b) = lab.diffusion, ("a photo of a person", "noisy pattern")

    def draw(prompt, scale, negative=""):
        how = {"seed": 0, "steps": 1, "guidance_scale": scale, "negative": negative}
        return model.sample_latents(prompt, 2, **how)

    own, other = draw(a, 1.0), draw(b, 1.0)
    torch.testing.assert_close(draw(a, 1 + 1e-6, b), own, atol=1e-4, rtol=1e-4)
    # One step is affine in the UNet's answer: out = other + 3 (own − other).
    torch.testing.assert_close(draw(a, 3.0, b), other + 3 * (own - other), atol=1e-3, rtol=1e-3)
    assert not torch.allclose(draw(a, 3.0, b), draw(a, 3.0), atol=1e-3)


def test_an_edit_at_guidance_one_follows_its_prompt(lab, subject):
    how = {"strength": 0.6, "steps": 3, "guidance_scale": 1.0}
    texts = ("a photo of a person", "noisy pattern", "")
    one, other, empty = (
        lab.diffusion.edit(subject.b, text, source=generators([1, 2]), **how) for text in texts
    )
    for a, b in ((one, other), (one, empty), (other, empty)):
        assert (a - b).abs().max() > 1e-5


def test_an_edits_eta_adds_fresh_noise(lab, subject):
    how = {"strength": 0.6, "steps": 4, "guidance_scale": 1.0}

    def edited(eta, seeds):
        return lab.diffusion.edit(subject.b, "", source=generators(seeds), eta=eta, **how)

    assert torch.equal(edited(1.0, [1, 2]), edited(1.0, [1, 2]))
    assert (edited(1.0, [1, 2]) - edited(0.0, [1, 2])).abs().max() > 1e-5
