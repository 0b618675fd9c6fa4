"""At which rates does fine-tuning move a model as far as the paper's does? On clean pictures only.

The paper fine-tunes for 1,000 steps at 5e-7 a model pretrained at 1e-4 (UNet) and about 5e-4 (text
encoder): rate × steps ÷ pretraining rate is 5 and 1, where the rate is the mean over the steps. The
candidates here halve, keep and raise these ratios. They are judged on validation people, before any
attack is looked at.
"""

from __future__ import annotations

from typing import Any

from ...profile import Profile
from ..contrasts import Contrast
from ..experiment import Cell, Experiment

UNET_PRETRAINING_RATE = 1e-3
TEXT_PRETRAINING_RATE = 5e-4
UNET_RATIO = 5.0
TEXT_RATIO = 1.0
MEAN_SHARE = 0.5  # of the highest rate: the mean of a warm-up from zero and a cosine to zero
PEOPLE = tuple(f"mini:validation/{i}" for i in range(8))
MARGIN = 0.05


def by_rule(steps: int, share: float = 1.0, text_share: float | None = None) -> dict[str, Any]:
    """Settings of a trainer whose mean rate × steps ÷ pretraining rate is the paper's.

    Args:
        share: of the paper's ratios.
        text_share: of the text encoder's, where it differs; 0 freezes it.
    """
    text_share = share if text_share is None else text_share
    return {
        "steps": steps,
        "lr": share / MEAN_SHARE * UNET_RATIO * UNET_PRETRAINING_RATE / steps,
        "text_lr": text_share / MEAN_SHARE * TEXT_RATIO * TEXT_PRETRAINING_RATE / steps,
        "lr_scheduler": "cosine",
        "warmup": 1 / 6,
        "snr_gamma": 5.0,
    }


# How class pictures are used, and how the candidates are trained that were not chosen.
PRIOR: dict[str, Any] = {"class_images": 64, "prior_weight": 1.0, "prior_dropout": 0.5}
PLAIN = PRIOR | {"batch_size": 4, "fused": False, "prior_guidance": 2.0}
OWN = PRIOR | {"batch_size": 4, "fused": True}
COLD: dict[str, Any] = {"lr_scheduler": "constant", "warmup": 0, "snr_gamma": None}
REGIMES: dict[str, dict[str, Any]] = {
    "base model": {"steps": 0} | PLAIN,
    "first miniature's": {"steps": 60, "lr": 2e-4, "text_lr": None} | COLD | PLAIN,
    "half the rule, 60 steps": by_rule(60, 0.5) | PLAIN,
    "half the rule, 120 steps": by_rule(120, 0.5) | PLAIN,
    "half the rule, 240 steps": by_rule(240, 0.5) | PLAIN,
    "half the rule, text frozen, 120 steps": by_rule(120, 0.5, 0.0) | PLAIN,
    "the rule, 120 steps": by_rule(120) | PLAIN,
    "4 and 2 times the rule, 120 steps": by_rule(120, 4.0, 2.0) | OWN,
    "4 and 2 times the rule, 240 steps": by_rule(240, 4.0, 2.0) | OWN,
}
CHOSEN = "4 and 2 times the rule, 120 steps"
LONGER = "4 and 2 times the rule, 240 steps"


def contrasts() -> tuple[Contrast, ...]:
    """What a good regime keeps: the class stays, V* has settled."""
    kept = [
        Contrast(
            f"the class keeps its {metric}",
            metric,
            {CHOSEN: 1, "base model": -1},
            sheet="class",
            expect="0",
            margin=MARGIN,
            primary=metric == "quality",
        )
        for metric in ("quality", "texture", "intact")
    ]
    settled = [
        Contrast(
            f"twice as many steps move {metric} of V* no further",
            metric,
            {LONGER: 1, CHOSEN: -1},
            expect="0",
            margin=MARGIN,
        )
        for metric in ("ims", "quality", "intact")
    ]
    return (*kept, *settled)


def experiment(profile: Profile) -> Experiment:
    """Clean training of eight validation people in every candidate regime."""
    return Experiment(
        name="regime",
        question="At which rates does clean training teach the person and keep the class?",
        cells={name: Cell(training=training) for name, training in REGIMES.items()},
        contrasts=contrasts(),
        subjects=PEOPLE,
        seeds=(0,),
    )
