"""The pool of rendered training pictures: drawn once, in parallel, and kept as one .npy file."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ...files import writing
from ..avatars import Identity, Nuisance, draw, identity, nuisance
from ..captions import names


@dataclass(frozen=True)
class PoolSize:
    """How many identities have a name, how many have none, and how many pictures each has."""

    named: int = 384
    named_pictures: int = 24
    unnamed: int = 5000
    unnamed_pictures: int = 6
    first: int = 0

    @property
    def rows(self) -> list[tuple[int, int]]:
        """(identity index, picture seed) of every picture, in a fixed order."""
        named = range(self.first, self.first + self.named)
        rest = range(self.first + self.named, self.first + self.named + self.unnamed)
        rows = [(i, 1000 * i + k) for i in named for k in range(self.named_pictures)]
        return rows + [(i, 1000 * i + k) for i in rest for k in range(self.unnamed_pictures)]

    @classmethod
    def of(cls, pictures: int | None = None) -> PoolSize:
        """The pool of the shipped models, or a small one of about so many pictures."""
        if pictures is None:
            return cls()
        people = max(pictures // 8, 36)
        return cls(named=people, named_pictures=4, unnamed=people, unnamed_pictures=4)

    @classmethod
    def held_out(cls, pictures: int | None = None) -> PoolSize:
        """Pictures that no other model was trained on, for the measure of quality."""
        people = 1500 if pictures is None else max(pictures // 8, 36)
        return cls(named=0, named_pictures=0, unnamed=people, unnamed_pictures=4, first=100_000)

    @classmethod
    def many_people(cls, pictures: int | None = None) -> PoolSize:
        """One picture each of many people, for the reader of attributes.

        From few people it learns by heart who has which nose.
        """
        people = 12_000 if pictures is None else max(pictures // 4, 36)
        return cls(named=0, named_pictures=0, unnamed=people, unnamed_pictures=1, first=200_000)


@dataclass(frozen=True)
class Pool:
    """Rendered pictures uint8 (n, 64, 64, 3), their identities, and the seeds they came from."""

    pictures: np.ndarray
    index: np.ndarray
    seeds: np.ndarray
    named: int

    @cached_property
    def people(self) -> dict[int, Identity]:
        """The identity of each index."""
        return {int(i): identity("train", int(i)) for i in self.numbers}

    @cached_property
    def numbers(self) -> np.ndarray:
        """The different identity indices, in order."""
        return np.unique(self.index)

    @cached_property
    def names(self) -> list[str]:
        """The names of the first ``named`` identities."""
        return names(self.named)

    def identity_of(self, row: int) -> Identity:
        """The person on a picture."""
        return self.people[int(self.index[row])]

    def nuisance_of(self, row: int) -> Nuisance:
        """All else on a picture: pose, expression, clothes, light."""
        return nuisance(int(self.seeds[row]))

    def name(self, row: int) -> str | None:
        """The name of the person on a picture; None for those without one."""
        return self.names[self.index[row]] if self.index[row] < self.named else None


def _render(task: tuple[int, int]) -> np.ndarray:
    number, seed = task
    return draw(identity("train", number), nuisance(seed))


def render_pool(path: Path, size: PoolSize | None = None, workers: int | None = None) -> Pool:
    """Open the pool at ``path``, rendering it first if it is not there (about 17 ms a picture)."""
    size = size or PoolSize()
    rows = size.rows
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(workers or os.cpu_count()) as executor:
            pictures = np.stack(list(executor.map(_render, rows, chunksize=64)))
        with writing(path) as fresh, fresh.open("wb") as out:
            np.save(out, pictures)
    pictures = np.load(path, mmap_mode="r")  # one copy in memory for all processes
    if len(pictures) != len(rows):
        raise ValueError(f"{path} holds {len(pictures)} pictures, expected {len(rows)}: delete it")
    index, seeds = (np.array(column) for column in zip(*rows, strict=True))
    return Pool(pictures, index, seeds, size.named)
