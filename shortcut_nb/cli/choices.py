"""On whom, and with which seeds: what the options of a command say of it."""

from __future__ import annotations

from pathlib import Path

from ..errors import UserError
from ..experiments.seeds import first_seeds


def parse_seeds(text: str | None) -> tuple[int, ...] | None:
    """Seeds from "3" (0, 1, 2), "0,4,7" or "7," (that one alone).

    Raises:
        ValueError: for any other text.
    """
    if text is None:
        return None
    try:
        numbers = tuple(int(part) for part in text.removesuffix(",").split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 0 or numbers == (0,) and "," not in text:
        raise UserError(
            f"seeds read like 2 (how many), 0,4,7 (which) or 7, (that one); got {text!r}."
        )
    if "," in text:
        return tuple(dict.fromkeys(numbers))
    return first_seeds(numbers[0])


def people(given: list[str] | None) -> tuple[str, ...] | None:
    """Subjects by name or folder; a text file's lines stand for it, folders from where it lies.

    Raises:
        UserError: a text file that is not there, cannot be read, or names nobody.
    """
    names: list[str] = []
    for name in given or ():
        path = Path(name).expanduser()
        names += _listed(path) if path.suffix == ".txt" else [name]
    return tuple(dict.fromkeys(names)) or None


def _listed(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} is not a text file that can be read ({error}): write one folder of photos "
            "or one name a line."
        ) from None
    names = [line for line in lines if line and not line.startswith("#")]
    if not names:
        raise UserError(f"{path} names no subject: write one folder of photos or name a line.")
    beside = [path.parent / Path(name).expanduser() for name in names]
    return [str(place) if place.is_dir() else name for name, place in zip(names, beside)]
