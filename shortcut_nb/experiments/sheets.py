"""One fine-tuning, sampled with other prompts and at several steps. Kept in the store."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from torch import Tensor

from ..analysis.clip_shift import clip_shift
from ..personalize.trainer import BoundTrainer, Personalized
from ..progress import progress
from ..store import Payload
from ..subjects import Subject
from .stages import Stages

VERSION = "1"


@dataclass(frozen=True)
class Sheet:
    """One way to sample a fine-tuned model; None is what belongs to its training.

    Args:
        prompt: with the identifier in it; None is the subject's own.
        negative: negative prompt.
        guidance_scale: classifier-free guidance scale.
    """

    prompt: str | None = None
    negative: str | None = None
    guidance_scale: float | None = None

    def of(self, fitted: Personalized, n: int, seed: int) -> Tensor:
        """n samples (n, 3, H, W) in [0, 1]."""
        return fitted.sample(
            n,
            seed=seed,
            prompt=self.prompt,
            negative=self.negative,
            guidance_scale=self.guidance_scale,
        )


Drawn = dict[tuple[int, str], Tensor]


def fit_through(
    trainer: BoundTrainer, subject: Subject, images: Tensor, steps: Sequence[int], label: str
) -> Iterator[tuple[int, Personalized]]:
    """One training, stopped at each of some rising steps: every step with the model then."""
    with tempfile.TemporaryDirectory(prefix="shortcut_nb-") as folder:
        state = Path(folder) / "state.pt" if len(steps) > 1 else None
        for step in steps:
            fitted = trainer.fit(
                subject,
                images,
                on_step=progress(label),
                checkpoint=state,
                every=max(1, step),
                until=step,
            )
            yield step, fitted


def draw(
    stages: Stages,
    subject: Subject,
    images: Tensor,
    trainer: BoundTrainer,
    sheets: Mapping[str, Sheet],
    *,
    at: Sequence[int] = (),
    n: int = 8,
    seed: int = 0,
    label: str = "",
) -> Drawn:
    """Fine-tune once and sample every sheet, at the last step and at others on the way.

    Args:
        images: what is trained on, (n, 3, H, W) in [0, 1].
        sheets: plain names (letters, digits, "-" and "_") to ways of sampling.
        at: steps at which to sample besides the trainer's last.

    Returns:
        Samples by (step, sheet).

    Raises:
        ValueError: a step beyond the trainer's last.
    """
    steps = sorted({*at, trainer.steps})
    if steps[0] < 0 or steps[-1] > trainer.steps:
        raise ValueError(f"at must lie within 0…{trainer.steps} steps; got {list(at)}")
    named = {f"{step}-{name}": (step, name) for step in steps for name in sheets}

    def make(out: Payload) -> None:
        for step, fitted in fit_through(trainer, subject, images, steps, label or subject.name):
            seen: dict[Sheet, Tensor] = {}  # two names of one sheet are drawn once
            for name, sheet in sheets.items():
                if sheet not in seen:
                    seen[sheet] = sheet.of(fitted, n, seed)
                out.save_images(f"{step}-{name}", seen[sheet])

    lab = stages.lab
    params = {
        "trainer": trainer,
        "method": trainer.name,
        "steps": steps,
        "n": n,
        "seed": seed,
        "sheets": dict(sheets),
        "sampling": lab.profile.sampling,
        "prior": lab.profile.prior_guidance_scale,
        "words": lab.profile.prompts,
        "subject": [
            subject.instance_prompt,
            subject.class_prompt,
            subject.identifier,
            subject.class_name,
        ],
    }
    entry = stages.cached(
        "sheets", params, stages.inputs("diffusion", images=images), make, VERSION
    )
    return {key: entry.images(name) for name, key in named.items()}


def score(stages: Stages, subject: Subject, drawn: Drawn) -> pd.DataFrame:
    """One row per sample: ``step``, ``sheet``, every metric, ``noise`` (CLIP's probability)."""
    concept, noise = stages.lab.profile.concepts[:2]
    parts = []
    for (step, name), images in drawn.items():
        shift = clip_shift(stages.lab.clip, images, concept, noise)
        frame = stages.lab.score(images, subject)
        parts.append(frame.assign(step=step, sheet=name, noise=1 - shift["concept_probability"]))
    return pd.concat(parts, ignore_index=True)
