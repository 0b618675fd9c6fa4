"""The states of prompts, read anew only where the text encoder learns."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from ..diffusion import Diffusion

MOST = 8
"""Lists of prompts whose states are kept; a prompt for each picture makes many lists."""


@dataclass(eq=False)
class TextStates:
    """What a model's text encoder makes of prompts.

    Attributes:
        learns: whether the text encoder is trained, so that its states change and want gradients.
        kept: states of lists of prompts, where it is not.
    """

    model: Diffusion
    learns: bool = True
    kept: dict[tuple[str, ...], Tensor] = field(default_factory=dict)

    def of(self, prompts: list[str]) -> Tensor:
        """The states of k prompts, (k, length, width)."""
        if self.learns:
            return self.model.embed(prompts)
        key = tuple(prompts)
        if key not in self.kept:
            if len(self.kept) == MOST:
                self.kept.clear()
            # A text encoder with gradient checkpointing gives states that want gradients.
            self.kept[key] = self.model.embed(prompts).detach()
        return self.kept[key]
