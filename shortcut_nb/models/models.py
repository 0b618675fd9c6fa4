"""All that attacks, purifiers and trainers are given when they are called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ..errors import UserError, WrongType
from ..profile import ModelRef, Profile, PromptDefaults, Sampling
from .drawing import Drawing

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline
    from torch import Tensor

    from ..attacks import Attack
    from ..metrics import Detector, FaceEncoder, IdentityEncoder
    from ..subjects import Subject
    from .clip import Clip

LOADERS: dict[str, Any] = {
    "diffusion": "stable-diffusion",
    "clip": "open_clip",
    "identity": "image-embedder",
    "detector": "image-classifier",
    "faces": "dlib",
}


class Models(Drawing):
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
        from diffusers import DiffusionPipeline

        from ..diffusion import open_pipeline

        if not isinstance(pipe, DiffusionPipeline) or not hasattr(pipe, "unet"):
            raise UserError(
                f"expected an open diffusers pipeline with a UNet, got {pipe!r}: open it with "
                "from_pretrained first, or name its folder in a profile"
            )
        given = {"clip": clip, "identity": identity, "detector": detector, "faces": faces}
        parts: dict[str, Any] = {role: one for role, one in given.items() if one is not None}
        for role, one in parts.items():
            _check_given(role, one)
        for words, kind in ((prompts, PromptDefaults), (sampling, Sampling)):
            if not isinstance(words, kind | None):
                raise WrongType(f"expected a {kind.__name__} or None; got {words!r}")
        model = parts["diffusion"] = open_pipeline(pipe, resolution=resolution)
        refs: dict[str, Any] = {
            role: ModelRef(id=f"memory:{role}", loader=LOADERS[role]) if role in parts else None
            for role in LOADERS
        }
        profile = Profile(
            name="pipeline",
            resolution=model.resolution,
            prompts=prompts or PromptDefaults(),
            sampling=sampling or Sampling(),
            **refs,
        )
        models = cls(profile, model.device, model.autocast)
        models._given = parts
        vars(models).update(parts)  # what a cached property would have opened
        return models


def _check_given(role: str, one: Any) -> None:
    """A model that was handed over must be of the class that its role calls.

    Raises:
        WrongType: something else, such as a name.
    """
    from ..metrics import Detector, FaceEncoder, IdentityEncoder
    from .clip import Clip

    kinds: dict[str, type] = {
        "clip": Clip,
        "identity": IdentityEncoder,
        "detector": Detector,
        "faces": FaceEncoder,
    }
    kind = kinds[role]
    if not isinstance(one, kind):
        place = f"{kind.__module__}.{kind.__name__}"
        raise WrongType(
            f"{role} must be None or an open model, a {place}; got {one!r}: open it first, or name "
            "it in a profile"
        )


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
