"""The CLIP shift against hand-made vectors, and projections that keep what they must."""

import numpy as np
import pytest
import torch

from shortcut_nb.analysis.clip_map import clip_map
from shortcut_nb.analysis.clip_shift import clip_shift
from shortcut_nb.analysis.concepts import CONCEPTS, prompts
from shortcut_nb.analysis.projection import project
from shortcut_nb.machine.threads import threads_put_back
from shortcut_nb.models.clip import Clip

from .tiny import pictures, save_tiny_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    save_tiny_clip(folder)
    return Clip.open(folder)


def clusters(n=12, seed=0):
    """Three tight groups of directions in 16 dimensions, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    return np.eye(16)[labels] * 5 + rng.normal(0, 0.1, (n, 16)), labels


def test_columns_are_what_they_say(clip):
    x = pictures(3)
    frame = clip_shift(clip, x)
    assert list(frame["image"]) == [0, 1, 2]
    e = clip.image(x).numpy()
    person, noise = clip.text(["a photo of a person", "a noisy pattern"]).numpy()
    axis = (noise - person) / np.linalg.norm(noise - person)
    assert frame["concept_similarity"].to_numpy() == pytest.approx(e @ person, abs=1e-5)
    assert frame["noise_similarity"].to_numpy() == pytest.approx(e @ noise, abs=1e-5)
    assert frame["projection"].to_numpy() == pytest.approx(e @ axis, abs=1e-5)
    assert (frame["projection"] ** 2 + frame["orthogonal"] ** 2).to_numpy() == pytest.approx(
        np.ones(3), abs=1e-4
    )
    logit = clip.scale * (e @ person - e @ noise)
    assert frame["concept_probability"].to_numpy() == pytest.approx(
        1 / (1 + np.exp(-logit)), abs=1e-5
    )


def test_a_picture_has_not_shifted_from_itself(clip):
    x = pictures(3)
    frame = clip_shift(clip, x, reference=x)
    changes = ["concept_change", "noise_change", "shift", "shift_projection", "shift_orthogonal"]
    assert np.abs(frame[changes].to_numpy()).max() < 1e-5


def test_going_down_the_gradient_shifts_towards_noise(clip):
    x = pictures(2)
    moved = x.clone().requires_grad_()
    words = clip.text(["a photo of a person", "a noisy pattern"])
    (clip.image(moved) @ (words[1] - words[0])).sum().backward()
    moved = (x + 0.02 * moved.grad.sign()).clamp(0, 1)
    frame = clip_shift(clip, moved, reference=x)
    assert (frame["shift_projection"] > 0).all()
    assert (frame["shift"] ** 2).to_numpy() == pytest.approx(
        (frame["shift_projection"] ** 2 + frame["shift_orthogonal"] ** 2).to_numpy(), rel=1e-3
    )


def test_unpaired_reference_is_its_mean(clip):
    x, refs = pictures(2), pictures(5, seed=3)
    frame = clip_shift(clip, x, reference=refs, paired=False)
    expected = (clip.image(x) - clip.image(refs).mean(dim=0)).norm(dim=-1)
    assert frame["shift"].to_numpy() == pytest.approx(expected.numpy(), abs=1e-5)
    with pytest.raises(ValueError, match="paired=False"):
        clip_shift(clip, x, reference=refs)


def test_equal_prompts_are_refused(clip):
    with pytest.raises(ValueError, match="different meanings"):
        clip_shift(clip, pictures(1), "a photo", "a photo")


def test_pca_is_the_plane_of_largest_variance():
    flat = np.random.default_rng(0).normal(size=(20, 2)) @ np.eye(2, 8)
    points = project(flat, "pca")
    gaps = np.linalg.norm(flat[:, None] - flat[None], axis=-1)
    assert np.linalg.norm(points[:, None] - points[None], axis=-1) == pytest.approx(gaps, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("n", [4, 12])
def test_umap_takes_few_points_and_repeats_itself(n):
    points, labels = clusters(n)
    projected = project(points, "umap", seed=1, neighbors=5)
    assert projected.shape == (n, 2) and np.isfinite(projected).all()
    assert np.array_equal(projected, project(points, "umap", seed=1, neighbors=5))


def test_torchs_threads_are_put_back():
    """UMAP's numba may take them: another number gives other bits, and no training repeats."""
    before = torch.get_num_threads()
    with threads_put_back():
        torch.set_num_threads(before + 1)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("points", "method", "words"),
    [
        (np.zeros((3, 8)), "umap", "at least 4"),
        (np.zeros(8), "pca", "at least 4"),
        (np.full((5, 8), np.nan), "pca", "finite"),
        (np.ones((5, 8)), "tsne", "umap, pca"),
    ],
)
def test_bad_embeddings_are_refused(points, method, words):
    with pytest.raises(ValueError, match=words):
        project(points, method)


def test_gradients_are_not_kept(clip):
    frame = clip_shift(clip, pictures(1).requires_grad_())
    assert torch.is_grad_enabled() and len(frame) == 1


def test_a_map_has_a_point_for_each_picture_and_prompt(clip):
    x = pictures(5)
    seen = clip_map(clip, {"one": x[:3], "two": x[3:]}, "person")
    assert seen.labels[:5] == ["one"] * 3 + ["two"] * 2 and set(seen.labels[5:]) == set(
        seen.prompts
    )
    assert list(seen.planes) == ["UMAP, seed 0", "UMAP, seed 1", "PCA"]
    texts = prompts("person")
    words = [t for kind in ("class", "pattern") for name, (of, _) in CONCEPTS.items() if of == kind
             for t in texts[name]]  # fmt: skip
    parts = [clip.image(x).detach(), clip.text(words)]
    centred = torch.cat([part - part.mean(0) for part in parts])
    assert {len(plane) for plane in seen.planes.values()} == {len(centred)}
    np.testing.assert_allclose(seen.planes["PCA"], project(centred, "pca"), atol=1e-4)
