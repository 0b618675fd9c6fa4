"""Things by name: attacks, purifiers, trainers, metrics, prompts. One error policy for all."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

from ..errors import UserError
from .origin import PACKAGE, package_of

T = TypeVar("T")
V = TypeVar("V")


def _anything(thing: object) -> str:
    return ""


def _defined_again(taken: object, thing: object) -> bool:
    """Whether both are of one definition outside of the package: the same module and name."""
    place = _place(thing)
    return place == _place(taken) and "<" not in place[1] and not _is_ours(thing)


def _place(thing: object) -> tuple[str, str]:
    """The module and the name of a class or a function; of a probe, those of its measure."""
    named = _named(thing)
    return getattr(named, "__module__", "") or "", getattr(named, "__qualname__", "<>")


def _named(thing: object) -> object:
    return thing if hasattr(thing, "__qualname__") else getattr(thing, "measure", thing)


def _is_ours(thing: object) -> bool:
    return package_of(_named(thing)) == PACKAGE


def subclass_of(base: Callable[[], type]) -> Callable[[Any], str]:
    """For :attr:`Registry.complaint`: entries are classes that derive from a base.

    Args:
        base: returns it; a registry is made before the class whose subclasses it holds.
    """

    def complaint(thing: Any) -> str:
        fits = isinstance(thing, type) and issubclass(thing, base())
        return "" if fits else f"must be a class that derives from {base().__name__}"

    return complaint


def instance_of(kind: type) -> Callable[[Any], str]:
    """For :attr:`Registry.complaint`: entries are of a kind."""

    def complaint(thing: Any) -> str:
        return "" if isinstance(thing, kind) else f"must be a {kind.__name__}"

    return complaint


def nearest(name: object, known: Iterable[str], n: int = 3) -> str:
    """The ``n`` known names that look most like ``name``, joined by commas, best first.

    Capitals do not count: to "ASPL" the nearest is "aspl".
    """
    by_form: dict[str, list[str]] = {}
    for each in known:
        by_form.setdefault(each.casefold(), []).append(each)
    close = difflib.get_close_matches(str(name).casefold(), list(by_form), n=n, cutoff=0.0)
    return ", ".join([each for form in close for each in by_form[form]][:n])


class Registry(dict[str, T]):
    """A dictionary that says, when a name is unknown, which names are near.

    Args:
        what: what its entries are called in messages ("attack").
        complaint: says what an entry must be, where a thing is none; "" where it is one.
        reserved: names that mean something else where an entry is named.
        taken_elsewhere: what else is named where an entry is, by name.
    """

    def __init__(
        self,
        what: str,
        complaint: Callable[[Any], str] = _anything,
        *,
        reserved: Collection[str] = (),
        taken_elsewhere: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__()
        self.what = what
        self.complaint = complaint
        self.reserved = reserved
        self.taken_elsewhere: Mapping[str, object] = (
            {} if taken_elsewhere is None else taken_elsewhere
        )

    def __getitem__(self, name: object) -> T:
        """An entry by name; see :meth:`__missing__`."""
        return super().__getitem__(name) if isinstance(name, str) else self.__missing__(name)

    def __missing__(self, name: object) -> T:
        """Refuse an unknown name.

        Raises:
            ValueError: always; lists the nearest three names.
        """
        known = [*self, *self.taken_elsewhere]
        all_of_them = ", ".join(sorted(known))
        raise UserError(
            f"unknown {self.what} {name!r}: the nearest are {nearest(name, known)}. "
            f"All: {all_of_them}"
        )

    def check(self, name: object) -> None:
        """Make sure that a name is an entry's.

        Raises:
            UserError: it is not; lists the nearest three names.
        """
        self[name]

    def add(self, name: str, thing: T) -> None:
        """Enter one thing.

        What is defined again under its own name, as when a notebook's cell is run once more, takes
        the place of what it was.

        Raises:
            ValueError: a name that is empty, has a "+" (which joins chains), is taken or means
                something else; or a thing of another kind.
        """
        if not isinstance(name, str) or not name.strip() or "+" in name:
            raise UserError(f'a {self.what}\'s name must have letters and no "+"; got {name!r}')
        if name in self.reserved:
            raise UserError(f"{name!r} cannot be the name of a {self.what}: it has a meaning there")
        if problem := self.complaint(thing):
            raise UserError(f"{self.what} {name!r} {problem}; got {thing!r}")
        taken = self.get(name, self.taken_elsewhere.get(name))
        if taken is not None and not _defined_again(taken, thing):
            remedy = "take another name"
            if name in self and not _is_ours(taken):
                remedy += f", or remove that one with .pop({name!r})"
            raise UserError(f"{self.what} {name!r} exists already ({_place(taken)[1]}): {remedy}")
        self[name] = thing

    def register(self, name: str) -> Callable[[type[V]], type[V]]:
        """A decorator that enters a class and gives it its ``name``."""

        def enter(cls: type[V]) -> type[V]:
            self.add(name, cls)  # type: ignore[arg-type]
            cls.name = name  # type: ignore[attr-defined]
            return cls

        return enter
