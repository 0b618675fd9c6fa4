"""The names of the environment variables that the package heeds.

docs/how_to.md describes those that are the user's to set: all but :data:`FIGURES`. The first cell
of a notebook in Colab has one of its own, since it runs before the package is there.
"""

from __future__ import annotations

CACHE = "SHORTCUT_NB_CACHE"
"""The folder of the store; else one in the user's cache folder."""
RESULTS = "SHORTCUT_NB_RESULTS"
"""A folder that results are written to, and from which they are read first."""
FIGURES = "SHORTCUT_NB_FIGURES"
"""The folder of a notebook's figures; the notebook runner sets it."""
HEADLESS = "SHORTCUT_NB_HEADLESS"
"""With "1", log lines now and then in place of progress bars."""
