"""What was measured beforehand."""

import pytest

from shortcut_nb.reporting.shipped import shipped


def test_what_was_not_measured_yet_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no result 'decoupling' .* bench decoupling"):
        shipped("decoupling", folder=tmp_path)
