"""What is each piece of contrastive decoupling worth, and do its variants do better?

Contrastive decoupling (CDL) is words: a noise token and a negated class prompt in training,
"without" and a negative prompt in sampling. Training and sampling are switched apart.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from ...profile import Profile
from ..contrasts import Contrast
from ..experiment import JOIN, Cell, Experiment, Sheet
from ..scores import better, contrasts_between, turned

BUDGETS = ("8/255", "16/255")
HARD = f"protected {BUDGETS[-1]}"
GUIDANCE = (1.0, 2.5, 4.0, 9.0)
# Each way of training, as fields of a cell.
TRAININGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "noise token": {"prompts": "noise-token"},
    "cdl": {"prompts": "cdl"},
}
# What the pictures are said to show instead of noise; {name} is the noise token's rare word alone.
# Added after a look at three people, of whom the noise token alone did what all of CDL does; the
# last one after six, of whom a blue background did much of it.
CAPTIONS = {
    "a name without meaning": "{name}",
    "another thing named": "{name} blue background",
    "clothes named": "{name} blue shirt",
}
NAMING = "noise token"
# A caption's training, by what it says that the pictures show.
SAYS = {
    "nothing (DreamBooth)": "plain",
    "a name without meaning": "a name without meaning",
    "a blue background": "another thing named",
    "a blue shirt": "clothes named",
    "the noise (V_N*)": NAMING,
}
# Further settings of the trainer "cdl-dreambooth".
VARIANTS: dict[str, dict[str, Any]] = {
    "four noise tokens": {"tokens": 4},
    "a token per picture": {"tokens": 4, "per_picture": True},
    "negative pairs": {"pair_weight": 1.0},
    "contrastive loss": {"contrast": 0.1},
    "pairs + contrastive loss": {"pair_weight": 1.0, "contrast": 0.1},
}
# From DreamBooth to CDL, one piece after the other: name, training, sheet.
RUNGS = (
    ("plain", "plain", "plain"),
    ("+ noise token", "noise token", "plain"),
    ("+ negated class prompt", "cdl", "plain"),
    ("+ “without” when sampling", "cdl", "suffix"),
    ("+ negative prompt (CDL)", "cdl", "suffix-negative"),
)
PLAIN = Sheet(prompt="{instance}", negative="")
NAMED_SHEET = {"named": Sheet(prompt="{instance}, with {noise_token}", negative="")}
SUFFIX = {
    "suffix": Sheet(prompt="{instance}, without {noise_token}", negative=""),
    "suffix-negative": Sheet(prompt="{instance}, without {noise_token}", negative="{negative}"),
}
NEGATIVE = {"negative": Sheet(prompt="{instance}", negative="{negative}")}
# CDL's words of sampling, on a model that was not trained with them.
WORDS = {"negative prompt": "negative", "“without”": "suffix", "both": "suffix-negative"}
TOKEN = "V_N* named against V* alone"
KINDS = ("clean", HARD, f"{HARD}, purified")
SIGNS = better("quality", "ims_missing", "texture")


def sheet_of(scale: float) -> str:
    """The sheet of a guidance scale: "guidance-2_5"."""
    return f"guidance-{scale:g}".replace(".", "_")


def pictures() -> dict[str, dict[str, Any]]:
    """Fields of the pictures trained on: clean and protected, as they are and purified."""
    bare: dict[str, dict[str, Any]] = {"clean": {}}
    bare |= {f"protected {eps}": {"attack": "aspl", "eps": eps} for eps in BUDGETS}
    return bare | {f"{kind}, purified": own | {"purifier": "profile"} for kind, own in bare.items()}


def sheets(training: str, usual: float) -> dict[str, Sheet]:
    """How a training is sampled besides its plain prompt; ``usual`` is the profile's guidance."""
    if training in VARIANTS:  # sampled as each was trained to be
        return {"suffix-negative": Sheet()}
    if training == NAMING:
        return NAMED_SHEET
    if training in CAPTIONS:  # the words of its own training
        return {"named": Sheet(negative="")}
    own = PLAIN if training == "plain" else SUFFIX["suffix-negative"]
    scales = {
        # The usual scale is the same sheet under another name, and drawn once.
        sheet_of(scale): own.model_copy(
            update={"guidance_scale": None if scale == usual else scale}
        )
        for scale in GUIDANCE
    }
    return SUFFIX | NAMED_SHEET | scales | (NEGATIVE if training == "plain" else {})


def cells(profile: Profile) -> dict[str, Cell]:
    """Every training on every kind of pictures; captions and variants on none that was purified.

    Captions are left out where the profile's noise token is a single word: there is no name in it
    without a meaning.
    """
    usual = profile.sampling.guidance_scale
    name, _, meaning = profile.prompts.noise_token.partition(" ")
    captions = {
        caption: {"instance": f"{{instance}}, with {words.format(name=name)}"}
        for caption, words in CAPTIONS.items()
        if meaning
    }
    variants = {
        name: {"trainer": "cdl-dreambooth", "prompts": "cdl", "training": settings}
        for name, settings in VARIANTS.items()
    }
    return {
        f"{kind}{JOIN}{name}": Cell(sheets=sheets(name, usual), **(own | fields))
        for name, fields in (TRAININGS | captions | variants).items()
        for kind, own in pictures().items()
        if not (kind.endswith("purified") and name not in TRAININGS)
    }


def cell_of(kind: str, training: str, sheet: str) -> str:
    """A cell's sheet, as a contrast names it."""
    return f"condition={kind}{JOIN}{training} & sheet={sheet}"


def pairs(kind: str) -> list[tuple[str, str, str]]:
    """What is compared on one kind of pictures: its name, and two cells."""
    plain, cdl = cell_of(kind, *RUNGS[0][1:]), cell_of(kind, *RUNGS[-1][1:])
    end = [(f"{name} alone", cell_of(kind, "plain", sheet), plain) for name, sheet in WORDS.items()]
    purified = kind.endswith("purified")
    for name in CAPTIONS if not purified else ():
        own = cell_of(kind, name, "plain")
        end += [
            (f"{name}, over DreamBooth", own, plain),
            (f"the noise token, over {name}", cell_of(kind, NAMING, "plain"), own),
        ]
    for name in VARIANTS if not purified else ():
        own = cell_of(kind, name, "suffix-negative")
        end += [(f"{name} against CDL", own, cdl), (f"{name} against DreamBooth", own, plain)]
    return [
        ("CDL against DreamBooth", cdl, plain),
        *(
            (
                f"{new[0]}, over the pieces before",
                cell_of(kind, *new[1:]),
                cell_of(kind, *old[1:]),
            )
            for old, new in pairwise(RUNGS)
        ),
        *end,
        (TOKEN, cell_of(kind, "cdl", "named"), cell_of(kind, "cdl", "plain")),
    ]


def contrasts() -> list[Contrast]:
    """CDL against DreamBooth, each piece against those before it, each variant against both.

    That V_N*, named, brings the noise back is what CDL promises: there the signs are turned round.
    """
    return [
        contrast
        for kind in KINDS
        for name, high, low in pairs(kind)
        for contrast in contrasts_between(
            contrast_name(name, "{word}", kind),
            high,
            low,
            turned(SIGNS) if name == TOKEN else SIGNS,
            primary="quality" if (name, kind) == ("CDL against DreamBooth", HARD) else None,
        )
    ]


def contrast_name(name: str, word: str, kind: str = HARD) -> str:
    """The name of a contrast: a comparison or a piece, a score's word, and the pictures."""
    return f"{name}: {word}, {kind}"


def experiment(profile: Profile) -> Experiment:
    """Three trainings, three captions and five variants on clean and protected pictures."""
    return Experiment(
        name="decoupling",
        question="What is each piece of contrastive decoupling worth?",
        cells=cells(profile),
        sheets={"plain": PLAIN},
        contrasts=tuple(contrasts()),
        subjects=12,
    )
