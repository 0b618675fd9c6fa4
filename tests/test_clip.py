"""The CLIP wrapper against the raw open_clip model, saved and opened as a folder."""

import pytest
import torch
from torchvision.transforms.v2.functional import normalize
from transformers import CLIPTokenizer

from shortcut_nb.models.clip import Clip
from shortcut_nb.weights import BadWeights

from .tiny import MEAN, STD, pictures, save_tiny_clip


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    return folder, save_tiny_clip(folder)


@pytest.fixture(scope="module")
def clip(saved):
    return Clip.open(saved[0])


def test_image_is_the_raw_model(saved, clip):
    x = pictures()
    with torch.no_grad():
        raw = saved[1].encode_image(normalize(x, MEAN, STD), normalize=True)
    assert torch.allclose(clip.image(x), raw, atol=1e-5)
    assert torch.allclose(clip.image(x).norm(dim=-1), torch.ones(3), atol=1e-5)


def test_text_is_the_raw_model(saved, clip):
    texts = ["a photo of a person", "a noisy pattern"]
    tokenizer = CLIPTokenizer.from_pretrained(str(saved[0]))
    ids = tokenizer(texts, padding="max_length", max_length=40, return_tensors="pt").input_ids
    assert ids.shape == (2, 40) and ids.unique().numel() > 6
    with torch.no_grad():
        raw = saved[1].encode_text(ids, normalize=True)
    features = clip.text(texts)
    assert torch.allclose(features, raw, atol=1e-5)
    assert (features[0] @ features[1]) < 0.9999


def test_texts_are_embedded_once_and_few_are_remembered(saved, clip, monkeypatch):
    calls, real = [], clip.model.encode_text
    monkeypatch.setattr(clip.model, "encode_text", lambda *a, **k: calls.append(1) or real(*a, **k))
    monkeypatch.setattr("shortcut_nb.models.clip.TEXTS", 2)
    words = ["a person nobody named yet", "a dog"]
    with torch.inference_mode():
        first = clip.text(words).clone()
    again = clip.text(words)
    assert len(calls) == 1 and torch.equal(first, again)
    again.zero_()  # whoever changes what it was given changes nothing for others
    assert torch.equal(first, clip.text(tuple(words)))
    x = torch.rand(1, 3, 32, 32, requires_grad=True)
    (clip.image(x) @ clip.text(words).T).sum().backward()  # remembered from inference mode
    assert x.grad is not None and len(calls) == 1
    for word in ("one", "two", "three"):
        clip.text([word])
    assert torch.equal(first, clip.text(words)) and len(calls) == 5


def test_probabilities_use_the_models_scale(saved, clip):
    x, prompts = pictures(), ["a photo of a person", "a noisy pattern", "blurry"]
    with torch.no_grad():
        raw = saved[1].encode_image(normalize(x, MEAN, STD), normalize=True) @ clip.text(prompts).T
        raw = (raw * saved[1].logit_scale.exp()).softmax(dim=-1)
    probabilities = clip.probabilities(x, prompts)
    assert probabilities.shape == (3, 3)
    assert torch.allclose(probabilities, raw, atol=1e-5)


def test_batch_size_does_not_matter(saved, clip):
    single = Clip.open(saved[0])
    single.batch = 1
    assert torch.allclose(single.image(pictures(5)), clip.image(pictures(5)), atol=1e-5)


def test_gradient_reaches_the_pixels_through_the_resize(clip):
    x = pictures(2, 48).requires_grad_()
    clip.image(x)[:, 0].sum().backward()
    assert (x.grad.abs().flatten(1).max(dim=1).values > 0).all()
    assert not any(p.requires_grad for p in clip.model.parameters())


def test_wide_pictures_are_cropped_in_the_middle(clip):
    x = pictures(1, 64)
    wide = torch.cat([torch.zeros(1, 3, 64, 20), x, torch.ones(1, 3, 64, 20)], dim=-1)
    assert torch.allclose(clip.image(wide), clip.image(x), atol=1e-5)


def test_bad_pictures_and_texts_are_refused(clip):
    with pytest.raises(ValueError, match="0, 1"):
        clip.image(pictures() * 255)
    with pytest.raises(ValueError, match="list of texts"):
        clip.text("a photo")


def test_missing_files_are_named(tmp_path):
    with pytest.raises(BadWeights, match="open_clip_config.json"):
        Clip.open(tmp_path)
    save_tiny_clip(tmp_path / "half")
    (tmp_path / "half" / "open_clip_model.safetensors").unlink()
    with pytest.raises(BadWeights, match="safetensors"):
        Clip.open(tmp_path / "half")
    with pytest.raises(FileNotFoundError, match="neither a folder"):
        Clip.open("no-such-model")
    with pytest.raises(ValueError, match="openai"):
        Clip.open("ViT-B-32")


def test_a_tokenizer_whose_end_is_not_the_largest_id_is_refused(tmp_path):
    save_tiny_clip(tmp_path / "bad", eos_last=False)
    with pytest.raises(ValueError, match="eos"):
        Clip.open(tmp_path / "bad")
    save_tiny_clip(tmp_path / "good", eos_last=False, pool_type="eos", eos_id=0)
    features = Clip.open(tmp_path / "good").text(["a photo", "a noisy pattern"])
    assert (features[0] @ features[1]) < 0.9999
