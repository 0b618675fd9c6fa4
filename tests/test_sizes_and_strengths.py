"""Pictures that are not square, strengths that are nearly nothing, and layers in half precision."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from shortcut_nb.analysis.attention import token_maps
from shortcut_nb.analysis.shift_and_harm import correlation
from shortcut_nb.attacks.target import target_image
from shortcut_nb.errors import UserError
from shortcut_nb.models import Models
from shortcut_nb.personalize.lora import LowRank
from shortcut_nb.personalize.methods import named
from shortcut_nb.subjects import Subject
from shortcut_nb.tuning.lean import weights_in

ONE = {"eps": "8/255", "alpha": "2/255", "steps": 1}


@pytest.fixture(scope="module")
def wide():
    """A person in pictures of 32 × 64, which the tiny model can take."""
    pictures = torch.rand(2, 3, 32, 64, generator=torch.Generator().manual_seed(0))
    return Subject.from_images((255 * pictures).round() / 255)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("mist", {}),
        ("photoguard", {"target": "zero"}),
        ("photoguard", {"target": "pattern"}),
        ("photoguard-diffusion", {"sampling_steps": 1}),
        ("photoguard-diffusion", {"sampling_steps": 1, "target": "pattern"}),
        ("sds", {"targeted": True}),
        ("t-fsmg", {"prior_weight": 0.0, "surrogate_steps": 1, "inner_steps": 1}),
    ],
)
def test_targets_have_the_shape_of_the_pictures(tiny_lab, wide, name, how):
    result = tiny_lab.attack(name, **ONE, **how)(wide)
    assert result.images.shape == wide.images.shape
    change = 255 * (result.images - wide.images).abs()
    assert 0 < change.max() <= 8.001


def test_a_wide_target_is_black_on_white_and_tiled():
    drawn = target_image(32, 64)
    assert drawn.shape == (1, 3, 32, 64) and set(drawn.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(drawn[..., :8, :16], drawn[..., 8:16, 48:])


def test_beside_class_pictures_others_of_another_size_are_refused_at_once(tiny_lab, wide):
    with pytest.raises(UserError, match=r"got 32 x 64\. Put photos into a folder.*prior_weight=0"):
        tiny_lab.personalize("dreambooth").fit(wide)
    with pytest.raises(UserError, match="got 32 x 64"):
        tiny_lab.attack("aspl")(wide)
    assert tiny_lab.personalize("dreambooth", prior_weight=0.0).fit(wide).losses
    pairs = {"prompts": "cdl", "prior_weight": 0.0, "pair_weight": 1.0}
    with pytest.raises(UserError, match="got 32 x 64"):
        tiny_lab.personalize("cdl-dreambooth", **pairs).fit(wide)


def test_maps_of_attention_need_square_pictures(tiny_lab, wide):
    with pytest.raises(ValueError, match="square pictures; got 32 x 64"):
        token_maps(tiny_lab.diffusion, wide.images, "a photo of sks person", ["sks"])


def test_maps_of_attention_are_as_large_as_the_latents_that_are_drawn(tiny_lab):
    model = replace(tiny_lab.diffusion, side=2 * tiny_lab.diffusion.resolution)
    picture = torch.rand(1, 3, model.resolution, model.resolution)
    (drawn,) = token_maps(model, picture, "a photo of sks person", ["sks"]).values()
    assert drawn.shape[1:] == model.posterior(picture)[0].shape[2:]


@pytest.mark.parametrize("strength", [1e-5, 0.001])
def test_an_edit_of_nearly_nothing_is_the_autoencoder(tiny_lab, wide, strength):
    source = [torch.Generator().manual_seed(i) for i in range(2)]
    how = {"strength": strength, "steps": 4, "guidance_scale": 1.0}
    images = tiny_lab.diffusion.edit(wide.images, "", source=source, **how)
    again = [torch.Generator().manual_seed(i) for i in range(2)]
    model = tiny_lab.diffusion
    torch.testing.assert_close(images, model.decode(model.encode(wide.images, again)))
    purified = tiny_lab.purifier("ldiffpure", strength=strength)(wide.images)
    assert purified.shape == wide.images.shape


@pytest.mark.parametrize(("strength", "steps"), [(1 / 49, 1), (0.29, 29), (0.5, 4)])
def test_an_edit_takes_the_steps_that_were_asked_for(tiny_lab, wide, strength, steps):
    model, calls = tiny_lab.diffusion, []
    handle = model.pipe.unet.register_forward_hook(lambda *_: calls.append(1))
    source = [torch.Generator().manual_seed(0)]
    try:
        model.edit(
            wide.images[:1], "", strength=strength, steps=steps, source=source, guidance_scale=1.0
        )
    finally:
        handle.remove()
    assert len(calls) == steps


def test_a_small_strength_of_the_attack_through_the_sampler(tiny_lab, wide):
    attack = tiny_lab.attack("photoguard-diffusion", strength=0.003, sampling_steps=4, **ONE)
    assert attack(wide).images.shape == wide.images.shape


def test_a_surrogate_of_a_model_in_half_trains_in_float32(tiny_lab):
    model = tiny_lab.diffusion
    method = LowRank(4, text=False)
    with weights_in(model.modules[1], torch.bfloat16):
        whole = model.clone()
        adapted = model.clone(method.shared(model))
        method.prepare(adapted, 0)
        kinds = {p.dtype for p in named(adapted, "lora_").values()}
        assert any(p.dtype == torch.bfloat16 for p in model.modules[1].parameters())
    assert kinds == {torch.float32}
    assert {p.dtype for p in whole.modules[1].parameters()} == {torch.float32}


def test_pairs_are_drawn_as_class_pictures_are(tiny_lab, subject, monkeypatch):
    asked, drawn = [], Models.prior_latents

    def spy(self, *given, **how):
        asked.append((how.get("steps"), how.get("guidance_scale")))
        return drawn(self, *given, **how)

    monkeypatch.setattr(Models, "prior_latents", spy)
    how = {"pair_weight": 1.0, "noise_prior_weight": 1.0, "prior_steps": 1, "prior_guidance": 1.5}
    small = {"steps": 1, "class_images": 2, "batch_size": 1}
    tiny_lab.personalize("cdl-dreambooth", prompts="cdl", **small, **how).fit(subject)
    assert asked == [(1, 1.5)] * 3


def test_leaving_out_the_only_condition_leaves_nothing():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "condition": "aspl",
            "kind": "attack",
            "subject": [f"p{i}" for i in range(6)],
            "shift": rng.random(6),
            "harm": rng.random(6),
        }
    )
    result = correlation(rows, "shift", "harm", None, 0)
    assert np.isfinite(result["value"]) and result["conditions"] == 1
    assert np.isnan(result["lowest"]) and np.isnan(result["highest"])
