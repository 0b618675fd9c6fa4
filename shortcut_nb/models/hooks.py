"""What a lab asks before it makes what may be kept somewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from ..attacks import Attack
    from ..progress import Progress
    from ..subjects import Subject
    from .class_pictures import ClassPictures


@dataclass(frozen=True)
class Hooks:
    """Where a lab's class pictures and protected pictures are kept, and how work on them is shown.

    A pipeline gives a lab others while it works (:meth:`.Pipeline.keeping`), and so does a command,
    by ``lab.hooks = dataclasses.replace(lab.hooks, …)``. No hook changes a number.

    Attributes:
        class_latents: gives latents (n, c, h, w) of class pictures: read where they are kept, or
            drawn (:meth:`.Models.draw_class_pictures`) and kept. None draws them.
        protected: gives a subject's set B under an attack that another attack builds on,
            (n, 3, H, W) in [0, 1]: read where it is kept, or made and kept. None makes it.
        progress: gives, for a label, what shows how far the drawing of class pictures is. None
            shows nothing.
    """

    class_latents: Callable[[ClassPictures], Tensor] | None = None
    protected: Callable[[Attack, Subject], Tensor] | None = None
    progress: Callable[[str], Progress] | None = None
