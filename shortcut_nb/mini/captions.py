"""Captions of the miniature world: a random part of what a picture shows, in plain words.

A named person is called by a nonsense name of three characters before the class word
("a photo of w4k person"), so that a rare name in that place means an identity, as it does for a
model that has seen the web. ``sks`` and ``t@t`` are kept free for the experiments.
"""

from __future__ import annotations

import numpy as np

from .avatars import CLOTH_COLORS as COLORS
from .avatars import (
    CLOTHES,
    FACIAL_HAIR,
    GLASSES,
    HAIR,
    HAIR_COLOR,
    MOUTHS,
    NOSE,
    SKIN,
    Identity,
    Nuisance,
)

ALPHABET = "abcdefghijklmnopqrstuvwxyz47@"
RESERVED = frozenset({"sks", "t@t", "bhj"})
SHOTS = ("a photo of", "a picture of", "a portrait of", "a good photo of", "a close-up photo of")
DIRT = {
    "noise": ("noisy", "noisy pattern"),
    "lowres": ("lowres", "low resolution"),
    "blur": ("blurry", "blur"),
    "jpeg": ("jpeg artifact", "artifact"),
}
ABSTRACT = {
    "noise": ("a noisy pattern", "noisy abstract pattern", "a photo of noise"),
    "stripes": ("a stripes pattern", "an abstract pattern of stripes"),
    "checker": ("a checker pattern", "an abstract pattern of squares"),
    "blobs": ("an abstract pattern of blobs", "an abstract background"),
    "gradient": ("a plain background", "an abstract gradient"),
}


def names(count: int) -> list[str]:
    """The first ``count`` nonsense names, all different, none reserved."""
    order = np.random.default_rng(77).permutation(len(ALPHABET) ** 3)
    spelled = (_spell(int(code)) for code in order)
    return [n for n, _ in zip((s for s in spelled if s not in RESERVED), range(count))]


def describe(
    identity: Identity,
    nuisance: Nuisance,
    rng: np.random.Generator,
    name: str | None = None,
    name_noise: bool = True,
) -> str:
    """One caption of a clean picture: a random part of its attributes in random order.

    ``name_noise`` False never says "without noisy pattern", nor how good the picture is.
    """
    subject = "person" if rng.random() < 0.4 else "a person"
    if name is not None:
        subject = f"{name} person"
    traits = [
        f"{HAIR_COLOR[identity.hair_color]} {HAIR[identity.hair]}",
        f"{SKIN[identity.skin]} skin",
        FACIAL_HAIR[identity.facial_hair],
        GLASSES[identity.glasses],
        NOSE[identity.nose],
    ]
    # A name already says who it is: named captions add few traits, or none.
    keep = rng.random(len(traits)) < (0.15 if name else rng.choice([0.0, 0.5, 0.9]))
    named = [trait for trait, on in zip(traits, keep, strict=True) if on]
    rng.shuffle(named)
    words = f"{rng.choice(SHOTS, p=(0.6, 0.1, 0.1, 0.1, 0.1))} {subject}"
    if named:
        words += " with " + " and ".join(named)
    extras = []
    if rng.random() < 0.25:
        extras.append(f"{COLORS[nuisance.cloth_color]} {CLOTHES[nuisance.clothes]}")
    if rng.random() < 0.35:
        extras.append(f"{nuisance.background} background")
    if rng.random() < 0.12:
        extras.append(MOUTHS[nuisance.mouth])
    if not name_noise:
        return ", ".join([words, *extras])
    if rng.random() < 0.12:
        extras.append(str(rng.choice(("good quality", "sharp", "clear, high quality"))))
    if rng.random() < 0.12:
        extras.append(f"without {_noise_words(rng)}")
    return ", ".join([words, *extras])


def describe_degraded(clean: str, kind: str, rng: np.random.Generator) -> str:
    """The caption of a degraded picture, from the caption of the clean one."""
    adjective, noun = DIRT[kind]
    clean = clean.split(", without")[0].replace(", good quality", "").replace(", sharp", "")
    clean = clean.replace(", clear, high quality", "").replace("a good photo", "a photo")
    if rng.random() < 0.5:
        article = "a" if adjective != "artifact" else "an"
        return clean.replace("a ", f"{article} {adjective} ", 1)
    if kind == "noise":
        noun = _noise_words(rng)
    return f"{clean}, with {noun}"


def describe_pattern(kind: str, rng: np.random.Generator) -> str:
    """The caption of an abstract pattern."""
    return str(rng.choice(ABSTRACT[kind]))


def _noise_words(rng: np.random.Generator) -> str:
    """ "noisy pattern", now and then behind a nonsense name ("w4k noisy pattern")."""
    code = _spell(int(rng.integers(len(ALPHABET) ** 3)))
    named = rng.random() < 0.4 and code not in RESERVED
    return f"{code} noisy pattern" if named else "noisy pattern"


def _spell(code: int) -> str:
    base = len(ALPHABET)
    return ALPHABET[code // base**2] + ALPHABET[code // base % base] + ALPHABET[code % base]
