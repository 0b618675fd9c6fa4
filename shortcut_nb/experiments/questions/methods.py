"""Four ways to teach a model a person: what is learned, what becomes of the class, how many steps
and pictures it takes. On clean pictures."""

from __future__ import annotations

from typing import Any

from ...profile import Profile
from ..contrasts import Contrast
from ..experiment import JOIN, Cell, Experiment

# A method's name here: the trainer and its settings.
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "dreambooth": ("dreambooth", {}),
    "dreambooth, no prior": ("dreambooth", {"prior_weight": 0.0}),
    "dreambooth-lora": ("dreambooth-lora", {}),
    "textual-inversion": ("textual-inversion", {}),
    "custom-diffusion": ("custom-diffusion", {}),
}
OWN, BARE = "dreambooth", "dreambooth, no prior"
SHARES = (0.0, 0.25, 0.5, 1.0, 2.0)  # of the usual steps
COUNTS = (1, 2, 4, 8)  # pictures
SPOILT = 0.05  # a loss of the class's quality that would matter


def usual_steps(profile: Profile, trainer: str = OWN) -> int:
    """How many steps a trainer takes under a profile."""
    return int(profile.defaults.get(trainer, {}).get("steps", 1000))


def cell_of(method: str, profile: Profile, share: float = 1.0, pictures: int | None = None) -> Cell:
    """A method at a share of its usual steps, on so many pictures (None: all of set B)."""
    trainer, own = METHODS[method]
    steps = round(share * usual_steps(profile, trainer))
    training = own if share == 1 else own | {"steps": steps}
    return Cell(trainer=trainer, training=training, pictures=pictures)


def cells(profile: Profile) -> dict[str, Cell]:
    """Every method after more and more steps; DreamBooth on fewer and more pictures."""
    curves = {
        f"{method}{JOIN}{share:g}": cell_of(method, profile, share)
        for method in METHODS
        for share in SHARES
    }
    counts = {f"{OWN}{JOIN}1{JOIN}{n}": cell_of(OWN, profile, pictures=n) for n in COUNTS}
    return curves | counts


def at(method: str, share: str = "1") -> str:
    """The name of a method's cell at a share of its usual steps."""
    return f"{method}{JOIN}{share}"


def contrasts() -> list[Contrast]:
    """What a method teaches, what prior preservation keeps, and whether the steps are enough."""
    predictions = []
    for method in METHODS:
        after = at(method)
        learns = {after: 1, at(method, "0"): -1}
        predictions += [
            Contrast(f"{method} learns the person", "ims_missing", learns, primary=method == OWN),
            Contrast(f"{method} goes on learning", "ims_missing", {at(method, "2"): 1, after: -1}),
            Contrast(
                f"{method} keeps the class good", "quality", learns, "class", "0", margin=SPOILT
            ),
        ]
        if method != OWN:
            words = f"{method} learns more than DreamBooth"
            predictions.append(Contrast(words, "ims_missing", {after: 1, at(OWN): -1}))
    prior = {at(OWN): 1, at(BARE): -1}
    one = {f"{at(OWN)}{JOIN}1": 1, at(OWN): -1}
    return [
        *predictions,
        Contrast("prior preservation keeps the class another", "ims_missing", prior, "class", "-"),
        Contrast("prior preservation keeps the class good", "quality", prior, "class"),
        Contrast("prior preservation costs the person", "ims_missing", prior, expect="-"),
        Contrast("one picture is copied", "copies", one),
        Contrast("one picture teaches less", "ims_missing", one, expect="-"),
    ]


def experiment(profile: Profile) -> Experiment:
    """Clean training by every method."""
    return Experiment(
        name="methods",
        question="What does each method learn of a person, and what does it do to the class?",
        cells=cells(profile),
        contrasts=tuple(contrasts()),
        n=4,
    )
