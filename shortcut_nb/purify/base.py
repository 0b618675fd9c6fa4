"""What a purifier is, how one is registered, and how several are chained."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from ..images import check_images

OnStep = Callable[[int, int], None]


@runtime_checkable
class Purifier(Protocol):
    """A frozen dataclass of its parameters that maps pictures to cleaner pictures.

    A purifier with a network has one more method, ``bind(lab, class_name)``, which returns a copy
    that holds it, with the class's name in its prompt. The network takes no part in comparison or
    hashing; ``roles`` names the profile's models that it comes from.
    """

    name: ClassVar[str]

    def __call__(self, images: Tensor, on_step: OnStep | None = None) -> Tensor:
        """Purify (n, 3, H, W) float32 in [0, 1]; the same shape, dtype and range come back.

        The input is not written to. Long work calls ``on_step(done, total)``.
        """
        ...


PURIFIERS: dict[str, type] = {}
ALIASES: dict[str, Callable[[Collection[str]], str]] = {}
"""Names of chains: from the models that a profile names for purifiers to the chain's spec."""
P = TypeVar("P", bound=type)


def register(name: str) -> Callable[[P], P]:
    """Give a purifier class its name. Raises ValueError when the name is taken or has a "+"."""

    def add(cls: P) -> P:
        if "+" in name or not name:
            raise ValueError(f'a purifier\'s name must have letters and no "+", got {name!r}')
        if name in PURIFIERS or name in ALIASES:
            taken = (PURIFIERS | ALIASES)[name].__name__
            raise ValueError(f"purifier {name!r} exists already: {taken}")
        cls.name = name
        PURIFIERS[name] = cls
        return cls

    return add


@dataclass(frozen=True)
class Chain:
    """Purifiers one after the other, from left to right."""

    links: tuple[Purifier, ...]

    @property
    def name(self) -> str:
        """The names of the links, joined by "+"."""
        return "+".join(link.name for link in self.links)

    def bind(self, lab: Any, class_name: str = "") -> Chain:
        """A copy whose links hold their networks."""
        return Chain(tuple(bind(link, lab, class_name) for link in self.links))

    def __call__(self, images: Tensor, on_step: OnStep | None = None) -> Tensor:
        """Purify (n, 3, H, W) float32 in [0, 1]; ``on_step`` counts links."""
        check_images(images)
        for done, link in enumerate(self.links, start=1):
            images = link(images)
            if on_step is not None:
                on_step(done, len(self.links))
        return images


def bind(purifier: Purifier, lab: Any, class_name: str = "") -> Purifier:
    """Hand a purifier its network and the class's name, if it wants them."""
    return purifier.bind(lab, class_name) if hasattr(purifier, "bind") else purifier


def build(
    spec: str, lab: Any = None, class_name: str = "person",
    defaults: Mapping[str, Mapping[str, Any]] | None = None, **params: Any,
) -> Purifier:  # fmt: skip
    """Make a purifier from its name, or a chain from names joined by "+".

    Args:
        spec: for instance ``"jpeg"`` or ``"jpeg+restorer"``; ``"codesr"`` stands for a chain.
        lab: where networks come from; None leaves them to a later ``bind``.
        class_name: what the pictures show, for purifiers with a prompt.
        defaults: parameters of each link by its name, under ``params``.
        params: parameters of the purifier. In a chain each goes to the one link that has it.

    Raises:
        KeyError: an unknown name; the message lists the nearest three.
        TypeError: a parameter that no link has, or that several have.
    """
    written = expand(spec, () if lab is None else lab.profile.purifiers)
    classes = [_find(name) for name in written.split("+")]
    given: list[dict[str, Any]] = [dict((defaults or {}).get(cls.name, {})) for cls in classes]
    for key, value in params.items():
        owners = [i for i, cls in enumerate(classes) if key in parameter_names(cls)]
        if len(owners) != 1:
            what = (
                "no link has it" if not owners else "several links have it: build them one by one"
            )
            known = "; ".join(f"{c.name}({', '.join(parameter_names(c))})" for c in classes)
            raise TypeError(f"parameter {key!r} of {spec!r}: {what}. Parameters are {known}")
        given[owners[0]][key] = value
    links = tuple(cls(**kwargs) for cls, kwargs in zip(classes, given, strict=True))
    made = links[0] if len(links) == 1 else Chain(links)
    return made if lab is None else bind(made, lab, class_name)


def expand(spec: str, named: Collection[str] = ()) -> str:
    """A spec with the chains behind its aliases written out.

    Args:
        named: the models that the profile names for purifiers, by role ("restorer", "upscaler").
    """
    links = [name.strip() for name in spec.split("+")]
    return "+".join(ALIASES[name](named) if name in ALIASES else name for name in links)


def parameter_names(cls: type) -> list[str]:
    """The parameters that make a purifier what it is (fields that take part in comparison)."""
    return [field.name for field in fields(cls) if field.compare]


def with_network(purifier: Purifier, lab: Any) -> Purifier:
    """A copy of a purifier that holds ``lab``'s network for it; the body of most ``bind``."""
    return replace(purifier, network=lab.purifier_model(purifier.name))


def roles(purifier: Purifier) -> tuple[str, ...]:
    """The models of a profile that a purifier, or a chain's links, depend on."""
    links = purifier.links if isinstance(purifier, Chain) else (purifier,)
    return tuple(sorted({role for link in links for role in getattr(link, "roles", ())}))


def need(model: Any, name: str) -> Any:
    """The model of a purifier that must hold one.

    Raises:
        RuntimeError: when none has been bound.
    """
    if model is None:
        raise RuntimeError(
            f"the purifier {name} has no network: use lab.purifier(...), or call .bind(lab) first"
        )
    return model


def by_batches(
    count: int, batch: int, work: Callable[[slice], Tensor], on_step: OnStep | None
) -> Tensor:
    """What ``work`` makes of each slice of ``count`` rows, joined; reports after each."""
    parts = []
    for start in range(0, count, batch):
        parts.append(work(slice(start, start + batch)))
        if on_step is not None:
            on_step(min(start + batch, count), count)
    return torch.cat(parts)


def _find(name: str) -> type:
    if name not in PURIFIERS:
        known = sorted([*PURIFIERS, *ALIASES])
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.0)
        raise KeyError(
            f"unknown purifier {name!r}: the nearest are {', '.join(near)}. "
            f'All: {", ".join(known)}. Chains are joined by "+"'
        )
    return PURIFIERS[name]
