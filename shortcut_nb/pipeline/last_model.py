"""One fine-tuned model in memory, beside the lab's own: the last that was asked for."""

from __future__ import annotations

from ..personalize import Personalized


class LastModel:
    """A place for one fine-tuned model, by a key of text; never two at once."""

    def __init__(self) -> None:
        self._key = ""
        self._model: Personalized | None = None

    def get(self, key: str) -> Personalized | None:
        """The model of this key; None where another one is here, or none."""
        return self._model if key == self._key else None

    def put(self, key: str, model: Personalized) -> Personalized:
        """Keep a model in the place of the one before, and hand it back."""
        self._key, self._model = key, model
        return model

    def clear(self) -> None:
        """Let the model go: to be called before another one takes memory."""
        self._key, self._model = "", None
