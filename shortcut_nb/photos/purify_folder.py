"""The work of `shortcut-nb purify`: pictures into a folder, going on after a kill."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from ..files import file_sha256, write_json
from ..images import save_folder
from ..lab import Lab
from ..progress import StepInfo
from ..purify import BoundPurifier
from ..resuming.finished_pictures import FinishedPictures
from ..resuming.work_keys import work_key_of_pictures
from .full_size import purified
from .groups import GROUP, purified_rows
from .photo import Photos

RECORD = "purify.json"


def key_of_purifying(purifier: BoundPurifier, lab: Lab, pictures: Photos | Tensor) -> str:
    """What names the work: the purifier, its models, and the pictures."""
    # One by one, in the order of their use: of several that are missing the first is named.
    weights = [lab.digest(role) for role in purifier.roles]
    made_by = (purifier, weights, lab.device.type, lab.autocast, lab.profile.resolution, GROUP)
    if isinstance(pictures, Photos):
        return work_key_of_pictures(made_by, [file_sha256(photo.path) for photo in pictures.photos])
    return work_key_of_pictures(made_by, [pictures])


def purify_into(
    folder: Path,
    purifier: BoundPurifier,
    lab: Lab,
    pictures: Photos | Tensor,
    names: list[str],
    work: FinishedPictures,
) -> None:
    """Write each picture purified, and the record of it.

    Args:
        pictures: photos, which keep their own size; or squares (n, 3, H, W) in [0, 1].
        names: of the squares' files.
        work: where finished pictures are kept.

    Raises:
        CannotWrite: when the system refuses.
    """

    def on_picture(info: StepInfo) -> None:
        work.on_picture(info)
        if not purifier.roles:  # a network tells of its own steps
            work.bar(info)

    if isinstance(pictures, Photos):
        purified(pictures, purifier, lab, work.bar, work.folder).put(folder, on_picture)
    else:
        show = work.bar if purifier.roles else None
        rows = purified_rows(pictures, purifier, show, work.folder, on_picture)
        save_folder(rows, folder, names)
    files = sorted(path.name for path in folder.iterdir())
    write_json(folder / RECORD, {"purifier": repr(purifier), "files": files})
