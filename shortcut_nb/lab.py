"""Lab: opens, lazily, what a profile names, and hands out attacks, purifiers and trainers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import models
from .profile import Profile, load_profile, resolve
from .weights import ModelRef, checked, file_digests

if TYPE_CHECKING:  # imported where they are first needed: what is missing is said before that
    import pandas as pd
    import torch
    from diffusers import StableDiffusionUpscalePipeline, UNet2DModel
    from torch import Tensor

    from .attacks import Attack
    from .clip import Clip
    from .diffusion import Diffusion
    from .metrics import Detector, IdentityEncoder
    from .metrics.perceptual import ClipPerceptualDistance
    from .personalize import Trainer
    from .personalize.training import Latents
    from .purify import Purifier
    from .purify.face_network import FaceNetwork
    from .purify.pixel_diffusion import PixelDiffusion
    from .subjects import Subject


class Lab:
    """Everything a profile names, opened when first used.

    Args:
        profile: a name ("mini", "sd15", "sd21"), a YAML file, or a Profile.
        device: None takes CUDA if there is one.
        autocast: dtype of UNet and VAE arithmetic; None is :func:`shortcut_nb.modes.fast_dtype`.

    Raises:
        shortcut_nb.profile.MissingWeights: when a model is first used and is not on this machine.
    """

    def __init__(
        self, profile: str | Path | Profile = "mini", device: str | None = None,
        autocast: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        self.profile = load_profile(profile)
        self._device, self._autocast = device, autocast
        self._digests: dict[str, str] = {}
        self._networks: dict[str, UNet2DModel | FaceNetwork] = {}
        self._priors: dict[tuple[str, int, int], Latents] = {}
        # Where class pictures are kept between processes; a store may put itself here.
        self.keep_prior: Callable[[str, dict[str, Any], Callable[[], Tensor]], Tensor] | None = None

    @cached_property
    def device(self) -> torch.device:
        """Where models go."""
        import torch

        return torch.device(self._device or ("cuda" if torch.cuda.is_available() else "cpu"))

    @cached_property
    def autocast(self) -> torch.dtype:
        """The dtype of UNet and VAE arithmetic."""
        from .modes import fast_dtype

        return self._autocast or fast_dtype(self.device)

    def __repr__(self) -> str:
        return f"Lab({self.profile.name!r}, device={str(self.device)!r}, {self.autocast})"

    def digest(self, *roles: str) -> str:
        """What stands, in cache keys, for the models of some roles (see ``Profile.models``).

        Every file of the folders counts: weights, scheduler, tokenizer. A role that ends in ":"
        means all that begin with it. Models of other roles need not be on this machine.
        """
        models = self.profile.models()
        wanted = [
            name
            for name in models
            if name in roles or any(r.endswith(":") and name.startswith(r) for r in roles)
        ]
        return " ".join(f"{role}={self._digest(role)}" for role in sorted(wanted))

    def _digest(self, role: str) -> str:
        if role not in self._digests:
            files = file_digests(resolve(self.profile.models()[role]))
            text = "\n".join(f"{name} {found}" for name, found in files.items())
            self._digests[role] = hashlib.sha256(text.encode()).hexdigest()
        return self._digests[role]

    @cached_property
    def diffusion(self) -> Diffusion:
        """The text-to-image model."""
        return self._open_diffusion(self.profile.diffusion)

    def _open_diffusion(self, ref: ModelRef, lender: Diffusion | None = None) -> Diffusion:
        checked(ref)  # before torch is loaded to find the device
        return models.open_diffusion(
            ref, self.device, self.autocast, self.profile.resolution, lender
        )

    @cached_property
    def clip(self) -> Clip:
        """The CLIP model of the analysis and the quality metric."""
        checked(self.profile.clip)
        return models.open_clip_model(self.profile.clip, self.device)

    @cached_property
    def perceptual(self) -> ClipPerceptualDistance:
        """A perceptual distance on the lab's CLIP."""
        from .metrics.perceptual import ClipPerceptualDistance

        return ClipPerceptualDistance(self.clip)

    @cached_property
    def detector(self) -> Detector:
        """The face detector of the metrics."""
        checked(self.profile.detector)
        return models.open_detector(self.profile.detector, self.device)

    @cached_property
    def identity(self) -> IdentityEncoder:
        """The identity encoder of the metrics."""
        checked(self.profile.identity)
        return models.open_identity(self.profile.identity, self.device)

    def purifier_model(self, name: str) -> UNet2DModel | FaceNetwork:
        """The network of a purifier, in evaluation mode; the profile's loader says of which kind.

        Raises:
            ValueError: when the profile names no weights for it.
        """
        if name not in self._networks:
            ref = self._purifier_ref(name)
            self._networks[name] = models.open_network(ref, self.device)
        return self._networks[name]

    @cached_property
    def pixel_diffusion(self) -> PixelDiffusion:
        """The unconditional pixel-space model of DiffPure, DDSPure and GrIDPure."""
        return models.open_pixel_diffusion(self._purifier_ref("pixel"), self.device)

    @cached_property
    def upscaler(self) -> StableDiffusionUpscalePipeline:
        """The ×4 upscaler of the purifier "sr".

        A folder without a text encoder of its own (the miniature's, to save its megabytes) reads
        prompts with the text-to-image model's.
        """
        ref = self._purifier_ref("upscaler")
        return models.open_upscaler(ref, self.device, self.diffusion)

    def _purifier_ref(self, name: str) -> ModelRef:
        if name not in self.profile.purifiers:
            have = ", ".join(self.profile.purifiers) or "none"
            raise ValueError(
                f"profile {self.profile.name} names no weights for purifier {name!r} (it has: "
                f"{have}). Add an entry under purifiers: in the profile."
            )
        checked(self.profile.purifiers[name])
        return self.profile.purifiers[name]

    def subject(
        self, source: str | Path, class_name: str | None = None, identifier: str | None = None
    ) -> Subject:
        """A subject from a folder of photos, or a synthetic one: "mini:held-out/3".

        Raises:
            FileNotFoundError, ValueError: an empty or missing folder, or a broken picture.
        """
        from .subjects import Subject, split_folder

        words = self.profile.prompts
        said = {"class_name": class_name or words.class_name,
                "identifier": identifier or words.identifier}  # fmt: skip
        if str(source).startswith("mini:"):
            from .mini.subjects import subject_sets

            a, b, c = subject_sets(str(source), self.profile.resolution)
            files: tuple[str, ...] = ()
        else:
            found = split_folder(source, self.profile.resolution)
            a, b, c, files = found.a, found.b, found.c, found.files
        return Subject(
            str(source), a, b, c, **said, instance_prompt=words.instance.format(**said),
            class_prompt=words.class_prompt.format(**said), files=files,
        )  # fmt: skip

    def attack(self, name: str, preset: str = "profile", **params: Any) -> Attack:
        """An attack by name, with a preset's settings under the given parameters.

        Args:
            preset: "profile" (the profile's defaults: one budget for all), or "paper" (the
                attack's own published budget and steps, meant for Stable Diffusion).

        Raises:
            ValueError: an unknown attack, parameter or preset.
        """
        from . import attacks

        if preset not in ("profile", "paper"):
            raise ValueError(f"preset must be 'profile' or 'paper'; got {preset!r}")
        cls = attacks.lookup(name)
        held = self.profile.defaults.get(name, {}) if preset == "profile" else cls.paper
        return attacks.build(name, self, **(held | params))

    def purifier(self, spec: str, class_name: str | None = None, **params: Any) -> Purifier:
        """A purifier by name, or a chain ("jpeg+restorer"), each link with the profile's defaults.

        Args:
            class_name: what the pictures show, for purifiers with a prompt; None is the profile's.
            params: parameters; in a chain each goes to the one link that has it.
        """
        from . import purify

        said = class_name or self.profile.prompts.class_name
        return purify.build(spec, self, class_name=said, defaults=self.profile.defaults, **params)

    def personalize(self, name: str = "dreambooth", **params: Any) -> Trainer:
        """A trainer by name, with the profile's defaults under the given parameters.

        Raises:
            ValueError: an unknown trainer.
        """
        from .personalize import TRAINERS

        if name not in TRAINERS:
            raise ValueError(f"unknown trainer {name!r}; there are {', '.join(TRAINERS)}")
        return TRAINERS[name](**(self.profile.defaults.get(name, {}) | params), lab=self)

    @cached_property
    def ensemble(self) -> dict[str, Diffusion]:
        """The text-to-image model and the profile's further ones, by name.

        A folder without a VAE or a text encoder of its own uses the text-to-image model's.
        """
        further = {
            f"ensemble:{i}": self._open_diffusion(ref, lender=self.diffusion)
            for i, ref in enumerate(self.profile.ensemble)
        }
        return {"diffusion": self.diffusion} | further

    def prior_latents(self, class_prompt: str, n: int, model: Diffusion | None = None) -> Latents:
        """Latents of n class pictures sampled from the model itself, drawn once per lab.

        They are never decoded: prior preservation trains on latents. ``model`` None is the
        profile's text-to-image model; otherwise one of :attr:`ensemble`.

        Raises:
            ValueError: another model, where class pictures are kept between processes.
        """
        import torch

        from .personalize.training import Latents

        model = model or self.diffusion
        key = (class_prompt, n, id(model))
        if key not in self._priors:
            how = {"prompt": class_prompt, "n": n, "seed": 777,
                   "steps": self.profile.sampling.steps,
                   "guidance_scale": self.profile.prior_guidance_scale}  # fmt: skip

            def draw() -> Tensor:
                return model.sample_latents(**how).clone()

            keep = self.keep_prior
            drawn = keep(self._role_of(model), how, draw).to(self.device) if keep else draw()
            self._priors[key] = Latents(drawn, torch.zeros_like(drawn))
        return self._priors[key]

    def _role_of(self, model: Diffusion) -> str:
        if model is self.diffusion:
            return "diffusion"
        for name, one in self.ensemble.items():
            if one is model:
                return name
        raise ValueError("the model is not the profile's, nor one of its ensemble")

    def score(self, images: Tensor, subject: Subject) -> pd.DataFrame:
        """One row per picture: ``image``, and the columns of every registered metric.

        Pictures (n, 3, H, W) float32 in [0, 1]; identity is matched to the subject's set C. What a
        column means is in ``METRICS[...].columns``; metrics that need originals are left out.
        """
        from . import metrics

        return metrics.score(self, images, subject.c)
