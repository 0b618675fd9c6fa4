"""The intervals cover what they claim to cover, on distributions whose mean is known."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp, ttest_ind

from shortcut_nb.experiments.measured import means_of
from shortcut_nb.metrics import bootstrap_difference, bootstrap_mean, t_mean


def test_mean_interval_covers_about_95_percent():
    rng = np.random.default_rng(1)
    hits = 0
    for i in range(400):
        found = bootstrap_mean(rng.exponential(1.0, 60), n=400, seed=i)
        hits += found.low <= 1.0 <= found.high
    assert 0.90 <= hits / 400 <= 0.99


def test_skewed_values_of_few_units_are_covered_less_and_percentiles_less_still():
    rng, hits, plain = np.random.default_rng(6), 0, 0
    for i in range(1000):
        values = rng.exponential(1.0, 6)
        found = bootstrap_mean(values, n=300, seed=i)
        hits += found.low <= 1.0 <= found.high
        means = rng.choice(values, (300, 6)).mean(1)
        plain += np.percentile(means, 2.5) <= 1.0 <= np.percentile(means, 97.5)
    assert 0.86 <= hits / 1000 <= 0.92
    assert 0.79 <= plain / 1000 <= 0.86


@pytest.mark.parametrize("units", [3, 6, 12])
def test_coverage_holds_for_few_clusters(units):
    rng = np.random.default_rng(units)
    labels = np.repeat(np.arange(units), 2)
    hits = 0
    for i in range(600):
        values = rng.normal(0, 1, units)[labels] + rng.normal(0, 0.5, 2 * units)
        found = bootstrap_mean(values, n=300, seed=i, clusters=labels)
        hits += found.low <= 0 <= found.high
    assert 0.92 <= hits / 600 <= 0.98


def test_interval_of_few_values_is_students():
    values = np.random.default_rng(3).normal(size=6)
    low, high = ttest_1samp(values, 0).confidence_interval()
    assert bootstrap_mean(values, n=40_000)[1:3] == pytest.approx((low, high), abs=0.02)


def test_unpaired_interval_of_few_values_is_welchs():
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=5), rng.normal(0, 3, size=9)
    low, high = ttest_ind(a, b, equal_var=False).confidence_interval()
    found = bootstrap_difference(a, b, paired=False, n=40_000)
    assert found[1:3] == pytest.approx((low, high), abs=0.05)


def test_interval_is_close_to_the_normal_one():
    values = np.random.default_rng(0).normal(3, 2, 400)
    found = bootstrap_mean(values)
    half = 1.96 * values.std() / 20
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.02)
    assert found.high == pytest.approx(values.mean() + half, abs=0.02)
    assert found.n == 400


def test_clusters_cover_where_single_values_do_not():
    rng = np.random.default_rng(2)
    labels = np.repeat(np.arange(30), 8)
    with_clusters = without = 0
    for i in range(150):
        values = rng.normal(0, 1, 30)[labels] + rng.normal(0, 0.3, 240)
        low, high = bootstrap_mean(values, n=300, seed=i, clusters=labels)[1:3]
        with_clusters += low <= 0 <= high
        low, high = bootstrap_mean(values, n=300, seed=i)[1:3]
        without += low <= 0 <= high
    assert 0.90 <= with_clusters / 150 <= 0.99
    assert without / 150 < 0.75


def test_cluster_count_is_reported_and_uneven_clusters_are_pooled():
    found = bootstrap_mean([1, 1, 1, 5], clusters=["a", "a", "a", "b"], n=500)
    assert found.mean == 2 and found.n == 2
    assert found.low < 1 and found.high > 5


def test_sums_and_counts_of_uneven_clusters_stay_together():
    labels = np.repeat(np.arange(6), [1, 2, 3, 4, 5, 6])
    assert bootstrap_mean(np.full(21, 2.0), n=200, clusters=labels)[:3] == (2, 2, 2)
    groups = (labels, labels + 10)
    found = bootstrap_difference(np.full(21, 3.0), np.ones(21), False, groups, n=200)
    assert found[:3] == (2, 2, 2)


def test_same_seed_same_interval():
    values = np.random.default_rng(0).normal(size=30)
    assert bootstrap_mean(values, seed=3) == bootstrap_mean(values, seed=3)
    assert bootstrap_mean(values, seed=3) != bootstrap_mean(values, seed=4)


def test_missing_values_are_left_out():
    assert bootstrap_mean([1.0, np.nan, 3.0], n=100)[::3] == (2.0, 2)


def test_a_single_value_has_no_interval():
    found = bootstrap_mean([2.0])
    assert found.mean == 2 and np.isnan(found.low) and np.isnan(found.high)


@pytest.mark.parametrize(
    ("values", "clusters", "words"),
    [
        ([], None, "at least one"),
        ([np.nan], None, "at least one"),
        ([1.0, np.inf], None, "finite"),
        ([1.0, 2.0], ["a"], "as many clusters"),
        ([[1.0, 2.0]], None, "list of numbers"),
    ],
)
def test_bad_values_are_refused(values, clusters, words):
    with pytest.raises(ValueError, match=words):
        bootstrap_mean(values, clusters=clusters)


def test_pairing_removes_what_is_common():
    rng = np.random.default_rng(0)
    base = rng.normal(0, 5, 50)
    a, b = base + 1 + rng.normal(0, 0.1, 50), base
    paired = bootstrap_difference(a, b)
    alone = bootstrap_difference(a, b, paired=False)
    assert paired.mean == pytest.approx(alone.mean)
    assert paired.low > 0.9 and paired.high < 1.1
    assert alone.low < 0 < alone.high


def test_a_row_with_a_missing_side_is_left_out():
    assert bootstrap_difference([1, 2, np.nan], [0, 0, 0], n=100)[::3] == (1.5, 2)


def test_unpaired_interval_is_close_to_the_normal_one():
    rng = np.random.default_rng(5)
    a, b = rng.normal(2, 1, 300), rng.normal(0, 2, 200)
    found = bootstrap_difference(a, b, paired=False)
    half = 1.96 * np.sqrt(a.var() / 300 + b.var() / 200)
    assert found.low == pytest.approx(a.mean() - b.mean() - half, abs=0.03)
    assert found.high == pytest.approx(a.mean() - b.mean() + half, abs=0.03)


def test_unpaired_shared_clusters_are_resampled_together():
    people = np.random.default_rng(0).normal(0, 5, 20)
    labels = np.repeat(np.arange(20), 3)
    a, b = people[labels] + 1, people[np.repeat(np.arange(20), 2)]
    joint = bootstrap_difference(a, b, False, (labels, np.repeat(np.arange(20), 2)), n=1000)
    apart = bootstrap_difference(a, b, False, (labels, np.repeat(np.arange(20), 2) + 99), n=1000)
    assert joint.low == pytest.approx(1) and joint.high == pytest.approx(1)
    assert apart.high - apart.low > 2
    with pytest.raises(ValueError, match="both sides"):
        bootstrap_difference(a, b, False, (labels, np.repeat(np.arange(20), 2) + 3))


def test_paired_lengths_must_match():
    with pytest.raises(ValueError, match="equal lengths"):
        bootstrap_difference([1, 2], [1])


def test_means_of_a_frame_are_those_of_its_groups():
    frame = question_like_frame()
    table = means_of(frame, ["a", "b"], ["kind"]).set_index(["kind", "metric"])
    for kind, part in frame.groupby("kind"):
        for metric in ("a", "b"):
            runs = part.groupby(["subject", "seed"])[metric].mean()
            each = runs.groupby(level="subject").mean()
            if each.notna().any():
                assert tuple(table.loc[kind, metric]) == pytest.approx(t_mean(each), nan_ok=True)
            else:
                assert (kind, metric) not in table.index
    assert table.loc[("lonely", "a"), ["low", "high"]].isna().all()
    assert table.loc[("alike", "a"), ["mean", "low", "high"]].tolist() == [2.0, 2.0, 2.0]


def test_an_infinite_number_is_refused():
    frame = question_like_frame()
    frame.loc[0, "a"] = np.inf
    with pytest.raises(ValueError, match="finite"):
        means_of(frame, ["a"], ["kind"])


def question_like_frame():
    """Uneven numbers of pictures; a person without b, a kind without b, a kind of one person."""
    rng, rows = np.random.default_rng(0), []
    for kind, people in (("usual", 5), ("alike", 3), ("no b", 4), ("lonely", 1)):
        for person in range(people):
            for seed in range(2):
                for _ in range(1 + (person + seed) % 3):
                    a = 2.0 if kind == "alike" else rng.normal()
                    b = np.nan if kind == "no b" or person == 0 else rng.normal()
                    place = {"kind": kind, "subject": f"p{person}", "seed": seed}
                    rows.append(place | {"a": a, "b": b})
    return pd.DataFrame(rows)
