"""Verdicts and the words taken from them, on numbers small enough to be worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from shortcut_nb.analysis.lead import lead
from shortcut_nb.analysis.shift_and_harm import mediate
from shortcut_nb.experiments.contrasts import Contrast, judge, per_subject
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.questions import intervention, lasting, open_experiment
from shortcut_nb.experiments.scores import beyond_class
from shortcut_nb.probes.shifts import SHIFTS
from shortcut_nb.profile import load_profile
from shortcut_nb.reporting import intervention as reported
from shortcut_nb.reporting import numbers, seeds
from shortcut_nb.reporting.shipped import shipped


def people_who_fall(t, people=8):
    """A row for each person of "clean" and "aspl", whose mean fall is so many standard errors."""
    spread = np.array([1.0, -1.0] * (people // 2))
    falls = spread - t * spread.std(ddof=1) / people**0.5
    rows = [("clean", i, 0.0) for i in range(people)] + [
        ("aspl", i, x) for i, x in enumerate(falls)
    ]
    return pd.DataFrame(rows, columns=["condition", "subject", "quality"])


@pytest.mark.parametrize(("t", "verdict"), [(2.5, "undecided"), (2.9, "confirmed")])
def test_two_predictions_share_the_level_of_one(t, verdict):
    """With seven degrees of freedom 2.5 is p = 0.020, and 2.9 is 0.011: Holm doubles both."""
    frame = people_who_fall(t)
    asked = [
        Contrast(name, "quality", {"aspl": 1, "clean": -1}, expect="-", primary=True)
        for name in ("one", "two")
    ]
    table = judge(frame, asked)
    assert (table["p"] < 0.025).all() and (table["high"] < 0).all()
    assert set(table["verdict"]) == {verdict}
    assert (table["p_holm"] > 0.025).all() == (verdict == "undecided")


@pytest.mark.parametrize(
    ("expect", "margin", "agreeing", "weakest"),
    [("+", None, 1 / 4, -3.0), ("-", None, 3 / 4, -2.0), ("0", 1.5, 1 / 2, -1.5)],
)
def test_how_many_go_the_predicted_way_and_who_least(expect, margin, agreeing, weakest):
    each = [-3.0, -1.0, -0.5, 2.0]
    rows = [("clean", i, 1.0) for i in range(4)] + [("aspl", i, 1 + x) for i, x in enumerate(each)]
    frame = pd.DataFrame(rows, columns=["condition", "subject", "quality"])
    weights = {"aspl": 1, "clean": -1}
    row = judge(frame, [Contrast("x", "quality", weights, expect=expect, margin=margin)]).iloc[0]
    assert (row["agreeing"], row["weakest"]) == pytest.approx((agreeing, weakest))


@pytest.mark.parametrize(
    ("high", "low"), [("aspl", "clean"), ("attack=aspl & eps=8/255", "attack=none & eps=8/255")]
)
def test_what_v_star_suffers_beyond_the_class_is_a_difference_of_differences(high, low):
    levels = {("aspl", "instance"): 5.0, ("clean", "instance"): 1.0,
              ("aspl", "class"): 4.0, ("clean", "class"): 2.0}  # fmt: skip
    rows = [
        {"condition": name, "attack": name.replace("clean", "none"), "eps": "8/255",
         "sheet": sheet, "subject": 0, "texture": level}
        for (name, sheet), level in levels.items()
    ]  # fmt: skip
    gap = Contrast("beyond", "texture", beyond_class(high, low))
    assert per_subject(pd.DataFrame(rows), gap)[0] == (5.0 - 1.0) - (4.0 - 2.0)


def watched(ends):
    """Texture and match of V* at three shares, of people who differ in their rises at the end."""
    rows = []
    for person, (rise, match) in enumerate(ends):
        for share, sheet in ((0, "own at 0.00"), (1 / 3, "own at 0.33"), (1, "own")):
            for condition in ("clean", "protected"):
                own = rise * {0: 0.0, 1 / 3: 0.9, 1: 1.0}[share] * (condition == "protected")
                person_match = 0.2 + match * {0: 0.0, 1 / 3: 0.4, 1: 1.0}[share]
                rows.append({"condition": condition, "subject": person, "sheet": sheet,
                             "texture": 1 + own, "ims_missing": person_match})  # fmt: skip
    return pd.DataFrame(rows)


def test_whoever_does_not_rise_in_both_has_no_lead():
    """A share of a fall says nothing of what came first."""
    each = lead(watched([(2.0, 0.5), (2.0, -0.5), (-2.0, 0.5), (1.0, 0.1)]))
    assert each == pytest.approx([0.9 - 0.4] * 2)


def test_the_untrained_model_is_where_the_person_begins():
    """A match that it has by chance is no part of the rise."""
    frame = watched([(2.0, 0.5)])
    raised = frame.assign(ims_missing=frame["ims_missing"] + 0.3)
    assert lead(raised) == pytest.approx(lead(frame))


def test_attacks_are_set_against_random_noise_and_purified_ones_against_nothing():
    rng, rows = np.random.default_rng(0), []
    for person in range(6):
        for kind, harm in (("random noise", 0.1), ("attack", 0.5), ("CLIP shift", 0.7),
                           ("purified", 9.0)):  # fmt: skip
            shift = rng.normal()
            rows.append({"kind": kind, "subject": person, "shift": shift, "quality": harm + person})
    effect = mediate(pd.DataFrame(rows), "quality", {"shift": "shift"}, resamples=0)
    assert effect["total"] == pytest.approx((0.5 + 0.7) / 2 - 0.1)
    assert effect.rows == 18


def attacked_by_shift(monkeypatch, spread, attack=intervention.SEEN, quality_of_it=0.9):
    """Twelve people; one attack's quality is spread so far on both sides of its mean."""
    asked = open_experiment("intervention", load_profile("mini"))
    quality = {intervention.MAIN: 0.4, attack: quality_of_it}
    seen = {intervention.SEEN: 0.5, intervention.MAIN: 0.2, intervention.TURNED: -0.1}
    rows = []
    for name in asked.all_cells():
        for person in range(12):
            away = (spread if name == attack else 0.001) * (-1) ** person
            far = 0.001 * person + (0.3 if name == intervention.TURNED else 0.1)
            rows.append({
                "condition": name, "subject": f"s{person}", "seed": 0, "sheet": "instance",
                "quality": quality.get(name, 0.9) + away, "clip_towards": 0.1 * (name != "clean"),
                "decoded_towards": seen.get(name, 0.0) + 0.001 * person * (name in seen),
                "latent": far, "intact": 0.5, "coarse_texture": 1.0,
            })  # fmt: skip
    frame = pd.DataFrame(rows)
    contrasts = tuple(one for one in asked.contrasts if one.metric in frame)
    measured = Measurement.of("intervention", frame, contrasts=contrasts)
    monkeypatch.setattr(reported, "measurement", lambda: measured)
    return measured


@pytest.mark.parametrize(("spread", "answer"), [(0.001, "no"), (0.3, "open")])
def test_harm_that_may_be_large_is_not_called_none(monkeypatch, spread, answer):
    """An interval around nothing is no answer while its end is a tenth of ASPL's fall."""
    attacked_by_shift(monkeypatch, spread)
    assert reported.mismatch_finding()[0] == answer


@pytest.mark.parametrize(("spread", "meaning"), [(0.002, True), (0.2, False)])
def test_turned_it_is_harmless_only_where_it_can_hardly_harm(monkeypatch, spread, meaning):
    """A mean of nothing is not enough. The two other conditions are taken to hold."""
    measured = attacked_by_shift(monkeypatch, spread, intervention.TURNED)
    judged = measured.verdicts().set_index("contrast")
    wanted = [f"{intervention.MEANING}: quality", intervention.AS_FAR]
    judged.loc[wanted, "verdict"] = "confirmed"
    assert reported.turned_values(judged, True, 0.05)["meaning"] == meaning


def test_a_fall_that_is_turned_keeps_its_mean_between_its_ends(monkeypatch):
    measured = attacked_by_shift(monkeypatch, 0.1, quality_of_it=0.7)
    fall = reported.table().set_index(["panel", "name"]).loc[reported.PANELS["fall"]]
    assert (fall["low"] <= fall["mean"]).all() and (fall["mean"] <= fall["high"]).all()
    frame = measured.frame.set_index(["condition", "subject"])["quality"]
    lost = (frame["clean"] - frame[intervention.SEEN]).mean()
    name = reported.ATTACK_NAMES[intervention.SEEN]
    assert fall.loc[name, "mean"] == pytest.approx(lost) == pytest.approx(0.2)
    assert fall.loc[name, "low"] < 0.2 < fall.loc[name, "high"]


@pytest.mark.parametrize("closest", [reported.TOWARDS, "latent"])
def test_the_measure_that_goes_best_with_the_harm_is_the_closest(monkeypatch, closest):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({
        "condition": np.repeat([f"attack {i}" for i in range(5)], 6), "kind": "attack",
        "subject": np.tile(np.arange(6), 5), "psnr": rng.normal(size=30),
        "quality": rng.normal(size=30),
    })  # fmt: skip
    for name in {reported.TOWARDS, *SHIFTS}:
        own = rng.normal(size=30) * (0.1 if name == closest else 3)
        rows[name] = rows["quality"] + own
    rows["texture"] = rows[closest]
    monkeypatch.setattr(reported, "shifts_and_harms", lambda: rows)
    values = reported.values_over_attacks()
    assert values["closest"] == (closest == reported.TOWARDS)
    assert values["texture_elsewhere"] == (closest == "latent")
    assert (values["tried"], values["few"]) == (5, 6)


def test_harm_is_expected_from_where_the_rate_has_risen():
    """A third of the steps is the first of those looks."""
    names = [one.name for one in lasting.over_the_way(lasting.USUAL)]
    shares = {name.partition("after ")[2][:4] for name in names if "protection harms" in name}
    assert shares == {"0.33", "0.50", "0.75"}


def test_how_often_seeds_differ_is_told_beside_how_often_they_would_by_chance(monkeypatch):
    table = pd.DataFrame({
        "p": [0.01, 0.2, 0.3, 0.6], "primary": [True, True, False, False],
        "first": [1.0, -1.0, 2.0, 3.0], "second": [0.5, 0.1, 2.0, -3.0],
    })  # fmt: skip
    monkeypatch.setattr(seeds, "between_seeds", lambda: table)
    told = seeds.sentence()
    assert told.startswith("Of 4 predictions") and "25% differ" in told and "chance 5%" in told
    assert "1 of the 2 have the same sign" in told


def test_a_fall_of_quality_is_what_clean_photos_keep_more():
    """Its interval is turned with it."""
    table = numbers.attacks()
    assert (table["low"] < table["fall"]).all() and (table["fall"] < table["high"]).all()
    assert table["fall"].is_monotonic_decreasing and table["fall"].iloc[0] > 0
    away = (table["clean"] - table["quality"] - table["fall"]).abs()
    assert away.max() < 0.02  # seeds and people without a pair


@pytest.mark.parametrize(
    ("eps", "same"), [("16/255", True), (" 16 / 255 ", True), ("3/255", False)]
)
def test_a_budget_is_known_however_it_is_written(eps, same):
    assert shipped("hidden", load_profile("mini"), eps=eps).same == same
