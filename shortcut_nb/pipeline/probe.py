"""What is read off samples: scores, distances, traits, and looks inside the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from ..analysis.clip_shift import clip_shift
from ..cells import CLEAN, OWN, Cell, Sheet
from ..inside import INSIDE
from ..metrics import METRICS, AttributeReader, IdentityEncoder, hardened
from ..metrics.apart import distance_to
from ..metrics.copying import nearest, spread
from ..metrics.frame import TRAIT, is_available, networks_of
from ..store import Entry, Payload, plain
from ..store.code import code_of
from ..subjects import Subject
from .base import photos_of
from .node import Node
from .sample import Sampling


class Probing(Sampling):
    """Measures of samples."""

    def scores(
        self, subject: Subject, cell: Cell = CLEAN, seed: int = 0, sheet: Sheet = OWN, n: int = 8
    ) -> pd.DataFrame:
        """One row per sample: every metric, ``noise`` (CLIP's probability), ``train_seconds``."""
        return table(self.make(self.probe(subject, cell, seed, sheet, n)))

    def probe(self, subject: Subject, cell: Cell, seed: int, sheet: Sheet, n: int) -> Node:
        """Every registered metric of the samples, and how far they repeat what was trained on.

        With a CLIP also its probability of noise. Or what a look inside the model finds; see
        :mod:`.inside`.
        """
        if sheet.inside:
            return self._inside(subject, cell, seed, sheet.inside, n)
        drawn = self.sample(subject, cell, seed, sheet, n)
        concept, noise = self.lab.profile.concepts[:2]

        def write(out: Payload) -> None:
            entry = self.make(drawn)
            images = entry.images("images")
            trained_on = self._trained_on(subject, self.purify(subject, cell, seed), cell)
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
        return Node(recipe, (drawn,), write, f"probe{drawn.about[6:]}")

    def apart(self, subject: Subject, cell: Cell, seed: int, sheet: Sheet, n: int) -> Node:
        """Each sample's distance to what plain training on clean pictures draws of the same.

        See :func:`.metrics.apart.distance_to`; the profile must name an identity encoder.
        """
        drawn = self.sample(subject, cell, seed, sheet, n)
        plain_sheet = Sheet(of=sheet.of)
        clean = self.sample(subject, CLEAN, seed, plain_sheet, n)
        clean = replace(clean, of={"cell": CLEAN, "sheet": plain_sheet})

        def write(out: Payload) -> None:
            images, references = (self.make(node).images("images") for node in (drawn, clean))
            distance = distance_to(self.lab.identity, images, references)
            out.save_json("columns", {"apart": distance.tolist()})

        inputs: dict[str, Any] = {"samples": drawn.recipe, "clean": clean.recipe}
        params = {"probe": "apart", "itself": "counted"}
        recipe = self._recipe("probe", params, inputs | self._weights("identity"))
        return Node(recipe, (drawn, clean), write, f"probe distance{drawn.about[6:]}")

    def traits(self, subject: Subject, cell: Cell, seed: int, sheet: Sheet, n: int) -> Node:
        """Whether each sample shows each of the person's attributes: a column for each.

        See :meth:`.metrics.AttributeReader.kept`; the profile must name a measure "attributes".
        """

        def read(reader: AttributeReader, images: Tensor) -> dict[str, list[float]]:
            kept = reader.kept(images, subject.c).astype(float)
            return {f"{TRAIT}{name}": list(kept[name]) for name in kept}

        drawn = self.sample(subject, cell, seed, sheet, n)
        return self._read_off(drawn, subject, "traits", "attributes", read)

    def hidden(self, subject: Subject, cell: Cell, seed: int, sheet: Sheet, n: int) -> Node:
        """The identity match by an encoder that looks through noise.

        See :func:`.metrics.hardened.match`; the profile must name a measure "identity-hardened".
        """

        def read(encoder: IdentityEncoder, images: Tensor) -> dict[str, list[float]]:
            scores = hardened.match(encoder, images, subject.c)
            return {name: scores.tolist() for name in hardened.COLUMNS}

        drawn = self.sample(subject, cell, seed, sheet, n)
        return self._read_off(drawn, subject, "hidden", hardened.MEASURE, read)

    def _read_off(
        self,
        drawn: Node,
        subject: Subject,
        probe: str,
        measure: str,
        read: Callable[[Any, Tensor], dict[str, list[float]]],
    ) -> Node:
        """What one of the profile's measures reads off samples, beside the person's set C."""

        def write(out: Payload) -> None:
            images = self.make(drawn).images("images")
            out.save_json("columns", read(self.lab.measure(measure), images))

        inputs: dict[str, Any] = {"samples": drawn.recipe, "reference": self._digest(subject, "c")}
        inputs |= self._weights(f"measure:{measure}")
        recipe = self._recipe("probe", {"probe": probe}, inputs)
        return Node(recipe, (drawn,), write, f"probe {probe}{drawn.about[6:]}")

    def _inside(self, subject: Subject, cell: Cell, seed: int, name: str, n: int) -> Node:
        """What a look inside the model finds."""
        look = INSIDE[name]()
        needs = look.needs(self, subject, cell, seed)

        def write(out: Payload) -> None:
            out.save_json("columns", look.measure(self, subject, cell, seed, n))
            out.save_json("values", {})

        recipes = look.recipes(self, subject, cell, seed)
        inputs = {f"input {i}": recipe for i, recipe in enumerate(recipes)}
        params = {"probe": name, "settings": plain(look), "n": n, "seed": seed}
        params |= code_of([type(look)])
        recipe = self._recipe("probe", params, inputs)
        return Node(recipe, needs, write, f"look {name} {subject.name} {photos_of(cell)}")

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
    """A probe's scores as a frame, one row per sample, with the costs that belong to them."""
    return pd.DataFrame(entry.json("columns")).assign(**entry.json("values"))
