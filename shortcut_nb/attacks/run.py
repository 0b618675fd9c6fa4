"""The state of an attack between two rounds, so that one that was killed can go on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Generator, Tensor

from ..diffusion import Diffusion, generators
from ..models import Models
from ..subjects import Subject
from ..tuning.checkpoint import load_checkpoint, save_checkpoint
from ..tuning.lean import HOST

SURROGATES = "surrogates"  # among the constants of a checkpoint
DEPENDS = "another attack, subject, model or setting"


@dataclass(eq=False)
class Run:
    """What a round reads and writes.

    Attributes:
        models: what the attack was given.
        x: the pictures so far, (n, 3, H, W) in [0, 1], inside the ball.
        generators: one per picture; row i of anything random comes from generator i.
        trace: the objective's values, each (steps, n).
        surrogates: models being fine-tuned, by the name of the base model each came from.
        state: whatever else must survive a restart (tensors, numbers, dictionaries of them).
        constants: the same, but never changed after ``prepare``: written once, to a file of its
            own.
        rebuilt: what is made anew from the rest, such as an objective; not saved.
        done: rounds finished.
        seconds: time they took.
        path: of the checkpoint; None keeps none.
        mark: stands for all that a checkpoint depends on; a file with another is refused.
        constants_written: whether the file of ``constants`` is there already.
        temporary: the folder of a run without a checkpoint, once it needs one.
    """

    subject: Subject
    models: Models
    x: Tensor
    seeds: list[int]
    generators: Sequence[Generator]
    trace: list[Tensor] = field(default_factory=list)
    surrogates: dict[str, Diffusion] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
    rebuilt: dict[str, Any] = field(default_factory=dict)
    done: int = 0
    seconds: float = 0.0
    path: Path | None = None
    mark: str = ""
    constants_written: bool = False
    temporary: TemporaryDirectory[str] | None = None

    @classmethod
    def start(
        cls,
        subject: Subject,
        models: Models,
        seeds: list[int],
        path: Path | None = None,
        mark: str = "",
    ) -> Run:
        """A new run: it begins at the clean pictures, with fresh generators."""
        return cls(subject, models, subject.images, seeds, generators(seeds), path=path, mark=mark)

    @property
    def clean(self) -> Tensor:
        """The pictures being protected."""
        return self.subject.images

    @property
    def has_checkpoint(self) -> bool:
        """Whether an earlier run of the same left its checkpoint."""
        return self.path is not None and self.path.exists()

    def save(self, fixed_surrogates: bool = False) -> None:
        """Write a checkpoint, atomically; nothing where the run keeps none.

        Args:
            fixed_surrogates: they change no more, and are written once, with the constants.
        """
        if self.path is None:
            return
        surrogates = {name: _weights(model) for name, model in self.surrogates.items()}
        constants = self.constants | ({SURROGATES: surrogates} if fixed_surrogates else {})
        saved = {
            "done": self.done,
            "seconds": self.seconds,
            "x": self.x,
            "source": [generator.get_state() for generator in self.generators],
            "trace": self.trace,
            "surrogates": {} if fixed_surrogates else surrogates,
            "kept": self.state,
        }
        if constants and not self.constants_written:
            self.constants_written = save_checkpoint(_beside(self.path), self.mark, constants)
        if self.constants_written or not constants:  # without them nothing can go on
            save_checkpoint(self.path, self.mark, saved)

    def forget(self) -> None:
        """Delete the checkpoint, if the run keeps one, and what lies beside it."""
        if self.path is None:
            return
        self.path.unlink(missing_ok=True)
        _beside(self.path).unlink(missing_ok=True)
        shutil.rmtree(_folder(self.path), ignore_errors=True)

    @property
    def folder(self) -> Path:
        """A folder for files of the run: beside the checkpoint, or a temporary one without it."""
        if self.path is None:
            if self.temporary is None:
                self.temporary = TemporaryDirectory(prefix="shortcut_nb-")
            return Path(self.temporary.name)
        _folder(self.path).mkdir(parents=True, exist_ok=True)
        return _folder(self.path)

    def restore(self, fresh: Callable[[Run, str], Diffusion]) -> None:
        """Take over the state that the checkpoint holds.

        Args:
            fresh: makes the untrained surrogate of a base model.

        Raises:
            ValueError: no checkpoint, a file of another attack, subject or model, or one that was
                cut short.
        """
        if self.path is None:
            raise ValueError("a run that keeps no checkpoint has none to go on from")
        saved = load_checkpoint(self.path, self.mark, DEPENDS)
        if _beside(self.path).exists():
            self.constants = load_checkpoint(_beside(self.path), self.mark, DEPENDS)
            self.constants_written = True
        self.x, self.trace, self.state = saved["x"], saved["trace"], saved["kept"]
        self.done, self.seconds = saved["done"], saved["seconds"]
        for generator, state in zip(self.generators, saved["source"], strict=True):
            generator.set_state(state)
        surrogates = saved["surrogates"] or self.constants.pop(SURROGATES, {})
        for name, weights in surrogates.items():
            self.surrogates[name] = load_weights(fresh(self, name), weights)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.fixed")


def _folder(path: Path) -> Path:
    return path.with_name(f"{path.name}.pool")


def _weights(model: Diffusion) -> dict[str, dict[str, Tensor]]:
    _, unet, text = model.modules
    return {"unet": unet.state_dict(), "text": text.state_dict()}


def snapshot(model: Diffusion) -> dict[str, dict[str, Tensor]]:
    """A copy of the trainable weights, in host memory."""
    return {
        part: {k: v.detach().to(HOST, copy=True) for k, v in state.items()}
        for part, state in _weights(model).items()
    }


def load_weights(model: Diffusion, weights: dict[str, dict[str, Tensor]]) -> Diffusion:
    """Put a snapshot into a model, and hand the model back."""
    _, unet, text = model.modules
    unet.load_state_dict(weights["unet"])
    text.load_state_dict(weights["text"])
    return model
