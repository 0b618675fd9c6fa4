"""One look for each name, in every figure: a colour, a marker and a dash, readable without colour.

Five vocabularies have looks of their own: the conditions of the collection, the two words of a
model (V* and its class), families of attacks, families of purifiers, and verdicts. Conditions,
words and families share no colour, so that none is taken for another. Whatever else a figure
compares takes spare looks, which families have too: a figure shows one or the other. ASPL by name
has the look of protected photos, for which it stands; among attacks by family it has that of its
family.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..errors import UserError


class Look(NamedTuple):
    """How a condition is drawn; never told apart by colour alone."""

    color: str
    marker: str
    dash: object


OKABE_ITO = {
    "black": "#000000",
    "orange": "#E69F00",
    "green": "#009E73",
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "yellow": "#F0E442",
}
"""The palette of Okabe and Ito (2008), made for all kinds of colour vision.

The first four differ by more than 11 in lightness (CIELAB), so that they survive grey printing.
"""

_MARKERS = ("o", "X", "s", "D", "^", "v", "P", "*")
_DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
LOOKS = tuple(
    Look(color, marker, dash)
    for color, marker, dash in zip(OKABE_ITO.values(), _MARKERS, _DASHES, strict=True)
)
_BY_COLOR = dict(zip(OKABE_ITO, LOOKS, strict=True))

_FURTHER = {
    "navy": "#1B2A6B",
    "wine": "#882255",
    "magenta": "#AA4499",
    "lime": "#B8C04A",
    "lavender": "#9A86C8",
    "brown": "#6B3E0A",
    "khaki": "#8A7B3D",
    "grey": "#A5A5A5",
}
SPARE = tuple(
    Look(color, marker, dash)
    for color, marker, dash in zip(_FURTHER.values(), _MARKERS, _DASHES, strict=True)
)
"""Looks of what is no condition; the first four survive grey printing, too."""
_SPARE_BY_COLOR = dict(zip(_FURTHER, SPARE, strict=True))

CONDITIONS = {
    "clean": _BY_COLOR["black"],
    "protected": _BY_COLOR["orange"],
    "purified": _BY_COLOR["green"],
    "cdl": _BY_COLOR["blue"],
    "random noise": _BY_COLOR["vermillion"],
    "purified + cdl": _BY_COLOR["sky"],
}
"""The conditions of the collection."""

WORDS = {"V*": Look("#006469", "h", "-"), "class": _BY_COLOR["purple"]}
"""The two words of a model: the person's name, in a dark teal of its own, and the class."""

SAME_AS = {
    "aspl": "protected",
    "ASPL": "protected",
    "DreamBooth": "protected",
    "no attack": "clean",
    "noise": "random noise",
    "CDL": "cdl",
    "with CDL": "cdl",
    "without CDL": "protected",
    "both": "purified + cdl",
    "purifier": "purified",
    "purified + CDL": "purified + cdl",
    "purifier + CDL": "purified + cdl",
    "no defence": "protected",
    "aspl, purified": "purified",
    "ASPL, purified": "purified",
    "V* samples": "V*",
    "class samples": "class",
}
"""Other names of conditions and words. Photos are protected by ASPL where nothing else is said, and
DreamBooth beside CDL learns from protected photos.
"""

FAMILIES = {
    "random noise": _BY_COLOR["vermillion"],
    "denoising loss": _SPARE_BY_COLOR["navy"],
    "surrogates": _SPARE_BY_COLOR["brown"],
    "encoder": _SPARE_BY_COLOR["lime"],
    "whole edit": Look("#6A4BE0", "P", "-."),
    "CLIP": _SPARE_BY_COLOR["wine"]._replace(marker="p"),
}
"""Families of attacks, by what they climb."""

PURIFIER_FAMILIES = {
    "none": _BY_COLOR["orange"],
    "filter": _SPARE_BY_COLOR["khaki"],
    "restoration": _BY_COLOR["green"],
    "pixel model": _SPARE_BY_COLOR["lavender"],
    "latent model": _SPARE_BY_COLOR["magenta"]._replace(marker="v", dash=_DASHES[5]),
}
"""Families of purifiers; restoration is what the collection's "purified" is made by."""

FAMILY_OF = {
    "noise": "random noise",
    "noise-uniform": "random noise",
    "advdm": "denoising loss",
    "sds": "denoising loss",
    "mist": "denoising loss",
    "fsmg": "surrogates",
    "t-fsmg": "surrogates",
    "e-fsmg": "surrogates",
    "aspl": "surrogates",
    "t-aspl": "surrogates",
    "e-aspl": "surrogates",
    "simac": "surrogates",
    "metacloak": "surrogates",
    "adaptive-aspl": "surrogates",
    "photoguard": "encoder",
    "glaze": "encoder",
    "pid": "encoder",
    "photoguard-diffusion": "whole edit",
    "clip-shift": "CLIP",
    "decoded-shift": "CLIP",
}
"""The family of each attack."""

GREY = "#737373"
VERDICTS = {
    "confirmed": Look(OKABE_ITO["blue"], "o", "-"),
    "undecided": Look(GREY, "s", ":"),
    "refuted": Look(OKABE_ITO["vermillion"], "X", "--"),
    "not measured": Look(OKABE_ITO["yellow"], "*", (0, (8, 2))),
}
"""What a measurement says of a prediction."""

SEQUENTIAL = "viridis"


def looks(names: Sequence[str]) -> dict[str, Look]:
    """A look for each name, in order of first mention.

    Names of a vocabulary get their own look; other names take those of :data:`SPARE` that are
    free, markers that nobody has first, and so does a name whose look another name of the same
    figure already has.

    Raises:
        UserError: more than eight names: split the figure.
    """
    wanted = list(dict.fromkeys(names))
    if len(wanted) > len(LOOKS):
        raise UserError(
            f"at most {len(LOOKS)} conditions can be told apart, got {len(wanted)}: "
            "split the figure into panels"
        )
    style: dict[str, Look] = {}
    for name in wanted:
        own = own_look(name)
        if own is not None and own.color not in {look.color for look in style.values()}:
            style[name] = own
    used = {look.color for look in style.values()}
    markers = {look.marker for look in style.values()}
    spare = [look for look in SPARE if look.color not in used]
    free = iter(sorted(spare, key=lambda look: look.marker in markers))
    return {name: style[name] if name in style else next(free) for name in wanted}


def many_looks(names: Iterable[str]) -> dict[str, Look]:
    """A look for each of up to 64 names of no vocabulary: a colour and a marker together.

    Raises:
        UserError: more names.
    """
    wanted, count = list(dict.fromkeys(map(str, names))), len(SPARE)
    if len(wanted) > count**2:
        raise UserError(f"at most {count**2} can be told apart, got {len(wanted)}")
    style = {}
    for number, name in enumerate(wanted):
        turn, place = divmod(number, count)
        style[name] = SPARE[place]._replace(marker=SPARE[(place + turn) % count].marker)
    return style


def own_look(name: str) -> Look | None:
    """The look that a name has in every figure; None for a name of no vocabulary."""
    name = SAME_AS.get(name, name)
    for vocabulary in (CONDITIONS, WORDS, FAMILIES, PURIFIER_FAMILIES, VERDICTS):
        if name in vocabulary:
            return vocabulary[name]
    return FAMILIES[FAMILY_OF[name]] if name in FAMILY_OF else None
