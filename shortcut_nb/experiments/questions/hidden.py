"""Where protection leaves its texture on samples: is the person gone, or hidden beneath it?

The measure of identity was trained on clean pictures alone, so it may lose a person under ripples
who is still there. A second encoder was trained on degraded pictures, too, none of them of an
attack. If the first loses what the second still sees, the person is hidden; if both lose it, gone.
"""

from __future__ import annotations

from typing import Any

from ...profile import Profile
from ..contrasts import Contrast
from ..experiment import Cell, Experiment

EPS = "16/255"
CLEAN, NOISE, RIPPLES, OTHER = "clean", "random noise", "aspl", "photoguard"
CELLS: dict[str, dict[str, Any]] = {
    CLEAN: {},
    NOISE: {"attack": "noise", "eps": EPS},
    RIPPLES: {"attack": "aspl", "eps": EPS},
    OTHER: {"attack": "photoguard", "eps": EPS},
}
THERE = "under ASPL the person is still there"
HARDENED, PLAIN = "ims_hardened", "ims"
MARGIN = 0.1  # of the identity match: what would be somebody else, to a reader of samples


def contrasts() -> tuple[Contrast, ...]:
    """ASPL hides, PhotoGuard takes away; random noise does neither."""
    lost = {CLEAN: 1.0, RIPPLES: -1.0}
    return (
        Contrast(
            THERE,
            HARDENED,
            lost,
            expect="0",
            margin=MARGIN,
            primary=True,
            why="what the first encoder misses is hidden by ripples, not gone",
        ),
        Contrast("to the measure of identity, ASPL takes of the person", PLAIN, lost),
        Contrast("PhotoGuard takes the person", HARDENED, {CLEAN: 1.0, OTHER: -1.0}),
        Contrast(
            "random noise leaves the person",
            HARDENED,
            {CLEAN: 1.0, NOISE: -1.0},
            expect="0",
            margin=MARGIN,
        ),
        Contrast(
            "ASPL leaves more of the person than PhotoGuard", HARDENED, {RIPPLES: 1.0, OTHER: -1.0}
        ),
    )


def experiment(profile: Profile) -> Experiment:
    """Clean photos, noise and two protections, by both encoders of identity."""
    return Experiment(
        name="hidden",
        question="Where protection leaves texture: is the person gone, or hidden beneath it?",
        cells={name: Cell(**fields) for name, fields in CELLS.items()},
        contrasts=contrasts(),
        subjects=8,
        sample_probes=("hidden",),
    )
