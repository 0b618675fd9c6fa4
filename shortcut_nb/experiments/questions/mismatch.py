"""Does the latent mismatch explain the harm?

H1, as it is written: protected pictures leave their prompt's concept for "a noisy pattern", and
this shift is what ruins fine-tuning. Then an attack must shift more than noise of its size, the
shift must go with the harm, and an attack on nothing but the shift must do harm.

The contrasts are what H1 says must be, stated before they were measured. They are its predictions,
not our expectation: a prototype had seen random noise move CLIP as far as an attack. Added late:
"calls the pictures a pattern", after a look at one subject; the controls of equal l∞ and those of
purification, when the others were known. The decoded shift, the CLIP that never heard of noise and
the mediation were added after the first measurement and before the second.
"""

from __future__ import annotations

from typing import NamedTuple

from ...analysis.controls import KINDS
from ...probes.controls import SIZES, SPOILT
from ...probes.shifts import PLAIN
from ...profile import Profile
from ..contrasts import Contrast
from ..experiment import JOIN, Cell, Experiment
from ..scores import contrasts_between
from . import strength
from .strength import EPS

WEAK = "8/255"
AT_WEAK = ("noise", "aspl", "pid", "photoguard", "clip-shift", "decoded-shift")
PURIFIED = "aspl, purified"
# What harm is, in words, and its sign.
SCORES = {
    "ims_missing": ("identity falls", "-"),
    "quality": ("quality falls", "-"),
    "texture": ("texture rises", "+"),
}
CONTROLS = {
    f"{kind}_{size}": f"{SPOILT[kind]} of its {SIZES[size]}"
    for size, kinds in (("psnr", KINDS), ("linf", KINDS[1:]))
    for kind in kinds
}


class Move(NamedTuple):
    """A prediction of H1: a shift is larger in one condition than in another."""

    name: str
    column: str
    high: str
    low: str | None = None  # clean pictures, whose shift is 0


MOVES = (
    Move("ASPL moves CLIP towards noise", "clip_towards", "aspl"),
    Move("CLIP loses the class after ASPL", "class_lost", "aspl"),
    Move("CLIP calls the pictures a pattern after ASPL", "pattern_margin", "aspl"),
    Move("ASPL moves CLIP more than random noise", "clip_towards", "aspl", "noise"),
    Move("ASPL moves CLIP more than uniform noise", "clip_towards", "aspl", "noise-uniform"),
    Move("purification takes back the shift towards noise", "clip_towards", "aspl", PURIFIED),
    Move("purification lets the prompt fit again", "misled", "aspl", PURIFIED),
    Move(
        "ASPL moves the identity encoder more than random noise",
        "identity_towards",
        "aspl",
        "noise",
    ),
    Move("ASPL moves latents more than random noise", "latent", "aspl", "noise"),
    Move("the prompt fits less well after ASPL", "misled", "aspl"),
    Move("ASPL misleads the model more than random noise", "misled", "aspl", "noise"),
    Move(
        "the CLIP-shift attack moves CLIP more than random noise",
        "clip_towards",
        "clip-shift",
        "noise",
    ),
    Move("the CLIP-shift attack moves CLIP more than ASPL", "clip_towards", "clip-shift", "aspl"),
    Move(
        "decoded-shift moves CLIP after the autoencoder more than ASPL",
        "decoded_towards",
        "decoded-shift",
        "aspl",
    ),
)
# Of the CLIP that never heard of noise; only where a profile names it.
PLAIN_MOVES = (
    Move("a CLIP that never heard of noise sees ASPL's shift", "plain_towards", "aspl"),
    Move(
        "a CLIP that never heard of noise sees ASPL's more than random noise",
        "plain_towards",
        "aspl",
        "noise",
    ),
)
# Which way the harm may go, and its measure: the shift of the photos, the one behind the
# autoencoder, which is all that training sees of it, and the loss that most attacks climb.
PATHS = {
    "CLIP shift of the photos": "clip_towards",
    "CLIP shift that the model sees": "decoded_towards",
    "diffusion loss": "loss",
}
INTERVENTIONS = {
    "clip-shift": "intervention",
    "decoded-shift": "intervention after the autoencoder",
}


def at(name: str, eps: str) -> str:
    """A cell's name: clean pictures have no budget."""
    return name if name == "clean" else f"{name}{JOIN}{eps}"


def cells(profile: Profile) -> dict[str, Cell]:
    """Every attack at one budget, some at a weaker one; ASPL's pictures purified, too."""
    named = {}
    for eps, names in ((EPS, None), (WEAK, AT_WEAK)):
        for name, cell in strength.cells(profile, eps).items():
            if names is None or name in names:
                named[at(name, eps)] = cell
        purified = named[at("aspl", eps)].model_copy(update={"purifier": "profile"})
        named[at("aspl", eps)] = named[at("aspl", eps)].model_copy(
            update={"image_probes": ("controls",)}
        )
        named[at(PURIFIED, eps)] = purified
    return named


def contrasts(eps: str, plain: bool = True) -> list[Contrast]:
    """What H1 says must be, at a budget; the intervention on quality decides at :data:`EPS`.

    Args:
        plain: also of the CLIP that never heard of noise.
    """
    moves = [*MOVES, *(PLAIN_MOVES if plain else ())]
    predictions = [
        Contrast(f"{name}, {eps}", column, {at(high, eps): 1} | ({at(low, eps): -1} if low else {}))
        for name, column, high, low in moves
        if not (eps == WEAK and low == "noise-uniform")
    ]
    predictions += [
        Contrast(f"ASPL moves CLIP more than {name}, {eps}", f"beyond_{kind}", {at("aspl", eps): 1})
        for kind, name in CONTROLS.items()
    ]
    for attack, name in INTERVENTIONS.items():
        words = f"{name}: {{word}} more than by random noise, {eps}"
        primary = "quality" if (attack, eps) == ("decoded-shift", EPS) else None
        predictions += contrasts_between(words, at(attack, eps), at("noise", eps), SCORES, primary)
    return predictions


def experiment(profile: Profile) -> Experiment:
    """Every attack with its shift and its harm."""
    plain = PLAIN in profile.models()
    return Experiment(
        name="mismatch",
        question="Does the shift of protected pictures in CLIP space explain the harm?",
        cells=cells(profile),
        image_probes=("shifts",),
        contrasts=tuple(one for eps in (EPS, WEAK) for one in contrasts(eps, plain)),
    )
