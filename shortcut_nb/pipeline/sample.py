"""What a fine-tuned model draws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from ..cells import CLEAN, OWN, Cell, Sheet
from ..personalize import Personalized
from ..store import Payload
from ..subjects import Subject
from ..templates import fill_words
from .base import Whose
from .node import Node
from .train import Training


class Sampling(Training):
    """Samples of a sheet."""

    def samples(
        self, subject: Whose, cell: Cell = CLEAN, seed: int = 0, sheet: Sheet = OWN, n: int = 8
    ) -> Tensor:
        """n samples of the fine-tuned model, (n, 3, H, W) in [0, 1].

        Args:
            subject: or what a lab opens one from.
            cell: what is trained on, and how.
            seed: of the attack, the training and the samples.
            sheet: what the model is asked for; OWN is the subject, in the training's words.

        Raises:
            UserError: there is no such subject, or the cell is none.
        """
        subject = self._of(subject, cell)
        return self.make(self.sample(subject, cell, seed, sheet, n)).images("images")

    def at_scales(
        self,
        subject: Subject,
        asked: Mapping[str, tuple[Cell, Sheet]],
        scales: Iterable[float],
        seed: int = 0,
        n: int = 8,
    ) -> dict[str, dict[str, Tensor]]:
        """Samples of several models at each guidance scale, from the same starting noise.

        Args:
            asked: each model's name, what it was trained on, and what it is asked for.

        Returns:
            "w = 4" and so on to the samples of each model, by name.
        """
        pages: dict[str, dict[str, Tensor]] = {}
        for scale in scales:
            rows = pages[f"w = {scale:g}"] = {}
            for name, (cell, sheet) in asked.items():
                guided = sheet.model_copy(update={"guidance_scale": scale})
                rows[name] = self.samples(subject, cell, seed, guided, n)
        return pages

    def sample(self, subject: Subject, cell: Cell, seed: int, sheet: Sheet, n: int) -> Node:
        """n samples of the fine-tuned model."""
        model = self.train(subject, cell, seed)
        kept = sheet.at is None and self.keeps(subject, cell, seed)
        words = self._words(subject)
        drawn = {
            "of": sheet.of,
            "prompt": sheet.prompt and fill_words(sheet.prompt, words),
            "negative": sheet.negative and fill_words(sheet.negative, words),
            "guidance_scale": sheet.guidance_scale,
            "steps": sheet.steps,
        } | ({} if sheet.at is None else {"at": sheet.at})

        def write(out: Payload) -> None:
            fitted = self.model(subject, cell, seed, sheet.at)
            out.save_images("images", draw(fitted, drawn, n, seed))
            out.save_json("cost", {"train_seconds": fitted.seconds})

        params = {"sheet": drawn, "n": n, "seed": seed, "sampling": self.lab.profile.sampling}
        recipe = self._recipe("sample", params, {"model": model.recipe})
        needs, group = ((model,), "") if kept else (model.needs, model.recipe.key)
        about = f"sample{model.about.removeprefix('train')}"
        return Node(recipe, needs, write, about, group)


def draw(fitted: Personalized, drawn: dict[str, Any], n: int, seed: int) -> Tensor:
    """n samples under the words of a sheet, (n, 3, H, W) in [0, 1]."""
    names = ("negative", "guidance_scale", "steps")
    how = {name: drawn[name] for name in names if drawn[name] is not None}
    prompt = drawn["prompt"]
    if prompt is None and drawn["of"] == "class":
        prompt = fitted.prompts.sample_class
    return fitted.sample(n, seed=seed, prompt=prompt, **how)
