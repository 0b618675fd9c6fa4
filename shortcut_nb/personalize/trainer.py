"""One trainer loop for every personalisation method."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Lt
from torch import Tensor

from ..diffusion import Diffusion
from ..diffusion.lengths import check_lengths
from ..errors import UserError
from ..latents import Latents, class_digest, latents_of
from ..models import Models, check_beside_prior, check_size, need_models
from ..models.class_pictures import ClassPictures
from ..profile import Profile
from ..progress import OnStep
from ..registry import Registry, subclass_of
from ..settings import (
    ADDED,
    Count,
    Rate,
    Seed,
    Share,
    Weight,
    Whole,
    make,
    parameters,
    read,
)
from ..settings.bound import Bound
from ..store.recipe import compared_fields, update_digest
from ..subjects import Subject
from ..tuning.lean import on_host, weights_in
from ..tuning.modes import with_gradients
from ..tuning.regime import ClassImages, Regime
from .methods import Method
from .personalized import Personalized
from .prepared import Prepared
from .prompts import PROMPTS, Prompts
from .trained import apply, difference
from .trainee import Trainee
from .training_run import TrainingRun

TRAINERS: Registry[type[Trainer]] = Registry("trainer", subclass_of(lambda: Trainer))
register = TRAINERS.register


@dataclass(frozen=True)
class Trainer(Regime):
    """Hyperparameters that every method has; defaults are Anti-DreamBooth's for SD 2.1.

    A subclass names its :meth:`method`.

    Args:
        prompts: a name of :data:`PROMPTS`: "plain", "cdl" (contrastive decoupling) or a part of it.
        lr: AdamW's learning rate.
        text_lr: None trains what the method trains of the text encoder at ``lr``; 0 freezes it.
        batch_size: instance pictures a step, and as many class pictures.
        prior_weight: of the class pictures' loss; 0 turns prior preservation off.
        weight_decay: AdamW's.
        seed: of batches, noise and timesteps.
        prior_dropout: share of class pictures trained under the empty prompt; see ``Trainee``.
        steps: 0 leaves the model as it is.
        class_images: how many class pictures are sampled from the model itself; or a folder of
            your own.
        gradient_accumulation: batches to a step, each drawn anew; the step takes the mean of their
            gradients.
        gradient_checkpointing: less memory for more time, the same result.
        ema_decay: end with an exponential moving average of the weights; None ends with the last.
        adam_8bit: optimiser states in 8 bits, by bitsandbytes.
        low_memory: gradient checkpointing, optimiser states and the idle base model in host memory,
            frozen weights in the dtype of the arithmetic, one picture at a time through the VAE:
            slower, the same result up to rounding.

    Raises:
        ValueError: a parameter out of range.
    """

    prompts: str = "plain"
    steps: Whole = 1000
    lr: Rate = 5e-7
    text_lr: Rate | None = None
    batch_size: Count = 1
    prior_weight: Weight = 1.0
    class_images: ClassImages = 200
    prior_dropout: Share = 0.0
    weight_decay: Weight = 1e-2
    gradient_accumulation: Count = field(default=1, metadata=ADDED)
    gradient_checkpointing: bool = field(default=False, metadata=ADDED)
    ema_decay: Annotated[float, Ge(0), Lt(1)] | None = field(default=None, metadata=ADDED)
    adam_8bit: bool = field(default=False, metadata=ADDED)
    low_memory: bool = field(default=False, metadata=ADDED)
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        PROMPTS.check(self.prompts)

    def admit(self, profile: Profile) -> None:
        """Check what depends on the profile, before any work.

        Raises:
            UserError: a setting that the profile's words do not allow.
        """

    def method(self, subject: Subject) -> Method:
        """What is trained."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it trains")

    def words(self, subject: Subject, profile: Profile) -> Prompts:
        """What is said in training and when sampling, with the identifier in it."""
        return PROMPTS[self.prompts](subject, self.phrase(profile), profile.prompts.negative)

    def phrase(self, profile: Profile) -> str:
        """What the prompts call the noise: the profile's noise token; "" where it has none."""
        return profile.prompts.noise_token

    def trainee(self, prepared: Prepared) -> Trainee:
        """The training of a model that the method has prepared, with prompts in its words."""
        prompts = (prepared.words.instance, prepared.words.class_)
        return Trainee(prepared.model, prompts, prepared.prior, **self.options(prepared.method))

    def options(self, method: Method) -> dict[str, Any]:
        """The hyperparameters of a ``Trainee``."""
        return {
            "lr": self.lr,
            "text_lr": self.text_lr,
            "method": method,
            "batch_size": self.batch_size,
            "prior_weight": self.prior_weight,
            "prior_dropout": self.prior_dropout,
            "weight_decay": self.weight_decay,
            "accumulation": self.gradient_accumulation,
            "checkpointing": self.gradient_checkpointing or self.low_memory,
            "host_states": self.low_memory,
            "ema_decay": self.ema_decay,
            "adam_8bit": self.adam_8bit,
            **self.regime(self.steps),
        }

    @property
    def preserves_prior(self) -> bool:
        """Whether the loss has a term of class pictures, and there are steps that take it."""
        return self.prior_weight > 0 and self.steps > 0

    @property
    def needs_class_pictures(self) -> bool:
        """Whether pictures from the model itself are trained on beside the person's."""
        return self.preserves_prior

    def class_pictures(self, subject: Subject, models: Models) -> tuple[ClassPictures, ...]:
        """The class pictures that it draws from the models, if any; opens no model."""
        return self.pictures_of(models, subject.class_prompt) if self.needs_class_pictures else ()

    def pictures_of(
        self, models: Models, prompt: str, count: int | str | None = None
    ) -> tuple[ClassPictures, ...]:
        """Class pictures of a prompt, as many as the settings say; none where they are a folder."""
        count = self.class_images if count is None else count
        if isinstance(count, str):
            return ()
        return (
            models.class_pictures_for(
                prompt, count, steps=self.prior_steps, guidance_scale=self.prior_guidance
            ),
        )

    @with_gradients
    def fit(
        self,
        subject: Subject,
        models: Models | None = None,
        images: Tensor | None = None,
        on_step: OnStep | None = None,
        checkpoint: str | Path | None = None,
        every: int = 50,
        until: int | None = None,
    ) -> Personalized:
        """Fine-tune a copy of the text-to-image model on pictures (n, 3, H, W) in [0, 1].

        Args:
            models: what a profile names; see :class:`shortcut_nb.models.Models`.
            images: None is the subject's set B.
            checkpoint: a file to save to every ``every`` steps and at the end, and to go on from.
                A resumed run ends with the same weights as an uninterrupted one.
            until: stop after this many of the ``steps``, for a look on the way; None takes all.

        Raises:
            UserError: wrong pictures, no models, or a checkpoint of another run.
            FloatingPointError: a loss that is not finite; the last checkpoint is kept.
        """
        started = time.monotonic()
        models = need_models(models, self.name)
        subject = models.subject(subject)
        images = subject.images if images is None else models.pictures(images)
        every = read(every, Count, "every")
        last = self.steps if until is None else min(read(until, Whole, "until"), self.steps)
        self._check(subject, models, images)
        prepared = self._prepared(subject, models, self._prior(subject, models))
        data = latents_of(prepared.model, images)
        path = Path(checkpoint) if checkpoint else None
        run = TrainingRun(
            trainee=self.trainee(prepared),
            data=data,
            seed=self.seed,
            last=last,
            started=started,
            on_step=on_step,
            path=path,
            mark=self._mark(models, prepared.words, images) if path else "",
            every=every,
        )
        with self._offloaded(models.diffusion, prepared):
            run.run()
        return _result(prepared, run.seconds, run.losses)

    def pack(self, subject: Subject, models: Models, fitted: Personalized) -> dict[str, Tensor]:
        """What the training changed, to be kept and given to :meth:`unpack`; on the CPU.

        Raises:
            UserError: the model was trained by another method.
        """
        prepared = self._prepared(subject, models)
        trained, before = fitted.method.state(fitted.model), prepared.method.state(prepared.model)
        if trained.keys() != before.keys():
            raise UserError(
                f"expected a model that {self.name} has trained; got one of another method"
            )
        return difference(trained, before)

    def unpack(
        self,
        subject: Subject,
        models: Models,
        weights: Mapping[str, Tensor],
        seconds: float = 0.0,
        losses: Sequence[float] = (),
    ) -> Personalized:
        """The model that :meth:`pack` packed; it samples the same pictures.

        Raises:
            ValueError: weights of another method.
        """
        prepared = self._prepared(subject, models)
        apply(weights, prepared.method.state(prepared.model))
        for module in prepared.model.modules:
            module.eval().requires_grad_(False)
        return _result(prepared, seconds, list(losses))

    def _check(self, subject: Subject, models: Models, images: Tensor) -> None:
        """Refuse pictures, settings or prompts that the model cannot take."""
        check_size(models.diffusion, images)
        if self.needs_class_pictures:
            check_beside_prior(models.diffusion, images)
        self.admit(models.profile)
        self._check_words(subject, models)

    def _prior(self, subject: Subject, models: Models) -> Latents | None:
        """Latents of the class pictures; None without prior preservation."""
        if not self.preserves_prior:
            return None
        return models.prior_latents(
            subject.class_prompt,
            self.class_images,
            steps=self.prior_steps,
            guidance_scale=self.prior_guidance,
        )

    def _prepared(self, subject: Subject, models: Models, prior: Latents | None = None) -> Prepared:
        """A copy of the model that the method has prepared, and the words in its own words."""
        method = self.method(subject)
        words = renamed(self.words(subject, models.profile), method, subject.identifier)
        base = models.diffusion
        model = base.clone(method.shared(base))
        if self.low_memory:
            model = replace(model, at_once=1)
        method.prepare(model, self.seed)
        return Prepared(subject, models, model, method, words, prior)

    @contextmanager
    def _offloaded(self, base: Diffusion, prepared: Prepared) -> Iterator[None]:
        """With ``low_memory``, move what a training does not need off the device for the block."""
        with ExitStack() as stack:
            if self.low_memory and prepared.method.shared(base):
                stack.enter_context(weights_in(prepared.model.modules[1], prepared.model.autocast))
            elif self.low_memory:
                stack.enter_context(on_host(*base.modules[1:]))
            yield

    def _check_words(self, subject: Subject, models: Models) -> None:
        """Warn of prompts that are cut off; refuse when the noise token is."""
        words = self.words(subject, models.profile)
        prompts = [getattr(words, field.name) for field in fields(words)]
        check_lengths(models.diffusion, prompts, vital=self.phrase(models.profile))

    def _mark(self, models: Models, words: Prompts, images: Tensor) -> str:
        settings = {"trainer": self.name} | compared_fields(self)
        if not self.scheduled:  # a constant rate does not know where it ends
            settings.pop("steps")
        profile = models.profile
        drawn = (profile.sampling, profile.prior_guidance_scale, models.autocast)
        about = (sorted(settings.items(), key=str), words, drawn, class_digest(self.class_images))
        digest = hashlib.sha256(f"{about} {models.digest('diffusion')}".encode())
        update_digest(digest, images)
        return digest.hexdigest()


class BoundTrainer(Bound[Trainer]):
    """A trainer with the models it will be given."""

    def fit(
        self,
        subject: Subject,
        images: Tensor | None = None,
        on_step: OnStep | None = None,
        checkpoint: str | Path | None = None,
        every: int = 50,
        until: int | None = None,
    ) -> Personalized:
        """Fine-tune on pictures; see :meth:`Trainer.fit`."""
        return self.settings.fit(subject, self.models, images, on_step, checkpoint, every, until)

    def pack(self, subject: Subject, fitted: Personalized) -> dict[str, Tensor]:
        """What the training changed; see :meth:`Trainer.pack`."""
        return self.settings.pack(subject, self.models, fitted)

    def unpack(
        self,
        subject: Subject,
        weights: Mapping[str, Tensor],
        seconds: float = 0.0,
        losses: Sequence[float] = (),
    ) -> Personalized:
        """The model that :meth:`pack` packed; see :meth:`Trainer.unpack`."""
        return self.settings.unpack(subject, self.models, weights, seconds, losses)

    def words(self, subject: Subject) -> Prompts:
        """What is said in training and when sampling."""
        return self.settings.words(subject, self.models.profile)

    def phrase(self) -> str:
        """What the prompts call the noise."""
        return self.settings.phrase(self.models.profile)

    def class_pictures(self, subject: Subject) -> tuple[ClassPictures, ...]:
        """The class pictures that it draws from the models, if any."""
        return self.settings.class_pictures(subject, self.models)

    def changed(self, **params: Any) -> BoundTrainer:
        """A copy with other parameters.

        Raises:
            UserError: a wrong value.
        """
        kept = {name: getattr(self.settings, name) for name in parameters(type(self.settings))}
        return BoundTrainer(make(type(self.settings), kept | params), self.models)


def renamed(words: Prompts, method: Method, identifier: str) -> Prompts:
    """The prompts with the word that a method trains in the identifier's place."""
    return Prompts(
        **{f.name: method.rename(getattr(words, f.name), identifier) for f in fields(words)}
    )


def _result(prepared: Prepared, seconds: float, losses: list[float]) -> Personalized:
    """What a training returns, once its model is trained."""
    sampling = prepared.models.profile.sampling
    return Personalized(
        model=prepared.model,
        prompts=prepared.words,
        steps=sampling.steps,
        guidance_scale=sampling.guidance_scale,
        seconds=seconds,
        losses=losses,
        method=prepared.method,
        identifier=prepared.subject.identifier,
        base=prepared.models.base,
    )
