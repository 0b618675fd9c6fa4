"""Models: everything a profile names, opened when first used; also from objects in memory.

Attacks, purifiers and trainers are settings; this is what they are given when they are called.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ..errors import UserError, WrongType
from ..notices import IN_MEMORY
from ..profile import ModelRef, Profile, PromptDefaults, Sampling, load_profile, resolve
from ..weights import checked, file_digests
from ..weights.folders import weight_files
from ..weights.sizes import side_of
from . import opening

if TYPE_CHECKING:  # heavy libraries are loaded when a model is opened, and what lacks is said first
    import torch
    from diffusers import DiffusionPipeline, StableDiffusionUpscalePipeline, UNet2DModel
    from torch import Tensor

    from ..attacks import Attack
    from ..diffusion import Diffusion
    from ..latents import Latents
    from ..metrics import Detector, FaceEncoder, IdentityEncoder
    from ..metrics.perceptual import ClipPerceptualDistance
    from ..networks import FaceNetwork, PixelDiffusion
    from ..progress import Progress
    from ..subjects import Subject
    from .class_pictures import ClassPictures
    from .clip import Clip

    KeepPrior = Callable[[ClassPictures], Tensor]
    KeepProtected = Callable[[Attack, Subject], Tensor]

LOADERS: dict[str, Any] = {
    "diffusion": "stable-diffusion",
    "clip": "open_clip",
    "identity": "image-embedder",
    "detector": "image-classifier",
    "faces": "dlib",
}
DTYPES = ("float32", "bfloat16", "float16")


class NoSuchModel(UserError):
    """A model that was asked for and that the profile does not name."""


class Models:
    """Everything a profile names, opened when first used.

    Args:
        profile: a name ("mini", "sd15", "sd21:smoke"), a YAML file, or a Profile.
        device: "cpu", "cuda", "cuda:1", …; None takes CUDA if there is one.
        autocast: dtype of UNet and VAE arithmetic, float32, bfloat16 or float16; None is
            :func:`shortcut_nb.modes.fast_dtype`.

    Raises:
        ValueError: no such device here, another dtype, or a profile that is not valid.
        shortcut_nb.profile.MissingWeights: when a model is first used and is not on this machine.
    """

    def __init__(
        self,
        profile: str | Path | Profile = "mini",
        device: str | torch.device | None = None,
        autocast: torch.dtype | None = None,
    ) -> None:
        self.profile = load_profile(profile)
        self._device = None if device is None else device_of(device)
        self._autocast = None if autocast is None else check_dtype(autocast)
        self._given: dict[str, Any] = {}
        self._digests: dict[str, str] = {}
        self._networks: dict[str, UNet2DModel | FaceNetwork] = {}
        self._measures: dict[str, Any] = {}
        self._priors: dict[tuple[Any, ...], Latents] = {}
        # Where class pictures are kept between processes; a store may put itself here.
        self.keep_prior: KeepPrior | None = None
        # Where pictures under an attack are kept that another attack needs.
        self.keep_protected: KeepProtected | None = None
        # Makes what shows the progress of work that nobody passes an on_step to: class pictures.
        self.show: Callable[[str], Progress] | None = None

    @cached_property
    def device(self) -> torch.device:
        """Where models go."""
        return self._device or device_of(None)

    @cached_property
    def autocast(self) -> torch.dtype:
        """The dtype of UNet and VAE arithmetic."""
        from ..modes import fast_dtype

        return self._autocast or fast_dtype(self.device)

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

    @property
    def base(self) -> str:
        """How diffusers opens the text-to-image model: a call of a pipeline's class, as text.

        "memory:…" for one that was given open.
        """
        ref = self.profile.diffusion
        if ref.id.startswith(IN_MEMORY):
            return ref.id
        source = str(resolve(ref)) if ref.id.startswith("package:") else ref.id
        if Path(source).is_file():
            config = ref.options.get("config")
            return f"from_single_file({source!r}" + (f", config={config!r})" if config else ")")
        more = f", revision={ref.revision!r}" if ref.revision else ""
        if (Path(source) / "unet").is_dir():
            variant, _ = weight_files(Path(source) / "unet", True)
            more += f", variant={variant!r}" if variant else ""
        return f"from_pretrained({source!r}{more})"

    @cached_property
    def own_side(self) -> int:
        """Side of the pictures that the text-to-image model was trained on, in pixels.

        Read from its files; where they do not say, of the opened model.
        """
        ref = self.profile.diffusion
        side = None if ref.id.startswith(IN_MEMORY) else side_of(resolve(ref))
        if side is None:
            side = self.diffusion.pipe.unet.config.sample_size * self.diffusion.latent_unit
        return side

    def pictures(self, images: Any) -> Tensor:
        """Pictures (n, 3, H, W), checked; a folder's are read at the profile's resolution.

        Raises:
            UserError: something else, or pictures that cannot be read.
        """
        from ..images import load_folder, to_batch

        if isinstance(images, (str, Path)):
            return load_folder(images, self.profile.resolution)[0]
        return to_batch(images)

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
            UserError: a pipeline that no backbone knows, or with missing parts.
        """
        from ..diffusion import open_pipeline

        if isinstance(pipe, str | Path) or not hasattr(pipe, "unet"):
            raise UserError(
                f"expected an open diffusers pipeline with a UNet, got {pipe!r}: open it with "
                "from_pretrained first, or name its folder in a profile"
            )
        model = open_pipeline(pipe, resolution=resolution)
        parts: dict[str, Any] = {
            "diffusion": model,
            "clip": clip,
            "identity": identity,
            "detector": detector,
            "faces": faces,
        }
        parts = {role: one for role, one in parts.items() if one is not None}
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

    def require(self, roles: Iterable[str]) -> None:
        """Make sure that the profile names a model for each role, without opening any.

        Raises:
            ValueError: names the first role that it lacks.
        """
        for role in roles:
            if not role.endswith(":"):
                self._ref(role)

    def _ref(self, role: str) -> ModelRef:
        models = self.profile.models()
        if role in models:
            return models[role]
        kind, _, name = role.partition(":")
        if kind == "purifier":
            have = ", ".join(self.profile.purifiers) or "none"
            raise NoSuchModel(
                f"profile {self.profile.name} names no weights for purifier {name!r} (it has: "
                f"{have}). Add an entry under purifiers: in the profile."
            )
        raise NoSuchModel(
            f"profile {self.profile.name} names no model for {role!r} (it has: "
            f"{', '.join(models)}). Add one to the profile, or give it to Lab.from_pipeline."
        )

    def digest(self, *roles: str) -> str:
        """What stands, in cache keys, for the models of some roles (see ``Profile.models``).

        Every file of the folders counts: weights, scheduler, tokenizer. A role that ends in ":"
        means all that begin with it. Models of other roles need not be on this machine.
        """
        wanted = [
            name
            for name in self.profile.models()
            if name in roles or any(r.endswith(":") and name.startswith(r) for r in roles)
        ]
        return " ".join(f"{role}={self._digest(role)}" for role in sorted(wanted))

    def digests(self) -> dict[str, str]:
        """The first 16 digits of each model's digest that a key was made of so far, by role."""
        return {role: digest[:16] for role, digest in sorted(self._digests.items())}

    def _digest(self, role: str) -> str:
        if role not in self._digests:
            self._digests[role] = (
                memory_digest(self._given[role])
                if role in self._given
                else _files_digest(resolve(self._ref(role)))
            )
        return self._digests[role]

    def look_at(self, *roles: str) -> None:
        """Look at the weights of roles now, before any library is loaded: kind, wholeness, digests.

        Raises:
            MissingWeights, BadWeights: in one line, what is wrong and what to do.
        """
        for role in roles:
            if role not in self._given:
                self._checked(role)

    def _checked(self, role: str) -> ModelRef:
        """A role's reference, its weights looked at before torch is loaded to find the device."""
        ref = self._ref(role)
        checked(ref)
        return ref

    @cached_property
    def diffusion(self) -> Diffusion:
        """The text-to-image model."""
        return self._opened(self._checked("diffusion"))

    @cached_property
    def ensemble(self) -> dict[str, Diffusion]:
        """The text-to-image model and the profile's further ones, by name.

        A folder without a VAE or a text encoder of its own uses the text-to-image model's.
        """
        ensemble = {"diffusion": self.diffusion}
        for number, ref in enumerate(self.profile.ensemble):
            ensemble[f"ensemble:{number}"] = self._opened(ref, lender=self.diffusion)
        return ensemble

    def _opened(self, ref: ModelRef, lender: Diffusion | None = None) -> Diffusion:
        size, at_once = self.profile.resolution, self.profile.pictures_at_once
        model = opening.open_diffusion(ref, self.device, self.autocast, size, lender=lender)
        return model if at_once is None else replace(model, at_once=at_once)

    @cached_property
    def clip(self) -> Clip:
        """The CLIP model of the analysis and the quality metric."""
        ref = self._checked("clip")
        return opening.open_clip_model(ref, self.device)

    @cached_property
    def perceptual(self) -> ClipPerceptualDistance:
        """A perceptual distance on the lab's CLIP."""
        from ..metrics.perceptual import ClipPerceptualDistance

        return ClipPerceptualDistance(self.clip)

    @cached_property
    def detector(self) -> Detector:
        """The face detector of the metrics."""
        ref = self._checked("detector")
        return opening.open_detector(ref, self.device)

    @cached_property
    def identity(self) -> IdentityEncoder:
        """The identity encoder of the metrics."""
        ref = self._checked("identity")
        return opening.open_identity(ref, self.device)

    @cached_property
    def faces(self) -> FaceEncoder:
        """The face recogniser of the metrics."""
        ref = self._checked("faces")
        return opening.open_faces(ref)

    def measure(self, name: str) -> Any:
        """A further network of the metrics or the analysis, of the kind that its loader says.

        Raises:
            UserError: when the profile names no such measure.
        """
        if name not in self._measures:
            ref = self._checked(f"measure:{name}")
            self._measures[name] = opening.open_measure(ref, self.device)
        return self._measures[name]

    def has(self, *roles: str) -> bool:
        """Whether the profile names a model for every role."""
        return set(roles) <= set(self.profile.models())

    def purifier_model(self, name: str) -> UNet2DModel | FaceNetwork:
        """The network of a purifier, in evaluation mode; the profile's loader says of which kind.

        Raises:
            UserError: when the profile names no weights for it.
        """
        if name not in self._networks:
            ref = self._checked(f"purifier:{name}")
            self._networks[name] = opening.open_network(ref, self.device)
        return self._networks[name]

    @cached_property
    def pixel_diffusion(self) -> PixelDiffusion:
        """The unconditional pixel-space model of DiffPure, DDSPure and GrIDPure."""
        ref = self._checked("purifier:pixel")
        return opening.open_pixel_diffusion(ref, self.device)

    @cached_property
    def upscaler(self) -> StableDiffusionUpscalePipeline:
        """The ×4 upscaler of the purifier "sr".

        A folder without a text encoder of its own (the miniature's, to save its megabytes) reads
        prompts with the text-to-image model's.
        """
        ref = self._checked("purifier:upscaler")
        return opening.open_upscaler(ref, self.device, self.diffusion)

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
        from ..latents import latents_of

        model = model or self.diffusion
        role = self._role_of(model)
        if isinstance(class_images, str):
            key: Any = (class_images, role)
            if key not in self._priors:
                own, _ = load_folder(class_images, model.resolution)
                self._priors[key] = latents_of(model, own)
        else:
            key = self.class_pictures(class_prompt, class_images, role, steps, guidance_scale)
            if key not in self._priors:
                self._priors[key] = self._class_latents(key)
        return self._priors[key]

    def class_pictures(
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
        with self.show("class pictures") if self.show else nullcontext() as on_step:
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

        keep = self.keep_prior or self.draw_class_pictures
        latents = keep(drawn).to(self.device)
        return Latents(latents, torch.zeros_like(latents))

    def protected(self, attack: Attack, subject: Subject) -> Tensor:
        """A subject's set B under an attack, (n, 3, H, W): read where it is kept, or worked out."""
        if self.keep_protected:
            return self.keep_protected(attack, subject)
        return attack(subject, self).images

    def _role_of(self, model: Diffusion) -> str:
        if model is self.diffusion:
            return "diffusion"
        for name, one in self.ensemble.items():
            if one is model:
                return name
        raise UserError("the model is not the profile's, nor one of its ensemble")


def _files_digest(folder: Path) -> str:
    files = file_digests(folder)
    text = "\n".join(f"{name} {digest}" for name, digest in files.items())
    return hashlib.sha256(text.encode()).hexdigest()


def memory_digest(thing: Any) -> str:
    """The SHA-256 of the weights of an open model: all modules that it or its pipeline holds."""
    from torch.nn import Module

    pipe = getattr(thing, "pipe", None)
    parts = pipe.components if pipe is not None else vars(thing)
    digest = hashlib.sha256(type(thing).__name__.encode())
    for name, module in sorted(parts.items()):
        if not isinstance(module, Module):
            continue
        for key, tensor in module.state_dict().items():
            digest.update(f"{name}.{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def device_of(device: str | torch.device | None) -> torch.device:
    """A device that is there; None is CUDA if there is one, else the CPU.

    Raises:
        ValueError: a name that is no device, or a device that this machine has not.
    """
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device is None:
        return torch.device("cuda" if count else "cpu")
    have = ", ".join(["'cpu'", *(f"'cuda:{i}'" for i in range(count))])
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError):
        raise UserError(f"device must be None or one of {have}; got {device!r}") from None
    if chosen.type != "cpu" and (chosen.type != "cuda" or (chosen.index or 0) >= count):
        raise UserError(f"there is no {device!r} on this machine: device may be {have}")
    return chosen


def check_dtype(autocast: Any) -> torch.dtype:
    """A dtype that UNet and VAE can run in.

    Raises:
        UserError: another, or text.
    """
    import torch

    if autocast not in [getattr(torch, name) for name in DTYPES]:
        words = ", ".join(f"torch.{name}" for name in DTYPES)
        raise UserError(f"autocast must be None or one of {words}; got {autocast!r}")
    return autocast


def check_size(model: Diffusion, images: Tensor) -> Tensor:
    """Make sure that a text-to-image model can take pictures of this size; hand them back.

    Raises:
        UserError: sides that the VAE and the UNet cannot halve as often as they must.
    """
    unit, side, (high, wide) = model.unit, model.resolution, images.shape[-2:]
    if high % unit or wide % unit:
        raise UserError(
            f"the model takes pictures whose sides are multiples of {unit} pixels, best {side} x "
            f"{side}; got {high} x {wide}. Load them with size={side}."
        )
    return images


def check_beside_prior(model: Diffusion, images: Tensor) -> Tensor:
    """Make sure that pictures can be trained on beside the model's own of the class; hand them
    back.

    Raises:
        UserError: they are of another size.
    """
    side, (high, wide) = model.resolution, images.shape[-2:]
    if (high, wide) != (side, side):
        raise UserError(
            f"pictures are trained on beside the model's own of their class, of {side} x {side} "
            f"pixels; got {high} x {wide}. Load them with size={side}, or turn off what trains on "
            f"class pictures, such as prior_weight=0."
        )
    return images


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
