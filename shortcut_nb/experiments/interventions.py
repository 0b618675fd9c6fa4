"""Interventions on the shortcut: other pictures or other words, and what V* then draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd
import torch
from torch import Tensor

from ..analysis.traits import traits
from ..budget import Budget
from ..personalize import PROMPTS
from ..personalize.token import replace_word
from ..subjects import Subject
from .sheets import Drawn, Sheet, draw, score
from .stages import Cell, Stages

WATCHED = (0.0, 1 / 6, 1 / 3, 1 / 2, 3 / 4)  # shares of the training, besides its end
RARE = ("bhj", "sks")  # rare words to put in the identifier's place: the first that it is not
PLACES = ("own", "shuffled", "another")
WORDS = ("identifier", "caption", "traits", "noise")


@dataclass(frozen=True)
class Condition:
    """What is changed before one DreamBooth.

    Args:
        attack: name of an attack, or None for clean pictures.
        share: of the pictures that are perturbed; the others stay clean.
        place: whose perturbation a picture carries: its "own", another picture's of the subject
            ("shuffled"), or that of "another" subject.
        words: what the instance pictures are called: by the "identifier"; by a "caption" with the
            subject's traits and no identifier; by identifier and "traits"; by identifier and
            "noise" (contrastive prompts).
        watched: sample on the way too, and with more prompts.
        purifier: name or chain that all pictures go through before training.
    """

    attack: str | None = "aspl"
    share: float = 1.0
    place: str = "own"
    words: str = "identifier"
    watched: bool = False
    purifier: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"share must lie in [0, 1]; got {self.share}")
        if self.place not in PLACES or self.words not in WORDS:
            raise ValueError(
                f"place is one of {PLACES} and words one of {WORDS}; got {self.place!r} and "
                f"{self.words!r}"
            )


CONDITIONS = {
    "clean": Condition(None, watched=True),
    "protected": Condition(watched=True),
    "1/4 protected": Condition(share=1 / 4),
    "1/2 protected": Condition(share=1 / 2),
    "3/4 protected": Condition(share=3 / 4),
    "shuffled": Condition(place="shuffled"),
    "another's": Condition(place="another"),
    "random noise": Condition("noise"),
    "caption": Condition(words="caption"),
    "caption, clean": Condition(None, words="caption"),
    "traits": Condition(words="traits"),
    "traits, clean": Condition(None, words="traits"),
    "noise named": Condition(words="noise"),
    "noise named, clean": Condition(None, words="noise"),
}
"""The interventions by name; "…, clean" is the same words on clean pictures, the control."""


def under(
    conditions: Mapping[str, Condition], attack: str = "aspl", purifier: str | None = None
) -> dict[str, Condition]:
    """Conditions with another attack in ASPL's place, and all pictures purified.

    The controls, clean pictures and random noise, keep what they are, and are purified too.
    """
    return {
        name: replace(
            one, attack=attack if one.attack == Condition.attack else one.attack, purifier=purifier
        )
        for name, one in conditions.items()
    }


def mixed(clean: Tensor, perturbed: Tensor, share: float, seed: int = 0) -> Tensor:
    """Clean pictures with a share of them replaced by their perturbed versions.

    Which ones is drawn from the seed; a smaller share's pictures are among a larger share's. The
    share is rounded to whole pictures.

    Args:
        clean, perturbed: (n, 3, H, W), the same pictures in the same order.
    """
    order = torch.randperm(len(clean), generator=torch.Generator().manual_seed(seed))
    chosen = order[: round(share * len(clean))]
    out = clean.clone()
    out[chosen] = perturbed[chosen]
    return out


def moved(clean: Tensor, change: Tensor, budget: Budget) -> Tensor:
    """Pictures with perturbations that were made for others; picture i takes row i mod their n.

    What would leave [0, 1] is cut off, so a moved perturbation is a little weaker than at home.

    Args:
        clean: (n, 3, H, W) in [0, 1].
        change: (m, 3, H, W), perturbations.

    Returns:
        (n, 3, H, W) in [0, 1], on the 8-bit grid and inside the budget.
    """
    rows = change[torch.arange(len(clean)) % len(change)]
    return budget.project_grid((clean + rows).clamp(0, 1), clean)


def shuffled(clean: Tensor, perturbed: Tensor, budget: Budget) -> Tensor:
    """Every perturbation moved on by one picture: none stays at home.

    Raises:
        ValueError: for a single picture.
    """
    if len(clean) < 2:
        raise ValueError("perturbations are shuffled between pictures: expected at least two")
    return moved(clean, (perturbed - clean).roll(1, dims=0), budget)


def pictures(
    stages: Stages, subject: Subject, condition: Condition, *, eps: str, seed: int,
    other: Subject | None = None,
) -> Tensor:  # fmt: skip
    """What is trained on under a condition, (n, 3, H, W) in [0, 1].

    Raises:
        ValueError: another subject's perturbation is wanted, and no other subject given.
    """
    images = _perturbed(stages, subject, condition, eps, seed, other)
    cell = Cell(purifier=condition.purifier)
    return stages.purify(images, cell, subject.class_name).images


def _perturbed(
    stages: Stages, subject: Subject, condition: Condition, eps: str, seed: int,
    other: Subject | None,
) -> Tensor:  # fmt: skip
    clean, budget = subject.images, Budget.parse(eps)
    if condition.attack is None:
        return clean
    cell = Cell(condition.attack, eps=eps)
    if condition.place == "another":
        if other is None:
            raise ValueError("another subject's perturbation is wanted: pass other=")
        changed = moved(clean, stages.protect(other, cell, seed) - other.images, budget)
    else:
        changed = stages.protect(subject, cell, seed)
        if condition.place == "shuffled":
            changed = shuffled(clean, changed, budget)
    return mixed(clean, changed, condition.share, seed)


def told(stages: Stages, subject: Subject, words: str) -> Subject:
    """The subject with the instance prompt of a condition's words (see :class:`Condition`).

    The traits are CLIP's words for the clean pictures, whatever is trained on.
    """
    if words not in ("caption", "traits"):
        return subject
    seen = traits(stages.lab.clip, subject.images, subject.class_prompt)
    before = subject.class_prompt if words == "caption" else subject.instance_prompt
    return replace(subject, instance_prompt=f"{before} with {seen}")


def sheets_of(subject: Subject, condition: Condition, trained: str) -> dict[str, Sheet]:
    """The prompts that a condition's model is sampled with; none has a negative prompt.

    "own" is the identifier's prompt and "class" the class's. A watched condition adds "bare" (the
    identifier without the class word) and "swapped" (another rare word for the identifier), one
    with other words adds "trained" (the prompt trained on).
    """
    said = {"own": subject.instance_prompt, "class": subject.class_prompt}
    if condition.watched:
        bare = replace_word(subject.instance_prompt, subject.class_name, "")
        rare = next(word for word in RARE if word != subject.identifier)
        said["bare"] = " ".join(bare.split())
        said["swapped"] = replace_word(subject.instance_prompt, subject.identifier, rare)
    if condition.words != "identifier":
        said["trained"] = trained
    return {name: Sheet(prompt, negative="") for name, prompt in said.items()}


def draw_condition(
    stages: Stages, subject: Subject, condition: Condition, *, eps: str = "16/255", seed: int = 0,
    n: int = 8, other: Subject | None = None,
) -> tuple[Drawn, Tensor, str]:  # fmt: skip
    """Fine-tune under a condition and sample its sheets; kept in the store.

    Args:
        n: samples a sheet.
        other: the subject whose perturbation is borrowed, where the condition wants one.

    Returns:
        Samples by (step, sheet); the pictures trained on; the prompt trained on.
    """
    lab = stages.lab
    images = pictures(stages, subject, condition, eps=eps, seed=seed, other=other)
    called = told(stages, subject, condition.words)
    prompts = "cdl" if condition.words == "noise" else "plain"
    trainer = lab.personalize("dreambooth", seed=seed, prompts=prompts)
    words = lab.profile.prompts
    trained = PROMPTS[prompts](called, words.noise_token, words.negative).instance
    at = {round(share * trainer.steps) for share in WATCHED} if condition.watched else ()
    drawn = draw(
        stages, called, images, trainer, sheets_of(subject, condition, trained),
        at=tuple(at), n=n, seed=seed, label=f"{subject.name}: {trained}",
    )  # fmt: skip
    return drawn, images, trained


def frame_of(
    stages: Stages, subject: Subject, drawn: Drawn, images: Tensor, trained: str
) -> pd.DataFrame:
    """One row per sample: scores, and how what was trained on differed.

    ``l2`` is the root mean square change of the pictures in grey levels; ``trained`` the prompt.
    """
    l2 = float((images - subject.images).square().mean().sqrt() * 255)
    return score(stages, subject, drawn).assign(subject=subject.name, l2=l2, trained=trained)
