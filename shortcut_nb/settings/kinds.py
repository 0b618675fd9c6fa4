"""What a field of settings may be: numbers in a range, budgets, step sizes, prompts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, Lt

from ..budget import Budget
from ..errors import UserError
from ..templates import check_template

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
