"""Whatever decides an output is in its key."""

from dataclasses import replace

import pytest
import torch

from shortcut_nb import Lab
from shortcut_nb.budget import Budget
from shortcut_nb.cells import CLEAN, Cell, Sheet
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.pipeline.transplant import shuffled
from shortcut_nb.resuming.work_keys import work_key
from shortcut_nb.store import Store
from shortcut_nb.store.code import _plain
from tests.tiny_sd import save_pipeline

ATTACKED = Cell(attack="advdm", eps="8/255")


def keys(profile, store, subject, cell=ATTACKED, seed=0, sheet=None, n=2, autocast=torch.float32):
    """The key of each stage's output; nothing is made, and no model is opened."""
    pipeline = Pipeline(Lab(profile, "cpu", autocast), Store(store))
    sheet = sheet or Sheet()
    nodes = {
        "protect": pipeline.protect(subject, cell, seed),  # None for clean pictures
        "purify": pipeline.purify(subject, cell, seed),
        "train": pipeline.train(subject, cell, seed),
        "sample": pipeline.sample(subject, cell, seed, sheet, n),
        "score": pipeline.score_samples(subject, cell, seed, sheet, n),
        "changes": pipeline.compare(subject, cell, seed),
    }
    return {name: node and node.recipe.key for name, node in nodes.items()}


@pytest.fixture(scope="module")
def usual(tiny_lab):
    return tiny_lab.profile, tiny_lab.subject("mini:held-out/0")


ALL = {"protect", "purify", "train", "sample", "score", "changes"}


AFTER_TRAINING = {"train", "sample", "score"}


def test_whatever_decides_an_output_is_in_its_key(usual, tmp_path):
    profile, subject = usual
    before = keys(profile, tmp_path, subject)
    assert keys(profile, tmp_path, subject) == before

    def changed(**how):
        given = {"profile": profile, "store": tmp_path, "subject": subject} | how
        after = keys(**given)
        return {name for name in ALL if after[name] != before[name]}

    def profiled(**fields):
        return changed(profile=profile.model_copy(update=fields))

    def pictured(name):
        return changed(subject=replace(subject, **{name: getattr(subject, name).flip(-1)}))

    sampling = profile.sampling.model_copy(update={"steps": 3})
    assert changed(seed=1) == ALL
    assert changed(n=3) == {"sample", "score"}
    assert changed(sheet=Sheet(guidance_scale=2.0)) == {"sample", "score"}
    assert changed(sheet=Sheet(negative="blurry")) == {"sample", "score"}
    assert changed(autocast=torch.bfloat16) == ALL
    assert profiled(sampling=sampling) == ALL
    assert profiled(prior_guidance_scale=3.0) == ALL
    assert pictured("a") == ALL and pictured("b") == ALL and pictured("c") == {"score"}
    assert changed(cell=ATTACKED.model_copy(update={"clean_share": 0.5})) == ALL
    assert changed(cell=ATTACKED.model_copy(update={"purifier": "jpeg"})) == ALL - {"protect"}


def test_a_training_on_clean_photos_is_named_by_what_decides_it(usual, tmp_path):
    """No attack stands before it, whose own key would change too."""
    profile, subject = usual

    def named(given=profile, **how):
        return keys(given, tmp_path, subject, CLEAN, **how)

    before = named()
    sampling = profile.sampling.model_copy(update={"steps": 3})
    for after in (
        named(autocast=torch.bfloat16),
        named(profile.model_copy(update={"sampling": sampling})),
        named(profile.model_copy(update={"prior_guidance_scale": 3.0})),
        named(seed=1),
    ):
        assert {n for n in ALL if after[n] != before[n]} >= AFTER_TRAINING


def test_an_article_that_is_put_right_is_in_a_trainings_key(usual, tmp_path):
    """Such a training had other words before articles of a cell's own prompts were put right."""
    profile, subject = usual
    params = {}
    for class_name in ("airplane", "person"):
        for template in ("a {class_name} called {identifier}", "the {class_name} {identifier}"):
            cell = Cell(instance=template)
            renamed = replace(subject, class_name=class_name)
            node = Pipeline(Lab(profile, "cpu"), Store(tmp_path)).train(renamed, cell, 0)
            params[class_name, template[0]] = node.recipe.params["words"].get("article")
    assert params.pop(("airplane", "a")) == "an" and set(params.values()) == {None}


def test_another_model_makes_another_output_of_each_stage_that_asks_it(usual, tmp_path):
    profile, subject = usual
    save_pipeline(tmp_path / "second", "sd15", seed=1)
    ref = profile.diffusion.model_copy(update={"id": str(tmp_path / "second")})
    other = profile.model_copy(update={"diffusion": ref})
    for purifier, asks in (("jpeg", set()), ("vae", {"purify", "changes"})):
        cell = Cell(attack="noise", eps="8/255", purifier=purifier)
        before, after = (keys(each, tmp_path, subject, cell) for each in (profile, other))
        assert {name for name in ALL if after[name] != before[name]} == AFTER_TRAINING | asks


def test_how_many_stay_clean_is_in_the_key(usual, tmp_path):
    profile, subject = usual
    pipeline = Pipeline(Lab(profile, "cpu"), Store(tmp_path))
    made = {
        pipeline.protect(subject, ATTACKED.model_copy(update={"clean_share": share}), 0).recipe.key
        for share in (0.0, 0.25, 0.5, 1.0)
    }
    assert len(made) == 4


def test_shuffled_perturbations_are_the_picture_befores():
    clean = torch.full((3, 3, 8, 8), 128 / 255)
    levels = torch.tensor([1.0, 2.0, 3.0]).view(-1, 1, 1, 1) / 255
    moved = shuffled(clean, clean + levels, Budget.linf(8)) - clean
    assert [round(255 * one.mean().item()) for one in moved] == [3, 1, 2]


def test_half_done_work_is_gone_on_with_for_the_same_pictures_and_words_alone(usual):
    """Set C is for scores, which no attack and no training sees."""
    _, subject = usual
    before = work_key("aspl", subject)
    for name in ("a", "b"):
        other = replace(subject, **{name: getattr(subject, name).flip(-1)})
        assert work_key("aspl", other) != before
    assert work_key("aspl", replace(subject, c=subject.c.flip(-1))) == before
    for name in ("instance_prompt", "class_prompt", "identifier", "class_name"):
        assert work_key("aspl", replace(subject, **{name: "a dog"})) != before
    assert work_key("advdm", subject) != before
    assert work_key("aspl", replace(subject)) == before


def test_the_order_of_a_set_which_differs_between_runs_is_no_part_of_a_key():
    words = [f"word {number}" for number in range(20)]
    assert _plain(set(words)) == repr(sorted(map(repr, words)))
