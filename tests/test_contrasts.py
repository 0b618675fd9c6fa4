"""Contrasts against independent formulas; and verdicts that turn when the effect is taken away."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t, ttest_rel

from shortcut_nb.errors import UserError
from shortcut_nb.experiments.contrasts import Contrast, judge, load_contrasts, per_subject, selector
from shortcut_nb.metrics import holm, t_mean

DROP = Contrast("it falls", "quality", {"aspl": 1, "clean": -1}, expect="-", primary=True)
numbers = st.floats(-50, 50, allow_nan=False)


def frame_of(effects, people=8, seeds=2, images=3, noise=0.05, seed=0, sheets=("instance",)):
    """Samples with a known mean per condition; people differ, and so do pictures."""
    rng, rows = np.random.default_rng(seed), []
    levels = rng.normal(0, 1, people)
    for condition, effect in effects.items():
        for subject in range(people):
            own = effect + rng.normal(0, noise)
            for seed_ in range(seeds):
                for sheet in sheets:
                    for image in range(images):
                        quality = levels[subject] + own + rng.normal(0, noise)
                        rows.append([condition, f"p{subject}", seed_, sheet, image, quality])
    columns = ["condition", "subject", "seed", "sheet", "image", "quality"]
    return pd.DataFrame(rows, columns=columns)


@settings(max_examples=60, deadline=None)
@given(st.lists(numbers, min_size=2, max_size=12))
def test_interval_is_students_by_hand(values):
    interval = t_mean(values)
    mean = sum(values) / len(values)
    variance = sum((x - mean) ** 2 for x in values) / (len(values) - 1)
    half = t.ppf(0.975, len(values) - 1) * (variance / len(values)) ** 0.5
    assert interval.mean == pytest.approx(mean, abs=1e-9)
    assert interval.low == pytest.approx(mean - half, abs=1e-7)
    assert interval.high == pytest.approx(mean + half, abs=1e-7)
    assert interval.n == len(values)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_bonferroni_on_every_subset(p):
    """Closed testing: the corrected p is the largest Bonferroni p of the subsets it is in."""
    expected = []
    for i in range(len(p)):
        others = [j for j in range(len(p)) if j != i]
        subsets = [(i, *rest) for size in range(len(p)) for rest in combinations(others, size)]
        expected.append(max(min(1, len(s) * min(p[j] for j in s)) for s in subsets))
    np.testing.assert_allclose(holm(p), expected)


def test_holm_leaves_a_missing_value_out():
    np.testing.assert_allclose(holm([0.01, np.nan, 0.04]), [0.02, np.nan, 0.04])


def test_a_difference_of_two_cells_is_the_paired_t_test():
    frame = frame_of({"clean": 0.5, "aspl": 0.3})
    row = judge(frame, [DROP]).iloc[0]
    each = frame.groupby(["condition", "subject"])["quality"].mean().unstack("condition")
    theirs = ttest_rel(each["aspl"], each["clean"], alternative="less")
    interval = ttest_rel(each["aspl"], each["clean"]).confidence_interval()
    assert row["p"] == pytest.approx(theirs.pvalue)
    assert (row["low"], row["high"]) == pytest.approx(tuple(interval))
    assert row["n"] == 8 and row["interval"] == "t" and row["role"] == "primary"


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(st.sampled_from("abcd"), numbers.filter(lambda x: abs(x) > 0.01), min_size=1)
)
def test_a_contrast_is_linear_in_its_weights(weights):
    frame = frame_of(dict(zip("abcd", (0.1, 0.4, -0.2, 0.0), strict=True)), people=4, images=2)
    differences = per_subject(frame, Contrast("x", "quality", weights))
    each = frame.groupby(["condition", "subject"])["quality"].mean().unstack("condition")
    expected = sum(weight * each[cell] for cell, weight in weights.items())
    np.testing.assert_allclose(differences, expected.loc[differences.index], atol=1e-9)


@pytest.mark.parametrize("effect, verdict", [(-0.3, "confirmed"), (0.3, "refuted")])
def test_verdict_turns_with_the_effect(effect, verdict):
    frame = frame_of({"clean": 0.5, "aspl": 0.5 + effect})
    assert judge(frame, [DROP]).iloc[0]["verdict"] == verdict
    other = Contrast("it rises", "quality", {"aspl": 1, "clean": -1}, expect="+")
    turned = {"confirmed": "refuted", "refuted": "confirmed"}[verdict]
    assert judge(frame, [other]).iloc[0]["verdict"] == turned


@pytest.mark.slow
def test_without_an_effect_few_are_confirmed_and_with_one_most():
    """Size and power, over 200 experiments of six people."""
    shares = {}
    for effect in (0.0, -0.12):
        verdicts = [
            judge(frame_of({"clean": 0, "aspl": effect}, people=6, seed=i), [DROP])["verdict"][0]
            for i in range(200)
        ]
        shares[effect] = verdicts.count("confirmed") / 200
    assert shares[0.0] <= 0.06  # 0.025 is claimed
    assert shares[-0.12] >= 0.75


def test_no_difference_needs_a_margin_and_enough_people():
    same = Contrast("no loss", "quality", {"aspl": 1, "clean": -1}, expect="0", margin=0.2)
    assert judge(frame_of({"clean": 0, "aspl": 0}), [same])["verdict"][0] == "confirmed"
    assert judge(frame_of({"clean": 0, "aspl": 0.6}), [same])["verdict"][0] == "refuted"
    assert judge(frame_of({"clean": 0, "aspl": 0.2}), [same])["verdict"][0] == "undecided"
    loud = frame_of({"clean": 0, "aspl": 0}, people=3, noise=0.6)
    assert judge(loud, [same])["verdict"][0] == "undecided"  # "not shown" is not "the same"


def test_equivalence_p_is_the_larger_of_two_t_tests():
    frame = frame_of({"clean": 0, "aspl": 0.05})
    same = Contrast("no loss", "quality", {"aspl": 1, "clean": -1}, expect="0", margin=0.1)
    row = judge(frame, [same]).iloc[0]
    each = per_subject(frame, same).to_numpy()
    error = each.std(ddof=1) / np.sqrt(len(each))
    by_hand = max(
        t.sf((each.mean() + 0.1) / error, len(each) - 1),
        t.cdf((each.mean() - 0.1) / error, len(each) - 1),
    )
    assert row["p"] == pytest.approx(by_hand)
    assert (row["p"] <= 0.025) == (row["verdict"] == "confirmed")


def test_several_primary_contrasts_are_corrected_and_exploratory_ones_are_not():
    falls = [-0.02, -0.10, -0.16, -0.06, -0.20]
    rows = [["clean", i, 0.0] for i in range(5)] + [["aspl", i, x] for i, x in enumerate(falls)]
    frame = pd.DataFrame(rows, columns=["condition", "subject", "quality"])
    alone = judge(frame, [DROP]).iloc[0]
    assert alone["verdict"] == "confirmed" and 0.025 / 4 < alone["p"] < 0.025
    four = [Contrast(f"{i}", "quality", {"aspl": 1, "clean": -1}, expect="-", primary=True)
            for i in range(4)]  # fmt: skip
    table = judge(frame, four)
    assert set(table["verdict"]) == {"undecided"}
    np.testing.assert_allclose(table["p_holm"], 4 * alone["p"])
    free = judge(frame, [Contrast("e", "quality", {"aspl": 1, "clean": -1}, expect="-")])
    assert np.isnan(free["p_holm"][0]) and free["verdict"][0] == "confirmed"
    assert free["role"][0] == "exploratory"


def test_a_gap_between_sheets_and_a_selection_by_columns():
    frame = frame_of({"clean": 0, "aspl": -0.3}, sheets=("instance", "class"))
    spared = (frame["sheet"] == "class") & (frame["condition"] == "aspl")
    frame.loc[spared, "quality"] += 0.3
    frame = frame.assign(attack=frame["condition"].replace("clean", None))
    gap = Contrast("V* more than the class", "quality", {
        "attack=aspl": 1, "attack=none": -1,
        "attack=aspl & sheet=class": -1, "attack=none & sheet=class": 1,
    }, expect="-")  # fmt: skip
    row = judge(frame, [gap]).iloc[0]
    assert row["verdict"] == "confirmed" and row["mean"] == pytest.approx(-0.3, abs=0.06)


def test_seeds_count_once_whatever_their_number_of_pictures():
    frame = pd.DataFrame(
        [["a", "p", 0, 1.0], ["a", "p", 0, 1.0], ["a", "p", 0, 1.0], ["a", "p", 1, 3.0]],
        columns=["condition", "subject", "seed", "x"],
    )
    assert per_subject(frame, Contrast("c", "x", {"a": 1}))["p"] == 2.0


def test_people_and_seeds_without_every_cell_are_left_out():
    frame = frame_of({"clean": 0, "aspl": -0.3}, people=4)
    gone = (frame["condition"] == "aspl") & (frame["subject"] == "p3")
    gone |= (frame["condition"] == "aspl") & (frame["subject"] == "p2") & (frame["seed"] == 1)
    differences = per_subject(frame[~gone], DROP)
    assert list(differences.index) == ["p0", "p1", "p2"]
    one = frame[(frame["subject"] == "p2") & (frame["seed"] == 0)]
    by_hand = one.groupby("condition")["quality"].mean()
    assert differences["p2"] == pytest.approx(by_hand["aspl"] - by_hand["clean"])


def test_one_person_decides_nothing_and_equal_people_have_no_spread():
    one = judge(frame_of({"clean": 0, "aspl": -1}, people=1), [DROP]).iloc[0]
    assert one["verdict"] == "undecided" and np.isnan(one["low"]) and np.isnan(one["p"])
    rows = [[c, p, 0, v] for c, v in (("clean", 1.0), ("aspl", 0.5)) for p in "ab"]
    equal = pd.DataFrame(rows, columns=["condition", "subject", "seed", "quality"])
    row = judge(equal, [DROP]).iloc[0]
    assert (row["low"], row["high"], row["p"]) == (-0.5, -0.5, 0.0)


def test_a_cell_that_was_not_measured_is_an_error_or_said():
    frame = frame_of({"clean": 0})
    with pytest.raises(ValueError, match="nothing was measured of cell 'aspl'.*clean"):
        judge(frame, [DROP])
    row = judge(frame, [DROP], strict=False).iloc[0]
    assert row["verdict"] == "not measured" and row["n"] == 0


def test_rows_of_nobody_and_missing_numbers_are_left_out():
    whole = pd.DataFrame(
        {"condition": ["a", "b"] * 4, "subject": [0, 0, "s", "s"] * 2, "seed": [0] * 8,
         "q": [1.0, 0.0, 2.0, 0.5] * 2}
    )  # fmt: skip
    asked = [Contrast("a over b", "q", {"a": 1, "b": -1}, sheet=None)]
    for column, missing in (("seed", np.nan), ("subject", None), ("q", pd.NA)):
        part = whole.astype({column: object})
        part.loc[0, column] = missing
        (row,) = judge(part, asked).to_dict("records")
        assert row["n"] == 2 and row["mean"] == pytest.approx(1.25)
    with pytest.raises(UserError, match="numbers in the column 'q'"):
        judge(whole.assign(q="1"), asked)
    with pytest.raises(UserError, match="no column 'subject'; there are none"):
        judge(pd.DataFrame(), asked)
    assert judge(pd.DataFrame(), []).empty


def test_contrasts_are_data():
    text = """
    - {name: falls, metric: quality, weights: {aspl: 1, clean: -1}, expect: "-", primary: true}
    - {name: same, metric: quality, weights: {pure: 1, clean: -1}, expect: 0, margin: 0.1}
    """
    first, second = load_contrasts(yaml.safe_load(text))
    assert first == Contrast("falls", "quality", {"aspl": 1, "clean": -1}, "instance", "-", True)
    assert second.expect == "0" and second.margin == 0.1
    every = Contrast("every", "psnr", {"aspl": 1}, sheet=None, why="it is of the photos")
    for each in (first, second, every):
        assert Contrast.from_dict(each.to_dict()) == each
    assert set(first.to_dict()) >= {"name", "metric", "weights"}  # and nothing that is usual


@pytest.mark.parametrize(
    "change, words",
    [
        ({"weigths": {}}, "did you mean 'weights'"),
        ({"expect": "up"}, 'expect must be "\\+", "-" or "0", got \'up\''),
        ({"expect": 0}, "a margin belongs to expect"),
        ({"margin": 0.1}, "a margin belongs to expect"),
        ({"expect": 0, "margin": -1}, "the margin must be above 0, got -1"),
        ({"weights": {"aspl": 0}}, "weight of 'aspl' must be a number other than 0"),
        ({"weights": {}}, "weights must give each cell a coefficient"),
        ({"weights": ["aspl"]}, "weights must give each cell a coefficient"),
        ({"metric": ""}, "expected a name and a metric"),
        ({"primary": "yes"}, "primary must be true or false"),
    ],
)
def test_a_bad_contrast_is_one_line_at_the_door(change, words):
    good = {"name": "x", "metric": "quality", "weights": {"aspl": 1}}
    with pytest.raises(ValueError, match=words) as error:
        Contrast.from_dict(good | change)
    assert "\n" not in str(error.value)


def test_two_contrasts_of_one_name_and_a_missing_field_are_refused():
    one = {"name": "x", "metric": "quality", "weights": {"aspl": 1}}
    with pytest.raises(ValueError, match="two contrasts are called 'x'"):
        load_contrasts([one, one])
    with pytest.raises(ValueError, match="a contrast needs metric"):
        load_contrasts([{"name": "x", "weights": {"aspl": 1}}])
    with pytest.raises(ValueError, match="no column 'qualty'; did you mean 'quality'"):
        judge(frame_of({"aspl": 0}), [Contrast("x", "qualty", {"aspl": 1})])


def test_names_with_signs_in_them_stay_names():
    assert selector("= uniform") == {"condition": "= uniform"}
    assert selector("aspl, purified") == {"condition": "aspl, purified"}
    assert selector("attack=aspl & eps=8/255") == {"attack": "aspl", "eps": "8/255"}
