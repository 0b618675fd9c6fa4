"""What attacks that fine-tune surrogates have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from ..diffusion import Diffusion
from ..latents import Latents, class_digest
from ..models import Models, check_beside_prior
from ..models.class_pictures import ClassPictures
from ..personalize.methods import FullFineTuning, Method
from ..personalize.trainee import Trainee
from ..settings import ADDED, Count, Rate, Share, StepSize, Weight, parse_alpha
from ..subjects import Subject
from ..tuning.lean import on_device, on_host
from ..tuning.regime import ClassImages, Regime
from .base import Attack
from .objectives import DenoisingLoss, Objective, TargetedDenoisingLoss
from .pgd import pgd
from .run import Run
from .target import target_latents

SMALL = 2**28  # bytes of an optimiser's moments that may lie idle while PGD runs


@dataclass(frozen=True)
class SurrogateAttack(Attack, Regime):
    """PGD against models that are themselves fine-tuned, as the adversary will fine-tune.

    Args:
        alpha: PGD step size "k/255".
        surrogate_lr: AdamW learning rate of a surrogate; the papers' 5e-7 is for SD 2.1.
        batch_size: instance pictures (and as many class pictures) in a surrogate step.
        prior_weight: of the class pictures' loss (prior preservation, as in DreamBooth); 0 is none.
        class_images: how many class pictures are sampled from the model itself; or a folder.
        prior_dropout: share of class pictures trained under the empty prompt.
        surrogate_text_lr: learning rate of the surrogates' text encoders; None is
            ``surrogate_lr``, 0 freezes them, as a trainer may that holds the prompts' words.
        snr_gamma: min-SNR weights (Hang et al. 2023) with this γ, for the surrogates' training and
            for the loss that is climbed.
        repeats: draws whose gradients are averaged in each PGD step.
        targeted: draw the denoised step towards a target picture as well (T-FSMG, T-ASPL).
        variant: "corrected", or "released". Released surrogates are kept in bfloat16 without
            float32 masters (most updates of 5e-7 round away), see only the first pictures of each
            set, and have no gradient clipped since the parameter iterator is spent. bfloat16
            weights are imitated by rounding. The released targeted loss also draws t = 0, where
            its target is noised to the last step.
    """

    alpha: StepSize = "1/255"
    surrogate_lr: Rate = 5e-7
    batch_size: Count = 1
    prior_weight: Weight = 1.0
    class_images: ClassImages = 200
    prior_dropout: Share = 0.0
    repeats: Count = 1
    targeted: bool = False
    variant: Literal["corrected", "released"] = "corrected"
    surrogate_text_lr: Rate | None = field(default=None, metadata=ADDED)

    @property
    def released(self) -> bool:
        return self.variant == "released"

    @property
    def trainee_options(self) -> dict[str, Any]:
        """Further options of a surrogate's ``Trainee``: where the released code differs."""
        if not self.released:
            return {}
        return {"max_grad_norm": None, "shuffle": False, "round_weights": torch.bfloat16}

    def words(self, run: Run) -> tuple[str, str]:
        """What surrogates are trained on and attacked with: instance and class prompt."""
        return run.subject.instance_prompt, run.subject.class_prompt

    def texts(self, run: Run) -> Sequence[str]:
        return self.words(run)

    def defender_view(self, run: Run, images: Tensor) -> Tensor:
        """The pictures as the defender would train on them; a subclass may purify them."""
        return images

    def inputs(self, models: Models) -> dict[str, Any]:
        own = class_digest(self.class_images)
        return super().inputs(models) | ({"class_images": own} if own else {})

    def _check(self, run: Run, bases: dict[str, Diffusion]) -> None:
        super()._check(run, bases)
        for model in bases.values() if self.prior_weight > 0 else ():
            check_beside_prior(model, run.subject.images)

    @property
    def training_steps(self) -> int:
        """Steps of the longest training of a surrogate, over which its learning rate moves."""
        raise NotImplementedError(f"{type(self).__name__} does not say how long surrogates train")

    @property
    def method(self) -> Method:
        """What is trained of a surrogate."""
        return FullFineTuning()

    def fresh(self, run: Run, name: str) -> Diffusion:
        base = self.bases(run.models)[name]
        model = base.clone(self.method.shared(base))
        self.method.prepare(model, self.seed)
        for module in model.modules[1:]:
            module.to(base.pipe.vae.device)  # a base model may be in host memory
        return model

    def needs_base(self, run: Run) -> bool:
        """Whether the base models are at work while the surrogates are."""
        return False

    @contextmanager
    def offloaded(self, run: Run) -> Iterator[None]:
        bases = self.bases(run.models)
        if any(self.method.shared(base) for base in bases.values()):
            with super().offloaded(run):
                yield
        elif not self.low_memory or self.needs_base(run):
            yield
        else:
            for name in bases:
                self.prior(run, name)  # drawn while the base models are on the device
            with on_host(*(module for base in bases.values() for module in base.modules[1:])):
                yield

    @contextmanager
    def at_work(self, model: Diffusion) -> Iterator[None]:
        """Bring a model that ``low_memory`` keeps in host memory to its device for the block."""
        if not self.low_memory or model.device == model.pipe.vae.device:
            yield
            return
        with on_device(model.pipe.vae.device, *model.modules[1:]):
            yield

    def sources(self, models: Models) -> tuple[str, ...]:
        """The names of the base models, as in :meth:`bases`; opens no model."""
        return ("diffusion",)

    def class_pictures(self, subject: Subject, models: Models) -> tuple[ClassPictures, ...]:
        count = self.class_images
        if isinstance(count, str) or self.prior_weight == 0:
            return ()
        return tuple(
            models.class_pictures_for(
                subject.class_prompt, count, role, self.prior_steps, self.prior_guidance
            )
            for role in self.sources(models)
        )

    def prior(self, run: Run, base: str) -> Latents | None:
        """Latents of class pictures, drawn once from a base model; None without them."""
        if self.prior_weight == 0:
            return None
        return run.models.prior_latents(
            run.subject.class_prompt,
            self.class_images,
            self.bases(run.models)[base],
            steps=self.prior_steps,
            guidance_scale=self.prior_guidance,
        )

    def trainee(self, run: Run, base: str, model: Diffusion, behind: int = 0) -> Trainee:
        """A fresh optimiser over a surrogate of a base model, which it will change.

        Args:
            behind: steps that the surrogate has behind it.
        """
        return Trainee(
            model,
            self.words(run),
            self.prior(run, base),
            method=self.method,
            host_states=self.low_memory,
            lr=self.surrogate_lr,
            text_lr=self.surrogate_text_lr,
            batch_size=self.batch_size,
            prior_weight=self.prior_weight,
            prior_dropout=self.prior_dropout,
            **self.regime(self.training_steps, behind),
            **self.trainee_options,
        )

    def keeps_memory(self, run: Run) -> bool:
        """Whether one round's optimiser and copies stay in memory for the next.

        With several surrogates, or ``low_memory``, they make way.
        """
        return len(run.surrogates) == 1 and not self.low_memory

    def restarted(self, run: Run, name: str, behind: int) -> Trainee:
        """A trainee for a run's surrogate: the last round's, started over, where it was kept."""
        trainee: Trainee | None = run.rebuilt.get("trainee")
        if trainee is not None:
            trainee.start_over(behind)
            return trainee
        trainee = self.trainee(run, name, run.surrogates[name], behind)
        if self.keeps_memory(run):
            run.rebuilt["trainee"] = trainee
        return trainee

    @property
    def revision(self) -> int:
        weighted = self.targeted and self.snr_gamma is not None
        return 2 if weighted else super().revision

    def objective(self, model: Diffusion, run: Run) -> Objective:
        """The denoising loss of a surrogate under the instance prompt."""
        context = model.embed([self.words(run)[0]])
        if not self.targeted:
            return DenoisingLoss(model, context, snr_gamma=self.snr_gamma)
        target = target_latents(model, run.clean)
        return TargetedDenoisingLoss(
            model, context, target=target, from_zero=self.released, snr_gamma=self.snr_gamma
        )

    def climb(self, run: Run, objective: Objective, steps: int) -> tuple[Tensor, Tensor]:
        """PGD on the run's pictures: the pictures it ends with, and the losses."""
        return pgd(
            objective,
            run.x,
            run.clean,
            self.budget,
            alpha=parse_alpha(self.alpha),
            steps=steps,
            source=run.generators,
            repeats=self.repeats,
            chunk=self.chunk,
        )

    def generator(self, number: int) -> torch.Generator:
        """The random numbers of a round's surrogate training."""
        return torch.Generator().manual_seed(self.seed * 7919 + number)


def make_room(trainee: Trainee) -> None:
    """Let go of large moments before PGD; small ones stay, as to take memory anew costs time."""
    if 2 * sum(p.nbytes for p in trainee.parameters) > SMALL:
        trainee.optimiser.state.clear()


def averaged(turns: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """What base models that took turns from the same pictures agree on.

    Args:
        turns: of each base model, its pictures (n, 3, H, W) and its losses (steps, n).

    Returns:
        The mean of the pictures, and of the losses.
    """
    pictures, losses = zip(*turns, strict=True)
    return torch.stack(pictures).mean(0), torch.stack(losses).mean(0)
