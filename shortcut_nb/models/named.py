"""Which models a profile names, and what stands for them in the names of stored work."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..profile import ModelRef, Profile, load_profile, resolve
from ..weights import IN_MEMORY, checked
from .digests import folder_digest, memory_digest
from .opening_call import opening_call


class NoSuchModel(UserError):
    """A model that was asked for and that the profile does not name."""


class Named:
    """The models of a profile by their roles (see ``Profile.models``); none is opened here."""

    def __init__(self, profile: str | Path | Profile = "mini") -> None:
        self.profile = load_profile(profile)
        self._given: dict[str, Any] = {}
        self._digests: dict[str, str] = {}

    def has(self, *roles: str) -> bool:
        """Whether the profile names a model for every role."""
        return set(roles) <= set(self.profile.models())

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
        if kind == "purifier" and self.profile.diffusion.id.startswith(IN_MEMORY):
            raise NoSuchModel(
                f"purifier {name!r} needs a network of its own, and a lab from an open pipeline "
                "has none: take one that needs none (jpeg, tvm, vae, ldiffpure, …), or a lab of a "
                "profile that names it"
            )
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

    @property
    def base(self) -> str:
        """How diffusers opens the text-to-image model: a call of a pipeline's class, as text.

        "memory:…" for one that was given open.
        """
        ref = self.profile.diffusion
        return ref.id if ref.id.startswith(IN_MEMORY) else opening_call(ref)

    def digest(self, *roles: str) -> str:
        """What stands, in cache keys, for the models of some roles (see ``Profile.models``).

        Every file of the folders counts (weights, scheduler, tokenizer) but hidden ones and texts
        for readers; and so do the profile's options for opening one. A role that ends in ":" means
        all that begin with it. Models of other roles need not be on this machine.
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
                else folder_digest(resolve(self._ref(role)), self._ref(role).options)
            )
        return self._digests[role]

    def look_at(self, *roles: str) -> None:
        """Look at the weights of roles now, before any library is loaded: kind, wholeness, digests.

        Raises:
            MissingWeights, BadWeights: in one line, what is wrong and what to do.
        """
        for role in roles:
            if role not in self._given:
                self.checked_ref(role)

    def checked_ref(self, role: str) -> ModelRef:
        """A role's reference, after its weights were looked at; no library is loaded for that.

        Raises:
            NoSuchModel: the profile names none.
            MissingWeights, BadWeights: in one line, what is wrong and what to do.
        """
        ref = self._ref(role)
        checked(ref)
        return ref
