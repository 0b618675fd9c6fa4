"""Settings: frozen dataclasses whose fields are checked by type and range when they are made.

A field says what it may be by its annotation; its description is the "Args:" entry of its class's
docstring. Both are what :func:`describe` lists and what a refusal says.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin
from typing import get_type_hints as type_hints

from annotated_types import Ge, Gt, Le, Lt
from pydantic import ConfigDict, TypeAdapter

from ..budget import Budget
from ..errors import UserError
from ..registry import nearest
from ..templates import check_template

ADDED = {"omit": True}
"""Metadata of a field that came later: left out of the names of stored work at its default."""

Count = Annotated[int, Ge(1)]
Whole = Annotated[int, Ge(0)]
Seed = Annotated[int, Ge(0), Lt(2**32)]
Share = Annotated[float, Ge(0), Le(1)]
Rate = Annotated[float, Ge(0), Le(10)]
"""A learning rate."""
Weight = Annotated[float, Ge(0), Le(1e9)]
Guidance = Annotated[float, Ge(0), Le(1000)]
SampleSteps = Annotated[int, Ge(1), Le(1000)]
"""Denoising steps of a sampler: no more than there are noise levels."""
Sign = Literal[1, -1]


class Words:
    """A field's own wording of what is allowed, and its own check; for ``Annotated``.

    Args:
        allowed: what a refusal and :func:`describe` say.
        read: checks a value and hands back what is kept; raises ValueError.
    """

    def __init__(self, allowed: str, read: Any) -> None:
        self.allowed, self.read = allowed, read


def parse_alpha(alpha: str | int) -> float:
    """A step size "k/255" (k may be a decimal) as a share of [0, 1].

    Raises:
        ValueError: for a bare float or other text.
    """
    text = str(alpha)
    head, slash, tail = text.partition("/")
    try:
        if isinstance(alpha, (float, bool)) or (slash and tail.strip() != "255"):
            raise ValueError
        value = float(head)
    except ValueError:
        raise UserError(f"a step size reads 'k/255', for example '1/255'; got {alpha!r}") from None
    if not 0 <= value <= 255:
        raise UserError(f"a step size lies between '0/255' and '255/255'; got {alpha!r}")
    return value / 255


def _step_size(alpha: Any) -> str:
    """A step size in its one spelling, so that equal settings have one name: 1 is "1/255"."""
    parse_alpha(alpha)
    k = float(str(alpha).partition("/")[0]) + 0.0  # no "-0"
    short = f"{k:g}"
    return f"{short if float(short) == k else repr(k)}/255"


def _levels(text: Any) -> str:
    return str(Budget.parse(text))


Eps = Annotated[Budget | str, Words('"k/255" with a whole number k from 0 to 255', Budget.parse)]
StepSize = Annotated[str, Words('"k/255", k a number from 0 to 255', _step_size)]
Levels = Annotated[str, Words('"k/255" with a whole number k from 0 to 255', _levels)]


def _of_a_class(template: Any) -> str:
    if not isinstance(template, str):
        raise UserError(f"got {template!r}")
    return check_template(template, ("class_name",))


Template = Annotated[str, Words("a prompt, which may use {class_name}", _of_a_class)]


@dataclass(frozen=True)
class Settings:
    """The parameters of an attack, a purifier or a trainer; a value that can be compared.

    Raises:
        ValueError: when made, for a parameter of another type or out of its range.
    """

    name: ClassVar[str] = ""

    def __post_init__(self) -> None:
        check(self)


def check(owner: Any) -> None:
    """Check every field of a frozen dataclass against its annotation, and keep what was read.

    Whole numbers are taken for decimals, NumPy's numbers for Python's; nothing else is converted.

    Raises:
        ValueError: names the parameter, what is allowed, and what came.
    """
    hints = _hints(owner.__class__)
    for field in fields(owner):
        value = getattr(owner, field.name)
        kept = read(value, hints[field.name], field.name, getattr(owner, "name", ""))
        if kept is not value:
            object.__setattr__(owner, field.name, kept)


def read(value: Any, hint: Any, name: str, owner: str = "") -> Any:
    """One value as an annotation wants it.

    Raises:
        ValueError: names the parameter, what is allowed, and what came.
    """
    if (
        type(value).__module__ == "numpy"
        and hasattr(value, "item")
        and getattr(value, "ndim", 1) == 0
    ):
        value = value.item()
    where = f"{owner}: " if owner else ""
    for part in get_args(hint)[1:] if get_origin(hint) is Annotated else ():
        if isinstance(part, Words):
            try:
                return part.read(value)
            except (ValueError, TypeError) as error:
                raise UserError(f"{where}{name} must be {part.allowed}: {error}") from None
    try:
        if isinstance(value, bool) and not _takes_truth(hint):  # True == 1, and is not meant
            raise ValueError
        return _adapter(hint).validate_python(value, strict=True)
    except ValueError:
        raise UserError(f"{where}{name} must be {allowed(hint)}; got {value!r}") from None


@cache
def _takes_truth(hint: Any) -> bool:
    """Whether an annotation takes True and False."""
    if hint in (bool, Any):
        return True
    return get_origin(hint) is not Literal and any(map(_takes_truth, get_args(hint)))


@cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint, config=ConfigDict(allow_inf_nan=False, arbitrary_types_allowed=True))


@cache
def _hints(cls: type) -> dict[str, Any]:
    return type_hints(cls, include_extras=True)


def allowed(hint: Any) -> str:
    """What an annotation allows, in words: "a whole number, at least 1"."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        own = [part.allowed for part in args[1:] if isinstance(part, Words)]
        return own[0] if own else ", ".join([allowed(args[0]), *_bounds(args[1:])])
    if origin is Literal:
        return "one of " + ", ".join(map(repr, args))
    if origin in (Union, UnionType):
        return " or ".join("None" if arg is NoneType else allowed(arg) for arg in args)
    words = {int: "a whole number", float: "a number", bool: "True or False", str: "text"}
    return words.get(hint, str(getattr(hint, "__name__", hint)))


def _bounds(parts: tuple[Any, ...]) -> Iterator[str]:
    bounds: dict[type, Any] = {type(part): part for part in parts}
    low, high = bounds.get(Ge), bounds.get(Le)
    if low and high and math.isfinite(high.le) and high.le < 1e6:
        yield f"from {_plain(low.ge)} to {_plain(high.le)}"
        return
    if low:
        yield f"at least {_plain(low.ge)}"
    if Gt in bounds:
        yield f"above {_plain(bounds[Gt].gt)}"
    if high:
        yield f"at most {_plain(high.le)}"
    if Lt in bounds:
        yield f"below {_plain(bounds[Lt].lt)}"


def _plain(bound: Any) -> str:
    return str(bound) if isinstance(bound, int) else f"{bound:g}"


def parameters(cls: type) -> list[str]:
    """The names of a settings class's parameters."""
    return [field.name for field in _parameters(cls)]


def _parameters(cls: type) -> list[Field[Any]]:
    """Fields that are parameters; those that many classes share (keyword only) last."""
    own = [field for field in fields(cls) if field.init and field.compare]
    return sorted(own, key=lambda field: bool(field.kw_only))


S = TypeVar("S")


def make(cls: type[S], params: Mapping[str, Any]) -> S:
    """An instance from parameters by name.

    Raises:
        ValueError: an unknown parameter (the nearest are listed), or a wrong value.
    """
    known, called = parameters(cls), getattr(cls, "name", "") or cls.__name__
    for name in params:
        if name not in known:
            raise UserError(
                f"{called} has no parameter {name!r}: the nearest are {nearest(name, known)}. "
                f"It has {', '.join(known) or 'none'}"
            )
    return cls(**params)


def describe(cls: type) -> list[dict[str, Any]]:
    """The parameters of a settings class, in order, for lists and help pages.

    Returns:
        Records with ``name``, ``default`` (None without one), ``allowed`` (type and range in
        words), ``description`` (from the docstrings), ``source`` (the class that declares it).
    """
    hints, texts = _hints(cls), _descriptions(cls)
    owners = {
        name: base.__name__
        for base in reversed(cls.__mro__)
        for name in vars(base).get("__annotations__", {})
    }
    return [
        {
            "name": field.name,
            "default": _default(field),
            "allowed": allowed(hints[field.name]),
            "description": texts.get(field.name, ""),
            "source": owners.get(field.name, cls.__name__),
        }
        for field in _parameters(cls)
    ]


def _default(field: Field[Any]) -> Any:
    if field.default is not MISSING:
        return field.default
    return None if field.default_factory is MISSING else field.default_factory()


_ENTRY = re.compile(r"^(\w+(?:, \w+)*): (.*)$")


def _descriptions(cls: type) -> dict[str, str]:
    """The "Args:" entries of a class and its bases, the nearest class's first."""
    texts: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        names: list[str] = []
        for line in _args(inspect.cleandoc(base.__doc__ or "").splitlines()):
            entry = None if line.startswith(" ") else _ENTRY.match(line)
            if entry:
                names = entry.group(1).split(", ")
                texts |= dict.fromkeys(names, entry.group(2))
            else:
                texts |= {name: f"{texts[name]} {line.strip()}" for name in names}
    return texts


def _args(lines: list[str]) -> list[str]:
    """The lines under "Args:", without their indentation."""
    starts = [i for i, line in enumerate(lines) if line.strip() == "Args:"]
    if not starts:
        return []
    entries = []
    for line in lines[starts[0] + 1 :]:
        if line.strip() and not line.startswith("    "):
            break
        if line.strip():
            entries.append(line[4:])
    return entries


def omitted(field: Field[Any], owner: Any) -> bool:
    """A field marked :data:`ADDED`, at its default: work stored before it was added stays valid."""
    return bool(field.metadata.get("omit")) and getattr(owner, field.name) == field.default
