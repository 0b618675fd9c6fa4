"""What two trainings of the same people say of each other."""

import numpy as np
import pandas as pd
import pytest

from shortcut_nb.experiments.contrasts import Contrast
from shortcut_nb.reporting import seeds


def frame(shift, people=8):
    """Quality of two cells on two seeds; the second seed lowers one cell by ``shift``."""
    draw = np.random.default_rng(0)
    rows = [
        {
            "condition": condition,
            "subject": f"person {person}",
            "seed": seed,
            "sheet": "instance",
            "quality": draw.normal(0.5, 0.05) - shift * seed * (condition == "attacked"),
        }
        for condition in ("clean", "attacked")
        for person in range(people)
        for seed in (0, 1)
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def measured(monkeypatch):
    def put(*frames):
        harm = Contrast(
            "harm", "quality", {"attacked": 1.0, "clean": -1.0}, expect="-", primary=True
        )
        kept = {f"question {i}": one for i, one in enumerate(frames)}

        class Kept:
            contrasts = [harm]

            def __init__(self, name):
                self.name, self.frame = name, kept[name]

            read = classmethod(lambda cls, name: cls(name))

        monkeypatch.setattr(seeds, "available", lambda: sorted(kept))
        monkeypatch.setattr(seeds, "Measurement", Kept)

    return put


def test_a_difference_between_seeds_is_seen_and_none_is_not(measured):
    measured(frame(0.0), frame(0.3))
    table = seeds.between_seeds().set_index("question")
    assert table.loc["question 0", "p"] > 0.05 > table.loc["question 1", "p"]
    fall = table["second"] - table["first"]
    assert fall["question 1"] == pytest.approx(-0.3, abs=0.06)
    assert fall["question 0"] == pytest.approx(0.0, abs=0.06)


def test_one_seed_or_few_people_say_nothing(measured):
    whole = frame(0.3)
    measured(whole[whole["seed"] == 0], frame(0.3, people=5), whole)
    assert seeds.between_seeds()["question"].tolist() == ["question 2"]


def test_the_sentence_counts_those_whose_sign_changed(measured):
    turned = frame(0.0).assign(
        quality=lambda t: t["quality"] + 0.2 * (1 - 2 * t["seed"]) * (t["condition"] == "clean")
    )
    measured(turned)
    assert "Of those named beforehand 0 of the 1 have the same sign" in seeds.sentence()


def test_the_page_has_the_shipped_results_own_numbers():
    table = seeds.between_seeds()
    assert len(table) > 400 and set(table["metric"]) > {"quality", "texture", "ims_missing"}
    assert f"Of {len(table)} predictions" in seeds.sentence()
