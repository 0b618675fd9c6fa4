"""Contrastive decoupling with its words held: the text encoder frozen, or trained more slowly.

The base model understands "with" and "without" a noise token; fine-tuning its text encoder fast, as
the first miniature's was, wears that down before sampling asks for it. The idea and the weight of
the noise prior were chosen on four validation people at one seed, from thirteen ways of training.
"""

from __future__ import annotations

from typing import Any

from ...personalize import TRAINERS
from ...profile import Profile
from ..contrasts import Contrast
from ..experiment import JOIN, Cell, Experiment, Sheet
from ..scores import contrasts_between, turned
from .decoupling import HARD, SIGNS, contrast_name

EPS = "16/255"
PICTURES: dict[str, dict[str, Any]] = {
    "clean": {},
    HARD: {"attack": "aspl", "eps": EPS},
}
SHEETS = {
    "plain": Sheet(prompt="{instance}", negative=""),
    "without": Sheet(prompt="{instance}, without {noise_token}", negative="{negative}"),
    "named": Sheet(prompt="{instance}, with {noise_token}", negative=""),
}
FROZEN: dict[str, Any] = {"text_lr": 0.0}
NOISE_PRIOR: dict[str, Any] = {"noise_prior_weight": 0.3}
HELD_WORDS: dict[str, Any] = {
    "trainer": "cdl-dreambooth",
    "prompts": "cdl",
    "training": NOISE_PRIOR | FROZEN,
}
"""Fields of a defender's cell: CDL with the text encoder frozen and the noise token preserved."""
TRAININGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "cdl": {"prompts": "cdl"},
    "plain, frozen": {"training": FROZEN},
    "cdl, frozen": {"prompts": "cdl", "training": FROZEN},
    "noise prior, frozen": HELD_WORDS,
}
# The text encoder's learning rate, as a share of the profile's own; 0 is "frozen", 1 the usual.
SHARES = {"1/100": 0.01, "1/10": 0.1}
# DreamBooth and CDL by the text encoder's rate, the slowest first.
BY_RATE = {
    "0 (frozen)": ("plain, frozen", "cdl, frozen"),
    **{share: (f"plain, {share} rate", f"cdl, {share} rate") for share in SHARES},
    "1 (the usual)": ("plain", "cdl"),
}
# A way of training and of sampling, and what tables call it.
ROWS = {
    "DreamBooth": ("plain", "plain"),
    "DreamBooth, CDL's words when sampling": ("plain", "without"),
    "DreamBooth, CDL's words when training": ("cdl", "plain"),
    "CDL": ("cdl", "without"),
    "DreamBooth, text encoder frozen": ("plain, frozen", "plain"),
    "CDL, text encoder frozen": ("cdl, frozen", "without"),
    "CDL, text encoder frozen, noise prior": ("noise prior, frozen", "without"),
}
_DREAMBOOTH, _WORDED, _TAUGHT, _CDL, _FROZEN, _TRAINED, _PRIOR = ROWS.values()
_SAMPLED = ("plain, frozen", "without")
# What is compared: the training and sheet that is to do better, and the other. Those with the text
# encoder trained, but for CDL itself, were added after a look at the second miniature's results.
PIECES = {
    "CDL": (_CDL, _DREAMBOOTH),
    "CDL's words when sampling, text trained": (_WORDED, _DREAMBOOTH),
    "CDL's words when training, text trained": (_TAUGHT, _DREAMBOOTH),
    "CDL's words when sampling, over those of training": (_CDL, _TAUGHT),
    "freezing the text encoder": (_FROZEN, _DREAMBOOTH),
    "CDL's words when sampling": (_SAMPLED, _FROZEN),
    "CDL's words when training": (_TRAINED, _SAMPLED),
    "a noise prior": (_PRIOR, _TRAINED),
    "held CDL": (_TRAINED, _FROZEN),
    "held CDL with a noise prior": (_PRIOR, _FROZEN),
    "held CDL, over CDL": (_TRAINED, _CDL),
    "held CDL with a noise prior, over CDL": (_PRIOR, _CDL),
} | {
    f"CDL at {share} of the text encoder's rate": (
        (f"cdl, {share} rate", "without"),
        (f"plain, {share} rate", "plain"),
    )
    for share in SHARES
}
PRIMARY = "held CDL"
# Does V_N* hold the noise? Naming it is to bring texture and to take quality.
NOISE_NAMED = ("cdl", "cdl, frozen", "noise prior, frozen")


def trainings(profile: Profile) -> dict[str, dict[str, Any]]:
    """Every way of training, as fields of a cell; slower text encoders as the profile has them."""
    own = profile.defaults.get("dreambooth", {})
    usual = own.get("text_lr")
    usual = own.get("lr", TRAINERS["dreambooth"].lr) if usual is None else usual
    slower = {
        f"{prompts}, {share} rate": {"prompts": prompts, "training": {"text_lr": usual * part}}
        for share, part in SHARES.items()
        for prompts in ("plain", "cdl")
    }
    return TRAININGS | slower


def contrasts() -> list[Contrast]:
    """What each piece adds on protected pictures, and on clean ones; and where the noise is."""
    predictions = []
    for kind in PICTURES:
        for metric, score in SIGNS.items():
            one = {metric: score}
            for name, (high, low) in PIECES.items():
                words = contrast_name(name, "{word}", kind)
                primary = "quality" if name == PRIMARY and kind != "clean" else None
                predictions += contrasts_between(
                    words, piece_on(high, kind), piece_on(low, kind), one, primary
                )
            for name in NOISE_NAMED:
                words = contrast_name(f"V_N* named ({name})", "{word}", kind)
                high, low = piece_on((name, "named"), kind), piece_on((name, "plain"), kind)
                predictions += contrasts_between(words, high, low, turned(one))
    return predictions


def piece_on(piece: tuple[str, str], kind: str) -> str:
    """A training and its sheet on one kind of pictures, as a contrast names them."""
    training, sheet = piece
    return f"condition={training}{JOIN}{kind} & sheet={sheet}"


def experiment(profile: Profile) -> Experiment:
    """Nine ways to train, on clean and on protected pictures, each sampled in three ways."""
    return Experiment(
        name="words",
        question="Which piece of contrastive decoupling restores quality, and must words be held?",
        cells={
            f"{name}{JOIN}{kind}": Cell(**(own | fields))
            for name, own in trainings(profile).items()
            for kind, fields in PICTURES.items()
        },
        sheets=SHEETS,
        contrasts=tuple(contrasts()),
        n=4,
    )
