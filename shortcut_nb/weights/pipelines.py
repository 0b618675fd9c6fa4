"""Which diffusers pipelines the backbones know, and whether the parts of one fit each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .files import BadWeights

SUPPORTED = ("StableDiffusionPipeline", "StableDiffusionXLPipeline")
PREDICTIONS = ("epsilon", "v_prediction")

# (part of a class's name, why it is refused and what to do), the first that matches.
_REFUSED = [
    (
        "Inpaint",
        "it paints into a mask, and its UNet has channels for one: take the text-to-image model "
        "of the same family",
    ),
    (
        "Img2Img",
        "it starts from a picture: open the same weights as the text-to-image pipeline",
    ),
    ("Upscale", "it enlarges pictures: name it as the upscaler, under purifiers:"),
    ("InstructPix2Pix", "it edits pictures: take the text-to-image model of the same family"),
    ("ControlNet", "it wants a control picture: open its text-to-image pipeline without it"),
    ("StableDiffusion3", "it is trained by flow matching, which no attack here knows: take SDXL"),
    ("Flux", "it is trained by flow matching, which no attack here knows: take SDXL"),
]
# Parts of the names of schedulers that have no schedule of betas.
_UNSCHEDULED = ("EDM", "Karras", "IPNDM", "CMStochastic", "ScoreSde", "SCM", "CosineDPM")
_OTHERWISE = "no backbone knows its class: take Stable Diffusion 1.x, 2.x or XL"


def check_supported(kind: str, where: str) -> None:
    """Refuse the pipelines that no backbone knows.

    Raises:
        BadWeights: in one sentence, what it is and what to take instead.
    """
    if kind in SUPPORTED:
        return
    why = next((why for part, why in _REFUSED if part in kind), _OTHERWISE)
    raise BadWeights(f"{where} is a {kind}; {why} ({', '.join(SUPPORTED)}).")


def check_fit(configs: Mapping[str, Mapping[str, Any]], where: str, upscaler: bool = False) -> None:
    """Make sure that the UNet, VAE, text encoders and scheduler of a pipeline fit each other.

    Args:
        configs: by name, those parts that are there.
        upscaler: its UNet sees a picture beside the latents, so its channels differ.

    Raises:
        BadWeights: channels, text width, noise schedule or prediction type.
    """
    unet, vae = configs.get("unet"), configs.get("vae")
    for part, expected in (("unet", "UNet2DConditionModel"), ("vae", "AutoencoderKL")):
        kind = configs.get(part, {}).get("_class_name", expected)
        if kind != expected and not (part == "unet" and kind == "UNet2DModel"):
            raise BadWeights(f"{where}: its {part} is a {kind}, and only {expected} is known.")
    if scheduler := configs.get("scheduler"):
        _check_scheduler(scheduler, where)
    if unet and vae and not upscaler:
        _check_channels(unet, vae, where)
    texts = [configs[name] for name in ("text_encoder", "text_encoder_2") if configs.get(name)]
    if unet and texts and "cross_attention_dim" in unet:
        _check_width(unet, texts, where)


def no_schedule(kind: str) -> str:
    """What a pipeline with such a scheduler has, and what to do."""
    return (
        f"no noise schedule of numbered timesteps and betas ({kind}): give it the scheduler that "
        "its weights were trained with, such as DDPMScheduler, or take Stable Diffusion 1.x, 2.x "
        "or XL."
    )


def _check_scheduler(scheduler: Mapping[str, Any], where: str) -> None:
    kind = str(scheduler.get("_class_name", ""))
    if "FlowMatch" in kind or scheduler.get("use_flow_sigmas"):
        raise BadWeights(
            f"{where} is trained by flow matching ({kind or 'flow sigmas'}), which no attack here "
            "knows: take Stable Diffusion 1.x, 2.x or XL."
        )
    if any(part in kind for part in _UNSCHEDULED):
        raise BadWeights(f"{where} has {no_schedule(kind)}")
    prediction = scheduler.get("prediction_type", "epsilon")
    if prediction not in PREDICTIONS:
        raise BadWeights(
            f"{where} predicts {prediction!r}; expected {' or '.join(PREDICTIONS)}: "
            "take another model."
        )


def _check_channels(unet: Mapping[str, Any], vae: Mapping[str, Any], where: str) -> None:
    latent = vae.get("latent_channels", 4)
    taken, drawn = unet.get("in_channels", 4), unet.get("out_channels", 4)
    if taken == 2 * latent + 1:
        why = "it is an inpainting model (latents, masked latents, mask)"
    elif taken == 2 * latent:
        why = "it edits a picture that it sees beside the latents"
    else:
        why = "UNet and VAE belong to different models"
    if (taken, drawn) != (latent, latent):
        raise BadWeights(
            f"{where}: the UNet takes {taken} channels and gives {drawn}, the VAE's latents have "
            f"{latent}, so {why}: take the text-to-image model."
        )
    shifts = [name for name in ("latents_mean", "latents_std") if vae.get(name) is not None]
    shifts += ["shift_factor"] if vae.get("shift_factor") else []
    if shifts:
        raise BadWeights(
            f"{where}: the VAE shifts its latents ({shifts[0]}), which no backbone here knows: "
            "take Stable Diffusion 1.x, 2.x or XL."
        )


def _check_width(unet: Mapping[str, Any], texts: list[Mapping[str, Any]], where: str) -> None:
    wanted, written = unet["cross_attention_dim"], sum(text["hidden_size"] for text in texts)
    if isinstance(wanted, list | tuple):
        wanted = wanted[0]
    if wanted != written:
        raise BadWeights(
            f"{where}: the UNet reads text states of width {wanted}, the text encoder"
            f"{'s' if len(texts) > 1 else ''} of this folder writes {written}: they belong to "
            "different models; fetch the pipeline again."
        )
    refiner = unet.get("addition_embed_type") == "text_time" and len(texts) < 2
    if refiner:
        raise BadWeights(
            f"{where} has one text encoder where SDXL has two, as its refiner does: take the base "
            "model."
        )
