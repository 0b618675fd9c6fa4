"""A folder for results: checked before any work, filled whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import AlreadyThere, CannotWrite, UserError
from .writer import (
    cannot_write,
    expand,
    flush,
    refused_by_system,
    remove,
    sweep,
    temporary,
    write_json,
)

_NAMED = 3


@dataclass(frozen=True)
class Output:
    """A folder that may be written, as :func:`check_output` found.

    Attributes:
        folder: where results go; it need not exist yet.
        record: the JSON file that a result is described in; its "files" lists what belongs to it,
            a folder in it by the files it holds.
    """

    folder: Path
    record: str
    force: bool = False

    @contextmanager
    def filling(self) -> Iterator[Path]:
        """A temporary folder to write into; its content is put in place when the body ends.

        A new folder appears whole, by one rename. In a folder that exists, a record that says
        "unfinished" and names the files of both results stands there until the new one comes, last
        of all, so that whoever is killed in between can give the same command again. Files of an
        earlier result that this one does not have are removed; files of others are left as they
        are, also in folders that a result has. Of two that replace one result in the same moment
        files of both may be left, each of them whole.

        Raises:
            AlreadyThere: the folder was filled meanwhile, or something of others is in the way.
            CannotWrite: when the system refuses; what was there before is still there.
        """
        fresh = temporary(self.folder if self.folder.is_dir() else self.folder.parent)
        try:
            fresh.mkdir(parents=True)
            yield fresh
            _name_files(fresh / self.record)
            flush(fresh)
            if self.folder.is_dir() or not _appears(fresh, self.folder):
                self._refuse_what_came_meanwhile()
                self._merge(fresh)
        except BaseException as error:
            if isinstance(error, UserError) or not refused_by_system(error):
                raise
            raise cannot_write(self.folder, error) from None
        finally:
            remove(fresh)

    def _refuse_what_came_meanwhile(self) -> None:
        if not self.force and _of_others(self.folder, self.record):
            raise AlreadyThere(
                f"OUT {self.folder} was filled by something else while this worked. The same "
                "command with a new folder goes on from what is kept."
            )

    def _merge(self, fresh: Path) -> None:
        earlier, files = _recorded(self.folder / self.record), _files_below(fresh)
        _refuse_what_is_in_the_way(self.folder, files, earlier)
        if (fresh / self.record).is_file():
            every = sorted({*earlier, *files} - {self.record})
            write_json(self.folder / self.record, {"unfinished": True, "files": every})
        else:
            remove(self.folder / self.record)
        for name in earlier:
            if name not in files:
                _remove_below(self.folder, name)
        for name in sorted(files, key=lambda name: name == self.record):
            place = self.folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(fresh / name, place)


def check_output(
    out: str | Path,
    record: str,
    *,
    source: str | Path | None = None,
    names: Sequence[str] = (),
    force: bool = False,
    needs: int = 0,
) -> Output:
    """Make sure, before any work, that results can be written to a folder.

    Args:
        source: the folder that pictures are read from.
        names: names of files that will be written, below OUT with "/".
        force: replace an earlier result, and files of the same names.
        needs: bytes of room that the results take at least.

    Raises:
        UserError: OUT is empty text, or is the source, or lies inside it.
        AlreadyThere: OUT holds files, and ``force`` is not given.
        CannotWrite: the system would refuse; says why.
    """
    folder = expand(out, "OUT")
    if source is not None:
        _apart(folder, Path(source))
    if folder.exists() and not folder.is_dir():
        raise CannotWrite(f"OUT must be a folder; {folder} is a file. Name another place.")
    _try_to_write(folder, max((Path(name).name for name in [*names, record]), key=len))
    existing = _of_others(folder, record)
    if existing and not force:
        more = f" and {len(existing) - _NAMED} more" if len(existing) > _NAMED else ""
        raise AlreadyThere(
            f"OUT {folder} holds files already ({', '.join(existing[:_NAMED])}{more}). Name a new "
            "folder, or give force=True to replace an earlier result and files of the same names."
        )
    _refuse_what_is_in_the_way(folder, [*names, record], _recorded(folder / record))
    need_room(folder, needs)
    return Output(folder, record, force)


def need_room(folder: Path, needs: int) -> None:
    """Make sure that a disk has room, as far as it can be known.

    Args:
        folder: on the disk; it need not exist yet.
        needs: bytes.

    Raises:
        CannotWrite: it has less.
    """
    room = shutil.disk_usage(_existing(folder)).free
    if room < needs:
        raise CannotWrite(
            f"{folder} cannot be written: the results take at least {needs / 1e6:.1f} MB, and the "
            f"disk has {room / 1e6:.1f} MB left. Make room, or name another place."
        )


def check_file(path: str | Path, force: bool = False, what: str = "the output") -> Path:
    """Make sure, before any work, that a result file can be written.

    Raises:
        AlreadyThere, CannotWrite, UserError: see :func:`check_output`.
    """
    target = expand(path, what)
    if target.is_dir():
        raise CannotWrite(f"{what} must be a file; {target} is a folder. Name a file in it.")
    if target.exists() and not force:
        raise AlreadyThere(
            f"{what} {target} exists already. Name a new file, or give force=True to replace it."
        )
    _try_to_write(target.parent, target.name)
    return target


def _apart(folder: Path, source: Path) -> None:
    """Refuse a folder for results that is the source, or lies inside it."""
    target, original = folder.resolve(), source.resolve()
    if target == original or (folder.exists() and source.exists() and folder.samefile(source)):
        raise UserError(
            f"OUT is the folder of the source pictures, {folder}; they would be replaced. "
            "Name a new folder."
        )
    if original in target.parents:
        raise UserError(
            f"OUT {folder} lies inside the source folder {source}; a later run would take results "
            "for photos. Name a folder outside of it."
        )


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _try_to_write(folder: Path, name: str) -> None:
    """Write a file of that name for real, and leave nothing of it.

    Folders that are missing are tried below a temporary one: a run of the same beside this one may
    be about to use the real ones.
    """
    present = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    probe = temporary(present)
    missing = [part for part in folder.relative_to(present).parts if part != ".."]
    place = probe.joinpath(*missing)
    try:
        for swept in {folder, folder.parent, present}:
            sweep(swept)
        place.mkdir(parents=True)
        (place / name).write_bytes(b"x" * 4096)
    except OSError as error:
        raise cannot_write(folder, error) from None
    finally:
        remove(probe)


def _appears(fresh: Path, folder: Path) -> bool:
    """Rename a whole folder to a name that is free; False if another run was there first."""
    try:
        os.rename(fresh, folder)
    except OSError:
        if folder.is_dir():
            return False
        raise
    return True


def _existing_names(folder: Path) -> list[str]:
    """The names of what a folder holds, hidden files left out; [] when it is not there."""
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def _of_others(folder: Path, record: str) -> list[str]:
    """The names that a folder holds, less those of a result whose replacing was cut short."""
    names = _existing_names(folder)
    if not is_unfinished(folder / record):
        return names
    own = {name.split("/")[0] for name in _recorded(folder / record)} | {record}
    return [name for name in names if name not in own]


def is_unfinished(record: Path) -> bool:
    """Whether a record says that its result was being replaced when that was cut short."""
    return _about(record).get("unfinished") is True


def _about(record: Path) -> dict[str, Any]:
    """What a record says; nothing where there is none, or something else is there."""
    try:
        content = json.loads(record.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def belonging(folder: Path, record: str) -> list[Path]:
    """The files in a folder that an earlier result consists of, with its record; [] without one.

    What a link leads to is none of them.
    """
    if not (folder / record).is_file():
        return []
    places = [folder / name for name in [*_recorded(folder / record), record]]
    inside = [place for place in places if place.parent.resolve().is_relative_to(folder.resolve())]
    return [place for place in inside if os.path.lexists(place)]


def _recorded(record: Path) -> list[str]:
    """The files that an earlier result of ours consists of; only names below its folder count."""
    names = _about(record).get("files")
    every = names if isinstance(names, Iterable) else ()
    return [name for name in every if isinstance(name, str) and _below(name)]


def _below(name: str) -> bool:
    """Whether a recorded name stays in its folder."""
    parts = name.replace("\\", "/").split("/")
    return not Path(name).is_absolute() and all(part not in ("", ".", "..") for part in parts)


def _files_below(folder: Path) -> list[str]:
    """Every file below a folder by its relative name with "/"."""
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]


def _name_files(record: Path) -> None:
    """Put the files of a folder in the place of the folder, in what a record lists."""
    about = _about(record)
    names = about.get("files")
    if not isinstance(names, list):
        return  # a result without a record, or one that lists nothing
    files: list[str] = []
    for name in names:
        place = record.parent / name
        below = sorted(_files_below(place)) if place.is_dir() else None
        files += [name] if below is None else [f"{name}/{each}" for each in below]
    if files != names:
        write_json(record, about | {"files": files})


def _refuse_what_is_in_the_way(
    folder: Path, names: Sequence[str], replaceable: Sequence[str]
) -> None:
    """Refuse to put files where something of others is that ``force`` does not replace."""
    own = set(replaceable)
    for name in names:
        above = [parent.as_posix() for parent in Path(name).parents if parent.parts]
        blocked = [each for each in above if _no_folder(folder / each)]
        blocked += [name] if _is_folder(folder / name) else []
        for each in blocked:
            if each not in own:
                raise AlreadyThere(
                    f"OUT {folder} holds {each!r}, which no earlier result wrote and whose name "
                    "this one needs. Move it away, or name a new folder."
                )


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _no_folder(path: Path) -> bool:
    """Whether a file, or a link, is where a folder belongs."""
    return os.path.lexists(path) and not _is_folder(path)


def _remove_below(folder: Path, name: str) -> None:
    """Delete what an earlier result left under a name, and folders that are empty without it."""
    above = [folder / parent for parent in Path(name).parents if parent.parts]
    if any(place.is_symlink() for place in above):
        return  # it leads out of the folder
    remove(folder / name)
    for place in above:
        with suppress(OSError):  # something of others is in it
            place.rmdir()


__all__ = ["Output", "belonging", "check_file", "check_output", "is_unfinished", "need_room"]
