"""Every odd input that a command can be given is one clear line, found before work, and costs
nothing: exit code 2, no traceback, and every file as it was.

No model is opened here.
"""

import hashlib
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from shortcut_nb.cli import app
from shortcut_nb.images import save_folder

LONG = "n" * 300
COMMANDS = {
    "protect": ("--attack", "noise", "--eps", "8/255"),
    "purify": ("--with", "jpeg"),
    "personalize": ("-p", "steps=1"),
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to work in: good photos in `in`, and much that is odd."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHORTCUT_NB_CACHE", str(tmp_path / "store"))
    save_folder(torch.rand(2, 3, 16, 16), "in", ["anna", "ben"])
    save_folder(torch.rand(5, 3, 16, 16), "full")
    Path("full/attack.json").write_text('{"files": []}')
    for name in ("empty", "text", "broken", "tiny", "cut", "twins", "links", "heic", "two"):
        Path(name).mkdir()
    Path("link").symlink_to("in")
    Path("round").symlink_to("round")
    Path("file").write_text("a file")
    Path("text/notes.txt").write_text("no picture")
    Path("broken/a.png").write_text("no picture")
    Image.new("RGB", (3, 3)).save("tiny/a.png")
    Path("cut/a.png").write_bytes(Path("in/anna.png").read_bytes()[:200])
    Image.new("RGB", (16, 16)).save("twins/a.png")
    Image.new("RGB", (16, 16)).save("twins/a.jpg")
    Path("links/a.png").symlink_to("nowhere.png")
    Path("heic/a.mov").write_bytes(b"\0\0\0\x18ftypqt  ")
    for name in ("set_A", "set_B"):
        save_folder(torch.rand(1, 3, 16, 16), Path("two") / name)
    for name, text in PROFILES.items():
        Path(f"{name}.yaml").write_text(text)
    for name, text in NOTEBOOKS.items():
        Path(f"{name}.ipynb").write_text(text)
    return tmp_path


MINI = (Path(__file__).parent.parent / "shortcut_nb" / "profiles" / "mini.yaml").read_text()
PROFILES = {
    "blank": "",
    "list": "- a\n- b\n",
    "text": "only text",
    "tabs": "a:\n\t- b: [\n",
    "unknown-key": MINI + "\ncolour: blue\n",
    "no-resolution": MINI.replace("resolution: 64", ""),
    "odd-resolution": MINI.replace("resolution: 64", "resolution: 65"),
    "text-resolution": MINI.replace("resolution: 64", "resolution: large"),
    "loader": MINI.replace("loader: open_clip", "loader: telepathy"),
    "template": MINI.replace("a photo of {identifier} {class_name}", "a {foo}"),
    "default-attack": MINI.replace("  sr: {", "  asspl: {steps: 1}\n  sr: {"),
    "default-value": MINI.replace("  sr: {steps: 4", "  sr: {steps: many"),
    "no-weights": MINI.replace("package:mini/weights/diffusion", "/nowhere/model"),
}
NOTEBOOKS = {
    "empty": "",
    "page": "<html></html>",
    "none": "{}",
    "listed": "[]",
    "tagged": '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code",'
    ' "id": "a", "execution_count": null, "outputs": [], "metadata": {"tags": ["parameters"]},'
    ' "source": "eps = \\"8/255\\"\\nsteps = 3\\nshare = 0.5\\nnames = [1]\\nyes = True"}]}',
    "plain": '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}',
    "twice": '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code",'
    ' "id": "a", "execution_count": null, "outputs": [], "metadata": {"tags": ["parameters"]},'
    ' "source": "a = 1"}, {"cell_type": "code", "id": "b", "execution_count": null, "outputs": [],'
    ' "metadata": {"tags": ["parameters"]}, "source": "a = 1"}]}',
    "other": '{"nbformat": 4, "nbformat_minor": 5, "cells": [], '
    '"metadata": {"language_info": {"name": "julia"}}}',
}


def snapshot(folder):
    """Every file below a folder by content, the store's bookkeeping left out."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if "store" in path.relative_to(folder).parts:
            continue
        content = path.read_bytes() if path.is_file() else b""
        files[str(path.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return files


def refused(place, *words):
    """Run a command that must be refused at the door; returns what it said."""
    before = snapshot(place)
    done = CliRunner().invoke(app, list(words))
    message = done.stderr.strip()
    assert done.exit_code == 2, (done.output, done.exception)
    assert isinstance(done.exception, SystemExit) and "Traceback" not in done.output
    assert snapshot(place) == before
    if "Usage:" not in message:
        assert message and len(message.splitlines()[-1]) > 20, message
        assert len([line for line in message.splitlines() if line.strip()]) == 1, message
    return message


OUTS = [
    ("in", "OUT is the folder of the source"),
    ("./in/../in/.", "OUT is the folder of the source"),
    ("link", "OUT is the folder of the source"),
    ("in/out", "inside the source folder"),
    ("in/deep/er/out", "inside the source folder"),
    ("link/out", "inside the source folder"),
    ("full", "holds files already"),
    ("file", "is a file"),
    ("file/below", "a file, not a folder"),
    ("file/below/deep", "a file, not a folder"),
    (LONG, "name is too long"),
    (f"new/{LONG}", "name is too long"),
    ("", "OUT is empty"),
    ("   ", "OUT is empty"),
    ("/proc/out", "cannot be written"),
    ("~no-such-user-at-all/out", "not known"),
    ("round", "round in a circle"),
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("out", "words"), OUTS)
def test_places_for_results(place, command, out, words):
    assert words in refused(place, command, "in", out, *COMMANDS[command])


SOURCES = [
    ("nowhere", "there is no folder at nowhere"),
    ("file", "it is a file at file"),
    ("empty", "found none"),
    ("text", "notes.txt (not a picture)"),
    ("links", "a.png (a link that leads nowhere)"),
    ("heic", "a.mov (a video)"),
    ("broken", "is not a picture"),
    ("tiny", "3 x 3 pixels"),
    ("cut", "cut short"),
    ("", "is empty"),
    (LONG, "name is too long"),
    ("round", "round in a circle"),
    ("~no-such-user-at-all", "not known"),
    ("mini:nobody/0", "mini:"),
    ("mini:held-out/x", "mini:"),
]


@pytest.mark.parametrize("command", [*COMMANDS, "score"])
@pytest.mark.parametrize(("source", "words"), SOURCES)
def test_sources(place, command, source, words):
    if command == "score":
        assert words in refused(place, "score", source, "--reference", "in")
    else:
        assert words in refused(place, command, source, "out", *COMMANDS[command])


@pytest.mark.parametrize("command", COMMANDS)
def test_two_photos_with_one_name(place, command):
    message = refused(place, command, "twins", "out", *COMMANDS[command])
    assert "a.jpg, a.png collide" in message


@pytest.mark.parametrize("command", ["protect", "personalize"])
def test_two_of_three_sets(place, command):
    assert "but no set_C" in refused(place, command, "two", "out", *COMMANDS[command])


PARAMS = [
    ("protect", ("-p", "steps"), "name=value"),
    ("protect", ("-p", "=3"), "name=value"),
    ("protect", ("-p", "a b=3"), "name=value"),
    ("protect", ("-p", "seed=1", "-p", "seed=2"), "given twice"),
    ("protect", ("--eps", "8/255", "-p", "eps=4/255"), "as -p and as --eps"),
    ("protect", ("--eps", ""), "eps"),
    ("protect", ("--eps", "0.03"), "eps"),
    ("protect", ("--eps", "8"), "eps"),
    ("protect", ("--eps", "8/256"), "eps"),
    ("protect", ("--eps", "-8/255"), "eps"),
    ("protect", ("--eps", "300/255"), "eps"),
    ("protect", ("--attack", ""), "attack"),
    ("protect", ("--attack", "asspl"), "aspl"),
    ("protect", ("--attack", "ASPL"), "aspl"),
    ("protect", ("--attack", "aspl", "-p", "stepz=3"), "stepz"),
    ("protect", ("--attack", "aspl", "-p", "rounds=0"), "rounds"),
    ("protect", ("--attack", "aspl", "-p", "rounds=many"), "rounds"),
    ("protect", ("--attack", "aspl", "-p", "rounds=1.5"), "rounds"),
    ("protect", ("--attack", "aspl", "-p", "rounds=true"), "rounds"),
    ("protect", ("--attack", "aspl", "-p", "rounds="), "rounds"),
    ("protect", ("--attack", "aspl", "-p", "rounds=[3]"), "rounds"),
    ("protect", ("--attack", "aspl", "-p", "seed=1.5"), "seed"),
    ("protect", ("--attack", "aspl", "-p", "seed=null"), "seed"),
    ("protect", ("--attack", "aspl", "-p", "seed=-1"), "seed"),
    ("protect", ("--attack", "aspl", "-p", "low_memory=maybe"), "low_memory"),
    ("protect", ("--attack", "aspl", "-p", "alpha=inf/255"), "alpha"),
    ("protect", ("--attack", "aspl", "-p", "alpha=nan/255"), "alpha"),
    ("protect", ("--attack", "aspl", "-p", "alpha=0.01"), "alpha"),
    ("protect", ("--attack", "aspl", "-p", "prior_weight=-1"), "prior_weight"),
    ("protect", ("--attack", "aspl", "-p", "prior_dropout=2"), "prior_dropout"),
    ("protect", ("--attack", "aspl", "-p", "surrogate_lr=1e30"), "surrogate_lr"),
    ("protect", ("--attack", "aspl", "-p", "variant=wild"), "variant"),
    ("protect", ("--attack", "aspl", "--class-images", "nowhere"), "there is no folder"),
    ("protect", ("--attack", "aspl", "--class-images", "empty"), "found none"),
    ("protect", ("--attack", "noise", "--class-images", "in"), "class_images"),
    ("purify", ("--with", ""), "purifier"),
    ("purify", ("--with", "jpgg"), "jpeg"),
    ("purify", ("--with", "jpeg+"), "purifier"),
    ("purify", ("--with", "+jpeg"), "purifier"),
    ("purify", ("--with", "jpeg+jpgg"), "jpeg"),
    ("purify", ("--with", "jpeg", "-p", "quality=0"), "quality"),
    ("purify", ("--with", "jpeg", "-p", "quality=good"), "quality"),
    ("purify", ("--with", "jpeg", "-p", "colour=1"), "colour"),
    ("purify", ("--with", "jpeg+jpeg", "-p", "quality=50"), "several links"),
    ("personalize", ("--trainer", "dream"), "dreambooth"),
    ("personalize", ("--prompts", "shouted"), "prompts"),
    ("personalize", ("--prompts", ""), "prompts"),
    ("personalize", ("-p", "lr=nan"), "lr"),
    ("personalize", ("-p", "lr=inf"), "lr"),
    ("personalize", ("-p", "lr=-1"), "lr"),
    ("personalize", ("-p", "text_lr=-1"), "text_lr"),
    ("personalize", ("-p", "steps=-1"), "steps"),
    ("personalize", ("-p", "batch_size=0"), "batch_size"),
    ("personalize", ("-p", "ema_decay=1.5"), "ema_decay"),
    ("personalize", ("-p", "stepz=3"), "stepz"),
    ("personalize", ("--class-images", "file"), "it is a file"),
    ("personalize", ("--samples", "0"), "samples"),
    ("personalize", ("--samples", "-3"), "samples"),
    ("personalize", ("--samples", "many"), "samples"),
    ("personalize", ("--seed", "-1"), "seed"),
    ("personalize", ("--seed", "99999999999999999999"), "seed"),
]


@pytest.mark.parametrize(("command", "options", "words"), PARAMS)
def test_parameters(place, command, options, words):
    assert words in refused(place, command, "in", "out", *options)


@pytest.mark.parametrize("name", [n for n in PROFILES if n != "no-weights"])
def test_profiles(place, name):
    refused(place, "protect", "in", "out", "--attack", "noise", "--profile", f"{name}.yaml")


@pytest.mark.parametrize("name", ["", "minni", "nowhere.yaml", "in", ".", LONG, "in/anna.png"])
def test_profile_names(place, name):
    refused(place, "protect", "in", "out", "--attack", "noise", "--profile", name)


def test_weights_that_are_not_there(place):
    message = refused(
        place, "protect", "in", "out", "--attack", "advdm", "--profile", "no-weights.yaml"
    )
    assert "/nowhere/model" in message


SCORES = [
    ("--out", "full"),
    ("--out", "file"),
    ("--out", "scores.txt"),
    ("--out", ""),
    ("--out", "file/scores.csv"),
    ("--out", f"{LONG}.csv"),
    ("--out", "/proc/scores.csv"),
    ("--reference", "nowhere"),
    ("--reference", "empty"),
    ("--reference", ""),
]


@pytest.mark.parametrize(("option", "value"), SCORES)
def test_scores(place, option, value):
    given = {"--reference": "in"} | {option: value}
    refused(place, "score", "in", *[word for pair in given.items() for word in pair])


RUNS = [
    (("no_such_notebook",), "there is no notebook"),
    (("",), "empty"),
    (("0",), "several notebooks"),
    (("nowhere/00_quickstart.ipynb",), "there is no notebook"),
    (("empty.ipynb",), "not a notebook"),
    (("page.ipynb",), "not a notebook"),
    (("none.ipynb",), "not a notebook"),
    (("listed.ipynb",), "not a notebook"),
    (("other.ipynb",), "julia"),
    (("twice.ipynb",), "found 2"),
    (("plain.ipynb", "-p", "a=1"), "has no parameter a"),
    (("tagged.ipynb", "-p", "epz=4/255"), "It has: eps"),
    (("tagged.ipynb", "-p", "eps"), "name=value"),
    (("tagged.ipynb", "-p", "eps=3"), "eps of tagged.ipynb is str"),
    (("tagged.ipynb", "-p", "steps=many"), "steps of tagged.ipynb is int"),
    (("tagged.ipynb", "-p", "steps=true"), "steps of tagged.ipynb is int"),
    (("tagged.ipynb", "-p", "steps=1.5"), "steps of tagged.ipynb is int"),
    (("tagged.ipynb", "-p", "share=half"), "share of tagged.ipynb is float"),
    (("tagged.ipynb", "-p", "names=anna"), "names of tagged.ipynb is list"),
    (("tagged.ipynb", "-p", "yes=1"), "yes of tagged.ipynb is bool"),
    (("tagged.ipynb", "-p", "steps=4", "--in-place"), "own parameters"),
    (("tagged.ipynb", "--timeout", "-5"), "timeout"),
    (("tagged.ipynb", "--timeout", "0"), "timeout"),
    (("tagged.ipynb", "--timeout", "soon"), "timeout"),
    (("tagged.ipynb", "--out", "full"), "holds files already"),
    (("tagged.ipynb", "--out", "file"), "is a file"),
    (("tagged.ipynb", "--out", ""), "--out is empty"),
    (("tagged.ipynb", "--out", LONG), "name is too long"),
    (("tagged.ipynb", "--out", "/proc/out"), "cannot be written"),
    (("all", "-p", "stepz=3"), "no notebook has a parameter"),
    (("all", "--out", "new"), "belongs to one notebook"),
]


@pytest.mark.parametrize(("words", "said"), RUNS)
def test_runs(place, words, said):
    assert said in refused(place, "run", *words)


LISTS = [
    ("list", "attack"),
    ("list", "attacks", "asspl"),
    ("list", "purifiers", ""),
    ("list", "trainers", "x"),
    ("list", "profiles", "nowhere"),
    ("cache", "ls", "--stage", "/etc"),
    ("cache", "ls", "--stage", "../../in"),
    ("cache", "prune", "--stage", "../in"),
    ("cache", "prune", "--days", "-1"),
    ("cache", "prune", "--keep", "much"),
    ("fetch", "nowhere"),
    ("nothing",),
]


@pytest.mark.parametrize("words", LISTS)
def test_lists_and_the_cache(place, words):
    refused(place, *words)


@pytest.mark.parametrize("command", ["protect", "purify"])
def test_forced_results_replace_earlier_ones_and_nothing_else(place, command):
    """Two photos after five: two pictures, and what is the user's own stays."""
    run = [command, "in", "out", *COMMANDS[command]]
    save_folder(torch.rand(5, 3, 16, 16), "five")
    assert CliRunner().invoke(app, [command, "five", *run[2:]]).exit_code == 0
    Path("out/own.txt").write_text("own")
    assert "holds files already" in refused(place, *run)
    done = CliRunner().invoke(app, [*run, "--force"])
    assert done.exit_code == 0, done.output
    record = "attack.json" if command == "protect" else "purify.json"
    assert sorted(p.name for p in Path("out").iterdir()) == sorted(
        ["anna.png", "ben.png", "own.txt", record]
    )
    assert done.stdout.startswith("finished: wrote 2 ")


def test_a_synthetic_subject_and_a_home_folder(place, monkeypatch):
    monkeypatch.setenv("HOME", str(place))
    words = ["--attack", "noise", "--eps", "8/255"]
    done = CliRunner().invoke(app, ["protect", "mini:held-out/0", "~/synthetic", *words])
    assert done.exit_code == 0 and (place / "synthetic" / "000.png").is_file()
    done = CliRunner().invoke(app, ["protect", "~/in", "~/two-more", *words])
    assert done.exit_code == 0 and (place / "two-more" / "anna.png").is_file()
    assert not (place / "~").exists()


@pytest.mark.parametrize(
    "words",
    [
        (), ("run",), ("protect",), ("purify",), ("personalize",), ("score",), ("list",),
        ("doctor",), ("fetch",), ("cache", "ls"), ("cache", "prune"), ("cache", "verify"),
        ("cache", "export"), ("mini", "evaluate"),
    ],
)  # fmt: skip
def test_every_help_has_an_example(words):
    done = CliRunner().invoke(app, [*words, "--help"])
    assert done.exit_code == 0 and "shortcut-nb " in done.output.split("Example")[1]
