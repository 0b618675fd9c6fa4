"""Measures against their formulas, written out a second time."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from transformers import (
    ResNetConfig,
    ResNetForImageClassification,
    YolosConfig,
    YolosForObjectDetection,
)

from shortcut_nb.analysis.encoder_shift import encoder_shift
from shortcut_nb.analysis.timesteps import timestep_losses
from shortcut_nb.diffusion import draw_normal, sample_generators
from shortcut_nb.images.resizing import resized
from shortcut_nb.metrics import (
    AttributeMatch,
    AttributeReader,
    Detection,
    Detector,
    ObjectDetector,
    ssim,
)
from shortcut_nb.metrics.arcface import _largest
from shortcut_nb.metrics.clean_distance import distance_to
from shortcut_nb.metrics.copying import nearest, spread
from shortcut_nb.metrics.iqa import PyiqaMetric
from shortcut_nb.metrics.texture import CoarseTexture
from shortcut_nb.subjects import Subject


def pictures(n, size=32, seed=0):
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def test_ssim_is_wang_and_colleagues_formula():
    """Gaussian windows of 1.5 pixels, population moments, the mean over places and colours."""
    x, y = pictures(1), (pictures(1) * 0.7 + 0.2 * pictures(1, seed=1)).clamp(0, 1)
    a, b = x[0].double().numpy(), y[0].double().numpy()

    def blurred(z):
        return np.stack([gaussian_filter(c, 1.5, truncate=3.5) for c in z])

    one, two = blurred(a), blurred(b)
    var_a, var_b = blurred(a * a) - one**2, blurred(b * b) - two**2
    both = blurred(a * b) - one * two
    c1, c2 = 0.01**2, 0.03**2
    each = ((2 * one * two + c1) * (2 * both + c2)
            / ((one**2 + two**2 + c1) * (var_a + var_b + c2)))  # fmt: skip
    want = each[:, 5:-5, 5:-5].mean()  # where a window fits
    assert ssim(x, y)[0] == pytest.approx(want, abs=1e-6)


def test_the_perceptual_distance_sums_over_channels(lab):
    x, y = pictures(2, 64), pictures(2, 64, seed=1)
    visual = lab.clip.model.visual
    with torch.no_grad():
        layers = [
            visual.forward_intermediates(lab.clip.prepare(z), intermediates_only=True)[
                "image_intermediates"
            ]
            for z in (x, y)
        ]
        each = []
        for a, b in zip(*layers, strict=True):
            a, b = a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)
            each.append((a - b).square().sum(1).mean((1, 2)))
        torch.testing.assert_close(lab.perceptual(x, y), torch.stack(each).mean(0),
                                   rtol=1e-3, atol=1e-5)  # fmt: skip


def test_a_grain_is_averaged_before_blotches_are_looked_for():
    """One pixel in four of a picture 64 wide is black: at 16 the picture is even."""
    x = torch.ones(1, 3, 64, 64)
    x[..., ::4, ::4] = 0
    x[..., 16:, 1::4] = 0
    area = x.reshape(1, 3, 16, 4, 16, 4).mean((3, 5))
    from shortcut_nb.metrics.texture import Texture

    assert CoarseTexture()(x)["coarse_texture"] == pytest.approx(Texture()(area)["texture"])


def test_a_copy_of_any_picture_is_a_copy():
    trained_on = pictures(4, seed=5)
    likeness = nearest(torch.cat([trained_on[2:3], pictures(1, seed=9)]), trained_on)
    assert likeness[0] == pytest.approx(1.0) and likeness[1] < 0.5


def test_diversity_is_the_mean_distance_to_the_others():
    vectors = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]])
    assert spread(vectors) == pytest.approx([(1 + 2) / 2, (1 + 1) / 2, (2 + 1) / 2])


def test_an_axis_begins_at_its_anchor():
    """Encoded as they are: from the anchor's mean to the noise's mean, whatever clean is."""
    encode = lambda x: x.flatten(1)[:, :2]  # noqa: E731
    place = lambda a, b: torch.tensor([a, b]).view(1, 2, 1, 1)  # noqa: E731
    clean, anchor, noise = place(0.0, 5.0), place(0.0, 0.0), place(2.0, 0.0)
    moved = encoder_shift(encode, place(1.0, 5.0), clean, noise, anchor=anchor).iloc[0]
    assert moved["towards"] == pytest.approx(1.0) and moved["across"] == pytest.approx(0.0)
    assert moved["share"] == pytest.approx(0.5)


def test_losses_by_timestep_are_of_draws_from_the_posterior(tiny_lab):
    model, subject = tiny_lab.diffusion, tiny_lab.subject("mini:held-out/0")
    images = subject.b[:2]
    got = timestep_losses(model, images, "a photo of a person", timesteps=(300,), draws=1, seed=4)
    source = sample_generators(4, 2)
    with torch.no_grad():
        mean, std = model.posterior(images)
        z = mean + std * draw_normal(mean.shape[1:], source)
        noise = draw_normal(mean.shape[1:], source)
        share = model.noise_schedule.alphas_cumprod[300]
        noisy = share.sqrt() * z + (1 - share).sqrt() * noise
        for name, text in (("conditional", "a photo of a person"), ("unconditional", "")):
            context = model.embed([text]).expand(2, -1, -1)
            guess = model.denoise(noisy, torch.tensor([300, 300]), context)
            want = (guess - noise).square().mean((1, 2, 3))
            assert got[name].to_numpy() == pytest.approx(want.numpy(), rel=1e-4)


def test_shrunk_pictures_are_antialiased():
    """Noise is averaged away, where a plain cubic would keep most of it."""
    x = pictures(1, 64)
    assert resized(x, (16, 16)).std() < 0.4 * x.std()


def test_pictures_of_a_subject_in_memory_lie_on_the_8_bit_grid():
    subject = Subject.from_images(pictures(2))
    levels = subject.b * 255
    assert (
        torch.equal(levels.round() / 255, subject.b)
        and (levels - levels.round()).abs().max() < 1e-4
    )


def network_of_brightness(dark, light):
    """It tells a light picture from a dark one by a feature of a small network, else random."""
    torch.manual_seed(0)
    labels = {0: dark, 1: light}
    shape = {"embedding_size": 8, "hidden_sizes": [8], "depths": [1], "layer_type": "basic"}
    config = ResNetConfig(**shape, id2label=labels, label2id={v: k for k, v in labels.items()})
    model = ResNetForImageClassification(config).eval()
    with torch.no_grad():
        ends = [
            model.resnet((torch.full((1, 3, 32, 32), level) - 0.5) / 0.5).pooler_output.flatten()
            for level in (0.0, 1.0)
        ]
        way, head = ends[1] - ends[0], model.classifier[1]
        head.weight.zero_()
        head.bias.zero_()
        head.weight[1] = 20 * way / way.square().sum()
        head.bias[1] = -20 * (way @ (ends[0] + ends[1])) / 2 / way.square().sum()
    return model


def test_a_person_has_the_traits_that_the_pictures_have_on_the_mean():
    """One picture that shows another is outvoted, wherever it stands."""
    reader = AttributeReader(network_of_brightness("hair:DARK", "hair:LIGHT"))
    levels = torch.tensor([0.0, 1.0, 1.0]).view(3, 1, 1, 1).expand(3, 3, 32, 32)
    assert reader.read(levels)["hair"].tolist() == ["DARK", "LIGHT", "LIGHT"]
    for turn in range(3):
        assert reader.of_person(levels.roll(turn, 0)) == {"hair": "LIGHT"}
        assert reader.of_person(1 - levels.roll(turn, 0)) == {"hair": "DARK"}
    assert reader.kept(levels[:1], levels)["hair"].tolist() == [False]


def test_distance_to_clean_training_is_a_ratio_of_mean_distances():
    """Samples among themselves are at 1, each at none from itself."""
    points = torch.tensor([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])

    def encode(x):
        return x.flatten(1)[:, :2]

    def place(rows):
        return rows.view(-1, 2, 1, 1)

    own = np.mean([[np.hypot(*(a - b)) for a in points.numpy()] for b in points.numpy()])
    sample = torch.tensor([[0.0, 5.0], [3.0, 4.0]])
    want = [np.mean([np.hypot(*(x - b)) for b in points.numpy()]) / own for x in sample.numpy()]
    assert distance_to(encode, place(sample), place(points)) == pytest.approx(want)
    assert distance_to(encode, place(points), place(points)).mean() == pytest.approx(1)


def test_a_picture_shows_a_share_of_the_persons_traits(lab):
    reader = lab.measure("attributes")
    person, other = (lab.subject(f"mini:held-out/{i}") for i in (0, 4))
    own, read = reader.of_person(person.c), reader.read(other.b)
    want = [np.mean([row[name] == value for name, value in own.items()])
            for row in read.to_dict("records")]  # fmt: skip
    got = AttributeMatch(reader)(other.b, person.c)["attributes"]
    assert got == pytest.approx(want) and 0 < got.mean() < 1


def test_a_detectors_own_threshold_decides_who_is_found():
    model = network_of_brightness("none", "person")
    grey = torch.linspace(0, 1, 9).view(9, 1, 1, 1).expand(9, 3, 32, 32)
    sure = Detector(model)(grey).numpy()
    for threshold in (0.01, 0.5, 0.99):
        detector = Detector(model, threshold=threshold)
        assert list(detector.detects(grey)) == list(sure >= threshold)
        scored = Detection(detector)(grey)
        assert list(scored["face_missing"]) == list((sure < threshold).astype(float))
        assert scored["face"] == pytest.approx(sure)
    assert 0 < (sure >= 0.01).sum() - (sure >= 0.99).sum() < 9


def test_somebody_is_there_where_one_box_is_sure_of_it():
    """However many others see nobody."""
    torch.manual_seed(0)
    labels = {0: "chair", 1: "person"}
    config = YolosConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        image_size=[32, 32], patch_size=16, num_detection_tokens=5,
        id2label=labels, label2id={name: i for i, name in labels.items()},
    )  # fmt: skip
    model, x = YolosForObjectDetection(config).eval(), pictures(3)
    with torch.no_grad():
        for weights in model.parameters():  # new ones are zero, and all boxes alike
            weights.normal_(std=0.3)
        logits = model((x - 0.5) / 0.5).logits.double().numpy()
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    want = shares[..., 1].max(axis=1)
    assert ObjectDetector(model)(x).numpy() == pytest.approx(want, abs=1e-5)
    assert (want > shares[..., 1].mean(axis=1)).all()


def test_a_judge_is_given_pictures_as_large_as_it_can_take():
    def sides(x):
        return torch.full((len(x), 1), float(min(x.shape[-2:])))

    for name, size, least in (("brisque", 32, 64), ("brisque", 96, 96), ("niqe", 32, 32)):
        scored = PyiqaMetric(name, sides, lower_better=True, batch=2)(pictures(3, size))
        assert scored[name].tolist() == [least] * 3


def test_the_largest_face_is_the_one_of_the_largest_area():
    """Neither the surest, nor the tallest, nor the widest."""
    boxes = np.array([[0, 0, 9, 90, 0.9], [50, 50, 90, 90, 0.2], [0, 0, 99, 9, 0.5]])
    points = np.arange(30.0).reshape(3, 5, 2)
    assert np.array_equal(_largest(boxes, points), points[1])
    assert _largest(boxes[:0], points[:0]) is None
