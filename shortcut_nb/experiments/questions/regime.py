"""At which rates does fine-tuning move a model as far as the paper's does? On clean pictures only.

The paper fine-tunes for 1,000 steps at 5e-7 a model pretrained at 1e-4 (UNet) and about 5e-4 (text
encoder): rate × steps ÷ pretraining rate is 5 and 1. The candidates here keep, double and halve
these ratios. They are judged on validation people, before any attack is looked at.
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
PEOPLE = tuple(f"mini:validation/{i}" for i in range(8))
MARGIN = 0.05


def by_rule(steps: int, share: float = 1.0, text_share: float | None = None) -> dict[str, Any]:
    """Settings of a trainer whose rate × steps ÷ pretraining rate is the paper's.

    Args:
        share: of the paper's ratios.
        text_share: of the text encoder's, where it differs; 0 freezes it.
    """
    text_share = share if text_share is None else text_share
    return {
        "steps": steps,
        "lr": share * UNET_RATIO * UNET_PRETRAINING_RATE / steps,
        "text_lr": text_share * TEXT_RATIO * TEXT_PRETRAINING_RATE / steps,
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
    "rule, 60 steps": by_rule(60) | PLAIN,
    "rule, 120 steps": by_rule(120) | PLAIN,
    "rule, 240 steps": by_rule(240) | PLAIN,
    "rule, text frozen, 120 steps": by_rule(120, text_share=0.0) | PLAIN,
    "twice the rule, 120 steps": by_rule(120, 2.0) | PLAIN,
    "8 and 4 times the rule, 120 steps": by_rule(120, 8.0, 4.0) | OWN,
    "8 and 4 times the rule, 240 steps": by_rule(240, 8.0, 4.0) | OWN,
}
CHOSEN = "8 and 4 times the rule, 120 steps"
LONGER = "8 and 4 times the rule, 240 steps"


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
