"""Purify many pictures a few at a time, and keep what is done."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..errors import CannotWrite
from ..files import writing
from ..progress import OnStep, StepInfo, share_of
from ..purify import BoundPurifier
from ..purify.rows import counted_from
from .carrying import carry
from .photo import Photo, Photos

log = logging.getLogger("shortcut_nb")
GROUP = 8
"""Squares that are purified together at least: what a killed run has to do again."""
_FAST = 1  # of PNG's levels of compression

ResultOf = Callable[[Photo, int], np.ndarray]
"""From a photo and its number to its result, (height, width, 3) uint8."""


def groups_of(counts: Sequence[int]) -> Iterator[range]:
    """The numbers of things in groups that hold :data:`GROUP` squares each, or what is left.

    Args:
        counts: squares of each thing.
    """
    first = total = 0
    for number, count in enumerate(counts):
        total += count
        if total >= GROUP or number == len(counts) - 1:
            yield range(first, number + 1)
            first, total = number + 1, 0


class InGroups:
    """Results of a network purifier on photos: squares of a few photos together, on demand.

    Which photos go together does not depend on which are asked for, so that the bits do not.
    """

    def __init__(
        self, photos: Photos, purifier: BoundPurifier, side: int, on_step: OnStep | None
    ) -> None:
        self.photos, self.purifier, self.side, self.on_step = photos, purifier, side, on_step
        self.counts = [len(photo.squares) for photo in photos.photos]
        self.groups = list(groups_of(self.counts))
        self._number = -1  # of the group that was purified last
        self._changes: list[Tensor] = []

    def __call__(self, photo: Photo, number: int) -> np.ndarray:
        """The result of photo ``number``."""
        index = next(i for i, group in enumerate(self.groups) if number in group)
        if index != self._number:
            self._number, self._changes = index, self._purify(index)
        return carry(photo, self._changes[number - self.groups[index].start])

    def _purify(self, index: int) -> list[Tensor]:
        group = self.groups[index]
        squares = torch.cat([self.photos.photos[number].seen(self.side) for number in group])
        with counted_from(sum(self.counts[: group.start])):
            after = self.purifier(squares, self._share(index))
        return list((after - squares).split([self.counts[number] for number in group]))

    def _share(self, index: int) -> OnStep | None:
        return share_of(self.on_step, index, len(self.groups)) if self.on_step else None


def keeping(result_of: ResultOf, folder: Path) -> ResultOf:
    """The same results, each kept in a folder and taken from there when it is there already."""

    def result(photo: Photo, number: int) -> np.ndarray:
        place = folder / f"{number:05d}.png"
        pixels = _read_pixels(place)
        if pixels is None or pixels.shape[1::-1] != photo.size:
            pixels = result_of(photo, number)
            image = Image.fromarray(pixels)
            _keep(place, lambda fresh: image.save(fresh, format="PNG", compress_level=_FAST))
        return pixels

    return result


def purified_rows(
    images: Tensor,
    purifier: BoundPurifier,
    on_step: OnStep | None = None,
    keep: Path | None = None,
    on_picture: OnStep | None = None,
) -> Tensor:
    """What a purifier makes of pictures (n, 3, H, W), a few at a time.

    Args:
        keep: a folder where finished pictures are kept, and taken from when they are there.
        on_picture: told how many are finished.
    """
    groups, parts = list(groups_of([1] * len(images))), []
    for index, group in enumerate(groups):
        rows = images[group.start : group.stop]
        places = [keep / f"{number:05d}.safetensors" for number in group] if keep else []
        part = _read_rows(places, rows.shape[1:]) if places else None
        if part is None:
            with counted_from(group.start):
                share = share_of(on_step, index, len(groups)) if on_step else None
                part = purifier(rows, share).cpu()
            for place, row in zip(places, part, strict=bool(places)):
                _keep(place, partial(save_file, {"image": row.contiguous()}))
        parts.append(part)
        if on_picture:
            on_picture(StepInfo(group.stop, len(images)))
    return torch.cat(parts)


def _keep(place: Path, write: Callable[[Path], object]) -> None:
    """Keep a result; a store that cannot be written costs a killed run its work, not this one."""
    try:
        with writing(place) as fresh:
            write(fresh)
    except CannotWrite as error:
        log.warning("%s (The work goes on; a killed run starts anew.)", error)


def _read_pixels(place: Path) -> np.ndarray | None:
    try:
        with Image.open(place) as opened:
            return np.array(opened.convert("RGB"))
    except (OSError, SyntaxError, ValueError):
        return None


def _read_rows(places: Sequence[Path], shape: torch.Size) -> Tensor | None:
    """Pictures that were kept; None unless all are there, whole and of that shape."""
    try:
        rows = [load_file(place)["image"] for place in places]
    except (OSError, SafetensorError, KeyError):
        return None
    return torch.stack(rows) if all(row.shape == shape for row in rows) else None
