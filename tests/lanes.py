"""Which attacks the fast lane leaves to the whole suite."""

import pytest

DEAR = {"adaptive-aspl", "e-aspl", "e-fsmg", "metacloak", "simac", "t-aspl", "t-fsmg"}
"""Variants of ASPL and FSMG, and the dearest: the fast lane has their kin."""


def marked(names):
    """The names as parameters, the dear ones marked slow."""
    return [pytest.param(name, marks=pytest.mark.slow if name in DEAR else ()) for name in names]
