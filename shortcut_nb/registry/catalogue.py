"""What is registered, read from the source: names and first lines, without loading torch.

The source is parsed and not run. Whatever is imported instead says the same; a test holds the two
against each other.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
DECORATOR = "register"
FOLDERS = {
    "attacks": "attacks",
    "purifiers": "purify",
    "trainers": "personalize",
    "metrics": "metrics",
}


def names(kind: str) -> dict[str, str]:
    """Every registered name of a kind (a key of FOLDERS) with its first line, sorted by name."""
    descriptions: dict[str, str] = {}
    for tree in _modules(kind):
        descriptions |= dict(_metrics(tree) if kind == "metrics" else _registered(tree))
    return dict(sorted(descriptions.items()))


def attacks_without_models() -> set[str]:
    """The names of attacks whose class says ``opens_models = False``."""
    return {
        name
        for tree in _modules("attacks")
        for name, node in _classes(tree)
        if any(ast.unparse(line) == "opens_models = False" for line in node.body)
    }


def _modules(kind: str) -> Iterator[ast.Module]:
    """The source of each module of a kind, parsed."""
    for path in sorted((PACKAGE / FOLDERS[kind]).glob("*.py")):
        yield ast.parse(path.read_text("utf-8"), str(path))


def _classes(tree: ast.Module) -> Iterator[tuple[str, ast.ClassDef]]:
    """Classes decorated with @register("name"), with that name."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            for decorator in node.decorator_list:
                name = _decorated(decorator)
                if name:
                    yield name, node


def _registered(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Registered classes, and functions entered as ALIASES["name"], with their first lines."""
    for name, registered in _classes(tree):
        yield name, _first_line(registered)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            key, value = node.targets[0].slice, node.value
            if isinstance(key, ast.Constant) and isinstance(value, ast.Name):
                yield str(key.value), _first_line(functions[value.id])


def _decorated(decorator: ast.expr) -> str:
    """The name that a decorator registers; "" when it registers nothing."""
    if not isinstance(decorator, ast.Call) or len(decorator.args) != 1:
        return ""
    called = decorator.func
    label = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    argument = decorator.args[0]
    if label != DECORATOR or not isinstance(argument, ast.Constant):
        return ""
    return str(argument.value)


def _metrics(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Classes with a constant ``name``."""
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        for line in node.body:
            target = line.target if isinstance(line, ast.AnnAssign) else None
            if isinstance(line, ast.Assign):
                target = line.targets[0]
            value = getattr(line, "value", None)
            if getattr(target, "id", "") == "name" and isinstance(value, ast.Constant):
                yield str(value.value), _first_line(node)


def _first_line(node: ast.ClassDef | ast.FunctionDef) -> str:
    return (ast.get_docstring(node) or "").strip().split("\n")[0]
