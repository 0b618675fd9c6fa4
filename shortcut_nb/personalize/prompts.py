"""The words of fine-tuning and sampling: plain, and contrastive decoupling (CDL)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..subjects import Subject


@dataclass(frozen=True)
class Prompts:
    """What the trainer says of instance and class pictures, and what is said when sampling."""

    instance: str
    class_: str
    sample: str
    sample_class: str
    negative: str


def plain(subject: Subject, noise_token: str = "", negative: str = "") -> Prompts:
    """DreamBooth's own prompts (Ruiz et al. 2023); no negative prompt when sampling."""
    return Prompts(
        subject.instance_prompt, subject.class_prompt, subject.instance_prompt,
        subject.class_prompt, "",
    )  # fmt: skip


def cdl(subject: Subject, noise_token: str, negative: str) -> Prompts:
    """Contrastive decoupling learning (arXiv 2406.18944, section on CDL).

    The instance prompt says that there is noise ("…, with t@t noisy pattern"), the class prompt
    that there is none. Sampling leaves the noise token out by its negation, with a negative
    prompt. Training and sampling words come from here together, so they cannot disagree. Without a
    noise token the words are DreamBooth's own, and only the negative prompt is left.
    """
    if not noise_token:
        return replace(plain(subject), negative=negative)
    without = f", without {noise_token}"
    return Prompts(
        f"{subject.instance_prompt}, with {noise_token}", subject.class_prompt + without,
        subject.instance_prompt + without, subject.class_prompt + without, negative,
    )  # fmt: skip


def cdl_released(subject: Subject, noise_token: str, negative: str) -> Prompts:
    """CDL as in the authors' code, whose instance prompt has no "with" before the noise token."""
    words = cdl(subject, noise_token, negative)
    if not noise_token:
        return words
    return replace(words, instance=f"{subject.instance_prompt}, {noise_token}")


PROMPTS = {"plain": plain, "cdl": cdl, "cdl-released": cdl_released}
