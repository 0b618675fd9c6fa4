"""What was measured beforehand."""

import numpy as np
import pytest

from shortcut_nb.experiments.shipped import shipped, verdict


def test_what_was_not_measured_yet_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no result 'decoupling' .* bench decoupling"):
        shipped("decoupling", folder=tmp_path)
    assert [verdict(x) for x in (True, False, None, np.nan)] == [
        "confirmed", "refuted", "undecided", "undecided",
    ]  # fmt: skip
