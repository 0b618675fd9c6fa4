"""The package's own bars for code: short functions, plain names, formatting left to ruff."""

import ast
import io
import tokenize
from pathlib import Path

import shortcut_nb

PACKAGE = Path(shortcut_nb.__file__).parent
LONGEST = 40
"""Lines of code in a function; its signature, its docstring, comments and blank lines are free."""

RIDDLES = {"begun", "found", "got", "held", "made", "mine", "ours", "said", "shown", "told"}
"""Participles and pronouns that say nothing of what a value is."""

NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def sources():
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        yield name, path.read_text(encoding="utf-8")


def code_lines(source):
    """The numbers of the lines that hold code."""
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    return lines


def long_functions(source, longest=LONGEST):
    """Functions whose bodies have more lines of code than allowed, by name."""
    lines = code_lines(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body and len(lines & {*range(body[0].lineno, node.end_lineno + 1)}) > longest:
                yield node.name


def riddles(source):
    """Names given to values, parameters, functions and attributes that are in ``RIDDLES``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            name = node.id if isinstance(node, ast.Name) else node.attr
        elif isinstance(node, ast.arg):
            name = node.arg
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            name = node.name
        else:
            continue
        if name.strip("_").lower() in RIDDLES:
            yield f"{node.lineno}: {name}"


def skips(source):
    comments = tokenize.generate_tokens(io.StringIO(source).readline)
    return sum(t.type == tokenize.COMMENT and "fmt: skip" in t.string for t in comments)


def test_the_checks_can_fail():
    body = "\n".join(f"    x = {i}" for i in range(LONGEST))
    at_the_bar = f'def f(\n    a,\n):\n    """Text.\n\n    More."""\n    # a comment\n\n{body}\n'
    assert not [*long_functions(at_the_bar)]
    assert [*long_functions(at_the_bar + "    x = 40\n")] == ["f"]
    code = "def f(said):\n    x.HELD = 1\n    found, y = said, made\n"
    assert sorted(riddles(code)) == ["1: said", "2: HELD", "3: found"]
    assert skips('x = "# fmt: skip"\ny = 1  # fmt: skip\n') == 1


def test_every_command_of_a_module_ends_like_those_of_the_command_line():
    main = 'if __name__ == "__main__":\n'
    ends = {name: text.partition(main)[2] for name, text in sources() if main in text}
    ends.pop("runner/colab.py")  # for `make badges`, it reads no options and says errors itself
    assert len(ends) > 5
    assert not [name for name, end in ends.items() if not end.endswith("run_alone(main)\n")]


def test_functions_are_short():
    assert not [f"{name} {f}" for name, text in sources() for f in long_functions(text)]


def test_names_say_what_a_value_is():
    assert not [f"{name}:{riddle}" for name, text in sources() for riddle in riddles(text)]


def test_ruff_formats_the_code():
    assert not [name for name, text in sources() if skips(text)]
