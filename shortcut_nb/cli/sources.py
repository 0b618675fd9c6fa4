"""What the commands on pictures share: their options, the source, the folder for results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ..templates import counted

Profile = Annotated[str, typer.Option(help="A profile, sd21 or sd21:smoke, or a YAML file.")]
Params = Annotated[
    list[str] | None,
    typer.Option("-p", "--param", help="A parameter, name=value; repeatable. See `list`."),
]
Source = Annotated[
    str,
    typer.Argument(
        help="A folder of photos (all are used), one with set_A, set_B and set_C, or a synthetic "
        "subject: mini:held-out/3."
    ),
]
Out = Annotated[str, typer.Argument(help="A folder for the results, outside of the source.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an earlier result in OUT.")]
ClassName = Annotated[str | None, typer.Option(help="What the photos show: person, dog, …")]
Identifier = Annotated[str | None, typer.Option(help="The rare word for the subject, e.g. sks.")]
ClassImages = Annotated[
    str | None, typer.Option(help="A folder of your own class pictures, for prior preservation.")
]
Square = Annotated[
    bool,
    typer.Option(
        "--square", help="Give back the central square that the model sees, not the whole photo."
    ),
]


def open_photos(lab: Any, source: str, square: bool) -> Any:
    """The photos of a folder at their own size; None for squares. Says what will be done."""
    if square or source.startswith("mini:"):
        return None
    from ..photos import Photos

    photos = Photos.open(source_path(source))
    described = photos.describe(lab.profile.resolution)
    typer.echo(f"{described}; each comes back at its own size (--square: the square)", err=True)
    return photos


def written(count: int, what: str, photos: Any) -> str:
    """What was written, in words: "2 protected photos at their own size"."""
    if photos is None:
        return counted(count, f"{what} square")
    return f"{counted(count, f'{what} photo')} at {'its' if count == 1 else 'their'} own size"


def source_path(text: str, what: str = "SOURCE") -> str:
    """The source as the library takes it, with "~" written out.

    Args:
        what: what a refusal calls it.
    """
    from ..files import expand

    return text if text.startswith("mini:") else str(expand(text, what))


def check_out(
    out: str, record: str, source: str, force: bool, names: Sequence[str] = (), side: int = 0
) -> Any:
    """The folder for the results, before anything is loaded: also names that would collide.

    Args:
        names: files that will be written; else a PNG for each photo, and there must be room.
        side: of the squares that are written for photos; 0: each is written at its own size.
    """
    from ..files.outputs import check_output

    if source.startswith("mini:"):
        return check_output(out, record, names=names, force=force)
    from ..files.disk_space import photo_bytes, square_bytes
    from ..files.pictures import list_folder, stems_of

    files = list_folder(set_b(source)).files
    stems = stems_of([path.name for path in files])
    if names:
        return check_output(out, record, source=source_path(source), names=names, force=force)
    needs = square_bytes(len(files), side) if side else photo_bytes(files)
    return check_output(
        out,
        record,
        source=source_path(source),
        names=[f"{stem}.png" for stem in stems],
        force=force,
        needs=needs,
    )


def check_sets(source: str) -> None:
    """Refuse a folder that has only some of set_A, set_B and set_C."""
    from ..files.pictures import has_sets

    if not source.startswith("mini:"):
        has_sets(Path(source_path(source)))


def set_b(source: str) -> Path:
    """Where the pictures to work on are: set_B of a folder that has it, else the folder."""
    from ..files.pictures import set_b as set_b_of

    return set_b_of(Path(source_path(source)))


def picture_folder(text: str | None) -> str | None:
    """The absolute path of a folder of pictures, checked; None for none."""
    if text is None:
        return None
    from ..files.pictures import list_folder

    return str(list_folder(text).folder.resolve())


def open_lab(profile: str, *roles: str) -> Any:
    """The lab of a profile; the weights of roles are looked at before anything heavy is loaded."""
    from .. import Lab
    from ..progress import quiet_libraries
    from ..resuming.kept_work import keep_class_pictures

    lab = Lab(profile)
    lab.look_at(*roles)
    quiet_libraries()
    keep_class_pictures(lab)
    return lab


def read_pictures(lab: Any, source: str) -> tuple[Any, list[str]]:
    """Set B of a source, and file names for it."""
    if source.startswith("mini:"):
        images = lab.subject(source).images
        return images, [f"{i:03d}.png" for i in range(len(images))]
    from ..images import load_folder

    return load_folder(set_b(source), lab.profile.resolution)
