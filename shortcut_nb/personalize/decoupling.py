"""DreamBooth with more to tell noise and person apart than CDL's words: five ideas of our own.

Each is a switch. With all of them off this is DreamBooth with CDL's prompts, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor
from torchvision.transforms.v2.functional import gaussian_blur

from ..budget import Budget
from ..errors import UserError
from ..latents import Latents, count_of, latents_of
from ..models import Models
from ..models.class_pictures import ClassPictures
from ..profile import Profile
from ..settings import ADDED, Count, Levels, Weight
from ..subjects import Subject
from .dreambooth import DreamBooth
from .prepared import Prepared
from .prompts import PROMPTS, joined, noise_tokens, with_noise
from .rows import LossTerm, Rows
from .trainee import Trainee
from .trainer import register

BLURS = (0.0, 1.0, 2.0)


@dataclass(frozen=True, eq=False)
class Pairs:
    """The same class pictures clean and degraded, and the prompt of each."""

    clean: Latents
    noisy: Latents
    prompts: tuple[str, str]


@dataclass(frozen=True, eq=False)
class NoisePrior:
    """What the model itself draws when noise is named, and the prompt that names it."""

    latents: Latents
    prompt: str


@dataclass(eq=False)
class Decoupled(Trainee):
    """A training with up to three more terms in its loss; see :class:`DecoupledDreamBooth`.

    Args:
        per_picture: the prompt of picture i is number i modulo their count; empty says ``prompts``.
        pairs: negative pairs, or None.
        apart: the instance prompt with and without the noise token.
        noise_prior: prior preservation for the noise token, or None.
    """

    per_picture: tuple[str, ...] = ()
    pairs: Pairs | None = None
    pair_weight: float = 0.0
    apart: tuple[str, str] = ("", "")
    contrast: float = 0.0
    margin: float = 0.1
    noise_prior: NoisePrior | None = None
    noise_prior_weight: float = 0.0
    extra: int = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.extra = max(1, self.batch_size // 2)

    def prompts_of(self, rows: Tensor) -> tuple[list[str], list[int]]:
        if len(set(self.per_picture)) < 2:
            return super().prompts_of(rows)
        return [self.per_picture[i % len(self.per_picture)] for i in rows.tolist()], [1] * len(rows)

    def terms(self, latents: Latents, generator: Generator) -> list[LossTerm]:
        terms = super().terms(latents, generator)
        if self.pairs is not None:
            rows = self._pair_rows(self.pairs, generator)
            terms.append(LossTerm(rows, lambda each: self.pair_weight * each.mean()))
        if self.contrast > 0:
            terms.append(LossTerm(self._contrast_rows(latents, generator), self._contrast))
        if self.noise_prior is not None:
            rows = self._noise_rows(self.noise_prior, generator)
            terms.append(LossTerm(rows, lambda each: self.noise_prior_weight * each.mean()))
        return terms

    def _pair_rows(self, pairs: Pairs, generator: Generator) -> Rows:
        """Class pictures clean, then the same degraded."""
        rows = torch.randperm(len(pairs.clean), generator=generator)[: self.extra]
        z = torch.cat([side.draw(rows, generator) for side in (pairs.clean, pairs.noisy)])
        return self._halves(z, pairs.prompts, generator)

    def _contrast_rows(self, latents: Latents, generator: Generator) -> Rows:
        """Instance pictures under the prompt with the noise token, then under that without."""
        rows = torch.randint(len(latents), (self.extra,), generator=generator)
        z = latents.draw(rows, generator).repeat(2, 1, 1, 1)
        return self._halves(z, self.apart, generator)

    def _contrast(self, each: Tensor) -> Tensor:
        """How far naming the noise falls short of explaining the pictures better, weighted."""
        named, unnamed = each.chunk(2)
        ratio = unnamed / named.detach().clamp(min=1e-8)
        return self.contrast * torch.relu(1 + self.margin - ratio).mean()

    def _noise_rows(self, prior: NoisePrior, generator: Generator) -> Rows:
        """What the model itself draws when noise is named."""
        rows = torch.randperm(len(prior.latents), generator=generator)[: self.extra]
        z = prior.latents.draw(rows, generator)
        noise, t = torch.randn(z.shape, generator=generator), self.timesteps(len(z), generator)
        return Rows(z, noise, t, [prior.prompt], [len(z)])

    def _halves(self, z: Tensor, prompts: tuple[str, str], generator: Generator) -> Rows:
        """Two halves, each under its prompt, at the same timesteps and noise."""
        half = len(z) // 2
        noise = torch.randn(z[:half].shape, generator=generator).repeat(2, 1, 1, 1)
        t = self.timesteps(half, generator).repeat(2)
        return Rows(z, noise, t, list(prompts), [half, half])


@register("cdl-dreambooth")
@dataclass(frozen=True)
class DecoupledDreamBooth(DreamBooth):
    """DreamBooth under CDL's prompts with more to hold noise and person apart than its words.

    ``text_lr`` and all else are DreamBooth's. No switch ever sees an attack's output.

    Args:
        tokens: how many noise tokens; the prompts name them all ("with t@t q@q noisy pattern").
        per_picture: the prompt of picture i names only token i (modulo ``tokens``).
        pair_weight: of the denoising loss of class pictures with random noise, whose prompt says
            "with V_N*", beside the same pictures clean, under the class prompt of the training.
        pair_eps: largest change that the random noise makes.
        contrast: weight of max(0, 1 + margin − L(without V_N*) / L(with V_N*)) on the pictures
            trained on: naming the noise must explain them better than leaving it out does.
            L(with) is a constant here, so that the token is not made worse.
        margin: by which share.
        noise_prior_weight: of the denoising loss of what the model itself draws of the class "with
            V_N*", under that prompt: prior preservation for the noise token, which fast training of
            the text encoder would wear down.
    """

    prompts: str = "cdl"
    tokens: Count = 1
    per_picture: bool = False
    pair_weight: Weight = 0.0
    pair_eps: Levels = "16/255"
    contrast: Weight = 0.0
    margin: Weight = 0.1
    noise_prior_weight: Weight = field(default=0.0, metadata=ADDED)

    def admit(self, profile: Profile) -> None:
        super().admit(profile)
        if self.tokens > 1:
            noise_tokens(profile.prompts.noise_token, self.tokens)

    def phrase(self, profile: Profile) -> str:
        token = super().phrase(profile)
        return joined(noise_tokens(token, self.tokens)) if token else ""

    def trainee(self, prepared: Prepared) -> Trainee:
        words = prepared.words
        switched = self.pair_weight or self.contrast or self.noise_prior_weight
        if words.instance == words.sample and switched:
            raise UserError(
                f"the prompts {self.prompts!r} name no noise, so there is nothing to set apart: "
                'choose "cdl", or turn pair_weight, contrast and noise_prior_weight off'
            )
        return Decoupled(
            prepared.model,
            (words.instance, words.class_),
            prepared.prior,
            **self.options(prepared.method),
            per_picture=self._per_picture(prepared),
            pairs=self._pairs(prepared) if self.pair_weight else None,
            pair_weight=self.pair_weight,
            apart=(words.instance, words.sample),
            contrast=self.contrast,
            margin=self.margin,
            noise_prior=self._noise_prior(prepared) if self.noise_prior_weight else None,
            noise_prior_weight=self.noise_prior_weight,
        )

    def class_pictures(self, subject: Subject, models: Models) -> tuple[ClassPictures, ...]:
        if self.steps == 0:
            return ()
        usual = self.prior_weight > 0 or self.pair_weight > 0
        every = self.pictures_of(models, subject.class_prompt) if usual else ()
        if not self.noise_prior_weight:
            return every
        named = self._named(subject.class_prompt, models)
        return *every, *self.pictures_of(models, named, count_of(self.class_images))

    @property
    def needs_class_pictures(self) -> bool:
        further = self.pair_weight or self.noise_prior_weight
        return super().needs_class_pictures or (further > 0 and self.steps > 0)

    def _per_picture(self, prepared: Prepared) -> tuple[str, ...]:
        """The prompt that names each noise token, in the method's own words."""
        words, subject = prepared.models.profile.prompts, prepared.subject
        if not self.per_picture or not words.noise_token:
            return ()
        each = [
            PROMPTS[self.prompts](subject, token, words.negative).instance
            for token in noise_tokens(words.noise_token, self.tokens)
        ]
        return tuple(prepared.method.rename(prompt, subject.identifier) for prompt in each)

    def _drawn(self, models: Models, prompt: str, images: int | str) -> Latents:
        """Pictures from the model itself, drawn as those of prior preservation are."""
        return models.prior_latents(
            prompt, images, steps=self.prior_steps, guidance_scale=self.prior_guidance
        )

    def _pairs(self, prepared: Prepared) -> Pairs:
        """Class pictures from the model itself, and the same with random noise on them."""
        model, prompt = prepared.model, prepared.subject.class_prompt
        drawn = self._drawn(prepared.models, prompt, self.class_images)
        clean = model.decode(drawn.mean)
        noisy = degraded(clean, Budget.parse(self.pair_eps), self.seed)
        prompts = (prepared.words.class_, self._named(prompt, prepared.models))
        return Pairs(latents_of(model, clean), latents_of(model, noisy), prompts)

    def _noise_prior(self, prepared: Prepared) -> NoisePrior:
        """What the model itself draws of the class when noise is named."""
        named = self._named(prepared.subject.class_prompt, prepared.models)
        return NoisePrior(self._drawn(prepared.models, named, count_of(self.class_images)), named)

    def _named(self, prompt: str, models: Models) -> str:
        """A prompt that names the noise."""
        return with_noise(prompt, self.phrase(models.profile))


def degraded(images: Tensor, budget: Budget, seed: int) -> Tensor:
    """Pictures (n, 3, H, W) in [0, 1] with uniform noise of a budget, in turn sharp and blurred.

    Blurred noise is stretched to the whole budget again. No model and no gradient takes part.
    """
    generator, parts = Generator().manual_seed(seed), []
    for i in range(len(images)):
        noise = torch.rand(images[i].shape, generator=generator) * 2 - 1
        if sigma := BLURS[i % len(BLURS)]:
            size = 2 * round(3 * sigma) + 1
            noise = gaussian_blur(noise, [size] * 2, [sigma] * 2)
            noise = noise / noise.abs().max()
        parts.append(noise)
    return budget.project(images + budget.unit * torch.stack(parts).to(images.device), images)
