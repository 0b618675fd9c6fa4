"""What a training returns: a fine-tuned model with its words, to sample from and to save."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ..diffusion import Diffusion
from ..diffusion.lengths import check_lengths
from ..errors import AlreadyThere
from ..files import expand, writing
from ..settings import Count, Guidance, SampleSteps, Seed, read
from ..templates import counted
from ..tuning.modes import in_own_arithmetic
from ..weights import IN_MEMORY
from .methods import Method
from .prompts import Prompts


@dataclass(frozen=True, eq=False, repr=False)
class Personalized:
    """A fine-tuned model with the words that belong to it.

    Attributes:
        model: a copy of the text-to-image model, fine-tuned, in evaluation mode.
        prompts: what was said in training and is said when sampling, in the method's own words.
        steps, guidance_scale: the profile's, at which :meth:`sample` draws.
        seconds: wall-clock time of the training, in all of its runs.
        losses: the loss of each step, of earlier runs included.
        method: what was trained, and how it is saved.
        identifier: the word that stands for the subject in the subject's own prompts.
        base: how diffusers opens the model that was trained: "from_pretrained(…)" or the like, as
            :meth:`how_to_load` says it; "" where that is not known.
    """

    model: Diffusion
    prompts: Prompts
    steps: int
    guidance_scale: float
    seconds: float
    losses: list[float]
    method: Method
    identifier: str
    base: str = ""

    def __repr__(self) -> str:
        learned = counted(len(self.losses), "step")
        return f"Personalized({self.prompts.sample!r}, {learned}, {self.seconds:.0f} s)"

    @in_own_arithmetic
    def sample(
        self,
        n: int = 16,
        seed: int = 0,
        prompt: str | None = None,
        *,
        negative: str | None = None,
        steps: int | None = None,
        guidance_scale: float | None = None,
        batch: int = 16,
    ) -> Tensor:
        """n pictures (n, 3, H, W) in [0, 1]; ``prompt`` None is the subject's own.

        Write prompts with the identifier: methods that train a new word put it there.

        Args:
            negative, steps, guidance_scale: None are those that belong to the training prompts (CDL
                samples with its negation and negative prompt) and to the profile.
            batch: pictures drawn at once; it does not change them.

        Raises:
            UserError: a parameter of another type or out of its range.
        """
        steps = self.steps if steps is None else steps
        guidance = self.guidance_scale if guidance_scale is None else guidance_scale
        without = self.prompts.negative if negative is None else negative
        options = {
            "seed": read(seed, Seed, "seed"),
            "steps": read(steps, SampleSteps, "steps"),
            "guidance_scale": read(guidance, Guidance, "guidance_scale"),
            "negative": read(without, str, "negative"),
            "batch": read(batch, Count, "batch"),
        }
        wording = self.prompts.sample
        if prompt is not None:
            wording = self.method.rename(read(prompt, str, "prompt"), self.identifier)
            check_lengths(self.model, [wording])
        return self.model.sample(wording, read(n, Count, "n"), **options)

    @property
    def word(self) -> str:
        """The word that stands for the subject in prompts of a pipeline that loads the result."""
        return self.method.rename(self.identifier, self.identifier)

    def how_to_load(self, folder: str | Path) -> str:
        """Lines of Python that load what :meth:`save` wrote, in plain diffusers, and draw with it.

        Args:
            folder: where it was saved.

        Raises:
            UserError: what is no path.
        """
        kind, place = type(self.model.pipe).__name__, str(expand(folder, "folder"))
        lines = self.method.loading(place)
        opened = self.base if lines else f"from_pretrained({place!r})"
        # Of SDXL an empty negative prompt is another than none, which is what is sampled with here.
        sample = (
            f"pipe({self.prompts.sample!r}, negative_prompt={self.prompts.negative or None!r}, "
        )
        sample += f"num_inference_steps={self.steps}, guidance_scale={self.guidance_scale}"
        side, own = self.model.resolution, self.model.pipe.unet.config.sample_size
        sample += f", height={side}, width={side})" if own != side / self.model.latent_unit else ")"
        begin = ["import torch"] if "torch." in opened else []
        begin += [f"from diffusers import {kind}", f"pipe = {kind}.{opened}"]
        if opened.startswith(IN_MEMORY):
            begin = ["# pipe is the pipeline that was given to Lab.from_pipeline"]
        end = f"image = {sample}.images[0]  # the word is {self.word}"
        return "\n".join([*begin, *lines, end])

    def save(self, folder: str | Path) -> Path:
        """Write diffusers' own format for the method, under a temporary name first.

        Returns:
            The folder.

        Raises:
            AlreadyThere: it exists.
            CannotWrite: the system refuses.
        """
        folder = expand(folder, "folder")
        if folder.exists():
            raise AlreadyThere(f"{folder} exists already: name a new folder")
        with writing(folder) as fresh:
            self.method.save(self.model, fresh)
        return folder
