"""Is it a shortcut, and what drives it? Other pictures, other words, and looks on the way."""

from __future__ import annotations

from typing import Any

from ...analysis.lead import ON_THE_WAY
from ...inside.traces import WATCHED
from ...profile import Profile
from ..experiment import Cell, Experiment, Sheet
from ..predictions import contrasts

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
        contrasts=tuple(contrasts()),
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
