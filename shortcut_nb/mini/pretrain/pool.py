"""The pool of rendered training pictures: drawn once, in parallel, and kept as one .npz file."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ..avatars import Identity, Nuisance, draw, identity, nuisance
from ..captions import names


@dataclass(frozen=True)
class PoolSize:
    """How many identities have a name, how many have none, and how many pictures each has."""

    named: int = 384
    named_pictures: int = 16
    unnamed: int = 2400
    unnamed_pictures: int = 6

    @property
    def rows(self) -> list[tuple[int, int]]:
        """(identity index, picture seed) of every picture, in a fixed order."""
        named = [(i, 1000 * i + k) for i in range(self.named) for k in range(self.named_pictures)]
        rest = range(self.named, self.named + self.unnamed)
        return named + [(i, 1000 * i + k) for i in rest for k in range(self.unnamed_pictures)]


@dataclass(frozen=True)
class Pool:
    """Rendered pictures uint8 (n, 64, 64, 3), their identities, and the seeds they came from."""

    pictures: np.ndarray
    index: np.ndarray
    seeds: np.ndarray
    named: int

    @cached_property
    def people(self) -> list[Identity]:
        """The identity of each index, by position."""
        return [identity("train", i) for i in range(int(self.index.max()) + 1)]

    @cached_property
    def names(self) -> list[str]:
        """The names of the first ``named`` identities."""
        return names(self.named)

    def who(self, row: int) -> Identity:
        return self.people[self.index[row]]

    def how(self, row: int) -> Nuisance:
        return nuisance(int(self.seeds[row]))

    def name(self, row: int) -> str | None:
        return self.names[self.index[row]] if self.index[row] < self.named else None


def _render(task: tuple[int, int]) -> np.ndarray:
    who, seed = task
    return draw(identity("train", who), nuisance(seed))


def render_pool(path: Path, size: PoolSize | None = None, workers: int | None = None) -> Pool:
    """Open the pool at ``path``, rendering it first if it is not there (about 17 ms a picture)."""
    size = size or PoolSize()
    rows = size.rows
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(workers or os.cpu_count()) as executor:
            pictures = np.stack(list(executor.map(_render, rows, chunksize=64)))
        fresh = path.with_suffix(".tmp.npy")
        np.save(fresh, pictures)
        fresh.replace(path)
    pictures = np.load(path)
    if len(pictures) != len(rows):
        raise ValueError(f"{path} holds {len(pictures)} pictures, expected {len(rows)}: delete it")
    index, seeds = (np.array(column) for column in zip(*rows, strict=True))
    return Pool(pictures, index, seeds, size.named)
