"""Spectra, attention maps and where they fall, drift of words, losses by timestep."""

import numpy as np
import pandas as pd
import pytest
import torch
from diffusers.models.attention_processor import Attention

from shortcut_nb.analysis.attention import (
    Maps,
    Recorder,
    drawn_maps,
    recorded,
    token_maps,
    token_span,
)
from shortcut_nb.analysis.drift import word_drift
from shortcut_nb.analysis.overlap import local_energy, overlap, texture_map
from shortcut_nb.analysis.spectrum import gain, spectrum, spectrum_match
from shortcut_nb.analysis.timesteps import timestep_losses
from shortcut_nb.analysis.traits import TRAITS, traits
from shortcut_nb.personalize.custom_diffusion import KeysAndValues
from shortcut_nb.plots import spectrum_plot


def test_white_noise_is_flat_and_keeps_its_variance():
    x = torch.randn(64, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.2
    power = spectrum(x)
    assert power["power"].iloc[1:].to_numpy() == pytest.approx(0.04, rel=0.12)


def test_a_wave_lies_in_its_bin():
    place = torch.arange(64) * 2 * np.pi
    x = torch.sin(0.25 * place)[None, None, None].expand(1, 3, 64, 64)
    power = spectrum(x, bins=16)
    assert power.loc[power["share"].idxmax(), "frequency"] == pytest.approx(0.25, abs=0.02)
    assert power["share"].max() > 0.99
    with pytest.raises(ValueError, match="n, 3, H, W"):
        spectrum(x[0])


def test_spectra_are_drawn_one_panel_each():
    noise = spectrum(torch.randn(2, 3, 16, 16))
    frame = pd.concat([noise.assign(condition=name) for name in ("noise", "aspl", "mist")])
    fig = spectrum_plot(frame, reference="noise")
    assert [ax.get_title() for ax in fig.axes] == ["aspl", "mist"]
    with pytest.raises(ValueError, match="reference"):
        spectrum_plot(frame, reference="none")


def test_recording_changes_nothing_and_maps_sum_to_one(lab):
    model = lab.diffusion
    z, t = torch.randn(2, 8, 16, 16), torch.tensor([100, 600])
    context = model.embed(["a photo of sks person", "a photo of a person"])
    before = model.pipe.unet.attn_processors
    with torch.no_grad():
        plain = model.pipe.unet(z, t, context).sample
        with recorded(model) as maps:
            seen = model.pipe.unet(z, t, context).sample
    torch.testing.assert_close(seen, plain, atol=1e-4, rtol=1e-4)
    assert maps.mean.shape == (2, context.shape[1], 16, 16)
    torch.testing.assert_close(maps.mean.sum(1), torch.ones(2, 16, 16), atol=1e-4, rtol=0)
    assert model.pipe.unet.attn_processors == before
    with pytest.raises(RuntimeError, match="injected"), recorded(model):
        raise RuntimeError("injected")
    assert model.pipe.unet.attn_processors == before
    with recorded(model) as empty, pytest.raises(RuntimeError, match="recorded"):
        _ = empty.mean


def test_words_have_their_own_maps(lab, subject):
    prompt = "a photo of sks person"
    token_frame = token_maps(lab.diffusion, subject.b[:2], prompt, ["sks", "person"])
    assert set(token_frame) == {"sks", "person"}
    for maps in token_frame.values():
        assert maps.shape == (2, 16, 16) and maps.min() >= 0 and maps.max() <= 1
    assert not torch.equal(token_frame["sks"], token_frame["person"])
    span = token_span(lab.diffusion, prompt, "sks")
    words = lab.diffusion.pipe.tokenizer
    assert words.decode(words(prompt).input_ids[span[0] : span[-1] + 1]).replace(" ", "") == "sks"
    with pytest.raises(ValueError, match="not a word"):
        token_span(lab.diffusion, prompt, "zebra")


def test_a_wrong_prompt_misleads(lab, subject):
    few = {"timesteps": (300, 600), "draws": 2}
    right = timestep_losses(lab.diffusion, subject.b, "a photo of a person", **few)
    wrong = timestep_losses(lab.diffusion, subject.b, "a noisy pattern", **few)
    alone = timestep_losses(lab.diffusion, subject.b, "a photo of a person", **few, empty=False)
    assert alone["conditional"].equals(right["conditional"]) and "mismatch" not in alone
    assert len(right) == 4 * 2 * 2
    np.testing.assert_allclose(right["unconditional"], wrong["unconditional"], rtol=1e-4)
    assert wrong["mismatch"].mean() > right["mismatch"].mean()


def test_a_planted_token_is_found_at_every_resolution():
    """Layers that attend by likeness; pixels of one corner are made like token 3."""
    torch.manual_seed(0)
    maps = Maps(8)
    for side in (4, 8):
        layer = Attention(query_dim=2, cross_attention_dim=2, heads=2, dim_head=2, bias=False)
        with torch.no_grad():
            layer.to_q.weight.copy_(torch.eye(2).repeat(2, 1) * 20)
            layer.to_k.weight.copy_(torch.eye(2).repeat(2, 1))
        layer.set_processor(Recorder(maps))
        pixels = torch.tensor([0.0, 1.0]).repeat(2, side, side, 1)
        pixels[1, : side // 2, : side // 2] = torch.tensor([1.0, 0.0])
        tokens = torch.tensor([0.0, 1.0]).repeat(2, 5, 1)
        tokens[:, 3] = torch.tensor([1.0, 0.0])
        layer(pixels.flatten(1, 2), tokens)
    torch.testing.assert_close(maps.mean.sum(1), torch.ones(2, 8, 8))
    planted = maps.mean[:, 3]
    assert planted[0].max() < 0.01  # the first picture has nothing like it
    assert planted[1, :3, :3].min() > 0.95 and planted[1, 5:, 5:].max() < 0.01
    assert maps.mean[1, 1, :3, :3].max() < 0.02


def test_custom_diffusion_is_recorded_with_its_own_keys(lab):
    model = lab.diffusion.clone()
    KeysAndValues("sks", "person").prepare(model, 0)
    with torch.no_grad():
        for name, weight in model.pipe.unet.named_parameters():
            if "_custom_diffusion" in name:
                weight.add_(0.1 * torch.randn(weight.shape))
    z, t, context = torch.randn(1, 8, 16, 16), torch.tensor([300]), model.embed(["a photo"])
    with torch.no_grad():
        plain = model.pipe.unet(z, t, context).sample
        with recorded(model):
            seen = model.pipe.unet(z, t, context).sample
        base = lab.diffusion.pipe.unet(z, t, context).sample
    torch.testing.assert_close(seen, plain, atol=1e-4, rtol=1e-4)
    assert (plain - base).abs().max() > 1e-2


def test_maps_of_sampling_belong_to_the_same_samples(lab):
    how = {"seed": 3, "steps": 2, "guidance_scale": 3.0}
    images, maps = drawn_maps(lab.diffusion, "a photo of sks person", ["sks"], 2, **how)
    torch.testing.assert_close(
        images, lab.diffusion.sample("a photo of sks person", 2, **how), atol=1e-3, rtol=0
    )
    assert maps["sks"].shape == (2, 16, 16) and 0 < maps["sks"].mean() < 1


def test_overlap_finds_where_the_noise_is():
    change = torch.zeros(2, 3, 32, 32)
    change[:, :, :16] = 0.1 * torch.randn(2, 3, 16, 32, generator=torch.Generator().manual_seed(0))
    where = local_energy(change, 8)
    assert where.shape == (2, 8, 8) and where[:, 4:].max() == 0
    assert where[:, :4].square().mean() == pytest.approx(0.01, rel=0.1)
    maps = {"there": where * 3 + 1, "elsewhere": -where, "nowhere": torch.ones(2, 8, 8)}
    means = overlap(maps, where).groupby("word")["correlation"].mean()
    assert means["there"] == pytest.approx(1) and means["elsewhere"] == pytest.approx(-1)
    assert np.isnan(means["nowhere"])
    seen = texture_map((change + 0.5).clamp(0, 1), 8)
    assert seen[:, :3].min() > 1 and seen[:, 5:].max() == 0
    with pytest.raises(ValueError, match="same|shape"):
        overlap(maps, where[:1])
    with pytest.raises(ValueError, match="multiple of 7"):
        texture_map((change + 0.5).clamp(0, 1), 7)


def test_edges_of_a_drawing_are_not_texture():
    drawing = torch.zeros(1, 3, 32, 32)
    drawing[..., 6:26, 6:26] = 1
    assert texture_map(drawing, 4).max() == 0


def test_nothing_drifts_without_training_and_what_moves_is_measured(lab):
    prompt, words = "a photo of sks person", ["sks", "person"]
    other = lab.diffusion.clone()
    still = word_drift(lab.diffusion, other, prompt, words)
    assert len(still) == 4
    assert still["cosine"].to_numpy() == pytest.approx(1)
    assert still[["growth", "distance"]].abs().to_numpy().max() < 1e-6
    ids = other.pipe.tokenizer("sks", add_special_tokens=False).input_ids
    with torch.no_grad():
        other.pipe.text_encoder.get_input_embeddings().weight[ids] *= 1.5
    drift = word_drift(lab.diffusion, other, prompt, words).set_index(["word", "level"])
    assert drift.loc[("sks", "embedding"), "growth"] == pytest.approx(0.5)
    assert drift.loc[("sks", "embedding"), "cosine"] == pytest.approx(1)
    assert drift.loc[("sks", "embedding"), "distance"] == pytest.approx(0.5)
    assert drift.loc[("person", "embedding"), "distance"] == 0
    assert drift.loc[("sks", "state"), "distance"] > 1e-3
    with pytest.raises(ValueError, match="not a word"):
        word_drift(lab.diffusion, other, prompt, ["zebra"])


def test_losses_of_models_and_pictures_share_their_noise(lab, subject):
    models = {"before": lab.diffusion, "after": lab.diffusion.clone()}
    shown = {"clean": subject.b[:1], "again": subject.b[:1], "darker": subject.b[:1] * 0.5}
    how = {"prompt": "a photo of a person", "timesteps": (500,), "draws": 1}
    rows = [
        timestep_losses(model, images, **how).assign(model=name, pictures=kind)
        for name, model in models.items()
        for kind, images in shown.items()
    ]
    table = pd.concat(rows).pivot(index="pictures", columns="model", values="conditional")
    assert table["before"].to_numpy() == pytest.approx(table["after"].to_numpy(), rel=1e-4)
    assert table.loc["clean", "before"] == pytest.approx(table.loc["again", "before"], rel=1e-4)
    assert table.loc["clean", "before"] != pytest.approx(table.loc["darker", "before"], rel=1e-4)


def test_a_gain_shows_what_was_added_and_a_raw_spectrum_does_not():
    draw = torch.Generator().manual_seed(0)
    place = torch.arange(32)

    def world(n):  # smooth pictures, whose spectra fall
        return torch.nn.functional.avg_pool2d(torch.rand(n, 3, 40, 40, generator=draw), 9, 1)

    def waves(n, speed):
        strength = 0.05 * torch.randn(n, 3, 1, 1, generator=draw)
        return strength * torch.sin(place * speed)[None, None, None]

    clean, again, other = spectrum(world(16)), world(16), world(16)
    added = gain(spectrum(again + waves(16, 2.2)), clean)
    same, another = (gain(spectrum(other + waves(16, speed)), clean) for speed in (2.2, 1.1))
    assert spectrum_match(added, same) > 0.8 > 0.3 > spectrum_match(added, another)
    raw = [spectrum(other + waves(16, speed)) for speed in (2.2, 1.1)]
    assert spectrum_match(*raw) > 0.3  # the fall alone
    assert added.loc[added["power"].idxmax(), "frequency"] == pytest.approx(0.35, abs=0.03)
    assert gain(clean, clean)["power"].dropna().to_numpy() == pytest.approx(1)
    assert gain(clean, clean)["power"].isna().sum() == 1  # the mean
    assert spectrum_match(clean, clean) == pytest.approx(1)
    assert np.isnan(spectrum_match(clean.assign(power=1.0), clean))
    for function in (gain, spectrum_match):
        with pytest.raises(ValueError, match="same bins"):
            function(clean, spectrum(again, bins=4))


def test_clip_says_what_the_subject_looks_like(lab):
    dark, light = lab.subject("mini:held-out/4"), lab.subject("mini:held-out/0")
    sentences = [traits(lab.clip, who.b, who.class_prompt) for who in (dark, light)]
    assert "dark skin" in sentences[0] and "red hair" in sentences[0]
    assert "light skin" in sentences[1] and "no glasses" in sentences[1]
    assert len(sentences[0].split(" and ")) == len(TRAITS)
    with pytest.raises(ValueError, match="kinds"):
        traits(lab.clip, dark.b, dark.class_prompt, ())
