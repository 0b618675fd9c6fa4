"""The perturbation budget: a type, not a float.

In the literature's own code a bare "eps" has five meanings. Here it has one: a whole number of
grey levels out of 255, largest change of any colour value (the l-infinity norm).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor

from .errors import UserError
from .images.checks import check_values

_TEXT = re.compile(r"^\s*(\d+)\s*/\s*255\s*$")
_LEVELS = 255


@dataclass(frozen=True, order=True)
class Budget:
    """An l-infinity ball of `pixels` grey levels (0 to 255) around each picture.

    Write it as `Budget.linf(8)` or `Budget.parse("8/255")`; it prints as "8/255".

    Raises:
        ValueError: when `pixels` is not a whole number from 0 to 255.
    """

    pixels: int

    def __post_init__(self) -> None:
        if isinstance(self.pixels, bool) or not isinstance(self.pixels, int):
            raise UserError(
                f"a budget is a whole number of grey levels; got {self.pixels!r} "
                f"({type(self.pixels).__name__}). Write Budget.linf(8) or '8/255'."
            )
        if not 0 <= self.pixels <= _LEVELS:
            raise UserError(
                f"a budget lies between 0 and 255 grey levels; got {self.pixels}. "
                "Write for example '8/255'."
            )

    @classmethod
    def linf(cls, pixels: int) -> Budget:
        """The l-infinity budget of `pixels` grey levels out of 255."""
        return cls(pixels)

    @classmethod
    def parse(cls, value: Budget | str | int) -> Budget:
        """Read "8/255", 8 (grey levels) or a Budget.

        Raises:
            ValueError: for a float, or for text that is not "k/255".
        """
        if isinstance(value, Budget):
            return value
        if isinstance(value, float):
            raise UserError(
                f"a budget is never a float: {value!r} could be a share of [0, 1], of [-1, 1], or "
                "grey levels. Write '8/255'."
            )
        if isinstance(value, str):
            match = _TEXT.match(value)
            if match is None:
                raise UserError(
                    f"a budget reads 'k/255' with a whole number k; got {value!r}. "
                    "Write for example '8/255'."
                )
            return cls(int(match.group(1)))
        return cls(value)

    @property
    def unit(self) -> float:
        """The radius on the [0, 1] scale: pixels / 255."""
        return self.pixels / _LEVELS

    def __str__(self) -> str:
        return f"{self.pixels}/{_LEVELS}"

    def plain(self) -> str:
        """The budget as text: what stands for it in a recipe."""
        return str(self)

    def project(self, x: Tensor, reference: Tensor) -> Tensor:
        """The nearest point to `x` in the ball around `reference` and in [0, 1].

        Args:
            x, reference: float tensors of one shape, (N, 3, H, W), values in [0, 1].

        Returns:
            A new tensor; the inputs are left as they were. Projecting twice changes nothing.

        Raises:
            ValueError: when the shapes differ.
        """
        _same_shape(x, reference)
        low = (reference - self.unit).clamp(min=0.0)
        high = (reference + self.unit).clamp(max=1.0)
        return torch.minimum(torch.maximum(x, low), high)

    def project_grid(self, x: Tensor, reference: Tensor) -> Tensor:
        """Round `x` to the 8-bit grid, then project in whole grey levels.

        A PNG keeps the result exactly, and the budget holds exactly on what is written to disk.

        Args: as for `project`. The reference is rounded to the grid as well.

        Raises:
            ValueError: when the shapes differ, `x` is not finite, or the reference is not in
                [0, 1].
        """
        _same_shape(x, reference)
        check_values(reference, "the reference")
        if not torch.isfinite(x).all():
            raise UserError("x must be finite; got NaN or infinity. Look at the step that made it.")
        centre = _levels(reference)
        moved = torch.minimum(
            torch.maximum(_levels(x), centre - self.pixels), centre + self.pixels
        ).clamp(0, _LEVELS)
        return moved.to(x.dtype) / _LEVELS

    def check(self, a: Tensor, b: Tensor) -> None:
        """Make sure that no grey level of `a` and `b` differs by more than the budget.

        Raises:
            ValueError: naming the worst picture and by how much it is over; or values that are not
                in [0, 1].
        """
        distances = linf_pixels(a, b)
        worst = max(distances, default=0)
        if worst > self.pixels:
            raise UserError(
                f"expected at most {self} between the pictures; picture {distances.index(worst)} "
                f"differs by {worst}/255. Call Budget.linf({self.pixels}).project_grid(x, "
                "reference) before saving."
            )


def linf_pixels(a: Tensor, b: Tensor) -> list[int]:
    """The largest difference, in 8-bit grey levels, one whole number per picture.

    Args:
        a, b: (N, 3, H, W) in [0, 1]; both are rounded to the 8-bit grid first.

    Raises:
        ValueError: when the shapes differ, or values are not in [0, 1].
    """
    _same_shape(a, b)
    if a.numel() == 0:
        return [0] * a.shape[0]
    for pictures in (a, b):
        check_values(pictures, "pictures")
    return (_levels(a) - _levels(b)).abs().flatten(1).amax(dim=1).tolist()


def _levels(x: Tensor) -> Tensor:
    return (x.detach().float() * _LEVELS).round().clamp(0, _LEVELS).to(torch.int16)


def _same_shape(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape:
        raise UserError(
            f"expected two tensors of one shape; got {tuple(a.shape)} and {tuple(b.shape)}. "
            "Give the reference the same pictures, in the same order and size."
        )
