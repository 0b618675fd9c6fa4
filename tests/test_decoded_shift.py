"""The attack on the shift after the autoencoder: its objective, and its energy."""

import shutil

import pytest
import torch
from torch.nn import functional as F

from shortcut_nb import Lab
from shortcut_nb.attacks.aspl import ASPL
from shortcut_nb.attacks.base import build
from shortcut_nb.attacks.decoded_shift import DecodedShift, at_energy, rms
from shortcut_nb.attacks.pgd_attack import PGDAttack
from shortcut_nb.budget import Budget
from shortcut_nb.cells import Cell
from shortcut_nb.experiments.experiment import Experiment
from shortcut_nb.experiments.graph import graph_of
from shortcut_nb.images import save_folder
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.store import Store

SMALL = {"eps": "16/255", "alpha": "4/255", "steps": 3}


@pytest.fixture(scope="session")
def lab(quick_lab):
    """What is promised here holds for any weights."""
    return quick_lab


def test_the_objective_is_the_shift_of_the_decoded_picture(lab, subject):
    person, noise = lab.clip.text(lab.profile.concepts[:2]).detach()
    shift = DecodedShift(lab.clip, lab.diffusion, noise - person)
    vae = lab.diffusion.pipe.vae
    with torch.no_grad():
        value = shift(subject.b, [])
        mean = vae.encode(subject.b * 2 - 1).latent_dist.mean
        decoded = (vae.decode(mean).sample / 2 + 0.5).clamp(0, 1)
        seen = F.normalize(lab.clip.model.encode_image(lab.clip.prepare(decoded)), dim=-1)
    torch.testing.assert_close(value, seen @ noise - seen @ person, atol=1e-5, rtol=1e-4)


def test_a_perturbation_is_brought_to_the_wanted_energy_and_stays_in_the_ball():
    draw = torch.Generator().manual_seed(0)
    clean = torch.rand(3, 3, 16, 16, generator=draw)
    budget = Budget.parse("16/255")
    x = budget.project(clean + 0.02 * torch.randn(clean.shape, generator=draw), clean)
    wanted = torch.tensor([4.0, 9.0, 14.0]) / 255
    images = at_energy(x, clean, budget, wanted)
    torch.testing.assert_close(rms(images - clean), wanted, atol=1e-5, rtol=1e-3)
    assert (images - clean).abs().max() <= budget.unit + 1e-6
    assert images.min() >= 0 and images.max() <= 1
    agree = ((images - clean) * (x - clean) >= 0).float().mean()
    assert agree == 1  # scaled, not another perturbation
    still = at_energy(clean, clean, budget, wanted)
    torch.testing.assert_close(still, clean)


def test_pictures_have_the_energy_of_the_attack_they_are_matched_to(lab, pair):
    advdm = lab.profile.defaults["advdm"]
    other = build("advdm", **(advdm | {"eps": "16/255", "seed": 0}))(pair, lab)
    wanted = rms(other.images - pair.b)
    matched = lab.attack("decoded-shift", match="advdm", **SMALL)(pair)
    alone = lab.attack("decoded-shift", match="", **SMALL)(pair)
    torch.testing.assert_close(rms(matched.images - pair.b), wanted, atol=0.1 / 255, rtol=0)
    assert (rms(alone.images - pair.b) - wanted).abs().min() > 0.3 / 255
    assert max(matched.linf_pixels) <= 16


def test_the_matched_attack_has_low_memory_too_and_whole_models(tiny_models, pair, monkeypatch):
    """In bfloat16, where ``low_memory`` holds the frozen UNet in half precision."""
    lab = Lab(tiny_models, "cpu", torch.bfloat16)
    given = lab.profile.defaults["aspl"] | {"eps": "16/255", "low_memory": True}
    wanted = rms(lab.attack("aspl", **given)(pair).images - pair.b)
    seen, real = [], ASPL.__call__

    def call(self, subject, models, *more):
        weights = lab.diffusion.pipe.unet.parameters()
        seen.append((self.low_memory, {weight.dtype for weight in weights}))
        return real(self, subject, models, *more)

    monkeypatch.setattr(ASPL, "__call__", call)
    attack = lab.attack("decoded-shift", match="aspl", low_memory=True, **SMALL)
    assert attack.inputs()["matched"]["low_memory"]
    images = attack(pair).images
    assert seen == [(True, {torch.float32})]
    torch.testing.assert_close(rms(images - pair.b), wanted, atol=0.1 / 255, rtol=0)


def test_the_matched_attacks_own_class_pictures_are_in_the_name(lab, pair, tmp_path):
    save_folder(pair.a, tmp_path / "own")
    own = {"aspl": lab.profile.defaults["aspl"] | {"class_images": str(tmp_path / "own")}}
    profile = lab.profile.model_copy(update={"defaults": lab.profile.defaults | own})
    attack = Lab(profile, "cpu", torch.float32).attack("decoded-shift", match="aspl")
    before = attack.inputs()["matched"]
    save_folder(pair.b, tmp_path / "other")
    shutil.rmtree(tmp_path / "own")
    (tmp_path / "other").rename(tmp_path / "own")
    assert attack.inputs()["matched"] != before
    sampled = lab.attack("decoded-shift", match="aspl")
    other = sampled.settings.builds_on(lab)
    assert sampled.inputs()["matched"] == other.config()  # what shipped keys are made of


def test_what_is_matched_is_in_the_name_of_the_work(lab):
    one, other = (lab.attack("decoded-shift", match=name).inputs() for name in ("noise", "aspl"))
    assert one["matched"]["attack"] == "noise" and other["matched"]["attack"] == "aspl"
    revised = lab.attack("decoded-shift", match="simac").inputs()["matched"]
    assert revised["revision"] == 2 and "revision" not in other["matched"]
    with pytest.raises(ValueError, match="another attack"):
        lab.attack("decoded-shift", match="decoded-shift")
    with pytest.raises(ValueError, match="nearest"):
        lab.attack("decoded-shift", match="asppl")


def test_what_it_is_matched_to_is_worked_out_once(tiny_lab, tmp_path, monkeypatch):
    """The matched attack's pictures are those of the store, whoever asked for them first."""
    calls, real = [], PGDAttack.round
    monkeypatch.setattr(
        PGDAttack, "round", lambda self, *how: calls.append(self.name) or real(self, *how)
    )
    settings = SMALL | {"match": "advdm"}
    budget = settings.pop("eps")
    cell = Cell(attack="decoded-shift", eps=budget, settings=settings)
    pipeline = Pipeline(tiny_lab, Store(tmp_path))
    subject = tiny_lab.subject("mini:held-out/0")
    pictures = pipeline.images(subject, cell, 0)
    first = calls.count("advdm")
    matched = pipeline.images(subject, Cell(attack="advdm", eps="16/255"), 0)
    assert first > 0 and calls.count("advdm") == first
    torch.testing.assert_close(
        rms(pictures - subject.b), rms(matched - subject.b), atol=0.1 / 255, rtol=0
    )
    asked = Experiment(name="matched", cells={"a": cell}, subjects=1, seeds=(0,), n=1)
    graph = graph_of(asked, Pipeline(tiny_lab, Store(tmp_path / "empty")))
    about = [graph.nodes[key].about for key in graph.missing]
    assert sum(each.startswith("protect") for each in about) == 2
