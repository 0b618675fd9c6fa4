"""Pictures and words of the interventions: shares, shuffles, borrowed perturbations, prompts."""

import pytest
import torch

from shortcut_nb.budget import Budget, linf_pixels
from shortcut_nb.experiments.interventions import (
    CONDITIONS,
    Condition,
    mixed,
    moved,
    pictures,
    sheets_of,
    shuffled,
    told,
)
from shortcut_nb.experiments.stages import Cell, Stages
from shortcut_nb.store import Store

BUDGET = Budget.parse("16/255")


def batches(n=4):
    draw = torch.Generator().manual_seed(0)
    clean = torch.randint(0, 256, (n, 3, 8, 8), generator=draw).float() / 255
    signs = torch.randint(0, 2, clean.shape, generator=draw) * 2.0 - 1
    return clean, BUDGET.project_grid((clean + BUDGET.unit * signs).clamp(0, 1), clean)


@pytest.mark.parametrize(("share", "count"), [(0, 0), (0.25, 1), (0.5, 2), (0.75, 3), (1, 4)])
def test_a_share_of_the_pictures_is_replaced(share, count):
    clean, perturbed = batches()
    found = mixed(clean, perturbed, share)
    changed = [i for i in range(4) if not torch.equal(found[i], clean[i])]
    assert len(changed) == count
    assert all(torch.equal(found[i], perturbed[i]) for i in changed)
    assert torch.equal(clean, batches()[0])  # the input is left as it was


def test_smaller_shares_lie_within_larger_ones():
    clean, perturbed = batches(8)
    for seed in range(3):
        sets = [
            {i for i in range(8) if torch.equal(mixed(clean, perturbed, share, seed)[i],
                                                perturbed[i])}
            for share in (0.25, 0.5, 0.75)
        ]  # fmt: skip
        assert sets[0] < sets[1] < sets[2]
    assert not torch.equal(mixed(clean, perturbed, 0.5, 0), mixed(clean, perturbed, 0.5, 1))


def test_shuffled_perturbations_leave_home_and_stay_in_the_ball():
    clean, perturbed = batches()
    found = shuffled(clean, perturbed, BUDGET)
    BUDGET.check(found, clean)
    assert found.min() >= 0 and found.max() <= 1
    assert torch.equal((found * 255).round() / 255, found)  # a PNG keeps it
    middle = (clean > 0.1) & (clean < 0.9)  # nothing is cut off there
    here, before = found - clean, (perturbed - clean).roll(1, dims=0)
    torch.testing.assert_close(here[middle], before[middle], atol=1e-5, rtol=0)
    for i in range(4):
        assert not torch.equal(found[i], perturbed[i])
    with pytest.raises(ValueError, match="at least two"):
        shuffled(clean[:1], perturbed[:1], BUDGET)


def test_borrowed_perturbations_go_round_when_there_are_fewer():
    clean, perturbed = batches()
    change = torch.full((2, 3, 8, 8), 5 / 255)
    change[1] = -7 / 255
    found = moved(torch.full((3, 3, 8, 8), 100 / 255), change, BUDGET)
    assert [round(float(x.mean() * 255)) for x in found] == [105, 93, 105]
    far = moved(clean, 10 * change, BUDGET)
    assert max(linf_pixels(far, clean)) == 16 and far.min() >= 0 and far.max() <= 1


def test_conditions_are_checked_and_have_their_controls():
    with pytest.raises(ValueError, match="share"):
        Condition(share=1.5)
    with pytest.raises(ValueError, match="place"):
        Condition(place="nowhere")
    with pytest.raises(ValueError, match="words"):
        Condition(words="none")
    for name, condition in CONDITIONS.items():
        if condition.words != "identifier" and condition.attack:
            control = CONDITIONS[f"{name}, clean"]
            assert control.attack is None and control.words == condition.words


def test_pictures_come_from_whom_they_should(lab, subject, tmp_path):
    stages = Stages(lab, Store(tmp_path))
    other, how = lab.subject("mini:held-out/1"), {"eps": "16/255", "seed": 0}
    assert torch.equal(pictures(stages, subject, Condition(None), **how), subject.b)
    own = pictures(stages, subject, Condition("noise"), **how)
    assert torch.equal(own, stages.protect(subject, Cell("noise"), 0))
    lent = pictures(stages, subject, Condition("noise", place="another"), other=other, **how)
    BUDGET.check(lent, subject.b)
    theirs = stages.protect(other, Cell("noise"), 0) - other.b
    middle = (subject.b > 0.1) & (subject.b < 0.9)
    torch.testing.assert_close((lent - subject.b)[middle], theirs[middle], atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="other="):
        pictures(stages, subject, Condition("noise", place="another"), **how)


def test_words_and_prompts(lab, subject):
    stages = Stages(lab)
    caption = told(stages, subject, "caption").instance_prompt
    assert caption.startswith("a photo of a person with ") and "sks" not in caption
    named = told(stages, subject, "traits").instance_prompt
    assert named == caption.replace("a person", "sks person")
    assert told(stages, subject, "noise") is subject
    said = sheets_of(subject, CONDITIONS["protected"], "")
    assert {name: sheet.prompt for name, sheet in said.items()} == {
        "own": "a photo of sks person", "class": "a photo of a person",
        "bare": "a photo of sks", "swapped": "a photo of bhj person",
    }  # fmt: skip
    assert set(sheets_of(subject, CONDITIONS["caption"], caption)) == {"own", "class", "trained"}
    assert all(sheet.negative == "" for sheet in said.values())
