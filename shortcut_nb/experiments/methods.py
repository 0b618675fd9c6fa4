"""Four ways to personalise, side by side: ``python -m shortcut_nb.experiments.methods``.

On clean pictures: identity, quality, what becomes of the class, bytes and seconds; learning curves
up to twice the usual steps, so that too few and too many show; and how many pictures it takes.
Resumable through the store.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
import typer
from torch import Tensor

from ..lab import Lab
from ..metrics import ssim
from ..plots import curve_plot, interval_plot, save_figure
from ..profile import load_profile
from ..subjects import Subject
from .matrix import first_subjects
from .payload import Payload
from .pool import in_processes, lab_of
from .report import about, means, paired, records, write_json
from .sheets import Drawn, Sheet, draw, score
from .shipped import gap
from .stages import Stages

METHODS = ("dreambooth", "dreambooth-lora", "textual-inversion", "custom-diffusion")
SHARES = (0.0, 0.25, 0.5, 1.0, 2.0)  # of the usual steps
COUNTS = (1, 2, 4, 8)
SCORES = ("ims_missing", "quality", "copies", "diversity", "class_likeness", "class_moved")
TITLES = {
    "ims_missing": "identity match", "quality": "quality",
    "copies": "likeness to the nearest training picture (SSIM)",
    "diversity": "diversity (CLIP distance)", "class_likeness": "class prompt: identity match",
    "class_moved": "class prompt: moved in CLIP",
}  # fmt: skip


def sheets(subject: Subject) -> dict[str, Sheet]:
    """The subject, and its class without the identifier."""
    return {"own": Sheet(), "class": Sheet(subject.class_prompt)}


def learning(
    stages: Stages, subject: Subject, method: str, *, n: int = 8, seed: int = 0,
    shares: Sequence[float] = SHARES, **settings: Any,
) -> Drawn:  # fmt: skip
    """One training sampled on the way, at shares of the usual steps; by (step, sheet)."""
    usual = stages.lab.personalize(method, **settings).steps
    at = [round(share * usual) for share in shares]
    trainer = stages.lab.personalize(method, **(settings | {"steps": max(at), "seed": seed}))
    return draw(stages, subject, subject.images, trainer, sheets(subject), at=at, n=n, seed=seed,
                label=f"{subject.name} {method}")  # fmt: skip


def table_of(
    stages: Stages, subject: Subject, drawn: Drawn, trained_on: Tensor, before: Tensor | None
) -> pd.DataFrame:  # fmt: skip
    """Scores of drawn sheets, one row per sample.

    Beside the usual ones: ``copies``, SSIM to the nearest picture trained on (own prompt);
    ``diversity``, mean CLIP distance to the other samples (own prompt); ``class_likeness``, the
    identity match of the class prompt's samples; ``class_moved``, their CLIP distance to
    ``before``, the base model's samples from the same noise (NaN without).
    """
    frame = score(stages, subject, drawn).set_index(["step", "sheet"])
    own, cls = frame.index.get_level_values("sheet") == "own", None
    for (step, sheet), images in drawn.items():
        here = (step, sheet)
        vectors = embed(stages.lab, images)
        if sheet == "own":
            frame.loc[here, "copies"] = nearest(images, trained_on)
            frame.loc[here, "diversity"] = spread(vectors)
        else:
            frame.loc[here, "class_likeness"] = frame.loc[here, "ims_missing"].to_numpy()
            if before is not None:
                cls = 1 - (vectors * embed(stages.lab, before)).sum(1)
                frame.loc[here, "class_moved"] = cls.numpy()
    for column in ("ims_missing", "quality"):
        frame.loc[~own, column] = np.nan
    return frame.reset_index()


@torch.no_grad()
def embed(lab: Lab, images: Tensor) -> Tensor:
    """CLIP embeddings of unit length, (n, d), on the CPU."""
    return torch.nn.functional.normalize(lab.clip.image(images), dim=1).cpu()


def nearest(images: Tensor, trained_on: Tensor) -> np.ndarray:
    """SSIM of each picture to the most similar picture trained on, (n,)."""
    each = [ssim(images, one.expand_as(images)) for one in trained_on]
    return np.max(each, axis=0)


def spread(vectors: Tensor) -> np.ndarray:
    """Mean cosine distance of each vector to the others, (n,); NaN for a single one."""
    n = len(vectors)
    if n < 2:
        return np.full(n, np.nan)
    return (1 - (vectors @ vectors.T - torch.eye(n)).sum(1) / (n - 1)).numpy()


def curve(profile: str, subject: str, seed: int, method: str, n: int) -> pd.DataFrame:
    """Scores along one training; ``share`` of the usual steps."""
    stages = Stages(lab_of(profile))
    who, usual = stages.lab.subject(subject), stages.lab.personalize(method).steps
    drawn = learning(stages, who, method, n=n, seed=seed)
    frame = table_of(stages, who, drawn, who.images, drawn.get((0, "class")))
    return frame.assign(method=method, share=frame["step"] / usual, pictures=len(who.images),
                        subject=subject, seed=seed)  # fmt: skip


def few(
    profile: str, subject: str, seed: int, method: str, count: int, n: int,
    settings: dict[str, Any] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Scores after training on ``count`` pictures: set B first, then set A."""
    stages = Stages(lab_of(profile))
    who = stages.lab.subject(subject)
    trainer = stages.lab.personalize(method, seed=seed, **(settings or {}))
    images = torch.cat([who.b, who.a])[:count]
    drawn = draw(stages, who, images, trainer, sheets(who), n=n, seed=seed, label=method)
    frame = table_of(stages, who, drawn, images, None)
    return frame.assign(method=method, pictures=count, share=1.0, subject=subject, seed=seed)


def price(stages: Stages, subject: Subject, method: str, steps: int = 5) -> dict[str, float]:
    """Seconds of a whole training, from the median of a few steps, and bytes of what is saved."""
    trainer = stages.lab.personalize(method, steps=steps)
    whole = stages.lab.personalize(method)

    def make(out: Payload) -> None:
        times = [time.monotonic()]
        fitted = trainer.fit(subject, on_step=lambda _: times.append(time.monotonic()))
        with tempfile.TemporaryDirectory(prefix="shortcut_nb-") as folder:
            saved = fitted.save(Path(folder) / "saved")
            size = sum(file.stat().st_size for file in saved.rglob("*") if file.is_file())
        each = median(later - earlier for earlier, later in itertools.pairwise(times[1:]))
        out.save_json("price", {"seconds_per_step": each, "bytes": size})

    params = {"trainer": trainer, "method": method, "words": stages.lab.profile.prompts}
    entry = stages.store.cached(
        "price", params, stages.inputs("diffusion", images=subject.images), make
    )
    found = entry.json("price")
    return found | {"steps": whole.steps, "seconds": found["seconds_per_step"] * whole.steps}


def cost(profile: str, subject: str, method: str) -> dict[str, Any]:
    """:func:`price` by a profile's and a subject's name."""
    stages = Stages(lab_of(profile))
    return {"method": method} | price(stages, stages.lab.subject(subject), method)


def tune(
    stages: Stages, subject: Subject, method: str, rates: Sequence[float], *,
    shares: Sequence[float] = (0.5, 1.0), n: int = 4, **settings: Any,
) -> pd.DataFrame:  # fmt: skip
    """Mean scores by learning rate and step: what a profile's defaults are chosen from.

    Give a validation subject, never one that results are reported on.
    """
    parts = []
    for lr in rates:
        drawn = learning(stages, subject, method, n=n, shares=shares, lr=lr, **settings)
        frame = table_of(stages, subject, drawn, subject.images, None)
        parts.append(frame.assign(lr=lr))
    columns = [name for name in SCORES if name != "class_moved"]
    return pd.concat(parts).groupby(["lr", "step"])[columns].mean().reset_index()


def compared(curves: pd.DataFrame, prices: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """One row per method at its usual steps: means with intervals, class drift, price, and fit.

    ``class_drift`` is the rise of the class prompt's identity match over the base model.
    ``later`` is what the second half of twice the usual steps adds to the identity, with its
    interval: above zero the usual steps are too few, below zero too many.
    """
    rows = []
    for method, part in curves.groupby("method", sort=False):
        row: dict[str, Any] = {"method": method, "subjects": part["subject"].nunique()}
        for found in means(part[part["share"] == 1], ["method"], SCORES).to_dict("records"):
            name = found["score"]
            row |= {name: found["mean"], f"{name}_low": found["low"],
                    f"{name}_high": found["high"]}  # fmt: skip
        by_share = part.assign(condition=part["share"].map("{:g}".format))
        pairs = (("class_drift", "class_likeness", "1", "0"), ("later", "ims_missing", "2", "1"))
        for label, measure, high, low in pairs:
            row |= gap(label, paired(by_share, measure, high, low), 1)
        own = [one for one in prices if one["method"] == method]
        for key in ("steps", "seconds", "bytes") if own else ():
            row[key] = median(one[key] for one in own)
        rows.append(row)
    return pd.DataFrame(rows)


def main(
    profile: str = "mini",
    subjects: Annotated[int, typer.Option(help="how many of the profile's subjects")] = 6,
    seeds: int = 1,
    n: Annotated[int, typer.Option(help="samples per prompt")] = 8,
    workers: int = 2,
    out: Path = Path("figures"),
) -> None:
    people = first_subjects(load_profile(profile), subjects)
    each = [(profile, subject, seed, method)
            for seed in range(seeds) for method in METHODS for subject in people]  # fmt: skip
    curves = pd.concat(in_processes(curve, [(*one, n) for one in each], workers=workers))
    tasks = [(*one, count, n) for one in each for count in COUNTS]
    counts = pd.concat(in_processes(few, tasks, workers=workers))
    # One after the other, so that nothing of ours disturbs the clock.
    prices = in_processes(cost, [(profile, people[0], method) for method in METHODS], workers=1)
    report(curves, counts, prices, out)


def report(
    curves: pd.DataFrame, counts: pd.DataFrame, prices: Sequence[dict[str, Any]], out: Path
) -> None:
    """Write ``methods.json`` and its figures."""
    rows = compared(curves, prices)
    lines = means(curves, ["method", "share"], SCORES)
    needed = means(counts, ["method", "pictures"], SCORES)
    content = about(curves, "0/255") | {
        "methods": records(rows), "curves": records(lines), "pictures": records(needed)
    }  # fmt: skip
    write_json(content, out / "methods.json")
    words = f"with 95 % bootstrap intervals over {curves['subject'].nunique()} subjects."
    main_scores = ["ims_missing", "quality", "class_likeness"]
    for name, table, x, label, what in (
        ("curves", lines, "share", "steps, as a share of the usual", "the share of usual steps"),
        ("pictures", needed, "pictures", "pictures trained on", "the number of pictures"),
    ):
        part = table[table["score"].isin(main_scores)]
        fig = curve_plot(part, x, "method", panel="score", xlabel=label, titles=TITLES)
        save_figure(
            fig, f"methods_{name}", folder=out, data=part,
            alt=f"Identity, quality and identity of the class prompt's samples against {what}, one "
            f"line per method, {words}",
        )  # fmt: skip
    part = lines[lines["score"].isin(["copies", "diversity"])]
    fig = curve_plot(part, "share", "method", panel="score", titles=TITLES,
                     xlabel="steps, as a share of the usual")  # fmt: skip
    save_figure(
        fig, "methods_overfitting", folder=out, data=part,
        alt=f"Likeness to the nearest training picture and diversity of samples against the share "
        f"of usual steps, one line per method, {words}",
    )  # fmt: skip
    usual = means(curves[curves["share"] == 1], ["method", "pictures"], SCORES)
    usual = usual[usual["score"] == "ims_missing"]
    fig = interval_plot(usual, by="method", xlabel="identity match (−1 without a face)")
    save_figure(
        fig,
        "methods_identity",
        folder=out,
        data=usual,
        alt=f"Mean identity match of V* samples for each method at its usual steps, {words}",
    )


if __name__ == "__main__":
    typer.run(main)
