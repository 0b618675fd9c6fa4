"""What an attack is, how it runs, and how one is registered."""

from __future__ import annotations

import difflib
import hashlib
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from ..budget import Budget
from ..diffusion import Diffusion
from ..modes import checkpointed, frozen
from ..progress import OnStep, StepInfo
from ..subjects import Subject
from .result import AttackResult
from .run import Run

if TYPE_CHECKING:
    from ..lab import Lab

ATTACKS: dict[str, type[Attack]] = {}


@dataclass(frozen=True)
class Attack:
    """A frozen set of hyperparameters; call it with a subject.

    A subclass says how many rounds there are (:attr:`total`) and what one does (:meth:`round`).
    ``paper`` holds the settings of its publication where they differ from the defaults.

    Args:
        eps: l∞ budget, written "k/255".
        seed: everything random is drawn from it.
        low_memory: one picture at a time and gradient checkpointing: slower, the same result up to
            rounding, and 512-pixel models fit a 16 GB card.
        lab: where models come from; no part of comparison or hashing.
    """

    name: ClassVar[str] = ""
    paper: ClassVar[dict[str, Any]] = {}
    eps: Budget | str = "16/255"
    seed: int = 0
    low_memory: bool = False
    lab: Lab | None = field(default=None, compare=False, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "eps", Budget.parse(self.eps))

    @property
    def budget(self) -> Budget:
        """``eps`` as the type it is."""
        return Budget.parse(self.eps)

    @property
    def total(self) -> int:
        """How many rounds the attack takes."""
        raise NotImplementedError(f"{type(self).__name__} does not say how many rounds it takes")

    @property
    def chunk(self) -> int | None:
        """Pictures per backward pass; None is all."""
        return 1 if self.low_memory else None

    def bases(self) -> dict[str, Diffusion]:
        """The pretrained models the attack works with, by name; none of them is changed."""
        return {"diffusion": self.lab.diffusion}

    def prepare(self, run: Run) -> None:
        """What comes before the first round; skipped when a run goes on from a checkpoint."""

    def arm(self, run: Run) -> None:
        """Build what is not saved with a run (objectives, optimisers)."""

    def round(self, run: Run, number: int) -> Tensor:
        """Move ``run.x``; return the objective's values, (steps, n)."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it protects")

    def roles(self) -> tuple[str, ...]:
        """The models whose weights the result depends on, as roles of the profile."""
        return ("diffusion",)

    def inputs(self) -> dict[str, Any]:
        """All that the result depends on beside the pictures: for cache keys and checkpoints."""
        lab, profile = self.lab, self.lab.profile
        return {
            "attack": self.config(), "weights": lab.digest(*self.roles()),
            "arithmetic": f"{lab.device.type} {lab.autocast}", "sampling": profile.sampling,
            "prior": profile.prior_guidance_scale, "prompts": profile.prompts,
            "concepts": profile.concepts,
        }  # fmt: skip

    def config(self) -> dict[str, Any]:
        """The hyperparameters as plain values, with the attack's name."""
        held = {f.name: getattr(self, f.name) for f in fields(self) if f.compare}
        return {"attack": self.name} | {
            k: str(v) if isinstance(v, Budget) else asdict(v) if hasattr(v, "__dataclass_fields__")
            else v for k, v in held.items()
        }  # fmt: skip

    def __call__(
        self, subject: Subject, on_step: OnStep | None = None,
        checkpoint: str | Path | None = None, every: int = 10,
    ) -> AttackResult:  # fmt: skip
        """Protect the subject's set B.

        Args:
            checkpoint: a file to save to every ``every`` rounds and to go on from; a resumed run
                ends with the same pictures as an uninterrupted one. Deleted at the end.

        Raises:
            ValueError: a checkpoint of another run.
            FloatingPointError: a loss that is not finite; the last checkpoint is kept.
        """
        started = time.monotonic()
        run = Run.start(subject, [self.seed * 1009 + i for i in range(len(subject.images))])
        path = Path(checkpoint) if checkpoint else None
        mark = self._mark(subject) if path else ""
        with ExitStack() as borrowed:
            bases = self.bases()
            modules = [module for model in bases.values() for module in model.modules]
            borrowed.enter_context(frozen(*modules))
            if self.low_memory:
                borrowed.enter_context(checkpointed(*modules))
            if path and path.exists():
                run.restore(path, mark, bases)
            else:
                self.prepare(run)
            self.arm(run)
            spent = run.seconds
            for number in range(run.done, self.total):
                values = self.round(run, number)
                run.trace.append(values)
                run.done, run.seconds = number + 1, spent + time.monotonic() - started
                if on_step:
                    seen = {"loss": values.mean().item()} if values.numel() else {}
                    on_step(StepInfo(run.done, self.total, seen))
                if path and run.done % every == 0:
                    run.save(path, mark)
        images = self.budget.project_grid(run.x, run.clean)
        if path:
            run.forget(path)
        return AttackResult(
            images, run.clean, self.budget, self.budget.linf_pixels(images, run.clean),
            torch.cat(run.trace), self.config(), run.seeds, spent + time.monotonic() - started,
        )  # fmt: skip

    def _mark(self, subject: Subject) -> str:
        words = (subject.instance_prompt, subject.class_prompt)
        digest = hashlib.sha256(f"{self.inputs()} {words}".encode())
        for images in (subject.a, subject.b):
            digest.update(images.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


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
    cls = lookup(name)
    known = [f.name for f in fields(cls) if f.compare]
    if wrong := sorted(set(params) - set(known)):
        raise ValueError(f"{name} has no parameter {wrong[0]!r}; it has {', '.join(known)}")
    return cls(**params, lab=lab)


def lookup(name: str) -> type[Attack]:
    """The class of an attack.

    Raises:
        ValueError: an unknown name; the nearest are listed.
    """
    if name not in ATTACKS:
        near = ", ".join(difflib.get_close_matches(name, ATTACKS, n=3, cutoff=0.0))
        raise ValueError(f"unknown attack {name!r}; the nearest are {near}")
    return ATTACKS[name]


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


def one_of(value: object, allowed: tuple, what: str) -> None:
    """Refuse a value that is not among the allowed ones.

    Raises:
        ValueError: naming the parameter and what it may be.
    """
    if value not in allowed:
        raise ValueError(f"{what} must be one of {', '.join(map(repr, allowed))}; got {value!r}")
