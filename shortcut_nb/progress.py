"""Progress of long work: a bar for a person, one log line now and then for a headless run.

The library never draws. It calls `on_step`; this module makes such a callback.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Self

from tqdm.auto import tqdm

from .environment import HEADLESS

log = logging.getLogger("shortcut_nb")
_SECONDS = 30.0
_SHARE = 0.1


@dataclass(frozen=True)
class StepInfo:
    """Where long work stands: `step` of `total` steps done.

    Attributes:
        values: a few numbers to show.
        about: what was done last, in a few words.
    """

    step: int
    total: int
    values: Mapping[str, float] = field(default_factory=dict)
    about: str = ""


OnStep = Callable[[StepInfo], None]


def share_of(on_step: OnStep, index: int, count: int) -> OnStep:
    """A callback for part ``index`` (from 0) of ``count`` parts: reports its steps as the whole's.

    Each part counts the same, so the totals reported follow those of the part at work.
    """
    return lambda info: on_step(
        StepInfo(index * info.total + info.step, count * info.total, info.values, info.about)
    )


def headless() -> bool:
    """Whether SHORTCUT_NB_HEADLESS asks for log lines in place of bars."""
    return os.environ.get(HEADLESS, "") not in ("", "0")


def quiet_libraries() -> None:
    """Turn off the bars that Hugging Face's libraries draw while they open weights."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    for name in ("transformers", "diffusers"):
        import_module(f"{name}.utils.logging").disable_progress_bar()


def progress(label: str) -> Progress:
    """An `on_step` callback that shows progress under `label`.

    A bar, or with SHORTCUT_NB_HEADLESS=1 one log
    line per 30 seconds or 10 %, whichever comes first.
    """
    return LogProgress(label) if headless() else BarProgress(label)


@contextmanager
def between_bars() -> Iterator[None]:
    """Write lines in the body: bars are taken away before it and drawn again after it."""
    with tqdm.external_write_mode():
        yield


def close_bars() -> None:
    """Take away every bar that stands: those of work that was given up."""
    for bar in list(getattr(tqdm, "_instances", ())):
        bar.close()


class Progress:
    """An `on_step` callback; see `progress`."""

    def __init__(self, label: str) -> None:
        self.label = label

    def __call__(self, info: StepInfo) -> None:
        """Show one step."""
        self.show(info)

    def show(self, info: StepInfo) -> None:
        """Show one step (for subclasses to write)."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        """Show that work begins, before its first step is done."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop showing anything."""


class BarProgress(Progress):
    """A tqdm bar, opened at the first step and closed at the last."""

    _bar: tqdm | None = None

    def __enter__(self) -> Self:
        """Open the bar, at 0 of a total that is not known yet."""
        self._bar = tqdm(total=None, desc=self.label, leave=False)
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bar away, also when the work was interrupted."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def show(self, info: StepInfo) -> None:
        """Move the bar to `info.step`."""
        if self._bar is None:
            self._bar = tqdm(total=info.total, desc=self.label, leave=False)
        self._bar.total = info.total
        numbers = [f"{name}={value:.4g}" for name, value in info.values.items()]
        if numbers or info.about:
            self._bar.set_postfix_str(", ".join([*numbers, info.about]).strip(", "), refresh=False)
        self._bar.update(info.step - self._bar.n)
        if info.step >= info.total:
            self._bar.close()
            self._bar = None


class LogProgress(Progress):
    """Log lines at the level INFO, few of them."""

    def __enter__(self) -> Self:
        """Log that work begins."""
        log.info("%s: begins", self.label)
        return self

    def __init__(self, label: str) -> None:
        super().__init__(label)
        self._time = self._start = time.monotonic()
        self._share = 0.0

    def show(self, info: StepInfo) -> None:
        """Log the step if 30 seconds or 10 % have passed since the last line, or at the end."""
        now = time.monotonic()
        share = info.step / max(info.total, 1)
        if share < self._share:  # the same callback, used for another round of work
            self._share, self._start = 0.0, now
        due = share - self._share >= _SHARE - 1e-9 or now - self._time >= _SECONDS
        if not due and info.step < info.total:
            return
        self._time, self._share = now, share
        numbers = "".join(f" {k}={v:.4g}" for k, v in info.values.items())
        about = f" {info.about}" if info.about else ""
        took = now - self._start
        log.info("%s: %d/%d (%.0f s)%s%s", self.label, info.step, info.total, took, numbers, about)
