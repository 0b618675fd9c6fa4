"""Which attacks the fast lane leaves to the whole suite."""

import pytest

DEAR = {"metacloak", "simac"}


def marked(names):
    """The names as parameters, the dear ones marked slow."""
    return [pytest.param(name, marks=pytest.mark.slow if name in DEAR else ()) for name in names]
