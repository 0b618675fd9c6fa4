"""Recipes: keys that are known before anything runs, and follow what makes a thing."""

from dataclasses import dataclass, field

import pytest
import torch
from pydantic import BaseModel

from shortcut_nb.budget import Budget
from shortcut_nb.store import Recipe, canonical, digest

BASE = {"stage": "purify", "version": "1", "params": {"eps": Budget(8)}, "inputs": {"x": "abc"}}


@pytest.mark.parametrize(
    "other",
    [
        {"stage": "protect"},
        {"version": "2"},
        {"params": {"eps": Budget(9)}},
        {"inputs": {"x": "abd"}},
        {"inputs": {"y": "abc"}},
    ],
)
def test_each_part_of_a_recipe_counts(other):
    assert Recipe(**BASE) == Recipe(**BASE)
    assert Recipe(**BASE).key != Recipe(**(BASE | other)).key


def test_a_change_far_upstream_reaches_the_last_key():
    def chain(eps):
        protected = Recipe("protect", params={"eps": eps}, inputs={"pictures": "abc"})
        trained = Recipe("train", inputs={"images": protected})
        return Recipe("sample", inputs={"model": trained}).key

    assert chain("8/255") == chain("8/255") != chain("9/255")


def test_settings_say_themselves_what_they_are_made_of():
    @dataclass
    class Old:
        steps: int = 3

    @dataclass
    class New:
        steps: int = 3
        more: int = field(default=1, metadata={"omit": True})
        bars: bool = field(default=False, compare=False)

    class Model(BaseModel):
        steps: int = 3

    New.__name__ = "Old"
    assert canonical(New()) == canonical(Old()) == canonical(New(bars=True))
    assert canonical(New(more=2)) != canonical(Old())
    assert canonical(Model()) == '{"steps":3}' and canonical(Budget(8)) == '"8/255"'


def test_keys_are_canonical():
    assert canonical({"b": (1, 2), "a": Budget(8)}) == '{"a":"8/255","b":[1,2]}'
    with pytest.raises(ValueError, match="finite"):
        canonical(float("nan"))
    for wrong in (torch.ones(1), {1: 2}, {1, 2}, print):
        with pytest.raises(TypeError, match="recipe"):
            canonical(wrong)


def test_digests_follow_content_not_place(tmp_path):
    x = torch.rand(4, 4)
    assert digest(x) == digest(x.clone()) == digest(x.t().contiguous().t()) == digest(x.numpy())
    assert len({digest(x), digest(x.reshape(2, 8)), digest(x.double())}) == 3
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text("same")
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    (tmp_path / "b" / "f").write_text("other")
    assert digest(tmp_path / "a") != digest(tmp_path / "b")
    with pytest.raises(TypeError, match="expected an array"):
        digest(3)
    with pytest.raises(FileNotFoundError):
        digest(tmp_path / "nothing")
