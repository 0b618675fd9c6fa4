"""Open what a profile names: weights are looked at first, libraries are imported after.

Every function here checks its weights (whole, the right kind, their known SHA-256) before torch,
diffusers or transformers are loaded, so that what is missing is said at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from ..weights import ModelRef, checked

if TYPE_CHECKING:
    import torch
    from diffusers import StableDiffusionUpscalePipeline, UNet2DModel

    from ..diffusion import Diffusion
    from ..metrics import (
        AttributeReader,
        DamageRegressor,
        Detector,
        FaceEncoder,
        IdentityEncoder,
    )
    from ..networks import FaceNetwork, PixelDiffusion
    from .clip import Clip

    Device = str | torch.device


def open_diffusion(
    ref: ModelRef,
    device: Device,
    autocast: torch.dtype | None = None,
    resolution: int | None = None,
    lender: Diffusion | None = None,
) -> Diffusion:
    """A text-to-image model; arguments as for :func:`shortcut_nb.diffusion.open_pipeline`.

    Raises:
        MissingWeights, BadWeights: in one line, what is wrong with the weights.
    """
    path = checked(ref)
    from ..diffusion import open_pipeline

    return open_pipeline(
        path, device, autocast=autocast, resolution=resolution, lender=lender, **ref.options
    )


def open_clip_model(ref: ModelRef, device: Device) -> Clip:
    """The CLIP model of analysis and metrics."""
    path = checked(ref)
    from .clip import Clip

    return Clip.open(path, device, **ref.options)


def open_detector(ref: ModelRef, device: Device) -> Detector:
    """The detector of a person: a picture classifier, or a detector of objects."""
    path = checked(ref)
    from ..metrics import Detector, ObjectDetector

    kind = ObjectDetector if ref.loader == "object-detector" else Detector
    return kind.from_folder(path, device, **ref.options)


def open_identity(ref: ModelRef, device: Device) -> IdentityEncoder:
    """The encoder of who (or what) a picture shows."""
    path = checked(ref)
    from ..metrics import IdentityEncoder

    return IdentityEncoder.from_folder(path, device, **ref.options)


def open_faces(ref: ModelRef) -> FaceEncoder:
    """The recogniser of faces in photographs; it works on the CPU."""
    path = checked(ref)
    from ..metrics import FaceEncoder

    return FaceEncoder.open(path, **ref.options)


def open_attributes(ref: ModelRef, device: Device) -> AttributeReader:
    """The classifier of a person's attributes on a picture."""
    path = checked(ref)
    from ..metrics import AttributeReader

    return AttributeReader.from_folder(path, device, **ref.options)


def open_damage(ref: ModelRef, device: Device) -> DamageRegressor:
    """The regressor of how damaged a picture is."""
    path = checked(ref)
    from ..metrics import DamageRegressor

    return DamageRegressor.from_folder(path, device, **ref.options)


MEASURES: dict[str, Callable[[ModelRef, Device], Any]] = {
    "image-embedder": open_identity,
    "open_clip": open_clip_model,
    "attributes": open_attributes,
    "damage": open_damage,
}
"""Who opens a further measure, by its loader."""


def open_measure(ref: ModelRef, device: Device) -> Any:
    """A further network of the metrics or the analysis; its loader says of which kind.

    Raises:
        UserError: a loader that opens no measure.
    """
    if ref.loader not in MEASURES:
        raise UserError(
            f"a measure's loader is one of {', '.join(MEASURES)}; {ref.id!r} names {ref.loader!r}"
        )
    return MEASURES[ref.loader](ref, device)


def open_network(ref: ModelRef, device: Device) -> UNet2DModel | FaceNetwork:
    """A restoration network, in evaluation mode; the reference's loader says of which kind."""
    path = checked(ref)
    if ref.loader == "spandrel":
        from ..networks import FaceNetwork

        return FaceNetwork.open(path, device, **ref.options)
    from diffusers import UNet2DModel

    from ..weights.safe_opening import open_model

    return open_model(UNet2DModel, path).to(device).eval().requires_grad_(False)


def open_pixel_diffusion(ref: ModelRef, device: Device) -> PixelDiffusion:
    """An unconditional diffusion model of pixels; its folder says all, so options are not read."""
    path = checked(ref)
    from ..networks import PixelDiffusion

    return PixelDiffusion.open(path, device)


def open_upscaler(
    ref: ModelRef, device: Device, lender: Diffusion
) -> StableDiffusionUpscalePipeline:
    """A ×4 upscaler; parts that its folder is without are the lender's."""
    path = checked(ref)
    from diffusers import StableDiffusionUpscalePipeline

    from ..diffusion import open_folder

    kind: Any = StableDiffusionUpscalePipeline
    pipe = open_folder(kind, path, lender.lend(path)).to(device)
    for module in (pipe.vae, pipe.unet, pipe.text_encoder):
        module.eval().requires_grad_(False)
    return pipe
