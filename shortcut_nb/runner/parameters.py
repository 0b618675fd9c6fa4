"""Parameters of a notebook: names and types as its `parameters` cell has them."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from ..errors import UserError

_BUDGET = re.compile(r"\d+(\.\d+)?/255")


def defaults_of(notebook: NotebookNode, name: str) -> dict[str, Any]:
    """The assignments of the cell tagged `parameters`: values where literal, else Ellipsis.

    Raises:
        UserError: when there are several such cells.
    """
    tagged = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    if len(tagged) > 1:
        raise UserError(
            f"{name} must have exactly one cell tagged 'parameters'; found {len(tagged)}. "
            "Tag the cell that holds the literal assignments."
        )
    defaults: dict[str, Any] = {}
    for cell in tagged:
        for node in _parse(cell.source, name).body:
            if not isinstance(node, ast.Assign | ast.AnnAssign):
                continue
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name):
                    defaults[target.id] = _literal(node.value)
    return defaults


def _parse(source: str, name: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise UserError(f"the parameters cell of {name} is not valid Python: {error}.") from None


def _literal(node: ast.expr | None) -> Any:
    try:
        return ast.literal_eval(node) if node is not None else ...
    except (ValueError, SyntaxError):
        return ...


def check_parameters(
    notebook: NotebookNode, name: str, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Make sure that the notebook has every parameter, of that type; returns the defaults.

    Raises:
        UserError: naming what is wrong and the names there are.
    """
    known = defaults_of(notebook, name)
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        hint = "" if known else " Tag the cell that holds the literal assignments 'parameters'."
        raise UserError(
            f"{name} has no parameter {', '.join(unknown)}. "
            f"It has: {', '.join(sorted(known)) or 'none'}.{hint}"
        )
    for key, value in parameters.items():
        default = known[key]
        if default is not ... and not _fits(value, default):
            raise UserError(
                f"parameter {key} of {name} is {type(default).__name__} (default "
                f"{default!r}); got {value!r} ({type(value).__name__})."
            )
    return known


def _fits(value: Any, default: Any) -> bool:
    if default is None or value is None:
        return True
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, (int, float))
    if isinstance(default, (list, tuple)):
        return isinstance(value, (list, tuple))
    return isinstance(value, type(default))


def resolve_paths(
    parameters: Mapping[str, Any], defaults: Mapping[str, Any], caller: Path
) -> dict[str, Any]:
    """The parameters with paths made absolute, as the caller's folder means them.

    The kernel works in the notebook's folder, so that "photos" would mean another folder there.
    Text counts as a path when something of that name is there, and either it has a "/" or a "~" or
    the parameter's default looks like a place ("mini:held-out/3", "photos/").
    """
    return {
        name: _resolve(value, _like_a_place(defaults.get(name)), caller)
        for name, value in parameters.items()
    }


def _resolve(value: Any, place: bool, caller: Path) -> Any:
    if isinstance(value, (list, tuple)):
        return [_resolve(item, place, caller) for item in value]
    if not isinstance(value, str) or not value.strip() or _BUDGET.fullmatch(value):
        return value
    if not place and not value.startswith("~") and "/" not in value:
        return value
    try:
        path = caller / Path(value).expanduser()
        return str(path.resolve()) if path.exists() else value
    except (OSError, RuntimeError, ValueError):
        return value


def _like_a_place(default: Any) -> bool:
    if isinstance(default, (list, tuple)):
        return any(map(_like_a_place, default))
    is_text = isinstance(default, str) and not _BUDGET.fullmatch(default)
    return is_text and ("/" in default or default.startswith("~"))
