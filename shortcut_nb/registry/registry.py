"""Things by name: attacks, purifiers, trainers, metrics, prompts. One error policy for all."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from ..errors import UserError

T = TypeVar("T")
V = TypeVar("V")


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
    """

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what
        self.taken_elsewhere: Mapping[str, object] = {}

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

    def add(self, name: str, thing: T) -> None:
        """Enter one thing.

        Raises:
            ValueError: a name that is empty, has a "+" (which joins chains), or is taken.
        """
        if not name or "+" in name:
            raise UserError(f'a {self.what}\'s name must have letters and no "+"; got {name!r}')
        if name in self or name in self.taken_elsewhere:
            taken = self.get(name, self.taken_elsewhere.get(name))
            called = getattr(taken, "__name__", taken)
            raise UserError(f"{self.what} {name!r} exists already: {called}")
        self[name] = thing

    def register(self, name: str) -> Callable[[type[V]], type[V]]:
        """A decorator that enters a class and gives it its ``name``."""

        def enter(cls: type[V]) -> type[V]:
            self.add(name, cls)  # type: ignore[arg-type]
            cls.name = name  # type: ignore[attr-defined]
            return cls

        return enter
