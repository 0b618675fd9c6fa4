"""The Pareto front against its definition."""

import numpy as np
import pandas as pd
import pytest

from shortcut_nb.analysis.pareto import pareto
from shortcut_nb.errors import UserError


def test_a_known_front():
    table = pd.DataFrame(
        {"quality": [1.0, 2.0, 3.0, 2.0, 0.5], "distance": [1.0, 2.0, 3.0, 2.5, 1.0]},
        index=["mild", "middle", "strong", "worse", "weak"],
    )
    front = pareto(table, rising=["quality"], falling=["distance"])
    assert front[front].index.tolist() == ["mild", "middle", "strong"]


def test_every_beaten_row_is_beaten_by_a_row_of_the_front():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.integers(0, 6, (60, 3)), columns=list("abc"))
    front = pareto(table, rising=["a", "b"], falling=["c"])
    assert 0 < front.sum() < 60
    signed = table * [1, 1, -1]
    for _, row in signed[~front].iterrows():
        rivals = signed[front]
        assert ((rivals >= row).all(axis=1) & (rivals > row).any(axis=1)).any()
    for _, row in signed[front].iterrows():
        assert not ((signed >= row).all(axis=1) & (signed > row).any(axis=1)).any()


def test_equal_rows_missing_values_and_one_column():
    table = pd.DataFrame({"a": [1.0, 1.0, np.nan, 0.0], "b": [2.0, 2.0, 9.0, 2.0]})
    assert pareto(table, ["a", "b"]).tolist() == [True, True, False, False]
    assert pareto(table, ["b"]).tolist() == [False, False, True, False]
    assert pareto(table, [], ["a"]).tolist() == [False, False, False, True]
    assert pareto(table.iloc[:0], ["a"]).empty


def test_bad_columns():
    with pytest.raises(ValueError, match="at least one"):
        pareto(pd.DataFrame({"a": [1]}), [])
    with pytest.raises(UserError, match="no column"):
        pareto(pd.DataFrame({"a": [1]}), ["b"])
