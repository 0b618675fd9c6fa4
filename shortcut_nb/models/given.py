"""Open models that are handed over, and the profile that stands for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffusers import DiffusionPipeline

from ..diffusion import open_pipeline
from ..errors import UserError, WrongType
from ..metrics import Detector, FaceEncoder, IdentityEncoder
from ..profile import ROLES, ModelRef, Profile, PromptDefaults, Sampling
from ..weights import IN_MEMORY
from .clip import Clip

KINDS: dict[str, type] = {
    "clip": Clip,
    "identity": IdentityEncoder,
    "detector": Detector,
    "faces": FaceEncoder,
}
"""The class of which a model that is handed over must be, by its role."""


def opened_by_role(
    pipe: DiffusionPipeline, given: Mapping[str, Any], resolution: int | None
) -> dict[str, Any]:
    """The models that were handed over, by role, the pipeline's as "diffusion".

    Args:
        given: the others by role; None are left out.
        resolution: side of the pictures, in pixels; None is what the pipeline was trained on.

    Raises:
        UserError: a pipeline that no backbone knows, a resolution that it cannot draw, or a model
            of another class than its role's.
    """
    if not isinstance(pipe, DiffusionPipeline) or not hasattr(pipe, "unet"):
        raise UserError(
            f"expected an open diffusers pipeline with a UNet, got {pipe!r}: open it with "
            "from_pretrained first, or name its folder in a profile"
        )
    others = {role: one for role, one in given.items() if one is not None}
    for role, one in others.items():
        _check_kind(role, one)
    return others | {"diffusion": open_pipeline(pipe, resolution=resolution)}


def profile_of(
    given: Mapping[str, Any], prompts: PromptDefaults | None, sampling: Sampling | None
) -> Profile:
    """The profile "pipeline", which names the models of memory.

    Args:
        given: by role, with "diffusion" among them.
        prompts, sampling: None are those of Stable Diffusion's profiles.

    Raises:
        WrongType: words or a sampler that are something else.
    """
    for words, kind in ((prompts, PromptDefaults), (sampling, Sampling)):
        if not isinstance(words, kind | None):
            raise WrongType(f"expected a {kind.__name__} or None; got {words!r}")
    refs: dict[str, Any] = dict.fromkeys(ROLES)
    for role in given:
        refs[role] = ModelRef(id=f"{IN_MEMORY}{role}", loader=ROLES[role][0])
    return Profile(
        name="pipeline",
        resolution=given["diffusion"].resolution,
        prompts=prompts or PromptDefaults(),
        sampling=sampling or Sampling(),
        **refs,
    )


def _check_kind(role: str, one: Any) -> None:
    """Make sure that a model that was handed over is of the class that its role calls.

    Raises:
        WrongType: something else, such as a name.
    """
    kind = KINDS[role]
    if not isinstance(one, kind):
        place = f"{kind.__module__}.{kind.__name__}"
        raise WrongType(
            f"{role} must be None or an open model, a {place}; got {one!r}: open it first, or name "
            "it in a profile"
        )
