"""Every registered metric of a batch of pictures; and what any column of a frame is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from ..cells import CELL_COLUMNS
from ..errors import UserError
from ..profile import Profile
from .base import Column, Metric
from .copying import COLUMNS as COPYING
from .sample_probes import SAMPLE_PROBES

EXTRA_COLUMNS: dict[str, Column] = {
    "noise": Column("probability of noise, CLIP", better="lower"),
    "linf": Column("largest change", "grey levels", "lower"),
    "l2": Column("typical change", "grey levels", "lower"),
    "perceptual": Column("perceptual distance to the clean pictures", better="lower"),
    "likeness": Column("identity match of the pictures trained on", better="higher"),
    "shift": Column("shift in CLIP space", better="lower"),
    "shift_projection": Column("shift towards noise in CLIP space", better="lower"),
    "seconds": Column("time", "s", "lower"),
    "attack_seconds": Column("time to protect", "s", "lower"),
    "purify_seconds": Column("time to purify", "s a picture", "lower"),
    "train_seconds": Column("time to train", "s", "lower"),
    "memory_mib": Column("memory", "MiB", "lower"),
    **COPYING,
}
"""Columns that neither a registered metric nor a probe gives: how far pictures moved, what is
repeated, what it cost."""
ROWS = ("condition", "subject", "seed", "sheet", "image", *CELL_COLUMNS)
"""Columns that name a row."""
IMAGE_COLUMNS = set(EXTRA_COLUMNS) - {*COPYING, "noise"}
"""Those of the pictures trained on and of costs, which are the same for every sheet."""


def check_columns(metrics: Mapping[str, type[Metric]]) -> None:
    """Make sure that each column is given once.

    Raises:
        UserError: a metric or a probe gives one that something else gives, or that names rows.
    """
    from ..inside import MODEL_PROBES  # which are made of metrics, as those of pictures are
    from ..probes import IMAGE_PROBES

    owners = dict.fromkeys(ROWS, "what names a row") | dict.fromkeys(EXTRA_COLUMNS, "the pipeline")
    registries: dict[str, Mapping[str, Any]] = {
        "metric": metrics,
        "sample probe": SAMPLE_PROBES,
        "image probe": IMAGE_PROBES,
        "model probe": MODEL_PROBES,
    }
    for what, registry in registries.items():
        for name, each in registry.items():
            for column in each.columns:
                if column in owners:
                    raise UserError(
                        f"the {what} {name!r} gives a column {column!r}, as {owners[column]} does: "
                        "name it otherwise"
                    )
                owners[column] = f"the {what} {name!r}"


def checked_columns(
    what: str, given: Any, gives: Callable[[str], bool], count: int
) -> dict[str, list[float]]:
    """What a probe of samples gave, as plain numbers.

    Args:
        what: names the probe in messages.
        gives: whether a column is one of those that it describes.
        count: samples, and so numbers in each column.

    Raises:
        UserError: no columns, one that is not described, or another count.
    """
    columns = {}
    check_described(what, given, gives)
    for name, values in given.items():
        try:
            columns[name] = [float(value) for value in values]
        except (TypeError, ValueError):
            raise UserError(f"{what} must give numbers in {name!r}; got {values!r}") from None
        if len(columns[name]) != count:
            raise UserError(
                f"{what} must give a number for each of {count} samples in {name!r}; got "
                f"{len(columns[name])}"
            )
    return columns


def checked_values(what: str, given: Any, gives: Callable[[str], bool]) -> dict[str, float]:
    """What a probe of pictures gave, a plain number a column; see :func:`checked_columns`."""
    values = {}
    check_described(what, given, gives)
    for name, value in given.items():
        try:
            values[name] = float(value)
        except (TypeError, ValueError):
            raise UserError(f"{what} must give one number as {name!r}; got {value!r}") from None
    return values


def check_described(what: str, given: Any, gives: Callable[[str], bool]) -> None:
    """Make sure that a probe gave columns by name, and none but those that it describes.

    Args:
        what: names the probe in messages.
        gives: whether a column is one of those that it describes.

    Raises:
        UserError: something else.
    """
    if not isinstance(given, Mapping):
        raise UserError(f"{what} must give columns by name; got {type(given).__name__}")
    for name in given:
        if not gives(name):
            raise UserError(f"{what} gave a column {name!r} that it does not describe")


def probe_columns() -> dict[str, Column]:
    """What the columns of every registered probe are called."""
    from ..inside import MODEL_PROBES  # which are made of metrics, as those of pictures are
    from ..probes import IMAGE_PROBES

    columns = [probe.columns for probe in SAMPLE_PROBES.values()]
    columns += [probe.columns for probe in IMAGE_PROBES.values()]
    columns += [probe.columns for probe in MODEL_PROBES.values()]
    return {name: column for each in columns for name, column in each.items()}


def score_pictures(
    metrics: Mapping[str, type[Metric]], models: Any, images: Tensor, references: Tensor
) -> pd.DataFrame:
    """One row per picture, with the columns of every metric that needs no originals.

    A metric that is not to be had here (``available`` says so) is left out.

    Args:
        metrics: the registry, by name.
        models: see :meth:`.base.Metric.open`.
        images: (n, 3, H, W) float32 in [0, 1].
        references: clean pictures of the subject, (m, 3, H, W) float32 in [0, 1].

    Raises:
        UserError: bad pictures, a metric that gives other columns than it describes, or another
            one's.
    """
    check_columns(metrics)
    columns: dict[str, Any] = {"image": range(len(images))}
    for name, metric in metrics.items():
        if metric.needs == "originals" or not is_available(metric, models):
            continue
        scores = metric.open(models)(images, references if metric.needs == "subject" else None)
        if set(scores) != set(metric.columns):
            described, given = (", ".join(sorted(each)) for each in (metric.columns, scores))
            raise UserError(
                f"metric {name!r} describes the columns {described} and gave {given}: make them "
                "the same"
            )
        plain = checked_columns(
            f"the metric {name!r}", scores, set(metric.columns).__contains__, len(images)
        )
        columns |= plain | {k: v for k, v in scores.items() if isinstance(v, np.ndarray)}
    return pd.DataFrame(columns)


def is_available(metric: type[Metric], models: Any) -> bool:
    """Whether a metric can be measured here; one without ``available`` always can."""
    ask = getattr(metric, "available", None)
    return ask is None or ask(models)


def unavailable_columns(metrics: Mapping[str, type[Metric]], models: Any) -> set[str]:
    """Columns of the metrics that are not to be had here."""
    return {
        column
        for metric in metrics.values()
        if not is_available(metric, models)
        for column in metric.columns
    }


def networks_of(metric: type[Metric]) -> tuple[str, ...]:
    """The profile's measures that a metric opens; "" stands for all, if it does not say."""
    return getattr(metric, "networks", ("",))


def describe_column(
    metrics: Mapping[str, type[Metric]], name: str, profile: Profile | None = None
) -> Column:
    """What a column is called: its metric says it, its probe, or :data:`EXTRA_COLUMNS`; else it is
    its own name.

    Args:
        profile: some metrics measure what its models measure: a face, or a person.
    """
    for metric in metrics.values():
        if name in metric.columns:
            named = getattr(metric, "named", None)
            columns = metric.columns if profile is None or named is None else named(profile)
            return columns[name]
    further = EXTRA_COLUMNS | probe_columns()
    return further.get(name, Column(name.replace("_", " ")))
