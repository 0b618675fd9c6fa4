"""How a model is fine-tuned, whoever does it: what trainers and attackers' surrogates share."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt

from ..errors import UserError
from ..settings import ADDED, Guidance, SampleSteps, Settings, Whole, Words
from ..store.recipe import compared_fields

if TYPE_CHECKING:
    import torch
    from torch.optim.lr_scheduler import LRScheduler

Schedule = Literal[
    "constant",
    "constant_with_warmup",
    "linear",
    "cosine",
    "cosine_with_restarts",
    "polynomial",
]

SnrGamma = Annotated[float, Gt(0), Le(1000)] | None


def _class_images(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, str, Path)):
        raise UserError(f"got {value!r}")
    if isinstance(value, int):
        if value < 1:
            raise UserError(f"got {value}")
        return value
    folder = Path(value).expanduser()
    if not folder.is_dir():
        raise UserError(f"there is no folder {str(value)!r}")
    return str(value)


ClassImages = Annotated[
    int | str, Words("a whole number, at least 1, or a folder of class pictures", _class_images)
]


POLYNOMIAL_END = 1e-7
"""The rate at which diffusers' schedule of that name ends."""


@dataclass(frozen=True, kw_only=True)
class Regime(Settings):
    """Learning-rate schedule, loss weights, and how class pictures are drawn.

    Args:
        lr_scheduler: of diffusers' names; how the learning rate moves over the planned steps.
        warmup: steps over which the learning rate rises from 0, or a share of the planned steps.
        snr_gamma: weigh the loss by min-SNR with this γ (5 in Hang et al. 2023); None does not.
        fused: PyTorch's fused AdamW: a third of the time a step on a CPU, other last bits.
        prior_guidance: guidance scale at which class pictures are drawn; None is the profile's.
        prior_steps: denoising steps at which class pictures are drawn; None is the profile's.
    """

    lr_scheduler: Schedule = field(default="constant", metadata=ADDED)
    warmup: Whole | Annotated[float, Ge(0), Lt(1)] = field(default=0, metadata=ADDED)
    snr_gamma: SnrGamma = field(default=None, metadata=ADDED)
    fused: bool = field(default=False, metadata=ADDED)
    prior_guidance: Guidance | None = field(default=None, metadata=ADDED)
    prior_steps: SampleSteps | None = field(default=None, metadata=ADDED)

    def __post_init__(self) -> None:
        super().__post_init__()
        named = {field.name for field in fields(self)}
        for rate in {"lr", "surrogate_lr"} & named if self.lr_scheduler == "polynomial" else ():
            if getattr(self, rate) <= POLYNOMIAL_END:
                raise UserError(
                    f"{self.name}: the schedule polynomial ends at {POLYNOMIAL_END:g}, so {rate} "
                    f"must be above that; got {getattr(self, rate):g}"
                )

    @property
    def scheduled(self) -> bool:
        """Whether the learning rate changes in the course of the training."""
        return self.lr_scheduler != "constant" or self.warmup != 0

    def plain(self) -> dict[str, Any]:
        """What stands for the settings in a recipe; own class pictures by their content."""
        named = compared_fields(self)
        own = named.get("class_images")
        if isinstance(own, str):
            from ..latents import class_digest

            named["class_images"] = class_digest(own)
        return {"class": type(self).__name__, **named}

    def regime(self, planned: int, behind: int = 0) -> dict[str, Any]:
        """The options of a ``Trainee`` that come from here.

        Args:
            planned: steps that the whole training takes.
            behind: steps that it has behind it when it begins.
        """
        return {
            "lr_scheduler": self.lr_scheduler,
            "warmup": self.warmup,
            "planned": planned,
            "behind": min(behind, planned),
            "snr_gamma": self.snr_gamma,
            "fused": self.fused,
        }


def schedule_at(
    optimiser: torch.optim.Optimizer, name: str, warmup: int | float, planned: int, at: int
) -> LRScheduler | None:
    """diffusers' learning-rate schedule of an optimiser, at one of its steps.

    Args:
        name: of diffusers' names. A constant rate with a warm-up is "constant_with_warmup".
        warmup: steps, or a share of ``planned``.
        at: steps that have been taken.

    Returns:
        None for a constant rate without a warm-up.
    """
    if name == "constant" and not warmup:
        return None
    from diffusers.optimization import get_scheduler

    rising = math.ceil(warmup * planned) if isinstance(warmup, float) else warmup
    for group in optimiser.param_groups:
        group.setdefault("initial_lr", group["lr"])
    return get_scheduler(
        "constant_with_warmup" if name == "constant" else name,
        optimiser,
        num_warmup_steps=rising,
        num_training_steps=max(planned, rising + 1),
        last_epoch=at - 1,
    )
