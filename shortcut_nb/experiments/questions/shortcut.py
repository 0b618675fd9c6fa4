"""Is it a shortcut, and what drives it? Other pictures, other words, and looks on the way."""

from __future__ import annotations

from typing import Any

from ...analysis.lead import ON_THE_WAY
from ...inside.traces import WATCHED
from ...profile import Profile
from ..contrasts import Contrast
from ..experiment import Cell, Experiment, Sheet
from ..scores import TURNED, worse

EPS = "16/255"
RARE = "bhj"  # a rare word that no training has seen
WORDS = {
    "own": "{instance}",
    "class": "{class_prompt}",
    "bare": "a photo of {identifier}",
    "swapped": f"a photo of {RARE} {{class_name}}",
}
ALWAYS = ("own", "class")
CAPTION = "{class_prompt} with {traits}"
TRAITS = "{instance} with {traits}"
NOISE_NAMED = "{instance}, with {noise_token}"

SCORES = worse("texture", "quality", "ims_missing")
BASE = "the harm follows V*, not the class"
MORE, LESS = True, False
Weights = dict[str, float]


def gap(cell: str, of: str = "own", over: str = "class", times: float = 1.0) -> Weights:
    """Samples of one prompt less those of another, after a cell's training."""
    places = {of: times, over: -times}
    return {f"condition={cell} & sheet={sheet}": weight for sheet, weight in places.items()}


def rise(cell: str, control: str, of: str = "own", over: str = "class") -> Weights:
    """A gap less the same gap in another cell."""
    return gap(cell, of, over) | gap(control, of, over, -1)


def beyond(cell: str, of: str = "own") -> Weights:
    """How much wider other words make a gap, over clean pictures under the same words."""
    return rise(cell, f"{cell}, clean", of) | rise("clean", "protected")


PREDICTED: tuple[tuple[str, Weights, bool, str], ...] = (
    (
        BASE,
        rise("protected", "clean"),
        MORE,
        "what differs between the instance and the class pictures is said by V* alone",
    ),
    (
        "it follows V*, not any rare word in its place",
        rise("protected", "clean", over="swapped"),
        MORE,
        "the noise is bound to the word trained on, not to the form of the sentence",
    ),
    (
        "V* carries it without the class word",
        rise("protected", "clean", of="bare"),
        MORE,
        "the noise is bound to V* itself",
    ),
    (
        "more perturbed pictures, more of it",
        gap("clean", times=-0.8)
        | gap("1/4 protected", times=-0.4)
        | gap("3/4 protected", times=0.4)
        | gap("protected", times=0.8),
        MORE,
        "V* is bound to whatever its pictures share",
    ),
    (
        "a quarter of the pictures is enough",
        rise("1/4 protected", "clean"),
        MORE,
        "noise is learned faster than a person",
    ),
    (
        "a shuffled perturbation works too",
        rise("shuffled", "clean"),
        MORE,
        "what is learned is the noise itself, whatever it lies on",
    ),
    (
        "a perturbation works best on its own picture",
        rise("protected", "shuffled"),
        MORE,
        "pictures and words no longer match: a perturbation is made for its picture",
    ),
    (
        "another person's perturbation works too",
        rise("another's", "clean"),
        MORE,
        "what is learned is the noise itself, not what it does to a person",
    ),
    (
        "random noise of the same size does less",
        rise("random noise", "protected"),
        LESS,
        "the shortcut is noise that moves pictures away from their meaning",
    ),
    (
        "a telling caption binds less than V*",
        beyond("caption", of="trained"),
        LESS,
        "a rare word has little meaning to hold against the noise, a caption has some",
    ),
    (
        "without V* in training, less sets V* apart from the class",
        beyond("caption"),
        LESS,
        "the noise goes to the words that were trained on",
    ),
    (
        "naming the person leaves the noise to V*",
        beyond("traits"),
        MORE,
        "V* is bound to what the other words do not say",
    ),
    (
        "naming the noise relieves V*",
        beyond("noise named"),
        LESS,
        "V* is bound to what the other words do not say",
    ),
    (
        "the noise's own words carry it",
        rise("noise named", "noise named, clean", of="trained", over="own"),
        MORE,
        "named noise is bound to its name",
    ),
    (
        "without prior preservation V* is set apart less",
        beyond("no prior"),
        LESS,
        "it holds the class word at clean pictures; without it all words take the noise",
    ),
)
"""What the hypothesis predicts, written before any result: the claim; a sum of how much of the
shortcut shows (the rise of texture, the fall of quality and of identity match); whether that is
above or below zero; and why."""


def contrasts() -> tuple[Contrast, ...]:
    """Each prediction on each score; the first, on texture, decides the question."""
    return tuple(
        Contrast(
            f"{claim} ({score})",
            score,
            weights,
            sheet=None,
            expect=sign if more else TURNED[sign],
            primary=(claim, score) == (BASE, "texture"),
            why=why,
        )
        for claim, weights, more, why in PREDICTED
        for score, (_, sign) in SCORES.items()
    )


def _sheet(prompt: str, at: float | None = None) -> Sheet:
    return Sheet(prompt=prompt, negative="", at=at)


def watched() -> dict[str, Sheet]:
    """Four prompts on the way and at the end of a training, less what every cell has."""
    end = {name: _sheet(prompt) for name, prompt in WORDS.items() if name not in ALWAYS}
    return end | {
        f"{name}{ON_THE_WAY}{share:.2f}": _sheet(prompt, share)
        for share in WATCHED
        for name, prompt in WORDS.items()
    }


def cells(attack: str = "aspl", purifier: str = "none", eps: str = EPS) -> dict[str, Cell]:
    """The interventions by name; "…, clean" is the same words on clean pictures, the control."""
    noisy: dict[str, Any] = {"attack": attack, "eps": eps, "purifier": purifier}
    clean: dict[str, Any] = {"eps": eps, "purifier": purifier}
    trained = {"trained": Sheet(negative="")}
    named = {"trained": _sheet(NOISE_NAMED)}
    words: dict[str, dict[str, Any]] = {
        "caption": {"instance": CAPTION, "sheets": trained},
        "traits": {"instance": TRAITS, "sheets": trained},
        "noise named": {"prompts": "cdl", "sheets": named},
        "no prior": {"training": {"prior_weight": 0.0}},
    }
    return {
        "clean": Cell(**clean, sheets=watched()),
        "protected": Cell(**noisy, sheets=watched()),
        "1/4 protected": Cell(**noisy, share=1 / 4),
        "1/2 protected": Cell(**noisy, share=1 / 2),
        "3/4 protected": Cell(**noisy, share=3 / 4),
        "shuffled": Cell(**noisy, perturbation="shuffled"),
        "another's": Cell(**noisy, perturbation="another's"),
        "random noise": Cell(**noisy | {"attack": "noise"}),
        **{name: Cell(**noisy, **how) for name, how in words.items()},
        **{f"{name}, clean": Cell(**clean, **how) for name, how in words.items()},
    }


def experiment(profile: Profile) -> Experiment:
    """Sixteen trainings of each person; two of them watched."""
    return Experiment(
        name="shortcut",
        question="Does the identifier V* carry the noise, and what decides whether it does?",
        cells=cells(),
        sheets={name: _sheet(WORDS[name]) for name in ALWAYS},
        contrasts=contrasts(),
        subjects=12,
    )


def pair(eps: str = EPS) -> dict[str, Cell]:
    """The two watched trainings, with V* and the class alone on the way."""
    looks = {
        name: sheet for name, sheet in watched().items() if name.partition(ON_THE_WAY)[0] in ALWAYS
    }
    every = cells(eps=eps)
    return {
        name: every[name].model_copy(update={"sheets": looks}) for name in ("clean", "protected")
    }


def looks_of(question: Experiment, cell: Cell) -> dict[tuple[float, str], Sheet]:
    """How a cell's model is sampled, by share of the training and name of the prompt."""
    looks = {}
    for name, sheet in (question.sheets | cell.sheets).items():
        share = 1.0 if sheet.at is None else sheet.at
        looks[share, name.partition(ON_THE_WAY)[0]] = sheet
    return looks
