"""What is each piece of contrastive decoupling worth, and do its variants do better?"""

from __future__ import annotations

from typing import Any

from ...profile import Profile
from ..contrasts import Contrast
from ..decoupling import GUIDANCE, RUNGS, TRAININGS, VARIANTS, sheet_of
from ..experiment import JOIN, Cell, Experiment, Sheet

BUDGETS = ("8/255", "16/255")
HARD = f"protected {BUDGETS[-1]}"
PLAIN = Sheet(prompt="{instance}", negative="")
SUFFIX = {
    "suffix": Sheet(prompt="{instance}, without {noise_token}", negative=""),
    "suffix-negative": Sheet(prompt="{instance}, without {noise_token}", negative="{negative}"),
}
NAMED = {"named": Sheet(prompt="{instance}, with {noise_token}", negative="")}
# Each score: its word, and the sign of what helps.
SIGNS = {"quality": ("quality", "+"), "ims_missing": ("identity", "+"), "texture": ("texture", "-")}


def pictures() -> dict[str, dict[str, Any]]:
    """Fields of the pictures trained on: clean and protected, as they are and purified."""
    bare: dict[str, dict[str, Any]] = {"clean": {}}
    bare |= {f"protected {eps}": {"attack": "aspl", "eps": eps} for eps in BUDGETS}
    return bare | {f"{kind}, purified": own | {"purifier": "profile"} for kind, own in bare.items()}


def sheets(training: str, usual: float) -> dict[str, Sheet]:
    """How a training is sampled besides its plain prompt; ``usual`` is the profile's guidance."""
    if training in VARIANTS:  # sampled as each was trained to be
        return {"suffix-negative": Sheet()}
    if training not in ("plain", "cdl"):
        return NAMED
    own = PLAIN if training == "plain" else SUFFIX["suffix-negative"]
    scales = {
        sheet_of(scale): own.model_copy(
            update={"guidance_scale": None if scale == usual else scale}
        )
        for scale in GUIDANCE
    }
    negative = {"negative": Sheet(prompt="{instance}", negative="{negative}")}
    return SUFFIX | NAMED | scales | (negative if training == "plain" else {})


def cells(profile: Profile) -> dict[str, Cell]:
    """Every training on every kind of pictures; variants on pictures that were not purified."""
    found, usual = {}, profile.sampling.guidance_scale
    for name, (trainer, settings) in (TRAININGS | VARIANTS).items():
        rest = {key: value for key, value in settings.items() if key != "prompts"}
        for kind, own in pictures().items():
            if name in VARIANTS and kind.endswith("purified"):
                continue
            found[f"{kind}{JOIN}{name}"] = Cell(
                trainer=trainer, prompts=settings.get("prompts", "cdl"), training=rest,
                sheets=sheets(name, usual), **own,
            )  # fmt: skip
    return found


def at(training: str, sheet: str) -> str:
    """A cell's sheet on pictures protected at the larger budget."""
    return f"condition={HARD}{JOIN}{training} & sheet={sheet}"


def contrasts() -> list[Contrast]:
    """CDL against DreamBooth, each piece against those before it, each variant against CDL."""
    plain, cdl = at(*RUNGS[0][1:]), at(*RUNGS[-1][1:])
    pairs = [("CDL against DreamBooth", cdl, plain)]
    pairs += [
        (f"{new[0]}, over the pieces before", at(*new[1:]), at(*old[1:]))
        for old, new in zip(RUNGS, RUNGS[1:], strict=False)
    ]
    pairs += [(f"{name} against CDL", at(name, "suffix-negative"), cdl) for name in VARIANTS]
    pairs.append(("the negative prompt alone", at("plain", "negative"), plain))
    return [
        Contrast(
            f"{name}: {word}", metric, {high: 1, low: -1}, expect=sign,
            primary=(name, metric) == (pairs[0][0], "quality"),
        )
        for name, high, low in pairs
        for metric, (word, sign) in SIGNS.items()
    ]  # fmt: skip


def experiment(profile: Profile) -> Experiment:
    """Three trainings and five variants on clean and protected pictures, sampled in many ways."""
    return Experiment(
        name="decoupling",
        question="What is each piece of contrastive decoupling worth?",
        cells=cells(profile),
        sheets={"plain": PLAIN},
        contrasts=tuple(contrasts()),
        subjects=6,
        seeds=(0, 1),
        n=8,
    )
