"""Spectra, attention maps and losses by timestep."""

import numpy as np
import pandas as pd
import pytest
import torch

from shortcut_nb.analysis.attention import recorded, token_maps, token_span
from shortcut_nb.analysis.spectrum import spectrum
from shortcut_nb.analysis.timesteps import timestep_losses
from shortcut_nb.plots import spectrum_plot


def test_white_noise_is_flat_and_keeps_its_variance():
    x = torch.randn(64, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.2
    found = spectrum(x)
    assert found["power"].iloc[1:].to_numpy() == pytest.approx(0.04, rel=0.12)


def test_a_wave_lies_in_its_bin():
    place = torch.arange(64) * 2 * np.pi
    x = torch.sin(0.25 * place)[None, None, None].expand(1, 3, 64, 64)
    found = spectrum(x, bins=16)
    assert found.loc[found["share"].idxmax(), "frequency"] == pytest.approx(0.25, abs=0.02)
    assert found["share"].max() > 0.99
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
    found = token_maps(lab.diffusion, subject.b[:2], prompt, ["sks", "person"])
    assert set(found) == {"sks", "person"}
    for maps in found.values():
        assert maps.shape == (2, 16, 16) and maps.min() >= 0 and maps.max() <= 1
    assert not torch.equal(found["sks"], found["person"])
    span = token_span(lab.diffusion, prompt, "sks")
    words = lab.diffusion.pipe.tokenizer
    assert words.decode(words(prompt).input_ids[span[0] : span[-1] + 1]).replace(" ", "") == "sks"
    with pytest.raises(ValueError, match="not a word"):
        token_span(lab.diffusion, prompt, "zebra")


def test_a_wrong_prompt_misleads(lab, subject):
    few = {"timesteps": (300, 600), "draws": 2}
    right = timestep_losses(lab.diffusion, subject.b, "a photo of a person", **few)
    wrong = timestep_losses(lab.diffusion, subject.b, "a noisy pattern", **few)
    assert len(right) == 4 * 2 * 2
    np.testing.assert_allclose(right["unconditional"], wrong["unconditional"], rtol=1e-4)
    assert wrong["mismatch"].mean() > right["mismatch"].mean()
