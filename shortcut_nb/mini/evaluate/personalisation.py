"""DreamBooth on four clean pictures of each of several people: the bar that matters most."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch.nn.functional import cosine_similarity

from ...lab import Lab
from ...metrics import t_mean


def personalisation(lab: Lab, seed: int = 0, people: int = 8, n: int = 8) -> dict[str, Any]:
    """Identity of V* and of the class after clean training, against the class before.

    ``ims`` is the plain cosine to set C, whether or not a face was found; ``reached`` sets it
    against what real pictures of the person (set B) reach; ``seconds`` is one training.
    """
    words, sampling = lab.profile.prompts, lab.profile.sampling.model_dump()
    prior = lab.diffusion.sample(words.prior_prompt(), n, seed=seed + 5, **sampling)
    rows = []
    for i in range(people):
        subject = lab.subject(f"mini:held-out/{i}")
        fitted = lab.personalize("dreambooth", seed=seed).fit(subject)
        mean = lab.identity.mean(subject.c)
        own = fitted.sample(n, seed=seed)
        others = fitted.sample(n, seed=seed, prompt=fitted.prompts.sample_class)
        sheets = (own, others, prior, subject.b)
        cosines = [cosine_similarity(lab.identity(x), mean[None]).mean().item() for x in sheets]
        rows.append([*cosines, fitted.seconds])
    own, class_, before, real, seconds = np.array(rows).T
    interval = t_mean(own)
    return {
        "ims": float(own.mean()),
        "ims_low": interval.low,
        "ims_high": interval.high,
        "ims_class": float(class_.mean()),
        "ims_prior": float(before.mean()),
        "ims_minus_class": float((own - class_).mean()),
        "class_drift": float((class_ - before).mean()),
        "reached": float((own / real).mean()),
        "seconds": float(seconds.mean()),
        "people": people,
        "samples": n,
        "per_subject": own.round(3).tolist(),
    }
