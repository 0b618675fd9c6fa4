"""Class pictures of prior preservation: how a model draws them, and what names them in a store."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ..store import Payload, Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from .models import Models

STAGE = "prior"
VERSION = "1"
SEED = 777


@dataclass(frozen=True)
class ClassPictures:
    """Pictures of the class that a text-to-image model draws before it is fine-tuned.

    They are the same for every subject of the class, and never decoded: trainings see latents.

    Args:
        prompt: the class prompt, such as "a photo of a person".
        n: how many.
        steps, guidance_scale: of the sampling.
        role: which of the profile's text-to-image models draws: "diffusion", or "ensemble:0" and so
            on.
        seed: of the sampling; the same for everybody.
    """

    prompt: str
    n: int
    steps: int
    guidance_scale: float
    role: str = "diffusion"
    seed: int = SEED

    def recipe(self, models: Models) -> Recipe:
        """What names the latents in a store."""
        inputs = {
            # The text-to-image model may lend its VAE and text encoder to the others.
            "weights": models.digest("diffusion", self.role),
            "arithmetic": f"{models.device.type} {models.autocast}",
        }
        if models.profile.resolution != models.own_side:
            inputs["side"] = str(models.profile.resolution)
        return Recipe(STAGE, VERSION, asdict(self), inputs)


def save_latents(out: Payload, latents: Tensor) -> None:
    """Write the latents (n, c, h, w) into an output of a store."""
    out.save_tensors(STAGE, {"latents": latents})


def latents_in(entry: Payload) -> Tensor:
    """What :func:`save_latents` wrote."""
    return entry.tensors(STAGE)["latents"]
