"""How good the miniature's models are, on identities none of them has seen.

Each module measures one kind of model and returns plain numbers; :func:`evaluate` runs them all
and sets them against bars.
"""

from .card import BARS, CARD, FURTHER, MEASURES, evaluate, in_folder, write_card
from .pictures import held_out, noisy, patterns
from .words import WORDS

__all__ = [
    "BARS",
    "WORDS",
    "CARD",
    "FURTHER",
    "MEASURES",
    "evaluate",
    "held_out",
    "in_folder",
    "noisy",
    "patterns",
    "write_card",
]
