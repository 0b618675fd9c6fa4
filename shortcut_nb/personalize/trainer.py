"""One trainer loop for every personalisation method, and what it returns."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Generator, Tensor

from ..diffusion import Diffusion
from ..images import check_images
from ..progress import OnStep, StepInfo
from ..subjects import Subject
from .methods import Method
from .prompts import PROMPTS, Prompts
from .trained import apply, difference
from .training import Latents, Trainee, latents_of

if TYPE_CHECKING:
    from ..lab import Lab

ADDED = {"omit": True}  # left out of the names of stored work at its default
TRAINERS: dict[str, type[Trainer]] = {}


@dataclass(frozen=True, eq=False)
class Personalized:
    """A fine-tuned model with the words that belong to it."""

    model: Diffusion
    prompts: Prompts
    steps: int
    guidance_scale: float
    seconds: float
    losses: list[float]
    method: Method
    identifier: str

    def sample(self, n: int = 16, seed: int = 0, prompt: str | None = None, **how: Any) -> Tensor:
        """n pictures (n, 3, H, W) in [0, 1]; ``prompt`` None is the subject's own.

        Write prompts with the identifier: methods that train a new word put it there.

        ``negative``, ``steps`` and ``guidance_scale`` may be given; their defaults belong to the
        training prompts (CDL samples with its negation and negative prompt) and the profile.
        """
        how = {"steps": self.steps, "guidance_scale": self.guidance_scale,
               "negative": self.prompts.negative} | how  # fmt: skip
        if prompt is None:
            said = self.prompts.sample
        else:
            said = self.method.rename(prompt, self.identifier)
        return self.model.sample(said, n, seed=seed, **how)

    def save(self, folder: str | Path) -> Path:
        """Write diffusers' own format for the method, under a temporary name first."""
        folder = Path(folder)
        if folder.exists():
            raise FileExistsError(f"{folder} exists already: name a new folder")
        fresh = folder.with_name(f".{folder.name}.{os.getpid()}")
        self.method.save(self.model, fresh)
        os.replace(fresh, folder)
        return folder


@dataclass(frozen=True)
class Trainer:
    """Hyperparameters that every method has; defaults are Anti-DreamBooth's for SD 2.1.

    A subclass names its :meth:`method`.

    Args:
        prompts: a name of :data:`PROMPTS`: "plain", "cdl" (contrastive decoupling) or a part of it.
        text_lr: None trains what the method trains of the text encoder at ``lr``; 0 freezes it.
        batch_size: instance pictures a step, and as many class pictures.
        prior_dropout: share of class pictures trained under the empty prompt; see ``Trainee``.
        class_images: how many class pictures are sampled from the model itself.
        gradient_accumulation: batches to a step, each drawn anew; the step takes the mean of their
            gradients.
        gradient_checkpointing: less memory for more time, the same result.
        ema_decay: end with an exponential moving average of the weights; None ends with the last.
        adam_8bit: optimiser states in 8 bits, by bitsandbytes.

    Raises:
        ValueError: a parameter out of range.
    """

    name: ClassVar[str] = ""
    prompts: str = "plain"
    steps: int = 1000
    lr: float = 5e-7
    text_lr: float | None = None
    batch_size: int = 1
    prior_weight: float = 1.0
    class_images: int = 200
    prior_dropout: float = 0.0
    weight_decay: float = 1e-2
    gradient_accumulation: int = field(default=1, metadata=ADDED)
    gradient_checkpointing: bool = field(default=False, metadata=ADDED)
    ema_decay: float | None = field(default=None, metadata=ADDED)
    adam_8bit: bool = field(default=False, metadata=ADDED)
    seed: int = 0
    lab: Lab | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.prompts not in PROMPTS:
            raise ValueError(f"prompts must be one of {sorted(PROMPTS)}; got {self.prompts!r}")
        if self.steps < 0 or self.batch_size < 1 or self.lr < 0:
            raise ValueError("steps and lr must not be negative, batch_size at least 1")
        if self.gradient_accumulation < 1:
            raise ValueError(
                f"gradient_accumulation must be at least 1; got {self.gradient_accumulation}"
            )
        if self.ema_decay is not None and not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay must lie in [0, 1), or be None; got {self.ema_decay}")

    def method(self, subject: Subject) -> Method:
        """What is trained."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it trains")

    def words(self, subject: Subject) -> Prompts:
        """What is said in training and when sampling, with the identifier in it."""
        return PROMPTS[self.prompts](subject, self.phrase(), self.lab.profile.prompts.negative)

    def phrase(self) -> str:
        """What the prompts call the noise: the profile's noise token; "" where it has none."""
        return self.lab.profile.prompts.noise_token

    def trainee(
        self, model: Diffusion, method: Method, words: Prompts, prior: Latents | None,
        subject: Subject,
    ) -> Trainee:  # fmt: skip
        """The training itself, over a model that the method has prepared and in its words."""
        return Trainee(model, (words.instance, words.class_), prior, **self.options(method))

    def options(self, method: Method) -> dict[str, Any]:
        """The hyperparameters of a ``Trainee``."""
        return {
            "lr": self.lr, "text_lr": self.text_lr, "method": method,
            "batch_size": self.batch_size, "prior_weight": self.prior_weight,
            "prior_dropout": self.prior_dropout, "weight_decay": self.weight_decay,
            "accumulation": self.gradient_accumulation,
            "checkpointing": self.gradient_checkpointing,
            "ema_decay": self.ema_decay, "adam_8bit": self.adam_8bit,
        }  # fmt: skip

    def fit(
        self, subject: Subject, images: Tensor | None = None, on_step: OnStep | None = None,
        checkpoint: str | Path | None = None, every: int = 50,
    ) -> Personalized:  # fmt: skip
        """Fine-tune a copy of the lab's model on pictures (n, 3, H, W) in [0, 1].

        Args:
            images: None is the subject's set B.
            checkpoint: a file to save to every ``every`` steps and to go on from. A resumed run
                ends with the same weights as an uninterrupted one.

        Raises:
            ValueError: wrong pictures, or a checkpoint of another run.
            FloatingPointError: a loss that is not finite; the last checkpoint is kept.
        """
        started, lab = time.monotonic(), self.lab
        images = subject.images if images is None else images
        check_images(images)
        prior = lab.prior_latents(subject.class_prompt, self.class_images) if (
            self.prior_weight > 0) else None  # fmt: skip
        model, method, words = self._prepared(subject)
        data = latents_of(model, images)
        trainee = self.trainee(model, method, words, prior, subject)
        losses: list[float] = []
        path = Path(checkpoint) if checkpoint else None
        mark = self._mark(words, images) if path else ""
        if path and path.exists():
            losses = _load(path, trainee, mark)
            if trainee.taken > self.steps:
                raise ValueError(
                    f"{path} is at step {trainee.taken}, more than the {self.steps} asked for: "
                    "name another file"
                )
        for step in range(trainee.taken, self.steps):
            losses.append(trainee.step(data, Generator().manual_seed(self.seed * 1_000_003 + step)))
            if on_step:
                on_step(StepInfo(step + 1, self.steps, {"loss": losses[-1]}))
            if path and (step + 1) % every == 0:
                _save(path, trainee, mark, losses)
        trainee.release()
        seconds = time.monotonic() - started
        return self._personalized(subject, model, method, words, seconds, losses)

    def pack(self, subject: Subject, fitted: Personalized) -> dict[str, Tensor]:
        """What the training changed, to be kept and given to :meth:`unpack`; on the CPU."""
        model, method, _ = self._prepared(subject)
        return difference(fitted.method.state(fitted.model), method.state(model))

    def unpack(
        self, subject: Subject, weights: Mapping[str, Tensor], seconds: float = 0.0,
        losses: Sequence[float] = (),
    ) -> Personalized:  # fmt: skip
        """The model that :meth:`pack` packed; it samples the same pictures.

        Raises:
            ValueError: weights of another method.
        """
        model, method, words = self._prepared(subject)
        apply(weights, method.state(model))
        for module in model.modules:
            module.eval().requires_grad_(False)
        return self._personalized(subject, model, method, words, seconds, list(losses))

    def _prepared(self, subject: Subject) -> tuple[Diffusion, Method, Prompts]:
        """A copy of the model that the method has prepared, and the words in its own words."""
        words = self.words(subject)
        model, method = self.lab.diffusion.clone(), self.method(subject)
        method.prepare(model, self.seed)
        named = {
            each.name: method.rename(getattr(words, each.name), subject.identifier)
            for each in fields(words)
        }
        return model, method, Prompts(**named)

    def _personalized(
        self, subject: Subject, model: Diffusion, method: Method, words: Prompts, seconds: float,
        losses: list[float],
    ) -> Personalized:  # fmt: skip
        how = self.lab.profile.sampling
        return Personalized(
            model, words, how.steps, how.guidance_scale, seconds, losses, method, subject.identifier
        )

    def _mark(self, words: Prompts, images: Tensor) -> str:
        held = {f.name: getattr(self, f.name) for f in fields(self)
                if f.compare and not omitted(f, self)}  # fmt: skip
        held = {"trainer": self.name} | held
        held.pop("steps")
        lab = self.lab
        drawn = (lab.profile.sampling, lab.profile.prior_guidance_scale, lab.autocast)
        about = (sorted(held.items(), key=str), words, drawn)
        digest = hashlib.sha256(f"{about} {lab.digest('diffusion')}".encode())
        digest.update(images.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def omitted(field: Field, owner: Any) -> bool:
    """A field marked :data:`ADDED`, at its default: work stored before it was added stays valid."""
    return bool(field.metadata.get("omit")) and getattr(owner, field.name) == field.default


def _save(path: Path, trainee: Trainee, mark: str, losses: list[float]) -> None:
    state = {
        "mark": mark, "step": trainee.taken, "losses": losses,
        "weights": trainee.method.state(trainee.model),
        "optimiser": trainee.optimiser.state_dict(),
        "ema": trainee.ema.state_dict() if trainee.ema else None,
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    torch.save(state, fresh)
    os.replace(fresh, path)


def _load(path: Path, trainee: Trainee, mark: str) -> list[float]:
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state["mark"] != mark:
        raise ValueError(
            f"{path} is a checkpoint of other pictures, prompts or hyperparameters: delete it or "
            "name another file"
        )
    with torch.no_grad():
        for name, held in trainee.method.state(trainee.model).items():
            held.copy_(state["weights"][name])
    trainee.optimiser.load_state_dict(state["optimiser"])
    if trainee.ema is not None:
        trainee.ema.load_state_dict(state["ema"])
        trainee.ema.to(device=trainee.parameters[0].device)
    trainee.taken = state["step"]
    return state["losses"]


def trainer(name: str) -> Callable[[type], type]:
    """Give a trainer class its name in :data:`TRAINERS`."""

    def add(cls: type) -> type:
        if name in TRAINERS:
            raise ValueError(f"trainer {name!r} exists already: {TRAINERS[name].__name__}")
        cls.name = name
        TRAINERS[name] = cls
        return cls

    return add
