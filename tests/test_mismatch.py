"""The mismatch table on frames with known answers; the measures on the real miniature."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from shortcut_nb.analysis.controls import KINDS
from shortcut_nb.budget import linf_pixels
from shortcut_nb.experiments import mismatch, shifts
from shortcut_nb.experiments.shipped import Shipped, shipped
from shortcut_nb.experiments.stages import Cell, Stages
from shortcut_nb.metrics import psnr
from shortcut_nb.plots.scatter import planes_plot, scatter_plot

# condition: (shift towards noise, quality, identity, PSNR)
LEVELS = {
    "clean": (0.0, 0.9, 0.5, 100.0), "noise": (0.1, 0.8, 0.52, 24.0),
    "noise-uniform": (0.2, 0.7, 0.54, 29.0), "advdm": (0.3, 0.6, 0.56, 25.0),
    "aspl": (0.4, 0.5, 0.58, 25.5), "clip-shift": (0.9, 0.3, 0.6, 27.0),
}  # fmt: skip


def frames(subjects=6):
    """Shifts that go with quality's fall, against identity's, and not with texture."""
    rng, moved, scored = np.random.default_rng(0), [], []
    for i in range(subjects):
        for condition, (shift, quality, identity, decibels) in LEVELS.items():
            key = {"condition": condition, "eps": "16/255", "subject": f"s{i}", "seed": 0}
            # A measure must vary: small noise of its own for all but the one with an answer.
            noise = dict(zip(shifts.MEASURES, rng.normal(0, 0.1, len(shifts.MEASURES))))
            moved.append(key | noise | {"clip_towards": shift + 0.01 * rng.normal(),
                                        "psnr": decibels + 0.1 * rng.normal(),
                                        "pattern_margin": -0.9})  # fmt: skip
            for image in range(3):
                scored.append(key | {"image": image, "prompt": "instance",
                                     "quality": quality + 0.05 * i + 0.01 * rng.normal(),
                                     "ims_missing": identity + 0.01 * rng.normal(),
                                     "texture": rng.normal()})  # fmt: skip
                scored.append(scored[-1] | {"prompt": "class", "quality": 0.0})
    return pd.DataFrame(moved), pd.DataFrame(scored)


def test_harms_are_differences_from_clean_within_a_subject():
    found = mismatch.harms(frames()[1])
    assert set(found["condition"]) == set(LEVELS) - {"clean"} and len(found) == 5 * 6
    means = found.groupby("condition")[list(mismatch.HARMS)].mean()
    assert means.loc["aspl", "quality_fall"] == pytest.approx(0.4, abs=0.02)
    assert means.loc["aspl", "identity_fall"] == pytest.approx(-0.08, abs=0.02)
    # Subjects differ by 0.05 each; within them nothing is left of it.
    assert found[found["condition"] == "aspl"]["quality_fall"].std() < 0.02


def test_points_keep_what_was_not_trained_on():
    moved, scored = frames()
    aspl = moved[moved["condition"] == "aspl"]
    extra = [aspl.assign(condition=name) for name in ("= blur", "≤ blur", "aspl, purified")]
    rows = mismatch.points(pd.concat([moved, *extra]), scored)
    kinds = rows.drop_duplicates("condition").set_index("condition")["kind"]
    assert kinds.to_dict() == {
        "noise": "random noise", "noise-uniform": "random noise", "advdm": "attack",
        "aspl": "attack", "clip-shift": "CLIP shift", "= blur": "equal PSNR",
        "≤ blur": "equal l∞", "aspl, purified": "purified",
    }  # fmt: skip
    untrained = rows["kind"].str.match("equal|purified")
    assert rows[untrained]["quality_fall"].isna().all()
    assert rows[~untrained]["quality_fall"].notna().all()


def test_verdicts_on_a_frame_with_known_answers():
    rows = mismatch.points(*frames())
    correlated = mismatch.correlations(rows, 400)
    assert len(correlated) == 2 * len(shifts.MEASURES) * 3 * 2  # pools, measures, harms, given
    found = {row["prediction"]: row for row in mismatch.verdicts(rows, correlated)}
    says = {name: row["verdict"] for name, row in found.items()}
    assert says["ASPL moves CLIP more than random signs"] == "confirmed"
    assert says["CLIP calls the pictures a pattern after ASPL"] == "refuted"
    assert says["the CLIP-shift attack moves CLIP more than ASPL"] == "confirmed"
    assert says["intervention: quality falls more than by random signs"] == "confirmed"
    assert says["intervention: identity falls more than by random signs"] == "refuted"
    assert says["clip_towards goes with quality_fall"] == "confirmed"
    assert says["clip_towards goes with quality_fall, given PSNR"] == "confirmed"
    assert says["clip_towards goes with identity_fall"] == "refuted"
    assert says["clip_towards goes with texture_rise"] == "undecided"
    assert "ASPL moves CLIP more than blur of its PSNR" not in says  # was not measured
    row = found["clip_towards goes with quality_fall"]
    without = [rows[rows["condition"] != name] for name in rows["condition"].unique()]
    each = [spearmanr(part["clip_towards"], part["quality_fall"])[0] for part in without]
    assert [row["lowest"], row["highest"]] == pytest.approx([min(each), max(each)])
    assert row["value"] == pytest.approx(spearmanr(rows["clip_towards"], rows["quality_fall"])[0])
    assert (row["n"], row["clusters"], row["conditions"]) == (30, 6, 5)


def test_budgets_are_not_mixed():
    """Two budgets differ in shift and in harm; within each there is nothing to find."""
    moved, scored = frames()
    pairs = [
        (m.assign(eps=eps, clip_towards=m["clip_towards"] * 0 + np.arange(len(m)) % 7 + step),
         s.assign(eps=eps, quality=s["quality"].where(s["condition"] == "clean", 0.9 - step)))
        for (m, s), eps, step in ((frames(), "8/255", 0.0), (frames(), "16/255", 9.0))
    ]  # fmt: skip
    rows = mismatch.points(*(pd.concat(parts) for parts in zip(*pairs)))
    own = [r for r in mismatch.correlations(rows, 0)
           if (r["measure"], r["harm"]) == ("clip_towards", "quality_fall")]  # fmt: skip
    assert {row["eps"] for row in own} == {"8/255", "16/255", mismatch.EVERY}
    for row in own:
        within = row["eps"] != mismatch.EVERY
        if within:
            assert abs(row["value"]) < 0.5
        elif not row["given"]:
            assert row["value"] > 0.5
        assert row["conditions"] == {"all": 5, "attacks": 3}[row["pool"]] * (1 if within else 2)


def test_report_can_be_read_back_and_checked(tmp_path):
    moved, scored = frames()
    mismatch.report(moved, scored, tmp_path)
    content = shipped("mismatch", folder=tmp_path)
    assert {p["verdict"] for p in content["predictions"]} == {"confirmed", "refuted", "undecided"}
    assert len(content["points"]) == 30 and content["budgets"] == ["16/255"]
    assert (tmp_path / "mismatch_scatter.png").stat().st_size > 1000
    one = mismatch.points(moved[moved["subject"] == "s0"])
    table = mismatch.beside(one, content).set_index("prediction")
    assert table.loc["the CLIP-shift attack moves CLIP more than ASPL", "asserted"]
    swapped = one.assign(
        condition=one["condition"].replace({"aspl": "clip-shift", "clip-shift": "aspl"})
    )
    with pytest.raises(AssertionError, match="not as the larger run"):
        mismatch.beside(swapped, content)
    elsewhere = Shipped(content, "mini", same=False)
    assert not mismatch.beside(swapped, elsewhere)["asserted"].any()


def test_points_join_those_that_are_there(tmp_path):
    """Added later or measured at once: the same points and the same predictions."""
    moved, scored = frames()
    mismatch.report(moved, scored, tmp_path / "once")
    mismatch.report(*(part[part["condition"] != "advdm"] for part in (moved, scored)), tmp_path)
    late = [part[part["condition"].isin(["clean", "advdm"])] for part in (moved, scored)]
    mismatch.report(*late, tmp_path, shipped("mismatch", folder=tmp_path))
    once, added = (shipped("mismatch", folder=folder) for folder in (tmp_path / "once", tmp_path))
    by = ["condition", "subject"]
    points = [
        pd.DataFrame(one["points"]).sort_values(by, ignore_index=True) for one in (once, added)
    ]
    pd.testing.assert_frame_equal(*points)
    says = [[(row["prediction"], row["verdict"]) for row in one["predictions"]]
            for one in (once, added)]  # fmt: skip
    assert says[0] == says[1]


def test_clean_pictures_have_not_shifted_and_are_measured_once(lab, subject, monkeypatch):
    stages = Stages(lab)
    found = shifts.measures(stages, subject, subject.b)
    assert set(found) == {*shifts.MEASURES, "psnr", "pattern_margin"}
    assert found.pop("psnr") == 100 and found.pop("pattern_margin") < -0.9
    assert list(found.values()) == pytest.approx([0] * len(shifts.MEASURES), abs=1e-5)

    def twice(*args, **kwargs):
        raise RuntimeError("measured again")

    monkeypatch.setattr(shifts, "denoising_shift", twice)
    assert shifts.measures(stages, subject, subject.b)["clip_shift"] == found["clip_shift"]
    with pytest.raises(RuntimeError, match="measured again"):
        shifts.measures(stages, subject, subject.a)


def test_controls_have_the_size_of_what_they_control(lab, subject):
    noisy = Stages(lab).protect(subject, Cell("noise"), 0)
    found = shifts.controls(subject.b, noisy)
    assert list(found) == [f"= {kind}" for kind in KINDS]
    for images in found.values():
        assert psnr(images, subject.b) == pytest.approx(psnr(noisy, subject.b), abs=0.1)
    bounded = set(both := shifts.controls(subject.b, noisy, eps="8/255")) - set(found)
    assert bounded == {f"≤ {kind}" for kind in KINDS[1:]}
    for name in bounded:
        assert max(linf_pixels(both[name], subject.b)) <= 8
    assert max(linf_pixels(both["≤ gaussian"], subject.b)) >= 7


def test_scatter_names_conditions_where_there_is_room():
    rows = mismatch.points(*frames())
    fig = scatter_plot(rows, "clip_towards", {"quality_fall": "quality", "texture_rise": "texture"})
    assert [ax.get_ylabel() for ax in fig.axes] == ["quality", "texture"]
    assert {text.get_text() for text in fig.axes[0].texts} == set(LEVELS) - {"clean"}
    crowd = rows["condition"] != rows["condition"].iloc[0]  # all but one in one place
    apart = rows.assign(clip_towards=0.5 * crowd, quality_fall=0.5 * crowd)
    (ax,) = scatter_plot(apart, "clip_towards", {"quality_fall": "quality"}).axes
    names = {text.get_text() for text in ax.texts}
    assert len(names) == 2 and rows["condition"].iloc[0] in names
    here = rows.assign(clip_towards=0.5, quality_fall=0.5)  # every name in one place
    (ax,) = scatter_plot(here, "clip_towards", {"quality_fall": "quality"}).axes
    assert len(ax.texts) == 1
    with pytest.raises(KeyError, match="nothing"):
        scatter_plot(rows, "nothing", {"quality_fall": "quality"})
    with pytest.raises(ValueError, match="got none"):
        scatter_plot(rows.assign(quality_fall=np.nan), "psnr", {"quality_fall": "quality"})


def test_planes_share_a_legend():
    flat = np.random.default_rng(0).normal(size=(6, 2))
    fig = planes_plot({"UMAP": flat, "PCA": flat}, ["a", "b"] * 3)
    assert [ax.get_title() for ax in fig.axes] == ["UMAP", "PCA"]
    assert [text.get_text() for text in fig.axes[1].get_legend().get_texts()] == [
        "a (n=3)", "b (n=3)"
    ]  # fmt: skip
    with pytest.raises(ValueError, match="points"):
        planes_plot({"UMAP": flat[:5]}, ["a"] * 6)
    with pytest.raises(ValueError, match="at least one projection"):
        planes_plot({}, ["a"])
