"""The mismatch question: predictions on frames with known answers, image probes on real models."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.linear_model import LinearRegression

from shortcut_nb import Lab
from shortcut_nb.analysis.controls import KINDS
from shortcut_nb.analysis.mediation import mediation
from shortcut_nb.analysis.shift_and_harm import correlation, mediate
from shortcut_nb.budget import linf_pixels
from shortcut_nb.cells import Cell
from shortcut_nb.experiments.contrasts import judge
from shortcut_nb.experiments.executor_choice import executor_of
from shortcut_nb.experiments.graph import Choice
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.questions import mismatch
from shortcut_nb.experiments.questions.mismatch import EPS, at
from shortcut_nb.experiments.run import run
from shortcut_nb.metrics import psnr
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.plots.scatter import planes_plot
from shortcut_nb.probes.controls import controls
from shortcut_nb.probes.shifts import SHIFTS
from shortcut_nb.profile import load_profile
from shortcut_nb.reporting import causes
from shortcut_nb.reporting.mismatch import points
from shortcut_nb.store import Store
from tests.tiny_profile import tiny_profile

# condition: (shift towards noise, quality, identity, PSNR)
LEVELS = {
    "clean": (0.0, 0.9, 0.5, 100.0),
    "noise": (0.1, 0.8, 0.52, 24.0),
    "noise-uniform": (0.2, 0.7, 0.54, 29.0),
    "advdm": (0.3, 0.6, 0.56, 25.0),
    "aspl": (0.4, 0.5, 0.58, 25.5),
    "clip-shift": (0.9, 0.3, 0.6, 27.0),
}


def frame(people=6):
    """Shifts that go with quality's fall, against identity's, and not with texture."""
    draw, rows = np.random.default_rng(0), []
    for i in range(people):
        for name, (shift, quality, identity, decibels) in LEVELS.items():
            own = dict(zip(SHIFTS, draw.normal(0, 0.1, len(SHIFTS)), strict=True))
            own |= {
                "clip_towards": shift + 0.01 * draw.normal(),
                "psnr": decibels + 0.1 * draw.normal(),
                "quality": quality + 0.05 * i + 0.01 * draw.normal(),
                "ims_missing": identity + 0.01 * draw.normal(),
                "texture": draw.normal(),
            }
            place = {"condition": at(name, EPS), "eps": EPS, "subject": f"s{i}", "seed": 0}
            rows += [place | own | {"sheet": sheet} for sheet in ("instance", "class")]
    return pd.DataFrame(rows)


def asked(there):
    """The contrasts at the larger budget that a frame can decide."""
    names = set(there["condition"])
    return [
        contrast
        for contrast in mismatch.contrasts(EPS)
        if contrast.metric in there and set(contrast.weights) <= names
    ]


def test_a_world_in_which_the_shift_explains_the_harm():
    table = judge(frame(), asked(frame())).set_index("contrast")["verdict"]
    says = {name.rpartition(", ")[0]: verdict for name, verdict in table.items()}
    assert says["ASPL moves CLIP more than random noise"] == "confirmed"
    assert says["the CLIP-shift attack moves CLIP more than ASPL"] == "confirmed"
    assert says["intervention: quality falls more than by random noise"] == "confirmed"
    assert says["intervention: identity falls more than by random noise"] == "refuted"
    assert says["intervention: texture rises more than by random noise"] == "undecided"


def test_harms_are_differences_from_clean_within_a_person():
    rows = points(frame())
    assert set(rows["condition"]) == set(LEVELS) - {"clean"} and len(rows) == 5 * 6
    means = rows.groupby("condition")[["quality", "ims_missing"]].mean()
    assert means.loc["aspl", "quality"] == pytest.approx(0.4, abs=0.02)
    assert means.loc["aspl", "ims_missing"] == pytest.approx(-0.08, abs=0.02)
    # People differ by 0.05 each; within them nothing is left of it.
    assert rows[rows["condition"] == "aspl"]["quality"].std() < 0.02
    kinds = dict(zip(rows["condition"], rows["kind"], strict=True))
    assert kinds == {
        "noise": "random noise",
        "noise-uniform": "random noise",
        "advdm": "attack",
        "aspl": "attack",
        "clip-shift": "CLIP shift",
    }


def test_a_correlation_says_how_much_hangs_on_one_attack():
    rows = points(frame())
    result = correlation(rows, "clip_towards", "quality", None, 400)
    assert result["value"] == pytest.approx(spearmanr(rows["clip_towards"], rows["quality"])[0])
    without = [rows[rows["condition"] != name] for name in rows["condition"].unique()]
    each = [spearmanr(part["clip_towards"], part["quality"])[0] for part in without]
    assert [result["lowest"], result["highest"]] == pytest.approx([min(each), max(each)])
    assert (result["n"], result["clusters"], result["conditions"]) == (30, 6, 5)
    assert correlation(rows, "clip_towards", "ims_missing", None, 400)["high"] < 0
    partial = correlation(rows, "clip_towards", "texture", "psnr", 400)
    assert partial["low"] < 0 < partial["high"]
    spared = rows.assign(kind=rows["kind"].where(rows["condition"] != "aspl", "purified"))
    assert correlation(spared, "clip_towards", "quality", None, 0)["n"] == 24


def paths(people=400, direct=0.3, seed=0):
    """Rows in which x moves two mediators that share noise, and both move y."""
    draw = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), 6)
    x = np.tile([0.0, 0, 1, 1, 1, 0], people)
    own = draw.normal(size=(people, 3))[who] * 2  # each person's level, in all of them
    shared = draw.normal(size=len(x))
    one = 2.0 * x + shared + draw.normal(size=len(x)) + own[:, 0]
    two = -1.0 * x + shared + draw.normal(size=len(x)) + own[:, 1]
    y = direct * x + 0.5 * one + 0.25 * two + 0.1 * draw.normal(size=len(x)) + own[:, 2]
    return x, {"one": one, "two": two}, y, who


def test_mediation_finds_the_paths_that_made_the_data():
    result = mediation(*paths(), resamples=200)
    want = {"total": 0.3 + 1.0 - 0.25, "direct": 0.3, "one": 1.0, "two": -0.25}
    for path, effect in want.items():
        assert result[path] == pytest.approx(effect, abs=0.06), path
    table = result.table.set_index("path")
    assert result["total"] == pytest.approx(sum(result[path] for path in ("direct", "one", "two")))
    assert (table["low"] < table["effect"]).all() and (table["effect"] < table["high"]).all()
    assert table["share"]["one"] == pytest.approx(result["one"] / result["total"])
    assert (result.rows, result.clusters) == (2400, 400)


def test_mediation_is_scikit_learns_regressions_with_an_intercept_for_each_person():
    """The same by another way: dummies for people instead of centring, scikit-learn's solver."""
    x, mediators, y, who = paths(people=7, seed=3)
    dummies = pd.get_dummies(who).to_numpy(float)

    def slopes(predictors, target):
        design = np.column_stack([*predictors, dummies])
        return LinearRegression(fit_intercept=False).fit(design, target).coef_

    direct, *through = slopes([x, *mediators.values()], y)[:3]
    moved = [slopes([x], each)[0] for each in mediators.values()]
    result = mediation(x, mediators, y, who, resamples=0)
    assert result["direct"] == pytest.approx(direct)
    assert result["total"] == pytest.approx(slopes([x], y)[0])
    for name, a, b in zip(mediators, moved, through, strict=True):
        assert result[name] == pytest.approx(a * b)
    assert result.table["low"].isna().all()


def test_intervals_of_a_mediation_cover_what_they_say():
    hits = 0
    for seed in range(60):
        table = mediation(*paths(people=8, seed=seed), resamples=150).table.set_index("path")
        hits += table.loc["one", "low"] <= 1.0 <= table.loc["one", "high"]
    assert hits / 60 >= 0.85


def test_what_cannot_be_mediated_is_said():
    x, mediators, y, who = paths(people=3)
    with pytest.raises(ValueError, match="at least one mediator"):
        mediation(x, {}, y, who)
    with pytest.raises(ValueError, match="as many values"):
        mediation(x[:5], mediators, y, who)
    with pytest.raises(ValueError, match="does not vary"):
        mediation(who.astype(float), mediators, y, who)
    with pytest.raises(ValueError, match="follows from the others"):
        mediation(x, {"one": mediators["one"], "again": 2 * mediators["one"]}, y, who)
    with pytest.raises(ValueError, match="too few"):
        mediation(x[:4], {k: v[:4] for k, v in mediators.items()}, y[:4], who[:4])


def test_what_attacks_do_beyond_noise_goes_through_what_makes_it():
    """All of the fall of quality is made by the shift here, and none by the loss."""
    there, draw = frame(), np.random.default_rng(5)
    moved = there["clip_towards"].to_numpy()
    there = there.assign(quality=0.9 - 0.5 * moved + 0.001 * draw.normal(size=len(there)))
    through = {"CLIP shift": "clip_towards", "diffusion loss": "loss"}
    table = mediate(points(there), "quality", through, resamples=100).table
    share = table.set_index("path")["share"]
    assert share["CLIP shift"] == pytest.approx(1, abs=0.05)
    assert abs(share["diffusion loss"]) < 0.05 and abs(share["direct"]) < 0.1


def test_what_the_causal_graph_reads():
    there = frame()
    measured = Measurement.of("mismatch", there, contrasts=tuple(asked(there)))
    claims = {(row["claim"], row["eps"]): row for row in causes.claims_of(measured.verdicts())}
    row = claims["the CLIP-shift attack moves CLIP more than ASPL", EPS]
    assert row["score"] == "clip_towards" and row["verdict"] == "confirmed"
    assert row["difference"] == pytest.approx(0.5, abs=0.02) and row["low"] < row["difference"]
    assert (
        claims["intervention: identity falls more than by random noise", EPS]["verdict"]
        == "refuted"
    )


def test_the_shipped_measurement_is_read_and_is_what_is_asked():
    measured = Measurement.read("mismatch")
    table = measured.verdicts().set_index("contrast")
    strong = table[table.index.str.endswith(EPS)]
    assert (strong["n"] == 8).all() and (table["role"] == "primary").sum() == 1
    known = {contrast.name for eps in ("16/255", "8/255") for contrast in mismatch.contrasts(eps)}
    assert set(table.index) <= known
    rows = points(measured.frame)
    assert set(rows["eps"]) == {EPS, mismatch.WEAK}
    rows = rows[rows["eps"] == EPS]
    result = correlation(rows, "clip_towards", "quality", "psnr", 0)
    assert result["conditions"] == 22 and 0.2 < result["value"] < 0.6
    assert mediate(rows, "quality", mismatch.PATHS, resamples=0).clusters == 8


def test_cells_are_those_of_the_strength_question_at_two_budgets():
    cells = mismatch.cells(load_profile("mini"))
    assert cells[at("aspl", EPS)].image_probes == ("controls",)
    assert cells[at("aspl, purified", EPS)].purifier == "profile"
    assert not cells[at("aspl, purified", EPS)].image_probes
    weak = {name for name in cells if name.endswith("8/255")}
    assert weak == {at(name, "8/255") for name in (*mismatch.AT_WEAK, "aspl, purified")}
    assert at("glaze", EPS) in cells and cells["clean"].attack == "none"


def test_a_profile_with_a_clip_without_noise_is_asked_about_it():
    mini = load_profile("mini")

    def metrics(measures):
        profile = mini.model_copy(update={"measures": measures})
        return {contrast.metric for contrast in mismatch.experiment(profile).contrasts}

    assert "plain_towards" in metrics({"clip-plain": mini.clip})
    assert "plain_towards" not in metrics({})


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A pipeline of tiny models, one of them a second CLIP, in a store of its own."""
    folder = tmp_path_factory.mktemp("tiny")
    clip = {"id": str(folder / "clip"), "loader": "open_clip"}
    lab = Lab(tiny_profile(folder, measures={"clip-plain": clip}), "cpu", torch.float32)
    return Pipeline(lab, Store(folder / "store"))


@pytest.mark.slow
def test_the_question_runs(tiny):
    """Two attacks of it on one person, with every look; the frame answers its contrasts."""
    whole = mismatch.experiment(tiny.lab.profile)
    chosen = ["clean", at("noise", EPS), at("aspl", EPS), at("aspl, purified", EPS)]
    strong = {"settings": {"alpha": "16/255"}}  # one step; a weaker change JPEG cannot match
    cells = {
        name: whole.cells[name].model_copy(update=strong if "aspl" in name else {})
        for name in chosen
    }
    small = whole.model_copy(update={"cells": cells})
    choice = Choice(count=1, seeds=(0,), n=2)
    result = run(small, tiny, executor_of("serial", tiny), choice)
    assert not result.failures
    columns = [*SHIFTS, "plain_shift", "plain_towards", "decoded_towards"]
    means = result.frame.groupby("condition")[columns].mean()
    assert means.notna().all().all() and (means.loc["clean"].abs() < 1e-4).all()
    assert (means.loc[at("noise", EPS), ["clip_shift", "latent", "plain_shift"]] > 0).all()
    beyond = [f"beyond_{kind}" for kind in mismatch.CONTROLS]
    aspl = result.frame["condition"] == at("aspl", EPS)
    assert result.frame.loc[aspl, beyond].notna().all().all()
    assert result.frame.loc[~aspl, beyond].isna().all().all()
    judged = judge(result.frame, whole.contrasts, strict=False)
    assert (judged["n"] == 1).sum() > 15
    again = run(small, tiny, executor_of("serial", tiny), choice)
    pd.testing.assert_frame_equal(again.frame, result.frame)  # read, not made


def test_a_look_is_made_once_and_only_of_what_is_asked(tiny, monkeypatch):
    subject = tiny.lab.subject("mini:held-out/1")
    cell = Cell(attack="noise", eps="8/255")
    values = tiny.image_values(subject, cell, 0, "shifts")

    def twice(*args, **kwargs):
        raise RuntimeError("measured again")

    monkeypatch.setattr("shortcut_nb.probes.shifts.denoising_shift", twice)
    again = Pipeline(tiny.lab, tiny.store)
    assert again.image_values(subject, cell, 0, "shifts") == values
    with pytest.raises(RuntimeError, match="measured again"):
        again.image_values(subject, cell, 1, "shifts")
    with pytest.raises(ValueError, match="unknown image probe 'shift'.*shifts"):
        mismatch.experiment(tiny.lab.profile).model_validate(
            {"name": "x", "cells": {"a": {}}, "image_probes": ["shift"]}
        )


def test_a_profile_without_clip_and_identity_has_the_diffusion_models_shifts(tiny):
    bare = tiny.lab.profile.model_copy(update={"clip": None, "identity": None, "measures": {}})
    pipeline = Pipeline(Lab(bare, "cpu", torch.float32), tiny.store)
    subject = pipeline.lab.subject("mini:held-out/0")
    values = pipeline.image_values(subject, Cell(attack="noise"), 0, "shifts")
    assert set(values) == {"latent", "misled", "loss"}


def test_controls_have_the_size_of_what_they_control(tiny):
    subject = tiny.lab.subject("mini:held-out/0")
    noisy = tiny.images(subject, Cell(attack="noise"))
    values = controls(subject.b, noisy)
    assert list(values) == [f"{kind}_psnr" for kind in KINDS]
    for images in values.values():
        assert psnr(images, subject.b) == pytest.approx(psnr(noisy, subject.b), abs=0.1)
    bounded = set(both := controls(subject.b, noisy, eps="8/255")) - set(values)
    assert bounded == {f"{kind}_linf" for kind in KINDS[1:]}
    for name in bounded:
        assert max(linf_pixels(both[name], subject.b)) <= 8
    assert max(linf_pixels(both["gaussian_linf"], subject.b)) >= 7


def test_planes_share_a_legend():
    flat = np.random.default_rng(0).normal(size=(6, 2))
    fig = planes_plot({"UMAP": flat, "PCA": flat}, ["a", "b"] * 3)
    assert [ax.get_title() for ax in fig.axes] == ["UMAP", "PCA"]
    assert [text.get_text() for text in fig.legends[0].get_texts()] == [
        "a (n=3)",
        "b (n=3)",
    ]
    with pytest.raises(ValueError, match="points"):
        planes_plot({"UMAP": flat[:5]}, ["a"] * 6)
    with pytest.raises(ValueError, match="at least one projection"):
        planes_plot({}, ["a"])
