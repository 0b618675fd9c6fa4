"""Where the shortcut lives: ``python -m shortcut_nb.experiments.traces``.

For every subject and seed, one DreamBooth on clean and one on protected pictures: where the words
of the prompt attend, how far they move, at which noise levels the pictures are learned and when,
and whether V* samples carry the perturbation's spectrum. Predictions as data, written before this
was run on several people, but after a look at one (notebook 05). Resumable through the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
import typer

from ..analysis.attention import drawn_maps, token_maps
from ..analysis.drift import word_drift
from ..analysis.overlap import local_energy, overlap, texture_map
from ..analysis.spectrum import gain, spectrum, spectrum_match
from ..analysis.timesteps import loss_grid
from ..profile import load_profile
from ..results import OUT, write_result
from ..store import Payload
from ..subjects import Subject
from .interventions import WATCHED
from .matrix import first_subjects
from .pool import in_processes, lab_of
from .report import about, judge, means, records
from .sheets import fit_through
from .shipped import verdict
from .stages import Cell, Stages

LEVELS = tuple(range(50, 1000, 100))
DRAWS = 2
LOW, HIGH = 300, 700  # timesteps below and above: little and much noise
VERSION = "1"
Measured = dict[str, float]

# (claim, the sum of measures above zero, why); the measures are those of :func:`measures`.
PREDICTIONS: tuple[tuple[str, dict[str, float], str], ...] = (
    ("V* attends to where the perturbation is, more than the class word does",
     {"attends.protected.identifier": 1, "attends.protected.class": -1},
     "V* stands for the noise"),
    ("V* attends there more than after training on clean pictures",
     {"attends.protected.identifier": 1, "attends.clean.identifier": -1},
     "V* came to stand for the noise in training"),
    ("in samples V* attends to the texture, more than the class word does",
     {"drawn.protected.identifier": 1, "drawn.protected.class": -1},
     "V* draws the noise"),
    ("V* moves further than the class word",
     {"moved.protected.identifier": 1, "moved.protected.class": -1},
     "prior preservation holds the class word"),
    ("V* moves further on protected pictures",
     {"moved.protected.identifier": 1, "moved.clean.identifier": -1},
     "it has the noise to learn besides the person"),
    ("protected pictures are learned at low noise most",
     {"learned.protected.low": 1, "learned.protected.high": -1},
     "there the perturbation can be told from the picture"),
    ("clean training does not learn the perturbation",
     {"learned.protected.low": 1, "learned.unseen.low": -1},
     "it is not on clean pictures"),
    ("half of what is learned at low noise is learned in the first third",
     {"early.protected.low": 1, "half": -1},
     "a shortcut is learned early"),
    ("V* samples carry the perturbation's spectrum, more than class samples do",
     {"spectrum.V*": 1, "spectrum.class": -1},
     "the noise is bound to V*"),
    ("V* samples match it better than random noise does",
     {"spectrum.V*": 1, "spectrum.random noise": -1},
     "what is bound is this noise, not just any"),
)  # fmt: skip


def traces(
    stages: Stages, subject: Subject, *, attack: str = "aspl", eps: str = "16/255", seed: int = 0,
    n: int = 8, **settings: Any,
) -> dict[str, list[dict[str, Any]]]:  # fmt: skip
    """Tables of two trainings of one subject, kept in the store.

    Args:
        n: samples a prompt, for maps and spectra.
        settings: of DreamBooth, in place of the profile's.

    Returns:
        - ``attention``: ``trained`` (on "clean" or "protected" pictures), ``against``
          ("perturbation" or "texture of samples"), ``word`` ("identifier" or "class"),
          ``correlation`` (Spearman's over places, mean over pictures, in [-1, 1]);
        - ``drift``: ``trained``, ``word``, ``level``, ``cosine``, ``distance`` (see
          :func:`shortcut_nb.analysis.drift.word_drift`);
        - ``losses``: ``trained``, ``step``, ``pictures``, ``timestep``, ``loss`` (mean squared
          error of the prediction, over pictures and draws);
        - ``spectra``: ``samples`` ("V*", "class", "random noise"), ``match`` (correlation with the
          perturbation's gain over clean, in [-1, 1]).
    """
    lab = stages.lab
    protected = stages.protect(subject, Cell(attack, eps=eps), seed)
    noisy = stages.protect(subject, Cell("noise", eps=eps), seed)
    pictures = {"clean": subject.b, "protected": protected}
    trainer = lab.personalize("dreambooth", seed=seed, **settings)
    steps = sorted({*(round(share * trainer.steps) for share in WATCHED), trainer.steps} - {0})
    prompt = subject.instance_prompt
    words = {subject.identifier: "identifier", subject.class_name: "class"}
    how = {"seed": seed, **lab.profile.sampling.model_dump()}

    def losses(model: Any, trained: str, step: int) -> list[dict[str, Any]]:
        grid = loss_grid({trained: model}, pictures, prompt, timesteps=LEVELS, draws=DRAWS,
                         seed=seed)  # fmt: skip
        each = grid.groupby(["pictures", "timestep"])["conditional"].mean()
        rows = each.rename("loss").reset_index().assign(trained=trained, step=step)
        return records(rows)

    def make(out: Payload) -> None:
        found: dict[str, list] = {"attention": [], "drift": [], "spectra": [],
                                  "losses": losses(lab.diffusion, "before", 0)}  # fmt: skip
        drawn = {}
        for trained, images in pictures.items():
            label = f"{subject.name} {trained}"
            for step, fitted in fit_through(trainer, subject, images, steps, label):
                found["losses"] += losses(fitted.model, trained, step)
            samples, maps = drawn_maps(fitted.model, prompt, [*words], n, **how)
            size = maps[subject.identifier].shape[-1]
            looked = token_maps(fitted.model, protected, prompt, [*words])
            for against, part in {
                "perturbation": overlap(looked, local_energy(protected - subject.b, size)),
                "texture of samples": overlap(maps, texture_map(samples, size)),
            }.items():
                mean = part.groupby("word")["correlation"].mean()
                found["attention"] += [
                    {"trained": trained, "against": against, "word": words[word],
                     "correlation": float(value)} for word, value in mean.items()
                ]  # fmt: skip
            moved = word_drift(lab.diffusion, fitted.model, prompt, [*words])
            columns = ["word", "level", "cosine", "distance"]
            found["drift"] += (
                moved[columns]
                .assign(trained=trained, word=moved["word"].map(words))
                .to_dict("records")
            )
            drawn[trained] = {
                "V*": samples, "class": fitted.sample(n, prompt=subject.class_prompt, **how),
            }  # fmt: skip
        clean = spectrum(subject.b)
        wanted = gain(spectrum(protected), clean)
        gains = {
            name: gain(*(spectrum(drawn[k][name]) for k in ("protected", "clean")))
            for name in ("V*", "class")
        } | {"random noise": gain(spectrum(noisy), clean)}
        found["spectra"] = [
            {"samples": name, "match": spectrum_match(one, wanted)} for name, one in gains.items()
        ]
        out.save_json("traces", found)

    params = {
        "trainer": trainer, "steps": steps, "levels": LEVELS, "draws": DRAWS, "n": n, "seed": seed,
        "sampling": lab.profile.sampling, "prior": lab.profile.prior_guidance_scale,
        "said": [prompt, subject.class_prompt, *words],
    }  # fmt: skip
    inputs = stages.inputs("diffusion", images=torch.cat([subject.b, protected]), noise=noisy)
    return stages.cached("traces", params, inputs, make, VERSION).json("traces")


def measures(found: dict[str, list[dict[str, Any]]]) -> Measured:
    """The numbers that :data:`PREDICTIONS` add up, by name, from :func:`traces`' tables.

    "attends" and "drawn" are correlations, "moved" the relative distance of the word's states,
    "learned" the share of the loss before that training took away (mean over low or high noise;
    "unseen": of protected pictures by clean training), "early" the share of that which a third of
    the training had taken, "spectrum" the match, "half" one half.
    """
    held: Measured = {"half": 0.5}
    for row in found["attention"]:
        kind = "attends" if row["against"] == "perturbation" else "drawn"
        held[f"{kind}.{row['trained']}.{row['word']}"] = row["correlation"]
    for row in found["drift"]:
        if row["level"] == "state":
            held[f"moved.{row['trained']}.{row['word']}"] = row["distance"]
    for row in found["spectra"]:
        held[f"spectrum.{row['samples']}"] = row["match"]
    losses = pd.DataFrame(found["losses"])
    shown = losses[losses["pictures"] == "protected"]
    last = shown["step"].max()
    third = min(shown["step"].unique(), key=lambda step: abs(step - last / 3))
    for band, part in (("low", shown[shown["timestep"] < LOW]),
                       ("high", shown[shown["timestep"] > HIGH])):  # fmt: skip
        level = part.groupby(["trained", "step"])["loss"].mean()
        before = level["before", 0]
        fall = {(trained, step): 1 - level[trained, step] / before
                for trained in ("clean", "protected") for step in (third, last)}  # fmt: skip
        held[f"learned.protected.{band}"] = fall["protected", last]
        held[f"learned.unseen.{band}"] = fall["clean", last]
        held[f"early.protected.{band}"] = fall["protected", third] / fall["protected", last]
    return held


def judged(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Every prediction with its sum, interval over subjects and verdict.

    Args:
        rows: one row per subject and seed, with the columns of :func:`measures`.
    """
    each = rows.drop(columns="seed").groupby("subject").mean()
    found = []
    for claim, parts, why in PREDICTIONS:
        total = sum(weight * each[name] for name, weight in parts.items())
        values = np.asarray(total.dropna())
        if len(values):
            row = judge(values, 1)
            found.append({"claim": claim, "why": why, "verdict": verdict(row["holds"])} | row)
    return found


def _one(
    profile: str, subject: str, seed: int, attack: str, eps: str, n: int
) -> dict[str, list[dict[str, Any]]]:
    stages = Stages(lab_of(profile))
    found = traces(stages, stages.lab.subject(subject), attack=attack, eps=eps, seed=seed, n=n)
    key = {"subject": subject, "seed": seed}
    return {name: [key | row for row in rows] for name, rows in found.items()}


def main(
    profile: str = "mini",
    subjects: Annotated[int, typer.Option(help="how many of the profile's subjects")] = 6,
    seeds: int = 2,
    attack: str = "aspl",
    eps: Annotated[str, typer.Option(help="budget of the perturbation")] = "16/255",
    n: Annotated[int, typer.Option(help="samples per prompt")] = 8,
    workers: int = 2,
    out: Annotated[Path | None, typer.Option(help=OUT)] = None,
) -> None:
    people = first_subjects(load_profile(profile), subjects)
    tasks = [(profile, subject, seed, attack, eps, n)
             for seed in range(seeds) for subject in people]  # fmt: skip
    report(in_processes(_one, tasks, workers=workers, label="traces"), attack, eps, n, out, profile)


def report(
    parts: Sequence[dict[str, list[dict[str, Any]]]],
    attack: str,
    eps: str,
    n: int,
    out: Path | None,
    profile: str = "mini",
) -> None:
    """Write ``traces.json``: predictions with verdicts, and means of every table with intervals."""
    rows = pd.DataFrame([
        {name: part["losses"][0][name] for name in ("subject", "seed")} | measures(part)
        for part in parts
    ])  # fmt: skip
    tables = {name: pd.DataFrame([row for part in parts for row in part[name]])
              for name in ("attention", "drift", "losses", "spectra")}  # fmt: skip
    columns = {
        "attention": (["trained", "against", "word"], ["correlation"]),
        "drift": (["trained", "word", "level"], ["cosine", "distance"]),
        "losses": (["trained", "step", "pictures", "timestep"], ["loss"]),
        "spectra": (["samples"], ["match"]),
    }
    content = about(rows.assign(image=0), eps) | {
        "attack": attack, "samples": n, "predictions": judged(rows),
    } | {name: records(means(tables[name], *columns[name])) for name in tables}  # fmt: skip
    write_result("traces", content, profile, out)


if __name__ == "__main__":
    typer.run(main)
