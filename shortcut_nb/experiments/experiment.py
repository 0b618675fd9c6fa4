"""An experiment is data: cells, what is sampled, on whom, and what is predicted."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from ..cells import CELL_COLUMNS, CLEAN, NONE, OWN, Cell, Record, Sheet
from ..errors import MissingFile, UserError
from ..files import plain_name
from ..files.yaml_files import read_mapping, refusals
from ..inside import MODEL_PROBES
from ..metrics import SAMPLE_PROBES
from ..probes import IMAGE_PROBES
from ..profile import Profile
from ..registry import Registry, nearest
from ..settings import Seed, read
from .contrast_checks import check_contrasts, measured_columns
from .contrasts import CONDITION, Contrast, load_contrasts
from .measured import UNITS
from .seeds import first_seeds

JOIN = " | "  # between the axes' values in a cell's name


class Experiment(Record):
    """What is measured.

    Args:
        question: what it is to answer, in one sentence.
        cells: by name. Or
        axes: to be crossed; each maps a field of a cell to its values, or names of values to the
            fields that they set. A cell is then called by its values, joined by " | ".
        base: fields of every cell that the cell, or the axes, do not set.
        sheets: how each fine-tuned model is sampled, by name.
        contrasts: predictions about the frame; see :class:`.contrasts.Contrast`.
        subjects: how many of the profile's, or which.
        seeds: of attack, training and sampling.
        n: samples a sheet.
        image_probes: further measures of the pictures trained on; see :mod:`shortcut_nb.probes`.
        sample_probes: further measures of each sheet; "apart" is the distance to what plain
            training on clean pictures draws of the subject's (or the class's) own prompt, "traits"
            which of the person's attributes each shows, "hidden" the identity match by an encoder
            that looks through noise.

    Raises:
        UserError: in one line, what does not fit, and where.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: str
    question: str = ""
    cells: dict[str, Cell] = Field(default_factory=dict)
    axes: dict[str, list[Any] | dict[str, dict[str, Any]]] = Field(default_factory=dict)
    base: dict[str, Any] = Field(default_factory=dict)
    sheets: dict[str, Sheet] = Field(
        default={"instance": OWN, "class": Sheet(of="class")}, min_length=1
    )
    contrasts: tuple[Contrast, ...] = ()
    subjects: Annotated[int, Field(ge=1)] | tuple[str, ...] = 8
    seeds: tuple[Seed, ...] = (0, 1)
    n: int = Field(default=8, ge=1)
    image_probes: tuple[str, ...] = ()
    sample_probes: tuple[str, ...] = ()

    @field_validator("contrasts", mode="before")
    @classmethod
    def _contrasts(cls, given: Any) -> Any:
        if not isinstance(given, Sequence) or isinstance(given, str):
            raise ValueError(f"expected a list of contrasts, got {type(given).__name__}")
        plain = [each for each in given if isinstance(each, Mapping)]
        return tuple(given) if len(plain) < len(given) else tuple(load_contrasts(plain))

    @field_validator("name")
    @classmethod
    def _plain(cls, name: str) -> str:
        """It names files of results: nothing that could lead elsewhere."""
        return plain_name(name)

    @field_validator("image_probes")
    @classmethod
    def _known_image_probes(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        _check_known(names, IMAGE_PROBES)
        return names

    @field_validator("cells")
    @classmethod
    def _known_image_probes_of_cells(cls, cells: dict[str, Cell]) -> dict[str, Cell]:
        for cell in cells.values():
            _check_known(cell.image_probes, IMAGE_PROBES)
        return cells

    @field_validator("sample_probes")
    @classmethod
    def _known_sample_probes(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        _check_known(names, SAMPLE_PROBES)
        return names

    @field_validator("sheets")
    @classmethod
    def _known_model_probes(cls, sheets: dict[str, Sheet]) -> dict[str, Sheet]:
        _check_known([each.inside for each in sheets.values() if each.inside], MODEL_PROBES)
        return sheets

    @field_validator("seeds", mode="before")
    @classmethod
    def _counted(cls, given: Any) -> Any:
        """How many seeds, as on the command line, or which."""
        if isinstance(given, int) and not isinstance(given, bool):
            return first_seeds(given)
        listed = isinstance(given, list | tuple)
        return tuple(read(each, Seed, "each of seeds") for each in given) if listed else given

    @field_validator("subjects", mode="before")
    @classmethod
    def _counted_or_named(cls, given: Any) -> Any:
        named = isinstance(given, list | tuple) and all(isinstance(each, str) for each in given)
        if isinstance(given, bool) or not (named and given or isinstance(given, int)):
            raise ValueError(f"expected how many, or a list of names or folders; got {given!r}")
        return given

    @field_validator("seeds")
    @classmethod
    def _at_least_one(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if not seeds:
            raise ValueError("expected at least one seed, got none")
        return seeds

    @field_validator("seeds", "subjects")
    @classmethod
    def _each_once(cls, given: Any) -> Any:
        """A seed or a person that is given twice would count twice."""
        every = given if isinstance(given, tuple) else ()
        if twice := [each for each in every if every.count(each) > 1]:
            raise ValueError(f"expected each once, and {twice[0]!r} is given twice")
        return given

    @field_validator("cells", "sheets")
    @classmethod
    def _named(cls, given: dict[str, Any]) -> dict[str, Any]:
        if any(not name.strip() for name in given):
            raise ValueError("a name is blank: rows of the frame are called by it")
        return given

    @model_validator(mode="before")
    @classmethod
    def _on_base(cls, content: Any) -> Any:
        """Cells by name lie on the base, too; where axes are crossed it is laid under those."""
        if not isinstance(content, Mapping) or not content.get("base") or not content.get("cells"):
            return content
        base, cells = content["base"], content["cells"]
        if not isinstance(base, Mapping) or not isinstance(cells, Mapping):
            return content  # which is refused as what it is
        if any(isinstance(cell, Cell) for cell in cells.values()):
            raise ValueError("base is laid under cells that are plain keys and values, not Cell")
        laid = {
            name: _laid(base, cell) if isinstance(cell, Mapping) else cell
            for name, cell in cells.items()
        }
        return dict(content) | {"cells": laid}

    @model_validator(mode="after")
    def _one_kind(self) -> Experiment:
        if bool(self.cells) == bool(self.axes):
            raise ValueError("give either cells or axes to be crossed")
        if empty := [axis for axis, values in self.axes.items() if not values]:
            raise ValueError(f"the axis {empty[0]!r} has no values")
        columns = {CONDITION, *UNITS} | measured_columns()
        if taken := [axis for axis in self.axes if axis in columns]:
            raise ValueError(
                f"an axis is called {taken[0]!r}, as a column of every frame is: name it otherwise"
            )
        return self

    @model_validator(mode="after")
    def _compares_what_is_measured(self) -> Experiment:
        check_contrasts(self)
        return self

    def all_cells(self) -> dict[str, tuple[Cell, dict[str, str]]]:
        """Every cell by name, with its columns: each axis (or field) and its value."""
        if self.cells:
            return {name: (cell, cell_columns(cell)) for name, cell in self.cells.items()}
        every: dict[str, tuple[Cell, dict[str, str]]] = {}
        for name, cell in self._crossed():
            if name in every:
                raise ValueError(
                    f"two cells would be called {name!r}: give values of the axes other names"
                )
            every[name] = cell
        return every

    def _crossed(self) -> Iterator[tuple[str, tuple[Cell, dict[str, str]]]]:
        self._apart()
        choices = [
            [(axis, str(name), fields) for name, fields in _values(axis, values)]
            for axis, values in self.axes.items()
        ]
        for chosen in itertools.product(*choices):
            fields = _laid(self.base, {k: v for _, _, own in chosen for k, v in own.items()})
            called = JOIN.join(name for _, name, _ in chosen)
            try:
                cell = Cell(**fields)
            except UserError as error:
                raise ValueError(f"the cell {called!r}, of axes and base: {error}") from None
            labels = cell_columns(cell) | {axis: name for axis, name, _ in chosen}
            yield called, (cell, labels)

    def _apart(self) -> None:
        """Each field is set by one axis at most; else rows would be called by what they are not.

        Raises:
            ValueError: two axes set one field.
        """
        owner: dict[str, str] = {}
        for axis, values in self.axes.items():
            for name in {key for _, fields in _values(axis, values) for key in fields}:
                if owner.setdefault(name, axis) != axis:
                    raise ValueError(f"the axes {owner[name]} and {axis} both set {name}")

    def only(self, cells: Iterable[str] | Mapping[str, Cell], **fields: Any) -> Experiment:
        """This experiment with these cells alone: for a look at a part of it.

        Contrasts are kept; those that compare other cells are then not measured. Rows of crossed
        axes lose the axes' own columns.

        Args:
            cells: names of its own cells, or cells by name.
            fields: set in each of them.

        Raises:
            UserError: it has no cell of that name, or a field that a cell cannot have.
        """
        if isinstance(cells, str):
            cells = [cells]
        if not isinstance(cells, Mapping):
            every = {name: cell for name, (cell, _) in self.all_cells().items()}
            wanted = list(cells)
            if absent := [name for name in wanted if name not in every]:
                raise UserError(
                    f"{self.name} has no cell {absent[0]!r}; the nearest are "
                    f"{nearest(absent[0], list(every))}"
                )
            cells = {name: every[name] for name in wanted}
        changed = {name: Cell(**(dict(cell) | fields)) for name, cell in cells.items()}
        return self.model_copy(update={"cells": changed, "axes": {}, "base": {}})

    def people(self, profile: Profile, count: int | None = None) -> list[str]:
        """The subjects' names: of the experiment, or the first so many of the profile.

        Raises:
            UserError: the profile names fewer.
        """
        if not isinstance(self.subjects, int) and count is None:
            return list(self.subjects)
        wanted = count or (self.subjects if isinstance(self.subjects, int) else 0)
        if len(profile.subjects) < wanted:
            raise UserError(
                f"profile {profile.name} names {len(profile.subjects)} subjects, {wanted} are "
                "wanted: list folders of photos under subjects: in the profile, or ask for fewer"
            )
        return list(profile.subjects[:wanted])


def _check_known(names: Iterable[str], registry: Registry[Any]) -> None:
    """Raise a UserError for a name that is not registered."""
    for name in names:
        registry[name]


def _laid(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A cell's own fields on those of the base; what the base says of an attack or a purifier
    falls away where the cell has none."""
    fields = dict(base) | dict(own)
    for what, settings in (("attack", "settings"), ("purifier", "purifying")):
        if fields.get(what, NONE) == NONE and settings not in own:
            fields.pop(settings, None)
    return fields


def _values(axis: str, values: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Names of an axis's values with the fields that each sets."""
    if isinstance(values, Mapping):
        yield from values.items()
    else:
        for value in values:
            yield value, {axis: value}


def cell_columns(cell: Cell) -> dict[str, str]:
    """The columns of a cell's rows in a frame."""
    return {name: getattr(cell, name) for name in CELL_COLUMNS}


def parse_experiment(content: Mapping[str, Any], where: str) -> Experiment:
    """An experiment from plain values.

    Raises:
        UserError: what does not fit, each in a line.
    """
    try:
        return Experiment.model_validate(content)
    except ValidationError as error:
        lines = "; ".join(refusals(error, Experiment))
        raise UserError(f"{where} is not a valid experiment: {lines}") from error


def read_experiment(path: str | Path) -> Experiment:
    """An experiment from a YAML file.

    Raises:
        UserError: no such file, no YAML, or no experiment.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise MissingFile(f"expected a YAML file of an experiment; there is none at {path}.")
    return parse_experiment({"name": path.stem} | read_mapping(path), str(path))


__all__ = [
    "CLEAN",
    "OWN",
    "Cell",
    "Experiment",
    "Sheet",
    "cell_columns",
    "parse_experiment",
    "read_experiment",
]
