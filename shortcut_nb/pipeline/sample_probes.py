"""What is measured of samples: scores, further probes by name, and probes of the model itself."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import pandas as pd
import torch

from ..analysis.clip_shift import clip_shift
from ..cells import CLEAN, OWN, Cell, Sheet
from ..inside import MODEL_PROBES
from ..metrics import METRICS, SAMPLE_PROBES
from ..metrics.copying import nearest, spread
from ..metrics.frame import (
    check_described,
    checked_columns,
    is_available,
    networks_of,
)
from ..store import Entry, Payload, plain
from ..store.code import code_of
from ..subjects import Subject
from .base import Whose, photos_of
from .node import Node, as_tuple
from .sample import Sampling


class SampleProbing(Sampling):
    """Measures of samples."""

    def scores(
        self, subject: Whose, cell: Cell = CLEAN, seed: int = 0, sheet: Sheet = OWN, n: int = 8
    ) -> pd.DataFrame:
        """One row per sample: every metric, ``noise`` (CLIP's probability), ``train_seconds``.

        Arguments and errors are those of :meth:`.Pipeline.samples`.
        """
        subject = self._of(subject, cell)
        return table(self.make(self.score_samples(subject, cell, seed, sheet, n)))

    def score_samples(self, subject: Subject, cell: Cell, seed: int, sheet: Sheet, n: int) -> Node:
        """Every registered metric of the samples, and how far they repeat what was trained on.

        With a CLIP also its probability of noise. Or what a probe of the model finds; see
        :mod:`.inside`.
        """
        if sheet.inside:
            return self._probe_model(subject, cell, seed, sheet.inside, n)
        drawn = self.sample(subject, cell, seed, sheet, n)
        purified = self.purify(subject, cell, seed)
        concept, noise = self.lab.profile.concepts[:2]

        def write(out: Payload) -> None:
            entry = self.make(drawn)
            images = entry.images("images")
            trained_on = self._trained_on(subject, purified, cell)
            frame = self.lab.score(images, subject).assign(copies=nearest(images, trained_on))
            if self._has("clip"):
                shift = clip_shift(self.lab.clip, images, concept, noise)
                with torch.no_grad():
                    diversity = spread(self.lab.clip.image(images))
                frame = frame.assign(noise=1 - shift["concept_probability"], diversity=diversity)
            out.save_json("columns", frame.to_dict("list"))
            out.save_json("values", entry.json("cost"))

        params = {"probe": "score", "metrics": self._metrics, "concepts": [concept, noise]}
        params |= code_of(METRICS[name] for name in self._metrics)
        inputs: dict[str, Any] = {"samples": drawn.recipe, "reference": self._digest(subject, "c")}
        inputs |= self._weights("clip", "detector", "faces", "identity", *self._measures)
        recipe = self._recipe("probe", params, inputs)
        about = f"probe{drawn.about.removeprefix('sample')}"
        return Node(recipe, (drawn, *as_tuple(purified)), write, about)

    def probe_samples(
        self, subject: Subject, cell: Cell, seed: int, sheet: Sheet, n: int, name: str
    ) -> Node:
        """A further measure of the samples, by its name in :data:`.metrics.SAMPLE_PROBES`."""
        probe, drawn = SAMPLE_PROBES[name], self.sample(subject, cell, seed, sheet, n)
        needs: tuple[Node, ...] = (drawn,)
        inputs: dict[str, Any] = {"samples": drawn.recipe}
        if probe.references == "clean training":
            clean = self._of_clean_training(subject, seed, sheet, n)
            needs, inputs["clean"] = (drawn, clean), clean.recipe
        else:
            inputs["reference"] = self._digest(subject, "c")

        def write(out: Payload) -> None:
            images, *others = (self.make(node).images("images") for node in needs)
            references = others[0] if others else subject.c
            given = probe.measure(self.lab, images, references)
            what = f"the sample probe {name!r}"
            out.save_json("columns", checked_columns(what, given, probe.gives, len(images)))

        params = {"probe": name, **probe.settings} | code_of([probe.measure])
        recipe = self._recipe("probe", params, inputs | self._weights(*probe.roles))
        about = f"probe {name}{drawn.about.removeprefix('sample')}"
        return Node(recipe, needs, write, about)

    def _of_clean_training(self, subject: Subject, seed: int, sheet: Sheet, n: int) -> Node:
        """Samples of plain training on clean pictures, plainly asked for what a sheet is of."""
        words = Sheet(of=sheet.of)
        node = self.sample(subject, CLEAN, seed, words, n)
        return replace(node, of={"cell": CLEAN, "sheet": words})

    def _probe_model(self, subject: Subject, cell: Cell, seed: int, name: str, n: int) -> Node:
        """What a probe of the model finds."""
        probe = MODEL_PROBES[name]()
        needs = probe.needs(self, subject, cell, seed)

        def write(out: Payload) -> None:
            given = probe.measure(self, subject, cell, seed, n)
            described = {*probe.columns, "sheet"}
            check_described(f"the model probe {name!r}", given, described.__contains__)
            out.save_json("columns", given)
            out.save_json("values", {})

        recipes = probe.recipes(self, subject, cell, seed)
        inputs = {f"input {i}": recipe for i, recipe in enumerate(recipes)}
        params = {"probe": name, "settings": plain(probe), "n": n, "seed": seed}
        params |= code_of([type(probe)])
        recipe = self._recipe("probe", params, inputs)
        return Node(recipe, needs, write, f"probe {name} {subject.name} {photos_of(cell)}")

    @cached_property
    def _metrics(self) -> list[str]:
        """The metrics of pictures that can be had here."""
        return sorted(name for name, each in METRICS.items() if is_available(each, self.lab))

    @property
    def _measures(self) -> list[str]:
        """The roles of the measures that those metrics open; "measure:" stands for all."""
        opened = [networks_of(METRICS[name]) for name in self._metrics]
        return sorted({f"measure:{name}" for names in opened for name in names})


def table(entry: Entry) -> pd.DataFrame:
    """An output's scores as a frame, one row per sample, with the costs that belong to them."""
    return pd.DataFrame(entry.json("columns")).assign(**entry.json("values"))
