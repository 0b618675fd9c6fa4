"""What one fine-tuning starts from."""

from __future__ import annotations

from dataclasses import dataclass

from ..diffusion import Diffusion
from ..latents import Latents
from ..models import Models
from ..subjects import Subject
from .methods import Method
from .prompts import Prompts


@dataclass(frozen=True, eq=False)
class Prepared:
    """A model that is about to be fine-tuned, with its method and its words.

    Attributes:
        subject: whom it is to learn.
        models: what a profile names.
        model: a copy of the text-to-image model, which the method has prepared.
        method: what is trained of it.
        words: the prompts, in the method's own words.
        prior: latents of the class pictures; None without prior preservation.
    """

    subject: Subject
    models: Models
    model: Diffusion
    method: Method
    words: Prompts
    prior: Latents | None = None
