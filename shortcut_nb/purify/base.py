"""What a purifier is, how one is registered, and how several are chained."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor

from ..cells import PROFILE
from ..errors import UserError
from ..images import check_images, to_batch
from ..models import Models, need_models
from ..profile import Profile
from ..progress import OnStep, StepInfo, share_of
from ..registry import Registry, nearest, subclass_of
from ..settings import Settings, make, parameters
from ..settings.bound import Bound
from ..tuning.modes import in_own_arithmetic

ALIASES: dict[str, Callable[[Collection[str]], str]] = {}
"""Names of chains: from the models that a profile names for purifiers to the chain's spec."""
PURIFIERS: Registry[type[Purifier]] = Registry(
    "purifier",
    subclass_of(lambda: Purifier),
    reserved=(PROFILE,),
    taken_elsewhere=ALIASES,
)
register = PURIFIERS.register
REACH = 64
"""Pixels around a pixel that a filter's result depends on, unless its class says otherwise."""


@dataclass(frozen=True)
class Purifier(Settings):
    """A frozen set of parameters that maps pictures to cleaner pictures.

    A subclass writes :meth:`run`. One with a network names the models it needs in :attr:`roles`.
    """

    @property
    def roles(self) -> tuple[str, ...]:
        """The profile's models that it depends on, a chain's links' in turn; none for a filter."""
        return ()

    @property
    def reach(self) -> int | None:
        """Pixels around a pixel that its result depends on; None: the whole picture.

        A filter works on a large photo in tiles, each with such a margin.
        """
        return REACH

    def prepared(self, profile: Profile, class_name: str) -> Self:
        """A copy in which what a profile and the pictures' class decide is filled in."""
        return self

    @in_own_arithmetic
    def __call__(
        self, images: Tensor, models: Models | None = None, on_step: OnStep | None = None
    ) -> Tensor:
        """Purify pictures.

        Args:
            images: (n, 3, H, W) float32 in [0, 1], or what
                :func:`shortcut_nb.images.to_batch` makes of it; not written to.
            models: what a profile names; filters need none.
            on_step: told how far the work is, at least once; the last report is of the end.

        Returns:
            A new tensor of the same shape, dtype and range.

        Raises:
            UserError: wrong pictures, a network purifier without models, or a :meth:`run` that
                gives something else.
        """
        images, ready, reports = to_batch(images), self, _Reports(on_step or _ignore)
        if self.roles:
            models = need_models(models, f"the purifier {self.name}")
            ready = self.prepared(models.profile, models.profile.prompts.class_name)
        purified = self._checked(ready.run(images, models, reports), images)
        reports.end()
        return purified

    def _checked(self, purified: Tensor, images: Tensor) -> Tensor:
        """What :meth:`run` gave, if it is what was promised."""
        check_images(purified, f"what the purifier {self.name} gave")
        if purified.shape != images.shape:
            raise UserError(
                f"the purifier {self.name} must give pictures of the shape {tuple(images.shape)}; "
                f"got {tuple(purified.shape)}"
            )
        same = purified.data_ptr() == images.data_ptr()
        return purified.clone() if same else purified

    def run(self, images: Tensor, models: Any, on_step: OnStep) -> Tensor:
        """The work itself, on pictures that have been checked.

        Args:
            models: a :class:`shortcut_nb.models.Models` where :attr:`roles` names some.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how it purifies")


def _ignore(info: StepInfo) -> None:
    """Report to nobody."""


class _Reports:
    """Passes reports on; at the end there is one of the end, also from work that gave none."""

    def __init__(self, on_step: OnStep) -> None:
        self.on_step, self.last = on_step, StepInfo(0, 1)

    def __call__(self, info: StepInfo) -> None:
        self.last = info
        self.on_step(info)

    def end(self) -> None:
        if self.last.step < self.last.total:
            self(StepInfo(self.last.total, self.last.total))


@dataclass(frozen=True)
class Chain(Purifier):
    """Purifiers one after the other, from left to right."""

    links: tuple[Purifier, ...] = ()

    def __post_init__(self) -> None:
        """Its links were checked when they were made."""

    @property
    def name(self) -> str:  # type: ignore[override]
        """The names of the links, joined by "+"."""
        return "+".join(link.name for link in self.links)

    @property
    def roles(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(role for link in self.links for role in link.roles))

    @property
    def reach(self) -> int | None:
        reaches = [link.reach for link in self.links]
        return None if None in reaches else sum(filter(None, reaches))

    def prepared(self, profile: Profile, class_name: str) -> Chain:
        return Chain(tuple(link.prepared(profile, class_name) for link in self.links))

    def run(self, images: Tensor, models: Any, on_step: OnStep) -> Tensor:
        for number, link in enumerate(self.links):
            images = link(images, models, share_of(on_step, number, len(self.links)))
        return images


class BoundPurifier(Bound[Purifier]):
    """A purifier with the models it will be given."""

    def __call__(self, images: Any, on_step: OnStep | None = None) -> Tensor:
        """Purify (n, 3, H, W) float32 in [0, 1], or a folder; see :meth:`Purifier.__call__`."""
        return self.settings(self.models.pictures(images), self.models, on_step)

    def __getattr__(self, name: str) -> Any:
        value = super().__getattr__(name)
        # The same map with gradients to the pictures, for attackers who know it.
        return partial(value, models=self.models) if name == "differentiable" else value


def build(
    spec: str,
    /,
    named: Collection[str] = (),
    defaults: Mapping[str, Mapping[str, Any]] | None = None,
    **params: Any,
) -> Purifier:
    """Make a purifier from its name, or a chain from names joined by "+".

    Args:
        spec: for instance ``"jpeg"`` or ``"jpeg+restorer"``; ``"codesr"`` stands for a chain.
        named: the models that the profile names for purifiers, by role ("restorer", "upscaler").
        defaults: parameters of each link by its name, under ``params``.
        params: parameters of the purifier. In a chain each goes to the one link that has it.

    Raises:
        UserError: an unknown name (the nearest are listed), a parameter that no link has or that
            several have, or a wrong value.
    """
    if not isinstance(spec, str):
        raise UserError(f"a purifier is a name, or names joined by '+'; got {spec!r}")
    if "+" in spec and not all(part.strip() for part in spec.split("+")):
        raise UserError(f'expected a purifier on each side of a "+"; got {spec!r}')
    classes = [PURIFIERS[name] for name in expand(spec, named).split("+")]
    settings: list[dict[str, Any]] = [dict((defaults or {}).get(cls.name, {})) for cls in classes]
    for key, value in params.items():
        settings[_owner(key, spec, classes)][key] = value
    links = tuple(make(cls, own) for cls, own in zip(classes, settings, strict=True))
    return links[0] if len(links) == 1 else Chain(links)


def _owner(key: str, spec: str, classes: list[type[Purifier]]) -> int:
    """The number of the one link that has a parameter."""
    owners = [i for i, cls in enumerate(classes) if key in parameters(cls)]
    if len(owners) == 1:
        return owners[0]
    known = "; ".join(f"{cls.name}({', '.join(parameters(cls))})" for cls in classes)
    every = [name for cls in classes for name in parameters(cls)]
    what = "several links have it: build them one by one"
    if not owners:
        what = f"no link has it; the nearest are {nearest(key, every) or 'none'}"
    raise UserError(f"parameter {key!r} of {spec!r}: {what}. Parameters are {known}")


def bound(
    spec: str, models: Models, /, class_name: str | None = None, **params: Any
) -> BoundPurifier:
    """A purifier or chain with a profile's defaults under ``params``, and its models.

    Args:
        class_name: what the pictures show, for purifiers with a prompt; None is the profile's.

    Raises:
        UserError: see :func:`build`; or a purifier whose models the profile does not name.
    """
    profile = models.profile
    purifier = build(spec, profile.purifiers, profile.defaults, **params)
    purifier = purifier.prepared(profile, class_name or profile.prompts.class_name)
    models.require(purifier.roles)
    return BoundPurifier(purifier, models)


def expand(spec: str, named: Collection[str] = ()) -> str:
    """A spec with the chains behind its aliases written out.

    Args:
        named: the models that the profile names for purifiers, by role ("restorer", "upscaler").
    """
    links = [name.strip() for name in spec.split("+")]
    return "+".join(ALIASES[name](named) if name in ALIASES else name for name in links)


def kinds(purifier: Purifier | BoundPurifier) -> list[type[Purifier]]:
    """The class of a purifier, or of each of a chain's links."""
    settings = purifier.settings if isinstance(purifier, BoundPurifier) else purifier
    links = settings.links if isinstance(settings, Chain) else (settings,)
    return [type(link) for link in links]


def by_batches(count: int, batch: int, work: Callable[[slice], Tensor], on_step: OnStep) -> Tensor:
    """What ``work`` makes of each slice of ``count`` rows, joined; reports after each."""
    parts = []
    for start in range(0, count, batch):
        parts.append(work(slice(start, start + batch)))
        on_step(StepInfo(min(start + batch, count), count))
    return torch.cat(parts)
