"""The miniature's measures: attributes, and how damaged a picture is."""

import numpy as np
import pytest
import torch

from shortcut_nb.errors import UserError
from shortcut_nb.metrics import METRICS, Intactness, score_pictures
from shortcut_nb.mini.avatars import draw, identity, nuisance
from shortcut_nb.mini.damages import DAMAGES, damage
from shortcut_nb.models import Models
from shortcut_nb.profile import load_profile


def avatars(people, seed=0, split="held-out"):
    rng = np.random.default_rng(seed)
    rows = [draw(identity(split, int(i)), nuisance(int(rng.integers(1 << 40)))) for i in people]
    return torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2).float() / 255


def test_a_profile_without_measures_leaves_their_metrics_out(lab):
    full = set(lab.score(lab.subject("mini:held-out/0").b, lab.subject("mini:held-out/0")))
    assert {"attributes", "intact"} <= full
    poorer = Models(lab.profile.model_copy(update={"measures": {}}))
    x = avatars([0, 1])
    assert full - set(score_pictures(METRICS, poorer, x, x)) == {"attributes", "intact"}
    with pytest.raises(UserError, match="measure:damage"):
        poorer.measure("damage")


def test_every_weight_of_a_measure_counts_in_its_digest(lab):
    names = load_profile("mini").measures
    assert set(names) >= {"attributes", "damage"}
    digests = {lab.digest(f"measure:{name}") for name in names}
    assert len(digests) == len(names)


def test_attributes_are_read_off_clean_pictures_of_people_never_seen(lab):
    reader = lab.measure("attributes")
    people = list(range(60))
    table = reader.read(avatars(people))
    truth = [identity("held-out", i) for i in people]
    for attribute in ("hair", "skin", "glasses", "facial_hair"):
        right = [value == getattr(who, attribute) for value, who in zip(table[attribute], truth)]
        assert np.mean(right) > 0.9, attribute


@pytest.mark.parametrize("kind", ["grain", "blotches", "texture", "blur", "washed out", "blocks"])
def test_intactness_falls_with_every_kind_of_damage(lab, kind):
    metric = Intactness(lab.measure("damage"))
    clean = (avatars(range(16)).permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)
    levels = []
    for strength in (0.0, 0.3, 0.6, 1.0):
        rng = np.random.default_rng(1)
        rows = np.stack([damage(one, kind, strength, rng) for one in clean])
        images = torch.from_numpy(rows).permute(0, 3, 1, 2).float() / 255
        levels.append(metric(images)["intact"].mean())
    assert levels[0] > levels[1] > levels[2] > levels[3], levels
    assert levels[0] > 0.9
    assert kind in DAMAGES
