"""What was measured beforehand."""

import pytest

from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.reporting.page import facts
from shortcut_nb.reporting.shipped import shipped
from shortcut_nb.reporting.summary import summary
from shortcut_nb.results import PACKAGE


def test_what_was_not_measured_yet_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no result 'decoupling' .* bench decoupling"):
        shipped("decoupling", folder=tmp_path)


def test_means_over_seeds_say_of_how_many_they_are():
    first = {"folder": PACKAGE / "first"}
    kept = summary("strength", **first)
    assert len(shipped("strength", **first)["seeds"]) == len(kept.seeds) == 2
    assert "2 seeds" in facts(Measurement.read("strength", **first))
