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
from ..personalize import BoundTrainer
from ..plots import curve_plot, interval_plot, save_figure
from ..profile import load_profile
from ..results import OUT, write_result
from ..store import Payload
from ..subjects import Subject
from .choice import chosen
from .matrix import first_subjects
from .pool import in_processes, lab_of
from .report import about, means, paired, records
from .sheets import Drawn, Sheet, draw, score
from .shipped import gap
from .stages import Stages

# A method's name here: the trainer and its settings.
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "dreambooth": ("dreambooth", {}), "dreambooth, no prior": ("dreambooth", {"prior_weight": 0.0}),
    "dreambooth-lora": ("dreambooth-lora", {}), "textual-inversion": ("textual-inversion", {}),
    "custom-diffusion": ("custom-diffusion", {}),
}  # fmt: skip
SHARES = (0.0, 0.25, 0.5, 1.0, 2.0)  # of the usual steps
COUNTS = (1, 2, 4, 8)
SCORES = ("ims_missing", "quality", "copies", "diversity", "class_likeness", "class_moved",
          "class_quality")  # fmt: skip
TITLES = {
    "ims_missing": "identity match", "quality": "quality",
    "copies": "likeness to the nearest training picture (SSIM)",
    "diversity": "diversity (CLIP distance)", "class_likeness": "class prompt: identity match",
    "class_moved": "class prompt: moved in CLIP", "class_quality": "class prompt: quality",
}  # fmt: skip


def sheets(subject: Subject) -> dict[str, Sheet]:
    """The subject, and its class without the identifier."""
    return {"own": Sheet(), "class": Sheet(subject.class_prompt)}


def trainer(lab: Lab, method: str, **settings: Any) -> BoundTrainer:
    """The trainer of a method, with the profile's defaults."""
    name, own = METHODS[method]
    return lab.personalize(name, **(own | settings))


def learning(
    stages: Stages, subject: Subject, method: str, *, n: int = 8, seed: int = 0,
    shares: Sequence[float] = SHARES, **settings: Any,
) -> Drawn:  # fmt: skip
    """One training sampled on the way, at shares of the usual steps; by (step, sheet)."""
    made = trainer(stages.lab, method, seed=seed, **settings)
    at = [round(share * made.steps) for share in shares]
    return draw(stages, subject, subject.images, made.changed(steps=max(at)), sheets(subject),
                at=at, n=n, seed=seed, label=f"{subject.name} {method}")  # fmt: skip


def table_of(
    stages: Stages, subject: Subject, drawn: Drawn, trained_on: Tensor, before: Tensor | None
) -> pd.DataFrame:  # fmt: skip
    """Scores of drawn sheets, one row per sample.

    Beside the usual ones: ``copies``, SSIM to the nearest picture trained on (own prompt);
    ``diversity``, mean CLIP distance to the other samples (own prompt); ``class_likeness``, the
    identity match of the class prompt's samples; ``class_moved``, their CLIP distance to
    ``before``, the base model's samples from the same noise (NaN without); ``class_quality``.
    """
    parts = []
    for key, images in drawn.items():
        frame, vectors = score(stages, subject, {key: images}), embed(stages.lab, images)
        if key[1] == "own":
            parts.append(
                frame.assign(copies=nearest(images, trained_on), diversity=spread(vectors))
            )
            continue
        moved = np.nan
        if before is not None:
            moved = (1 - (vectors * embed(stages.lab, before)).sum(1)).numpy()
        names = {"ims_missing": "class_likeness", "quality": "class_quality"}
        frame = frame.rename(columns=names).drop(columns=["texture", "noise"])
        parts.append(frame.assign(class_moved=moved))
    return pd.concat(parts, ignore_index=True)


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
    who = stages.lab.subject(subject)
    drawn = learning(stages, who, method, n=n, seed=seed)
    return curve_of(stages, who, method, seed, drawn)


def curve_of(
    stages: Stages, subject: Subject, method: str, seed: int, drawn: Drawn, **settings: Any
) -> pd.DataFrame:
    """Scores of what :func:`learning` drew, as the tables below want them."""
    usual = trainer(stages.lab, method, **settings).steps
    frame = table_of(stages, subject, drawn, subject.images, drawn.get((0, "class")))
    return frame.assign(method=method, share=frame["step"] / usual, pictures=len(subject.images),
                        subject=subject.name, seed=seed)  # fmt: skip


def few(
    profile: str, subject: str, seed: int, method: str, count: int, n: int,
    settings: dict[str, Any] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Scores after training on ``count`` pictures: set B first, then set A."""
    stages = Stages(lab_of(profile))
    who = stages.lab.subject(subject)
    made = trainer(stages.lab, method, seed=seed, **(settings or {}))
    images = torch.cat([who.b, who.a])[:count]
    drawn = draw(stages, who, images, made, sheets(who), n=n, seed=seed, label=method)
    frame = table_of(stages, who, drawn, images, None)
    return frame.assign(method=method, pictures=count, share=1.0, subject=subject, seed=seed)


def price(stages: Stages, subject: Subject, method: str, steps: int = 5) -> dict[str, float]:
    """Seconds of a whole training, from the median of a few steps, and bytes of what is saved.

    Raises:
        ValueError: fewer than 3 steps; the first is not timed, since it warms up.
    """
    if steps < 3:
        raise ValueError(f"a median wants at least 3 steps; got {steps}")
    short, whole = trainer(stages.lab, method, steps=steps), trainer(stages.lab, method)

    def make(out: Payload) -> None:
        times: list[float] = []
        fitted = short.fit(subject, on_step=lambda _: times.append(time.monotonic()))
        with tempfile.TemporaryDirectory(prefix="shortcut_nb-") as folder:
            saved = fitted.save(Path(folder) / "saved")
            size = sum(file.stat().st_size for file in saved.rglob("*") if file.is_file())
        each = median(later - earlier for earlier, later in itertools.pairwise(times))
        out.save_json("price", {"seconds_per_step": each, "bytes": size})

    params = {"trainer": short, "method": method, "words": stages.lab.profile.prompts}
    entry = stages.cached("price", params, stages.inputs("diffusion", images=subject.images), make)
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
    """One row per method at its usual steps: means with intervals, price, and what changed.

    ``learned`` is the rise of the identity match over the base model, ``class_drift`` that of the
    class prompt's identity match. ``later`` is what as many steps again add to the identity: with
    an interval above zero the usual steps are too few, below zero too many. ``ahead`` is the
    identity match over that of the first method.
    """
    usual = curves[curves["share"] == 1].assign(condition=lambda part: part["method"])
    first = str(usual["method"].iloc[0])
    rows = []
    for method, part in curves.groupby("method", sort=False):
        row: dict[str, Any] = {"method": method, "n": part["subject"].nunique()}
        for found in means(part[part["share"] == 1], ["method"], SCORES).to_dict("records"):
            name = found["score"]
            row |= {name: found["mean"], f"{name}_low": found["low"],
                    f"{name}_high": found["high"]}  # fmt: skip
        by_share = part.assign(condition=part["share"].map("{:g}".format))
        pairs = (("learned", "ims_missing", "1", "0"), ("class_drift", "class_likeness", "1", "0"),
                 ("later", "ims_missing", "2", "1"))  # fmt: skip
        for label, measure, high, low in pairs:
            row |= gap(label, paired(by_share, measure, high, low), 1)
        if method != first:
            row |= gap("ahead", paired(usual, "ims_missing", str(method), first), 1)
        own = [one for one in prices if one["method"] == method]
        for key in ("steps", "seconds", "bytes") if own else ():
            row[key] = median(one[key] for one in own)
        rows.append(row)
    return pd.DataFrame(rows)


def prior(curves: pd.DataFrame) -> pd.DataFrame:
    """What prior preservation changes: DreamBooth with it minus without, by share and score.

    The claim is that the class prompt's samples look less like the subject, move less and are
    better.
    """
    rows = []
    for share, part in curves.groupby("share"):
        part = part.assign(condition=part["method"])
        directions = {"class_likeness": -1, "class_moved": -1, "class_quality": 1, "ims_missing": 1}
        for measure, direction in directions.items():
            each = paired(part, measure, "dreambooth", "dreambooth, no prior")
            if share > 0 and len(each):
                rows.append({"share": share, "score": measure, "n": len(each)}
                            | gap("difference", each, direction))  # fmt: skip
    return pd.DataFrame(rows)


def main(
    profile: str = "mini",
    subjects: Annotated[int, typer.Option(help="how many of the profile's subjects")] = 6,
    seeds: int = 1,
    n: Annotated[int, typer.Option(help="samples per prompt")] = 8,
    fewer: Annotated[
        list[str] | None, typer.Option(help="methods tried on fewer pictures; default all")
    ] = None,
    workers: int = 2,
    out: Annotated[Path | None, typer.Option(help=OUT)] = None,
) -> None:
    on_few = chosen(fewer, METHODS, "method")
    people = first_subjects(load_profile(profile), subjects)
    each = [(profile, subject, seed, method)
            for seed in range(seeds) for method in METHODS for subject in people]  # fmt: skip
    curves = pd.concat(in_processes(curve, [(*one, n) for one in each], workers=workers))
    tasks = [(*one, count, n) for one in each for count in COUNTS if one[-1] in on_few]
    counts = pd.concat(in_processes(few, tasks, workers=workers))
    # One after the other, so that nothing of ours disturbs the clock.
    prices = in_processes(cost, [(profile, people[0], method) for method in METHODS], workers=1)
    report(curves, counts, prices, out, profile)


def report(
    curves: pd.DataFrame,
    counts: pd.DataFrame,
    prices: Sequence[dict[str, Any]],
    out: Path | None,
    profile: str = "mini",
) -> None:
    """Write ``methods.json`` and its figures."""
    rows = compared(curves, prices)
    lines = means(curves, ["method", "share"], SCORES)
    needed = means(counts, ["method", "pictures"], SCORES)
    content = about(curves, "0/255") | {
        "methods": records(rows), "prior": records(prior(curves)),
        "curves": records(lines), "pictures": records(needed),
    }  # fmt: skip
    write_result("methods", content, profile, out)
    words = f"with 95 % t intervals over {curves['subject'].nunique()} subjects."
    shares, counted = "steps, as a share of the usual", "pictures trained on"
    for name, table, x, label, scores in (
        (
            "curves",
            lines,
            "share",
            shares,
            ("ims_missing", "quality", "class_likeness", "class_quality"),
        ),
        ("pictures", needed, "pictures", counted, ("ims_missing", "copies", "diversity")),
    ):
        part = table[table["score"].isin(scores)]
        fig = curve_plot(part, x, "method", panel="score", xlabel=label, titles=TITLES)
        named = "; ".join(TITLES[score] for score in scores)
        save_figure(
            fig, f"methods_{name}", folder=out, data=part,
            alt=f"{named}: against {label}, one line per method, {words}",
        )  # fmt: skip
    part = lines[lines["score"].isin(["copies", "diversity"])]
    fig = curve_plot(part, "share", "method", panel="score", titles=TITLES,
                     xlabel=shares)  # fmt: skip
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
