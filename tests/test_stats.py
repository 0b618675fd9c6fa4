"""Means over people of numbers and of whole frames alike; missing and bad values."""

import numpy as np
import pandas as pd
import pytest

from shortcut_nb.experiments.means import means_over_people
from shortcut_nb.metrics import t_mean


def test_missing_values_are_left_out():
    assert t_mean([1.0, np.nan, 3.0])[::3] == (2.0, 2)


def test_a_single_value_has_no_interval():
    interval = t_mean([2.0])
    assert interval.mean == 2 and np.isnan(interval.low) and np.isnan(interval.high)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([], "at least one"),
        ([np.nan], "at least one"),
        ([1.0, np.inf], "finite"),
        ([[1.0, 2.0]], "list of numbers"),
    ],
)
def test_bad_values_are_refused(values, words):
    with pytest.raises(ValueError, match=words):
        t_mean(values)


def test_means_of_a_frame_are_those_of_its_groups():
    frame = question_like_frame()
    table = means_over_people(frame, ["a", "b"], ["kind"]).set_index(["kind", "metric"])
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
        means_over_people(frame, ["a"], ["kind"])


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
