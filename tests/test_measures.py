"""The miniature's further measures: attributes, damage, and a CLIP that never heard of noise."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from transformers import ResNetConfig, ResNetForImageClassification

from shortcut_nb.errors import UserError
from shortcut_nb.metrics import AttributeMatch, AttributeReader, DamageRegressor, Intactness
from shortcut_nb.models.loaders import open_measure
from shortcut_nb.profile import ModelRef
from shortcut_nb.purify import build

from .tiny_lab import TinyLab

SHAPE = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}


def classifier(labels):
    torch.manual_seed(0)
    config = ResNetConfig(
        **SHAPE,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    return ResNetForImageClassification(config).eval()


def test_attributes_are_read_by_group_and_matched_to_the_references(tmp_path):
    classifier(["hair:LONG", "hair:SHORT", "hair:NONE", "glasses:NONE", "glasses:ROUND"]
               ).save_pretrained(tmp_path)  # fmt: skip
    reader = AttributeReader.from_folder(tmp_path)
    x = torch.rand(5, 3, 32, 32)
    shares = reader.probabilities(x)
    assert shares["hair"].shape == (5, 3)
    assert shares["glasses"].shape == (5, 2)
    for part in shares.values():
        torch.testing.assert_close(part.sum(1), torch.ones(5))
    logits = reader.model((x - 0.5) / 0.5).logits
    values = np.array(["LONG", "SHORT", "NONE"])[logits[:, :3].argmax(1).numpy()]
    assert list(reader.read(x)["hair"]) == list(values)
    assert AttributeMatch(reader)(x[:1], x[:1])["attributes"] == [1.0]
    kept = reader.kept(x, x[:1])
    assert kept.shape == (5, 2) and kept.iloc[0].all()
    with pytest.raises(ValueError, match="clean pictures"):
        AttributeMatch(reader)(x)


def test_labels_that_name_no_attribute_are_refused():
    with pytest.raises(ValueError, match="glasses:ROUND"):
        AttributeReader(classifier(["person", "none"]))
    with pytest.raises(ValueError, match="damage"):
        DamageRegressor(classifier(["person", "none"]))


def test_damage_is_the_sigmoid_of_its_logit(tmp_path):
    classifier(["damage"]).save_pretrained(tmp_path)
    regressor = DamageRegressor.from_folder(tmp_path)
    x = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        expected = 1 / (1 + torch.exp(-regressor.model((x - 0.5) / 0.5).logits[:, 0]))
    torch.testing.assert_close(regressor(x), expected)
    np.testing.assert_allclose(Intactness(regressor)(x)["intact"], 1 - expected.numpy())


def test_a_loader_that_opens_no_measure_is_refused():
    ref = ModelRef(id="package:mini/weights/pixel", loader="ddpm")
    with pytest.raises(UserError, match="attributes"):
        open_measure(ref, "cpu")


class HalfLab(TinyLab):
    """The upscaler with a VAE of factor two."""

    @property
    def upscaler(self):
        pipe = super().upscaler
        torch.manual_seed(3)
        vae = AutoencoderKL(
            block_out_channels=(8, 16), latent_channels=4, layers_per_block=1,
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
            norm_num_groups=4, sample_size=32, scaling_factor=0.08333,
        )  # fmt: skip
        parts = {name: part for name, part in pipe.components.items() if name != "vae"}
        pipeline = type(pipe)(vae=vae.eval(), **parts)
        pipeline.set_progress_bar_config(disable=True)
        pipeline.unet.register_to_config(sample_size=16)
        return pipeline


def test_super_resolution_takes_the_factor_of_its_upscaler():
    sizes = []

    class Watching(HalfLab):
        @property
        def upscaler(self):
            pipe = super().upscaler
            encode = pipe.image_processor.preprocess

            def seen(image, *args, **kwargs):
                sizes.append(tuple(image.shape[-2:]))
                return encode(image, *args, **kwargs)

            pipe.image_processor.preprocess = seen
            return pipe

    models = Watching()
    purifier = build("sr", steps=2).prepared(models.profile, "person")
    x = torch.rand(1, 3, 32, 32)
    out = purifier.run(x, models, lambda info: None)
    assert out.shape == x.shape
    assert sizes == [(16, 16)]


def test_a_metric_on_a_measure_says_whether_it_can_be_had():
    models = SimpleNamespace(has=lambda *roles: "measure:damage" in roles)
    assert Intactness.available(models)
    assert not AttributeMatch.available(models)
