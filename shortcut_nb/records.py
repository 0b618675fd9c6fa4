"""Plain data that cannot change: what pydantic refuses of it is said in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from .errors import UserError
from .files.yaml_files import no_such_key, refusals

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)


class _OneLine(ModelMetaclass):
    """Says in a line what cannot be made, and what is near."""

    def __call__(cls, /, *args: Any, **content: Any) -> Any:
        try:
            return super().__call__(*args, **content)
        except ValidationError as error:
            raise UserError("; ".join(refusals(error, cls))) from None  # type: ignore[arg-type]


class Strict(BaseModel, metaclass=_OneLine):
    """A record that cannot change and that refuses unknown keys.

    Raises:
        UserError: when it is called with a key or a value that cannot be; in one line.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with some fields changed, whose values are not looked at.

        Raises:
            UserError: a field that there is not, which pydantic would pass over.
        """
        fields = type(self).model_fields
        for name in update or ():
            if name not in fields:
                raise UserError(f"{name}: {no_such_key(name, fields)}")
        return super().model_copy(update=update, deep=deep)
