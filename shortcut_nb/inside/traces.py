"""Where a perturbation leaves its traces: in attention, words, losses and spectra.

Two trainings are looked at, on the cell's pictures ("protected") and on the clean ones ("clean").
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd
from torch import Tensor

from ..analysis.attention import drawn_maps, token_maps
from ..analysis.drift import word_drift
from ..analysis.overlap import local_energy, overlap, texture_map
from ..analysis.spectrum import gain, spectrum, spectrum_match
from ..analysis.timesteps import timestep_losses
from ..cells import NONE, Cell
from ..metrics import Column
from ..subjects import Subject
from .registry import register

if TYPE_CHECKING:
    from ..diffusion import Diffusion
    from ..personalize import Personalized
    from ..pipeline.node import Node
    from ..pipeline.train import Training
    from ..store import Recipe

WATCHED = (0.0, 1 / 6, 1 / 3, 1 / 2, 3 / 4)  # shares of the training, besides its end
THIRD = 1 / 3
TRAINED = ("protected", "clean")
BANDS = ("low noise", "high noise")
Row = dict[str, Any]


def _loss_after(share: float) -> str:
    """The column of the loss after a share of the training."""
    return f"loss after {share:.2f}"


COLUMNS = {
    "attends": Column("attention where the perturbation is"),
    "draws": Column("attention where samples have texture"),
    "moved": Column("how far training moved the word"),
    "match": Column("match of the gain in power"),
    "learned": Column("share of the loss that training took"),
    "early_lead": Column("lead of the first third of the training"),
} | {_loss_after(share): Column(f"{_loss_after(share)} of the training") for share in (*WATCHED, 1)}


def on(what: str, trained: str) -> str:
    """A row's name: what is looked at, and on which pictures the model was trained."""
    return f"{what}, {trained}"


@register("traces")
@dataclass(frozen=True)
class Traces:
    """The probe; ``measure`` gives one row for each thing looked at.

    Rows are called "identifier, protected", "class, clean", "low noise, protected", … (see
    :func:`on`), and "random noise". Their columns:

    - ``attends``, ``draws``: Spearman's correlation over places, in [-1, 1], of a word's attention
      with the perturbation (looking at the protected pictures) and with the texture of samples;
    - ``moved``: how far training moved the word's states, relative to their length;
    - ``match``: correlation, in [-1, 1], of the gain in power over clean training (random noise:
      over clean pictures) with that of the perturbation;
    - ``learned``: share of the base model's loss on the protected pictures that training took;
      ``early_lead``: the share of that taken by a third of the training, less one half;
    - ``loss after S``: that loss after a share of the training.

    Args:
        levels: timesteps of the losses.
        draws: of their noise.
        low, high: timesteps below and above are little and much noise.
    """

    columns: ClassVar[Mapping[str, Column]] = COLUMNS

    levels: tuple[int, ...] = tuple(range(50, 1000, 100))
    draws: int = 2
    low: int = 300
    high: int = 700

    def needs(
        self, pipeline: Training, subject: Subject, cell: Cell, seed: int
    ) -> tuple[Node, ...]:
        """The two trainings, and random noise for comparison."""
        needed = []
        for each in cells_of(cell).values():
            node = pipeline.train(subject, each, seed)
            own = (node,) if pipeline.keeps(subject, each, seed) else node.needs
            place = {"subject": subject.name, "cell": each}
            needed += [replace(need, of=place | dict(need.of)) for need in own]
        noisy = _noisy(pipeline, subject, cell, seed)
        return (*needed, replace(noisy, of={"subject": subject.name, "cell": noise_of(cell)}))

    def recipes(
        self, pipeline: Training, subject: Subject, cell: Cell, seed: int
    ) -> tuple[Recipe, ...]:
        """What the measures depend on: the same, whether trained weights are kept or not."""
        trained = [pipeline.train(subject, each, seed).recipe for each in cells_of(cell).values()]
        return (*trained, _noisy(pipeline, subject, cell, seed).recipe)

    def measure(
        self, pipeline: Training, subject: Subject, cell: Cell, seed: int, n: int
    ) -> dict[str, list[Any]]:
        """Columns ``sheet`` and the measures; NaN where a row has no such measure."""
        protected = pipeline.images(subject, cell, seed)
        rows: list[Row] = []
        drawn: dict[str, dict[str, Tensor]] = {}
        for trained, each in cells_of(cell).items():
            rows += self._losses(pipeline, subject, each, seed, protected, trained)
            fitted = pipeline.model(subject, each, seed)
            how = {"seed": seed, **pipeline.lab.profile.sampling.model_dump()}
            samples, words = self._words(pipeline.lab.diffusion, fitted, subject, protected, n, how)
            rows += [{"sheet": on(name, trained)} | values for name, values in words.items()]
            of_class = fitted.sample(n, prompt=subject.class_prompt, **how)
            drawn[trained] = {"identifier": samples, "class": of_class}
        noisy = pipeline.images(subject, noise_of(cell), seed)
        return columns_of(rows + _spectra(subject.images, protected, noisy, drawn))

    def _losses(
        self,
        pipeline: Training,
        subject: Subject,
        cell: Cell,
        seed: int,
        images: Tensor,
        trained: str,
    ) -> list[Row]:
        falls: dict[float, pd.Series] = {}
        for share, model in _through(pipeline, subject, cell, seed):
            losses = timestep_losses(
                model,
                images,
                subject.instance_prompt,
                timesteps=self.levels,
                draws=self.draws,
                seed=seed,
                empty=False,
            )
            falls[share] = losses.groupby("timestep")["conditional"].mean()
        table = pd.DataFrame(falls)
        bands = dict(zip(BANDS, (table.index < self.low, table.index > self.high), strict=True))
        return [
            {"sheet": on(band, trained)} | _fall(table[inside].mean())
            for band, inside in bands.items()
        ]

    def _words(
        self,
        base: Diffusion,
        fitted: Personalized,
        subject: Subject,
        protected: Tensor,
        n: int,
        how: dict[str, Any],
    ) -> tuple[Tensor, dict[str, Row]]:
        """Samples of V*, and the measures of each word."""
        prompt, model = subject.instance_prompt, fitted.model
        words = {subject.identifier: "identifier", subject.class_name: "class"}
        samples, maps = drawn_maps(model, prompt, [*words], n, **how)
        size = maps[subject.identifier].shape[-1]
        looked = token_maps(model, protected, prompt, [*words])
        drift = word_drift(base, model, prompt, [*words])
        measures = {
            "attends": _mean(overlap(looked, local_energy(protected - subject.images, size))),
            "draws": _mean(overlap(maps, texture_map(samples, size))),
            "moved": drift[drift["level"] == "state"].set_index("word")["distance"],
        }
        measured: dict[str, Row] = {
            name: {measure: float(values[word]) for measure, values in measures.items()}
            for word, name in words.items()
        }
        return samples, measured


def cells_of(cell: Cell) -> dict[str, Cell]:
    """The cell, and the same on clean pictures."""
    clean = {"attack": NONE, "settings": {}, "share": 1.0, "perturbation": "own"}
    own = cell.model_copy(update={"sheets": {}})
    return dict(zip(TRAINED, (own, own.model_copy(update=clean)), strict=True))


def _noisy(pipeline: Training, subject: Subject, cell: Cell, seed: int) -> Node:
    noisy = pipeline.protect(subject, noise_of(cell), seed)
    assert noisy is not None
    return noisy


def noise_of(cell: Cell) -> Cell:
    """Random noise of the cell's budget."""
    return Cell(attack="noise", eps=cell.eps)


def columns_of(rows: list[Row]) -> dict[str, list[Any]]:
    """Rows as columns, one row per sheet; NaN where it has no such column."""
    merged: dict[str, Row] = {}
    for row in rows:
        merged.setdefault(row["sheet"], {}).update(row)
    rows = list(merged.values())
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name, math.nan) for row in rows] for name in names}


def _through(
    pipeline: Training, subject: Subject, cell: Cell, seed: int
) -> Iterator[tuple[float, Diffusion]]:
    for share in WATCHED:
        yield share, pipeline.model(subject, cell, seed, share).model
    yield 1.0, pipeline.model(subject, cell, seed).model


def _fall(losses: pd.Series) -> Row:
    before, after = losses[0.0], losses[1.0]
    return {
        "learned": float(1 - after / before),
        "early_lead": float((before - losses[THIRD]) / (before - after)) - 0.5,
    } | {_loss_after(share): float(value) for share, value in losses.items()}


def _mean(part: pd.DataFrame) -> pd.Series:
    return part.groupby("word")["correlation"].mean()


def _spectra(
    clean: Tensor, protected: Tensor, noisy: Tensor, drawn: dict[str, dict[str, Tensor]]
) -> list[Row]:
    base = spectrum(clean)
    wanted = gain(spectrum(protected), base)
    gains = {
        on(name, "protected"): gain(*(spectrum(drawn[trained][name]) for trained in TRAINED))
        for name in ("identifier", "class")
    } | {"random noise": gain(spectrum(noisy), base)}
    return [{"sheet": name, "match": spectrum_match(each, wanted)} for name, each in gains.items()]


__all__ = ["BANDS", "THIRD", "TRAINED", "WATCHED", "Traces", "on"]
