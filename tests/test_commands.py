"""The commands at work, on a tiny model: what they are told reaches the library, and is written."""

import json
from dataclasses import fields

import pytest
import torch
from typer.testing import CliRunner

from shortcut_nb import Lab
from shortcut_nb.cli import app
from shortcut_nb.images import save_folder
from shortcut_nb.personalize import TRAINERS
from shortcut_nb.resuming.kept_work import keep_class_pictures

from .tiny_profile import save_profile


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    return save_profile(tmp_path_factory.mktemp("profile"))


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHORTCUT_NB_CACHE", str(tmp_path / "store"))
    monkeypatch.setenv("SHORTCUT_NB_HEADLESS", "1")
    for name, count in (("in", 2), ("own", 3)):
        images = torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(count))
        save_folder(images, tmp_path / name)
    return tmp_path


def call(*words):
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, (done.output, done.exception)
    return done


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_personalize_with_words_and_class_pictures_of_ones_own(place, profile, monkeypatch):
    (place / "elsewhere").mkdir()
    monkeypatch.setenv("HOME", str(place))
    done = call(
        "personalize", "~/in", "~/out", "--profile", profile, "-p", "steps=2", "-p", "batch_size=2",
        "--class-images", "~/own", "--class-name", "dog", "--identifier", "zwx", "--samples", 2,
        "--prompts", "cdl", "--seed", 5,
    )  # fmt: skip
    assert "finished: wrote " in done.stdout and "sks" not in done.output
    assert names(place / "out") == ["model", "personalize.json", "samples"]
    about = json.loads((place / "out" / "personalize.json").read_text())
    assert about["params"]["class_images"] == about["config"]["class_images"] == str(place / "own")
    assert (about["trainer"], about["config"]["steps"], about["seed"]) == ("dreambooth", 2, 0)
    assert {*about["config"]} == {field.name for field in fields(TRAINERS["dreambooth"])}
    assert about["sampling"] == {"n": 2, "seed": 5, "steps": 2, "guidance_scale": 4.0}
    assert about["profile"] == "tiny" and about["made_with"]["threads"] == torch.get_num_threads()
    assert about["identifier"] == "zwx" and "zwx dog" in about["prompts"]["instance"]
    assert "t@t" in about["prompts"]["instance"]  # cdl
    assert names(place / "out" / "samples") == ["000.png", "001.png"]
    assert not list((place / "store" / "checkpoints").glob("*.pt"))
    assert not (place / "store" / "prior").exists()  # none were drawn


def test_protect_says_how_it_was_made(place, profile):
    call("protect", "in", "out", "--profile", profile, "--attack", "aspl", "--eps", "4/255",
         "-p", "rounds=1", "-p", "pgd_steps=1", "-p", "clean_steps=1", "-p", "perturbed_steps=1",
         "--class-images", "own", "--class-name", "dog")  # fmt: skip
    card = json.loads((place / "out" / "attack.json").read_text())
    assert card["config"]["rounds"] == 1 and card["budget"] == "4/255"
    assert card["config"]["class_images"] == str(place / "own")
    assert card["files"] == ["000.png", "001.png"] and max(card["linf_pixels"]) <= 4
    assert card["made_with"]["threads"] == torch.get_num_threads()


def test_purify_and_score_with_a_file(place, profile):
    done = call("purify", "in", "out", "--profile", profile, "-p", "quality=30")
    assert "(jpeg, " in done.stdout
    about = json.loads((place / "out" / "purify.json").read_text())
    assert about["files"] == ["000.png", "001.png"] and "quality=30" in about["purifier"]
    done = call("score", "out", "--reference", "in", "--profile", profile, "--out", "s.csv")
    assert (place / "s.csv").read_text().splitlines()[0].startswith("file,image,")
    assert len((place / "s.csv").read_text().splitlines()) == 3
    call("score", "out", "--reference", "in", "--profile", profile, "--out", "s.json", "--json")
    assert len(json.loads((place / "s.json").read_text())) == 2


def test_a_store_that_cannot_be_written_is_said_and_the_work_is_done(place, profile, caplog):
    (place / "store").write_text("a file")
    done = call("personalize", "in", "out", "--profile", profile, "-p", "steps=1",
                "-p", "class_images=2", "--samples", 1)  # fmt: skip
    assert names(place / "out") == ["model", "personalize.json", "samples"]
    assert "no checkpoint is kept" in caplog.text and "Traceback" not in done.output


def test_class_pictures_are_shown_and_drawn_once(place, profile, caplog):
    drawn = []
    for _ in range(2):
        lab = Lab(profile)
        keep_class_pictures(lab)
        with caplog.at_level("INFO", "shortcut_nb"):
            drawn.append(lab.prior_latents("a photo of a person", 3).mean)
    assert torch.equal(*drawn)
    messages = [message for message in caplog.messages if message.startswith("class pictures")]
    assert messages[0] == "class pictures: begins" and messages[-1].startswith(
        "class pictures: 3/3"
    )
    assert len(messages) == 2  # the second lab found them in the store


def test_a_plain_folder_is_the_same_for_the_command_and_the_library(place, profile):
    save_folder(torch.rand(24, 3, 16, 16), place / "many")
    call("protect", "many", "out", "--attack", "noise", "--eps", "2/255", "--profile", profile)
    assert (
        len(list((place / "out").glob("*.png"))) == len(Lab(profile).subject("many").images) == 24
    )
