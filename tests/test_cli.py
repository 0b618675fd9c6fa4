"""The command line: thin, and plain about what went wrong."""

import inspect
import json
import subprocess
import sys

import pytest
import torch
from typer.testing import CliRunner

from shortcut_nb.attacks import ATTACKS
from shortcut_nb.budget import linf_pixels
from shortcut_nb.cli import app
from shortcut_nb.cli.info import Kind, plain_text
from shortcut_nb.cli.params import parse_params
from shortcut_nb.images import load_folder, save_folder
from shortcut_nb.metrics import METRICS
from shortcut_nb.personalize import TRAINERS
from shortcut_nb.profile import available_presets, available_profiles
from shortcut_nb.purify import ALIASES, PURIFIERS
from shortcut_nb.registry import catalogue
from shortcut_nb.store import Recipe, Store


def call(*words):
    return CliRunner().invoke(app, list(words))


def test_help_names_every_command():
    help_text = call("--help").output
    commands = ["run", "protect", "purify", "personalize", "score", "cache", "list", "doctor"]
    for name in [*commands, "mini"]:
        assert name in help_text


def test_module_and_script_are_the_same():
    completed = subprocess.run(
        [sys.executable, "-m", "shortcut_nb", "list", "profiles", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    expected = sorted((*available_profiles(), *available_presets()))
    assert sorted(json.loads(completed.stdout)) == expected and "sd21:smoke" in expected


@pytest.mark.parametrize("kind", list(Kind))
def test_lists_have_a_line_for_each_name(kind):
    records = json.loads(call("list", kind, "--json").output)
    assert records and all(len(line) > 5 for line in records.values())
    table = call("list", kind).output
    assert all(name in table and plain_text(line) in table for name, line in records.items())


@pytest.mark.parametrize("kind", list(catalogue.FOLDERS))
def test_the_catalogue_is_what_is_registered(kind):
    """Names and first lines are read from the source; the registries say the same."""
    registries = {
        "attacks": ATTACKS, "purifiers": PURIFIERS | ALIASES, "trainers": TRAINERS,
        "metrics": METRICS,
    }  # fmt: skip
    assert catalogue.names(kind) == {
        name: inspect.getdoc(thing).split("\n")[0] for name, thing in registries[kind].items()
    }


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("attacks", "aspl", ["rounds = 50", "at least 1", "the paper's '6/255'", "aspl.py"]),
        ("purifiers", "jpeg", ["quality = ", "jpeg.py"]),
        ("purifiers", "codesr", ["chain", "codesr.py"]),
        ("trainers", "dreambooth", ["lr = 5e-07", "prompts = 'plain'", "dreambooth.py"]),
        ("metrics", "identity", ["cosine", "identity.py"]),
        ("profiles", "sd15", ["resolution = 512", "profiles/sd15.yaml"]),
        ("profiles", "sd15:smoke", ["pictures in minutes", "profiles/sd15.yaml"]),
    ],
)
def test_one_thing_is_shown_with_its_parameters(kind, name, words):
    done = call("list", kind, name)
    assert done.exit_code == 0 and not [word for word in words if word not in done.output]
    assert json.loads(call("list", kind, name, "--json").output)["name"] == name


@pytest.mark.parametrize(
    "words",
    ["--help", "protect --help", "list attacks", "list purifiers", "list trainers",
     "list metrics", "list profiles", "cache ls", "doctor"],
)  # fmt: skip
def test_light_commands_load_no_torch(words, tmp_path, monkeypatch):
    monkeypatch.setenv("SHORTCUT_NB_CACHE", str(tmp_path))
    code = f"""
import sys
from shortcut_nb.cli import app
try:
    app({words.split()!r})
except SystemExit as end:
    assert not end.code, end.code
heavy = {{"torch", "diffusers", "transformers", "pandas", "matplotlib"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_doctor_says_what_each_profile_lacks():
    report = json.loads(call("doctor", "--json").output)
    assert report["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert set(report["profiles"]) == set(available_profiles())
    for role, what in report["profiles"]["sd21"].items():
        ways = ("hf download", "curl -L", "pip install")
        assert any(way in what for way in ways), role
    assert "profile sd21" in call("doctor").output


def test_cache_commands_show_and_empty_the_store(tmp_path, monkeypatch):
    monkeypatch.setenv("SHORTCUT_NB_CACHE", str(tmp_path))
    entry = Store().make(Recipe("stage"), lambda p: p.save_json("x", 1))
    assert entry.key[:12] in call("cache", "ls").output
    assert "deleted 0" in call("cache", "prune").output
    assert "deleted 1" in call("cache", "prune", "--days", "0").output
    assert "0 outputs" in call("cache", "ls").output


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x=8/255", "8/255"),
        ("x=3", 3),
        ("x=1e-4", 1e-4),
        ("x=[0, 1]", [0, 1]),
        ("x=true", True),
        ("x=a=b", "a=b"),
        ("x=", ""),
        ("x=no", "no"),
        ("x=off", "off"),
        ("x=null", None),
        ("x=2020-01-01", "2020-01-01"),
        ("x=a: b", "a: b"),
        ("x=[a, 2]", ["a", 2]),
        ("x=[", "["),
    ],
)
def test_parameters_are_read_as_meant(text, value):
    parsed = parse_params([text])["x"]
    assert parsed == value and type(parsed) is type(value)


@pytest.mark.parametrize("text", ["x", "=3", "not a name=3"])
def test_other_pairs_are_refused(text):
    with pytest.raises(ValueError, match="name=value"):
        parse_params([text])


@pytest.mark.parametrize(
    "words",
    [
        ("run", "no_such_notebook"),
        ("run", "x.ipynb", "-p", "novalue"),
        ("protect", "nowhere", "out", "--eps", "8/255", "--profile", "none"),
    ],
)
def test_user_errors_are_one_line_and_exit_2(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = call(*words)
    assert done.exit_code == 2
    assert len(done.stderr.strip().splitlines()) == 1 and "Traceback" not in done.output


def test_purify_keeps_names_and_counts(tmp_path):
    save_folder(torch.rand(2, 3, 64, 64), tmp_path / "in", ["a", "b"])
    done = call("purify", str(tmp_path / "in"), str(tmp_path / "out"), "--with", "jpeg")
    assert done.exit_code == 0, done.output
    assert load_folder(tmp_path / "out", 64)[1] == ["a.png", "b.png"]


def test_an_unknown_purifier_is_a_user_error(tmp_path):
    save_folder(torch.rand(1, 3, 64, 64), tmp_path / "in")
    done = call("purify", str(tmp_path / "in"), str(tmp_path / "out"), "--with", "jpgg")
    assert done.exit_code == 2 and "jpeg" in done.stderr


def test_protect_keeps_the_budget_on_every_picture(tmp_path):
    x = torch.rand(4, 3, 64, 64)
    save_folder(x, tmp_path / "in", ["anna", "ben", "cleo", "dan"])
    words = [str(tmp_path / "in"), str(tmp_path / "out"), "--attack", "noise", "--eps", "8/255"]
    done = call("protect", *words)
    assert done.exit_code == 0, done.output
    (before, said), (after, kept) = (load_folder(tmp_path / name, 64) for name in ("in", "out"))
    assert kept == said
    assert linf_pixels(after, before) == [8] * 4


def test_an_existing_model_is_found_before_training(tmp_path):
    save_folder(torch.rand(1, 3, 64, 64), tmp_path / "in")
    (tmp_path / "out" / "model").mkdir(parents=True)
    done = call("personalize", str(tmp_path / "in"), str(tmp_path / "out"))
    assert done.exit_code == 2 and "holds files already (model)" in done.stderr
