"""A subject: three sets of pictures of one person (or thing) and the words for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .images import check_images, load_folder

SETS = ("set_A", "set_B", "set_C")


@dataclass(frozen=True, eq=False)
class Subject:
    """Pictures and prompts of one subject (Anti-DreamBooth's protocol).

    Attributes:
        a: clean pictures a protector may train surrogates on.
        b: pictures to protect, and what the adversary fine-tunes on.
        c: clean pictures kept aside as the reference of the identity metric.
        instance_prompt, class_prompt: with and without the identifier.

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

    def __post_init__(self) -> None:
        for name, images in (("set A", self.a), ("set B", self.b), ("set C", self.c)):
            check_images(images, f"{name} of {self.name}")

    @property
    def images(self) -> Tensor:
        """The pictures to protect: set B."""
        return self.b


def split_folder(folder: str | Path, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Sets A, B, C from a folder of photos, each (n, 3, size, size).

    Subfolders ``set_A``, ``set_B``, ``set_C`` are taken as they are. Otherwise the pictures, sorted
    by name, are dealt out in three parts; with fewer than three, all sets are the whole folder.

    Raises:
        FileNotFoundError, ValueError: see :func:`shortcut_nb.images.load_folder`.
    """
    folder = Path(folder).expanduser()
    if all((folder / name).is_dir() for name in SETS):
        a, b, c = (load_folder(folder / name, size)[0] for name in SETS)
        return a, b, c
    images, _ = load_folder(folder, size)
    if len(images) < len(SETS):
        return images, images.clone(), images.clone()
    first, second, third = torch.tensor_split(images[:12], 3)
    return first, second, third
