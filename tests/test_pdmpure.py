"""PDM-Pure's two stages, and CodeSR as the name of a chain."""

import pytest
import torch
from typer.testing import CliRunner

from shortcut_nb import Lab
from shortcut_nb.cli import app
from shortcut_nb.cli.info import Kind, names
from shortcut_nb.images import save_folder
from shortcut_nb.profile import load_profile
from shortcut_nb.purify import Chain, bound, build, expand, register
from shortcut_nb.purify.pdmpure import PDMPure
from shortcut_nb.purify.sr import SuperResolution

from .tiny_lab import TinyLab

LAB = TinyLab()
LAB.profile = load_profile("mini").model_copy(update={"defaults": {}})


def pictures(n=2, seed=0):
    return torch.rand(n, 3, 24, 24, generator=torch.Generator().manual_seed(seed))


def with_purifiers(folder, *wanted):
    """The miniature with these purifier models named; their folder need not be there."""
    profile = load_profile("mini")
    ref = profile.purifiers["restorer"].model_copy(update={"id": str(folder)})
    return Lab(profile.model_copy(update={"purifiers": dict.fromkeys(wanted, ref)}), "cpu")


def test_pdmpure_is_its_two_stages():
    x = pictures()
    first = bound("pdmpure", LAB, steps=2, upscale=False)
    last = SuperResolution(2, 4.0, 20, "a picture")
    both = bound("pdmpure", LAB, steps=2, upscale=True, upscale_steps=2)
    assert torch.equal(both(x), last(first(x), LAB))
    as_diffpure = bound("diffpure", LAB, strength=0.05, steps=2)
    assert torch.equal(first(x), as_diffpure(x))


def test_a_part_of_the_schedule_is_the_published_noise():
    model = LAB.pixel_diffusion
    kept = model.schedule.alphas_cumprod[bound("pdmpure", LAB).timestep(model)]
    assert (1 - kept).sqrt().item() == pytest.approx(0.167, abs=0.005)


def test_released_starts_with_too_little_noise():
    """A denoiser that returns its input shows what it was given."""
    seen = {}

    class Shown(type(LAB.pixel_diffusion)):
        def denoise(self, noisy, t, steps, source):
            seen["t"] = t
            return noisy

    model = LAB.pixel_diffusion
    other = TinyLab()
    other.pixel_diffusion = Shown(model.unet, model.schedule, model.window)
    x, moved = torch.full((4, 3, 16, 16), 0.5), {}  # one window: no noise is averaged
    for variant in ("corrected", "released"):
        moved[variant] = (PDMPure(variant=variant, upscale=False)(x, other) - x).std().item() * 2
        assert seen["t"] == 49
    assert moved["corrected"] == pytest.approx(0.17, rel=0.15)
    assert moved["released"] == pytest.approx(0.08, rel=0.15)


def test_the_last_stage_runs_where_there_is_an_upscaler():
    without = TinyLab()
    without.profile = LAB.profile.model_copy(
        update={"purifiers": {"pixel": LAB.profile.purifiers["pixel"]}}
    )
    purifier = bound("pdmpure", without)
    assert purifier.upscale is False and purifier.roles == ("purifier:pixel",)
    purifier = bound("pdmpure", LAB, upscale=True)
    assert set(purifier.roles) == {"diffusion", "purifier:pixel", "purifier:upscaler"}
    with pytest.raises(ValueError, match="upscaler"):
        bound("pdmpure", without, upscale=True)
    with pytest.raises(ValueError, match="noise_level"):
        PDMPure(noise_level=-1)


def test_without_an_upscaler_the_error_says_so(tmp_path):
    lab = with_purifiers(tmp_path, "pixel")
    with pytest.raises(ValueError, match="no weights for purifier 'upscaler'"):
        lab.purifier("pdmpure", upscale=True)


def test_codesr_is_a_chain():
    x = pictures()
    purifier = bound("codesr", LAB, steps=2)
    assert isinstance(purifier.settings, Chain) and purifier.name == "restorer+sr"
    assert purifier.settings == bound("restorer+sr", LAB, steps=2).settings
    assert torch.equal(purifier(x), bound("sr", LAB, steps=2)(bound("restorer", LAB)(x)))
    assert set(purifier.roles) == {"diffusion", "purifier:restorer", "purifier:upscaler"}
    assert bound("jpeg+codesr", LAB, quality=30).name == "jpeg+restorer+sr"
    assert build("codesr", defaults={"sr": {"steps": 3}}).links[1].steps == 3


def test_codesr_takes_the_profiles_restorer():
    assert expand("codesr") == expand("codesr", ["restorer", "upscaler"]) == "restorer+sr"
    assert expand("jpeg+codesr", ["restorer", "face-restorer"]) == "jpeg+face-restorer+sr"
    assert expand("jpeg + vae") == "jpeg+vae"


def test_codesr_without_its_models_says_what_is_missing(tmp_path):
    with pytest.raises(ValueError, match="no weights for purifier 'restorer'"):
        with_purifiers(tmp_path).purifier("codesr")
    shipped = load_profile("mini").purifiers["restorer"]
    profile = load_profile("mini").model_copy(update={"purifiers": {"restorer": shipped}})
    with pytest.raises(ValueError, match="no weights for purifier 'upscaler'"):
        Lab(profile, "cpu").purifier("codesr")


def test_the_command_line_knows_codesr(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))  # CodeFormer's weights are not there
    assert "restoration" in names(Kind.purifiers)["codesr"]
    save_folder(pictures(), tmp_path / "in")
    words = ["purify", str(tmp_path / "in"), str(tmp_path / "out"), "--with", "codesr"]
    done = CliRunner().invoke(app, [*words, "--profile", "sd15"])
    assert done.exit_code == 2 and "codeformer.pth" in done.output.replace("\n", "")


def test_an_aliass_name_is_taken():
    with pytest.raises(ValueError, match="exists already"):
        register("codesr")(PDMPure)
    with pytest.raises(ValueError, match="codesr"):
        build("codes")
