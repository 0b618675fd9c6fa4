"""What an attack is, what it returns, and how one is registered."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from ..budget import Budget
from ..images import save_folder
from ..progress import OnStep
from ..subjects import Subject

if TYPE_CHECKING:
    from ..lab import Lab

ATTACKS: dict[str, type[Attack]] = {}


@dataclass(frozen=True, eq=False)
class AttackResult:
    """Protected pictures and how they came about.

    Attributes:
        images: float32 (n, 3, H, W) in [0, 1], on the 8-bit grid and inside the budget.
        linf_pixels: the largest change of each picture, in grey levels.
        loss_trace: (steps, n) value of the objective before each step.
        seconds: wall-clock time.
    """

    images: Tensor
    clean: Tensor
    budget: Budget
    linf_pixels: list[int]
    loss_trace: Tensor
    config: dict[str, Any]
    seeds: list[int]
    seconds: float

    def save(self, folder: str | Path) -> Path:
        """Write one PNG per picture and ``attack.json``; refuses if the budget does not hold."""
        self.budget.check(self.images, self.clean)
        folder = Path(folder)
        save_folder(self.images, folder)
        card = {
            "config": self.config, "budget": str(self.budget), "linf_pixels": self.linf_pixels,
            "seeds": self.seeds, "seconds": round(self.seconds, 2),
            "loss": [round(v, 6) for v in self.loss_trace.mean(1).tolist()],
        }  # fmt: skip
        fresh = folder / ".attack.json.tmp"
        fresh.write_text(json.dumps(card, indent=2) + "\n", "utf-8")
        os.replace(fresh, folder / "attack.json")
        return folder


@dataclass(frozen=True)
class Attack:
    """A frozen set of hyperparameters; call it with a subject.

    Args:
        eps: l∞ budget, written "k/255".
        seed: everything random is drawn from it.
        lab: where models come from; no part of comparison or hashing.
    """

    name: ClassVar[str] = ""
    eps: Budget | str = "16/255"
    seed: int = 0
    lab: Lab | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "eps", Budget.parse(self.eps))

    @property
    def budget(self) -> Budget:
        """``eps`` as the type it is."""
        return Budget.parse(self.eps)

    def config(self) -> dict[str, Any]:
        """The hyperparameters as plain values, with the attack's name."""
        held = {f.name: getattr(self, f.name) for f in fields(self) if f.compare}
        return {"attack": self.name} | {
            k: str(v) if isinstance(v, Budget) else asdict(v) if hasattr(v, "__dataclass_fields__")
            else v for k, v in held.items()
        }  # fmt: skip

    def __call__(self, subject: Subject, on_step: OnStep | None = None) -> AttackResult:
        """Protect the subject's set B."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it protects")


def register(name: str) -> Callable[[type], type]:
    """Give an attack class its name in :data:`ATTACKS`."""

    def add(cls: type) -> type:
        if name in ATTACKS:
            raise ValueError(f"attack {name!r} exists already: {ATTACKS[name].__name__}")
        cls.name = name
        ATTACKS[name] = cls
        return cls

    return add


def build(name: str, lab: Lab | None = None, **params: Any) -> Attack:
    """Make an attack by name.

    Raises:
        ValueError: an unknown name (the nearest are listed), or an unknown parameter.
    """
    if name not in ATTACKS:
        near = ", ".join(difflib.get_close_matches(name, ATTACKS, n=3, cutoff=0.0))
        raise ValueError(f"unknown attack {name!r}; the nearest are {near}")
    cls = ATTACKS[name]
    known = [f.name for f in fields(cls) if f.compare]
    if wrong := sorted(set(params) - set(known)):
        raise ValueError(f"{name} has no parameter {wrong[0]!r}; it has {', '.join(known)}")
    return cls(**params, lab=lab)


def parse_alpha(alpha: str | int) -> float:
    """A step size "k/255" (k may be a decimal) as a share of [0, 1].

    Raises:
        ValueError: for a bare float or other text.
    """
    text = str(alpha)
    head, slash, tail = text.partition("/")
    try:
        if isinstance(alpha, float) or (slash and tail.strip() != "255"):
            raise ValueError
        value = float(head)
    except ValueError:
        raise ValueError(f"a step size reads 'k/255', for example '1/255'; got {alpha!r}") from None
    if not value >= 0:
        raise ValueError(f"a step size is not negative; got {alpha!r}")
    return value / 255


def no_trace(n: int) -> Tensor:
    """The loss trace of an attack that takes no steps."""
    return torch.zeros(0, n)
