"""How people and seeds are counted: pairs, means and intervals."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t, ttest_rel

from shortcut_nb.analysis.mediation import mediation
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.reporting import seeds


def frame(rows):
    columns = ["condition", "subject", "seed", "sheet", "quality"]
    return pd.DataFrame(rows, columns=columns)


def test_a_rise_is_over_the_same_persons_base():
    """A person of low quality who loses little, and one of high quality who loses much."""
    rows = [("clean", "a", 0, "instance", 0.4), ("clean", "b", 0, "instance", 0.9),
            ("aspl", "a", 0, "instance", 0.3), ("aspl", "b", 0, "instance", 0.5),
            ("mist", "b", 0, "instance", 0.8)]  # fmt: skip
    measured = Measurement.of("x", frame(rows))
    rise = measured.rise_over("quality", {"condition": "clean"}, []).set_index("condition")
    assert rise.loc["aspl", "mean"] == pytest.approx((-0.1 - 0.4) / 2)
    assert rise.loc["mist", "mean"] == pytest.approx(-0.1) and rise.loc["mist", "n"] == 1
    half = t.ppf(0.975, 1) * 0.3 / 2  # of two people: sd 0.3/√2, standard error 0.3/2
    assert rise.loc["aspl", "high"] - rise.loc["aspl", "mean"] == pytest.approx(half)


def test_seeds_are_averaged_within_a_person_before_people():
    """Else a person with two seeds counts twice, and the interval is of seeds."""
    rows = [("clean", "a", 0, "instance", 0.2), ("clean", "a", 1, "instance", 0.4),
            ("clean", "b", 0, "instance", 0.9)]  # fmt: skip
    (mean,) = Measurement.of("x", frame(rows)).means(["quality"]).to_dict("records")
    assert mean["mean"] == pytest.approx(0.6) and mean["n"] == 2


def test_shared_cells_are_of_people_who_have_all_of_them():
    rows = [(name, person, 0, "instance", 0.5) for name in ("clean", "aspl") for person in "ab"]
    rows += [("mist", "a", 0, "instance", 0.5)]
    measured = Measurement.of("x", frame(rows))
    assert set(measured.shared(["clean", "mist"]).frame["subject"]) == {"a"}
    assert set(measured.shared(["clean", "aspl"]).frame["subject"]) == {"a", "b"}


def test_a_mediations_interval_is_students_with_the_small_sample_factor():
    """t · √(g / (g − 1)) · the standard deviation over resampled people."""
    rng, people = np.random.default_rng(0), np.repeat(np.arange(5), 6)
    x = np.tile([0.0, 1.0], 15)
    middle = x + rng.standard_normal(30)
    y = 2 * middle + rng.standard_normal(30)
    interval = mediation(x, {"m": middle}, y, people, resamples=2000, seed=3).table
    draws, again = [], np.random.default_rng(4)
    for _ in range(2000):
        rows = np.concatenate([np.flatnonzero(people == i) for i in again.integers(5, size=5)])
        labels = np.repeat(np.arange(5), 6)
        own = mediation(x[rows], {"m": middle[rows]}, y[rows], labels, resamples=0)
        draws.append(own.table["effect"].to_numpy())
    half = t.ppf(0.975, 4) * np.sqrt(5 / 4) * np.std(draws, axis=0)
    assert (interval["high"] - interval["effect"]).to_numpy() == pytest.approx(half, rel=0.08)


def test_two_trainings_are_compared_person_by_person():
    """People differ by far more than seeds: a test that forgets who is who sees nothing."""
    from shortcut_nb.experiments.contrasts import Contrast

    base, rows = np.linspace(-1, 1, 8), []
    for person, level in enumerate(base):
        for seed in (0, 1):
            moved = level + seed * (0.05 + 0.001 * person)
            rows += [("aspl", f"s{person}", seed, "instance", moved),
                     ("clean", f"s{person}", seed, "instance", 0.0)]  # fmt: skip
    asked = (Contrast("harm", "quality", {"aspl": 1, "clean": -1}),)
    measured = Measurement.of("x", frame(rows), contrasts=asked)
    (row,) = seeds._of_question(measured, [0, 1])
    moved = [level + 0.05 + 0.001 * person for person, level in enumerate(base)]
    assert row["p"] == pytest.approx(ttest_rel(moved, base).pvalue) and row["p"] < 1e-6
