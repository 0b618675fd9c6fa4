"""One fine-tuning sampled at several steps equals as many fine-tunings."""

import pytest
import torch

from shortcut_nb.experiments.sheets import Sheet, draw, score
from shortcut_nb.experiments.stages import Stages
from shortcut_nb.store import Store


@pytest.mark.slow
def test_samples_on_the_way_equal_those_of_shorter_trainings(lab, tmp_path):
    stages, subject = Stages(lab, Store(tmp_path)), lab.subject("mini:held-out/0")
    sheets = {"own": Sheet(), "class": Sheet(subject.class_prompt, guidance_scale=2.0)}
    short = {"steps": 3, "class_images": 4}
    drawn = draw(
        stages, subject, subject.b, lab.personalize(**short), sheets, at=(0, 2), n=2, seed=1
    )
    assert set(drawn) == {(step, name) for step in (0, 2, 3) for name in sheets}
    alone = lab.personalize(**short | {"steps": 2}).fit(subject, subject.b)
    own = drawn[2, "own"]
    assert (own - alone.sample(2, seed=1)).abs().max() <= 0.5 / 255 + 1e-6  # as PNG keeps it
    assert not torch.equal(own, drawn[3, "own"])
    frame = score(stages, subject, drawn)
    assert len(frame) == 12 and frame["noise"].between(0, 1).all()


def test_a_step_beyond_the_last_is_refused(lab, tmp_path):
    stages, subject = Stages(lab, Store(tmp_path)), lab.subject("mini:held-out/0")
    with pytest.raises(ValueError, match="0…3"):
        draw(stages, subject, subject.b, lab.personalize(steps=3), {"own": Sheet()}, at=(4,))
