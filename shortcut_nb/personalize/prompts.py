"""The words of fine-tuning and sampling: plain, and contrastive decoupling (CDL)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..errors import UserError
from ..registry import Registry
from ..subjects import Subject


@dataclass(frozen=True)
class Prompts:
    """What the trainer says of instance and class pictures, and what is said when sampling.

    Attributes:
        instance: the training prompt of the subject's pictures.
        class_: the training prompt of class pictures.
        sample: what the subject is asked for by.
        sample_class: what another of the class is asked for by.
        negative: the negative prompt when sampling; "" is none.
    """

    instance: str
    class_: str
    sample: str
    sample_class: str
    negative: str


def plain(subject: Subject, noise_token: str = "", negative: str = "") -> Prompts:
    """DreamBooth's own prompts (Ruiz et al. 2023); no negative prompt when sampling."""
    return Prompts(
        subject.instance_prompt,
        subject.class_prompt,
        subject.instance_prompt,
        subject.class_prompt,
        "",
    )


def with_noise(prompt: str, noise_token: str) -> str:
    """A prompt that says there is noise: "…, with t@t noisy pattern"; as it is without a token."""
    return f"{prompt}, with {noise_token}" if noise_token else prompt


def without_noise(prompt: str, noise_token: str) -> str:
    """A prompt that says there is none: "…, without t@t noisy pattern"."""
    return f"{prompt}, without {noise_token}" if noise_token else prompt


def noise_token_only(subject: Subject, noise_token: str, negative: str = "") -> Prompts:
    """CDL's first piece alone: the instance prompt names the noise; sampled plain."""
    words = plain(subject)
    return replace(words, instance=with_noise(words.instance, noise_token))


def noise_token_and_class(subject: Subject, noise_token: str, negative: str = "") -> Prompts:
    """CDL's two training pieces, the noise token and the negated class prompt; sampled plain."""
    words = noise_token_only(subject, noise_token)
    return replace(words, class_=without_noise(words.class_, noise_token))


def cdl(subject: Subject, noise_token: str, negative: str) -> Prompts:
    """Contrastive decoupling learning (arXiv 2406.18944, section on CDL).

    The instance prompt says that there is noise ("…, with t@t noisy pattern"), the class prompt
    that there is none. Sampling leaves the noise token out by its negation, with a negative
    prompt. Training and sampling words come from here together, so they cannot disagree. Without a
    noise token the words are DreamBooth's own, and only the negative prompt is left.
    """
    own, cls = subject.instance_prompt, subject.class_prompt
    return Prompts(
        with_noise(own, noise_token),
        without_noise(cls, noise_token),
        without_noise(own, noise_token),
        without_noise(cls, noise_token),
        negative,
    )


def cdl_released(subject: Subject, noise_token: str, negative: str) -> Prompts:
    """CDL as in the authors' code, whose instance prompt has no "with" before the noise token.

    Its words are "bhj noisy pattern" and "a photo of person": set the profile's ``noise_token`` and
    ``class_prompt`` to have them too.
    """
    words = cdl(subject, noise_token, negative)
    if not noise_token:
        return words
    return replace(words, instance=f"{subject.instance_prompt}, {noise_token}")


def _is_form(thing: object) -> str:
    return "" if callable(thing) else "must be a function that gives Prompts"


PROMPTS: Registry[Callable[[Subject, str, str], Prompts]] = Registry("prompts", _is_form)
for _name, _form in {
    "plain": plain,
    "noise-token": noise_token_only,
    "noise-token+class": noise_token_and_class,
    "cdl": cdl,
    "cdl-released": cdl_released,
}.items():
    PROMPTS[_name] = _form


FURTHER = tuple(f"{letter}@{letter}" for letter in "qzkxvjw")


def noise_tokens(noise_token: str, count: int) -> list[str]:
    """The noise token and further ones of its form: "t@t noisy pattern", "q@q noisy pattern", ….

    Raises:
        UserError: fewer than one, more than there are rare words for, or no noise token.
    """
    first, _, rest = noise_token.partition(" ")
    heads = [first, *(word for word in FURTHER if word != first)]
    if not first or not 1 <= count <= len(heads):
        raise UserError(
            f"expected a noise token, and 1 to {len(heads)} of its form; got {noise_token!r}, "
            f"{count}"
        )
    return [f"{head} {rest}".strip() for head in heads[:count]]


def joined(tokens: list[str]) -> str:
    """Several noise tokens as one phrase: "t@t q@q noisy pattern"."""
    _, _, rest = tokens[0].partition(" ")
    return " ".join([*(token.partition(" ")[0] for token in tokens), rest]).strip()
