"""Four methods side by side: what is measured, and what the tables say of known numbers."""

import numpy as np
import pandas as pd
import pytest
import torch

from shortcut_nb.experiments import methods
from shortcut_nb.experiments.shipped import compare, shipped, verdict
from shortcut_nb.experiments.stages import Stages
from shortcut_nb.store import Store

SMALL = {"steps": 2, "class_images": 4, "batch_size": 2}


def curves(subjects=6):
    """Identity rises with the steps, then falls; the class follows without a prior."""
    rng, rows = np.random.default_rng(0), []
    for i in range(subjects):
        for method, lost in (("dreambooth", 0.0), ("dreambooth, no prior", 0.2)):
            for share, reached in ((0.0, 0.1), (1.0, 0.8), (2.0, 0.7)):
                level = reached - lost * (share > 0)
                for image in range(2):
                    drift = (0.3 if "no prior" in method else 0.02) * share
                    common = {"subject": f"s{i}", "seed": 0, "method": method, "share": share,
                              "pictures": 4, "image": image}  # fmt: skip
                    jitter = 0.05 * i + 0.002 * rng.normal()
                    rows.append(common | {"ims_missing": level + jitter, "quality": level,
                                          "copies": share / 4, "diversity": 0.1})  # fmt: skip
                    rows.append(common | {"class_likeness": 0.1 + drift + jitter,
                                          "class_moved": drift,
                                          "class_quality": level})  # fmt: skip
    return pd.DataFrame(rows)


def test_tables_of_known_curves():
    prices = [{"method": "dreambooth", "steps": 60, "seconds": 30.0, "bytes": 1000}]
    found = methods.compared(curves(), prices).set_index("method")
    own = found.loc["dreambooth"]
    assert own["learned"] == pytest.approx(0.7, abs=0.01)
    assert verdict(own["learned_holds"]) == "confirmed"
    assert own["later"] == pytest.approx(-0.1, abs=0.01)
    assert verdict(own["later_holds"]) == "refuted"
    assert own["class_drift"] == pytest.approx(0.02, abs=0.01)
    assert (own["seconds"], own["bytes"], own["n"]) == (30.0, 1000, 6)
    assert found.loc["dreambooth, no prior", "class_drift"] == pytest.approx(0.3, abs=0.01)
    assert (
        pd.isna(own["ahead"])
        and verdict(found.loc["dreambooth, no prior", "ahead_holds"]) == "refuted"
    )
    assert found.loc["dreambooth, no prior", "ahead"] == pytest.approx(-0.2, abs=0.01)
    effect = methods.prior(curves()).set_index(["share", "score"])
    assert effect.loc[(2.0, "class_moved"), "difference"] == pytest.approx(-0.56)
    assert verdict(effect.loc[(1.0, "class_likeness"), "difference_holds"]) == "confirmed"


def test_report_writes_numbers_and_figures(tmp_path):
    counts = curves().assign(pictures=2, share=1.0)
    methods.report(curves(), counts, [], tmp_path)
    content = shipped("methods", folder=tmp_path)
    assert {row["method"] for row in content["methods"]} == {"dreambooth", "dreambooth, no prior"}
    for name in ("curves", "pictures", "overfitting", "identity"):
        assert (tmp_path / f"methods_{name}.png").stat().st_size > 1000
    assert compare(methods.prior(curves(1)), content["prior"], ["share", "score"])["asserted"].any()


def test_copies_and_diversity(subject):
    same = subject.b[:1].repeat(3, 1, 1, 1)
    assert methods.nearest(subject.b, subject.b) == pytest.approx(1.0)
    assert (methods.nearest(subject.c, subject.b) < 0.99).all()
    vectors = torch.nn.functional.normalize(same.flatten(1), dim=1)
    assert methods.spread(vectors) == pytest.approx(0.0, abs=1e-5)
    assert methods.spread(torch.eye(3)) == pytest.approx(1.0)
    assert np.isnan(methods.spread(torch.eye(1))).all()


def test_a_learning_curve_of_a_real_training(lab, subject, tmp_path):
    stages = Stages(lab, Store(tmp_path))
    drawn = methods.learning(stages, subject, "dreambooth, no prior", n=2, shares=(0, 1), **SMALL)
    assert set(drawn) == {(step, sheet) for step in (0, 2) for sheet in ("own", "class")}
    frame = methods.curve_of(stages, subject, "dreambooth, no prior", 0, drawn, **SMALL)
    assert sorted(frame["share"].unique()) == [0, 1]
    own, cls = frame[frame["sheet"] == "own"], frame[frame["sheet"] == "class"]
    assert own[["ims_missing", "copies", "diversity"]].notna().all(axis=None)
    assert cls["ims_missing"].isna().all() and cls["class_likeness"].notna().all()
    moved = cls.groupby("step")["class_moved"].mean()
    assert moved[0] == pytest.approx(0, abs=1e-5) and moved[2] > moved[0]


def test_price_is_that_of_the_whole_training(lab, subject, tmp_path):
    stages = Stages(lab, Store(tmp_path))
    full = methods.price(stages, subject, "textual-inversion", steps=3)
    assert full["steps"] == lab.personalize("textual-inversion").steps
    assert full["seconds"] == pytest.approx(full["seconds_per_step"] * full["steps"])
    width = lab.diffusion.pipe.text_encoder.config.hidden_size
    assert width * 4 <= full["bytes"] < width * 4 + 1000  # one row, and a header
    with pytest.raises(ValueError, match="at least 3"):
        methods.price(stages, subject, "textual-inversion", steps=2)
