"""Which files of a folder are pictures, and what is left out, with the reason."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from PIL import Image

from ..errors import CannotRead, MissingFile, UserError
from .outputs import is_unfinished
from .writer import expand

HEIC = (".heic", ".heif")
HEIC_REMEDY = "HEIC: pip install 'shortcut-nb[heic]', or export it as JPEG"
_SPELLINGS = (
    ".png .jpg .jpeg .jpe .jfif .webp .bmp .dib "
    ".tif .tiff .gif .avif .avifs .jp2 .j2k .ppm .pgm .pbm .pnm .tga"
)
FORMATS = (*_SPELLINGS.split(), *HEIC)
SETS = ("set_A", "set_B", "set_C")
RECORDS = ("attack.json", "purify.json", "personalize.json", "photos.json")
_NAMED = 5
_VIDEOS = (".mp4", ".mov", ".avi", ".mkv", ".webm")
_RAW = (".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2")


def suffixes() -> tuple[str, ...]:
    """The endings of picture files that the installed Pillow reads, with pillow-heif's if there."""
    open_heic()
    known = Image.registered_extensions()
    return tuple(suffix for suffix in FORMATS if known.get(suffix) in Image.OPEN)


@contextmanager
def quiet_about_size() -> Iterator[None]:
    """Without Pillow's warning of pictures that are large, as today's phones make them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def open_heic() -> bool:
    """Teach Pillow HEIC, if pillow-heif is installed; whether it knows it now."""
    try:
        import_module("pillow_heif").register_heif_opener()
    except ImportError:
        return False
    return True


@dataclass(frozen=True)
class Listing:
    """The pictures of a folder, sorted by name, and why other files were left out.

    Attributes:
        notes: what to know of a picture that is used, by file name.
    """

    folder: Path
    files: tuple[Path, ...]
    left_out: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The file names of the pictures."""
        return [path.name for path in self.files]

    def remarks(self) -> str:
        """What was left out and why, and what is special: "; left out 1: a.txt (…)", or ""."""
        text = ""
        if self.left_out:
            text += f"; left out {len(self.left_out)}: {_some(self.left_out)}"
        if self.notes:
            text += f"; {_some(self.notes)}"
        return text


def _some(reasons: dict[str, str]) -> str:
    """The first few names with their reasons; names of one reason together."""
    grouped: dict[str, list[str]] = {}
    for name, why in reasons.items():
        grouped.setdefault(why, []).append(name)
    parts = []
    for why, names in grouped.items():
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        parts.append(f"{', '.join(names[:_NAMED])}{more} ({why})")
    return ", ".join(parts)


def stems_of(names: Sequence[str]) -> list[str]:
    """The names without their endings, under which PNG are written.

    Raises:
        UserError: when two are the same, or one is blank.
    """
    stems = [Path(name).stem for name in names]
    if any(not stem.strip() for stem in stems):
        raise UserError(f"expected a name for each picture; got {list(names)!r}.")
    twice = sorted({name for name in names if stems.count(Path(name).stem) > 1})
    if twice:
        raise UserError(
            f"expected different names; {', '.join(twice)} collide, since every picture is "
            "written as PNG. Rename one of them."
        )
    return stems


def has_sets(folder: Path) -> bool:
    """Whether a folder holds the subfolders ``set_A``, ``set_B`` and ``set_C``.

    Raises:
        MissingFile: when it has only some of them.
    """
    have = [name for name in SETS if has_folder(folder, name)]
    if have and len(have) < len(SETS):
        lacking = ", ".join(name for name in SETS if name not in have)
        raise MissingFile(
            f"{folder} has {', '.join(have)} but no {lacking}: make all three folders, or name "
            "one of them as a plain folder of photos."
        )
    return bool(have)


def has_folder(folder: Path, name: str) -> bool:
    """Whether a folder holds another; False where that may not be looked at."""
    return os.path.isdir(folder / name)


def set_b(folder: Path) -> Path:
    """Where the pictures to work on are: set_B of a folder that has it, else the folder."""
    return folder / "set_B" if has_folder(folder, "set_B") else folder


def list_folder(path: str | Path) -> Listing:
    """The pictures directly in a folder.

    Hidden files, and the records that this program writes beside pictures, are passed over.

    Raises:
        MissingFile: when there is no such folder, or no picture in it; says what is there instead.
        CannotRead: when the folder cannot be opened.
        UserError: when its pictures were being replaced, and that was cut short.
    """
    folder = expand(path, "the folder of pictures")
    if not folder.is_dir():
        what = "it is a file" if folder.is_file() else "there is no folder"
        raise MissingFile(f"expected a folder of pictures; {what} at {folder}.")
    accepted, files, left_out = suffixes(), [], {}
    for item in _items(folder):
        if item.name in RECORDS and is_unfinished(item):
            raise UserError(
                f"{folder} was being replaced when the command that wrote it was killed: give that "
                "command again first, so that no pictures of two results are mixed."
            )
        if item.name.startswith(".") or item.name in RECORDS:
            continue
        why = _why_not(item, accepted)
        if why:
            left_out[readable(item.name)] = why
        else:
            files.append(item)
    listing = Listing(folder, tuple(files), left_out, _notes(files))
    if not files:
        raise MissingFile(
            f"expected pictures in {folder}; found none{listing.remarks()}. "
            f"Put files there that end in {', '.join(accepted)}."
        )
    return listing


def readable(name: str) -> str:
    """A file's name as it can be written: bytes that are no UTF-8 as "\\xff"."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _items(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise CannotRead(f"the folder {folder} cannot be opened: {error.strerror}.") from None


def _why_not(path: Path, accepted: tuple[str, ...]) -> str:
    """Why a file is no picture that can be used; "" when it is one."""
    suffix = path.suffix.lower()
    if readable(path.name) != path.name:
        return "its name is not UTF-8: rename it"
    if path.is_symlink() and not path.exists():
        return "a link that leads nowhere"
    if path.is_dir():
        return "a folder"
    if not path.is_file():
        return "not a file"
    if suffix in accepted:
        return ""
    if suffix in HEIC:
        return HEIC_REMEDY
    if suffix in _RAW:
        return "a camera's raw data: export it as JPEG"
    if suffix in _VIDEOS:
        return "a video"
    if suffix in FORMATS:
        return "the installed Pillow does not read it"
    return "not a picture"


def _notes(files: list[Path]) -> dict[str, str]:
    """Pictures with several frames, of which the first is used."""
    notes = {}
    for path in files:
        if path.suffix.lower() not in (".gif", ".webp", ".avif", ".avifs", ".png", ".tif", ".tiff"):
            continue
        try:
            with quiet_about_size(), Image.open(path) as opened:
                frames = getattr(opened, "n_frames", 1)
        except Exception:  # whoever reads the picture says what is wrong with it
            continue
        if frames > 1:
            notes[path.name] = f"first of {frames} frames"
    return notes
