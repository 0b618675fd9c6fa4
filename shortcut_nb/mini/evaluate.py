"""How good the miniature's models are, on identities none of them has seen.

Each function measures one model and returns plain numbers; :func:`evaluate` runs them all and
sets them against the bars of ``BARS``.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score, roc_curve
from torch import Tensor
from torch.nn.functional import cosine_similarity

from ..lab import Lab
from ..metrics import bootstrap_mean, psnr
from .avatars import GLASSES, HAIR_COLOR, SKIN, draw, identity, nuisance
from .captions import describe
from .degradations import PATTERNS, noise, pattern

# (key, comparison, bar): what the models are meant to reach.
BARS = (
    ("vae.psnr_clean", ">=", 27.0), ("vae.psnr_noisy", ">=", 20.0),
    ("clip.person_vs_pattern", ">=", 0.99), ("clip.clean_vs_noisy", ">=", 0.97),
    ("clip.recall_at_1_over_chance", ">=", 10.0),
    ("identity.auc_clean", ">=", 0.99), ("identity.auc_noisy", ">=", 0.95),
    ("detector.found", ">=", 0.99), ("detector.false_alarms", "<=", 0.02),
    ("personalisation.ims", ">=", 0.6), ("personalisation.ims_minus_class", ">=", 0.4),
    ("personalisation.class_drift", "<=", 0.15), ("personalisation.seconds", "<=", 90.0),
    ("text_to_image.found", ">=", 0.98), ("text_to_image.obeyed", ">=", 0.8),
    ("text_to_image.noisy_prompt_is_noisy", ">=", 0.9),
)  # fmt: skip


def _tensor(pictures: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255


def held_out(people: int, each: int, seed: int, first: int = 0) -> tuple[Tensor, np.ndarray]:
    """``each`` fresh pictures of held-out identities, and their identity numbers."""
    who = np.repeat(np.arange(first, first + people), each)
    seeds = np.random.default_rng(seed).integers(1 << 40, size=len(who))
    drawn = [draw(identity("held-out", int(i)), nuisance(int(s))) for i, s in zip(who, seeds)]
    return _tensor(drawn), who


def noisy(images: Tensor, seed: int, amount: float = 0.1) -> Tensor:
    """The pictures under noise of a given std (0.1 is about 25 grey levels)."""
    rng = np.random.default_rng(seed)
    u8 = (images.permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)
    return _tensor([noise(one, rng, amount) for one in u8])


def patterns(n: int, seed: int, kinds: tuple[str, ...] = PATTERNS) -> Tensor:
    """n abstract patterns."""
    rng = np.random.default_rng(seed)
    return _tensor([pattern(str(rng.choice(kinds)), rng) for _ in range(n)])


@torch.inference_mode()
def vae(lab: Lab, seed: int = 0, people: int = 100) -> dict[str, float]:
    """Reconstruction PSNR (dB) of clean and of noisy avatars, posterior mean."""
    clean, _ = held_out(people, 1, seed)
    out: dict[str, float] = {}
    for name, images in (("clean", clean), ("noisy", noisy(clean, seed))):
        drawn = torch.cat([lab.diffusion.decode(lab.diffusion.posterior(part)[0])
                           for part in images.split(16)])  # fmt: skip
        out[f"psnr_{name}"] = float(np.mean(psnr(drawn, images)))
    return out


@torch.inference_mode()
def clip(lab: Lab, seed: int = 0, people: int = 200) -> dict[str, float]:
    """Zero-shot accuracies and caption-to-picture retrieval among ``people`` pictures."""
    rng = np.random.default_rng(seed)
    seeds = rng.integers(1 << 40, size=people)
    people_drawn = [(identity("held-out", i), nuisance(int(s))) for i, s in enumerate(seeds)]
    clean = _tensor([draw(*one) for one in people_drawn])
    dirty, abstract = noisy(clean, seed, 0.15), patterns(people, seed, ("noise",))
    concept = ["a photo of a person", "a noisy pattern"]
    dirt = ["a photo of a person", "a noisy photo of a person"]
    right = [
        lab.clip.probabilities(clean, concept).argmax(1) == 0,
        lab.clip.probabilities(abstract, concept).argmax(1) == 1,
        lab.clip.probabilities(clean, dirt).argmax(1) == 0,
        lab.clip.probabilities(dirty, dirt).argmax(1) == 1,
    ]
    said = [describe(who, how, np.random.default_rng([seed, i]))
            for i, (who, how) in enumerate(people_drawn)]  # fmt: skip
    best = lab.clip.similarity(clean, said).argmax(0)
    return {
        "person_vs_pattern": torch.cat(right[:2]).float().mean().item(),
        "clean_vs_noisy": torch.cat(right[2:]).float().mean().item(),
        "recall_at_1_over_chance": (best == torch.arange(people)).float().mean().item() * people,
    }


def identity_encoder(lab: Lab, seed: int = 0, people: int = 120) -> dict[str, float]:
    """Verification over all pairs of two pictures each: AUC, equal error rate, mean cosines."""
    images, who = held_out(people, 2, seed)
    out: dict[str, float] = {}
    for name, shown in (("clean", images), ("noisy", noisy(images, seed))):
        z = lab.identity(shown)
        cosine = (z @ z.T).numpy()
        upper = np.triu_indices(len(who), 1)
        # Two indices may name one identity: compare identities, not indices.
        names = np.array([str(identity("held-out", int(i))) for i in who])
        same = names[:, None] == names[None]
        label, value = same[upper], cosine[upper]
        miss, found, _ = roc_curve(label, value)
        out |= {
            f"auc_{name}": float(roc_auc_score(label, value)),
            f"eer_{name}": float(miss[np.argmin(np.abs(miss - (1 - found)))]),
            f"same_{name}": float(value[label].mean()),
            f"different_{name}": float(value[~label].mean()),
        }
    return out


def detector(lab: Lab, seed: int = 0, n: int = 200) -> dict[str, float]:
    """Share of clean avatars found, and of abstract patterns mistaken for a person."""
    clean, _ = held_out(n, 1, seed)
    return {
        "found": float(np.mean(lab.detector.found(clean))),
        "false_alarms": float(np.mean(lab.detector.found(patterns(n, seed)))),
    }


def text_to_image(lab: Lab, seed: int = 0, n: int = 48) -> dict[str, float]:
    """What prompts give: persons found, attributes obeyed, noise on demand.

    The attribute probe is logistic regression on the identity encoder's and CLIP's embeddings of
    rendered training identities; its own accuracy on held-out ones is reported beside.
    """
    how = {"steps": lab.profile.sampling.steps, "seed": seed,
           "guidance_scale": lab.profile.sampling.guidance_scale}  # fmt: skip
    plain = lab.diffusion.sample("a photo of a person", n, **how)
    dirty = lab.diffusion.sample("a noisy photo of a person", n // 2, **how)
    axis = ["a photo of a person", "a noisy photo of a person"]
    out = {
        "found": float(np.mean(lab.detector.found(plain))),
        "noisy_prompt_is_noisy": lab.clip.probabilities(dirty, axis)[:, 1]
        .gt(0.5)
        .float()
        .mean()
        .item(),
    }
    probe = AttributeProbe(lab)
    obeyed = {}
    for attribute, (prompt, values) in PROMPTS.items():
        hits = []
        for value, word in values.items():
            drawn = lab.diffusion.sample(prompt.format(word), 6, **how)
            hits += list(probe.predict(attribute, drawn) == value)
        obeyed[attribute] = float(np.mean(hits))
        out[f"obeyed_{attribute}"] = obeyed[attribute]
        out[f"probe_{attribute}"] = probe.accuracy[attribute]
    return out | {"obeyed": float(np.mean(list(obeyed.values())))}


PROMPTS: dict[str, tuple[str, dict[str, str]]] = {
    "hair_color": ("a photo of a person with {} big hair",
                   {k: HAIR_COLOR[k] for k in ("BLACK", "BLONDE", "RED", "PLATINUM")}),
    "skin": ("a photo of a person with {} skin",
             {k: SKIN[k] for k in ("PALE", "YELLOW", "BROWN", "BLACK")}),
    "background": ("a photo of a person, {} background",
                   {k: k for k in ("white", "red", "blue", "green")}),
    "glasses": ("a photo of a person with {}",
                {k: GLASSES[k] for k in ("NONE", "ROUND", "SUNGLASSES")}),
}  # fmt: skip


class AttributeProbe:
    """Reads an attribute off a picture: nearest neighbours would copy, so a linear model."""

    def __init__(self, lab: Lab, n: int = 1500) -> None:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self.lab, self.models, self.accuracy = lab, {}, {}
        sets = {}
        for split, count in (("train", n), ("held-out", 200)):
            rng = np.random.default_rng(3)
            who, how = rng.integers(3000, size=count), rng.integers(1 << 40, size=count)
            drawn = [
                (identity(split, int(i)), nuisance(int(s))) for i, s in zip(who, how, strict=True)
            ]
            features = self.features(_tensor([draw(*one) for one in drawn]))
            labels = {k: np.array([getattr(w, k, None) or getattr(h, k) for w, h in drawn])
                      for k in PROMPTS}  # fmt: skip
            sets[split] = features, labels
        for key in PROMPTS:
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
            model.fit(sets["train"][0], sets["train"][1][key])
            self.models[key] = model
            self.accuracy[key] = float(model.score(sets["held-out"][0], sets["held-out"][1][key]))

    @torch.inference_mode()
    def features(self, images: Tensor) -> np.ndarray:
        """Identity and CLIP embeddings, and the picture at 8 × 8 pixels."""
        small = torch.nn.functional.interpolate(images, (8, 8), mode="area").flatten(1)
        parts = [self.lab.identity(images), self.lab.clip.image(images).cpu(), small]
        return torch.cat(parts, 1).numpy()

    def predict(self, attribute: str, images: Tensor) -> np.ndarray:
        """The attribute's value for each picture."""
        return self.models[attribute].predict(self.features(images))


def copies(lab: Lab, seed: int = 0, n: int = 32) -> dict[str, float]:
    """Nearest-neighbour check: are samples closer to training pictures than fresh pictures are?

    RMSE (grey levels) of samples to the nearest of 2,000 rendered training pictures, and of fresh
    held-out pictures to the same, median each.
    """
    rng = np.random.default_rng(1)
    who, picture = rng.integers(384, size=2000), rng.integers(16, size=2000)
    train = [
        draw(identity("train", int(i)), nuisance(1000 * int(i) + int(k)))
        for i, k in zip(who, picture, strict=True)
    ]
    bank = _tensor(train).flatten(1)
    sampled = lab.diffusion.sample(
        "a photo of a person", n, seed=seed, steps=lab.profile.sampling.steps,
        guidance_scale=lab.profile.sampling.guidance_scale,
    )  # fmt: skip
    fresh, _ = held_out(n, 1, seed)

    def nearest(x: Tensor) -> float:
        return float(torch.cdist(x.flatten(1), bank).amin(1).median() * 255 / bank.shape[1] ** 0.5)

    return {"rmse_sample": nearest(sampled), "rmse_fresh": nearest(fresh)}


def personalisation(lab: Lab, seed: int = 0, people: int = 8, n: int = 8) -> dict[str, Any]:
    """DreamBooth on four clean pictures of each held-out identity: the bar that matters most.

    ``ims`` is the plain cosine, whether or not a face was found; ``seconds`` is one training.
    Trainings are kept in the store and shared with the story's "clean" cells.
    """
    from ..experiments.stages import STORY, Stages

    stages, rows = Stages(lab), []
    words, how = lab.profile.prompts, lab.profile.sampling
    prior = lab.diffusion.sample(words.prior_prompt(), n, seed=seed + 5, **how.model_dump())
    for i in range(people):
        subject = lab.subject(f"mini:held-out/{i}")
        made = stages.personalise(subject, STORY["clean"], seed, n)
        mean = lab.identity.mean(subject.c)
        sheets = (made.instance, made.class_, prior)
        rows.append(
            [cosine_similarity(lab.identity(x), mean[None]).mean().item() for x in sheets]
            + [made.seconds]
        )
    table = np.array(rows)
    own, class_, before = table[:, 0], table[:, 1], table[:, 2]
    interval = bootstrap_mean(own)
    return {
        "ims": float(own.mean()), "ims_low": interval.low, "ims_high": interval.high,
        "ims_class": float(class_.mean()), "ims_prior": float(before.mean()),
        "ims_minus_class": float((own - class_).mean()),
        "class_drift": float((class_ - before).mean()), "seconds": float(table[:, 3].mean()),
        "people": people, "samples": n, "per_subject": own.round(3).tolist(),
    }  # fmt: skip


CARD = Path(__file__).parent / "card.json"
COSTS = Path(__file__).parent / "weights" / "costs.json"


def write_card(found: dict) -> Path:
    """Write ``card.json``: what was measured, what training cost, and on what machine."""
    costs = json.loads(COSTS.read_text("utf-8")) if COSTS.is_file() else {}
    card = found | {"training": costs, "machine": {
        "processor": platform.machine(), "threads": torch.get_num_threads(),
        "torch": torch.__version__}}  # fmt: skip
    fresh = CARD.with_suffix(".tmp")
    fresh.write_text(json.dumps(card, indent=1) + "\n", "utf-8")
    fresh.replace(CARD)
    return CARD


MEASURES = {
    "vae": vae, "clip": clip, "identity": identity_encoder, "detector": detector,
    "text_to_image": text_to_image, "copies": copies, "personalisation": personalisation,
}  # fmt: skip


def evaluate(seed: int = 0, only: list[str] | None = None, lab: Lab | None = None) -> dict:
    """Measure every model (or some) and judge each number against its bar.

    Returns ``{"seed", "measured": {model: {name: number}}, "bars": [{…, "reached"}]}``.
    """
    lab = lab or Lab("mini")
    measured = {name: measure(lab, seed=seed) for name, measure in MEASURES.items()
                if only is None or name in only}  # fmt: skip
    bars = []
    for key, sign, bar in BARS:
        model, name = key.split(".")
        if model in measured:
            value = measured[model][name]
            reached = value >= bar if sign == ">=" else value <= bar
            bars.append({"key": key, "value": value, "sign": sign, "bar": bar, "reached": reached})
    return {"seed": seed, "measured": measured, "bars": bars}
