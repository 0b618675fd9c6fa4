"""What a report is made from: a kept measurement, or a file of scored samples."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ..errors import MissingFile
from ..experiments.experiment import read_experiment
from ..experiments.measured import Measurement
from ..experiments.table_files import read_table
from ..results import available
from .report_page import Page, page_of
from .samples import samples_of


def report_of(
    name: str, profile: str = "mini", spec: str | None = None
) -> tuple[Page, pd.DataFrame]:
    """The page of a measurement, and its frame.

    Args:
        name: of a profile's result, or the YAML file of an experiment that was saved as one, with
            samples of it then; or a CSV or Parquet file with one row per sample.
        profile: what the profile calls itself.
        spec: its name or file, by which it is opened for samples; None is that name.

    Raises:
        UserError: nothing of the kind is there, or it cannot be read.
    """
    path = Path(name).expanduser()
    if path.suffix in (".csv", ".parquet"):
        measured = Measurement.of(path.stem, read_table(path), profile=profile)
        return page_of(measured), measured.frame
    own = read_experiment(path) if path.suffix in (".yaml", ".yml") else None
    if own and own.name not in available(profile):
        raise MissingFile(
            f"{own.name} was not kept as a result of profile {profile} yet: "
            f"`shortcut-nb bench {name} --profile {spec or profile} --save` measures and keeps it"
        )
    measured = Measurement.read(own.name if own else name, profile)
    return page_of(measured, samples_of(measured, own, spec)), measured.frame
