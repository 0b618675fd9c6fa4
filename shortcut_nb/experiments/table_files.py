"""Frames from CSV and Parquet files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ..errors import CannotRead, UserError


def read_table(path: str | Path) -> pd.DataFrame:
    """A frame from a CSV or Parquet file.

    Raises:
        UserError: no such file, another kind of file, or no pyarrow to read Parquet with.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise UserError(f"expected a CSV or Parquet file; there is none at {path}")
    if path.suffix == ".parquet":
        need_pyarrow()
        return _read_parquet(path)
    if path.suffix != ".csv":
        raise UserError(f"expected a name ending in .csv or .parquet; got {path.name}")
    try:
        return pd.read_csv(path, keep_default_na=False, na_values=[""])
    except (ValueError, pd.errors.ParserError) as error:
        raise CannotRead(f"{path} is no CSV table: {error}") from None


def _read_parquet(path: Path) -> pd.DataFrame:
    """A Parquet file's frame; a CannotRead where it is damaged."""
    from pyarrow import ArrowException

    try:
        return pd.read_parquet(path)
    except (ArrowException, OSError, ValueError) as error:
        raise CannotRead(f"{path} is no Parquet table: {' '.join(str(error).split())}") from None


def need_pyarrow() -> None:
    """Raise a UserError where Parquet can neither be read nor written."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise UserError(
            "Parquet needs pyarrow: pip install 'shortcut-nb[parquet]', or use CSV"
        ) from None
