"""What an attack is, how it runs, and how one is registered."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..budget import Budget, linf_pixels
from ..cells import NONE
from ..diffusion import Diffusion
from ..diffusion.lengths import check_lengths
from ..models import Models, check_size, need_models
from ..models.class_pictures import ClassPictures
from ..progress import OnStep, StepInfo
from ..registry import Registry, subclass_of
from ..settings import Count, Eps, Seed, Settings, make, read
from ..settings.bound import Bound
from ..store.code import code_of
from ..store.recipe import compared_fields, update_digest
from ..subjects import Subject
from ..tuning.lean import weights_in
from ..tuning.modes import checkpointed, frozen, with_gradients
from .result import AttackResult
from .run import Run

ATTACKS: Registry[type[Attack]] = Registry("attack", subclass_of(lambda: Attack), reserved=(NONE,))
register = ATTACKS.register


@dataclass(frozen=True)
class Attack(Settings):
    """A frozen set of hyperparameters; call it with a subject and models.

    A subclass says how many rounds there are (:attr:`total`) and what one does (:meth:`round`).
    ``paper`` holds the settings of its publication where they differ from the defaults;
    ``opens_models = False``, literally in the class, says that it works without any model.

    Args:
        eps: l∞ budget, written "k/255".
        seed: everything random is drawn from it.
        low_memory: one picture at a time, gradient checkpointing, and on the device only what is at
            work: slower, the same result up to rounding; see docs/memory.md for what fits.
    """

    paper: ClassVar[dict[str, Any]] = {}
    opens_models: ClassVar[bool] = True
    fixed_surrogates: ClassVar[bool] = False  # after prepare() none of them changes
    eps: Eps = "16/255"
    seed: Seed = 0
    low_memory: bool = False

    @property
    def budget(self) -> Budget:
        """``eps`` as a budget."""
        return Budget.parse(self.eps)

    @property
    def total(self) -> int:
        """How many rounds the attack takes."""
        raise NotImplementedError(f"{type(self).__name__} does not say how many rounds it takes")

    @property
    def chunk(self) -> int | None:
        """Pictures per backward pass; None is all."""
        return 1 if self.low_memory else None

    def bases(self, models: Models) -> dict[str, Diffusion]:
        """The pretrained models the attack works with, by name; none of them is changed."""
        return {"diffusion": models.diffusion}

    def texts(self, run: Run) -> Sequence[str]:
        """The prompts that its models read."""
        return ()

    def required_words(self, run: Run) -> str:
        """Words that no prompt may lose when it is cut to the text encoder's length; "" is none."""
        return ""

    @contextmanager
    def offloaded(self, run: Run) -> Iterator[None]:
        """With ``low_memory``, move what the attack does not need off the device for the block."""
        with ExitStack() as stack:
            for model in self.bases(run.models).values() if self.low_memory else ():
                stack.enter_context(weights_in(model.modules[1], model.autocast))
            yield

    def fresh(self, run: Run, name: str) -> Diffusion:
        """The untrained surrogate of a base model, for attacks that have surrogates."""
        raise NotImplementedError(f"{type(self).__name__} has no surrogates")

    def builds_on(self, models: Models) -> Attack | None:
        """Another attack whose result on the same subject this one needs."""
        return None

    def before_offload(self, run: Run) -> None:
        """What comes before :meth:`offloaded` and :meth:`prepare`; the models are on the device."""

    def prepare(self, run: Run) -> None:
        """What comes before the first round; skipped when a run goes on from a checkpoint."""

    def rebuild(self, run: Run) -> None:
        """Fill ``run.rebuilt``, which no checkpoint holds: objectives, optimisers."""

    def round(self, run: Run, number: int) -> Tensor:
        """One round: change ``run.x`` and return the objective's values, (steps, n)."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it protects")

    def roles(self, models: Models) -> tuple[str, ...]:
        """The models whose weights the result depends on, as roles of the profile."""
        return ("diffusion",)

    @property
    def revision(self) -> int:
        """Of the code: one more whenever the same settings come to give another result."""
        return 1

    def inputs(self, models: Models) -> dict[str, Any]:
        """All that the result depends on beside the pictures: for cache keys and checkpoints."""
        profile = models.profile
        return {
            "attack": self.config(),
            "weights": models.digest(*self.roles(models)),
            "arithmetic": f"{models.device.type} {models.autocast}",
            "sampling": profile.sampling,
            "prior": profile.prior_guidance_scale,
            "prompts": profile.prompts,
            "concepts": profile.concepts,
        } | self.code()

    def code(self) -> dict[str, Any]:
        """What of :meth:`inputs` says by which code: its revision, and the source of one's own."""
        revised = {"revision": self.revision} if self.revision > 1 else {}
        return revised | code_of([type(self)])

    def class_pictures(self, subject: Subject, models: Models) -> tuple[ClassPictures, ...]:
        """The class pictures that it draws from the models, if any; opens no model."""
        return ()

    def config(self) -> dict[str, Any]:
        """The hyperparameters as plain values, with the attack's name."""
        return {"attack": self.name} | {
            name: str(value) if isinstance(value, Budget) else value
            for name, value in compared_fields(self).items()
        }

    @with_gradients
    def __call__(
        self,
        subject: Subject,
        models: Models | None = None,
        on_step: OnStep | None = None,
        checkpoint: str | Path | None = None,
        every: int = 10,
        keep: bool = False,
    ) -> AttackResult:
        """Protect the subject's set B.

        Args:
            models: what a profile names; see :class:`shortcut_nb.models.Models`.
            checkpoint: a file to save to every ``every`` rounds and to go on from; a resumed run
                ends with the same pictures as an uninterrupted one. Deleted at the end.
            keep: leave the checkpoint, with the last round in it, for the caller to delete once
                the result is written.

        Raises:
            ValueError: no subject, no models, or a checkpoint of another run.
            FloatingPointError: a loss that is not finite; the last checkpoint is kept.
        """
        started = time.monotonic()
        models = need_models(models, self.name)
        subject, every = models.subject(subject), read(every, Count, "every")
        path = Path(checkpoint) if checkpoint else None
        seeds = picture_seeds(self.seed, len(subject.images))
        run = Run.start(subject, models, seeds, path, self._mark(subject, models) if path else "")
        bases = self.bases(models)
        self._check(run, bases)
        goes_on = run.has_checkpoint
        if not goes_on:
            self.before_offload(run)
        with self._borrowed(bases), self.offloaded(run):
            if goes_on:
                run.restore(self.fresh)
            else:
                self.prepare(run)
            self.rebuild(run)
            start = started - run.seconds
            self._take_rounds(run, start, on_step, every, keep)
        if not keep:
            run.forget()
        images = self.budget.project_grid(run.x, run.clean)
        return AttackResult(
            images=images,
            clean=run.clean,
            budget=self.budget,
            linf_pixels=linf_pixels(images, run.clean),
            loss_trace=torch.cat(run.trace),
            config=self.config(),
            seeds=run.seeds,
            seconds=time.monotonic() - start,
        )

    def _check(self, run: Run, bases: dict[str, Diffusion]) -> None:
        """Refuse pictures or prompts that one of the base models cannot take."""
        for model in bases.values():
            check_size(model, run.subject.images)
            check_lengths(model, self.texts(run), self.required_words(run))

    @contextmanager
    def _borrowed(self, bases: dict[str, Diffusion]) -> Iterator[None]:
        """Freeze the base models for the block; afterwards they are as before."""
        modules = [module for model in bases.values() for module in model.modules]
        with frozen(*modules), checkpointed(*(modules if self.low_memory else ())):
            yield

    def _take_rounds(
        self, run: Run, start: float, on_step: OnStep | None, every: int, keep: bool
    ) -> None:
        """Take the rounds that are left, with a checkpoint after every so many of them.

        Args:
            start: when the first round would have begun, on the monotonic clock.
            keep: write one after the last round as well.
        """
        for number in range(run.done, self.total):
            values = self.round(run, number)
            run.trace.append(values)
            run.done = number + 1
            run.seconds = time.monotonic() - start
            if on_step:
                loss = {"loss": values.mean().item()} if values.numel() else {}
                on_step(StepInfo(run.done, self.total, loss))
            ended = run.done == self.total
            is_due = keep if ended else run.done % every == 0
            if is_due:
                run.save(self.fixed_surrogates)

    def _mark(self, subject: Subject, models: Models) -> str:
        words = (subject.instance_prompt, subject.class_prompt)
        digest = hashlib.sha256(f"{self.inputs(models)} {words}".encode())
        for images in (subject.a, subject.b):
            update_digest(digest, images)
        return digest.hexdigest()


def picture_seeds(seed: int, n: int) -> list[int]:
    """The seed of each of n pictures in an attack of a seed; all that is random of one is drawn
    from a generator with its own."""
    return [seed * 1009 + i for i in range(n)]


def build(name: str, /, **params: Any) -> Attack:
    """Make an attack by name.

    Raises:
        ValueError: an unknown name or parameter (the nearest are listed), or a wrong value.
    """
    return make(ATTACKS[name], params)


class BoundAttack(Bound[Attack]):
    """An attack with the models it will be given."""

    def __call__(
        self,
        subject: Subject,
        on_step: OnStep | None = None,
        checkpoint: str | Path | None = None,
        every: int = 10,
        keep: bool = False,
    ) -> AttackResult:
        """Protect the subject's set B; see :meth:`Attack.__call__`."""
        return self.settings(subject, self.models, on_step, checkpoint, every, keep)

    def inputs(self) -> dict[str, Any]:
        """All that the result depends on beside the pictures."""
        return self.settings.inputs(self.models)

    def builds_on(self) -> Attack | None:
        """Another attack whose result on the same subject this one needs."""
        return self.settings.builds_on(self.models)

    def class_pictures(self, subject: Subject) -> tuple[ClassPictures, ...]:
        """The class pictures that it draws from the models, if any."""
        return self.settings.class_pictures(subject, self.models)
