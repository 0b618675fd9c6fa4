"""Protect and purify photos at their own size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from ..attacks import AttackResult, BoundAttack
from ..budget import Budget
from ..errors import WrongType
from ..files import expand, write_json, writing
from ..files.outputs import check_output
from ..files.pictures import has_folder, stems_of
from ..lab import Lab
from ..progress import OnStep, StepInfo
from ..purify import BoundPurifier
from ..subjects import SETS, Subject
from .carrying import carry
from .groups import InGroups, ResultOf, keeping
from .photo import Photo, Photos
from .tiles import in_tiles


@dataclass(frozen=True, eq=False)
class FullSize:
    """Full-size results of photos; each is worked out when it is asked for, and not kept.

    Args:
        photos: where they come from.
        result_of: from a photo and its number to its result, (height, width, 3) uint8.
        budget: no grey level of any photo changes by more; None for no limit.
        attack: what the attack did on the squares, for protected photos.
    """

    photos: Photos
    result_of: ResultOf
    budget: Budget | None = None
    attack: AttackResult | None = None

    def __len__(self) -> int:
        return len(self.photos)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Each photo's result, (height, width, 3) uint8, one at a time."""
        for number, photo in enumerate(self.photos.photos):
            yield self.result_of(photo, number)

    def save(self, folder: str | Path, force: bool = False) -> Path:
        """Write every photo, all or nothing; see :meth:`put`.

        Args:
            force: replace an earlier result there.

        Raises:
            AlreadyThere, CannotWrite: see :func:`shortcut_nb.files.outputs.check_output`.
        """
        record = "purify.json" if self.attack is None else "attack.json"
        output = check_output(folder, record, force=force)
        with output.filling() as fresh:
            self.put(fresh)
            if self.attack is None:
                write_json(fresh / record, {"files": sorted(p.name for p in fresh.iterdir())})
        return output.folder

    def put(self, folder: str | Path, on_step: OnStep | None = None) -> list[int]:
        """Write each as PNG under the photo's name, one in memory at a time.

        Pixels are upright and EXIF data are not kept: where a photo was taken stays with its owner.
        Protected photos get an ``attack.json`` beside them.

        Returns:
            The largest change of each photo, in grey levels.

        Raises:
            CannotWrite: when the system refuses.
        """
        target = expand(folder, "the folder")
        stems = stems_of(self.photos.names)
        largest = []
        for stem, photo, after in zip(stems, self.photos.photos, self, strict=True):
            largest.append(_largest_change(photo.pixels(), after))
            with writing(target / f"{stem}.png") as fresh:
                Image.fromarray(after).save(fresh, format="PNG")
            if on_step:
                on_step(StepInfo(len(largest), len(stems)))
        if self.attack is not None:
            card = self.attack.card([f"{stem}.png" for stem in stems])
            sizes = [list(photo.size) for photo in self.photos.photos]
            write_json(target / "attack.json", card | {"linf_pixels": largest, "sizes": sizes})
        return largest


def _largest_change(before: np.ndarray, after: np.ndarray) -> int:
    """The largest difference of two uint8 pictures, without a wider copy of them."""
    return int(np.max(np.maximum(before, after) - np.minimum(before, after)))


def subject_of(
    photos: Photos,
    folder: str | Path,
    lab: Lab,
    class_name: str | None = None,
    identifier: str | None = None,
) -> Subject:
    """A folder's subject, with the squares of all its photos for pictures to protect.

    Args:
        folder: a plain folder's squares are all three sets. Of one with set_A, set_B and set_C, A
            and C are taken as :meth:`Lab.subject` takes them: cut to central squares.
    """
    squares = photos.seen(lab.profile.resolution)
    if not any(has_folder(expand(folder, "the folder of photos"), name) for name in SETS):
        return lab.subject(squares, class_name, identifier)
    return replace(lab.subject(folder, class_name, identifier), b=squares, files=())


def carried(photos: Photos, result: AttackResult) -> FullSize:
    """Protected squares, carried to the photos that they were cut from."""
    changes = photos.split(result.images - result.clean)
    return FullSize(
        photos,
        lambda photo, number: carry(photo, changes[number], result.budget),
        result.budget,
        result,
    )


def protect_photos(
    folder: str | Path,
    attack: BoundAttack,
    lab: Lab,
    class_name: str | None = None,
    identifier: str | None = None,
    on_step: OnStep | None = None,
) -> FullSize:
    """Protect photos at their own size.

    The attack works on the squares that the model sees; its perturbation is carried to all pixels
    of the photos, and its budget holds on every grey level of what is written.

    Args:
        folder: of photos; see :meth:`Photos.open`.
        attack: what ``lab.attack(...)`` gave.

    Raises:
        UserError: see :meth:`Photos.open`, and the attack's own.
    """
    _check(attack, BoundAttack, 'attack must come from lab.attack("aspl")')
    _check(lab, Lab, "lab must be a Lab")
    photos = Photos.open(folder)
    subject = subject_of(photos, folder, lab, class_name, identifier)
    return carried(photos, attack(subject, on_step=on_step))


def purify_photos(
    folder: str | Path, purifier: BoundPurifier, lab: Lab, on_step: OnStep | None = None
) -> FullSize:
    """Purify a folder's photos at their own size; see :func:`purified`.

    Raises:
        UserError: see :meth:`Photos.open`, and the purifier's own.
    """
    _check(purifier, BoundPurifier, 'purifier must come from lab.purifier("restorer")')
    _check(lab, Lab, "lab must be a Lab")
    return purified(Photos.open(folder), purifier, lab, on_step)


def _check(thing: object, wanted: type, text: str) -> None:
    """Refuse an argument of another type.

    Raises:
        WrongType: says what is expected and what came.
    """
    if not isinstance(thing, wanted):
        raise WrongType(f"{text}; got {thing!r:.60}")


def purified(
    photos: Photos,
    purifier: BoundPurifier,
    lab: Lab,
    on_step: OnStep | None = None,
    keep: Path | None = None,
) -> FullSize:
    """Purify photos at their own size, a few at a time.

    A filter (one without a model) works on the photo's own pixels, in tiles. A network works on the
    squares that it was made for, and what it changed is carried to the photo: detail finer than its
    pixels stays as it was, and so does a perturbation that fine. Ask for squares to be rid of it.

    Args:
        purifier: what ``lab.purifier(...)`` gave.
        keep: a folder where each result is kept, and taken from when it is there already.
    """
    if purifier.roles:
        result_of: ResultOf = InGroups(photos, purifier, lab.profile.resolution, on_step)
    else:

        def result_of(photo: Photo, number: int) -> np.ndarray:
            return in_tiles(photo.pixels(), purifier, margin=purifier.settings.reach)

    return FullSize(photos, result_of if keep is None else keeping(result_of, keep))
