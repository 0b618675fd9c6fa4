"""How the miniature is trained and judged, against formulas written out a second time."""

import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score
from transformers import ResNetConfig, ResNetForImageClassification, ResNetModel

from shortcut_nb.metrics import DamageRegressor, IdentityEncoder, psnr
from shortcut_nb.mini.attributes import GROUPS
from shortcut_nb.mini.avatars import draw, identity, nuisance
from shortcut_nb.mini.captions import DIRT, describe, describe_degraded
from shortcut_nb.mini.damages import DAMAGES
from shortcut_nb.mini.degradations import _checker, degrade, noise
from shortcut_nb.mini.evaluate import attributes, autoencoder, clips, damage, recognition
from shortcut_nb.mini.evaluate.pictures import held_out, noisy, people, to_batch
from shortcut_nb.mini.evaluate.text_to_image import _nearest
from shortcut_nb.mini.pretrain import encoders, losses, vae
from shortcut_nb.mini.pretrain.damage import spoil


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_pictures_of_a_person_are_drawn_to_each_other_by_their_likelihood_among_all_others():
    """Khosla et al. 2020: the mean over the other pictures of the same person."""
    z = unit(np.random.default_rng(0).normal(size=(8, 5)))  # two people, four pictures each
    each = []
    for i in range(8):
        others = [j for j in range(8) if j != i]
        whole = sum(np.exp(z[i] @ z[j] / encoders.TEMPERATURE) for j in others)
        own = [j for j in others if j // 4 == i // 4]
        each.append(-np.mean([np.log(np.exp(z[i] @ z[j] / 0.1) / whole) for j in own]))
    got = encoders.contrastive_loss(torch.from_numpy(z))
    assert float(got) == pytest.approx(np.mean(each))


def test_every_attribute_counts_and_one_that_is_not_seen_does_not():
    rng, widths = np.random.default_rng(0), [len(values) for values in GROUPS.values()]
    logits = rng.normal(size=(4, sum(widths)))
    labels = np.stack([rng.integers(width, size=4) for width in widths], axis=1)
    labels[1, 1] = -1  # a bald person's colour of hair
    want, start = 0.0, 0
    for column, width in enumerate(widths):
        part = logits[:, start : start + width]
        seen = np.flatnonzero(labels[:, column] >= 0)
        chance = np.exp(part) / np.exp(part).sum(1, keepdims=True)
        want += -np.log(chance[seen, labels[seen, column]]).mean()
        start += width
    got = encoders.attribute_loss(torch.from_numpy(logits), torch.from_numpy(labels))
    assert float(got) == pytest.approx(want)


def test_the_autoencoder_learns_pictures_their_edges_and_a_normal_posterior():
    torch.manual_seed(0)
    model = vae.Autoencoding(vae.build().eval())
    x = torch.rand(2, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        got = vae.loss(model, x, torch.Generator().manual_seed(1))
        posterior = model.vae.encode(x).latent_dist
        normal = torch.randn(posterior.mean.shape, generator=torch.Generator().manual_seed(1))
        y = model.vae.decode(posterior.mean + posterior.std * normal).sample.numpy()
    kl = torch.distributions.kl_divergence(
        torch.distributions.Normal(posterior.mean, posterior.std), torch.distributions.Normal(0, 1)
    )
    away = y - x.numpy()
    want = np.abs(away).mean() + np.square(away).mean() + 1e-4 * kl.mean().item()
    want += np.abs(np.diff(away, axis=2)).mean() + np.abs(np.diff(away, axis=3)).mean()
    assert float(got) == pytest.approx(want, rel=1e-4)
    kl_of_module = model(x, torch.zeros_like(posterior.mean))[1].detach()
    assert float(kl_of_module) == pytest.approx(kl.mean().item(), rel=1e-4)


def test_damage_is_told_by_its_size_and_a_clean_picture_by_none():
    picture = draw(identity("train", 0), nuisance(0))
    told = [spoil(picture, np.random.default_rng(seed)) for seed in range(60)]
    moved = np.array([np.abs(x.astype(float) - picture).mean() for x, _ in told])
    strength = np.array([size for _, size in told])
    assert (moved[strength == 0] == 0).all() and 0 < (strength == 0).sum() < 30
    assert np.corrcoef(moved, strength)[0, 1] > 0.4


def test_faces_are_torn_into_sixteen_squares_and_nothing_is_lost():
    picture = np.arange(64 * 64 * 3).reshape(64, 64, 3)
    torn = encoders._torn(picture, np.random.default_rng(0))

    def squares(x):
        return {x[i : i + 16, j : j + 16].tobytes() for i in range(0, 64, 16)
                for j in range(0, 64, 16)}  # fmt: skip

    assert squares(torn) == squares(picture) and not np.array_equal(torn, picture)


def test_a_run_that_was_killed_logs_a_step_twice_and_the_later_one_counts(tmp_path):
    rows = [{"step": 20, "loss": 5.0}, {"step": 40, "loss": 4.0}, {"step": 20, "loss": 1.0}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    table = losses.read(tmp_path).set_index("step")["loss"]
    assert table.to_dict() == {20: 1.0, 40: 4.0}


@pytest.mark.parametrize("kind", list(DIRT))
def test_a_degraded_picture_is_called_so_by_an_adjective_before_it_or_a_noun_behind(kind):
    adjective, noun = DIRT[kind]
    rng = np.random.default_rng(0)
    told = [describe_degraded("a photo of a person", kind, rng) for _ in range(40)]
    before = {f"a {adjective} photo of a person"}
    behind = {text for text in told if text.startswith("a photo of a person, with ")}
    assert set(told) == before | behind and before < set(told)
    assert all(text.endswith(noun) for text in behind) and behind


def test_noise_is_as_strong_as_it_was_asked_to_be():
    """One standard deviation is a share of the scale; a checkerboard goes both ways."""
    grey = np.full((64, 64, 3), 128, np.uint8)
    for amount in (0.05, 0.2):
        away = [
            (noise(grey, np.random.default_rng(seed), amount).astype(float) - 128) / 255
            for seed in range(40)
        ]
        spread = np.median([one.std() for one in away])
        assert spread == pytest.approx(amount, rel=0.25)
        assert abs(np.mean([one.mean() for one in away])) < 0.1 * amount
    boards = [_checker(60, 60, np.random.default_rng(seed)) for seed in range(8)]
    for board in boards:
        assert np.unique(np.abs(board[..., 0])).size == 1 and abs(board.mean()) < 0.2


def test_jpeg_of_a_degraded_picture_is_coarser_than_anybody_saves_it():
    picture = draw(identity("train", 1), nuisance(3))
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=40)
    usual = np.asarray(Image.open(file).convert("RGB"))
    spoilt = [degrade(picture, "jpeg", np.random.default_rng(seed)) for seed in range(8)]
    away = [np.square(one.astype(float) - picture).mean() for one in (*spoilt, usual)]
    assert min(away[:-1]) > away[-1]


def test_a_caption_finds_its_picture_among_the_pictures(lab):
    """The best picture of each text, not the best text of each picture."""
    count, seed = 12, 0
    drawn = people(count, seed)
    texts = [describe(*one, np.random.default_rng([seed, i]), name_noise=False)
             for i, one in enumerate(drawn)]  # fmt: skip
    cosine = lab.clip.similarity(to_batch([draw(*one) for one in drawn]), texts).numpy()
    found = np.mean([np.argmax(cosine[:, text]) == text for text in range(count)])
    assert clips.recall(lab.clip, seed, count) == pytest.approx(found * count)
    other = np.mean([np.argmax(cosine[row]) == row for row in range(count)])
    assert found != other


def test_a_trait_that_is_not_seen_is_not_asked_about(lab):
    bald = next(i for i in range(400) if identity("held-out", i).hair == "NONE"
                and identity("held-out", i).facial_hair == "NONE")  # fmt: skip
    who = [identity("held-out", i) for i in (0, bald)]
    images = to_batch([draw(one, nuisance(i)) for i, one in enumerate(who)])
    reader = lab.measure("attributes")
    hits = attributes.hits(reader, images, who)
    read = reader.read(images)
    assert len(hits["hair_color"]) == 1 and len(hits["skin"]) == 2
    for name, got in hits.items():
        want = [read[name][i] == getattr(one, name) for i, one in enumerate(who)]
        assert list(got) == want[: len(got)]
    want = np.mean([np.mean(one) for one in hits.values()])
    assert attributes.right(reader, images, who) == pytest.approx(want)


SHAPE = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}


def nearest(rates):
    """How near false alarms and misses come to each other."""
    return min(abs(alarm - miss) for alarm, miss in rates)


def test_pairs_of_pictures_are_told_apart_by_their_cosine():
    """Every pair once; by a network that knows nobody, so that it errs."""
    torch.manual_seed(0)
    encoder = IdentityEncoder(ResNetModel(ResNetConfig(**SHAPE)).eval())
    count, seed = 6, 0
    images, numbers = held_out(count, 2, seed)
    names = [str(identity("held-out", int(i))) for i in numbers]
    got = recognition.verification(encoder, seed, count)
    for word, x in (("clean", images), ("noisy", noisy(images, seed))):
        z = encoder(x).double().numpy()
        pairs = [(i, j) for i in range(len(z)) for j in range(i)]
        value = np.array([z[i] @ z[j] for i, j in pairs])
        same = np.array([names[i] == names[j] for i, j in pairs])
        assert got[f"auc_{word}"] == pytest.approx(roc_auc_score(same, value), abs=1e-6)
        assert got[f"same_{word}"] == pytest.approx(value[same].mean(), abs=1e-5)
        assert got[f"different_{word}"] == pytest.approx(value[~same].mean(), abs=1e-5)
        rates = [(np.mean(value[~same] >= at), np.mean(value[same] < at)) for at in value]
        alarms = [alarm for alarm, miss in rates if abs(alarm - miss) == nearest(rates)]
        assert min(abs(got[f"eer_{word}"] - alarm) for alarm in alarms) < 1e-6
        assert got[f"eer_{word}"] > 0.2


def test_the_nearest_picture_is_told_in_grey_levels():
    source = torch.Generator().manual_seed(0)
    bank, own = (torch.rand(n, 3, 8, 8, generator=source) for n in (5, 2))
    want = [min(((x - y) * 255).square().mean().sqrt().item() for y in bank) for x in own]
    assert _nearest(own, bank).tolist() == pytest.approx(want, rel=1e-4)


def test_a_measure_of_damage_is_as_good_as_at_the_damage_that_it_sees_least():
    """A network that learned nothing is better at some than at others."""
    torch.manual_seed(1)
    config = ResNetConfig(**SHAPE, id2label={0: "damage"}, label2id={"damage": 0})
    regressor = DamageRegressor(ResNetForImageClassification(config).eval())
    got = damage.damage(SimpleNamespace(measure=lambda name: regressor), count=3)
    clean, fresh = held_out(3, 1, 0)[0], held_out(3, 1, 1, first=3)[0]
    base, rising = regressor(clean).numpy(), []
    for kind in DAMAGES:
        each = [regressor(damage.spoiled(fresh, kind, s, 0)).numpy() for s in damage.STRENGTHS]
        means = [base.mean(), *(one.mean() for one in each)]
        rising.append(all(np.diff(means) > 0))
        auc = np.mean([[1.0 * (y > x) for x in base] for y in each[1]])
        assert got[f"auc_{kind}"] == pytest.approx(auc)
    assert got["auc"] == min(got[f"auc_{kind}"] for kind in damage.NEEDED)
    assert got["auc"] < max(got[f"auc_{kind}"] for kind in damage.NEEDED)
    assert got["monotone"] == pytest.approx(np.mean(rising)) and got["monotone"] < 1


def test_traits_lost_in_the_autoencoder_are_points_of_a_hundred(lab):
    got = autoencoder.vae(lab, count=4)
    drawn = people(8, 1)
    who, images = [one for one, _ in drawn], to_batch([draw(*one) for one in drawn])
    reader = lab.measure("attributes")
    shares = [attributes.right(reader, x, who)
              for x in (images, autoencoder.reconstruct(lab, images))]  # fmt: skip
    assert got["attributes_lost"] == pytest.approx(100 * (shares[0] - shares[1]))
    clean = held_out(4, 1, 0)[0]
    kept = psnr(autoencoder.reconstruct(lab, clean), clean).mean()
    assert got["psnr_clean"] == pytest.approx(kept)
