"""What is refused at the door: wrong names, types, ranges and things, each in one line.

No model is opened here. A refusal names the parameter and says what is allowed.
"""

import math

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from shortcut_nb import Lab, Subject
from shortcut_nb.attacks import ATTACKS
from shortcut_nb.attacks import build as build_attack
from shortcut_nb.budget import Budget
from shortcut_nb.errors import UserError
from shortcut_nb.images import check_images, to_batch
from shortcut_nb.metrics import METRICS
from shortcut_nb.personalize import PROMPTS, TRAINERS
from shortcut_nb.profile import PROFILES, Profile, load_profile
from shortcut_nb.purify import PURIFIERS
from shortcut_nb.purify import build as build_purifier
from shortcut_nb.registry import Registry
from shortcut_nb.settings import describe, make, parameters
from shortcut_nb.templates import fill
from shortcut_nb.tuning.checkpoint import load_checkpoint, save_checkpoint

NAN, INF = math.nan, math.inf


@pytest.fixture(scope="module")
def lab():
    """A lab whose models must not be opened."""
    closed = Lab("mini", device="cpu", autocast=torch.float32)
    yield closed
    opened = {"diffusion", "clip", "identity", "detector", "ensemble", "upscaler"} & set(
        vars(closed)
    )
    assert not opened


def one_line(caught):
    text = str(caught.value)
    assert "\n" not in text and len(text) < 700
    return text


WRONG = [
    ("eps", ["", "8", "8/256", "-1/255", "300/255", 0.03, None, True, "inf/255", [8]]),
    ("seed", [None, 1.5, -1, True, "0", 2**40, NAN]),
    ("low_memory", ["maybe", 1, None, "true"]),
]
ATTACK_CASES = [("advdm", name, value) for name, values in WRONG for value in values] + [
    ("advdm", "steps", True), ("advdm", "steps", 0), ("advdm", "steps", 2.5),
    ("advdm", "steps", "10"), ("advdm", "steps", NAN), ("advdm", "steps", -3),
    ("advdm", "alpha", "inf/255"), ("advdm", "alpha", "nan/255"), ("advdm", "alpha", 0.004),
    ("advdm", "alpha", "1/256"), ("advdm", "alpha", "-1/255"), ("advdm", "alpha", ""),
    ("advdm", "alpha", None), ("advdm", "start", "unifrom"), ("advdm", "momentum", NAN),
    ("advdm", "momentum", -0.1), ("advdm", "repeats", 0), ("advdm", "direction", 2),
    ("advdm", "direction", True), ("advdm", "prompt", 3), ("advdm", "snr_gamma", 0),
    ("aspl", "surrogate_lr", 1e30), ("aspl", "surrogate_lr", NAN), ("aspl", "surrogate_lr", -1.0),
    ("aspl", "surrogate_text_lr", -1.0), ("aspl", "prior_dropout", 2), ("aspl", "rounds", 0),
    ("aspl", "prior_weight", -1), ("aspl", "class_images", 0), ("aspl", "class_images", "nowhere"),
    ("aspl", "class_images", 2.5), ("aspl", "batch_size", 0), ("aspl", "clean_steps", -1),
    ("aspl", "lr_scheduler", "cosin"), ("aspl", "warmup", 1.5), ("aspl", "warmup", -1),
    ("aspl", "snr_gamma", -5.0), ("aspl", "fused", "yes"), ("aspl", "prior_guidance", NAN),
    ("aspl", "prior_steps", 0), ("aspl", "variant", "release"), ("aspl", "targeted", 1),
    ("fsmg", "surrogate_steps", -1), ("fsmg", "inner_steps", 0), ("e-aspl", "models", 0),
    ("metacloak", "blur", 0.1), ("metacloak", "flip", 1.5), ("metacloak", "interval", 0),
    ("simac", "keep", 0), ("simac", "feature_weight", NAN), ("photoguard", "target", "grey"),
    ("photoguard-diffusion", "strength", 0.0), ("photoguard-diffusion", "strength", 1.5),
    ("photoguard-diffusion", "guidance_scale", NAN), ("photoguard-diffusion", "eta", 2),
    ("glaze", "lr", 0.0), ("glaze", "perceptual", 2.0), ("glaze", "style", None),
    ("mist", "mode", "both"), ("mist", "rate", INF), ("pid", "weight", -1),
    ("noise", "kind", "gaussian"), ("clip-shift", "direction", 0), ("sds", "rate", "5"),
    ("adaptive-aspl", "gradient", "some"), ("adaptive-aspl", "prompts", "cdll"),
    ("adaptive-aspl", "purifier", "jpg"), ("adaptive-aspl", "purifier", None),
]  # fmt: skip
PURIFIER_CASES = [
    ("jpeg", "quality", 0), ("jpeg", "quality", 101), ("jpeg", "quality", "75"),
    ("jpeg", "quality", 7.5), ("gaussian", "sigma", -1), ("gaussian", "sigma", INF),
    ("median", "size", 2), ("median", "size", 0), ("quantise", "bits", 9),
    ("resize", "factor", 0.5),
    ("tvm", "weight", -1), ("tvm", "keep", 0.0), ("tvm", "iterations", 0), ("vae", "strength", 2),
    ("restorer", "strength", NAN), ("ldiffpure", "steps", 0), ("ldiffpure", "guidance_scale", NAN),
    ("ldiffpure", "prompt", "a {foo}"), ("sr", "noise_level", -1), ("sr", "noise_level", 1000),
    ("sr", "prompt", "a {identifier}"), ("impress", "lr", 0.0), ("impress", "steps", -1),
    ("diffpure", "variant", "other"), ("ddspure", "sigma", 0.1), ("ddspure", "sigma", "a/255"),
    ("gridpure", "gamma", 1.5), ("gridpure", "iterations", 0), ("pdmpure", "upscale", "yes"),
    ("face-restorer", "fidelity", -0.1),
]  # fmt: skip
TRAINER_CASES = [
    ("dreambooth", "lr", NAN), ("dreambooth", "lr", -1.0), ("dreambooth", "lr", 1e30),
    ("dreambooth", "lr", "1e-4"), ("dreambooth", "text_lr", -1), ("dreambooth", "prior_weight", -1),
    ("dreambooth", "prior_weight", INF), ("dreambooth", "steps", -1), ("dreambooth", "steps", True),
    ("dreambooth", "steps", 1.5), ("dreambooth", "seed", 1.5), ("dreambooth", "seed", None),
    ("dreambooth", "batch_size", 0), ("dreambooth", "class_images", 0),
    ("dreambooth", "class_images", True), ("dreambooth", "prior_dropout", 1.1),
    ("dreambooth", "weight_decay", -1), ("dreambooth", "gradient_accumulation", 0),
    ("dreambooth", "gradient_checkpointing", "maybe"), ("dreambooth", "ema_decay", 1.0),
    ("dreambooth", "adam_8bit", 1), ("dreambooth", "prompts", "clean"),
    ("dreambooth", "prompts", None), ("dreambooth", "lr_scheduler", "none"),
    ("dreambooth", "warmup", True), ("dreambooth", "snr_gamma", NAN),
    ("dreambooth-lora", "rank", 0), ("cdl-dreambooth", "tokens", 0),
    ("cdl-dreambooth", "pair_eps", "0.1"), ("cdl-dreambooth", "margin", -1),
]  # fmt: skip


def label(case):
    return f"{case[0]}-{case[1]}={case[2]!r}"


@pytest.mark.parametrize("name,parameter,value", ATTACK_CASES, ids=map(label, ATTACK_CASES))
def test_attacks(lab, name, parameter, value):
    with pytest.raises(UserError) as caught:
        lab.attack(name, **{parameter: value})
    assert parameter in one_line(caught)


@pytest.mark.parametrize("name,parameter,value", PURIFIER_CASES, ids=map(label, PURIFIER_CASES))
def test_purifiers(name, parameter, value):
    with pytest.raises(UserError) as caught:
        build_purifier(name, **{parameter: value})
    assert parameter in one_line(caught)


@pytest.mark.parametrize("name,parameter,value", TRAINER_CASES, ids=map(label, TRAINER_CASES))
def test_trainers(lab, name, parameter, value):
    with pytest.raises(UserError) as caught:
        lab.personalize(name, **{parameter: value})
    assert parameter in one_line(caught)


@pytest.mark.parametrize(
    "ask,near",
    [
        (lambda lab: lab.attack("asspl"), "aspl"),
        (lambda lab: lab.attack(3), "nearest"),
        (lambda lab: lab.attack(None), "nearest"),
        (lambda lab: lab.attack(["aspl"]), "nearest"),
        (lambda lab: lab.attack("aspl", preset="papre"), "preset"),
        (lambda lab: lab.attack("aspl", epss="8/255"), "eps"),
        (lambda lab: lab.purifier("jpg"), "jpeg"),
        (lambda lab: lab.purifier("jpeg+restorre"), "restorer"),
        (lambda lab: lab.purifier("jpeg+"), "each side"),
        (lambda lab: lab.purifier(None), "name"),
        (lambda lab: lab.purifier("jpeg", qualty=3), "quality"),
        (lambda lab: lab.purifier("jpeg+jpeg", quality=3), "several links"),
        (lambda lab: lab.purifier("face-restorer"), "face-restorer"),
        (lambda lab: lab.personalize("dreamboth"), "dreambooth"),
        (lambda lab: lab.personalize("dreambooth", stepz=3), "steps"),
        (lambda lab: lab.personalize("dreambooth", lab=lab), "no parameter"),
        (lambda lab: lab.score(GOOD, GOOD, ["textur"]), "texture"),
        (lambda lab: lab.score(GOOD, GOOD, ["faithfulness"]), "original pictures"),
        (lambda lab: PROMPTS["cdll"], "cdl"),
        (lambda lab: METRICS["quallity"], "quality"),
    ],
)  # fmt: skip
def test_unknown_names_list_the_nearest(lab, ask, near):
    with pytest.raises(UserError) as caught:
        ask(lab)
    assert near in one_line(caught)


@pytest.mark.parametrize(
    "how,word",
    [
        ({"device": "nope"}, "device"), ({"device": "cuda:99"}, "device"),
        ({"device": 3.5}, "device"),
        ({"autocast": "float16"}, "autocast"), ({"autocast": torch.int8}, "autocast"),
        ({"profile": "minni"}, "mini"),
    ],
)  # fmt: skip
def test_labs(how, word):
    with pytest.raises((UserError, FileNotFoundError)) as caught:
        Lab(**how)
    assert word in one_line(caught)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_where_there_is_none():
    with pytest.raises(UserError, match="no 'cuda' on this machine"):
        Lab("mini", device="cuda")


def mini(**changes):
    return yaml.safe_load((PROFILES / "mini.yaml").read_text()) | {"name": "mine"} | changes


@pytest.mark.parametrize(
    "changes,words",
    [
        ({"defaults": {"asspl": {}}}, "aspl"),
        ({"defaults": {"aspl": {"roundz": 3}}}, "rounds"),
        ({"defaults": {"aspl": {"rounds": "3"}}}, "rounds must be a whole number"),
        ({"defaults": {"dreambooth": {"lr": "1e-4x"}}}, "lr must be"),
        ({"defaults": {"jpeg": {"quality": 900}}}, "quality"),
        ({"sampling": {"steps": 0}}, "sampling.steps"),
        ({"sampling": {"guidance_scale": NAN}}, "sampling.guidance_scale"),
        ({"sampling": {"steps": True}}, "sampling.steps"),
        ({"sampling": {"steps": "25"}}, "sampling.steps"),
        ({"sampling": {"guidance_scale": "4"}}, "sampling.guidance_scale"),
        ({"sampling": {"stepz": 3}}, "sampling.stepz"),
        ({"prior_guidance_scale": -1}, "prior_guidance_scale"),
        ({"prompts": {"instance": "a {foo}"}}, "foo"),
        ({"prompts": {"class_prompt": "a {class_name"}}, "braces"),
        ({"resolution": 63}, "resolution"),
        ({"resolution": "64"}, "resolution"),
        ({"prompts": {"class_name": 3}}, "class_name"),
    ],
)
def test_profiles(tmp_path, changes, words):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(mini(**changes)))
    with pytest.raises(ValueError) as caught:
        Lab(path)
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["mini", "sd15", "sd21"])
def test_every_shipped_profile_keeps_the_rules(name):
    own = load_profile(name).model_copy(update={"name": "copy"})
    assert isinstance(Lab(own).profile, Profile)  # a profile of another name is checked whole


GOOD = torch.rand(2, 3, 16, 16)


@pytest.mark.parametrize("thing", [3, None, b"x", {"a": 1}, [3], []], ids=str)
def test_no_subject(lab, thing):
    with pytest.raises(UserError, match="a subject is"):
        lab.subject(thing)


@pytest.mark.parametrize("where", ["nowhere/at/all", "mini:held-out", "mini:nobody/3"])
def test_no_such_subject(lab, where):
    with pytest.raises((ValueError, FileNotFoundError)):
        lab.subject(where)


@pytest.mark.parametrize(
    "words",
    [{"class_name": 3}, {"identifier": ["sks"]}, {"class_name": " "}, {"identifier": " "}],
    ids=str,
)
def test_words_are_text(lab, words):
    for made in (lab.subject, lambda x, **how: Subject.from_images(x, **how)):
        with pytest.raises(UserError, match=next(iter(words))):
            made(GOOD, **words)


def test_sets_of_different_sizes():
    with pytest.raises(UserError, match="one size; got 16 x 16, 24 x 24"):
        Subject.from_images(GOOD, reference=torch.rand(1, 3, 24, 24))


@pytest.mark.parametrize(
    "x,words",
    [
        (GOOD[0], "4 axes"),
        (GOOD.permute(0, 2, 3, 1), "3 channels"), (GOOD.double(), "float32"), (GOOD * 255, "255"),
        (GOOD[:0], "at least one"), (GOOD[..., :4], "at least 8"), (GOOD * NAN, "finite"),
        (GOOD * 2 - 1, "-1, 1"),
    ],
)  # fmt: skip
def test_batches(x, words):
    with pytest.raises(UserError, match=words):
        check_images(x)
    with pytest.raises(UserError, match=words):
        build_purifier("jpeg")(x)


@pytest.mark.parametrize(
    "x,words",
    [
        ("photo.png", "got str"), (3, "got int"), (None, "NoneType"), ([], "got list"),
        (np.zeros((1, 3, 8, 8)), "uint8"), (np.zeros((9, 9), np.uint8), "uint8"),
        ([GOOD[0], GOOD[0, :, :8]], "one size; got 8 x 16, 16 x 16"), ([GOOD], "list with Tensor"),
        (["a.png"], "list with str"),
    ],
)  # fmt: skip
def test_no_pictures(x, words):
    for door in (to_batch, build_purifier("jpeg"), Subject.from_images):
        with pytest.raises(UserError, match=words) as caught:
            door(x)
        one_line(caught)


def test_pictures_are_taken_in_many_forms():
    pixels = np.arange(2 * 12 * 10 * 3, dtype=np.uint8).reshape(2, 12, 10, 3)
    want = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    pil = [Image.fromarray(one) for one in pixels]
    for form in (want, pixels, list(pixels), pil, tuple(want), [pil[0], pixels[1]]):
        assert torch.equal(to_batch(form), want)
    assert torch.equal(to_batch(pil[0]), want[:1]) and torch.equal(to_batch(pixels[0]), want[:1])
    assert torch.equal(build_purifier("none")(pil), want)
    assert torch.equal(Subject.from_images(pixels, class_name="dog").b, want)


@pytest.mark.parametrize("value", ["", "8", "8/256", 0.03, -1, 256, None, True])
def test_budgets(value):
    with pytest.raises(UserError):
        Budget.parse(value)


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_an_attack_without_models(name):
    attack = make(ATTACKS[name], {})
    for models in (None, 3, "mini"):
        with pytest.raises(UserError, match="needs models"):
            attack(Subject.from_images(GOOD), models)


def test_others_without_models():
    for name in ("restorer", "vae", "sr", "impress", "diffpure", "jpeg+restorer"):
        with pytest.raises(UserError, match="needs models"):
            build_purifier(name)(GOOD)
    for name in TRAINERS:
        with pytest.raises(UserError, match="needs models"):
            make(TRAINERS[name], {}).fit(Subject.from_images(GOOD))


def test_cut_foreign_and_other_checkpoints(tmp_path):
    path = tmp_path / "run.pt"
    save_checkpoint(path, "mine", {"x": torch.zeros(1000), "step": 3})
    assert load_checkpoint(path, "mine", "")["step"] == 3
    with pytest.raises(UserError, match="another run"):
        load_checkpoint(path, "other", "")
    whole = path.read_bytes()
    for broken in (whole[: len(whole) // 2], whole[:10], b"", b"<html>", bytes(500)):
        path.write_bytes(broken)
        with pytest.raises(UserError, match="not a checkpoint, or was cut short") as caught:
            load_checkpoint(path, "mine", "")
        one_line(caught)
    torch.save({"weights": torch.zeros(2)}, path)
    with pytest.raises(UserError, match="not a checkpoint of this version"):
        load_checkpoint(path, "mine", "")
    with pytest.raises(UserError, match="not a checkpoint"):
        load_checkpoint(tmp_path, "mine", "")


def test_what_can_be_taken_is_taken(lab):
    """Whole numbers for decimals, NumPy's numbers, a step size in whole grey levels."""
    attack = lab.attack("advdm", steps=np.int64(5), eps=8, alpha=2, momentum=1)
    assert attack.steps == 5 and type(attack.steps) is int
    assert str(attack.eps) == "8/255" and type(attack.momentum) is float
    assert lab.personalize("dreambooth", lr=np.float64(1e-4), warmup=0.1).warmup == 0.1


@pytest.mark.parametrize("registry", [ATTACKS, PURIFIERS, TRAINERS], ids=lambda r: r.what)
def test_every_parameter_is_described(registry):
    for name, cls in registry.items():
        records = describe(cls)
        assert [record["name"] for record in records] == parameters(cls), name
        for record in records:
            assert record["allowed"] and record["source"] and record["description"], (name, record)
            assert make(cls, {record["name"]: record["default"]})  # a default is allowed


def test_a_name_is_taken_once():
    things: Registry[type] = Registry("thing")
    things.register("one")(int if False else type("One", (), {}))
    for name in ("one", "", "a+b"):
        with pytest.raises(UserError, match="thing"):
            things.add(name, int)


@pytest.mark.parametrize(
    "word,want", [("person", "a photo of a person"), ("airplane", "a photo of an airplane"),
                  ("Owl", "a photo of an Owl")],
)  # fmt: skip
def test_articles(lab, word, want):
    assert fill("a photo of a {class_name}", word) == want
    assert Subject.from_images(GOOD, class_name=word).class_prompt == want
    assert lab.purifier("ldiffpure", class_name=word).prompt.startswith(want)


@pytest.mark.parametrize(
    "template",
    ["a {class_name:d}", "a {class_name!z}", "a {class_name!r}", "a {class_name:{foo}}", "a {:d}"],
)
def test_a_template_has_bare_words_alone(template):
    with pytest.raises(UserError) as refused:
        fill(template, "dog")
    assert "{class_name}" in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("alpha", [1, "1", "1/255", "1.0/255", " 1 / 255"])
def test_one_step_size_has_one_spelling(alpha):
    assert build_attack("advdm", alpha=alpha).config()["alpha"] == "1/255"


def test_a_step_size_keeps_all_its_digits():
    for alpha in ("0.6375/255", "1.1/255", "0.123456789/255"):
        assert build_attack("advdm", alpha=alpha).alpha == alpha


@pytest.mark.parametrize("sigma", [32, " 32/255", "032/255", Budget.linf(32)])
def test_levels_have_one_spelling(sigma):
    assert build_purifier("ddspure", sigma=sigma) == build_purifier("ddspure", sigma="32/255")
