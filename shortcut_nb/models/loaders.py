"""Open what a profile names, by its loader.

Whoever calls these has looked at the weights (:meth:`.named.Named.checked_ref`): whole, of the
right kind, of their known SHA-256. Libraries are loaded here, so after that, and what is missing is
said at once. Damaged weights are refused here all the same, in one line (BadWeights), by what opens
them; only digests that the profile gives are not looked at again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from ..weights import ModelRef, resolve

if TYPE_CHECKING:
    import torch
    from diffusers import StableDiffusionUpscalePipeline, UNet2DModel

    from ..diffusion import Diffusion
    from ..metrics import FaceEncoder
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
    from ..diffusion import open_pipeline

    return open_pipeline(
        resolve(ref),
        device,
        autocast=autocast,
        resolution=resolution,
        lender=lender,
        **ref.options,
    )


def open_clip_model(ref: ModelRef, device: Device) -> Clip:
    """The CLIP model of analysis and metrics."""
    from .clip import Clip

    return Clip.open(resolve(ref), device, **ref.options)


NETWORKS = {
    "image-embedder": "IdentityEncoder",
    "image-classifier": "Detector",
    "object-detector": "ObjectDetector",
    "attributes": "AttributeReader",
    "damage": "DamageRegressor",
}
"""The class in :mod:`shortcut_nb.metrics` of a network that reads pictures, by its loader."""


def open_picture_network(ref: ModelRef, device: Device) -> Any:
    """A network that reads pictures, of the class that the reference's loader has in NETWORKS."""
    from .. import metrics

    kind = getattr(metrics, NETWORKS[ref.loader])
    return kind.from_folder(resolve(ref), device, **ref.options)


def open_faces(ref: ModelRef) -> FaceEncoder:
    """The recogniser of faces in photographs; it works on the CPU."""
    from ..metrics import FaceEncoder

    return FaceEncoder.open(resolve(ref), **ref.options)


MEASURES: dict[str, Callable[[ModelRef, Device], Any]] = {
    "image-embedder": open_picture_network,
    "open_clip": open_clip_model,
    "attributes": open_picture_network,
    "damage": open_picture_network,
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
    path = resolve(ref)
    if ref.loader == "spandrel":
        from ..networks import FaceNetwork

        return FaceNetwork.open(path, device, **ref.options)
    from diffusers import UNet2DModel

    from ..weights.safe_opening import open_model

    return open_model(UNet2DModel, path).to(device).eval().requires_grad_(False)


def open_pixel_diffusion(ref: ModelRef, device: Device) -> PixelDiffusion:
    """An unconditional diffusion model of pixels; its folder says all, so options are not read."""
    from ..networks import PixelDiffusion

    return PixelDiffusion.open(resolve(ref), device)


def open_upscaler(
    ref: ModelRef, device: Device, lender: Diffusion
) -> StableDiffusionUpscalePipeline:
    """A ×4 upscaler; parts that its folder is without are the lender's."""
    path = resolve(ref)
    from diffusers import StableDiffusionUpscalePipeline

    from ..diffusion import open_folder

    kind: Any = StableDiffusionUpscalePipeline
    pipe = open_folder(kind, path, lender.lend(path)).to(device)
    for module in (pipe.vae, pipe.unet, pipe.text_encoder):
        module.eval().requires_grad_(False)
    return pipe
