"""The lists of dependencies agree with each other and with what is imported."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
IMPORTED_AS = {
    "pillow": "PIL",
    "pyyaml": "yaml",
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
    "umap-learn": "umap",
    "open_clip_torch": "open_clip",
}
# Brought along by transformers and pydantic, which cannot do without them.
BROUGHT_ALONG = {"annotated_types", "huggingface_hub", "packaging", "tokenizers"}


def name(requirement):
    return re.split(r"[<>=!~\[; ]", requirement)[0]


def declared():
    return {name(r) for r in PROJECT["dependencies"]}


def everything():
    return declared() | {name(r) for extra in EXTRAS.values() for r in extra}


def test_every_dependency_has_a_reason_and_nothing_else_does():
    lines = (ROOT / "environment.yml").read_text().splitlines()
    matches = [re.match(r"# ([\w-]+): (.+)", line) for line in lines]
    reasons = dict(m.groups() for m in matches if m)
    assert set(reasons) == everything()
    assert all(len(reason.split()) >= 2 for reason in reasons.values())


def test_environment_installs_the_project_as_tested():
    content = yaml.safe_load((ROOT / "environment.yml").read_text())
    conda = [d for d in content["dependencies"] if isinstance(d, str)]
    (pip,) = [d["pip"] for d in content["dependencies"] if isinstance(d, dict)]
    assert f"python{PROJECT['requires-python']}" in conda
    assert pip == ["-c constraints.txt", "-e .[dev]"]


def test_constraints_pin_every_direct_dependency_exactly():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert set(pins) == everything()
    assert all(re.fullmatch(r"\d+(\.\w+)+", version) for version in pins.values())


def test_a_pin_is_never_below_its_lower_bound():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    numbers = lambda text: [int(n) for n in re.findall(r"\d+", text)]  # noqa: E731
    for requirement in PROJECT["dependencies"] + EXTRAS["dev"] + EXTRAS["real"]:
        low = requirement.split(">=")[1]
        assert numbers(pins[name(requirement)]) >= numbers(low), requirement


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("folder", ["shortcut_nb"])
def test_every_import_is_declared(folder):
    versions = {}
    for path in (ROOT / folder).rglob("*.py"):
        for module in imports(path):
            versions.setdefault(module, path.relative_to(ROOT))
    ours = {"shortcut_nb"} | set(sys.stdlib_module_names) | BROUGHT_ALONG
    known = ours | {IMPORTED_AS.get(n, n).replace("-", "_") for n in everything()}
    unknown = {module: str(path) for module, path in versions.items() if module not in known}
    assert not unknown


def test_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
