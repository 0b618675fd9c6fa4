"""A subject: three sets of pictures of one person (or thing) and the words for it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from .errors import UserError, WrongType
from .files import expand
from .files.pictures import SETS, Listing, has_sets
from .images import check_images, read_folder, to_batch
from .profile import PromptDefaults
from .templates import counted

log = logging.getLogger("shortcut_nb")


@dataclass(frozen=True, eq=False, repr=False)
class Subject:
    """Pictures and prompts of one subject (Anti-DreamBooth's protocol).

    Attributes:
        a: clean pictures a protector may train surrogates on.
        b: pictures to protect, and what the adversary fine-tunes on.
        c: clean pictures kept aside as the reference of the identity metric.
        instance_prompt, class_prompt: with and without the identifier.
        files: names of the files that set B was read from; empty for pictures from elsewhere.

    All sets are float32 (n, 3, H, W) in [0, 1].
    """

    name: str
    a: Tensor
    b: Tensor
    c: Tensor
    class_name: str
    identifier: str
    instance_prompt: str
    class_prompt: str
    files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, images in (("set A", self.a), ("set B", self.b), ("set C", self.c)):
            check_images(images, f"{name} of {self.name}")
        sizes = {tuple(images.shape[2:]) for images in (self.a, self.b, self.c)}
        if len(sizes) > 1:
            raise UserError(
                f"the sets of {self.name} must have pictures of one size; got "
                f"{', '.join(f'{high} x {wide}' for high, wide in sorted(sizes))}"
            )

    def __repr__(self) -> str:
        sets = ", ".join(f"{name} {len(x)}" for name, x in zip("ABC", (self.a, self.b, self.c)))
        high, wide = self.a.shape[2:]
        return f"Subject({self.name!r}, sets {sets} of {high} x {wide}, {self.instance_prompt!r})"

    @classmethod
    def from_images(
        cls,
        images: Any,
        class_name: str = "person",
        identifier: str = "sks",
        *,
        reference: Any = None,
        name: str = "pictures",
        words: PromptDefaults | None = None,
    ) -> Subject:
        """A subject from pictures in memory: all of them are protected and trained on.

        Args:
            images: (n, 3, H, W) float32 in [0, 1], or what
                :func:`shortcut_nb.images.to_batch` makes of it; they are put on the 8-bit grid, as
                photos are, so that a budget counts whole grey levels.
            reference: clean pictures for the identity metric; None takes the pictures themselves.
            words: templates of the prompts; None is "a photo of {identifier} {class_name}".

        Raises:
            UserError: wrong pictures, or of several sizes.
            WrongType: words that are no templates.
        """
        words = PromptDefaults() if words is None else words
        if not isinstance(words, PromptDefaults):
            raise WrongType(
                f"words must be templates, such as PromptDefaults(instance='a photo of "
                f"{{identifier}} {{class_name}}'); got {words!r}."
            )
        images = (to_batch(images) * 255).round() / 255
        return cls(
            name,
            images,
            images.clone(),
            images.clone() if reference is None else to_batch(reference, "reference"),
            class_name,
            identifier,
            words.instance_prompt(class_name, identifier),
            words.prior_prompt(class_name, identifier),
        )

    @property
    def images(self) -> Tensor:
        """The pictures to protect: set B."""
        return self.b


@dataclass(frozen=True, eq=False)
class FolderSets:
    """The sets A, B, C of a folder, each (n, 3, size, size), and the file names of set B."""

    a: Tensor
    b: Tensor
    c: Tensor
    files: tuple[str, ...]


def split_folder(folder: str | Path, size: int) -> FolderSets:
    """Sets A, B, C from a folder of photos; says in one log line what was used.

    Subfolders ``set_A``, ``set_B``, ``set_C`` are taken as they are. Otherwise every picture of
    the folder is in all three sets: all are protected, and results are compared with all.

    Raises:
        MissingFile: no such folder, no picture, or only some of the three subfolders.
        UserError: a picture that cannot be read.
    """
    folder = expand(folder, "the folder of photos")
    if not has_sets(folder):
        images, listing = read_folder(folder, size)
        _say(folder, f"{counted(len(images), 'picture')}, each in sets A, B and C", size, [listing])
        return FolderSets(images, images.clone(), images.clone(), tuple(listing.names))
    (a, b, c), listings = zip(*(read_folder(folder / name, size) for name in SETS), strict=True)
    counts = ", ".join(f"{name} {len(x)}" for name, x in zip(SETS, (a, b, c), strict=True))
    _say(folder, f"pictures in {counts}", size, listings)
    return FolderSets(a, b, c, tuple(listings[1].names))


def _say(folder: Path, used: str, size: int, listings: Sequence[Listing]) -> None:
    level = logging.WARNING if any(listing.left_out for listing in listings) else logging.INFO
    remarks = "".join(listing.remarks() for listing in listings)
    log.log(
        level, "%s: %s, cut to the central square, %d x %d%s", folder, used, size, size, remarks
    )
