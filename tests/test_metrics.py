"""Metrics on tiny real models with random weights, and on pictures whose score is known."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio
from transformers import (
    ResNetConfig,
    ResNetForImageClassification,
    ResNetModel,
    YolosConfig,
    YolosForObjectDetection,
)

from shortcut_nb.metrics import (
    METRICS,
    ClipQuality,
    CoarseTexture,
    Column,
    Detection,
    Detector,
    Faithfulness,
    IdentityEncoder,
    IdentityMatch,
    Metric,
    ObjectDetector,
    Texture,
    describe,
    psnr,
    score_pictures,
    ssim,
)
from shortcut_nb.models.clip import Clip

from .tiny import save_tiny_clip

SHAPE = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}


def pictures(n=4, size=32, seed=0):
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("identity")
    ResNetModel(ResNetConfig(**SHAPE)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def encoder(encoder_folder):
    return IdentityEncoder.from_folder(encoder_folder)


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    """A detector that calls a picture a person when it is bright: its head reads one feature."""
    torch.manual_seed(0)
    labels = {0: "none", 1: "person"}
    config = ResNetConfig(**SHAPE, id2label=labels, label2id={v: k for k, v in labels.items()})
    model = ResNetForImageClassification(config).eval()
    dark, bright = torch.zeros(1, 3, 32, 32), torch.ones(1, 3, 32, 32)
    with torch.no_grad():
        ends = [model.resnet((x - 0.5) / 0.5).pooler_output.flatten() for x in (dark, bright)]
        way = ends[1] - ends[0]
        head = model.classifier[1]
        head.weight.zero_()
        head.bias.zero_()
        head.weight[1] = 20 * way / way.square().sum()
        head.bias[1] = -20 * (way @ (ends[0] + ends[1])) / 2 / way.square().sum()
    folder = tmp_path_factory.mktemp("detector")
    model.save_pretrained(folder)
    return Detector.from_folder(folder)


@pytest.fixture(scope="module")
def quality(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    save_tiny_clip(folder)
    return ClipQuality(Clip.open(folder))


def bright_and_dark():
    return torch.stack(
        [torch.ones(3, 32, 32), torch.zeros(3, 32, 32), torch.ones(3, 32, 32) * 0.97]
    )


def test_columns_are_named_for_what_the_profiles_models_measure():
    from shortcut_nb.metrics import describe
    from shortcut_nb.profile import load_profile

    mini, real = load_profile("mini"), load_profile("sd21")
    assert describe("ims", mini).label == "identity match where there is a face"
    assert describe("ims", real).label == "subject fidelity (DINOv2) where there is a person"
    assert describe("face_missing", mini) == describe("face_missing")
    assert describe("face_missing", real).label == "no person found"
    assert describe("no_face", real).label == "no face in the photo"
    for profile in (mini, real):
        for metric in METRICS.values():
            assert {describe(c, profile).better for c in metric.columns} <= {
                "higher",
                "lower",
                None,
            }
    for metric in (METRICS["identity"], METRICS["detection"]):
        assert set(metric.named(real)) == set(metric.columns)


def test_registry_names_are_the_classes_names():
    assert set(METRICS) == {
        "identity", "attributes", "detection", "quality", "intactness", "texture",
        "coarse_texture", "faithfulness", "faces",
    }  # fmt: skip
    assert all(cls.name == name for name, cls in METRICS.items())


def test_every_metric_gives_one_number_per_picture(encoder, detector, quality):
    x = pictures()
    for metric in (
        IdentityMatch(encoder, detector),
        Detection(detector),
        quality,
        Texture(),
        Faithfulness(),
    ):
        assert isinstance(metric, Metric)
        kept = x.clone()
        columns = metric(x, pictures(seed=1))
        assert set(columns) == set(metric.columns)
        assert all(c.shape == (4,) and c.dtype == np.float64 for c in columns.values())
        assert torch.equal(x, kept)


class Redness:
    """A metric of nobody's, as a user would write it."""

    name = "redness"
    needs = "nothing"
    columns = {"redness": Column("red", "%", "lower")}

    @classmethod
    def open(cls, models):
        return cls()

    def __call__(self, images, references=None):
        return {"redness": 100 * images[:, 0].mean(dim=(1, 2)).double().numpy()}


def test_a_registered_metric_is_scored_and_named(encoder, detector, quality, monkeypatch):
    models = SimpleNamespace(
        clip=quality.clip, identity=encoder, detector=detector, has=lambda *roles: False
    )
    x, clean = pictures(), pictures(seed=1)
    before = score_pictures(METRICS, models, x, clean)
    assert "redness" not in before and "psnr" not in before
    monkeypatch.setitem(METRICS, "redness", Redness)
    frame = score_pictures(METRICS, models, x, clean)
    np.testing.assert_allclose(frame["redness"], 100 * x[:, 0].mean(dim=(1, 2)), rtol=1e-6)
    assert frame.drop(columns="redness").equals(before)
    assert str(describe("redness")) == "red (%)" and describe("redness").better == "lower"


def test_a_metric_that_gives_other_columns_than_it_describes_is_named(monkeypatch):
    monkeypatch.setattr(Redness, "columns", {"rosiness": Column("rosy")})
    with pytest.raises(ValueError, match="'redness' describes .*rosiness.* gave .*redness"):
        score_pictures({"redness": Redness}, None, pictures(), pictures())


def test_every_column_has_a_name_and_an_unknown_one_its_own():
    assert str(describe("psnr")) == "PSNR (dB)" and describe("psnr").better == "higher"
    assert str(describe("train_seconds")) == "time to train (s)"
    assert describe("never_heard_of").label == "never heard of"
    names = [name for metric in METRICS.values() for name in metric.columns]
    assert len(names) == len(set(names))


def test_embedding_is_the_networks_pooled_output(encoder, encoder_folder):
    x = pictures()
    raw = ResNetModel.from_pretrained(encoder_folder).eval()
    with torch.no_grad():
        expected = raw(x * 2 - 1).pooler_output.flatten(1)
    expected = expected / expected.norm(dim=-1, keepdim=True)
    assert torch.allclose(encoder(x), expected, atol=1e-5)


def test_colours_are_normalised_and_pictures_resized(encoder_folder, encoder):
    x = pictures(2, size=48)
    other = IdentityEncoder.from_folder(
        encoder_folder, size=32, pixel_mean=(0.4,) * 3, pixel_std=(0.2,) * 3
    )
    small = torch.nn.functional.interpolate(x, (32, 32), mode="bilinear", antialias=True)
    with torch.no_grad():
        raw = other.model((small - 0.4) / 0.2).pooler_output.flatten(1)
    assert torch.allclose(other(x), raw / raw.norm(dim=-1, keepdim=True), atol=1e-5)
    assert not torch.allclose(other(x), encoder(x), atol=1e-2)


def test_texture_sees_noise_and_not_edges():
    flat = torch.full((1, 3, 64, 64), 0.5)
    edge = flat.clone()
    edge[..., 32:] = 0.9
    for clean in (flat, edge):
        assert Texture()(clean)["texture"] == pytest.approx([0.0])
    draw = torch.Generator().manual_seed(0)
    for std in (0.02, 0.05):
        grey = std * torch.randn(1, 1, 64, 64, generator=draw).expand(1, 3, 64, 64)
        levels = Texture()(edge.clone().clamp(0.2, 0.8) + grey)["texture"]
        assert levels == pytest.approx([0.63 * std * 255], rel=0.05)
        colours = std * torch.randn(1, 3, 64, 64, generator=draw)
        levels = Texture()(edge.clone().clamp(0.2, 0.8) + colours)["texture"]
        assert levels == pytest.approx([0.74 * std * 255], rel=0.05)


def test_coarse_texture_sees_blotches_and_little_grain():
    draw = torch.Generator().manual_seed(1)
    grain = 0.5 + 0.05 * torch.randn(1, 1, 64, 64, generator=draw).expand(1, 3, 64, 64)
    cells = torch.randn(1, 1, 16, 16, generator=draw)
    blotches = 0.5 + 0.05 * cells.repeat_interleave(4, 2).repeat_interleave(4, 3)
    blotches = blotches.expand(1, 3, 64, 64)
    fine, coarse = (Texture()(x)["texture"][0] for x in (grain, blotches))
    assert fine > 2 * coarse
    fine, coarse = (CoarseTexture()(x)["coarse_texture"][0] for x in (grain, blotches))
    assert coarse > 3 * fine  # an area mean over 16 pixels takes a grain to a quarter
    larger = torch.nn.functional.interpolate(blotches, scale_factor=2)  # at any resolution
    assert CoarseTexture()(larger)["coarse_texture"][0] == pytest.approx(coarse, rel=1e-4)


def test_an_object_detector_says_how_sure_its_surest_person_is(tmp_path):
    torch.manual_seed(0)
    labels = {0: "cat", 1: "person"}
    config = YolosConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        image_size=[32, 32], patch_size=8, num_detection_tokens=5, id2label=labels,
        label2id={v: k for k, v in labels.items()},
    )  # fmt: skip
    YolosForObjectDetection(config).save_pretrained(tmp_path)
    detector = ObjectDetector.from_folder(tmp_path, size=32)
    x = pictures(3, size=40)
    small = torch.nn.functional.interpolate(x, (32, 32), mode="bilinear", antialias=True)
    with torch.no_grad():
        logits = detector.model(small * 2 - 1).logits
    assert logits.shape == (3, 5, 3)  # boxes × (classes and "nothing")
    assert torch.allclose(detector(x), logits.softmax(-1)[:, :, 1].max(1).values, atol=1e-5)


def test_embedding_does_not_depend_on_the_batch(encoder):
    x = pictures(5)
    small = IdentityEncoder(encoder.model, batch=2)
    assert torch.allclose(small(x), encoder(x), atol=1e-5)


def test_a_picture_matches_itself_and_the_mean_is_of_unit_vectors(encoder):
    x, refs = pictures(2), pictures(3, seed=5)
    assert IdentityMatch(encoder)(x[:1], x[:1])["ims"] == pytest.approx([1.0], abs=1e-5)
    mean = encoder(refs).mean(dim=0)
    expected = torch.nn.functional.cosine_similarity(encoder(x), mean[None])
    assert IdentityMatch(encoder)(x, refs)["ims"] == pytest.approx(expected.numpy(), abs=1e-5)


def test_missing_faces_are_told_in_both_ways(encoder, detector):
    columns = IdentityMatch(encoder, detector)(bright_and_dark(), pictures())
    assert np.isnan(columns["ims"]).tolist() == [False, True, False]
    assert columns["ims_missing"][1] == -1
    assert columns["ims_missing"][0] == columns["ims"][0]
    assert columns["ims_missing"][2] == columns["ims"][2]


def test_no_face_at_all_gives_no_similarity(encoder, detector):
    columns = IdentityMatch(encoder, detector)(torch.zeros(2, 3, 32, 32), pictures())
    assert np.isnan(columns["ims"]).all() and columns["ims_missing"].tolist() == [-1, -1]


def test_detection_failure_rate(detector):
    columns = Detection(detector)(bright_and_dark())
    assert columns["face_missing"].tolist() == [0, 1, 0]
    assert columns["face"][0] > 0.99 and columns["face"][1] < 0.01


def test_a_classifier_without_persons_is_refused():
    model = ResNetForImageClassification(ResNetConfig(**SHAPE, num_labels=2))
    with pytest.raises(ValueError, match="person"):
        Detector(model)


def test_quality_is_the_mean_over_pairs(quality):
    x = pictures(3, 64)
    pairs = quality.per_pair(x)
    assert pairs.shape == (3, 4) and (pairs > 0).all() and (pairs < 1).all()
    assert quality(x)["quality"] == pytest.approx(pairs.mean(axis=1))
    first = quality.clip.probabilities(x, list(quality.pairs[2]))[:, 0]
    assert pairs[:, 2] == pytest.approx(first.numpy(), abs=1e-5)


def test_swapped_pairs_swap_the_quality(quality):
    x = pictures(3, 64)
    swapped = ClipQuality(quality.clip, tuple(pair[::-1] for pair in quality.pairs))
    assert swapped(x)["quality"] == pytest.approx(1 - quality(x)["quality"], abs=1e-5)


def test_psnr_is_exact_and_per_picture():
    a = torch.full((2, 3, 16, 16), 0.5)
    b = a.clone()
    b[1] += 0.1
    assert psnr(a, b) == pytest.approx([100.0, 20.0], abs=1e-4)
    x, y = pictures(2), pictures(2, seed=1)
    expected = [
        peak_signal_noise_ratio(i.numpy(), j.numpy(), data_range=1)
        for i, j in zip(x, y, strict=True)
    ]
    assert psnr(x, y) == pytest.approx(expected, abs=1e-4)


def test_ssim_orders_noise_and_is_one_for_equal_pictures():
    x = torch.linspace(0, 1, 32).expand(1, 3, 32, 32).contiguous()
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    some, much = (x + 0.05 * noise).clamp(0, 1), (x + 0.2 * noise).clamp(0, 1)
    assert ssim(x, x) == pytest.approx([1.0])
    assert 1 > ssim(some, x)[0] > ssim(much, x)[0] > 0


def test_what_is_missing_is_said(encoder):
    with pytest.raises(ValueError, match="clean pictures of the person"):
        IdentityMatch(encoder)(pictures())
    with pytest.raises(ValueError, match="originals"):
        Faithfulness()(pictures())
    with pytest.raises(ValueError, match="same shape"):
        psnr(pictures(2), pictures(3))
    with pytest.raises(ValueError, match="11 pixels"):
        ssim(pictures(1, 9), pictures(1, 9))
