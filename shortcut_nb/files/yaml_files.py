"""A YAML file of keys and values that a model of pydantic describes: no key counts unseen."""

from __future__ import annotations

import re
import reprlib
import typing
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode

from ..errors import UserError
from ..registry import nearest

DATE = "tag:yaml.org,2002:timestamp"
_short = reprlib.Repr()
_short.maxstring = 60
MERGE = "tag:yaml.org,2002:merge"  # "<<", which may stand there twice


class _Loader(yaml.SafeLoader):
    """YAML lets the last of two equal keys count; here they are refused."""

    def compose_mapping_node(self, anchor: Any) -> MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if key.tag != MERGE and (key.tag, str(key.value)) in seen:
                raise ConstructorError(
                    None, None, f"the key {key.value!r} is given twice", key.start_mark
                )
            seen.add((key.tag, str(key.value)))
        return node


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if tag != DATE]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
"""What looks like a date is text, which whoever wants a number refuses by name."""


def read_mapping(path: Path, start: str = "") -> dict[str, Any]:
    """The keys and values of a YAML file.

    Args:
        start: what to begin such a file from, for the message.

    Raises:
        UserError: no YAML, no keys and values, or a key that is given twice or is not text.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except RecursionError:
        raise UserError(f"{path} is nested too deeply to be read. Correct the file.") from None
    except (yaml.YAMLError, UnicodeDecodeError, TypeError) as error:  # a list as a key
        reason = " ".join(str(error).split())
        raise UserError(f"{path} is not valid YAML: {reason}. Correct the file.") from error
    if content is None:
        raise UserError(f"{path} is empty. {start}".rstrip())
    if not isinstance(content, dict):
        raise UserError(
            f"{path} must hold keys and values; got {type(content).__name__}. {start}".rstrip()
        )
    if other := [key for key in content if not isinstance(key, str)]:
        raise UserError(f"{path}: keys must be text; got {other[0]!r}. Correct the file.")
    return content


def refusals(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """What a model refuses, a line each, "sampling.steps: …"; of an unknown key the nearest."""
    return [_refusal(each, model) for each in error.errors()]


def no_such_key(name: object, fields: Iterable[str]) -> str:
    """What is said of a key that a model does not have."""
    return f"there is no such key; the nearest are {nearest(name, fields)}"


def _refusal(detail: Any, model: type[BaseModel]) -> str:
    place = detail["loc"]
    if detail["type"] == "extra_forbidden":
        fields = _model_at(model, place[:-1]).model_fields
        text = no_such_key(place[-1], fields)
    elif detail["type"] == "value_error":
        text = detail["msg"].removeprefix("Value error, ")
    elif detail["type"] == "missing":
        text = "is missing"
    else:
        expected = re.sub(r"^[A-Z]\w+ should ", "must ", detail["msg"])
        text = f"{expected}; got {_short.repr(detail['input'])}"
    where = ".".join(map(str, place))
    return f"{where}: {text}" if where else text


def _model_at(model: type[BaseModel], place: Sequence[Any]) -> type[BaseModel]:
    """The model that describes a place within another, by the annotations on the way there."""
    for part in place:
        field = model.model_fields.get(str(part))
        inner = _models_in(field.annotation) if field else []
        model = inner[0] if inner else model
    return model


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Models within an annotation such as ``dict[str, Sheet] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [each for part in typing.get_args(annotation) for each in _models_in(part)]
