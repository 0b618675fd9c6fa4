"""Whose photos these are: the door of the notebook on a person's own photos."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from .errors import UserError
from .files import write_json
from .files.outputs import check_output

UPLOAD = "upload"


def photo_folder(photos: str, consent: bool, work: str | Path) -> Path:
    """The folder of photos that a notebook was pointed at.

    Args:
        photos: a folder; "upload" asks for files in Colab; "" draws a person who does not exist.
        consent: that everybody in the photos has said yes, and that their licence allows this.
        work: where uploaded or drawn pictures go, in the folder ``photos``.

    Raises:
        UserError: photos of real people without consent, or "upload" outside of Colab.
    """
    place = Path(work) / "photos"
    if not photos:
        from .mini.photos import write_photos

        return write_photos(place)
    if not consent:
        raise UserError(
            "these are photos of somebody: set consent = True when everybody in them has said yes "
            "and their licence allows it. docs/consent.md says what that means."
        )
    return _uploaded(place) if photos == UPLOAD else Path(photos).expanduser()


def _uploaded(place: Path) -> Path:
    try:
        upload = import_module("google.colab.files").upload
    except ImportError:
        raise UserError(
            'photos="upload" works in Colab only; here, name a folder of photos'
        ) from None
    files: dict[str, bytes] = upload()
    if not files:
        raise UserError("no file was uploaded: run the cell again and choose 4 to 12 photos")
    output = check_output(place, "photos.json", force=True)
    with output.filling() as fresh:
        for name, content in files.items():
            (fresh / Path(name).name).write_bytes(content)
        write_json(fresh / "photos.json", {"files": sorted(path.name for path in fresh.iterdir())})
    return output.folder
