"""All that attacks, purifiers and trainers are given when they are called."""

from __future__ import annotations

from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ..errors import UserError, WrongType
from ..profile import PromptDefaults, Sampling
from .opened import Opened

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline
    from torch import Tensor

    from ..attacks import Attack
    from ..diffusion import Diffusion
    from ..latents import Latents
    from ..metrics import Detector, FaceEncoder, IdentityEncoder
    from ..subjects import Subject
    from .class_pictures import ClassPictures
    from .clip import Clip


class Models(Opened):
    """Everything a profile names, opened when first used.

    Args:
        profile: a name ("mini", "sd15", "sd21:smoke"), a YAML file, or a Profile.
        device: "cpu", "cuda", "cuda:1", …; None takes CUDA if there is one.
        autocast: dtype of UNet and VAE arithmetic, float32, bfloat16 or float16; None is
            :func:`shortcut_nb.models.devices.fast_dtype`.

    Raises:
        ValueError: no such device here, another dtype, or a profile that is not valid.
        shortcut_nb.profile.MissingWeights: when a model is first used and is not on this machine.
    """

    def __repr__(self) -> str:
        called = type(self).__name__
        return f"{called}({self.profile.name!r}, device={str(self.device)!r}, {self.autocast})"

    def subject(
        self, source: Any, class_name: str | None = None, identifier: str | None = None
    ) -> Subject:
        """A subject: from a folder of photos, a synthetic one ("mini:held-out/3"), or pictures.

        Args:
            source: a folder, a name, pictures in memory (see :func:`shortcut_nb.images.to_batch`),
                or a Subject, which is handed back as it is.
            class_name, identifier: words of its prompts; None are the profile's.

        Raises:
            UserError: an empty or missing folder, a broken picture, or something else.
        """
        from ..images import to_batch
        from ..subjects import Subject, split_folder

        if isinstance(source, Subject):
            return source
        words = self.profile.prompts
        who = words.class_name if class_name is None else class_name
        rare = words.identifier if identifier is None else identifier
        if not isinstance(source, (str, Path)):
            try:
                images = to_batch(source, "the subject's pictures")
            except WrongType as error:
                raise WrongType(
                    f"a subject is a folder of photos, 'mini:held-out/0', or a Subject; and {error}"
                ) from None
            return Subject.from_images(images, who, rare, words=words)
        instance, plain = words.instance_prompt(who, rare), words.prior_prompt(who, rare)
        if str(source).startswith("mini:"):
            from ..mini.subjects import subject_sets

            sets = subject_sets(str(source), self.profile.resolution)
            return Subject(str(source), *sets, who, rare, instance, plain)
        split = split_folder(source, self.profile.resolution)
        sets = (split.a, split.b, split.c)
        return Subject(str(source), *sets, who, rare, instance, plain, files=split.files)

    def pictures(self, images: Any) -> Tensor:
        """Pictures (n, 3, H, W), checked; a folder's are read at the profile's resolution.

        Raises:
            UserError: something else, or pictures that cannot be read.
        """
        from ..images import load_folder, to_batch

        if isinstance(images, (str, Path)):
            return load_folder(images, self.profile.resolution)[0]
        return to_batch(images)

    def protected(self, attack: Attack, subject: Subject) -> Tensor:
        """A subject's set B under an attack, (n, 3, H, W): read where it is kept, or worked out."""
        if self.hooks.protected:
            return self.hooks.protected(attack, subject)
        return attack(subject, self).images

    @cached_property
    def _priors(self) -> dict[tuple[Any, ...], Latents]:
        return {}

    def prior_latents(
        self,
        class_prompt: str,
        class_images: int | str,
        model: Diffusion | None = None,
        *,
        steps: int | None = None,
        guidance_scale: float | None = None,
    ) -> Latents:
        """Latents of class pictures, made once: sampled from the model itself, or one's own.

        Sampled ones are never decoded: prior preservation trains on latents.

        Args:
            class_images: how many to sample, or a folder of pictures.
            model: None is the profile's text-to-image model; otherwise one of :attr:`ensemble`.
            steps, guidance_scale: of the sampling; None are the profile's.

        Raises:
            UserError: a folder without pictures, or another model.
        """
        from ..images import load_folder
        from ..latents import class_digest, latents_of

        model = model or self.diffusion
        role = self._role_of(model)
        if isinstance(class_images, str):
            key: Any = (class_digest(class_images), role)
            if key not in self._priors:
                own, _ = load_folder(class_images, model.resolution)
                self._priors[key] = latents_of(model, own)
        else:
            key = self.class_pictures_for(class_prompt, class_images, role, steps, guidance_scale)
            if key not in self._priors:
                self._priors[key] = self._class_latents(key)
        return self._priors[key]

    def class_pictures_for(
        self,
        prompt: str,
        n: int,
        role: str = "diffusion",
        steps: int | None = None,
        guidance_scale: float | None = None,
    ) -> ClassPictures:
        """How class pictures are drawn here; None are the profile's settings. Opens no model."""
        from .class_pictures import ClassPictures

        own = self.profile
        steps = own.sampling.steps if steps is None else steps
        scale = own.prior_guidance_scale if guidance_scale is None else guidance_scale
        return ClassPictures(prompt, n, steps, scale, role)

    def draw_class_pictures(self, drawn: ClassPictures) -> Tensor:
        """Latents of class pictures, (n, c, h, w), drawn anew; see :meth:`prior_latents`."""
        model = self.diffusion if drawn.role == "diffusion" else self.ensemble[drawn.role]
        show = self.hooks.progress
        with show("class pictures") if show else nullcontext() as on_step:
            latents = model.sample_latents(
                drawn.prompt,
                drawn.n,
                seed=drawn.seed,
                steps=drawn.steps,
                guidance_scale=drawn.guidance_scale,
                on_step=on_step,
            )
        return latents.clone()

    def _class_latents(self, drawn: ClassPictures) -> Latents:
        import torch

        from ..latents import Latents

        give = self.hooks.class_latents or self.draw_class_pictures
        latents = give(drawn).to(self.device)
        return Latents(latents, torch.zeros_like(latents))

    def _role_of(self, model: Diffusion) -> str:
        if model is self.diffusion:
            return "diffusion"
        for name, one in self.ensemble.items():
            if one is model:
                return name
        raise UserError("the model is not the profile's, nor one of its ensemble")

    @classmethod
    def from_pipeline(
        cls,
        pipe: DiffusionPipeline,
        *,
        clip: Clip | None = None,
        identity: IdentityEncoder | None = None,
        detector: Detector | None = None,
        faces: FaceEncoder | None = None,
        resolution: int | None = None,
        prompts: PromptDefaults | None = None,
        sampling: Sampling | None = None,
    ) -> Self:
        """Models around an open text-to-image pipeline; no profile is needed.

        Args:
            pipe: keeps its own dtype and device; training works on a float32 copy of its UNet and
                text encoders.
            clip, identity, detector, faces: for the metrics and attacks that want them.
            resolution: side of the pictures, in pixels; None is what the pipeline was trained on.
            prompts, sampling: words and sampler; None are those of Stable Diffusion's profiles.

        Raises:
            UserError: a pipeline that no backbone knows, or with missing parts; a model, words or
                a resolution that are something else.
        """
        from .given import opened_by_role, profile_of

        given = {"clip": clip, "identity": identity, "detector": detector, "faces": faces}
        models_given = opened_by_role(pipe, given, resolution)
        diffusion = models_given["diffusion"]
        profile = profile_of(models_given, prompts, sampling)
        models = cls(profile, diffusion.device, diffusion.autocast)
        models._given = models_given
        vars(models).update(models_given)  # what a cached property would have opened
        return models


def need_models(models: Models | None, name: str) -> Models:
    """The models that an attack, purifier or trainer was given.

    Raises:
        ValueError: none, or something else in their place.
    """
    if not isinstance(models, Models):
        came = "none" if models is None else type(models).__name__
        raise UserError(
            f"{name} needs models when it is called; got {came}. Take it from a lab, which gives "
            f"them, or pass models=Models(...)"
        )
    return models
