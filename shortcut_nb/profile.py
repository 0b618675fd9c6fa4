"""What a profile is, how one is read, and where its weights lie.

A profile is one YAML file that names every model and every default. It is validated when read;
unknown keys are refused.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from .errors import MissingFile, UserError
from .files import expand, plain_name
from .files.yaml_files import read_mapping, refusals
from .records import Strict
from .templates import check_template, fill
from .weights import PACKAGE, MissingWeights, ModelRef, resolve, verify
from .weights.refs import Loader

PROFILES = PACKAGE / "profiles"
ROLES: dict[str, tuple[Loader, ...]] = {
    "diffusion": ("stable-diffusion",),
    "clip": ("open_clip",),
    "identity": ("image-embedder",),
    "detector": ("image-classifier", "object-detector"),
    "faces": ("dlib",),
}
"""The models that a profile names one by one, and the loaders that may open each."""
PRESET = r"[a-z][a-z0-9-]*"
PresetName = Annotated[str, Field(pattern=f"^{PRESET}$")]

__all__ = [
    "MissingWeights",
    "ModelRef",
    "Preset",
    "Profile",
    "PromptDefaults",
    "Sampling",
    "available_presets",
    "available_profiles",
    "load_profile",
    "resolve",
    "verify",
]


class PromptDefaults(Strict):
    """The words of an experiment; templates may use {identifier} and {class_name}."""

    class_name: str = "person"
    identifier: str = "sks"
    instance: str = "a photo of {identifier} {class_name}"
    class_prompt: str = "a photo of a {class_name}"
    noise_token: str = "t@t noisy pattern"
    negative: str = "noisy, lowres, artifact, pattern"

    @field_validator("instance", "class_prompt")
    @classmethod
    def _known_words(cls, template: str) -> str:
        return check_template(template)

    def instance_prompt(self, class_name: str | None = None, identifier: str | None = None) -> str:
        """The instance template with its words filled in; None are the profile's."""
        return self._filled(self.instance, class_name, identifier)

    def prior_prompt(self, class_name: str | None = None, identifier: str | None = None) -> str:
        """The class template with its words filled in; None are the profile's."""
        return self._filled(self.class_prompt, class_name, identifier)

    def _filled(self, template: str, class_name: str | None, identifier: str | None) -> str:
        return fill(
            template,
            self.class_name if class_name is None else class_name,
            self.identifier if identifier is None else identifier,
        )


class Sampling(Strict):
    """How pictures are sampled: denoising steps and classifier-free guidance scale."""

    steps: int = Field(default=50, ge=1, le=1000, strict=True)
    guidance_scale: float = Field(default=7.5, ge=0, le=1000, allow_inf_nan=False, strict=True)


class Preset(Strict):
    """A shorter or longer setting of a profile: only what it changes.

    Named after the profile, "sd21:smoke". ``defaults`` are laid over the profile's, name by name.
    """

    description: str = Field(min_length=1)
    sampling: Sampling | None = None
    defaults: dict[str, dict[str, Any]] = Field(default_factory=dict)


def _plain(name: str) -> str:
    """It names a folder of results: nothing that could lead elsewhere."""
    plain_name(name.replace(":", "-"))
    return name


class Profile(Strict):
    """Everything an experiment needs to name; see profiles/*.yaml.

    `resolution` is in pixels, the side of a square. `ensemble` names further text-to-image models
    for attacks on several at once. `measures` are further networks of the metrics ("attributes",
    "damage") and of the analysis ("clip-plain"); a metric whose measure is not named is left out.
    `prior_guidance_scale` draws the class pictures of prior preservation: 1 is the model's own
    distribution, which training on guided pictures would sharpen further with every step.
    `purifier` is the defence's own, a name or a chain; `subjects` are what experiments run on.
    `defaults` maps the name of an attack, purifier or trainer to its hyperparameters. Trained
    weights of up to `keep_trained_mb` megabytes are kept in the store. `pictures_at_once` is how
    many the VAE takes at once; None is as many as :attr:`.diffusion.Diffusion.pictures_at_once`
    says. `presets` are shorter settings of the same models.
    """

    name: Annotated[str, AfterValidator(_plain)]
    description: str = ""
    resolution: int = Field(ge=8, multiple_of=8, strict=True)
    diffusion: ModelRef
    clip: ModelRef | None
    identity: ModelRef | None
    detector: ModelRef | None
    faces: ModelRef | None = None
    ensemble: list[ModelRef] = Field(default_factory=list)
    purifiers: dict[str, ModelRef] = Field(default_factory=dict)
    measures: dict[str, ModelRef] = Field(default_factory=dict)
    purifier: str = "jpeg"
    prompts: PromptDefaults = Field(default_factory=PromptDefaults)
    concepts: list[str] = Field(default=["a photo of a person", "a noisy pattern"], min_length=2)
    subjects: list[str] = Field(default_factory=list)
    sampling: Sampling = Field(default_factory=Sampling)
    prior_guidance_scale: float = Field(
        default=7.5, ge=0, le=1000, allow_inf_nan=False, strict=True
    )
    defaults: dict[str, dict[str, Any]] = Field(default_factory=dict)
    keep_trained_mb: float = Field(default=500, ge=0)
    pictures_at_once: int | None = Field(default=None, ge=1, strict=True)
    presets: dict[PresetName, Preset] = Field(default_factory=dict)

    def with_preset(self, name: str) -> Profile:
        """This profile under a preset, called "NAME:PRESET" so that its results lie apart.

        Raises:
            UserError: no such preset.
        """
        if name not in self.presets:
            have = ", ".join(f"{self.name}:{each}" for each in self.presets) or "none"
            raise UserError(
                f"profile {self.name} has no preset {name!r}; it has: {have}. Add one under "
                "presets: in a YAML file of your own."
            )
        preset = self.presets[name]
        defaults = self.defaults | {
            each: self.defaults.get(each, {}) | changed for each, changed in preset.defaults.items()
        }
        return self.model_copy(
            update={
                "name": f"{self.name}:{name}",
                "description": preset.description,
                "sampling": preset.sampling or self.sampling,
                "defaults": defaults,
                "presets": {},
            }
        )

    def models(self) -> dict[str, ModelRef]:
        """Every model that is named, by role; further ones "ensemble:0", "purifier:NAME" and
        "measure:NAME"."""
        main = {role: getattr(self, role) for role in ROLES}
        main = {role: ref for role, ref in main.items() if ref is not None}
        main |= {f"ensemble:{i}": ref for i, ref in enumerate(self.ensemble)}
        main |= {f"purifier:{name}": ref for name, ref in self.purifiers.items()}
        return main | {f"measure:{name}": ref for name, ref in self.measures.items()}

    @model_validator(mode="after")
    def _loaders_of_roles(self) -> Profile:
        """A model of :data:`ROLES` has a loader of its role; dlib opens faces and nothing else."""
        for role, ref in self.models().items():
            if role in ROLES and ref.loader not in ROLES[role]:
                expected = " or ".join(ROLES[role])
                raise ValueError(f"{role} has the loader {ref.loader}; expected {expected}")
            if role not in ROLES and ref.loader == "dlib":
                raise ValueError(f"{role} has the loader dlib, which opens faces and nothing else")
        return self


def available_profiles() -> list[str]:
    """The names of the profiles that come with the package, sorted."""
    return sorted(p.stem for p in PROFILES.glob("*.yaml"))


def load_profile(name_or_path: str | Path | Profile) -> Profile:
    """Read and validate a profile by name ("mini") or by the path of a YAML file.

    Either may name one of its presets: "sd21:smoke", "mine.yaml:smoke".

    Raises:
        FileNotFoundError: when there is no such profile.
        ValueError: when the file is not valid YAML, or breaks the schema; names each wrong key; or
            a preset that it does not have.
    """
    if isinstance(name_or_path, Profile):
        return name_or_path
    text = str(name_or_path)
    head, colon, preset = text.rpartition(":")
    if colon and re.fullmatch(PRESET, preset) and os.path.isfile(_place(head)):
        return _read(_place(head)).with_preset(preset)
    path = _place(text)
    if not os.path.isfile(path):
        raise MissingFile(
            f"expected a profile name ({', '.join(available_profiles())}) or the path of a YAML "
            f"file, either with a preset ({', '.join(available_presets())}); got {text!r}."
        )
    return _read(path)


def available_presets() -> dict[str, str]:
    """The presets of the profiles that come with the package, "sd21:smoke", with what each is."""
    return {
        f"{name}:{preset}": about.description
        for name in available_profiles()
        for preset, about in load_profile(name).presets.items()
    }


def is_shipped(profile: Profile) -> bool:
    """Whether a profile is one of the package's own, or one of their presets, unchanged."""
    names = (*available_profiles(), *available_presets())
    return profile.name in names and profile == load_profile(profile.name)


def _place(text: str) -> Path:
    if text in available_profiles():
        return PROFILES / f"{text}.yaml"
    return expand(text, "the profile")


def _read(path: Path) -> Profile:
    content = read_mapping(path, f"Start from a copy of {PROFILES.name}/mini.yaml.")
    try:
        profile = Profile.model_validate(content)
        return profile if path.parent == PROFILES else _placed(profile, path.parent)
    except ValidationError as error:
        if "question" in content:
            raise UserError(
                f"{path} is an experiment, not a profile: give it to `shortcut-nb bench`."
            ) from None
        lines = "; ".join(refusals(error, Profile))
        raise UserError(f"{path} is not a valid profile: {lines}. Correct these keys.") from error


def _placed(profile: Profile, home: Path) -> Profile:
    """The profile with relative paths of models written out, so that a later change of the current
    folder, or a process in another one, does not lose them."""
    return profile.model_copy(
        update={
            **{role: _fixed(getattr(profile, role), home) for role in ROLES},
            "ensemble": [_fixed(ref, home) for ref in profile.ensemble],
            "purifiers": {name: _fixed(ref, home) for name, ref in profile.purifiers.items()},
            "measures": {name: _fixed(ref, home) for name, ref in profile.measures.items()},
        }
    )


def _fixed(ref: ModelRef | None, home: Path) -> ModelRef | None:
    """A reference whose id, and whose configuration's folder, are absolute where they are paths."""
    if ref is None:
        return None
    options = dict(ref.options)
    if isinstance(options.get("config"), str):
        options["config"] = _absolute(options["config"], home)
    place = _absolute(ref.id, home, is_path=ref.url is not None)
    return ref.model_copy(update={"id": place, "options": options})


def _absolute(name: str, home: Path, is_path: bool = False) -> str:
    """A relative path as an absolute one: beside the profile's file, else in the current folder.

    Hub ids stay, as does what is inside a package or at home ("~").
    """
    if name.startswith(("~", "/", "package:", "module:")):
        return name
    for folder in (home, Path.cwd()):
        if (folder / name).exists():
            return os.path.abspath(folder / name)
    return os.path.abspath(name) if is_path or name.startswith(".") else name
